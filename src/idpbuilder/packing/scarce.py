"""What this machine may run out of while layers are packed, told as what it is."""

from __future__ import annotations

import errno

from idpbuilder.errors import LocalError


def lacks_descriptors(error: OSError) -> bool:
    """Whether a file could not be opened because too many are open: no disk is at fault."""
    return error.errno in (errno.EMFILE, errno.ENFILE)


def no_descriptor(what: str) -> LocalError:
    """The error for it."""
    return LocalError(what, "too many files are open", "raise the limit on them (`ulimit -n`)")


def no_room(what: str, error: OSError) -> LocalError:
    """The error for a temporary file that cannot be made or written."""
    if lacks_descriptors(error):
        return no_descriptor(what)
    reason = (error.strerror or str(error)).lower()
    hint = "point TMPDIR at a directory that can be written"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        hint = "make room, or point TMPDIR at a larger disk"
    return LocalError(what, reason, hint)
