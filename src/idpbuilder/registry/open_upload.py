"""An upload session: where it is, how much of the blob it holds, what it wants next. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from idpbuilder.image import Digest
from idpbuilder.registry.endpoints import with_digest
from idpbuilder.registry.habits import LEAST_CHUNK
from idpbuilder.wire import Body, PartBody, Request, Response, Trust

RESUME_FROM: Final = 1024 * 1024
"""Bytes that were handed over from which it pays to ask what became of them."""

_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,18})\Z")
_OCTETS = ("Content-Type", "application/octet-stream")


@dataclass(slots=True)
class OpenUpload:
    """A session at `url` for a blob of `size` bytes.

    It is known to hold `offset` bytes of the blob, and may hold as many as were `handed` over.
    `chunk` bytes go in one request, 0 for all that is left. `resumed` says that it was gone on with
    after a break.
    """

    url: str
    size: int
    trust: Trust
    offset: int = 0
    handed: int = 0
    chunk: int = 0
    resumed: bool = False
    stuck: bool = False

    @property
    def to_send(self) -> int:
        """Bytes of the next body."""
        rest = self.size - self.offset
        return min(self.chunk, rest) if self.chunk else rest

    @property
    def is_full(self) -> bool:
        """Whether nothing of a blob that was sent in pieces is missing."""
        return 0 < self.offset == self.size

    @property
    def is_worth_asking(self) -> bool:
        """Whether it may hold so much that it pays to go on with it."""
        return self.handed >= RESUME_FROM

    def put(self, digest: Digest, body: Body) -> Request:
        """All that is missing, and with it the end (distribution-spec 1.1, Pushing blobs)."""
        url = with_digest(self.url, digest)
        if self.is_full:
            return Request("PUT", url, (_OCTETS,), trust=self.trust)
        if not self.offset:
            return Request("PUT", url, (_OCTETS,), body, self.trust)
        return Request("PUT", url, self._headers, self._part(body), self.trust)

    def patch(self, body: Body) -> Request:
        """The next chunk (distribution-spec 1.1, Pushing a blob in chunks)."""
        return Request("PATCH", self.url, self._headers, self._part(body), self.trust)

    def status(self) -> Request:
        """Asks how much it holds."""
        return Request("GET", self.url, trust=self.trust)

    def agree(self, stored: int) -> bool:
        """Whether to go on from the `stored` bytes that it says it holds, and if so, do.

        It cannot hold more than it was given, and one that never gets any further is no use.
        """
        stands_still = stored == self.offset
        if not 0 < stored <= self.handed or stored < self.offset or (stands_still and self.stuck):
            return False
        self.stuck = stands_still
        self.offset = stored
        self.resumed = True
        return True

    @property
    def _headers(self) -> tuple[tuple[str, str], ...]:
        last = self.offset + self.to_send - 1
        return (_OCTETS, ("Content-Range", f"{self.offset}-{last}"))

    def _part(self, body: Body) -> PartBody:
        return PartBody(body, self.offset, self.to_send)


def stored_bytes(response: Response) -> int | None:
    """The bytes that a session holds by its `Range`, None where the answer does not say.

    `0-0` may mean one byte or none, and counts as none.
    """
    found = _RANGE.match((response.headers.get("Range") or "").strip())
    if found is None:
        return None
    last = int(found[1])
    return last + 1 if last else 0


def chunk_size(response: Response, limit: int, size: int) -> int:
    """Bytes of each chunk of a blob of `size` bytes, 0 where it goes whole.

    `limit` is what is known of the registry, 0 for nothing; `response` opened the session and may
    announce limits of its own: `OCI-Chunk-Min-Length` (distribution-spec 1.1), and
    `OCI-Chunk-Max-Length`, which Cloudflare's has. Whatever the limit, a chunk has LEAST_CHUNK
    bytes: nobody shall have a blob taken to pieces of a byte.
    """
    least, most = (_length(response, name) for name in ("Min", "Max"))
    chunk = min((bound for bound in (limit, most) if bound), default=0)
    return max(chunk, least, LEAST_CHUNK) if chunk and chunk < size else 0


def _length(response: Response, which: str) -> int:
    text = (response.headers.get(f"OCI-Chunk-{which}-Length") or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
