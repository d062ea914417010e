from __future__ import annotations

from idpbuilder.push.pace import ENOUGH, FEW, MANY, STUCK, Pace


def begun(pace: Pace, size: int, most: int = 1_000) -> int:
    """How many blobs of `size` bytes may be begun, one after the other."""
    for count in range(most):
        if not pace.lets_begin(size):
            return count
        pace.begin(size)
    return most


def test_small_blobs_are_begun_by_the_dozen() -> None:
    assert begun(Pace(), 1_000) == MANY


def test_of_large_blobs_only_a_few_are_begun() -> None:
    assert begun(Pace(), 10 * ENOUGH) == FEW


def test_blobs_of_middle_size_are_begun_until_there_is_enough_to_send() -> None:
    assert begun(Pace(), ENOUGH // 20) == 20


def test_a_blob_that_ended_makes_room() -> None:
    pace = Pace()
    begun(pace, ENOUGH)
    pace.end(ENOUGH)
    assert begun(pace, ENOUGH) == 1


def test_jobs_are_as_many_as_were_asked_for_whatever_the_sizes() -> None:
    assert begun(Pace(3), 1) == 3
    assert begun(Pace(20), 10 * ENOUGH) == 20


def sent(pace: Pace, count: int) -> list[int]:
    return [pace.sent() for _ in range(count)]


def room(pace: Pace) -> int:
    """How many more requests may go out."""
    count = 0
    while pace.lets_send:
        pace.sent()
        count += 1
    return count


def test_without_trouble_requests_are_not_held_back() -> None:
    pace = Pace()
    sent(pace, 500)
    assert pace.lets_send


def test_trouble_halves_what_may_be_under_way_once_for_all_that_were_under_way_together() -> None:
    pace = Pace()
    for ticket in sent(pace, 32):
        pace.answered(ticket, well=False)
    assert room(pace) == 16


def test_trouble_that_goes_on_leaves_one_request_at_a_time() -> None:
    pace = Pace()
    for _ in range(20):
        pace.answered(pace.sent(), well=False)
    assert room(pace) == 1


def test_each_answer_without_trouble_makes_room_for_one_more() -> None:
    pace = Pace()
    for ticket in sent(pace, 8):
        pace.answered(ticket, well=False)
    for _ in range(3):
        pace.answered(pace.sent(), well=True)
    assert room(pace) == 4 + 3


def test_a_hush_holds_until_its_end_and_a_shorter_one_does_not_end_it() -> None:
    pace = Pace()
    pace.hush(30.0)
    pace.hush(20.0)
    assert pace.quiet(25.0) == 5.0
    assert pace.quiet(30.0) == 0.0


def test_where_all_that_are_under_way_hang_one_more_goes_out_from_time_to_time() -> None:
    pace = Pace()
    pace.answered(sent(pace, 2)[0], well=False, now=5.0)
    assert not pace.lets_send
    assert not pace.lets_one_more(5.0 + STUCK / 2)
    assert pace.lets_one_more(5.0 + STUCK)
    pace.sent(5.0 + STUCK)
    assert not pace.lets_one_more(5.0 + STUCK)
