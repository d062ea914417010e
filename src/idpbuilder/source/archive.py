"""OCI archives: tars of a layout. Blobs stay where they are, regions of the archive."""

from __future__ import annotations

import os
import posixpath
import stat
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from idpbuilder.errors import ImageInvalid
from idpbuilder.source.files import (
    BLOBS,
    INDEX_FILE,
    LAYOUT_FILE,
    Files,
    invalid,
    no_layout,
    unreadable,
)
from idpbuilder.source.spool import MAGIC_LENGTH, compression_of, spool
from idpbuilder.wire import Region

_MEMBER_LIMIT = 100_000
_HEADER_LIMIT = 64 * 1024
_DOCKER_FILE = "manifest.json"


@dataclass(frozen=True, slots=True)
class Archive:
    """The members of a tar that belong to an OCI layout."""

    path: str
    members: Mapping[str, Region]

    def find(self, name: str) -> Region | None:
        return self.members.get(name)


@contextmanager
def open_archive(path: str, check: Callable[[], None]) -> Iterator[Files]:
    """The files of the archive at `path`, plain or compressed; usable while the context lasts.

    `check` is called between the steps of long work and may raise. Raises ImageNotFound,
    ImageUnreadable, ImageInvalid, LocalError where there is no room to decompress.
    """
    with _open(path) as file:
        magic = file.read(MAGIC_LENGTH)
        if not magic:
            raise no_layout(path, "the file is empty")
        compression = compression_of(magic)
        file.seek(0)
        if compression is None:
            yield Archive(path, _members(file, path, None, check))
            return
        with spool(file, path, compression, check) as spooled:
            spooled.seek(0)
            yield Archive(path, _members(spooled, path, spooled.fileno(), check))


def _open(path: str) -> BinaryIO:
    try:
        # O_NONBLOCK: opening a FIFO must not hang
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise no_layout(path, "it is no regular file")
        return cast(BinaryIO, os.fdopen(fd, "rb"))
    except OSError as error:
        raise unreadable(path, error) from error


def _members(
    file: IO[bytes], path: str, fd: int | None, check: Callable[[], None]
) -> dict[str, Region]:
    size = os.fstat(file.fileno()).st_size
    found: dict[str, Region] = {}
    docker = False
    try:
        for member in _walk(file, path, check):
            name = posixpath.normpath(member.name)
            docker = docker or name == _DOCKER_FILE
            if member.isdir() or not _belongs(name):
                continue
            _check_member(member, name, path, size)
            found[name] = Region(path, member.offset_data, member.size, fd)
    except OSError as error:
        raise unreadable(path, error) from error
    if INDEX_FILE not in found:
        raise _no_index(path, docker)
    return found


def _belongs(name: str) -> bool:
    return name in (INDEX_FILE, LAYOUT_FILE) or name.startswith(BLOBS)


def _check_member(member: tarfile.TarInfo, name: str, path: str, size: int) -> None:
    if member.islnk() or member.issym():
        raise invalid(path, f"its member `{name}` is a link")
    if not member.isreg() or member.issparse():
        raise invalid(path, f"its member `{name}` is no plain file")
    if member.size < 0 or member.offset_data + member.size > size:
        raise invalid(path, f"the archive is cut short: it ends before `{name}` does")


def _walk(file: IO[bytes], path: str, check: Callable[[], None]) -> Iterator[tarfile.TarInfo]:
    try:
        tar = tarfile.TarFile(fileobj=cast(IO[bytes], _Headers(file, path)))
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise no_layout(path, "it is no tar archive") from error
    try:
        for number, member in enumerate(tar):
            check()
            if number == _MEMBER_LIMIT:
                raise invalid(path, f"the archive has more than {_MEMBER_LIMIT} members")
            if member.size < 0:
                # tarfile would walk backwards, for ever
                raise invalid(path, f"its member `{member.name}` has a negative size")
            yield member
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise invalid(path, "the tar archive is cut short or broken") from error
    file.seek(tar.offset)
    if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
        # tarfile takes a header that it cannot read for the end
        raise invalid(path, "the tar archive is cut short or broken")


def _no_index(path: str, docker: bool) -> ImageInvalid:
    if not docker:
        return no_layout(path, f"the tar archive holds no `{INDEX_FILE}`")
    return ImageInvalid(
        f"`{path}` is no OCI image",
        f"the archive holds a `{_DOCKER_FILE}` and no OCI layout",
        f"convert it with `skopeo copy docker-archive:{path} oci-archive:NEW.tar`",
    )


class _Headers:
    """The file under a tarfile, which believes the size that an extended header claims."""

    def __init__(self, file: IO[bytes], path: str) -> None:
        self._file = file
        self._path = path

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _HEADER_LIMIT:
            raise invalid(self._path, "the archive has a header beyond all bounds")
        return self._file.read(size)

    def seek(self, offset: int) -> int:
        return self._file.seek(offset)

    def tell(self) -> int:
        return self._file.tell()
