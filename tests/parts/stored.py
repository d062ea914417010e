"""What a registry in memory holds."""

from __future__ import annotations

import hashlib
import threading
import uuid
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob; `data` is None where the registry keeps sizes only."""

    size: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as a registry gives it back."""

    data: bytes
    media_type: str
    digest: str


@dataclass(slots=True)
class Repository:
    """Blobs and manifests by digest, tags by name."""

    blobs: dict[str, Blob] = field(default_factory=dict)
    manifests: dict[str, StoredManifest] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def manifest(self, reference: str) -> StoredManifest | None:
        """What a tag or a digest stands for."""
        return self.manifests.get(self.tags.get(reference, reference))


class Session:
    """A blob on its way: hashed as it comes, kept if `keep`."""

    def __init__(self, repository: str, keep: bool) -> None:
        self.id = uuid.uuid4().hex
        self.repository = repository
        self.size = 0
        self.state = 1
        self.short_chunk = False
        self.busy = threading.Lock()
        self._data = bytearray() if keep else None
        self._hashes: dict[str, hashlib._Hash] = {}

    def expect(self, digest: str | None) -> None:
        """Hash for this digest; without one, for any that may be asked for in the end."""
        if not self._hashes:
            names = (digest.partition(":")[0],) if digest else ("sha256", "sha512")
            self._hashes = {name: hashlib.new(name) for name in names}

    def append(self, piece: memoryview) -> None:
        """The next bytes, after `expect`."""
        for each in self._hashes.values():
            each.update(piece)
        if self._data is not None:
            self._data += piece
        self.size += len(piece)

    def digest(self, algorithm: str) -> str:
        """The digest of what has come so far; empty for an algorithm that is not known."""
        found = self._hashes.get(algorithm)
        return f"{algorithm}:{found.hexdigest()}" if found else ""

    def blob(self) -> Blob:
        """The finished blob."""
        return Blob(self.size, None if self._data is None else bytes(self._data))


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """The digest of `data`."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
