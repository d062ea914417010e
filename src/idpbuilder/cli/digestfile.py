"""`--digestfile`: `name@digest`, a line for each destination that was reached."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from idpbuilder.errors import LocalError, UsageError

_HINT = "choose another path for `--digestfile`"
_STREAMS = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")


class DigestFile:
    """The file at `path`; a regular one, or one to be made, is only ever replaced whole.

    Raises UsageError where `path` leads nowhere.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            # the link stays, what it points at is replaced
            self._target = os.path.realpath(path)
            self._stream = os.path.abspath(path).startswith(_STREAMS)
        except (OSError, ValueError) as error:
            # there is no working directory any more
            raise unwritable(path, error, _HINT) from error
        name = f".{os.path.basename(self._target)[:200]}.{os.urandom(4).hex()}"
        self._temporary = os.path.join(os.path.dirname(self._target), name)

    def check(self) -> None:
        """Raise UsageError if the file could not be written."""
        try:
            mode = self._mode()
            if mode is not None and stat.S_ISDIR(mode):
                raise IsADirectoryError(0, "it is a directory")
            if mode is not None and not os.access(self._path, os.W_OK):
                raise PermissionError(0, "permission denied")
            if self._replaceable(mode):
                os.close(self._create())
                os.unlink(self._temporary)
        except (OSError, ValueError) as error:
            raise unwritable(self._path, error, _HINT) from error

    def write(self, lines: Sequence[str]) -> None:
        """Write `lines`. Raises LocalError."""
        data = "".join(f"{line}\n" for line in lines).encode()
        try:
            mode = self._mode()
            if self._replaceable(mode):
                self._replace(data, mode)
            else:
                with open(os.open(self._path, os.O_WRONLY | os.O_APPEND), "wb") as file:
                    file.write(data)
        except OSError as error:
            raise LocalError(
                f"`{self._path}` cannot be written",
                reason(error),
                "the push itself is over; the lines are the digests on stdout with `--quiet`",
            ) from error

    def _mode(self) -> int | None:
        try:
            return os.stat(self._path).st_mode
        except FileNotFoundError:
            return None

    def _replaceable(self, mode: int | None) -> bool:
        # `/dev/stdout` may well be a regular file, which must not be swapped under its writer
        return not self._stream and (mode is None or stat.S_ISREG(mode))

    def _create(self) -> int:
        return os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)

    def _replace(self, data: bytes, mode: int | None) -> None:
        try:
            with open(self._create(), "wb") as file:
                if mode is not None:
                    os.fchmod(file.fileno(), stat.S_IMODE(mode))
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(self._temporary, self._target)
        except BaseException:
            if os.path.lexists(self._temporary):
                os.unlink(self._temporary)
            raise


def unwritable(path: str, error: Exception, hint: str) -> UsageError:
    """The error for a file that a flag names and that cannot be written."""
    return UsageError(f"`{path}` cannot be written", reason(error), hint)


def reason(error: Exception) -> str:
    """Why the system refused a file."""
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:]
