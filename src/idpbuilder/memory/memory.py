"""What is remembered, and how it is asked for: nothing here raises, and all answers are hints.

Notes are written in one transaction at the end, or when many have come together: a push in full
swing must not wait for a disk, nor for another push that writes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final

from idpbuilder.image import Digest, InvalidValue
from idpbuilder.memory.tables import (
    CONTENTS,
    DAY,
    DOCUMENTS,
    PACKED,
    REGISTRIES,
    SEEN,
    UPLOADS,
    Row,
    Table,
)

if TYPE_CHECKING:
    from idpbuilder.memory.database import Database

LARGEST: Final = 4 * 1024 * 1024
"""Bytes of the largest document or table of contents that is kept."""

MOST_SEEN: Final = 4
"""Repositories that are told for a blob."""

LIMIT_SECONDS: Final = 7 * DAY
"""A limit that a registry had so long ago is put to the test again."""

_MOST_WAITING: Final = 1_000
_MOST_BYTES_WAITING: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Packed:
    """What a layer became: the blob's digest, and its size in bytes."""

    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class KnownRegistry:
    """What a registry is like: whether it is `honest` about blobs that it has when it is asked to
    mount them, and the most bytes that it takes in one request, 0 where no limit is known.
    """

    honest: bool = False
    chunk: int = 0


@dataclass(frozen=True, slots=True)
class LeftUpload:
    """An upload session at `url`; `mark` tells whether the local bytes are still the same."""

    url: str
    mark: str


class Memory:
    """The memory in the file at `path`, which is opened when it is first needed.

    Safe beside other processes with the same file; for one thread. `clock` tells seconds since
    1970. Once closed, and where the file cannot be used, it knows nothing and keeps nothing.
    """

    def __init__(self, path: str, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._database: Database | None = None
        self._is_opened = False
        self._waiting: dict[tuple[Table, Row], Row] = {}
        self._seen_waiting: dict[tuple[str, str], list[str]] = {}
        self._bytes_waiting = 0
        self._used: set[tuple[Table, Row]] = set()
        self._gone: set[tuple[Table, Row]] = set()

    def packed(self, diff_id: Digest, packer: str) -> Packed | None:
        """What the raw layer `diff_id` became under `packer`: format, level and their version."""
        match self._find(PACKED, (str(diff_id), packer)):
            case (str(text), int(size)):
                try:
                    return Packed(Digest.parse(text), size)
                except InvalidValue:
                    return None
        return None

    def remember_packed(self, diff_id: Digest, packer: str, packed: Packed) -> None:
        """Note what the layer became: the same layer and packer always give the same blob."""
        self._note(PACKED, (str(diff_id), packer), (str(packed.digest), packed.size))

    def document(self, digest: Digest) -> bytes | None:
        """The document with this digest, which has been verified."""
        match self._find(DOCUMENTS, (str(digest),)):
            case (bytes(data),) if digest.matches(data):
                return data
        return None

    def remember_document(self, digest: Digest, data: bytes) -> None:
        """Keep a document of at most LARGEST bytes."""
        if len(data) <= LARGEST:
            self._note(DOCUMENTS, (str(digest),), (data,))

    def table_of_contents(self, identity: str) -> bytes | None:
        """What was remembered for the archive `identity`, byte for byte."""
        match self._find(CONTENTS, (_key(identity),)):
            case (bytes(data),):
                return data
        return None

    def remember_table_of_contents(self, identity: str, data: bytes) -> None:
        """Keep what is in an archive, of at most LARGEST bytes."""
        if len(data) <= LARGEST:
            self._note(CONTENTS, (_key(identity),), (data,))

    def seen(self, registry: str, digest: Digest) -> tuple[str, ...]:
        """At most MOST_SEEN repositories of `registry` that had the blob, the last first, to a day.

        It may be gone from them.
        """
        key = (registry, str(digest))
        found: list[object] = [*reversed(self._seen_waiting.get(key, ()))]
        database = self._opened()
        if database is not None:
            found += database.latest(SEEN, key, MOST_SEEN)
        return tuple(dict.fromkeys(name for name in found if isinstance(name, str)))[:MOST_SEEN]

    def remember_seen(self, registry: str, repository: str, digests: Iterable[Digest]) -> None:
        """Note that these blobs are in `repository` of `registry`."""
        if self._is_closed:
            return
        for digest in digests:
            self._note(SEEN, (registry, str(digest), repository), ())
            self._seen_waiting.setdefault((registry, str(digest)), []).append(repository)

    def registry(self, registry: str) -> KnownRegistry | None:
        """What an earlier run learnt of a registry."""
        match self._find(REGISTRIES, (registry,)):
            case (int(honest), int(chunk), int(since)):
                is_fresh = 0 <= self._now() - since < LIMIT_SECONDS
                return KnownRegistry(bool(honest), chunk if is_fresh else 0)
        return None

    def remember_registry(self, registry: str, known: KnownRegistry) -> None:
        """Note what a registry is like."""
        if known != self.registry(registry):
            self._note(REGISTRIES, (registry,), (int(known.honest), known.chunk, self._now()))

    def left_upload(self, registry: str, repository: str, blob: str) -> LeftUpload | None:
        """The upload session that an earlier run left within a day, and that nobody fills now."""
        match self._find(UPLOADS, (registry, repository, blob)):
            case (str(url), str(mark), int(owner), int(opened)):
                is_fresh = 0 <= self._now() - opened < DAY
                return LeftUpload(url, mark) if is_fresh and not _is_at_work(owner) else None
        return None

    def keep_upload(self, registry: str, repository: str, blob: str, left: LeftUpload) -> bool:
        """Note a session before it is filled, and write it down at once: this run may be killed.

        Whether that could be done.
        """
        values = (left.url, left.mark, os.getpid(), self._now())
        self._note(UPLOADS, (registry, repository, blob), values)
        return self.flush()

    def drop_upload(self, registry: str, repository: str, blob: str) -> None:
        """A session was closed, or turned out to be no use."""
        key = (registry, repository, blob)
        self._forget(UPLOADS, key)
        self._gone.add((UPLOADS, key))

    def flush(self) -> bool:
        """Write what was noted; what cannot be written is forgotten, and False."""
        waiting, used, gone = self._waiting, self._used - self._gone, self._gone
        self._waiting, self._bytes_waiting, self._used, self._gone = {}, 0, set(), set()
        self._seen_waiting.clear()
        if not waiting and not used and not gone:
            return self._database is not None
        database = self._opened()
        if database is None:
            return False
        rows = [(table, key, values) for (table, key), values in waiting.items()]
        return database.write(rows, used, self._now(), gone)

    def close(self) -> None:
        """Write what was noted, take out what is old, and close the file. Twice is fine."""
        self.flush()
        self._is_opened = True
        database, self._database = self._database, None
        if database is not None:
            try:
                database.prune(self._now())
            finally:
                database.close()

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _find(self, table: Table, key: Row) -> Row | None:
        if (table, key) in self._gone:
            return None
        waiting = self._waiting.get((table, key))
        if waiting is not None:
            return waiting
        database = self._opened()
        found = None if database is None else database.find(table, key)
        if found is None:
            return None
        values, used = found
        if abs(self._now() - used) >= DAY:
            self._used.add((table, key))
        return values

    def _note(self, table: Table, key: Row, values: Row) -> None:
        if self._is_closed:
            return
        # what is noted again is the latest
        self._forget(table, key)
        self._gone.discard((table, key))
        self._waiting[table, key] = values
        self._bytes_waiting += _weight(values)
        if len(self._waiting) > _MOST_WAITING or self._bytes_waiting > _MOST_BYTES_WAITING:
            self.flush()

    @property
    def _is_closed(self) -> bool:
        """Whether there is no file, or no more."""
        return self._is_opened and self._database is None

    def _forget(self, table: Table, key: Row) -> None:
        self._bytes_waiting -= _weight(self._waiting.pop((table, key), ()))

    def _opened(self) -> Database | None:
        if not self._is_opened:
            self._is_opened = True
            try:
                from idpbuilder.memory.database import Database
            except ImportError:
                # a Python that was built without SQLite
                return None
            self._database = Database.open(self._path)
        return self._database

    def _now(self) -> int:
        return int(self._clock())


class Forgetful:
    """A memory that keeps nothing."""

    def packed(self, diff_id: Digest, packer: str) -> Packed | None:
        """Nothing is known."""
        return None

    def remember_packed(self, diff_id: Digest, packer: str, packed: Packed) -> None:
        """Nothing is kept."""

    def document(self, digest: Digest) -> bytes | None:
        """Nothing is known."""
        return None

    def remember_document(self, digest: Digest, data: bytes) -> None:
        """Nothing is kept."""

    def table_of_contents(self, identity: str) -> bytes | None:
        """Nothing is known."""
        return None

    def remember_table_of_contents(self, identity: str, data: bytes) -> None:
        """Nothing is kept."""

    def seen(self, registry: str, digest: Digest) -> tuple[str, ...]:
        """Nothing is known."""
        return ()

    def remember_seen(self, registry: str, repository: str, digests: Iterable[Digest]) -> None:
        """Nothing is kept."""

    def registry(self, registry: str) -> KnownRegistry | None:
        """Nothing is known."""
        return None

    def remember_registry(self, registry: str, known: KnownRegistry) -> None:
        """Nothing is kept."""

    def left_upload(self, registry: str, repository: str, blob: str) -> LeftUpload | None:
        """Nothing is known."""
        return None

    def keep_upload(self, registry: str, repository: str, blob: str, left: LeftUpload) -> bool:
        """Nothing is kept."""
        return False

    def drop_upload(self, registry: str, repository: str, blob: str) -> None:
        """Nothing was kept."""

    def flush(self) -> bool:
        """There is nothing to write."""
        return False

    def close(self) -> None:
        """There is nothing to close."""

    def __enter__(self) -> Forgetful:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _key(identity: str) -> bytes:
    # an identity may hold a path, and a path what no encoding says
    return identity.encode("utf-8", "surrogatepass")


def _is_at_work(owner: int) -> bool:
    """Whether a process with this number runs, and is not this one."""
    if owner == os.getpid():
        return False
    try:
        os.kill(owner, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        # somebody else's
        return True
    return True


def _weight(values: Row) -> int:
    return sum(len(value) for value in values if isinstance(value, bytes))
