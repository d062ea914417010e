"""A blob's way into a repository, without a socket."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable

import pytest

from idpbuilder.errors import (
    BodyTooLarge,
    ContentRefused,
    Forbidden,
    ImageChanged,
    ImageUnreadable,
    Incompatible,
    PushError,
    RegistryFailed,
    RepositoryNotFound,
    Unreachable,
)
from idpbuilder.registry.habits import LEAST_CHUNK, Habits, Probe
from idpbuilder.registry.upload import DOUBT_SIZE, BlobUpload
from idpbuilder.registry.upload_state import TRANSITIONS, State
from idpbuilder.wire import BytesBody, FailureKind, Response, TransportFailure, Trust
from tests.registry.exchange import BASE, BROKEN, DIGEST, ENDPOINT, UNUSABLE, answer, asks, meet

QUOTED = str(DIGEST).replace(":", "%3A")
PROBE = f"POST {BASE}/blobs/uploads/?mount={QUOTED}&from=team%2Fapp"
MOUNT = f"POST {BASE}/blobs/uploads/?mount={QUOTED}&from=team%2Fbase"
PLAIN = f"POST {BASE}/blobs/uploads/"
HEAD = f"HEAD {BASE}/blobs/{DIGEST}"
SESSION = f"{BASE}/blobs/uploads/1?state=s"
PUT = f"PUT {SESSION}&digest={QUOTED}"


def upload(
    habits: Habits | None = None, *, size: int = 7, mount_from: str | None = None
) -> BlobUpload:
    return BlobUpload(
        ENDPOINT,
        "team/app",
        DIGEST,
        BytesBody(b"x" * size),
        habits=habits or Habits(),
        trust=Trust(),
        mount_from=mount_from,
    )


def sending(habits: Habits | None = None) -> BlobUpload:
    machine = upload(habits)
    assert asks(machine) == PROBE
    machine.receive(answer(202, Location=SESSION))
    assert asks(machine) == PUT
    return machine


def test_a_new_blob_takes_one_request_to_start_and_one_to_send() -> None:
    machine = sending()
    assert machine.receive(answer(201)) is None
    assert machine.state is State.DONE
    assert machine.session is None


def test_a_blob_that_is_there_is_found_by_the_mount_probe_alone() -> None:
    machine, habits = upload(), Habits()
    machine = upload(habits)
    assert asks(machine) == PROBE
    machine.receive(answer(201))
    assert machine.state is State.EXISTS
    assert habits.probe is Probe.HONEST


def test_the_body_goes_out_as_octets_whatever_libcurl_would_call_it() -> None:
    request = sending().next_call().request
    assert dict(request.headers)["Content-Type"] == "application/octet-stream"
    assert request.body is not None
    assert request.body.size == 7


def test_a_location_without_a_query_gets_the_digest_behind_a_question_mark() -> None:
    machine = upload()
    machine.next_call()
    machine.receive(answer(202, Location="/v2/team/app/blobs/uploads/2"))
    assert asks(machine) == f"PUT {BASE}/blobs/uploads/2?digest={QUOTED}"


def test_a_session_without_a_location_is_an_incompatible_answer() -> None:
    machine = upload()
    machine.next_call()
    with pytest.raises(Incompatible, match="without a Location"):
        machine.receive(answer(202))
    assert machine.state is State.FAILED


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_success_that_registries_answer_to_the_last_put_is_taken(status: int) -> None:
    machine = sending()
    machine.receive(answer(status))
    assert machine.state is State.DONE


def test_a_registry_that_stored_another_digest_is_found_out() -> None:
    machine = sending()
    with pytest.raises(ContentRefused, match="another digest"):
        machine.receive(answer(201, Docker_Content_Digest="sha256:" + "0" * 64))


def test_a_stored_digest_of_another_algorithm_says_nothing() -> None:
    machine = sending()
    machine.receive(answer(201, Docker_Content_Digest="sha512:" + "0" * 128))
    assert machine.state is State.DONE


def test_a_mount_that_is_refused_with_202_goes_on_in_its_session() -> None:
    machine = upload(mount_from="team/base")
    assert asks(machine) == MOUNT
    machine.receive(answer(202, Location=SESSION))
    assert asks(machine) == PUT


def test_a_mount_that_succeeds_sends_nothing() -> None:
    machine = upload(mount_from="team/base")
    machine.next_call()
    machine.receive(answer(201))
    assert machine.state is State.MOUNTED


@pytest.mark.parametrize("status", [400, 401, 403, 405])
def test_a_mount_error_is_no_failure_and_is_remembered_for_its_source(status: int) -> None:
    habits = Habits()
    machine = upload(habits, mount_from="team/base")
    machine.next_call()
    assert machine.receive(answer(status)) is None
    assert asks(machine) == PROBE
    assert asks(upload(habits, mount_from="team/base")) == PROBE
    assert "from=team%2Fother" in asks(upload(habits, mount_from="team/other"))


def test_a_mount_is_lenient_and_asks_for_the_push_scope_first() -> None:
    call = upload(mount_from="team/base").next_call()
    assert call.lenient
    assert [scope.text for scope in call.scopes] == [
        "repository:team/app:pull,push",
        "repository:team/base:pull",
    ]


def test_no_mount_is_ever_asked_for_without_its_source() -> None:
    for source in (None, "team/base", "team/app"):
        url = asks(upload(mount_from=source))
        assert ("mount=" in url) == ("from=" in url)


@pytest.mark.parametrize("status", [400, 403, 404, 405, 422, 501])
def test_a_registry_that_knows_no_mounts_is_asked_by_head_and_plain_post(status: int) -> None:
    habits = Habits()
    machine = upload(habits)
    machine.next_call()
    machine.receive(answer(status))
    assert asks(machine) == HEAD
    machine.receive(answer(404))
    assert asks(machine) == PLAIN
    assert asks(upload(habits)) == HEAD


def test_a_large_blob_is_not_sent_before_a_head_where_every_probe_answers_202() -> None:
    habits = Habits()
    machine = upload(habits, size=DOUBT_SIZE)
    machine.next_call()
    machine.receive(answer(202, Location=SESSION))
    assert asks(machine) == HEAD
    machine.receive(answer(200))
    assert machine.state is State.EXISTS
    assert machine.session == SESSION, "the session is there to be cancelled"
    assert habits.probe is Probe.USELESS


def test_a_large_blob_that_is_missing_goes_into_the_session_of_its_probe() -> None:
    machine = upload(size=DOUBT_SIZE)
    machine.next_call()
    machine.receive(answer(202, Location=SESSION))
    machine.next_call()
    machine.receive(answer(404))
    assert asks(machine) == PUT


def test_a_probe_that_was_honest_once_is_believed_for_large_blobs_too() -> None:
    machine = upload(Habits(probe=Probe.HONEST), size=DOUBT_SIZE)
    machine.next_call()
    machine.receive(answer(202, Location=SESSION))
    assert asks(machine) == PUT


def test_a_head_that_is_not_allowed_is_asked_again_as_a_get_of_one_byte() -> None:
    machine = upload(Habits(probe=Probe.USELESS))
    machine.next_call()
    machine.receive(answer(405))
    call = machine.next_call()
    assert call.request.method == "GET"
    assert ("Range", "bytes=0-0") in call.request.headers
    machine.receive(answer(206))
    assert machine.state is State.EXISTS


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_head_that_leads_to_storage_elsewhere_says_that_the_blob_is_there(status: int) -> None:
    machine = upload(Habits(probe=Probe.USELESS))
    assert asks(machine) == HEAD
    machine.receive(answer(status, Location="https://storage.example.com/x"))
    assert machine.state is State.EXISTS
    machine = sending()
    machine.transfer_failed(BROKEN)
    machine.next_call()
    machine.receive(answer(status))
    assert machine.state is State.DONE


def test_a_head_and_a_get_that_are_forbidden_leave_the_word_to_the_post() -> None:
    machine = upload(Habits(probe=Probe.USELESS))
    machine.next_call()
    assert machine.receive(answer(403)) is None
    assert asks(machine) == f"GET {BASE}/blobs/{DIGEST}"
    assert machine.receive(answer(403)) is None
    assert asks(machine) == PLAIN
    with pytest.raises(Forbidden, match="DENIED: m"):
        machine.receive(answer(403, code="DENIED"))


def test_a_broken_body_is_never_sent_again_into_its_session() -> None:
    machine = sending()
    assert machine.transfer_failed(BROKEN) is not None
    assert asks(machine) == HEAD
    machine.receive(answer(404))
    assert asks(machine) == PLAIN
    machine.receive(answer(202, Location=f"{BASE}/blobs/uploads/2"))
    assert asks(machine).startswith(f"PUT {BASE}/blobs/uploads/2?")


def test_a_put_whose_answer_was_lost_is_found_done_by_a_head() -> None:
    machine = sending()
    machine.transfer_failed(BROKEN)
    assert asks(machine) == HEAD
    machine.receive(answer(200))
    assert machine.state is State.DONE


def test_a_put_that_answers_404_is_looked_for_before_it_is_sent_again() -> None:
    machine = sending()
    found = machine.receive(answer(404, code="BLOB_UPLOAD_UNKNOWN"))
    assert found is not None
    assert isinstance(found.error, RepositoryNotFound)
    assert asks(machine) == HEAD


@pytest.mark.parametrize("code", ["BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN"])
def test_a_lost_session_is_retried_on_a_new_one(code: str) -> None:
    machine = sending()
    assert machine.receive(answer(400, code=code)) is not None
    machine.next_call()
    machine.receive(answer(404))
    assert asks(machine) == PLAIN


def test_a_refused_digest_asks_for_a_look_at_the_local_bytes() -> None:
    machine = sending()
    found = machine.receive(answer(400, code="DIGEST_INVALID"))
    assert found is not None
    assert found.doubts_body
    assert isinstance(found.error, ContentRefused)
    assert asks(machine) == PLAIN


def test_a_digest_that_is_refused_twice_is_not_sent_a_third_time() -> None:
    machine = sending()
    assert machine.receive(answer(400, code="DIGEST_INVALID")) is not None
    machine.next_call()
    machine.receive(answer(202, Location=SESSION))
    assert asks(machine) == PUT
    with pytest.raises(ContentRefused, match="DIGEST_INVALID"):
        machine.receive(answer(400, code="DIGEST_INVALID"))
    assert machine.state is State.FAILED
    assert machine.session == SESSION, "the session is there to be cancelled"


def test_an_invalid_upload_answered_400_may_mean_the_body_and_asks_for_a_look_at_it() -> None:
    machine = sending()
    found = machine.receive(answer(400, code="BLOB_UPLOAD_INVALID"))
    assert found is not None
    assert found.doubts_body
    assert asks(machine) == HEAD
    found = sending().receive(answer(416, code="BLOB_UPLOAD_INVALID"))
    assert found is not None
    assert not found.doubts_body


def test_a_session_that_is_given_up_with_bytes_in_it_is_kept_to_be_cancelled() -> None:
    machine = sending()
    machine.transfer_failed(BROKEN)
    assert machine.session is None
    assert machine.abandoned == [SESSION]
    for status, code in ((503, ""), (416, ""), (400, "DIGEST_INVALID")):
        machine = sending()
        machine.receive(answer(status, code=code))
        assert machine.abandoned == [SESSION]


@pytest.mark.parametrize(("status", "code"), [(404, ""), (400, "BLOB_UPLOAD_UNKNOWN")])
def test_a_session_that_is_gone_needs_no_cancelling(status: int, code: str) -> None:
    machine = sending()
    machine.receive(answer(status, code=code))
    assert machine.session is None
    assert machine.abandoned == []


def test_a_page_for_people_opens_no_session() -> None:
    machine = upload()
    machine.next_call()
    with pytest.raises(Incompatible, match="answered 200"):
        machine.receive(answer(200, body=b"<html>Sign in", Location=SESSION))


def test_a_server_error_after_the_body_is_a_setback_and_keeps_its_retry_after() -> None:
    machine = sending()
    found = machine.receive(answer(503, Retry_After="7"))
    assert found is not None
    assert found.retry_after == 7
    assert isinstance(found.error, RegistryFailed)
    assert asks(machine) == HEAD


def test_a_429_while_starting_asks_the_same_again() -> None:
    machine = upload()
    machine.next_call()
    found = machine.receive(answer(429, body=b"<html><h1>Slow down</h1></html>"))
    assert found is not None
    assert "Slow down" in found.error.message
    assert asks(machine) == PROBE


def test_a_body_that_is_too_large_ends_the_upload() -> None:
    machine = sending()
    with pytest.raises(BodyTooLarge):
        machine.receive(answer(413))
    assert machine.state is State.FAILED


def test_an_empty_blob_has_a_body_of_no_bytes() -> None:
    machine = upload(size=0)
    machine.next_call()
    machine.receive(answer(202, Location=SESSION))
    body = machine.next_call().request.body
    assert body is not None
    assert body.size == 0


def test_a_local_file_that_cannot_be_read_ends_the_upload_as_the_users_trouble() -> None:
    machine = sending()
    cause = OSError(5, "Input/output error")
    with pytest.raises(ImageUnreadable):
        machine.transfer_failed(TransportFailure(FailureKind.BODY_READ, "I/O error", cause))
    machine = sending()
    with pytest.raises(ImageChanged, match="shorter"):
        machine.transfer_failed(TransportFailure(FailureKind.BODY_READ, "short", EOFError()))


def test_a_session_at_another_host_that_fails_is_named_by_its_host() -> None:
    machine = upload()
    meet(machine, answer(202, Location="https://storage.example.com:444/u?sig=1"))
    machine.next_call()
    with pytest.raises(Unreachable, match=r"storage\.example\.com:444: the URL is malformed"):
        machine.transfer_failed(UNUSABLE)
    machine = upload()
    meet(machine, answer(202, Location="https://storage.example.com/u?sig=1"))
    machine.next_call()
    with pytest.raises(Forbidden, match=r"storage\.example\.com answered 403"):
        machine.receive(answer(403, url="https://storage.example.com/u?sig=1"))


def test_a_session_at_the_registry_that_fails_is_named_by_the_registry() -> None:
    machine = sending()
    machine.next_call()
    with pytest.raises(Unreachable, match=r"registry\.example\.com: the URL is malformed"):
        machine.transfer_failed(UNUSABLE)


def test_a_location_inside_this_network_is_refused_to_a_registry_outside_of_it() -> None:
    machine = upload()
    machine.next_call()
    with pytest.raises(Incompatible, match="an address of this link"):
        machine.receive(answer(202, Location="https://169.254.169.254/latest"))


def ways(
    machine: BlobUpload, path: Iterable[Response | TransportFailure]
) -> set[tuple[State, State]]:
    """The changes of state of an upload to which all of `path` happens."""
    states = [machine.state]
    for happening in path:
        if machine.ended:
            break
        machine.next_call()
        states.append(machine.state)
        with contextlib.suppress(PushError):
            meet(machine, happening)
        states.append(machine.state)
    return {(before, after) for before, after in itertools.pairwise(states) if before is not after}


BODY = BytesBody(bytes(2 * LEAST_CHUNK))


def left_half_sent(habits: Habits | None = None, resume: str | None = SESSION) -> BlobUpload:
    """An upload that an earlier run began; without `resume`, one of the same size."""
    return BlobUpload(
        ENDPOINT,
        "team/app",
        DIGEST,
        BODY,
        habits=habits or Habits(),
        trust=Trust(),
        resume=resume,
    )


LISTED = {(state, after) for state, others in TRANSITIONS.items() for after in others}


def test_every_state_takes_every_answer_without_leaving_the_table() -> None:
    statuses = [200, 201, 202, 204, 206, 301, 400, 401, 403, 404, 405, 409, 413, 416, 429, 500, 503]
    answers = [answer(status, Location=SESSION) for status in statuses]
    for path in itertools.product([*answers, BROKEN], repeat=3):
        assert ways(upload(mount_from="team/base"), path) <= LISTED
        assert ways(left_half_sent(), path) <= LISTED


def test_the_table_holds_the_ways_that_are_taken_and_no_other() -> None:
    statuses = [200, 202, 404, 413, 503]
    refused = answer(400, code="DIGEST_INVALID")
    answers = [*(answer(status, Location=SESSION) for status in statuses), answer(201), refused]
    taken: set[tuple[State, State]] = set()
    for probe, source in itertools.product(Probe, (None, "team/base")):
        for path in itertools.product([*answers, BROKEN, UNUSABLE], repeat=3):
            machine = upload(Habits(probe=probe), size=DOUBT_SIZE, mount_from=source)
            taken |= ways(machine, path)
    answers += [answer(204, Range=f"0-{last}") for last in (LEAST_CHUNK - 1, 2 * LEAST_CHUNK - 1)]
    for probe, chunk in itertools.product(Probe, (0, LEAST_CHUNK)):
        for path in itertools.product([*answers, BROKEN, UNUSABLE], repeat=3):
            taken |= ways(left_half_sent(Habits(probe=probe, chunk=chunk)), path)
            taken |= ways(left_half_sent(Habits(probe=probe, chunk=chunk), resume=None), path)
    # a restart is a way from a state to itself
    assert taken == {(state, after) for state, after in LISTED if state is not after}


def test_an_ended_upload_has_no_way_out() -> None:
    ends = {State.EXISTS, State.MOUNTED, State.DONE, State.FAILED}
    assert {state for state, after in TRANSITIONS.items() if not after} == ends
