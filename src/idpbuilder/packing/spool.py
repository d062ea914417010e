"""A blob that grows in a file without a name while others read it."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass
from typing import IO

from idpbuilder.wire import BodyReader


class Spool:
    """An unlinked temporary file in `folder` (the system's, where that is None), made when needed.

    One thread appends, others read what is there. It ends whole by `finish`, or by `fail`.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.size = 0
        """Bytes that can be read."""
        self.finished = False
        """Whether no more will come."""
        self._folder = folder
        self._failure = ""
        self._file: IO[bytes] | None = None
        # readers duplicate the descriptor, and closing it frees its number for another file
        self._lock = threading.Lock()

    def append(self, data: bytes) -> None:
        """Put `data` at the end. Raises OSError, also once the spool has failed."""
        rest = memoryview(data)
        with self._lock:
            file = self._file
            if file is None:
                file = self._file = self._make()
            at = self.size
            while rest:
                count = os.pwrite(file.fileno(), rest, at)
                at += count
                rest = rest[count:]
            self.size = at

    def finish(self) -> None:
        """All is there."""
        self.finished = True

    def fail(self, reason: str) -> None:
        """Nothing of it is worth anything: readers raise OSError, and its room is given back."""
        with self._lock:
            self._failure = self._failure or reason
            file, self._file = self._file, None
            if file is not None:
                file.close()

    def open(self) -> BodyReader:
        """A reader at the first byte, also before there is one. Raises OSError."""
        self.check()
        return _SpoolReader(self)

    def check(self) -> None:
        """Raise OSError where the spool has failed."""
        if self._failure:
            raise OSError(errno.ECANCELED, self._failure)

    def duplicate(self) -> int:
        """A descriptor of the file, owned by the caller. Raises OSError."""
        with self._lock:
            self.check()
            if self._file is None:
                raise OSError(errno.ENOENT, "nothing was written yet")
            return os.dup(self._file.fileno())

    def _make(self) -> IO[bytes]:
        import tempfile

        self.check()
        return tempfile.TemporaryFile(buffering=0, dir=self._folder)


class _SpoolReader:
    __slots__ = ("_fd", "_position", "_spool")

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._fd = -1
        self._position = 0

    def readinto(self, buffer: memoryview) -> int | None:
        spool = self._spool
        # before the size: what comes in between is asked for once more, not lost
        finished = spool.finished
        spool.check()
        available = spool.size - self._position
        if not available:
            return 0 if finished else None
        if self._fd < 0:
            self._fd = spool.duplicate()
        count = os.preadv(self._fd, [buffer[:available]], self._position)
        self._position += count
        return count

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class GrowingBody:
    """A body that may still be in the making (`wire.Body`)."""

    spool: Spool

    @property
    def size(self) -> int | None:
        """Length in bytes; None while it grows."""
        return self.spool.size if self.spool.finished else None

    def open(self) -> BodyReader:
        """A reader at the first byte. Raises OSError where the packing failed."""
        return self.spool.open()
