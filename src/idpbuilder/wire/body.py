"""The bodies of requests: bytes in memory, or a region of a local file that is read in place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol

from idpbuilder.native import RegionReader


class BodyReader(Protocol):
    """One pass over a body, in order."""

    def readinto(self, buffer: memoryview) -> int | None:
        """Fill `buffer` with the next bytes; how many they are, 0 at the end of the body.

        None where the body is still being made and nothing more of it is there yet: it is asked
        again after the engine's `wake`. Raises OSError where the file cannot be read, EOFError
        where it is shorter than the body should be.
        """

    def close(self) -> None:
        """Give back the file. May be called twice."""


class Body(Protocol):
    """What a request carries. It can be opened again for another try."""

    @property
    def size(self) -> int | None:
        """Length in bytes; None where the body is still being made."""

    def open(self, start: int = 0) -> BodyReader:
        """A reader at the byte `start`. Raises OSError."""


class Sink(Protocol):
    """Where the body of an answer goes that is too large to be kept."""

    def write(self, data: bytes) -> None:
        """Take all of `data`. Raises OSError, which ends the request."""


@dataclass(frozen=True, slots=True)
class Region:
    """`size` bytes of a local file from `offset`.

    `path` names the file, for messages too. Where `fd` is given the file has no name any more
    (an unlinked spool) and is read through that descriptor, which the source keeps open.
    """

    path: str
    offset: int
    size: int
    fd: int | None = None

    def open_fd(self) -> int:
        """A descriptor of the file, owned by the caller. Raises OSError."""
        if self.fd is not None:
            return os.dup(self.fd)
        # O_NONBLOCK: opening a FIFO that took the file's place must not hang
        return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


@dataclass(frozen=True, slots=True)
class RegionBody:
    """A body that is a region of a file."""

    region: Region

    @property
    def size(self) -> int:
        return self.region.size

    def open(self, start: int = 0) -> BodyReader:
        region = self.region
        return RegionReader(region.open_fd(), region.offset + start, region.size - start)


class _BytesReader:
    __slots__ = ("_rest",)

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)

    def readinto(self, buffer: memoryview) -> int:
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        self._rest = memoryview(b"")


@dataclass(frozen=True, slots=True)
class BytesBody:
    """A body that is held in memory: a manifest, a form."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def open(self, start: int = 0) -> BodyReader:
        return _BytesReader(self.data[start:])


@dataclass(frozen=True, slots=True)
class PartBody:
    """`size` bytes of `body` from `start`; None: all that is to come."""

    body: Body
    start: int
    size: int | None

    def open(self, start: int = 0) -> BodyReader:
        # whoever sends it asks for no more than `size` bytes
        return self.body.open(self.start + start)
