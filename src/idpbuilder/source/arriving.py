"""Layers in an archive that is still being written, told as soon as each is whole.

What is done with them early is a guess at what the archive's own lists will say at its end; so
what cannot be understood here is passed over, and left to those who read the whole archive.
"""

from __future__ import annotations

import os
import re
import sys
import tarfile
from collections.abc import Callable

from idpbuilder.image import Digest
from idpbuilder.wire import Region

Arrived = Callable[[Digest | None, Region], None]
"""Told of a layer that may be raw: its digest where its name is one, and where it lies."""

_LAYER = re.compile(r"(?:.*/)?(?:([0-9a-f]{64})(?:\.tar)?|layer\.tar)\Z")
_LEAST = 64 * 1024
_HEADER = tarfile.BLOCKSIZE
_PAX_LIMIT = 64 * 1024
_PAX_SIZE = re.compile(rb"^[0-9]{1,6} size=([^\n]*)\n", re.MULTILINE)
_PAX_PATH = re.compile(rb"^[0-9]{1,6} path=([^\n]*)\n", re.MULTILINE)
_LENGTH = re.compile(rb"[0-9]{1,19}\Z")
"""A file's size in bytes: what has more digits is no file's."""


class Arriving:
    """Looks at the archive that grows in `fd` and tells `arrived` of the layers in it.

    `path` is what the regions call the file.
    """

    def __init__(self, fd: int, path: str, arrived: Arrived) -> None:
        self._fd = fd
        self._path = path
        self._arrived = arrived
        self._next = 0
        self._enough = _HEADER
        self._size: int | None = None
        self._name = ""

    def grown(self, size: int) -> None:
        """The archive has `size` bytes now. Raises what `arrived` does."""
        while size >= self._enough:
            try:
                header = tarfile.TarInfo.frombuf(
                    os.pread(self._fd, _HEADER, self._next), "utf-8", "surrogateescape"
                )
            except (tarfile.HeaderError, OSError):
                # the archive's end, or nothing that could be understood
                self._stop()
                return
            start = self._next + _HEADER
            length = header.size if self._size is None else self._size
            if length < 0:
                # whoever follows it walks backwards, for ever
                self._stop()
                return
            if size < start + length:
                self._enough = start + length
                return
            self._next = start + -(-length // _HEADER) * _HEADER
            self._enough = self._next + _HEADER
            self._take(header, start, length)

    def _stop(self) -> None:
        """Look at nothing any more."""
        self._enough = sys.maxsize

    def _take(self, header: tarfile.TarInfo, start: int, length: int) -> None:
        if header.type == tarfile.XHDTYPE:
            self._take_pax(os.pread(self._fd, min(length, _PAX_LIMIT), start))
            return
        name, self._name, self._size = self._name or header.name, "", None
        layer = _LAYER.match(name)
        if layer and header.isreg() and length >= _LEAST and self._begins_a_tar(start):
            digest = Digest("sha256", layer[1]) if layer[1] else None
            self._arrived(digest, Region(self._path, start, length, self._fd))

    def _take_pax(self, records: bytes) -> None:
        size, path = _PAX_SIZE.search(records), _PAX_PATH.search(records)
        if size and not _LENGTH.match(size[1]):
            self._stop()
            return
        self._size = int(size[1]) if size else None
        self._name = path[1].decode("utf-8", "surrogateescape") if path else ""

    def _begins_a_tar(self, start: int) -> bool:
        try:
            tarfile.TarInfo.frombuf(os.pread(self._fd, _HEADER, start), "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            return False
        return True
