"""Live bars on a terminal: what is on its way, how fast, and how long it will still take."""

from __future__ import annotations

from collections import deque
from typing import Final

from idpbuilder.cli.report import TextReport, size_text
from idpbuilder.cli.screen import Row, Screen
from idpbuilder.push.events import Event, LayerEnded, Note, Progress, PushStarted, Warned

_INTERVAL_SECONDS: Final = 0.1
_WINDOW_SECONDS: Final = 5.0
_WIDEST_BAR: Final = 30
_NARROWEST_BAR: Final = 6
_COLOUR: Final = "\x1b[32m"
_NO_COLOUR: Final = "\x1b[0m"


class BarsReport:
    """A Reporter that draws bars below the lines of `lines`; both write to `screen`."""

    def __init__(self, screen: Screen, lines: TextReport, colour: bool) -> None:
        self._screen = screen
        self._lines = lines
        self._colour = colour
        self._sizes: tuple[int, ...] = ()
        self._sent: tuple[int, ...] = ()
        self._ended: set[int] = set()
        self._pace = Pace()

    @property
    def wants_notes(self) -> bool:
        """As the lines above the bars."""
        return self._lines.wants_notes

    @property
    def interval(self) -> float | None:
        """Seconds between two drawings."""
        return _INTERVAL_SECONDS

    def emit(self, event: Event) -> None:
        """Let the line go above the bars; what is over has no bar."""
        if isinstance(event, LayerEnded):
            self._ended.add(event.number - 1)
        elif isinstance(event, PushStarted):
            self._screen.draw(())
            self._begin(event.layers)
        elif not isinstance(event, Note | Warned):
            self._screen.draw(())
        self._lines.emit(event)

    def progress(self, progress: Progress) -> None:
        """Draw where the push stands."""
        self._sent = progress.sent
        self._pace.add(progress.seconds, sum(progress.sent))
        columns, height = self._screen.size()
        rows = [
            self._row(f"Layer {index + 1}/{len(self._sizes)}", sent, size, "", columns)
            for index, (sent, size) in enumerate(zip(progress.sent, self._sizes, strict=False))
            if sent and index not in self._ended
        ]
        self._screen.draw([*rows[: height - 1], self._total_row(columns)])

    def close(self) -> None:
        """Take the bars away; the lines stay."""
        self._screen.draw(())

    def _begin(self, sizes: tuple[int, ...]) -> None:
        self._sizes = sizes
        self._sent = (0,) * len(sizes)
        self._ended = set()
        self._pace = Pace()

    def _total_row(self, columns: int) -> Row:
        done = sum(
            size if index in self._ended else sent
            for index, (sent, size) in enumerate(zip(self._sent, self._sizes, strict=False))
        )
        total = sum(self._sizes)
        rate = self._pace.rate
        tail = f"  {size_text(int(rate))}/s" if rate else ""
        if rate and total > done:
            tail += f"  {time_text((total - done) / rate)} left"
        return self._row("Total", done, total, tail, columns)

    def _row(self, name: str, done: int, total: int, tail: str, columns: int) -> Row:
        share = min(done / total, 1.0) if total else 1.0
        figures = f"{int(share * 100):3d}%  {size_text(done)} of {size_text(total)}{tail}"
        cells = min(_WIDEST_BAR, columns - len(name) - len(figures) - 4)
        if cells < _NARROWEST_BAR:
            text = f"{name} {figures}"[:columns]
            return Row(text, len(text))
        filled = int(share * cells)
        head = "=" * filled if filled == cells else "=" * filled + ">"
        shown = f"{_COLOUR}{head}{_NO_COLOUR}" if self._colour else head
        text = f"{name} [{shown}{' ' * (cells - len(head))}] {figures}"
        return Row(text, len(name) + cells + len(figures) + 4)


class Pace:
    """How fast bytes went out over the last seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, seconds: float, sent: int) -> None:
        """At `seconds` since the push began, `sent` bytes had gone out."""
        self._samples.append((seconds, sent))
        while len(self._samples) > 2 and seconds - self._samples[1][0] >= _WINDOW_SECONDS:
            self._samples.popleft()

    @property
    def rate(self) -> float:
        """Bytes per second; 0 where too little is known."""
        if len(self._samples) < 2:
            return 0.0
        (start, before), (end, after) = self._samples[0], self._samples[-1]
        return (after - before) / (end - start) if end > start else 0.0


def time_text(seconds: float) -> str:
    """`0:18`, `12:05`, `1:02:03`; a day and more is not told to the second."""
    if seconds >= 86400:
        return "more than a day"
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
