"""How long a transfer may stand still, by what it is doing. Pure: the time is passed in.

libcurl's own limit on low speed fires late while sending, and takes a registry that digests a
large blob before it answers for one that has died.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Protocol, TypeVar


class Phase(Enum):
    """What a transfer is doing, and so what it may wait for."""

    CONNECTING = "connecting"  # libcurl has a limit of its own for this
    SENDING = "sending"
    PAUSED = "paused"  # by ourselves: there is no limit to that
    AWAITING = "awaiting"  # the request is out, and the answer not yet coming
    RECEIVING = "receiving"


@dataclass(frozen=True, slots=True)
class Allowances:
    """Seconds without a byte: `stall` while bytes should move, `answer` for the answer to begin
    and a second more for each `commit_rate` bytes that were sent.
    """

    stall: float
    answer: float
    commit_rate: int

    def of(self, phase: Phase, sent: int) -> float:
        """The limit for `phase` in seconds, after `sent` body bytes; infinite for none."""
        if phase is Phase.AWAITING:
            return self.answer + sent / self.commit_rate
        return self.stall if phase in (Phase.SENDING, Phase.RECEIVING) else inf

    @property
    def shortest(self) -> float:
        """No limit is below this."""
        return min(self.stall, self.answer)


class Watch:
    """Since when one transfer has been where it is."""

    __slots__ = ("_allowances", "allowance", "phase", "since")

    def __init__(self, allowances: Allowances, now: float) -> None:
        self._allowances = allowances
        self.phase = Phase.CONNECTING
        self.since = now
        self.allowance = inf

    def enter(self, phase: Phase, now: float, sent: int = 0) -> None:
        """Something moved, and left the transfer in `phase` with `sent` body bytes handed over."""
        self.phase = phase
        self.since = now
        self.allowance = self._allowances.of(phase, sent)

    def moved(self, now: float) -> None:
        """Something moved, and the phase is what it was."""
        self.since = now

    def extend(self, now: float) -> None:
        """Nothing moved, but the system's buffer is being emptied: look again before long."""
        self.since = now - self.allowance * 3 / 4

    @property
    def expires(self) -> float:
        """When the patience with this transfer ends."""
        return self.since + self.allowance

    @property
    def complaint(self) -> str:
        """What did not happen, and for how long."""
        seconds = f"{self.allowance:.3g} s"
        if self.phase is Phase.SENDING:
            return f"nothing could be sent for {seconds}"
        if self.phase is Phase.AWAITING:
            return f"no answer came within {seconds}"
        return f"the answer stopped, and nothing more came for {seconds}"


class Watched(Protocol):
    """What a watchdog looks after."""

    @property
    def watch(self) -> Watch:
        """Its watch."""

    def still_moves(self) -> bool:
        """Whether there is movement beyond what its watch can see."""


W = TypeVar("W", bound=Watched)


class Watchdog:
    """Finds transfers that stand still, and looks no more often than one could have expired."""

    __slots__ = ("_shortest", "next_look")

    def __init__(self, allowances: Allowances, now: float) -> None:
        self._shortest = allowances.shortest
        self.next_look = now + self._shortest

    def look(self, transfers: Iterable[W], now: float) -> list[W]:
        """Those whose time is over."""
        expired = []
        # what moves after this moment cannot expire before the shortest limit has passed
        self.next_look = now + self._shortest
        for transfer in transfers:
            if transfer.watch.expires <= now:
                if not transfer.still_moves():
                    expired.append(transfer)
                    continue
                transfer.watch.extend(now)
            self.next_look = min(self.next_look, transfer.watch.expires)
        return expired
