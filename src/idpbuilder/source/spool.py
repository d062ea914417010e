"""Archives that cannot be read where they are: decompressed once into a file that has no name."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, cast

from idpbuilder.errors import LocalError
from idpbuilder.source.arriving import Arrived, Arriving
from idpbuilder.source.files import invalid, shown, unreadable

_BUFFER = 1024 * 1024
_LIMIT = 1024**4
"""Bytes of the largest archive that is spooled: what comes after is a bomb and no image."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
MAGIC_LENGTH = 4


@dataclass(frozen=True, slots=True)
class Compression:
    """How an archive is compressed: `open` wraps the file, `broken` are the errors of bad data."""

    name: str
    open: Callable[[IO[bytes]], IO[bytes]]
    broken: tuple[type[Exception], ...]


def compression_of(magic: bytes) -> Compression | None:
    """The compression that a file with these first bytes has; None for one we do not know."""
    if magic.startswith(_GZIP_MAGIC):
        return _gzip()
    if magic.startswith(_ZSTD_MAGIC):
        return _zstd()
    return None


@contextmanager
def spool(
    file: IO[bytes],
    path: str,
    compression: Compression | None,
    check: Callable[[], None],
    arrived: Arrived | None = None,
) -> Iterator[IO[bytes]]:
    """What can be read from `file`, decompressed, as an unlinked temporary file at its start.

    The file lasts as long as the context. `check` is called for each MiB and may raise; `arrived`
    is told of layers in it as soon as they are there. Raises ImageInvalid for data that is broken
    or without end, ImageUnreadable, and LocalError where the disk is full.
    """
    import tempfile

    try:
        target = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (closed below)
    except OSError as error:
        raise _no_room(path, error) from error
    with target:
        arriving = Arriving(target.fileno(), path, arrived) if arrived else None
        if compression is None:
            _copy(file, path, (), "", target, check, arriving)
        else:
            with compression.open(file) as stream:
                why = f"its {compression.name} data is cut short or broken"
                _copy(stream, path, compression.broken, why, target, check, arriving)
        target.seek(0)
        yield target


def _copy(
    stream: IO[bytes],
    path: str,
    broken: tuple[type[Exception], ...],
    why: str,
    target: IO[bytes],
    check: Callable[[], None],
    arriving: Arriving | None,
) -> None:
    total = 0
    while True:
        check()
        try:
            data = stream.read(_BUFFER)
        except broken as error:
            raise invalid(path, why) from error
        except OSError as error:
            raise unreadable(path, error) from error
        if not data:
            return
        total += len(data)
        if total > _LIMIT:
            raise invalid(path, f"it unpacks to more than {_LIMIT} bytes")
        _write(target, data, path)
        if arriving is not None:
            arriving.grown(total)


def _write(target: IO[bytes], data: bytes, path: str) -> None:
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[target.write(rest) :]
    except OSError as error:
        raise _no_room(path, error) from error


def _no_room(path: str, error: OSError) -> LocalError:
    reason = (error.strerror or str(error)).lower()
    hint = "decompress the archive yourself, or point TMPDIR at a directory that can be written"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        hint = "make room, or point TMPDIR at a larger disk"
    return LocalError(f"cannot unpack {shown(path)} into a temporary file", reason, hint)


def _gzip() -> Compression:
    import gzip
    import zlib

    return Compression(
        "gzip",
        lambda file: cast(IO[bytes], gzip.GzipFile(fileobj=file, mode="rb")),
        (EOFError, zlib.error, gzip.BadGzipFile),
    )


def _zstd() -> Compression:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    return Compression(
        "zstd",
        lambda file: cast(IO[bytes], zstd.ZstdFile(file, mode="r")),
        (EOFError, zstd.ZstdError),
    )
