"""A registry in memory, true to distribution-spec 1.1 where its manners do not say otherwise."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from tests.parts.exchange import ClientGone, Exchange
from tests.parts.faults import errors
from tests.parts.http_server import HttpServer
from tests.parts.manners import Manners
from tests.parts.registry_auth import Auth
from tests.parts.stored import Blob, Repository, Session, StoredManifest, digest_of
from tests.parts.token_service import Access

_ROUTE = re.compile(
    r"/v2/(?P<repo>[a-z0-9._/-]+)/(?P<kind>blobs/uploads|blobs|manifests|tags|referrers)"
    r"/(?P<rest>[^/]*)\Z"
)
_DIGEST = re.compile(r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\Z")
_INDEX = "application/vnd.oci.image.index.v1+json"


class MemoryRegistry(HttpServer):
    """Takes pushes and gives pulls; `repositories` is what it holds.

    With `keep_content=False` blobs are hashed and counted, and cannot be pulled.
    """

    def __init__(
        self,
        manners: Manners | None = None,
        *,
        auth: Auth | None = None,
        keep_content: bool = True,
        tls: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        super().__init__(tls=tls, address=address)
        self.manners = manners or Manners()
        self.auth = auth
        self.repositories: dict[str, Repository] = {}
        self.sessions: dict[str, Session] = {}
        self._keep_content = keep_content

    # -- for assertions and preparation

    def repository(self, name: str) -> Repository:
        """One repository; an empty one is made where there is none."""
        with self._lock:
            return self.repositories.setdefault(name, Repository())

    def manifest(self, repository: str, reference: str) -> StoredManifest:
        """What a tag or digest stands for. Raises KeyError."""
        found = self.repository(repository).manifest(reference)
        if found is None:
            raise KeyError(f"{repository}: no manifest {reference}")
        return found

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether the repository has the blob."""
        return digest in self.repository(repository).blobs

    def tags(self, repository: str) -> list[str]:
        """Its tags, sorted."""
        return sorted(self.repository(repository).tags)

    def open_uploads(self, repository: str) -> int:
        """How many upload sessions are open in it."""
        return sum(session.repository == repository for session in self.sessions.values())

    def add_blob(self, repository: str, data: bytes, algorithm: str = "sha256") -> str:
        """Put a blob there before the test; its digest."""
        digest = digest_of(data, algorithm)
        self.repository(repository).blobs[digest] = Blob(len(data), data)
        return digest

    # -- requests

    def handle(self, exchange: Exchange) -> None:
        request = exchange.request
        session = self.sessions.get(request.path.rpartition("/")[2])
        route = _ROUTE.match(unquote(request.path))
        repository = session.repository if session else route["repo"] if route else ""
        if not self._may_pass(exchange, repository, session):
            return
        if request.path in ("/v2/", "/v2"):
            exchange.answer(200, {})
        elif session:
            self._handle_session(exchange, session)
        elif route is None:
            exchange.answer(404, "404 page not found\n")
        else:
            self._handle_route(exchange, repository, route["kind"], route["rest"])

    def _handle_route(self, exchange: Exchange, repository: str, kind: str, rest: str) -> None:
        method = exchange.request.method
        handlers: dict[tuple[str, str], Callable[[Exchange, str, str], None]] = {
            ("HEAD", "blobs"): self._get_blob,
            ("GET", "blobs"): self._get_blob,
            ("HEAD", "manifests"): self._get_manifest,
            ("GET", "manifests"): self._get_manifest,
            ("PUT", "manifests"): self._put_manifest,
            ("GET", "tags"): self._list_tags,
            ("GET", "referrers"): self._list_referrers,
            ("POST", "blobs/uploads"): self._start_upload,
        }
        handler = handlers.get((method, kind))
        if handler:
            handler(exchange, repository, rest)
        elif kind == "blobs/uploads" and rest:
            _refuse(exchange, 404, "BLOB_UPLOAD_UNKNOWN")
        else:
            _refuse(exchange, 405, "UNSUPPORTED")

    def _may_pass(self, exchange: Exchange, repository: str, session: Session | None) -> bool:
        if self.auth is None or (session and not self.manners.sessions_need_auth):
            return True
        request = exchange.request
        needed = []
        if repository:
            reads = request.method in ("GET", "HEAD") and not session
            needed.append(Access(repository, ("pull",) if reads else ("pull", "push")))
        source = request.first("from")
        if source and source != repository:
            needed.append(Access(source, ("pull",)))
        challenges = self.auth.challenges(request, needed)
        if challenges is None:
            return True
        # one field each would be as valid; joined is what is harder to read
        headers = {"WWW-Authenticate": ", ".join(challenges)} if challenges else {}
        exchange.answer(401, errors("UNAUTHORIZED", "authentication required"), headers)
        return False

    # -- blobs

    def _get_blob(self, exchange: Exchange, repository: str, digest: str) -> None:
        if self._head_refused(exchange):
            return
        blob = self.repository(repository).blobs.get(digest)
        if blob is None:
            _refuse(exchange, 404, "BLOB_UNKNOWN")
        elif exchange.request.method == "GET" and blob.data is None:
            _refuse(exchange, 405, "UNSUPPORTED", "this registry keeps no content")
        else:
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)}
            exchange.answer(200, blob.data or b"", {**headers, **self._stored_as(digest)})

    def _start_upload(self, exchange: Exchange, repository: str, rest: str) -> None:
        mount, source = exchange.request.first("mount"), exchange.request.first("from")
        if mount and self._mount(exchange, repository, mount, source):
            return
        session = Session(repository, self._keep_content)
        digest = exchange.request.first("digest")
        if digest and self.manners.single_post:
            self._finish(exchange, session, digest)
            return
        with self._lock:
            self.sessions[session.id] = session
        limits = {
            "OCI-Chunk-Min-Length": self.manners.chunk_min,
            "OCI-Chunk-Max-Length": self.manners.chunk_max,
        }
        headers = {name: str(value) for name, value in limits.items() if value is not None}
        self._go_on(exchange, session, 202, {**headers, "Range": "0-0"})

    def _mount(self, exchange: Exchange, repository: str, digest: str, source: str | None) -> bool:
        """Whether the request is answered; if not, it opens a session like any other."""
        way = self.manners.mount if source else self.manners.mount_without_from
        if way in ("always-202", "202"):
            return False
        if way != "honest":
            _refuse(
                exchange, int(way), {"401": "UNAUTHORIZED", "403": "DENIED"}.get(way, "UNSUPPORTED")
            )
            return True
        with self._lock:
            sources = [self.repositories.get(source)] if source else self.repositories.values()
            blob = next(
                (each.blobs[digest] for each in sources if each and digest in each.blobs), None
            )
        if blob is None:
            return False
        self.repository(repository).blobs[digest] = blob
        self._created(exchange, repository, digest, 201)
        return True

    def _handle_session(self, exchange: Exchange, session: Session) -> None:
        request = exchange.request
        stale = "{state}" in self.manners.location and not any(
            str(session.state) in values for values in request.query.values()
        )
        if stale:
            self._drop(session)
            _refuse(exchange, 404, "BLOB_UPLOAD_UNKNOWN", "not the newest Location")
        elif request.method == "PATCH":
            self._patch(exchange, session)
        elif request.method == "PUT":
            self._finish(exchange, session, request.first("digest") or "")
        elif request.method == "GET":
            location = self._location(session) if self.manners.status_location else {}
            exchange.answer(204, headers={**location, **self._range(session)})
        elif request.method == "DELETE":
            if self.manners.cancel_status == 204:
                self._drop(session)
            exchange.answer(self.manners.cancel_status)
        else:
            _refuse(exchange, 405, "UNSUPPORTED")

    def _patch(self, exchange: Exchange, session: Session) -> None:
        length = int(exchange.request.headers.get("content-length", "0"))
        too_long = self.manners.chunk_max is not None and length > self.manners.chunk_max
        ranged = "content-range" in exchange.request.headers
        if (ranged and too_long) or session.short_chunk:
            exchange.answer(416, errors("SIZE_INVALID"), self._range(session))
        elif self._take(exchange, session):
            session.short_chunk = length < (self.manners.chunk_min or 0)
            self._go_on(exchange, session, self.manners.chunk_status, self._range(session))

    def _finish(self, exchange: Exchange, session: Session, digest: str) -> None:
        if not _DIGEST.match(digest):
            _refuse(exchange, 400, "DIGEST_INVALID", "no digest")
            return
        if not self._take(exchange, session, digest):
            return
        self._drop(session)
        if session.digest(digest.partition(":")[0]) != digest:
            _refuse(exchange, 400, "DIGEST_INVALID", "the content has another digest")
            return
        self.repository(session.repository).blobs[digest] = session.blob()
        self._created(exchange, session.repository, digest, self.manners.blob_put_status)

    def _take(self, exchange: Exchange, session: Session, digest: str | None = None) -> bool:
        """Append the body; False if it is refused, and answered."""
        headers = exchange.request.headers
        start = headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
        if start and int(start) != session.size:
            exchange.answer(416, errors("RANGE_INVALID"), self._range(session))
            return False
        length = int(headers.get("content-length", "0"))
        typed = headers.get("content-type") == "application/octet-stream"
        if self.manners.octet_stream_only and length and not typed:
            exchange.answer(415)
            return False
        if self.manners.body_max is not None and length > self.manners.body_max:
            exchange.answer(
                413, "<html>413 Request Entity Too Large</html>", {"Connection": "close"}
            )
            exchange.close_half()
            return False
        with session.busy:
            session.expect(digest)
            try:
                exchange.read_body(session.append)
            except ClientGone:
                if self.manners.broken_body == "end":
                    self._drop(session)
                raise
        return True

    def _drop(self, session: Session) -> None:
        with self._lock:
            self.sessions.pop(session.id, None)

    # -- manifests

    def _get_manifest(self, exchange: Exchange, repository: str, reference: str) -> None:
        if self._head_refused(exchange):
            return
        found = self.repository(repository).manifest(reference)
        if found is None:
            _refuse(exchange, 404, "MANIFEST_UNKNOWN")
            return
        headers = {"Content-Type": found.media_type, **self._stored_as(found.digest)}
        exchange.answer(200, found.data, headers)

    def _put_manifest(self, exchange: Exchange, repository: str, reference: str) -> None:
        data = exchange.body()
        content_type = exchange.request.headers.get("content-type", "")
        refusal = self._manifest_refusal(repository, reference, data, content_type)
        if refusal:
            exchange.answer(413 if refusal == "SIZE_INVALID" else 400, errors(refusal))
            return
        algorithm = reference.partition(":")[0] if ":" in reference else "sha256"
        digest = digest_of(data, algorithm)
        held = self.repository(repository)
        held.manifests[digest] = StoredManifest(data, content_type, digest)
        if ":" not in reference:
            held.tags[reference] = digest
        location = self.manners.manifest_location.format(repo=repository, digest=digest)
        headers = {"Location": location, **self._stored_as(digest)}
        subject = json.loads(data).get("subject")
        if subject and self.manners.subject:
            headers["OCI-Subject"] = subject["digest"]
        exchange.answer(201, headers=headers)

    def _manifest_refusal(
        self, repository: str, reference: str, data: bytes, content_type: str
    ) -> str | None:
        if len(data) > self.manners.manifest_max:
            return "SIZE_INVALID"
        try:
            value = json.loads(data)
        except ValueError:
            return "MANIFEST_INVALID"
        if not content_type or value.get("mediaType", content_type) != content_type:
            return "MANIFEST_INVALID"
        if ":" in reference and not _is_digest(reference, data):
            return "DIGEST_INVALID"
        held = self.repository(repository)
        blobs = [value["config"]] if "config" in value else []
        blobs += [layer for layer in value.get("layers", []) if not layer.get("urls")]
        children = [child["digest"] for child in value.get("manifests", [])]
        complete = all(blob["digest"] in held.blobs for blob in blobs)
        if not complete or not all(child in held.manifests for child in children):
            return "MANIFEST_BLOB_UNKNOWN"
        return None

    def _list_tags(self, exchange: Exchange, repository: str, rest: str) -> None:
        if repository not in self.repositories:
            _refuse(exchange, 404, "NAME_UNKNOWN")
            return
        exchange.answer(200, {"name": repository, "tags": self.tags(repository)})

    def _list_referrers(self, exchange: Exchange, repository: str, digest: str) -> None:
        if not self.manners.referrers:
            exchange.answer(404, "404 page not found\n")
            return
        found = []
        for each in self.repository(repository).manifests.values():
            value = json.loads(each.data)
            if value.get("subject", {}).get("digest") == digest:
                size = len(each.data)
                found.append({"mediaType": each.media_type, "digest": each.digest, "size": size})
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": found}
        exchange.answer(200, index, {"Content-Type": _INDEX})

    # -- answers

    def _head_refused(self, exchange: Exchange) -> bool:
        refused = exchange.request.method == "HEAD" and self.manners.head_status is not None
        if refused:
            exchange.answer(self.manners.head_status or 405)
        return refused

    def _go_on(
        self, exchange: Exchange, session: Session, status: int, headers: Mapping[str, str]
    ) -> None:
        session.state += 1
        headers = {**self._location(session), "Docker-Upload-UUID": session.id, **headers}
        exchange.answer(status, headers=headers)

    def _location(self, session: Session) -> dict[str, str]:
        location = self.manners.location.format(
            scheme=self.scheme,
            host=self.host,
            other_host=self.other_host,
            port=self.port,
            repo=session.repository,
            id=session.id,
            state=session.state,
        )
        return {"Location": location}

    def _range(self, session: Session) -> dict[str, str]:
        if self.manners.status_range is None:
            return {}
        last = max(session.size - 1, 0)
        return {"Range": self.manners.status_range.format(last=last, size=session.size)}

    def _created(self, exchange: Exchange, repository: str, digest: str, status: int) -> None:
        headers = {"Location": f"/v2/{repository}/blobs/{digest}", **self._stored_as(digest)}
        exchange.answer(status, headers=headers)

    def _stored_as(self, digest: str) -> dict[str, str]:
        if self.manners.content_digest == "absent":
            return {}
        wrong = digest_of(b"something else", digest.partition(":")[0])
        shown = wrong if self.manners.content_digest == "wrong" else digest
        return {"Docker-Content-Digest": shown}


def _is_digest(text: str, data: bytes) -> bool:
    return bool(_DIGEST.match(text)) and digest_of(data, text.partition(":")[0]) == text


def _refuse(exchange: Exchange, status: int, code: str, message: str = "") -> None:
    exchange.answer(status, errors(code, message))
