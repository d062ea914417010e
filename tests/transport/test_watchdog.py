from __future__ import annotations

from dataclasses import dataclass
from math import inf

import pytest

from idpbuilder.transport.watchdog import Allowances, Phase, Watch, Watchdog

ALLOWANCES = Allowances(stall=60.0, answer=90.0, commit_rate=4_000_000)


@dataclass(frozen=True)
class Watched:
    watch: Watch
    moves: bool = False

    def still_moves(self) -> bool:
        return self.moves


def watched(phase: Phase, since: float, sent: int = 0, *, moves: bool = False) -> Watched:
    watch = Watch(ALLOWANCES, since)
    watch.enter(phase, since, sent)
    return Watched(watch, moves)


@pytest.mark.parametrize(
    ("phase", "sent", "seconds"),
    [
        (Phase.CONNECTING, 0, inf),
        (Phase.SENDING, 10**9, 60.0),
        (Phase.PAUSED, 10**9, inf),
        (Phase.AWAITING, 0, 90.0),
        (Phase.AWAITING, 1_000_000_000, 340.0),
        (Phase.RECEIVING, 10**9, 60.0),
    ],
)
def test_each_phase_has_its_own_allowance(phase: Phase, sent: int, seconds: float) -> None:
    assert watched(phase, 100.0, sent).watch.expires == 100.0 + seconds


def test_every_movement_starts_the_time_anew() -> None:
    watch = watched(Phase.SENDING, 0.0).watch
    watch.moved(50.0)
    assert watch.expires == 110.0
    watch.enter(Phase.AWAITING, 55.0, 4_000_000)
    assert watch.expires == 146.0


@pytest.mark.parametrize(
    ("phase", "complaint"),
    [
        (Phase.SENDING, "nothing could be sent for 60 s"),
        (Phase.AWAITING, "no answer came within 90 s"),
        (Phase.RECEIVING, "the answer stopped, and nothing more came for 60 s"),
    ],
)
def test_a_complaint_says_in_which_phase_and_for_how_long(phase: Phase, complaint: str) -> None:
    assert watched(phase, 0.0).watch.complaint == complaint


def test_only_what_stood_still_for_its_time_is_found() -> None:
    old, new = watched(Phase.SENDING, 0.0), watched(Phase.SENDING, 1.0)
    paused = watched(Phase.PAUSED, 0.0)
    dog = Watchdog(ALLOWANCES, 0.0)
    assert dog.look([old, new, paused], 59.9) == []
    assert dog.look([old, new, paused], 60.0) == [old]


def test_what_still_moves_is_looked_at_again_before_long() -> None:
    slow = watched(Phase.SENDING, 0.0, moves=True)
    dog = Watchdog(ALLOWANCES, 0.0)
    assert dog.look([slow], 60.0) == []
    assert dog.next_look == slow.watch.expires == 75.0
    assert dog.look([Watched(slow.watch)], 75.0) == [Watched(slow.watch)]


def test_the_next_look_is_when_the_first_could_expire() -> None:
    dog = Watchdog(ALLOWANCES, 0.0)
    assert dog.next_look == 60.0
    dog.look([watched(Phase.SENDING, 30.0), watched(Phase.AWAITING, 59.0)], 60.0)
    assert dog.next_look == 90.0


def test_what_begins_after_a_look_is_looked_at_in_time() -> None:
    dog = Watchdog(ALLOWANCES, 0.0)
    dog.look([watched(Phase.AWAITING, 100.0, 10**9)], 100.0)
    late = watched(Phase.SENDING, 100.5)
    assert dog.next_look <= late.watch.expires
