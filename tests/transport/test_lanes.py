from __future__ import annotations

from idpbuilder.transport.lanes import Lanes


def admitted(lanes: Lanes[str]) -> list[str]:
    return list(iter(lanes.next, None))


def test_only_so_many_of_one_origin_are_let_through() -> None:
    lanes = Lanes[str](2)
    for item in "abc":
        lanes.add(item, "here")
    lanes.add("x", "there")
    assert admitted(lanes) == ["a", "b", "x"]


def test_whoever_leaves_lets_the_next_one_through() -> None:
    lanes = Lanes[str](1)
    for item in "abc":
        lanes.add(item, "here")
    assert admitted(lanes) == ["a"]
    lanes.leave("here")
    assert admitted(lanes) == ["b"]
    lanes.leave("here")
    assert admitted(lanes) == ["c"]


def test_what_waits_in_line_can_be_dropped() -> None:
    lanes = Lanes[str](1)
    for item in "abc":
        lanes.add(item, "here")
    assert admitted(lanes) == ["a"]
    assert lanes.drop("b", "here")
    lanes.leave("here")
    assert admitted(lanes) == ["c"]


def test_what_is_through_is_in_no_line() -> None:
    lanes = Lanes[str](1)
    lanes.add("a", "here")
    assert admitted(lanes) == ["a"]
    assert not lanes.drop("a", "here")


def test_dropping_what_was_about_to_go_gives_its_place_to_the_next() -> None:
    lanes = Lanes[str](1)
    lanes.add("a", "here")
    lanes.add("b", "here")
    assert lanes.drop("a", "here")
    assert admitted(lanes) == ["b"]


def test_nothing_is_kept_of_an_origin_that_is_done() -> None:
    lanes = Lanes[str](1)
    for item in "abcd":
        lanes.add(item, "here")
    lanes.drop("d", "here")
    while lanes.next() is not None:
        lanes.leave("here")
    assert (lanes._inside, lanes._lines, list(lanes._ready)) == ({}, {}, [])
