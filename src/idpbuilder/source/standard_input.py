"""The archive on standard input: read in place where it is a file, else spooled as it comes."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING

from idpbuilder.errors import ImageUnreadable
from idpbuilder.source.archive import Archive, read_archive
from idpbuilder.source.arriving import Arrived
from idpbuilder.source.files import STANDARD_INPUT, unreadable
from idpbuilder.source.spool import MAGIC_LENGTH, compression_of, spool
from idpbuilder.source.surroundings import nobody_else

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BUFFER = 1024 * 1024
_TURN = 0.02
"""Seconds for which others go on before input is looked at again."""
_WAIT = 250
"""Milliseconds for which nothing but input is waited for."""


@contextmanager
def open_standard_input(
    check: Callable[[], None],
    arrived: Arrived | None = None,
    idle: Callable[[float], bool] = nobody_else,
) -> Iterator[Archive]:
    """The members of the archive on standard input, plain or compressed, while the context lasts.

    `arrived` is told of layers in it as they come.

    `check` is called between the steps of long work and several times a second while nothing
    comes; it may raise. Raises ImageUnreadable, ImageInvalid, and LocalError where the disk is
    full.
    """
    with ExitStack() as stack:
        fd = _descriptor()
        stack.callback(os.close, fd)
        stream: IO[bytes]
        try:
            in_place = _is_whole_file(fd)
            if in_place:
                magic = os.pread(fd, MAGIC_LENGTH, 0)
                stream = stack.enter_context(open(fd, "rb", closefd=False))
            else:
                pipe = _Pipe(fd, check, idle)
                magic = pipe.first(MAGIC_LENGTH)
                stream = io.BufferedReader(pipe, _BUFFER)
        except OSError as error:
            raise unreadable(STANDARD_INPUT, error) from error
        if not magic:
            raise _not_piped("it is empty")
        compression = compression_of(magic)
        if not in_place or compression is not None:
            stream = stack.enter_context(spool(stream, STANDARD_INPUT, compression, check, arrived))
        yield read_archive(stream, STANDARD_INPUT, stream.fileno(), check)


def _descriptor() -> int:
    # a descriptor 0 that was closed at the start may be anything by now: Python remembers
    if sys.stdin is None:
        raise _not_piped("it is closed")
    try:
        fd = os.dup(sys.stdin.fileno())
    except (OSError, ValueError) as error:
        raise _not_piped("it is closed") from error
    if os.isatty(fd):
        os.close(fd)
        raise _not_piped("it is a terminal")
    return fd


def _not_piped(why: str) -> ImageUnreadable:
    hint = "pipe an archive into it, as in `docker save app:v1 | idpbuilder push -`"
    return ImageUnreadable(f"cannot read {STANDARD_INPUT}", why, hint)


def _is_whole_file(fd: int) -> bool:
    return stat.S_ISREG(os.fstat(fd).st_mode) and os.lseek(fd, 0, os.SEEK_CUR) == 0


class _Pipe(io.RawIOBase):
    """What comes out of a pipe; while nothing comes, `check` may end the waiting."""

    def __init__(self, fd: int, check: Callable[[], None], idle: Callable[[float], bool]) -> None:
        self._fd = fd
        self._idle = idle
        self._check = check
        self._ahead = b""
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def first(self, size: int) -> bytes:
        """The first `size` bytes, fewer only at the end; they will be read again."""
        buffer, count = bytearray(size), 0
        while read := self.readinto(memoryview(buffer)[count:]):
            count += read
        self._ahead = bytes(buffer[:count])
        return self._ahead

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        if self._ahead:
            count = min(len(self._ahead), len(memoryview(buffer)))
            memoryview(buffer)[:count] = self._ahead[:count]
            self._ahead = self._ahead[count:]
            return count
        while True:
            self._check()
            # others have requests under way: they are waited for, and input is looked at between
            if self._poll.poll(0) or self._poll.poll(0 if self._idle(_TURN) else _WAIT):
                try:
                    return os.readv(self._fd, [buffer])
                except BlockingIOError:
                    continue
