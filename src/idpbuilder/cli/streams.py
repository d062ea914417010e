"""stdout and stderr as a push needs them: nothing that happens to them ends it."""

from __future__ import annotations

import os
import re
from typing import Final, TextIO

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

_ENDS_OF_LINE: Final = re.compile(r"[\t\n\x0b\x0c\r\x1c-\x1e\x85\u2028\u2029]")


class Stream:
    """A text stream that takes whatever it is given.

    A reader that went away, a full disk, a closed descriptor: the rest is dropped in silence,
    for the exit code tells the push's result. What the encoding cannot say is escaped, and so
    are control characters: a name or an answer must not steer the terminal.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "ascii"

    @property
    def is_terminal(self) -> bool:
        """Whether a person may be watching."""
        try:
            return self._stream is not None and self._stream.isatty()
        except (OSError, ValueError):
            return False

    def can_say(self, text: str) -> bool:
        """Whether the stream's encoding has `text`."""
        try:
            text.encode(self._encoding)
        except (UnicodeError, LookupError):
            return False
        return True

    def columns_and_rows(self) -> tuple[int, int]:
        """The size of the terminal now; 80 by 24 where it has none."""
        try:
            size = os.get_terminal_size(self._stream.fileno()) if self._stream is not None else None
        except (OSError, ValueError):
            size = None
        if size is None:
            return 80, 24
        return size.columns or 80, size.lines or 24

    def line(self, text: str) -> None:
        """Write `text` and an end of line."""
        self.raw(self.safe(text) + "\n")

    def safe(self, text: str) -> str:
        """`text` as the stream can say it, without control characters but tab and line feed."""
        text = _CONTROL.sub(_escaped, text)
        try:
            return text.encode(self._encoding, "backslashreplace").decode(self._encoding)
        except (UnicodeError, LookupError):
            return text.encode("ascii", "backslashreplace").decode("ascii")

    def raw(self, text: str) -> None:
        """Write `text` as it is, at once."""
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._drop()

    def _drop(self) -> None:
        # What is left in the buffer would fail again when Python flushes at exit, and would
        # then change the exit code to 120: it goes to the null device instead.
        stream, self._stream = self._stream, None
        try:
            descriptor = stream.fileno() if stream is not None else -1
            null = os.open(os.devnull, os.O_WRONLY)
        except (OSError, ValueError):
            return
        try:
            os.dup2(null, descriptor)
        except OSError:
            pass
        finally:
            os.close(null)


def one_line(text: str) -> str:
    """`text` with its ends of line escaped: what a source or a registry wrote must not pass for a
    line of ours.
    """
    return _ENDS_OF_LINE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def occupy_closed_descriptors() -> None:
    """Give descriptors 0, 1 and 2 something to be, where the caller closed them.

    Else the next file or socket that is opened takes their place, and reads or writes meant
    for the user go there.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            try:
                os.open(os.devnull, os.O_RDWR)
            except OSError:
                return
