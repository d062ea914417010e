"""The formats: the blocks of a raw layer are packed each on its own, and joined in order to a blob.

Every block but a layer's last has exactly `block_size` bytes, counted from the layer's start: the
digest must not depend on how the layer was read.
"""

from __future__ import annotations

import struct
import sys
from typing import NamedTuple, Protocol

from idpbuilder.packing.method import GZIP, ZSTD, Method

_MIB = 1024 * 1024


class Piece(NamedTuple):
    """A packed block: its bytes, and of the raw ones the CRC (where the format asks) and number."""

    data: bytes
    crc: int
    raw_size: int


class Codec(Protocol):
    """One format at work on one layer."""

    @property
    def block_size(self) -> int:
        """Bytes of a block."""

    @property
    def window(self) -> int:
        """Bytes before a block that `pack` wants to see."""

    @property
    def in_hand(self) -> int:
        """Bytes of memory that a block takes while it is packed, where it does not compress.

        The block, what comes of it twice over, the tables; and what glibc keeps for each thread of
        what that gave back, which is as much again. Measured.
        """

    def pack(self, block: memoryview, before: bytes) -> Piece:
        """Pack a block that is not empty. Keeps no state: may run on many threads at once."""

    def join(self, piece: Piece) -> bytes:
        """The next bytes of the blob; called once a block, in order."""

    def end(self) -> bytes:
        """The last bytes of the blob, after all blocks."""


class GzipCodec:
    """One gzip member (RFC 1952) without a name or a time, deflated by ISA-L.

    Each block is deflated with the end of the one before as its dictionary and flushed to a byte
    boundary; an empty block ends the stream, so no block has to know whether it is the last.
    """

    block_size = _MIB
    window = 32 * 1024  # deflate sees no further back (RFC 1951)
    in_hand = 6 * _MIB

    _HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    _EMPTY_LAST_BLOCK = b"\x03\x00"
    # a Huffman table for each 16 K symbols: 1 % fewer bytes than ISA-L's own choice of 64 K. Still
    # smaller ones cost three times the time
    MEMORY_LEVEL = 2
    _RAW_DEFLATE = -15

    def __init__(self, level: int) -> None:
        from isal import isal_zlib

        self._isal = isal_zlib
        self._level = level
        self._crc = 0
        self._size = 0

    def pack(self, block: memoryview, before: bytes) -> Piece:
        isal = self._isal
        crc = isal.crc32(block)
        deflate = isal.compressobj(
            self._level,
            wbits=self._RAW_DEFLATE,
            memLevel=self.MEMORY_LEVEL,
            zdict=before,
        )
        data = deflate.compress(block) + deflate.flush(isal.Z_SYNC_FLUSH)
        return Piece(data, crc, len(block))

    def join(self, piece: Piece) -> bytes:
        head = b"" if self._size else self._HEAD
        self._crc = self._isal.crc32_combine(self._crc, piece.crc, piece.raw_size)
        self._size += piece.raw_size
        return head + piece.data

    def end(self) -> bytes:
        head = b"" if self._size else self._HEAD
        trailer = struct.pack("<LL", self._crc, self._size & 0xFFFF_FFFF)
        return head + self._EMPTY_LAST_BLOCK + trailer


class ZstdCodec:
    """Independent zstd frames (RFC 8878, section 3), one a block.

    From level 7 on zstd's own tables grow up to 64 MiB a thread. Here they are bounded to 5 MiB:
    level 19 packs 2 % worse for it, and all are faster. With frames of 4 MiB blobs were 1 %
    smaller, and fewer threads had room.
    """

    block_size = 2 * _MIB
    window = 0
    in_hand = 16 * _MIB

    _BOUNDED_FROM = 7
    _HASH_LOG = 19
    # from here on zstd searches binary trees, which lie in a second table
    _TREES_FROM = 13
    _TREES_HASH_LOG = 18
    _TREES_LOG = 19

    def __init__(self, level: int) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd

        parameter = zstd.CompressionParameter
        self._compress = zstd.compress
        self._options: dict[int, int] = {parameter.compression_level: level}
        if level >= self._TREES_FROM:
            self._options[parameter.hash_log] = self._TREES_HASH_LOG
            self._options[parameter.chain_log] = self._TREES_LOG
        elif level >= self._BOUNDED_FROM:
            self._options[parameter.hash_log] = self._HASH_LOG
        self._is_empty = True

    def pack(self, block: memoryview, before: bytes) -> Piece:
        del before
        return Piece(self._compress(block, options=self._options), 0, len(block))

    def join(self, piece: Piece) -> bytes:
        self._is_empty = False
        return piece.data

    def end(self) -> bytes:
        return self._compress(b"", options=self._options) if self._is_empty else b""


class PlainCodec:
    """No compression: the layer as it is; with `drop` it is only read, and nothing passed on."""

    block_size = _MIB
    window = 0
    in_hand = 2 * _MIB

    def __init__(self, *, drop: bool) -> None:
        self._drop = drop

    def pack(self, block: memoryview, before: bytes) -> Piece:
        del before
        return Piece(b"" if self._drop else bytes(block), 0, len(block))

    def join(self, piece: Piece) -> bytes:
        return piece.data

    def end(self) -> bytes:
        return b""


def codec_of(method: Method) -> Codec:
    """A codec for one layer."""
    if method.kind == GZIP:
        return GzipCodec(method.level)
    if method.kind == ZSTD:
        return ZstdCodec(method.level)
    return PlainCodec(drop=False)
