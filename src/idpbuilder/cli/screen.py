"""A terminal's last rows, redrawn in place below the lines that stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from idpbuilder.cli.streams import Stream

_ERASE_BELOW = "\x1b[J"
_WRAP_OFF = "\x1b[?7l"
_WRAP_ON = "\x1b[?7h"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the terminal: what is written, and how many columns of it can be seen."""

    text: str
    columns: int


class Screen:
    """Lines that stay in the scrollback and, below them, rows that change.

    The cursor rests below the rows, so that a `^C` that the terminal echoes harms none of them.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._rows: tuple[Row, ...] = ()

    def can_say(self, text: str) -> bool:
        """Whether the terminal's encoding has `text`."""
        return self._stream.can_say(text)

    def size(self) -> tuple[int, int]:
        """Columns and rows that may be drawn on: the last column and the cursor's row are not."""
        columns, rows = self._stream.columns_and_rows()
        return max(columns - 1, 1), max(rows - 1, 1)

    def line(self, text: str) -> None:
        """Put a line above the rows."""
        # one write, so that no moment shows a line without the rows
        self._stream.raw(self._erase() + self._stream.safe(text) + "\n" + _drawn(self._rows))

    def draw(self, rows: Sequence[Row]) -> None:
        """Put `rows` in the place of those drawn before."""
        erase = self._erase()
        self._rows = tuple(rows)
        if erase or rows:
            self._stream.raw(erase + _drawn(self._rows))

    def _erase(self) -> str:
        if not self._rows:
            return ""
        # a terminal that was made narrower has broken long rows in several
        columns, _ = self._stream.columns_and_rows()
        height = sum(max(1, -(-row.columns // columns)) for row in self._rows)
        return f"\r\x1b[{height}A{_ERASE_BELOW}"


def _drawn(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    return _WRAP_OFF + "".join(f"{row.text}\n" for row in rows) + _WRAP_ON
