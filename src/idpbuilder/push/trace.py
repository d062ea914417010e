"""What a push spent its time on, span by span, for who asked to see it (`--trace`).

Whoever has something to tell is watched from outside where that can be: `Trace` gives an engine, a
reporter and a packer that take the places of the real ones (`push/traced.py`). Each span is handed
on as it ends, and is not kept.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from idpbuilder.packing.job import PackJob

LIMIT: Final = 200_000
"""Spans that are handed on, phases too; what comes then is counted."""

Value = str | int | float


class Group(Enum):
    """What a track is about."""

    IMAGES = "images"
    SOURCES = "sources"
    CONNECTIONS = "connections"
    LINE = "waiting for a connection"
    PACKING = "packing"


@dataclass(frozen=True, slots=True)
class Track:
    """What spans belong to: an image, a connection, a thread."""

    group: Group
    name: str


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a span; from `start` to `end`, in seconds since the trace began."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took from `start` to `end`, in seconds since the trace began.

    No two spans in one `row` of a track, from 0, were there at the same time. No text in it holds
    a query or a header; what else is secret has to be taken out by who shows it.
    """

    track: Track
    row: int
    name: str
    start: float
    end: float
    arguments: Mapping[str, Value] = field(default_factory=dict)
    phases: tuple[Phase, ...] = ()


class Trace:
    """Hands spans on to `take`, which is called by one thread at a time and must not raise.

    `clock` is the engine's.
    """

    def __init__(
        self,
        take: Callable[[Span], None],
        clock: Callable[[], float] = time.monotonic,
        limit: int = LIMIT,
    ) -> None:
        self.clock = clock
        self.dropped = 0
        """Spans that were too many."""
        self._take = take
        self._left = limit
        self._began = clock()
        self._lock = threading.Lock()
        self._rows: dict[Track, list[float]] = {}
        self._numbers = itertools.count()
        self._open: dict[int, _Open] = {}
        self.images: dict[int, Track] = {}

    # -- what happens

    def add(
        self,
        track: Track,
        name: str,
        start: float,
        end: float,
        arguments: Mapping[str, Value],
        phases: Sequence[tuple[str, float, float]] = (),
    ) -> None:
        """Something took from `start` to `end`, on the clock."""
        with self._lock:
            self._hand_on(track, self._row(track, start, end), name, start, end, arguments, phases)

    def begin(self, track: Track, name: str, arguments: Mapping[str, Value]) -> int:
        """Something begins; what to hand to `end`. It has its row from now on."""
        now = self.clock()
        with self._lock:
            number = next(self._numbers)
            self._open[number] = _Open(track, self._row(track, now, inf), name, now, arguments)
        return number

    def end(self, number: int, arguments: Mapping[str, Value]) -> None:
        """What `begin` gave that number is over. Once: then it is nothing any more."""
        now = self.clock()
        with self._lock:
            one = self._open.pop(number, None)
            if one is not None:
                self._rows[one.track][one.row] = now
                told = {**one.arguments, **arguments}
                self._hand_on(one.track, one.row, one.name, one.start, now, told, ())

    @contextmanager
    def during(self, track: Track, name: str, arguments: Mapping[str, Value]) -> Iterator[None]:
        """What is done in here is something that takes time."""
        number = self.begin(track, name, arguments)
        try:
            yield
        except BaseException as error:
            dropped = isinstance(error, GeneratorExit)
            self.end(number, {"ended by": "us" if dropped else type(error).__name__})
            raise
        self.end(number, {})

    def opening(self, image: str | None) -> AbstractContextManager[None]:
        """A source is opened in here, or what it lacked is fetched."""
        name = image or "what was built last"
        return self.during(Track(Group.SOURCES, "opening"), name, {})

    def waiting(self, push: int, name: str, why: str) -> AbstractContextManager[None]:
        """The push of this number waits in here, by its own choice."""
        track = self.images.get(push) or Track(Group.IMAGES, f"#{push}")
        return self.during(track, name, {"why": why} if why else {})

    def packing(self, stage: str, job: PackJob) -> AbstractContextManager[None]:
        """A block of a layer is at this stage in here, on this thread."""
        layer = job.layer
        track = Track(Group.PACKING, threading.current_thread().name)
        return self.during(track, stage, {"layer": str(layer.diff_id or layer.region.path)})

    def close(self) -> None:
        """Hand on what has not ended, as cut off now; whatever comes after is only counted."""
        for number in list(self._open):
            self.end(number, {"ended by": "the end of the run"})
        with self._lock:
            self._left = 0

    # -- with the lock held

    def _row(self, track: Track, start: float, end: float) -> int:
        """The first row in which there is room."""
        rows = self._rows.setdefault(track, [])
        for row, taken_until in enumerate(rows):
            if taken_until <= start:
                rows[row] = end
                return row
        rows.append(end)
        return len(rows) - 1

    def _hand_on(
        self,
        track: Track,
        row: int,
        name: str,
        start: float,
        end: float,
        arguments: Mapping[str, Value],
        phases: Sequence[tuple[str, float, float]],
    ) -> None:
        self._left -= 1 + len(phases)
        if self._left < 0:
            self.dropped += 1
            return
        began = self._began
        parts = tuple(Phase(part, first - began, last - began) for part, first, last in phases)
        self._take(Span(track, row, name, start - began, end - began, arguments, parts))


@dataclass(frozen=True, slots=True)
class _Open:
    track: Track
    row: int
    name: str
    start: float
    arguments: Mapping[str, Value]
