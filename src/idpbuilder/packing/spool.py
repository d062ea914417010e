"""A blob that grows in a file without a name while others read it, and a shelf for small ones."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass
from typing import IO

from idpbuilder.wire import BodyReader

_SMALL = 1024 * 1024
"""Bytes below which a blob is put on the shelf once it is whole."""
_FULL = 64 * 1024 * 1024
"""Bytes from which a file of the shelf takes no more: its room comes back only as a whole."""


class _Board:
    """A file of the shelf: where it ends, and how many places on it are taken."""

    def __init__(self, folder: str | None) -> None:
        self.file = _unnamed(folder)
        self.size = 0
        self.taken = 0


class _Place:
    """A blob's place on a board, until it is given back."""

    def __init__(self, shelf: Shelf, board: _Board, offset: int) -> None:
        self.offset = offset
        self._shelf = shelf
        self._board = board

    def fileno(self) -> int:
        return self._board.file.fileno()

    def close(self) -> None:
        """Give it back; once."""
        self._shelf.take_back(self._board)


class Shelf:
    """Small blobs side by side in unlinked files: an image may have more layers than a process may
    have files. For any thread.

    A place is written once, so that whoever still reads it never sees another blob's bytes.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._board: _Board | None = None
        self._lock = threading.Lock()

    def put(self, data: bytes) -> _Place:
        """Take `data` up. Raises OSError."""
        with self._lock:
            board = self._board
            if board is None or board.size >= _FULL:
                board = self._board = _Board(self._folder)
            place = _Place(self, board, board.size)
            board.taken += 1
            board.size += len(data)
        try:
            _write(board.file.fileno(), data, place.offset)
        except OSError:
            place.close()
            raise
        return place

    def take_back(self, board: _Board) -> None:
        """A place on `board` is free."""
        with self._lock:
            board.taken -= 1
            if board.taken:
                return
            board.file.close()
            if board is self._board:
                self._board = None


class Spool:
    """An unlinked temporary file in `folder` (the system's, where that is None), made when needed.

    One thread appends, others read what is there. It ends whole by `finish`, or by `fail`. What is
    small then moves to the `shelf`.
    """

    def __init__(self, folder: str | None = None, shelf: Shelf | None = None) -> None:
        self.size = 0
        """Bytes that can be read."""
        self.finished = False
        """Whether no more will come."""
        self._folder = folder
        self._shelf = shelf
        self._failure = ""
        self._file: IO[bytes] | _Place | None = None
        # readers duplicate the descriptor, and closing it frees its number for another file
        self._lock = threading.Lock()

    def append(self, data: bytes) -> None:
        """Put `data` at the end. Raises OSError, also once the spool has failed."""
        with self._lock:
            file = self._file
            if file is None:
                self.check()
                file = self._file = _unnamed(self._folder)
            _write(file.fileno(), data, self.size)
            self.size += len(data)

    def finish(self) -> None:
        """All is there. Raises OSError."""
        with self._lock:
            file = self._file
            if file is not None and self._shelf is not None and self.size < _SMALL:
                # who has begun to read reads on in the file that is closed here
                self._file = self._shelf.put(os.pread(file.fileno(), self.size, 0))
                file.close()
        self.finished = True

    def fail(self, reason: str) -> None:
        """Nobody shall read it any more: readers raise OSError, and its room is given back."""
        with self._lock:
            self._failure = self._failure or reason
            file, self._file = self._file, None
            if file is not None:
                file.close()

    def open(self, start: int = 0) -> BodyReader:
        """A reader at the byte `start`, also before there is one. Raises OSError."""
        self.check()
        return _SpoolReader(self, start)

    def check(self) -> None:
        """Raise OSError where the spool has failed."""
        if self._failure:
            raise OSError(errno.ECANCELED, self._failure)

    def duplicate(self) -> tuple[int, int]:
        """A descriptor, owned by the caller, and where in its file the blob begins.

        Raises OSError.
        """
        with self._lock:
            self.check()
            if self._file is None:
                raise OSError(errno.ENOENT, "nothing was written yet")
            begin = self._file.offset if isinstance(self._file, _Place) else 0
            return os.dup(self._file.fileno()), begin


class _SpoolReader:
    __slots__ = ("_begin", "_fd", "_position", "_spool")

    def __init__(self, spool: Spool, start: int) -> None:
        self._spool = spool
        self._fd = -1
        self._begin = 0
        self._position = start

    def readinto(self, buffer: memoryview) -> int | None:
        spool = self._spool
        # before the size: what comes in between is asked for once more, not lost
        finished = spool.finished
        spool.check()
        available = spool.size - self._position
        if available <= 0:
            return 0 if finished else None
        if self._fd < 0:
            self._fd, self._begin = spool.duplicate()
        count = os.preadv(self._fd, [buffer[:available]], self._begin + self._position)
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

    def open(self, start: int = 0) -> BodyReader:
        """A reader at the byte `start`. Raises OSError where the packing failed."""
        return self.spool.open(start)


def _unnamed(folder: str | None) -> IO[bytes]:
    import tempfile

    return tempfile.TemporaryFile(buffering=0, dir=folder)


def _write(fd: int, data: bytes, at: int) -> None:
    rest = memoryview(data)
    while rest:
        count = os.pwrite(fd, rest, at)
        at += count
        rest = rest[count:]
