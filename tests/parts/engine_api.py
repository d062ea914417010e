"""A container engine in name only, on a unix socket: for faults no real one shows on demand.

with EngineApiServer(tmp_path / "s", [FakeImage(("app:v1",))]) as engine:
    ...engine.host, engine.exports
"""

from __future__ import annotations

import gzip
import io
import json
import os
import socketserver
import tarfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit

SECOND = "2026-01-01T00:00:{:02d}.5Z"
"""An RFC 3339 date, to be filled with a second."""
_OCI = "application/vnd.oci.image."


@dataclass(frozen=True, slots=True)
class FakeImage:
    """An image as the engine lists it; its layers hold nothing but their own text.

    `form` is what it is exported as: "classic" as by Docker before 25, "oci" as since then, and
    "containerd" as by an engine that keeps manifests: that one calls the image by its manifest, and
    has its layers packed.
    """

    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    layers: tuple[str, ...] = ("base",)
    created: str = SECOND.format(1)
    tagged: str = "0001-01-01T00:00:00Z"
    own_digest: str = ""
    pulls: tuple[str, ...] | None = None
    comment: str = ""
    form: str = "classic"

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
        return _digest(self.manifest if self.form == "containerd" else self.config)

    @property
    def blobs(self) -> list[bytes]:
        """Its layers as they are exported, base first."""
        raw = [_layer(text) for text in self.layers]
        return [gzip.compress(data, 1, mtime=0) for data in raw] if self._is_packed else raw

    @property
    def manifest(self) -> bytes:
        """Its manifest, which an engine before Docker 25 does not know."""
        kind = f"{_OCI}layer.v1.tar{'+gzip' if self._is_packed else ''}"
        value = {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}manifest.v1+json",
            "config": _descriptor(f"{_OCI}config.v1+json", self.config),
            "layers": [_descriptor(kind, data) for data in self.blobs],
        }
        return json.dumps(value).encode()

    @property
    def _is_packed(self) -> bool:
        return self.form == "containerd"

    def archive(self) -> bytes:
        """The image as `docker save` writes it."""
        return archive_of([self])

    def members(self) -> tuple[dict[str, bytes], dict[str, object]]:
        """The files of its export, and what the export's list says of it."""
        if self.form == "classic":
            # by what they are, so that two images that share a layer share its file
            names = [f"{_digest(data)[7:19]}/layer.tar" for data in self.blobs]
            config = f"{self.id[7:]}.json"
            files = {**dict(zip(names, self.blobs, strict=True)), config: self.config}
        else:
            names, config = [_blob(data) for data in self.blobs], _blob(self.config)
            files = {_blob(data): data for data in (*self.blobs, self.config, self.manifest)}
        return files, {"Config": config, "RepoTags": None, "Layers": names}

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


def archive_of(images: Sequence[FakeImage]) -> bytes:
    """These images as `docker save` writes them into one archive."""
    files: dict[str, bytes] = {}
    entries: list[Mapping[str, object]] = []
    for image in images:
        own, entry = image.members()
        files |= own
        entries.append(entry)
    if any(image.form != "classic" for image in images):
        roots = [_descriptor(f"{_OCI}manifest.v1+json", image.manifest) for image in images]
        files["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
        files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": roots}).encode()
    files["manifest.json"] = json.dumps(entries).encode()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in files.items():
            _add(tar, name, data)
    return stream.getvalue()


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

    @property
    def exports(self) -> list[list[str]]:
        """The images that were asked for in each export."""
        asked = [urlsplit(path) for path in self.requests]
        return [parse_qs(one.query)["names"] for one in asked if one.path.endswith("/images/get")]

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
            self._export(api, [api.find(name) for name in parse_qs(parts.query)["names"]])
        else:
            name = path.removeprefix("/images/").removesuffix("/json")
            image = api.find(name)
            missing = {"message": f"No such image: {name}"}
            self._json(200 if image else 404, image.inspection() if image else missing)

    def _export(self, api: EngineApiServer, asked: Sequence[FakeImage | None]) -> None:
        images = [image for image in asked if image is not None]
        if len(images) < len(asked):
            self._json(404, {"message": "No such image"})
            return
        data = images[0].archive() if len(images) == 1 else archive_of(images)
        faults = api.faults
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


def _descriptor(kind: str, data: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": _digest(data), "size": len(data)}


def _digest(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


def _blob(data: bytes) -> str:
    return f"blobs/sha256/{_digest(data)[7:]}"


def _layer(text: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        _add(tar, "file", text.encode())
    return stream.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
