"""Which image comes next, where there are many."""

from __future__ import annotations

from idpbuilder.push.schedule import HEAVY, HEAVY_AT_ONCE, LIGHT_AT_ONCE, SHARED, Entry, Schedule


def begun(schedule: Schedule[str]) -> list[Entry[str]]:
    """All that may begin now."""
    entries = []
    while (entry := schedule.next()) is not None:
        entries.append(entry)
    return entries


def names(entries: list[Entry[str]]) -> list[str]:
    return [entry.what for entry in entries]


def test_small_images_do_not_wait_behind_large_ones() -> None:
    schedule = Schedule[str]()
    for number in range(10):
        schedule.add(f"large {number}", {f"l{number}": HEAVY})
    for number in range(50):
        schedule.add(f"small {number}", {f"s{number}": 1_000})
    first = names(begun(schedule))
    assert first[:HEAVY_AT_ONCE] == [f"large {number}" for number in range(HEAVY_AT_ONCE)]
    assert first[HEAVY_AT_ONCE:] == [f"small {number}" for number in range(LIGHT_AT_ONCE)]


def test_what_ended_makes_room_for_the_next_of_its_size() -> None:
    schedule = Schedule[str]()
    for number in range(10):
        schedule.add(f"large {number}", {f"l{number}": HEAVY})
    running = begun(schedule)
    assert not schedule.has_next
    schedule.ended(running[2])
    assert names(begun(schedule)) == [f"large {HEAVY_AT_ONCE}"]


def test_images_that_wait_for_a_layer_of_another_come_after_all_that_wait_for_nobody() -> None:
    schedule = Schedule[str]()
    for number in range(3):
        schedule.add(f"child {number}", {"base": HEAVY, f"top{number}": 1_000})
    schedule.add("stranger", {"other": 1_000})
    assert names(begun(schedule)) == ["child 0", "stranger", "child 1", "child 2"]


def test_nobody_waits_for_an_image_that_has_not_begun() -> None:
    schedule = Schedule[str]()
    for number in range(HEAVY_AT_ONCE):
        schedule.add(f"large {number}", {f"l{number}": HEAVY})
    schedule.add("base", {"base": HEAVY})
    schedule.add("child", {"base": HEAVY, "top": 1_000})
    running = begun(schedule)
    assert "child" not in names(running)
    schedule.ended(running[0])
    assert names(begun(schedule)) == ["base", "child"]


def test_a_blob_that_two_registries_need_counts_for_each() -> None:
    schedule = Schedule[str]()
    for registry in ("one", "two"):
        schedule.add(registry, {(registry, "base"): HEAVY})
    assert names(begun(schedule)) == ["one", "two"]


def test_small_blobs_that_images_share_are_not_waited_for() -> None:
    schedule = Schedule[str]()
    schedule.add("large", {"config": SHARED - 1, "layer": HEAVY})
    schedule.add("small", {"config": SHARED - 1})
    assert names(begun(schedule)) == ["large", "small"]


def test_what_is_not_known_yet_may_be_large() -> None:
    schedule = Schedule[str]()
    for number in range(10):
        schedule.add(str(number), None)
    assert len(begun(schedule)) == HEAVY_AT_ONCE


def test_it_is_over_when_the_last_one_ended() -> None:
    schedule = Schedule[str]()
    assert schedule.is_over
    schedule.add("image", {})
    (entry,) = begun(schedule)
    assert not schedule.is_over
    schedule.ended(entry)
    assert schedule.is_over
