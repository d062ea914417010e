"""A blob whose body broke, or is too large for one request, without a socket."""

from __future__ import annotations

import itertools

import pytest

from idpbuilder.errors import BodyTooLarge, Unreachable
from idpbuilder.registry.habits import LEAST_CHUNK, MOST_CHUNK, Habits, Probe
from idpbuilder.registry.open_upload import RESUME_FROM
from idpbuilder.registry.upload import BlobUpload
from idpbuilder.registry.upload_state import State
from idpbuilder.wire import (
    Body,
    BytesBody,
    FailureKind,
    Request,
    Response,
    TransportFailure,
    Trust,
)
from tests.registry.exchange import BASE, BROKEN, DIGEST, ENDPOINT, answer, asks, meet

MIB = 1024 * 1024
SIZE = 10 * MIB
SESSION = f"{BASE}/blobs/uploads/1"
MOVED = f"{BASE}/blobs/uploads/2?state=x"
DIGEST_QUERY = f"digest={str(DIGEST).replace(':', '%3A')}"
HEAD = f"HEAD {BASE}/blobs/{DIGEST}"
PLAIN = f"POST {BASE}/blobs/uploads/"
GET = f"GET {SESSION}"
UNREACHED = TransportFailure(FailureKind.CONNECT, "the connection was refused")


class Zeros:
    """A body of so many bytes that takes no memory."""

    def __init__(self, size: int) -> None:
        self.size = size

    def open(self, start: int = 0) -> None:
        raise AssertionError("a machine reads nothing")


def upload(size: int = SIZE, habits: Habits | None = None, resume: str | None = None) -> BlobUpload:
    body: Body = Zeros(size)  # type: ignore[assignment]
    return BlobUpload(
        ENDPOINT,
        "team/app",
        DIGEST,
        body,
        habits=habits or Habits(probe=Probe.HONEST),
        trust=Trust(),
        resume=resume,
    )


def opened(machine: BlobUpload, **headers: str) -> BlobUpload:
    """The machine, once its session is open."""
    machine.next_call()
    machine.receive(answer(202, Location=SESSION, **headers))
    return machine


def holding(count: int, **headers: str) -> Response:
    """What a session answers that holds so many bytes."""
    return answer(204, url=SESSION, Range=f"0-{count - 1}", **headers)


def sent(request: Request) -> tuple[str, str | None, int | None]:
    """The line, the Content-Range and the body's size."""
    size = request.body.size if request.body else None
    return f"{request.method} {request.url}", dict(request.headers).get("Content-Range"), size


def after_a_break(handed: int, habits: Habits | None = None) -> BlobUpload:
    machine = opened(upload(habits=habits))
    machine.next_call()
    machine.transfer_failed(BROKEN, handed)
    return machine


def test_after_a_break_the_session_is_asked_and_gets_what_it_lacks_at_its_new_place() -> None:
    machine = after_a_break(7 * MIB)
    assert asks(machine) == GET
    machine.receive(holding(6 * MIB, Location=MOVED))
    line, content_range, size = sent(machine.next_call().request)
    assert line == f"PUT {MOVED}&{DIGEST_QUERY}"
    assert content_range == f"{6 * MIB}-{SIZE - 1}"
    assert size == 4 * MIB
    machine.receive(answer(201))
    assert machine.state is State.DONE


def test_without_a_new_place_the_old_one_is_gone_on_with() -> None:
    machine = after_a_break(7 * MIB)
    machine.next_call()
    machine.receive(answer(204, url=SESSION, Range=f"bytes=0-{MIB - 1}"))
    assert asks(machine).startswith(f"PUT {SESSION}?")


def test_a_body_that_hardly_began_is_not_worth_a_question() -> None:
    assert asks(after_a_break(RESUME_FROM - 1)) == HEAD


@pytest.mark.parametrize(
    "said",
    [
        holding(8 * MIB),
        answer(204, url=SESSION),
        answer(204, url=SESSION, Range="0-0"),
        answer(204, url=SESSION, Range="junk"),
        answer(404, url=SESSION),
        answer(405, url=SESSION),
    ],
    ids=["more than it got", "nothing", "one byte or none", "junk", "gone", "not allowed"],
)
def test_a_session_that_does_not_tell_the_truth_is_left_for_a_new_one(said: Response) -> None:
    machine = after_a_break(7 * MIB)
    machine.next_call()
    assert machine.receive(said) is None
    # its answer may have been lost alone
    assert asks(machine) == HEAD
    machine.receive(answer(404))
    assert asks(machine) == PLAIN
    assert machine.abandoned == ([] if said.status == 404 else [SESSION])


def test_a_registry_that_ends_broken_sessions_is_not_asked_twice() -> None:
    habits = Habits(probe=Probe.HONEST)
    machine = after_a_break(7 * MIB, habits)
    machine.next_call()
    machine.receive(answer(404, url=SESSION))
    assert not habits.resumes
    assert asks(after_a_break(7 * MIB, habits)) == HEAD


def test_a_session_that_stands_still_is_given_a_second_chance_and_no_third() -> None:
    machine = after_a_break(7 * MIB)
    machine.next_call()
    machine.receive(holding(6 * MIB))
    for expected in (GET, HEAD):
        machine.next_call()
        machine.transfer_failed(BROKEN, 0)
        assert asks(machine) == GET
        machine.receive(holding(6 * MIB))
        if expected == HEAD:
            assert asks(machine) == HEAD


def test_each_step_forward_is_a_step_of_its_own_for_whoever_counts_tries() -> None:
    machine = after_a_break(2 * MIB)
    steps = []
    for held in (2 * MIB, 4 * MIB, 6 * MIB):
        machine.next_call()
        machine.receive(holding(held))
        steps.append(machine.step)
        machine.next_call()
        machine.transfer_failed(BROKEN, 2 * MIB)
    assert len(set(steps)) == 3


def test_a_session_that_holds_all_is_closed_by_an_empty_put() -> None:
    machine = after_a_break(SIZE)
    machine.next_call()
    machine.receive(holding(SIZE))
    assert sent(machine.next_call().request) == (f"PUT {SESSION}?{DIGEST_QUERY}", None, None)
    assert machine.state is State.COMMITTING
    # it was closed before, and its answer lost
    machine.transfer_failed(BROKEN)
    assert asks(machine) == GET
    machine.receive(answer(404, url=SESSION))
    assert asks(machine) == HEAD


def test_a_session_that_holds_all_and_is_too_busy_to_be_closed_is_closed_later() -> None:
    machine = after_a_break(SIZE)
    machine.next_call()
    machine.receive(holding(SIZE))
    for _ in range(5):
        assert sent(machine.next_call().request)[2] is None
        assert machine.receive(answer(503, url=SESSION)) is not None
        assert asks(machine) == GET
        machine.receive(holding(SIZE))
    assert machine.state is State.COMMITTING


def test_one_that_cannot_be_closed_is_left_for_a_new_one() -> None:
    machine = after_a_break(SIZE)
    machine.next_call()
    machine.receive(holding(SIZE))
    for _ in range(2):
        machine.next_call()
        machine.receive(answer(500, url=SESSION))
        assert asks(machine) == GET
        machine.receive(holding(SIZE))
    assert asks(machine) == HEAD


@pytest.mark.parametrize("happening", [answer(503, url=SESSION), UNREACHED])
def test_a_session_that_could_not_move_does_not_stand_still(
    happening: Response | TransportFailure,
) -> None:
    machine = after_a_break(7 * MIB)
    machine.next_call()
    machine.receive(holding(6 * MIB))
    for _ in range(5):
        if isinstance(happening, Response):
            meet(machine, happening)
        else:
            machine.next_call()
            machine.transfer_failed(happening, 0)
        assert asks(machine) == GET
        machine.receive(holding(6 * MIB))
        assert asks(machine).startswith("PUT")


def test_a_registry_that_takes_a_byte_of_each_try_has_no_endless_tries() -> None:
    machine = after_a_break(2 * MIB)
    steps = set()
    for held in range(2 * MIB, 2 * MIB + 100):
        assert asks(machine) == GET
        machine.receive(holding(held))
        machine.next_call()
        steps.add(machine.step)
        machine.transfer_failed(BROKEN, (3 + held % 2) * MIB)
    assert len(steps) == 1


def test_a_session_that_fails_at_being_asked_is_left_for_a_new_one() -> None:
    machine = after_a_break(7 * MIB)
    machine.next_call()
    assert machine.receive(answer(500, url=SESSION)) is not None
    assert asks(machine) == GET
    assert machine.receive(answer(500, url=SESSION)) is None
    assert asks(machine) == HEAD


def test_whoever_may_not_ask_a_session_may_still_open_another() -> None:
    machine = after_a_break(7 * MIB)
    assert machine.next_call().lenient
    machine.receive(answer(401, url=SESSION))
    assert asks(machine) == HEAD
    assert not machine.next_call().lenient


def test_two_breaks_of_which_the_second_came_at_once_are_no_limit() -> None:
    habits = Habits(probe=Probe.HONEST)
    machine = after_a_break(7 * MIB, habits)
    machine.next_call()
    machine.receive(holding(7 * MIB))
    machine.next_call()
    machine.transfer_failed(BROKEN, 1_000)
    assert asks(machine) == GET
    assert habits.chunk == 0


def test_a_refused_digest_after_going_on_is_the_sessions_fault_and_starts_anew() -> None:
    habits = Habits(probe=Probe.HONEST)
    machine = after_a_break(7 * MIB, habits)
    machine.next_call()
    machine.receive(holding(6 * MIB))
    machine.next_call()
    found = machine.receive(answer(400, code="DIGEST_INVALID"))
    assert found is not None
    assert not found.doubts_body
    assert not habits.resumes
    assert asks(machine) == PLAIN


def test_what_an_earlier_run_left_is_asked_first() -> None:
    machine = upload(resume=SESSION)
    assert asks(machine) == GET
    machine.receive(holding(9 * MIB, Location=MOVED))
    assert sent(machine.next_call().request)[1:] == (f"{9 * MIB}-{SIZE - 1}", MIB)


@pytest.mark.parametrize("status", [401, 403, 404, 410, 500, 503, 204])
def test_what_was_left_and_is_no_use_costs_one_question(status: int) -> None:
    machine = upload(resume=SESSION)
    assert machine.next_call().lenient
    assert machine.receive(answer(status, url=SESSION)) is None
    assert asks(machine).startswith(f"{PLAIN}?mount=")
    # it may be anything, and what is no session must not be deleted
    assert machine.abandoned == []


def test_what_was_left_and_holds_more_than_there_is_is_closed() -> None:
    machine = upload(resume=SESSION)
    machine.next_call()
    machine.receive(holding(SIZE + 1))
    assert machine.abandoned == [SESSION]


def test_what_was_left_at_a_host_that_is_gone_costs_one_question() -> None:
    machine = upload(resume="https://storage.example.com/1")
    machine.next_call()
    assert machine.transfer_failed(BROKEN) is None
    assert asks(machine).startswith(f"{PLAIN}?mount=")


# -- in chunks


def in_chunks(machine: BlobUpload) -> list[tuple[str, str | None, int | None]]:
    """All that the machine sends from here to its end, each piece taken."""
    requests = []
    for number in itertools.count():
        requests.append(sent(machine.next_call().request))
        chunking = machine.state is State.CHUNKING
        place = f"{BASE}/blobs/uploads/{number}"
        machine.receive(answer(202 if chunking else 201, url=SESSION, Location=place))
        if machine.ended:
            return requests
    raise AssertionError


def test_a_body_that_is_too_large_goes_in_chunks_and_the_next_one_at_once() -> None:
    habits = Habits(probe=Probe.HONEST)
    machine = opened(upload(habits=habits))
    machine.next_call()
    assert machine.receive(answer(413)) is None
    assert asks(machine) == PLAIN
    machine.receive(answer(202, Location=SESSION))
    pieces = in_chunks(machine)
    chunk = SIZE // 4
    assert [size for _, _, size in pieces] == [chunk] * 4 + [None]
    assert pieces[0][:2] == (f"PATCH {SESSION}", f"0-{chunk - 1}")
    assert pieces[1][:2] == (f"PATCH {BASE}/blobs/uploads/0", f"{chunk}-{2 * chunk - 1}")
    assert pieces[-1][0] == f"PUT {BASE}/blobs/uploads/3?{DIGEST_QUERY}"
    assert machine.state is State.DONE
    assert opened(upload(habits=habits)).next_call().request.method == "PATCH"


def test_chunks_that_are_too_large_become_smaller_down_to_what_all_take() -> None:
    habits = Habits(probe=Probe.HONEST)
    machine = opened(upload(1024 * MIB, habits))
    for size in (1024 * MIB, MOST_CHUNK, MOST_CHUNK // 4, MOST_CHUNK // 16):
        assert sent(machine.next_call().request)[2] == size
        machine.receive(answer(413))
        machine.next_call()
        machine.receive(answer(202, Location=SESSION))
    assert sent(machine.next_call().request)[2] == LEAST_CHUNK
    with pytest.raises(BodyTooLarge):
        machine.receive(answer(413))


def test_a_blob_that_nothing_could_make_smaller_is_refused_at_once() -> None:
    machine = opened(upload(LEAST_CHUNK))
    machine.next_call()
    with pytest.raises(BodyTooLarge):
        machine.receive(answer(413))


def test_announced_limits_are_obeyed_from_the_start() -> None:
    machine = opened(upload(), OCI_Chunk_Max_Length=str(4 * MIB))
    assert [size for _, _, size in in_chunks(machine)] == [4 * MIB, 4 * MIB, 2 * MIB, None]


def test_a_chunk_is_no_smaller_than_the_registry_wants_it() -> None:
    machine = opened(
        upload(habits=Habits(probe=Probe.HONEST, chunk=MIB)),
        OCI_Chunk_Min_Length=str(5 * MIB),
    )
    assert [size for _, _, size in in_chunks(machine)] == [5 * MIB, 5 * MIB, None]


def test_a_least_size_that_something_on_the_way_refuses_ends_the_upload() -> None:
    machine = opened(upload(), OCI_Chunk_Min_Length=str(5 * MIB))
    for size in (SIZE, 5 * MIB, 5 * MIB):
        assert sent(machine.next_call().request)[2] == size
        if machine.abandoned[1:]:
            break
        machine.receive(answer(413))
        opened(machine, OCI_Chunk_Min_Length=str(5 * MIB))
    with pytest.raises(BodyTooLarge):
        machine.receive(answer(413))


@pytest.mark.parametrize("known", [0, 1, -7])
@pytest.mark.parametrize("most", ["1", "0"])
def test_no_limit_takes_a_blob_to_pieces_of_a_byte(known: int, most: str) -> None:
    machine = opened(
        upload(habits=Habits(probe=Probe.HONEST, chunk=known)), OCI_Chunk_Max_Length=most
    )
    assert len(in_chunks(machine)) <= SIZE // LEAST_CHUNK + 1


def test_announced_limits_are_obeyed_after_a_break_too() -> None:
    machine = opened(upload(), OCI_Chunk_Max_Length=str(4 * MIB))
    machine.next_call()
    machine.transfer_failed(BROKEN, 2 * MIB)
    machine.next_call()
    machine.receive(holding(2 * MIB))
    assert [size for _, _, size in in_chunks(machine)] == [4 * MIB, 4 * MIB, None]


def test_a_least_size_alone_is_no_reason_for_chunks() -> None:
    machine = opened(upload(), OCI_Chunk_Min_Length=str(5 * MIB))
    assert machine.next_call().request.method == "PUT"


def test_after_a_broken_chunk_the_session_says_where_to_go_on() -> None:
    machine = opened(upload(habits=Habits(probe=Probe.HONEST, chunk=4 * MIB)))
    machine.next_call()
    machine.receive(answer(202, Location=SESSION))
    machine.next_call()
    machine.transfer_failed(BROKEN, 2 * MIB)
    assert asks(machine) == GET
    machine.receive(holding(5 * MIB))
    assert sent(machine.next_call().request)[1:] == (f"{5 * MIB}-{9 * MIB - 1}", 4 * MIB)


def test_two_breaks_at_the_same_place_are_taken_for_a_limit() -> None:
    machine = after_a_break(600_000)
    assert asks(machine) == HEAD
    machine.receive(answer(404))
    machine.next_call()
    machine.receive(answer(202, Location=SESSION))
    machine.next_call()
    assert machine.transfer_failed(BROKEN, 650_000) is not None
    assert asks(machine) == PLAIN
    machine.receive(answer(202, Location=SESSION))
    assert machine.next_call().request.method == "PATCH"


def test_breaks_at_different_places_are_not() -> None:
    machine = after_a_break(100_000)
    machine.next_call()
    machine.receive(answer(404))
    machine.next_call()
    machine.receive(answer(202, Location=SESSION))
    machine.next_call()
    machine.transfer_failed(BROKEN, 900_000)
    assert asks(machine) == HEAD


def test_a_session_at_another_host_that_cannot_be_asked_is_named_by_its_host() -> None:
    machine = opened(upload())
    machine.next_call()
    machine.transfer_failed(BROKEN, 7 * MIB)
    machine.next_call()
    found = machine.transfer_failed(BROKEN)
    assert found is not None
    assert isinstance(found.error, Unreachable)
    assert machine.state is State.QUERYING


def test_a_part_of_bytes_in_memory_is_read_from_its_start() -> None:
    reader = BytesBody(b"0123456789").open(7)
    buffer = memoryview(bytearray(5))
    assert (reader.readinto(buffer), bytes(buffer[:3])) == (3, b"789")
