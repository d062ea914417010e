"""What a push tells while it runs, and to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from idpbuilder.image import Reference
from idpbuilder.push.result import BlobStatus, LayerResult, PushFailure, PushResult


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is pushed where nobody said exactly, and why, as a line to show."""

    text: str


@dataclass(frozen=True, slots=True)
class PushStarted:
    """A push begins; `layers` are the sizes in bytes of the distinct layers, in manifest order.

    `again`: it began before, and goes on with layers that were not at hand then.
    """

    image: str
    reference: Reference
    layers: tuple[int, ...]
    dry_run: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class LayerEnded:
    """Layer `number` of `total` (from 1, base first) is in the repository."""

    number: int
    total: int
    layer: LayerResult


@dataclass(frozen=True, slots=True)
class ConfigEnded:
    """A config is in the repository."""

    config: LayerResult


@dataclass(frozen=True, slots=True)
class ManifestEnded:
    """The root manifest is in the repository under its reference."""

    status: BlobStatus


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one push stands: bytes sent per layer in manifest order, each at most the layer's size.

    No number in it ever falls, not even when a body is sent again.
    """

    sent: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the pushes that are under way stand, by their numbers; `seconds` since the first began.

    `bytes_sent` are the payload bytes that went out so far, of those that have ended too.
    """

    pushes: Mapping[int, Standing]
    seconds: float
    bytes_sent: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """A line for `--verbose`. It holds no secret."""

    text: str


@dataclass(frozen=True, slots=True)
class Warned:
    """What a user should know though the push goes on. It holds no secret."""

    text: str


@dataclass(frozen=True, slots=True)
class RunStarted:
    """There is more than one push to make, for all that is known by now: so many."""

    pushes: int


@dataclass(frozen=True, slots=True)
class RunEnded:
    """All of several pushes are over; `seconds` since the first began. `left` were not made, since
    one failed or somebody stopped them.
    """

    outcomes: tuple[PushResult | PushFailure, ...]
    seconds: float
    left: int = 0


Event = (
    Chosen
    | PushStarted
    | LayerEnded
    | ConfigEnded
    | ManifestEnded
    | PushResult
    | PushFailure
    | Note
    | Warned
    | RunStarted
    | RunEnded
)


class Reporter(Protocol):
    """Who is told. Nothing a reporter does may end the push."""

    @property
    def wants_notes(self) -> bool:
        """Whether `Note`s are shown; where not, nobody needs to word them."""

    @property
    def interval(self) -> float | None:
        """Seconds between calls of `progress`; None where none are wanted."""

    def emit(self, event: Event, push: int = 0) -> None:
        """Something happened in the push of this number, from 1; 0: to no single one."""

    def progress(self, progress: Progress) -> None:
        """Where the pushes stand now."""


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells `reporter` of the push `number`."""

    reporter: Reporter
    number: int = 0

    def emit(self, event: Event) -> None:
        """Something happened in it."""
        self.reporter.emit(event, self.number)

    def note(self, text: str) -> None:
        """A line for `--verbose`."""
        if self.reporter.wants_notes:
            self.reporter.emit(Note(text), self.number)
