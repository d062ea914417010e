"""Compressed archives, decompressed once into a file that has no name."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from idpbuilder.errors import LocalError
from idpbuilder.source.files import invalid, unreadable

_BUFFER = 1024 * 1024
_LIMIT = 1024**4
"""Bytes of the largest archive that is unpacked: what comes after is a bomb and no image."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
MAGIC_LENGTH = 4


@dataclass(frozen=True, slots=True)
class Compression:
    """How an archive is compressed: `open` wraps the file, `broken` are the errors of bad data."""

    name: str
    open: Callable[[BinaryIO], IO[bytes]]
    broken: tuple[type[Exception], ...]


def compression_of(magic: bytes) -> Compression | None:
    """The compression that a file with these first bytes has; None for one we do not know."""
    if magic.startswith(_GZIP_MAGIC):
        return _gzip()
    if magic.startswith(_ZSTD_MAGIC):
        return _zstd()
    return None


def spool(
    file: BinaryIO, path: str, compression: Compression, check: Callable[[], None]
) -> IO[bytes]:
    """`file`, decompressed, as an unlinked temporary file that the caller closes.

    `check` is called for each MiB and may raise. Raises ImageInvalid for data that is broken or
    without end, LocalError where the disk is full.
    """
    import tempfile

    try:
        target = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (the caller closes it)
    except OSError as error:
        raise _no_room(path, error) from error
    try:
        _decompress(file, path, compression, target, check)
    except BaseException:
        target.close()
        raise
    return target


def _decompress(
    file: BinaryIO,
    path: str,
    compression: Compression,
    target: IO[bytes],
    check: Callable[[], None],
) -> None:
    total = 0
    with compression.open(file) as stream:
        while True:
            check()
            try:
                data = stream.read(_BUFFER)
            except compression.broken as error:
                why = f"its {compression.name} data is cut short or broken"
                raise invalid(path, why) from error
            except OSError as error:
                raise unreadable(path, error) from error
            if not data:
                return
            total += len(data)
            if total > _LIMIT:
                why = f"it unpacks to more than {_LIMIT} bytes"
                raise invalid(path, why)
            _write(target, data, path)


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
    return LocalError(f"cannot unpack `{path}` into a temporary file", reason, hint)


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
