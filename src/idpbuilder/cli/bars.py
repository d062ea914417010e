"""Live bars on a terminal: what is on its way, how fast, and how long it will still take."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from idpbuilder.cli.report import TextReport, size_text
from idpbuilder.cli.screen import Row, Screen
from idpbuilder.cli.streams import one_line
from idpbuilder.push.events import (
    ConfigEnded,
    Event,
    LayerEnded,
    Note,
    Progress,
    PushStarted,
    RunEnded,
    RunStarted,
    Standing,
    Warned,
)
from idpbuilder.push.result import PushFailure, PushResult

_INTERVAL_SECONDS: Final = 0.1
_WINDOW_SECONDS: Final = 5.0
_WIDEST_BAR: Final = 30
_NARROWEST_BAR: Final = 6
_LONGEST_NAME: Final = 32
_COLOUR: Final = "\x1b[32m"
_NO_COLOUR: Final = "\x1b[0m"


@dataclass(slots=True)
class _Push:
    """A push that is under way: the sizes of its layers in bytes, and which of them are there."""

    name: str
    sizes: tuple[int, ...]
    ended: set[int] = field(default_factory=set)

    def done(self, standing: Standing) -> int:
        """Bytes that are there."""
        return sum(
            size if index in self.ended else sent
            for index, (sent, size) in enumerate(zip(standing.sent, self.sizes, strict=False))
        )


class BarsReport:
    """A Reporter that draws bars below the lines of `lines`; both write to `screen`.

    Of one push it draws the layers, of several the images that are on their way. `results`: what
    `lines` prints on stdout may come out on this very terminal.
    """

    def __init__(
        self, screen: Screen, lines: TextReport, colour: bool, *, results: bool = True
    ) -> None:
        self._screen = screen
        self._lines = lines
        self._colour = colour
        self._results = results
        self._under_way: dict[int, _Push] = {}
        self._total = 0
        self._over = 0
        self._failed = 0
        self._pace = Pace()
        self._rows: Sequence[Row] = ()

    @property
    def wants_notes(self) -> bool:
        """As the lines above the bars."""
        return self._lines.wants_notes

    @property
    def interval(self) -> float | None:
        """Seconds between two drawings."""
        return _INTERVAL_SECONDS

    def emit(self, event: Event, push: int = 0) -> None:
        """Let the line go above the bars; what is over has no bar."""
        if isinstance(event, RunStarted):
            self._total = event.pushes
        elif isinstance(event, LayerEnded):
            self._under_way[push].ended.add(event.number - 1)
        elif isinstance(event, PushStarted):
            self._under_way[push] = _Push(_short(event), event.layers)
        elif isinstance(event, PushResult | PushFailure):
            self._under_way.pop(push, None)
            self._over += 1
            self._failed += isinstance(event, PushFailure)
        self._tell(event, push)

    def progress(self, progress: Progress) -> None:
        """Draw where the pushes stand."""
        self._pace.add(progress.seconds, self._done(progress))
        columns, height = self._screen.size()
        rows = self._images(progress, columns) if self._total else self._layers(progress, columns)
        self._rows = [*rows[: height - 1], self._last_row(progress, columns)]
        self._screen.draw(self._rows)

    def close(self) -> None:
        """Take the bars away; the lines stay."""
        self._screen.draw(())

    def _tell(self, event: Event, push: int) -> None:
        if self._total and not isinstance(event, RunEnded):
            # the bars of the others stay, but a result may be printed where they are
            clear = isinstance(event, PushResult)
        else:
            clear = not isinstance(event, LayerEnded | ConfigEnded | Note | Warned)
        if clear:
            self._screen.draw(())
        self._lines.emit(event, push)
        if clear and self._total and self._results and not isinstance(event, RunEnded):
            self._screen.draw(self._rows)

    def _done(self, progress: Progress) -> int:
        """Bytes that have gone out, as far as they tell how fast it goes."""
        if self._total:
            return progress.bytes_sent
        return sum(sum(one.sent) for one in progress.pushes.values())

    # -- rows

    def _layers(self, progress: Progress, columns: int) -> list[Row]:
        return [
            self._row(f"Layer {index + 1}/{len(push.sizes)}", sent, size, "", columns)
            for number, push in self._under_way.items()
            for index, (sent, size) in enumerate(
                zip(_standing(progress, number).sent, push.sizes, strict=False)
            )
            if sent and index not in push.ended
        ]

    def _images(self, progress: Progress, columns: int) -> list[Row]:
        rows = [
            (push, push.done(_standing(progress, number)), sum(push.sizes))
            for number, push in self._under_way.items()
        ]
        return [self._row(push.name, done, size, "", columns) for push, done, size in rows if done]

    def _last_row(self, progress: Progress, columns: int) -> Row:
        rate = self._pace.rate
        tail = f"  {size_text(int(rate))}/s" if rate else ""
        if self._total:
            tail += f"  {time_text(progress.seconds)}"
            tail += f"  {self._failed} failed" if self._failed else ""
            total = max(self._total, self._over)
            figures = f"{self._over}/{total} images  {size_text(progress.bytes_sent)} sent{tail}"
            return self._bar("Total", self._over / total, figures, columns)
        done = sum(one.done(_standing(progress, key)) for key, one in self._under_way.items())
        size = sum(sum(one.sizes) for one in self._under_way.values())
        if rate and size > done:
            tail += f"  {time_text((size - done) / rate)} left"
        return self._row("Total", done, size, tail, columns)

    def _row(self, name: str, done: int, total: int, tail: str, columns: int) -> Row:
        share = min(done / total, 1.0) if total else 1.0
        figures = f"{int(share * 100):3d}%  {size_text(done)} of {size_text(total)}{tail}"
        return self._bar(name, share, figures, columns)

    def _bar(self, name: str, share: float, figures: str, columns: int) -> Row:
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
        return max(after - before, 0) / (end - start) if end > start else 0.0


def time_text(seconds: float) -> str:
    """`0:18`, `12:05`, `1:02:03`; a day and more is not told to the second."""
    if seconds >= 86400:
        return "more than a day"
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _standing(progress: Progress, number: int) -> Standing:
    return progress.pushes.get(number) or Standing(())


def _short(event: PushStarted) -> str:
    """Where an image goes, in one column of a table: the end of the name tells images apart."""
    name = one_line(str(event.reference).partition("/")[2])
    return (name if len(name) <= _LONGEST_NAME else f"..{name[2 - _LONGEST_NAME :]}").ljust(
        _LONGEST_NAME
    )
