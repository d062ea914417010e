"""Where the memory lies, and that nobody else can get at it there.

Other processes of the same user may have the file open. To take away a file that another process
writes to would let its journal be played into the new one, so whoever uses the file holds a
shared lock, and whoever removes it an exclusive one. The lock is a file of its own: closing any
descriptor of the database would drop the locks that SQLite has on it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final

_FOLDER: Final = "idpbuilder-push"
_FILE: Final = "memory.db"
_LOCK: Final = "memory.lock"
_BESIDE: Final = ("", "-journal", "-wal", "-shm")
"""What SQLite appends to the file's name for the files that belong to it."""

_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600


def memory_path(environ: Mapping[str, str], platform: str) -> str | None:
    """The path of the file for a user with these variables; None where they name no folder.

    A relative path is no folder (XDG base directory specification): the memory must not lie
    wherever a command happens to be run.
    """
    base, home = environ.get("XDG_CACHE_HOME", ""), environ.get("HOME", "")
    if not os.path.isabs(base):
        if not os.path.isabs(home):
            return None
        base = os.path.join(home, *(("Library", "Caches") if platform == "darwin" else (".cache",)))
    return os.path.join(base, _FOLDER, _FILE)


def clear(path: str) -> int:
    """Remove the memory at `path` and what SQLite keeps beside it; the bytes that were freed.

    Raises OSError where it cannot be removed, BlockingIOError while another process uses it.
    """
    try:
        lock = Lock(path)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    with lock:
        if not lock.exclusive():
            raise BlockingIOError(errno.EAGAIN, "another process is using it")
        return remove(path)


def remove(path: str) -> int:
    """Remove the file and those beside it; the bytes they had. Raises OSError.

    Only for who holds the lock exclusively.
    """
    freed = 0
    for suffix in _BESIDE:
        with suppress(FileNotFoundError):
            size = os.lstat(path + suffix).st_size
            os.unlink(path + suffix)
            freed += size
    return freed


def prepare_folder(path: str) -> None:
    """Make the folder of the file at `path`, for its owner alone. Raises OSError.

    Also where it is there and is not ours, or where its mode cannot be had.
    """
    folder = os.path.dirname(path)
    os.makedirs(os.path.dirname(folder), _FOLDER_MODE, exist_ok=True)
    with suppress(FileExistsError):
        os.mkdir(folder, _FOLDER_MODE)
    # a link is fine if the user made it, as to move the cache to another disk
    if not _is_ours(os.lstat(folder)) or not _is_ours(os.stat(folder)):
        raise PermissionError(errno.EPERM, "it belongs to another user", folder)
    if not stat.S_ISDIR(os.stat(folder).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "it is no directory", folder)
    _insist_on_mode(folder, _FOLDER_MODE)


def prepare_file(path: str) -> bool:
    """Make an empty file at `path` unless there is one, for its owner alone. Raises OSError.

    False where something lies there that must be replaced: a link, what is no file, or another
    user's file.
    """
    with suppress(FileExistsError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(path, flags, _FILE_MODE))
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode) or not _is_ours(found):
        return False
    _insist_on_mode(path, _FILE_MODE)
    return True


class Lock:
    """The lock beside the file at `path`, in a folder that is there. Raises OSError.

    It is let go when it is closed, or when the process ends.
    """

    def __init__(self, path: str) -> None:
        place = os.path.join(os.path.dirname(path), _LOCK)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(place, flags, _FILE_MODE)

    def shared(self) -> bool:
        """Hold it beside others who only use the file; False while one wants to remove it."""
        return self._take(fcntl.LOCK_SH)

    def exclusive(self) -> bool:
        """Hold it alone; False while others hold it, and then it is not held at all."""
        return self._take(fcntl.LOCK_EX)

    def close(self) -> None:
        """Let it go."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _take(self, kind: int) -> bool:
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            # changing from one kind to the other lets go first, on some systems only
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            return False
        return True

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _is_ours(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid()


def _insist_on_mode(path: str, mode: int) -> None:
    # the umask may have taken away what we need, and an older one left too much
    if stat.S_IMODE(os.stat(path).st_mode) != mode:
        os.chmod(path, mode)
        # some file systems take a mode and keep their own
        if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
            raise PermissionError(errno.EPERM, "others can read it", path)
