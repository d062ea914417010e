"""CNCF Distribution, the registry that most others are measured by, as a process of its own."""

from __future__ import annotations

import base64
import json
import os
import re
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.parts.certificates import KeyPair
from tests.parts.stored import StoredManifest
from tests.parts.token_service import Access, TokenService

USER = "pusher"
PASSWORD = "correct-horse"
# `htpasswd -nbB -C 4 pusher correct-horse`
_HTPASSWD = "pusher:$2y$04$EaQWoUZqgtRaoLW.x5NpreKuJ8t/fdcfaINRq6Q8IrBhgTEXKu/l2\n"
_START_LIMIT = 20.0
"""Seconds for the registry to come up."""
_ANSWERED = re.compile(r'\] "([A-Z]+) (\S+) (HTTP/\S+)" \d')
_CLIENT = re.compile(r'level=\w+ msg="response completed.* http\.request\.remoteaddr="([^"]+)"')
_ACCEPT = ", ".join(
    f"application/vnd.{kind}"
    for kind in (
        "oci.image.index.v1+json",
        "oci.image.manifest.v1+json",
        "docker.distribution.manifest.list.v2+json",
        "docker.distribution.manifest.v2+json",
    )
)


@dataclass(frozen=True, slots=True)
class DistributionOptions:
    """How it is set up.

    `tls` is its certificate, `ca` the one that clients must trust, `client_ca` whose client
    certificates it demands. `basic` lets in USER with PASSWORD alone, `tokens` sends clients there.
    """

    tls: KeyPair | None = None
    ca: Path | None = None
    client_ca: Path | None = None
    basic: bool = False
    tokens: TokenService | None = None
    relative_urls: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """A request that Distribution answered; `version` as in `HTTP/1.1`."""

    method: str
    uri: str
    version: str


class Distribution:
    """Runs `docker-registry` on a free loopback port with its storage in a temporary folder.

    `within` is where that folder is made, in place of the system's own.
    """

    def __init__(
        self,
        options: DistributionOptions | None = None,
        *,
        program: str = "docker-registry",
        within: Path | None = None,
    ) -> None:
        self.options = options or DistributionOptions()
        self.port = 0
        self._program = program
        self._folder = tempfile.TemporaryDirectory(prefix="distribution-", dir=within)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """Holds its configuration, its log and its storage."""
        return Path(self._folder.name)

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    @property
    def other_host(self) -> str:
        """The same registry under another name."""
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        """The registry with its scheme, no slash at the end."""
        return f"{'https' if self.options.tls else 'http'}://{self.host}"

    @property
    def ca(self) -> Path | None:
        """What a client must trust."""
        return self.options.ca

    @property
    def log(self) -> str:
        """All that it has logged."""
        return (self.folder / "log").read_text(errors="replace")

    def __enter__(self) -> Distribution:
        config = self.folder / "config.yml"
        # JSON is YAML too
        config.write_text(json.dumps(self._config()))
        variables = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._program, "serve", str(config)], stdout=log, stderr=log, env=variables
            )
        try:
            self._wait()
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

    def heard(self, count: int) -> tuple[Heard, ...]:
        """The requests to which it answered, in the order of their answers, once it has written
        down at least `count` of them.
        """
        until = time.monotonic() + _START_LIMIT
        while len(found := _ANSWERED.findall(self.log)) < count and time.monotonic() < until:
            time.sleep(0.02)
        return tuple(Heard(*parts) for parts in found)

    @property
    def clients(self) -> frozenset[str]:
        """The address and port of every connection that brought a request so far."""
        return frozenset(_CLIENT.findall(self.log))

    # -- what it holds

    def manifest(self, repository: str, reference: str) -> StoredManifest:
        """What a tag or digest stands for. Raises KeyError."""
        data, headers = self._get(repository, f"manifests/{reference}")
        return StoredManifest(data, headers["Content-Type"], headers["Docker-Content-Digest"])

    def blob(self, repository: str, digest: str) -> bytes:
        """A blob's content. Raises KeyError."""
        return self._get(repository, f"blobs/{digest}")[0]

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether the repository has the blob."""
        try:
            self._get(repository, f"blobs/{digest}", "HEAD")
        except KeyError:
            return False
        return True

    def tags(self, repository: str) -> list[str]:
        """Its tags, sorted; none where there is no such repository."""
        try:
            data, _ = self._get(repository, "tags/list")
        except KeyError:
            return []
        return sorted(json.loads(data)["tags"] or [])

    def open_uploads(self, repository: str) -> int:
        """How many upload sessions are open in it."""
        uploads = self.folder / "storage/docker/registry/v2/repositories" / repository / "_uploads"
        return len(list(uploads.iterdir())) if uploads.is_dir() else 0

    def _get(
        self, repository: str, path: str, method: str = "GET"
    ) -> tuple[bytes, Mapping[str, str]]:
        headers = {"Accept": _ACCEPT, **self._authorization(repository)}
        url = f"{self.url}/v2/{repository}/{path}"
        request = urllib.request.Request(url, headers=headers, method=method)
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if self.options.ca:
            context = ssl.create_default_context(cafile=str(self.options.ca))
            handlers.append(urllib.request.HTTPSHandler(context=context))
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=30) as answer:
                return answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    raise KeyError(f"{repository}: nothing at {path}") from None
                raise AssertionError(f"{method} {url}: {error.code} {error.read()!r}") from error

    def _authorization(self, repository: str) -> dict[str, str]:
        if self.options.tokens:
            token = self.options.tokens.token("reader", [Access(repository, ("pull",))])
            return {"Authorization": f"Bearer {token}"}
        if self.options.basic:
            both = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            return {"Authorization": f"Basic {both}"}
        return {}

    # -- the process

    def _config(self) -> dict[str, object]:
        http: dict[str, object] = {"addr": "127.0.0.1:0", "secret": "for tests"}
        http["relativeurls"] = self.options.relative_urls
        if self.options.tls:
            tls: dict[str, object] = {
                "certificate": str(self.options.tls.cert),
                "key": str(self.options.tls.key),
            }
            if self.options.client_ca:
                tls["clientcas"] = [str(self.options.client_ca)]
            http["tls"] = tls
        config: dict[str, object] = {
            "version": "0.1",
            "log": {"level": "info"},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "storage")},
                "delete": {"enabled": True},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": http,
        }
        auth = self._auth()
        return {**config, "auth": auth} if auth else config

    def _auth(self) -> dict[str, object]:
        if self.options.basic:
            users = self.folder / "htpasswd"
            users.write_text(_HTPASSWD)
            return {"htpasswd": {"realm": "test", "path": str(users)}}
        tokens = self.options.tokens
        if tokens:
            assert tokens.key is not None, "Distribution reads signed tokens only"
            return {
                "token": {
                    "realm": tokens.realm,
                    "service": tokens.service,
                    "issuer": tokens.issuer,
                    "rootcertbundle": str(tokens.key.pair.cert),
                }
            }
        return {}

    def _wait(self) -> None:
        """Until it listens; it picks the port itself, so that no one else can be faster."""
        assert self._process is not None
        until = time.monotonic() + _START_LIMIT
        marker = "listening on 127.0.0.1:"
        while marker not in (log := self.log):
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self._program} did not come up:\n{log}")
            time.sleep(0.02)
        digits = log.partition(marker)[2]
        self.port = int(digits[: len(digits) - len(digits.lstrip("0123456789"))])

    def _stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()
