"""OCI layout directories."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from idpbuilder.source.files import LAYOUT_FILE, Files, invalid, no_image, unreadable
from idpbuilder.wire import Region


@dataclass(frozen=True, slots=True)
class Directory:
    """The files below a directory. Links are followed: tools that share blobs make them."""

    path: str

    def find(self, name: str) -> Region | None:
        path = os.path.join(self.path, name)
        region = Region(path, 0, 0)
        try:
            # opened, not only looked at: what we may not read is found out before anything is sent
            fd = region.open_fd()
            try:
                status = os.fstat(fd)
            finally:
                os.close(fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unreadable(path, error) from error
        if not stat.S_ISREG(status.st_mode):
            raise invalid(self.path, f"`{name}` is no regular file")
        return Region(path, 0, status.st_size)


def open_layout(path: str) -> Files:
    """The files of the layout directory at `path`.

    Raises ImageNotFound, ImageUnreadable, or ImageInvalid where it is no directory.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISDIR(status.st_mode):
        raise no_image(path, "it is no directory")
    return Directory(path)


def holds_layout(path: str) -> bool:
    """Whether `path` is a directory that calls itself an OCI layout."""
    return os.path.exists(os.path.join(path, LAYOUT_FILE))
