"""The kernels in plain Python.

They run where nothing could be compiled, and say what the compiled ones must do.
"""

from __future__ import annotations

import errno
import os
import stat

_POSITION_LIMIT = 2**63 - 1  # off_t
_BUFFER_SIZE = 256 * 1024
_SAMPLE_SIZE = 16 * 1024
_SAMPLES = 64


class RegionReader:
    """Reads `size` bytes of a regular file from `offset`, in order, and leaves its position alone.

    Owns `fd`: it is closed by `close`, with the reader, and when the constructor raises. Raises
    OSError where `fd` is no regular file, ValueError where the region cannot exist. A reader
    serves one thread at a time.
    """

    __slots__ = ("_fd", "_position", "_remaining")

    def __init__(self, fd: int, offset: int, size: int) -> None:
        self._fd = fd
        self._position = offset
        self._remaining = size
        try:
            _check_region(offset, size)
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
        except BaseException:
            self.close()
            raise

    @property
    def remaining(self) -> int:
        """Bytes of the region that are not read yet."""
        return self._remaining

    def readinto(self, buffer: memoryview | bytearray) -> int:
        """Fill `buffer` with the next bytes; how many they are, fewer only where the region ends.

        Raises EOFError where the file ends before the region, OSError where it cannot be read,
        ValueError after `close`; nothing counts as read then.
        """
        if self._fd < 0:
            raise ValueError("the reader is closed")
        with memoryview(buffer) as whole, whole.cast("B")[: self._remaining] as part:
            _fill(self._fd, part, self._position)
            count = len(part)
        self._position += count
        self._remaining -= count
        return count

    def close(self) -> None:
        """Give back the file. May be called twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


def digest_region(fd: int, offset: int, size: int, algorithm: str) -> str:
    """The hex digest of `size` bytes from `offset`; `algorithm` is a name that hashlib knows.

    Leaves `fd` open. Raises EOFError where the file ends before the region, OSError where it
    cannot be read, ValueError for an unknown algorithm or a region that cannot exist.
    """
    import hashlib

    _check_region(offset, size)
    state = hashlib.new(algorithm)
    end = offset + size
    with memoryview(bytearray(min(size, _BUFFER_SIZE))) as buffer:
        for position in range(offset, end, _BUFFER_SIZE):
            with buffer[: end - position] as part:
                _fill(fd, part, position)
                state.update(part)
    return state.hexdigest()


def fingerprint_region(fd: int, offset: int, size: int) -> int:
    """64 bits that say whether a local file has changed; never a content digest.

    It is XXH3 over the size (8 bytes, little-endian) and a sample of the region: all of it up to
    1 MiB, else 64 blocks of 16 KiB at even distances, the first at its head and the last at its
    tail. A change between the blocks that keeps the size goes unseen. Leaves `fd` open. Raises
    as `digest_region` does.
    """
    import xxhash

    _check_region(offset, size)
    state = xxhash.xxh3_64(size.to_bytes(8, "little"))
    with memoryview(bytearray(min(size, _SAMPLE_SIZE))) as buffer:
        for start, end in _samples(size):
            with buffer[: end - start] as part:
                _fill(fd, part, offset + start)
                state.update(part)
    return state.intdigest()


def _samples(size: int) -> list[tuple[int, int]]:
    if size <= _SAMPLES * _SAMPLE_SIZE:
        return [(at, min(at + _SAMPLE_SIZE, size)) for at in range(0, size, _SAMPLE_SIZE)]
    last = size - _SAMPLE_SIZE
    starts = [last * number // (_SAMPLES - 1) for number in range(_SAMPLES)]
    return [(start, start + _SAMPLE_SIZE) for start in starts]


def _check_region(offset: int, size: int) -> None:
    if offset < 0 or size < 0 or offset + size > _POSITION_LIMIT:
        raise ValueError(f"no file has a region of {size} bytes at {offset}")


def _fill(fd: int, buffer: memoryview, position: int) -> None:
    filled = 0
    while filled < len(buffer):
        with buffer[filled:] as rest:
            count = os.preadv(fd, [rest], position + filled)
        if count == 0:
            raise EOFError(f"the file ends at byte {position + filled}, before its content does")
        filled += count
