"""Real proxies: tinyproxy, squid, which speaks TLS too, and microsocks."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import TypeVar
from urllib.parse import quote

from tests.parts.certificates import REGISTRY_NAME, KeyPair
from tests.parts.listeners import closed_port

P = TypeVar("P", bound="ProxyServer")
_START_LIMIT = 20.0
_NCSA = "/usr/lib/squid/basic_ncsa_auth"


class ProxyServer:
    """A proxy on a free loopback port; with `user` it lets in nobody else.

    `log` names every destination that it was asked for.
    """

    scheme = "http"

    def __init__(self, program: str, *, user: str = "", password: str = "") -> None:
        self.program = program
        self.user = user
        self.password = password
        self.port = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """Holds its configuration and its log."""
        assert self._folder is not None, "the proxy runs inside its `with` block only"
        return Path(self._folder.name)

    @property
    def url(self) -> str:
        """Its address for a variable, with user and password where it wants them."""
        return self.url_with(f"{self.user}:{quote(self.password, safe='')}" if self.user else "")

    def url_with(self, login: str) -> str:
        """The same with another `user:password`, or with none."""
        return f"{self.scheme}://{login}{'@' if login else ''}127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """All that it has logged."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def command(self) -> list[str]:
        """The words that run it in the foreground; what they need has been written."""
        raise NotImplementedError

    def __enter__(self: P) -> P:
        self.port = closed_port()
        self._folder = tempfile.TemporaryDirectory(prefix="proxy-")
        # those who give up root's rights must still reach what is theirs
        self.folder.chmod(0o777)
        with (self.folder / "output").open("wb") as output:
            self._process = subprocess.Popen(self.command(), stdout=output, stderr=output)
        try:
            self._wait(self._process)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + _START_LIMIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    output = (self.folder / "output").read_text(errors="replace")
                    raise RuntimeError(f"{self.program} did not come up:\n{output}") from None
                time.sleep(0.02)
            else:
                return

    def _stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
        if self._folder:
            self._folder.cleanup()


class Tinyproxy(ProxyServer):
    """With `refused`, a regular expression, it lets nobody through to such a host; with
    `tunnels_to` it makes tunnels to that port alone, as Debian sets it up.
    """

    def __init__(
        self,
        program: str = "tinyproxy",
        *,
        user: str = "",
        password: str = "",
        refused: str = "",
        tunnels_to: int | None = None,
    ) -> None:
        super().__init__(program, user=user, password=password)
        self._refused = refused
        self._tunnels_to = tunnels_to

    def command(self) -> list[str]:
        config, folder = self.folder / "config", self.folder
        lines = [f"Port {self.port}", "Listen 127.0.0.1", "Timeout 60", "MaxClients 100"]
        lines += [f'LogFile "{folder}/log"', "LogLevel Connect"]
        if self.user:
            lines.append(f"BasicAuth {self.user} {self.password}")
        if self._refused:
            (folder / "filter").write_text(f"{self._refused}\n")
            lines.append(f'Filter "{folder}/filter"')
        if self._tunnels_to:
            lines.append(f"ConnectPort {self._tunnels_to}")
        config.write_text("\n".join(lines) + "\n")
        return [self.program, "-d", "-c", str(config)]


class Squid(ProxyServer):
    """With `tls` it is itself spoken to over TLS. It alone knows the address of REGISTRY_NAME."""

    def __init__(
        self,
        program: str = "squid",
        *,
        user: str = "",
        password: str = "",
        tls: KeyPair | None = None,
    ) -> None:
        super().__init__(program, user=user, password=password)
        self._tls = tls
        self.scheme = "https" if tls else "http"

    def command(self) -> list[str]:
        config, folder = self.folder / "config", self.folder
        (folder / "hosts").write_text(f"127.0.0.1 {REGISTRY_NAME}\n")
        lines = [
            self._port_line(),
            f"hosts_file {folder}/hosts",
            f"pid_filename {folder}/pid",
            f"access_log stdio:{folder}/log",
            f"cache_log {folder}/cache.log",
            f"coredump_dir {folder}",
            "cache deny all",
            "shutdown_lifetime 0 seconds",
            "pinger_enable off",
            "via off",
        ]
        lines += self._access_lines()
        config.write_text("\n".join(lines) + "\n")
        return [self.program, "-N", "-f", str(config)]

    def _port_line(self) -> str:
        if self._tls is None:
            return f"http_port 127.0.0.1:{self.port}"
        pair = KeyPair(self.folder / "cert", self.folder / "key")
        for source, copy in ((self._tls.cert, pair.cert), (self._tls.key, pair.key)):
            shutil.copy(source, copy)
            copy.chmod(0o644)
        return f"https_port 127.0.0.1:{self.port} tls-cert={pair.cert} tls-key={pair.key}"

    def _access_lines(self) -> list[str]:
        if not self.user:
            return ["http_access allow all"]
        users = self.folder / "users"
        users.write_text(f"{self.user}:{_hashed(self.password)}\n")
        users.chmod(0o644)
        return [
            f"auth_param basic program {_NCSA} {users}",
            "auth_param basic children 1",
            "acl known proxy_auth REQUIRED",
            "http_access allow known",
            "http_access deny all",
        ]


class Microsocks(ProxyServer):
    """SOCKS 5; it logs nothing but connections."""

    scheme = "socks5h"

    def __init__(self, program: str = "microsocks", *, user: str = "", password: str = "") -> None:
        super().__init__(program, user=user, password=password)

    def command(self) -> list[str]:
        words = [self.program, "-i", "127.0.0.1", "-p", str(self.port)]
        return [*words, "-u", self.user, "-P", self.password] if self.user else words

    @property
    def log(self) -> str:
        """Its connections, one a line."""
        return (self.folder / "output").read_text(errors="replace")


def _hashed(password: str) -> str:
    done = subprocess.run(
        ["openssl", "passwd", "-apr1", "-stdin"],
        input=f"{password}{os.linesep}",
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.strip()
