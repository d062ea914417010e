"""Reading a raw layer, whatever it is stored as, and finding out whether it is what it should be.

A layer is a tar archive; the digest of its raw bytes, SHA-256 as a rule, is its diff ID (OCI image
specification, config.md, Layer DiffID).
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

from idpbuilder.errors import ImageChanged, ImageInvalid, ImageUnreadable, PushError
from idpbuilder.image import Digest
from idpbuilder.native import RegionReader
from idpbuilder.packing.method import GZIP, ZSTD
from idpbuilder.packing.scarce import lacks_descriptors, no_descriptor
from idpbuilder.wire import Region

_LIMIT = 1024**4
"""Raw bytes of the largest layer that is unpacked: what comes after is a bomb and no layer."""

_BUFFER = 256 * 1024
_ZSTD_MEMORY = 16 * 1024 * 1024
"""Bytes that unpacking zstd takes: 8 MiB to look back at (RFC 8878, section 3.1.1.1.2), and what
glibc keeps of it for the threads that have read.
"""
_TAR_HEADER = 512
_CHECKSUM = slice(148, 156)


@dataclass(frozen=True, slots=True)
class RawLayer:
    """A layer in a local file.

    `stored` says how the file holds it: "" as it is, "gzip" or "zstd". `diff_id` is what its raw
    bytes should have as their digest, of whatever algorithm; None where nobody has said so yet.
    """

    diff_id: Digest | None
    region: Region
    stored: str = ""


class LayerReader:
    """One pass over the raw bytes of a layer, for one thread at a time.

    The file is opened by the first read and closed after the last, by `close`, or with the reader.
    With `hash_stored` the stored bytes are hashed too.
    """

    def __init__(self, layer: RawLayer, *, hash_stored: bool = False) -> None:
        self.raw_read = 0
        """Bytes of the raw layer that were read."""
        self.raw_digest: Digest | None = None
        """The digest of the raw bytes, after the last was read; of the diff ID's algorithm."""
        self.stored_digest: Digest | None = None
        """The digest of the stored bytes, then, where it was asked for."""
        self._layer = layer
        self._algorithm = layer.diff_id.algorithm if layer.diff_id else "sha256"
        self._hash = hashlib.new(self._algorithm)
        self._stored = _StoredBytes(layer.region, hashed=hash_stored and bool(layer.stored))
        self._stream: _Stream | None = None
        self._broken: tuple[type[Exception], ...] = ()
        self._identity: tuple[int, ...] = ()

    @property
    def memory(self) -> int:
        """Bytes of memory that are taken from the first read to the last."""
        return _ZSTD_MEMORY if self._layer.stored == ZSTD else 0

    def read(self, buffer: memoryview) -> tuple[int, bool]:
        """Fill `buffer` with the next bytes: how many they are, and whether the layer ends there.

        They are fewer than asked for only at the end. Raises ImageUnreadable, ImageChanged for a
        file that is not what it was, ImageInvalid for what is no layer, or not the one it should
        be, and LocalError where this process has too many files open.
        """
        try:
            stream = self._stream or self._open()
            count = _fill(stream, buffer)
        except self._broken as error:
            if self._stored.is_short:
                raise self._changed() from error
            why = f"its {self._layer.stored} data is cut short or broken"
            raise self._invalid(why) from error
        except EOFError as error:
            raise self._changed() from error
        except OSError as error:
            raise self._unreadable(error) from error
        self._hash.update(buffer[:count])
        if not self.raw_read and not _begins_a_tar(buffer[:count]):
            raise self._invalid("it is no tar archive")
        self.raw_read += count
        if self.raw_read > _LIMIT:
            raise self._invalid(f"it unpacks to more than {_LIMIT} bytes")
        is_last = count < len(buffer) or (
            not self._layer.stored and self.raw_read == self._layer.region.size
        )
        if is_last:
            self._finish()
        return count, is_last

    def close(self) -> None:
        """Give back the file. May be called twice."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
        self._stored.close()

    def _open(self) -> _Stream:
        self._identity = self._stored.open()
        if self._layer.stored:
            wrap, self._broken = _decompression(self._layer.stored)
            self._stream = wrap(cast(BinaryIO, self._stored))
        else:
            self._stream = self._stored
        return self._stream

    def _finish(self) -> None:
        try:
            self.stored_digest = self._stored.digest()
        except OSError as error:
            raise self._unreadable(error) from error
        except EOFError as error:
            raise self._changed() from error
        self.close()
        found = Digest(self._algorithm, self._hash.hexdigest())
        if self._layer.diff_id not in (None, found):
            if self._identity_now() != self._identity:
                raise self._changed()
            raise self._invalid(f"`{self._layer.region.path}` holds {found} in its place")
        self.raw_digest = found

    def _identity_now(self) -> tuple[int, ...]:
        try:
            fd = self._layer.region.open_fd()
        except OSError as error:
            if lacks_descriptors(error):
                raise self._unreadable(error) from error
            return ()
        try:
            return _identity(fd)
        finally:
            os.close(fd)

    @property
    def _name(self) -> str:
        known = self._layer.diff_id
        return f"layer {known}" if known else f"a layer in `{self._layer.region.path}`"

    def _invalid(self, why: str) -> ImageInvalid:
        return ImageInvalid(f"{self._name} is broken", why, "save the image again, whole")

    def _changed(self) -> ImageChanged:
        return ImageChanged(
            f"{self._name} changed while it was packed",
            f"`{self._layer.region.path}` is not what it was",
            "let nothing write to the image, then push again",
        )

    def _unreadable(self, error: OSError) -> PushError:
        if lacks_descriptors(error):
            return no_descriptor(f"{self._name} cannot be read")
        return ImageUnreadable(
            f"{self._name} cannot be read",
            f"`{self._layer.region.path}`: {error.strerror or error}",
            "check the file and the disk it is on",
        )


class _Stream(Protocol):
    def readinto(self, buffer: memoryview, /) -> int | None: ...

    def close(self) -> None: ...


class _StoredBytes(io.RawIOBase):
    """The bytes of a region as a file, hashed on the way where that is asked for."""

    def __init__(self, region: Region, *, hashed: bool) -> None:
        super().__init__()
        self.is_short = False
        self._region = region
        self._hash = hashlib.sha256() if hashed else None
        self._reader: RegionReader | None = None

    def open(self) -> tuple[int, ...]:
        """Open the file; what tells it from another. Raises OSError."""
        fd = self._region.open_fd()
        self._reader = RegionReader(fd, self._region.offset, self._region.size)
        return _identity(fd)

    def readable(self) -> bool:
        return True

    # typeshed names no buffer type that both its own and older Pythons know
    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer`. Raises EOFError where the file is too short, OSError."""
        if self._reader is None:
            raise ValueError("the layer is closed")
        try:
            count = self._reader.readinto(buffer)
        except EOFError:
            self.is_short = True
            raise
        if self._hash is not None:
            self._hash.update(memoryview(buffer)[:count])
        return count

    def digest(self) -> Digest | None:
        """The digest of all bytes, those too that no one has read; None where it was not asked for.

        Raises as `readinto` does.
        """
        if self._hash is None:
            return None
        rest = memoryview(bytearray(_BUFFER))
        while self.readinto(rest):
            pass
        return Digest("sha256", self._hash.hexdigest())

    def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
        super().close()


def _decompression(
    stored: str,
) -> tuple[Callable[[BinaryIO], _Stream], tuple[type[Exception], ...]]:
    """What unpacks a file of this format, and the errors of bad data."""
    if stored == GZIP:
        import gzip

        from isal import igzip, isal_zlib

        return (
            lambda file: cast(_Stream, igzip.IGzipFile(fileobj=file, mode="rb")),  # type: ignore[no-untyped-call]
            (EOFError, cast(type[Exception], isal_zlib.error), gzip.BadGzipFile),
        )
    if stored == ZSTD:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd

        return (
            lambda file: cast(_Stream, zstd.ZstdFile(file, mode="r")),
            (EOFError, zstd.ZstdError),
        )
    raise ValueError(f"no layer is stored as `{stored}`")


def _fill(stream: _Stream, buffer: memoryview) -> int:
    filled = 0
    while filled < len(buffer) and (count := stream.readinto(buffer[filled:])):
        filled += count
    return filled


def _identity(fd: int) -> tuple[int, ...]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _begins_a_tar(head: memoryview) -> bool:
    """Whether a tar archive begins so: with a header, or with its end; nothing at all is one too.

    A header's checksum is the sum of its bytes, its own taken as spaces (POSIX.1-1988, ustar).
    """
    if not head:
        return True
    header = bytearray(head[:_TAR_HEADER])
    if len(header) < _TAR_HEADER:
        return False
    if not any(header):
        return True
    text = bytes(header[_CHECKSUM]).strip(b"\0 ")
    header[_CHECKSUM] = b" " * 8
    signed = sum(header) - 256 * sum(byte > 127 for byte in header)
    try:
        # old archivers took the bytes as signed
        return int(text, 8) in (sum(header), signed)
    except ValueError:
        return False
