from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from idpbuilder.transport.lanes import (
    BULK,
    FAR_WIDTH,
    LIGHT,
    NEAR,
    NEAR_WIDTH,
    SHARED_BYTES,
    STREAMS,
    Lanes,
)


@dataclass(frozen=True, eq=False)
class Waiting:
    """Something in line; `may_share` as what goes over TLS may."""

    name: str
    size: int | None = 0
    may_share: bool = False
    origin: str = "here"


def admitted(lanes: Lanes[Waiting]) -> list[tuple[str, bool]]:
    return [(item.name, share) for item, share in iter(lanes.next, None) if item]


def lined_up(width: int | None, items: Iterable[Waiting]) -> Lanes[Waiting]:
    lanes = Lanes[Waiting](width)
    for item in items:
        lanes.add(item)
    return lanes


def plain(names: str) -> list[Waiting]:
    return [Waiting(name) for name in names]


def questions(count: int) -> list[Waiting]:
    return [Waiting(f"q{number}", may_share=True) for number in range(count)]


def test_only_so_many_of_one_origin_are_let_through() -> None:
    lanes = lined_up(2, [*plain("abc"), Waiting("x", origin="there")])
    assert admitted(lanes) == [("a", False), ("b", False), ("x", False)]


def test_whoever_leaves_lets_the_next_one_through() -> None:
    items = plain("abc")
    lanes = lined_up(1, items)
    assert admitted(lanes) == [("a", False)]
    lanes.leave(items[0])
    assert admitted(lanes) == [("b", False)]
    lanes.leave(items[1])
    assert admitted(lanes) == [("c", False)]


def test_what_waits_in_line_can_be_dropped() -> None:
    items = plain("abc")
    lanes = lined_up(1, items)
    assert admitted(lanes) == [("a", False)]
    assert lanes.drop(items[1])
    lanes.leave(items[0])
    assert admitted(lanes) == [("c", False)]


def test_what_is_through_is_in_no_line() -> None:
    items = plain("a")
    lanes = lined_up(1, items)
    assert admitted(lanes) == [("a", False)]
    assert not lanes.drop(items[0])


def test_one_question_finds_out_whether_the_others_may_share() -> None:
    items = questions(5)
    lanes = lined_up(None, items)
    assert admitted(lanes) == [("q0", True)]
    lanes.learn("here", shares=True)
    lanes.leave(items[0])
    assert admitted(lanes) == [(f"q{number}", True) for number in range(1, 5)]


def test_where_nobody_shares_each_takes_a_connection() -> None:
    items = questions(NEAR_WIDTH + 2)
    lanes = lined_up(None, items)
    assert admitted(lanes) == [("q0", True)]
    lanes.learn("here", shares=False)
    lanes.leave(items[0])
    assert admitted(lanes) == [(f"q{number}", False) for number in range(1, NEAR_WIDTH + 1)]


def test_an_origin_that_once_failed_to_share_is_not_asked_to_again() -> None:
    items = questions(3)
    lanes = lined_up(None, items)
    lanes.learn("here", shares=True)
    lanes.learn("here", shares=False)
    lanes.learn("here", shares=True)
    assert admitted(lanes) == [("q0", False), ("q1", False), ("q2", False)]


def test_a_large_body_takes_a_connection_of_its_own_and_questions_pass_it_by() -> None:
    large = [Waiting(f"b{number}", BULK + 1, may_share=True) for number in range(NEAR_WIDTH + 1)]
    growing = Waiting("g", None, may_share=True)
    lanes = lined_up(None, [growing, *large, *questions(2)])
    lanes.learn("here", shares=True)
    through = admitted(lanes)
    assert through[0] == ("g", False)
    assert [name for name, share in through if share] == ["q0", "q1"]
    assert len(through) == NEAR_WIDTH + 2


def test_what_is_small_does_not_wait_for_bodies_that_fill_their_connections() -> None:
    bulk = [Waiting(f"b{number}", 10 * BULK) for number in range(NEAR_WIDTH + 1)]
    lanes = lined_up(None, [*bulk, *plain("abc"), Waiting("d", BULK)])
    expected = [f"b{number}" for number in range(NEAR_WIDTH)]
    assert admitted(lanes) == [(name, False) for name in (*expected, *"abcd")]


def test_a_width_that_was_asked_for_counts_for_all_of_them() -> None:
    lanes = lined_up(2, [Waiting("bulk", 10 * BULK), *plain("ab")])
    assert admitted(lanes) == [("bulk", False), ("a", False)]


def test_small_bodies_share_until_the_window_is_full_and_then_go_apart() -> None:
    fitting = SHARED_BYTES // LIGHT
    small = [Waiting(f"s{number}", LIGHT, may_share=True) for number in range(fitting + 2)]
    lanes = lined_up(None, small)
    lanes.learn("here", shares=True)
    assert [share for _, share in admitted(lanes)] == [True] * fitting + [False] * 2


def test_a_shared_connection_has_an_end_too() -> None:
    items = questions(STREAMS + NEAR_WIDTH + 5)
    lanes = lined_up(None, items)
    lanes.learn("here", shares=True)
    assert len(admitted(lanes)) == STREAMS + NEAR_WIDTH


@pytest.mark.parametrize(
    ("seconds", "width"), [(NEAR / 2, NEAR_WIDTH), (NEAR, FAR_WIDTH), (1.0, FAR_WIDTH)]
)
def test_what_is_far_gets_more_connections(seconds: float, width: int) -> None:
    lanes = lined_up(None, [Waiting(str(number), LIGHT * 2) for number in range(100)])
    lanes.measure("here", seconds)
    # a machine that is busy takes long over any distance
    lanes.measure("here", 2.0)
    assert len(admitted(lanes)) == width


def test_a_width_that_was_asked_for_holds_for_all_together_at_any_distance() -> None:
    both = [
        item
        for number, question in enumerate(questions(5))
        for item in (question, Waiting(f"b{number}", LIGHT * 2, may_share=True))
    ]
    lanes = lined_up(3, both)
    lanes.learn("here", shares=True)
    lanes.measure("here", 1.0)
    assert len(admitted(lanes)) == 3


def test_nothing_is_kept_of_what_is_through() -> None:
    items = [*plain("abcd"), *questions(4)]
    lanes = lined_up(1, items)
    lanes.drop(items[3])
    while (chosen := lanes.next()) is not None:
        lanes.leave(chosen[0])
    (lane,) = lanes._lanes.values()
    assert (lane.line, lane.apart, lane.sharers, lane.shared_bytes) == ([], 0, 0, 0)
    assert not lanes._inside
