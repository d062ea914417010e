"""Reading a file of credentials, whatever lies under its name."""

from __future__ import annotations

import os
import select
import stat

from idpbuilder.credentials.unusable import Unusable

FILE_LIMIT = 4 * 1024 * 1024
"""Bytes of the largest file that is read."""
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_CHUNK = 65536
_PIPE_SECONDS = 5.0


def read(path: str) -> bytes | None:
    """The content of the file of credentials at `path`; None where there is none.

    Raises Unusable where it is empty, may be written by others than its owner, who may then say
    where a password goes, and where `content_of` does.
    """
    found = content_of(path, _OTHERS_WRITE)
    if found is None:
        return None
    data, mode = found
    # who names the null device means it
    if not data.strip() and not stat.S_ISCHR(mode):
        raise Unusable("it is empty")
    return data


def content_of(path: str, forbidden: int) -> tuple[bytes, int] | None:
    """What is in the file at `path`, and its mode; None where there is none.

    Raises Unusable where it cannot be read, has more than FILE_LIMIT bytes, or one of the mode bits
    that are `forbidden`.
    """
    try:
        # a pipe without a writer must not hold us up
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(error) from error
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode) and mode & forbidden:
            raise Unusable(f"its mode {stat.S_IMODE(mode):04o} lets others write to it")
        return _content(descriptor, waits=stat.S_ISFIFO(mode)), mode
    except OSError as error:
        raise _unreadable(error) from error
    finally:
        os.close(descriptor)


def _content(descriptor: int, *, waits: bool) -> bytes:
    data = bytearray()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    # `--authfile <(...)` is a pipe, whose writer may take a moment
    while not waits or poll.poll(_PIPE_SECONDS * 1000):
        chunk = os.read(descriptor, _CHUNK)
        data += chunk
        if not chunk:
            return bytes(data)
        if len(data) > FILE_LIMIT:
            raise Unusable(f"it has more than {FILE_LIMIT} bytes")
    raise Unusable("nothing comes out of it")


def _unreadable(error: OSError | ValueError) -> Unusable:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Unusable(f"it cannot be read ({reason.lower()})")
