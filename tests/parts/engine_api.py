"""A container engine in name only, on a unix socket: for faults no real one shows on demand."""

from __future__ import annotations

import io
import json
import os
import socketserver
import tarfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit

SECOND = "2026-01-01T00:00:{:02d}.5Z"
"""An RFC 3339 date, to be filled with a second."""


@dataclass(frozen=True, slots=True)
class FakeImage:
    """An image as the engine lists it; its layers hold nothing but their own text."""

    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    layers: tuple[str, ...] = ("base",)
    created: str = SECOND.format(1)
    tagged: str = "0001-01-01T00:00:00Z"
    own_digest: str = ""
    pulls: tuple[str, ...] | None = None
    comment: str = ""

    @property
    def diff_ids(self) -> list[str]:
        """Of its layers, base first."""
        return [f"sha256:{sha256(_layer(text)).hexdigest()}" for text in self.layers]

    @property
    def config(self) -> bytes:
        """Its config's bytes."""
        return json.dumps(
            {
                "os": "linux",
                "architecture": "amd64",
                "created": self.created,
                "comment": self.comment,
                "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
            }
        ).encode()

    @property
    def id(self) -> str:
        """What the engine calls it."""
        return f"sha256:{sha256(self.config).hexdigest()}"

    def archive(self) -> bytes:
        """The image as `docker save` writes it."""
        stream = io.BytesIO()
        names = [f"{at}/layer.tar" for at in range(len(self.layers))]
        entry = {"Config": f"{self.id[7:]}.json", "RepoTags": None, "Layers": names}
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name, text in zip(names, self.layers, strict=True):
                _add(tar, name, _layer(text))
            _add(tar, f"{self.id[7:]}.json", self.config)
            _add(tar, "manifest.json", json.dumps([entry]).encode())
        return stream.getvalue()

    def listing(self) -> dict[str, object]:
        """Its object in the list of images."""
        value: dict[str, object] = {"Id": self.id, "RepoTags": list(self.tags) or None}
        return {**value, "Digest": self.own_digest} if self.own_digest else value

    def inspection(self) -> dict[str, object]:
        """What an inspection tells of it."""
        value: dict[str, object] = {
            "Id": self.id,
            "RepoTags": list(self.tags),
            "RepoDigests": list(self.digests),
            "Created": self.created,
            "Os": "linux",
            "Architecture": "amd64",
            "RootFS": {"Type": "layers", "Layers": self.diff_ids},
            "Metadata": {"LastTagTime": self.tagged},
        }
        if self.pulls is not None:
            value["Identity"] = {"Pull": [{"Repository": text} for text in self.pulls]}
        return value


@dataclass(slots=True)
class Faults:
    """What it does wrong. `broken` has paths (as in the API, without a version) and what they get
    instead, status and body.
    """

    version: str = "1.41"
    version_in_header: bool = True
    broken: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    dies_after: int | None = None
    fails_after: int | None = None


class EngineApiServer:
    """Listens at `path` while its context lasts; `requests` are the paths that were asked for."""

    def __init__(self, path: Path, images: Iterable[FakeImage] = (), **faults: object) -> None:
        self.path = path
        self.images = list(images)
        self.faults = Faults(**faults)  # type: ignore[arg-type]
        self.requests: list[str] = []
        self._server: _Server | None = None

    @property
    def host(self) -> str:
        """For DOCKER_HOST."""
        return f"unix://{self.path}"

    def __enter__(self) -> EngineApiServer:
        self._server = _Server(str(self.path), self)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        os.unlink(self.path)

    def find(self, name: str) -> FakeImage | None:
        """By an unambiguous beginning of its ID, or by a tag exactly as it is written."""
        tagged = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
        by_tag = [image for image in self.images if tagged in image.tags]
        start = name.removeprefix("sha256:")
        by_id = [image for image in self.images if image.id[7:].startswith(start)]
        found = by_tag or by_id
        return found[0] if len(found) == 1 else None


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: str, api: EngineApiServer) -> None:
        super().__init__(path, _Handler)
        self.api = api


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name upstream)
        """Say nothing."""

    def address_string(self) -> str:
        return "socket"

    def do_GET(self) -> None:
        """Answer as the API does, but for the faults."""
        server = self.server
        assert isinstance(server, _Server)
        api = server.api
        api.requests.append(self.path)
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        if path.startswith("/v1."):
            path = "/" + path.split("/", 2)[2]
        if path in api.faults.broken:
            self._answer(*api.faults.broken[path])
        elif path == "/_ping":
            self._answer(200, b"OK")
        elif path == "/version":
            self._json(200, {"ApiVersion": api.faults.version})
        elif path == "/images/json":
            self._json(200, [image.listing() for image in api.images])
        elif path == "/images/get":
            self._export(api, api.find(parse_qs(parts.query)["names"][0]))
        else:
            name = path.removeprefix("/images/").removesuffix("/json")
            image = api.find(name)
            missing = {"message": f"No such image: {name}"}
            self._json(200 if image else 404, image.inspection() if image else missing)

    def _export(self, api: EngineApiServer, image: FakeImage | None) -> None:
        if image is None:
            self._json(404, {"message": "No such image"})
            return
        data, faults = image.archive(), api.faults
        if faults.dies_after is not None:
            self._head(200, None)
            self._chunk(data[: faults.dies_after])
            self.close_connection = True
            return
        if faults.fails_after is not None:
            error = {"errorDetail": {"message": "disk on fire"}, "error": "disk on fire"}
            data = data[: faults.fails_after] + json.dumps(error, separators=(",", ":")).encode()
        self._head(200, None)
        self._chunk(data)
        self._chunk(b"")

    def _json(self, status: int, value: object) -> None:
        self._answer(status, json.dumps(value).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self._head(status, len(body))
        self.wfile.write(body)

    def _head(self, status: int, length: int | None) -> None:
        server = self.server
        assert isinstance(server, _Server)
        self.send_response(status)
        if server.api.faults.version_in_header:
            self.send_header("Api-Version", server.api.faults.version)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


def _layer(text: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        _add(tar, "file", text.encode())
    return stream.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
