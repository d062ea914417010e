"""nginx, which ends TLS before many registries, or stands where their storage is."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.parts.certificates import KeyPair

_CONFIG = """
daemon off; {user} pid {folder}/pid; error_log {folder}/error.log info; worker_processes 1;
events {{ worker_connections 256; }}
http {{
    log_format seen escape=json '{{"method":"$request_method","path":"$request_uri",'
        '"authorization":"$http_authorization","cookie":"$http_cookie",'
        '"client":"$ssl_client_s_dn","status":"$status"}}';
    access_log {folder}/access.log seen;
    {temporary}
    client_max_body_size 0; proxy_request_buffering off; proxy_http_version 1.1;
    server {{
        listen 127.0.0.1:{port}{ssl};
        {tls}
        location / {{
            proxy_pass {to};
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
            {directives}
        }}
    }}
}}
"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it came in; "" for a header that it had not, and for no client certificate."""

    method: str
    path: str
    authorization: str
    cookie: str
    client: str
    status: str


class Nginx:
    """Hands all requests on `to` a server, whose URL that is.

    With `tls` it shows this certificate, and with `client_ca` it demands one that this CA signed.
    `old` has it speak TLS 1.1 and nothing later. `directives` go into its one `location`. What it
    saw is known once its `with` block has ended.
    """

    def __init__(
        self,
        to: str,
        *,
        tls: KeyPair | None = None,
        client_ca: Path | None = None,
        old: bool = False,
        directives: str = "",
        program: str = "nginx",
    ) -> None:
        self.seen: list[Seen] = []
        self._to = to
        self._tls = tls
        self._client_ca = client_ca
        self._old = old
        self._directives = directives
        self._program = program
        self.port = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """Holds its configuration and its logs."""
        assert self._folder is not None, "nginx runs inside its `with` block only"
        return Path(self._folder.name)

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The server with its scheme, no slash at the end."""
        return f"{'https' if self._tls else 'http'}://{self.host}"

    @property
    def log(self) -> str:
        """What it complains of."""
        return (self.folder / "error.log").read_text(errors="replace")

    def __enter__(self) -> Nginx:
        self._folder = tempfile.TemporaryDirectory(prefix="nginx-")
        # as in an upgrade of its own, it takes over a socket that listens already: nobody can take
        # the port before it, and nobody has to wait for it
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            self.port = int(listener.getsockname()[1])
            config = self.folder / "nginx.conf"
            config.write_text(self._config())
            words = [self._program, "-c", str(config), "-p", str(self.folder)]
            words += ["-e", str(self.folder / "error.log")]
            number = listener.fileno()
            self._process = subprocess.Popen(
                words, pass_fds=(number,), env={**os.environ, "NGINX": f"{number};"}
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        assert self._folder is not None
        failed = self._process.poll() is not None
        log = self.log if failed else ""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        requests = self.folder / "access.log"
        lines = requests.read_text().splitlines() if requests.exists() else []
        self.seen = [Seen(**json.loads(line)) for line in lines]
        self._folder.cleanup()
        if failed and error is None:
            raise RuntimeError(f"nginx did not run:\n{log}")

    def _config(self) -> str:
        tls = ""
        if self._tls:
            tls = f"ssl_certificate {self._tls.cert}; ssl_certificate_key {self._tls.key};"
        if self._client_ca:
            tls += f" ssl_client_certificate {self._client_ca}; ssl_verify_client on;"
        if self._old:
            tls += " ssl_protocols TLSv1.1; ssl_ciphers DEFAULT:@SECLEVEL=0;"
        return _CONFIG.format(
            # a worker of another user could not read the tests' folders
            user="" if os.geteuid() else "user root;",
            folder=self.folder,
            temporary=" ".join(f"{name}_temp_path {self.folder}/{name};" for name in _TEMPORARY),
            port=self.port,
            ssl=" ssl" if self._tls else "",
            tls=tls,
            to=self._to,
            directives=self._directives,
        )
