"""Archives of images: tars whose blobs stay where they are, regions of the archive."""

from __future__ import annotations

import os
import posixpath
import stat
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, Any, BinaryIO, cast

from idpbuilder.errors import SourceError
from idpbuilder.native import fingerprint_region
from idpbuilder.source.files import (
    BLOBS,
    INDEX_FILE,
    LAYOUT_FILE,
    invalid,
    no_image,
    unreadable,
)
from idpbuilder.source.spool import MAGIC_LENGTH, compression_of, spool
from idpbuilder.wire import Region

_MEMBER_LIMIT = 100_000
_HEADER_LIMIT = 64 * 1024
_NAME_LIMIT = 4096
"""Characters of the longest name that a member is kept by: PATH_MAX, so nothing real is lost."""
_LINK_LIMIT = 40
"""Links that are followed for one name, as in Linux."""


@dataclass(frozen=True, slots=True)
class Link:
    """A member that stands for another; a hard link's `target` counts from the archive's top."""

    target: str
    hard: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file was when it was looked at; one that has not changed has the same.

    Content that is swapped under the same size and times cannot be told by samples alone: hence
    the inode and the time of its last change, which no program can set. So a copy is another file.
    """

    size: int
    modified: int
    changed: int
    inode: int
    samples: int

    @classmethod
    def of(cls, fd: int) -> Identity | None:
        """That of an open file; None where it cannot be read, or is just being cut off."""
        try:
            found = os.fstat(fd)
            samples = fingerprint_region(fd, 0, found.st_size)
        except (OSError, EOFError):
            return None
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, samples)

    @property
    def text(self) -> str:
        """All of it."""
        parts = (self.size, self.modified, self.changed, self.inode, self.samples)
        return "-".join(map(str, parts))


@dataclass(frozen=True, slots=True)
class Archive:
    """The members of a tar by their names: where they lie, whom they stand for, or what is wrong
    with them for someone who wants to read them. `identity` is that of the file it was read from.
    """

    path: str
    members: Mapping[str, Region | Link | str]
    identity: Identity | None = None

    def find(self, name: str) -> Region | None:
        """Where the file `name` lies; links lead to members of this archive or nowhere."""
        at = inside(self.path, "", name)
        for _ in range(_LINK_LIMIT):
            member = self.members.get(at)
            if member is None or isinstance(member, Region):
                return member
            if isinstance(member, str):
                raise invalid(self.path, member)
            above = "" if member.hard else posixpath.dirname(at)
            at = inside(self.path, above, member.target)
        raise invalid(self.path, f"its member `{name}` is a link that leads round in a circle")


def inside(path: str, above: str, name: str) -> str:
    """The normal form of `name`, as written in the folder `above` of the archive at `path`.

    Raises ImageInvalid where it leads out of the archive.
    """
    found = posixpath.normpath(posixpath.join(above, name))
    if found.startswith(("/", "../")) or found == "..":
        raise invalid(path, f"`{name[:_NAME_LIMIT]}` leads out of the archive")
    return found


@contextmanager
def open_archive(
    path: str, check: Callable[[], None], at_length: Callable[[], None] = lambda: None
) -> Iterator[Archive]:
    """The members of the archive at `path`, plain or compressed; usable while the context lasts.

    `check` is called between the steps of long work, `at_length` before it is unpacked; they may
    raise. Raises ImageNotFound,
    ImageUnreadable, ImageInvalid, LocalError where there is no room to decompress.
    """
    with _open(path) as file:
        # before anything is read: what is written to the file meanwhile makes it another
        identity = Identity.of(file.fileno())
        magic = file.read(MAGIC_LENGTH)
        compression = compression_of(magic)
        file.seek(0)
        if compression is None:
            yield replace(read_archive(file, path, None, check), identity=identity)
            return
        at_length()
        with spool(file, path, compression, check) as spooled:
            archive = read_archive(spooled, path, spooled.fileno(), check)
            yield replace(archive, identity=identity)


def identify(path: str) -> Identity | None:
    """The identity of the file at `path`; None where there is none, or it cannot be read."""
    try:
        with _open(path) as file:
            return Identity.of(file.fileno())
    except SourceError:
        return None


def read_archive(file: IO[bytes], path: str, fd: int | None, check: Callable[[], None]) -> Archive:
    """The members of the tar `file`, which messages call `path`.

    Regions name the file by `path`, or by `fd` where that is given: then the caller keeps it open.
    Raises ImageUnreadable, ImageInvalid.
    """
    try:
        size = os.fstat(file.fileno()).st_size
        if not size:
            raise no_image(path, "it is empty")
        file.seek(0)
        members: dict[str, Region | Link | str] = {}
        for member in _walk(file, path, check):
            name = posixpath.normpath(member.name)
            if member.isdir() or len(name) > _NAME_LIMIT or len(member.linkname) > _NAME_LIMIT:
                continue
            found = _placed(member, name, Region(path, member.offset_data, member.size, fd), size)
            if not isinstance(found, Region) and _is_layouts_own(name):
                # an OCI layout has neither links nor devices, so something else wants to be read
                raise invalid(path, found if isinstance(found, str) else _is_link(name))
            members[name] = found
    except OSError as error:
        raise unreadable(path, error) from error
    return Archive(path, members)


def _open(path: str) -> BinaryIO:
    try:
        # O_NONBLOCK: opening a FIFO must not hang
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise no_image(path, "it is no regular file")
        return cast(BinaryIO, os.fdopen(fd, "rb"))
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        # a null character, or what no name of a file can be
        raise no_image(path, str(error)) from error


def _placed(member: tarfile.TarInfo, name: str, region: Region, size: int) -> Region | Link | str:
    if member.islnk() or member.issym():
        return Link(member.linkname, member.islnk())
    if not member.isreg() or member.issparse():
        return f"its member `{name}` is no plain file"
    if region.offset + region.size > size:
        return f"the archive is cut short: it ends before `{name}` does"
    return region


def _is_link(name: str) -> str:
    return f"its member `{name}` is a link"


def _is_layouts_own(name: str) -> bool:
    return name in (INDEX_FILE, LAYOUT_FILE) or name.startswith(BLOBS)


def _walk(file: IO[bytes], path: str, check: Callable[[], None]) -> Iterator[tarfile.TarInfo]:
    try:
        tar = tarfile.TarFile(fileobj=cast(IO[bytes], _Headers(file, path)))
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise no_image(path, "it is no tar archive") from error
    try:
        number = 0
        # where nothing was read for a start there is nothing, and Python 3.10 would seek before it
        while tar.offset and (member := tar.next()) is not None:
            check()
            if number == _MEMBER_LIMIT:
                raise invalid(path, f"the archive has more than {_MEMBER_LIMIT} members")
            if member.size < 0:
                # tarfile would walk backwards, for ever
                raise invalid(path, f"its member `{member.name}` has a negative size")
            yield member
            number += 1
            # tarfile keeps them all, which for a hundred thousand is more than a push may take
            cast(Any, tar).members.clear()
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise invalid(path, "the tar archive is cut short or broken") from error
    file.seek(tar.offset)
    if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
        # tarfile takes a header that it cannot read for the end
        raise invalid(path, "the tar archive is cut short or broken")


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
