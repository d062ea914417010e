"""Files without a name, for what has to lie in a file and does not: gone when they are closed."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from typing import IO

from idpbuilder.errors import LocalError
from idpbuilder.wire import Region


def temporary_file(stack: ExitStack, what: str) -> IO[bytes]:
    """An empty one, which `stack` closes; `what` will lie in it, as messages call it.

    Raises LocalError.
    """
    import tempfile

    try:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (the stack closes it)
    except OSError as error:
        raise no_room(what, error) from error
    return stack.enter_context(file)


def put(file: IO[bytes], label: str, data: bytes, what: str) -> Region:
    """Where `data` lies, after all that is in the file; `label` is what the region calls it.

    Raises LocalError.
    """
    try:
        start = file.seek(0, os.SEEK_END)
        write_all(file, data)
    except OSError as error:
        raise no_room(what, error) from error
    return Region(label, start, len(data), file.fileno())


def write_all(file: IO[bytes], data: bytes) -> None:
    """Write `data` to a file without a buffer, which may take less at a time. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def no_room(what: str, error: OSError) -> LocalError:
    """The error for a disk that does not take `what`."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return LocalError(
        f"cannot put {what} into a temporary file",
        (error.strerror or str(error)).lower(),
        "make room, or point TMPDIR at a larger disk"
        if full
        else "point TMPDIR at a directory that can be written",
    )
