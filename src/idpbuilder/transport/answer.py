"""An answer as its lines and bytes come in, within bounds. Pure."""

from __future__ import annotations

from idpbuilder.wire import Headers

LINES_LIMIT = 300
HEAD_LIMIT = 256 * 1024
"""Bytes of all header lines, those of interim answers and trailers too."""
SURPLUS_LIMIT = 16 * 1024 * 1024
"""Bytes beyond what is kept that are still read, so that the connection can be used again."""


class Answer:
    """The final answer to one request; `limit` bytes of its body are kept."""

    __slots__ = (
        "_chunks",
        "_fields",
        "_head_size",
        "_lines",
        "_room",
        "_surplus",
        "cut",
        "status",
        "whole_head",
    )

    def __init__(self, limit: int) -> None:
        self._chunks: list[bytes] = []
        self._fields: list[tuple[str, str]] = []
        self._room = limit
        self._surplus = SURPLUS_LIMIT
        self._lines = 0
        self._head_size = 0
        self.status = 0
        self.whole_head = False
        self.cut = False

    def add_line(self, line: bytes) -> bool:
        """Take a header line as it came, with its end; False where there are too many."""
        self._lines += 1
        self._head_size += len(line)
        if self._lines > LINES_LIMIT or self._head_size > HEAD_LIMIT:
            return False
        text = line.decode("latin-1").rstrip("\r\n")
        if self.whole_head:
            return True  # trailers say nothing that a push needs
        if text.startswith("HTTP/"):
            self.status = _status(text)
            self._fields.clear()
        elif not text:
            # the head of an interim answer (RFC 9110, 15.2) is followed by another
            self.whole_head = self.status >= 200
        else:
            name, colon, value = text.partition(":")
            if colon:
                self._fields.append((name.strip(), value.strip()))
        return True

    def add_data(self, data: bytes) -> bool:
        """Take bytes of the body; False where it is so much too long that reading on is a waste."""
        kept = data[: self._room]
        self._room -= len(kept)
        self._surplus -= len(data) - len(kept)
        if kept:
            self._chunks.append(kept)
        self.cut = self._surplus < 0
        return not self.cut

    @property
    def begun(self) -> bool:
        """Whether a line of the final answer was there."""
        return self.status >= 200

    @property
    def is_success(self) -> bool:
        """Whether the final answer is a 2xx."""
        return 200 <= self.status < 300

    @property
    def headers(self) -> Headers:
        """The fields of its head."""
        return Headers(self._fields)

    @property
    def body(self) -> bytes:
        """What was kept of its body."""
        return b"".join(self._chunks)


def _status(line: str) -> int:
    # three digits (RFC 9112, 4): of thousands Python would not make a number
    code = line.split(None, 2)[1:2]
    return int(code[0]) if code and len(code[0]) == 3 and code[0].isdecimal() else 0
