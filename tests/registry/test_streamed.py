"""A blob that is sent while it is made, without a socket."""

from __future__ import annotations

import pytest

from idpbuilder.image import Digest
from idpbuilder.registry.streamed import TRANSITIONS, State, StreamedUpload
from idpbuilder.wire import BytesBody, FailureKind, Response, TransportFailure, Trust
from tests.registry.exchange import BASE, BROKEN, DIGEST, ENDPOINT, answer, asks, meet

QUOTED = str(DIGEST).replace(":", "%3A")
POST = f"POST {BASE}/blobs/uploads/"
SESSION = f"{BASE}/blobs/uploads/1?state=s"
NEWER = f"{BASE}/blobs/uploads/1?state=t"
UNREADABLE = TransportFailure(FailureKind.BODY_READ, "its packing was stopped")
UNDER_WAY = [state for state in State if TRANSITIONS[state]]


def upload(digest: Digest | None = DIGEST) -> StreamedUpload:
    return StreamedUpload(
        ENDPOINT, "team/app", BytesBody(b"a layer"), lambda: digest, what="layer", trust=Trust()
    )


def streaming(digest: Digest | None = DIGEST) -> StreamedUpload:
    machine = upload(digest)
    assert asks(machine) == POST
    machine.receive(answer(202, Location=SESSION))
    assert asks(machine) == f"PATCH {SESSION}"
    return machine


def committing() -> StreamedUpload:
    machine = streaming()
    machine.receive(answer(202, Location=NEWER))
    assert asks(machine) == f"PUT {NEWER}&digest={QUOTED}"
    return machine


def test_a_session_is_opened_filled_and_closed_under_the_digest() -> None:
    machine = committing()
    assert machine.session == NEWER
    assert machine.next_call().request.body is None
    machine.receive(answer(201))
    assert machine.state is State.DONE
    assert machine.session is None
    assert machine.ended


def test_a_patch_that_names_no_new_location_keeps_the_old_one() -> None:
    machine = streaming()
    machine.receive(answer(202))
    assert asks(machine) == f"PUT {SESSION}&digest={QUOTED}"


def test_a_patch_answered_201_is_not_done_yet() -> None:
    machine = streaming()
    machine.receive(answer(201, Location=NEWER))
    assert machine.state is State.COMMITTING


@pytest.mark.parametrize("status", [400, 403, 404, 405, 411, 413, 416, 429, 500, 501])
def test_whatever_a_registry_refuses_is_left_to_the_upload_that_knows_every_trap(
    status: int,
) -> None:
    for machine in (upload(), streaming(), committing()):
        machine.receive(answer(status))
        assert machine.state is State.GIVEN_UP
        assert machine.ended


def test_a_connection_that_breaks_is_left_to_it_as_well() -> None:
    for machine in (upload(), streaming(), committing()):
        machine.transfer_failed(BROKEN)
        assert machine.state is State.GIVEN_UP


@pytest.mark.parametrize("happening", [BROKEN, answer(429), answer(503)])
def test_a_session_that_broke_may_be_gone_on_with(happening: Response | TransportFailure) -> None:
    machine = streaming()
    meet(machine, happening)
    assert machine.broke


@pytest.mark.parametrize("happening", [UNREADABLE, answer(400), answer(404)])
def test_one_that_was_refused_or_got_nothing_more_from_us_may_not(
    happening: Response | TransportFailure,
) -> None:
    for machine in (upload(), streaming()):
        meet(machine, happening)
        assert not machine.broke


def test_a_session_that_claims_to_hold_more_than_there_is_is_not_gone_on_with() -> None:
    machine = StreamedUpload(
        *(ENDPOINT, "team/app", BytesBody(b"a layer"), lambda: DIGEST),
        what="layer",
        trust=Trust(),
        resume=SESSION,
    )
    machine.next_call()
    machine.receive(answer(204, url=SESSION, Range="0-7"))
    assert asks(machine) == POST


def test_an_abandoned_session_is_still_known_so_that_it_can_be_closed() -> None:
    machine = streaming()
    machine.transfer_failed(BROKEN)
    assert machine.session == SESSION


def test_a_body_that_turns_out_to_be_no_blob_is_never_committed() -> None:
    machine = streaming(digest=None)
    machine.receive(answer(202, Location=NEWER))
    assert machine.state is State.GIVEN_UP


def test_a_registry_that_stored_something_else_is_not_believed() -> None:
    machine = committing()
    machine.receive(answer(201, Docker_Content_Digest=str(Digest.of(b"other"))))
    assert machine.state is State.GIVEN_UP


@pytest.mark.parametrize("location", ["", "ftp://elsewhere/", "http://127.0.0.1/x", "h\x00"])
def test_a_location_that_no_registry_should_send_is_not_followed(location: str) -> None:
    machine = upload()
    machine.receive(answer(202, Location=location))
    assert machine.state is State.GIVEN_UP


@pytest.mark.parametrize("state", UNDER_WAY)
@pytest.mark.parametrize("status", [200, 201, 202, 404, 500])
def test_no_answer_leads_where_the_table_does_not(state: State, status: int) -> None:
    machine = upload()
    machine.state = state
    machine.session = SESSION
    machine.receive(answer(status, Location=NEWER))
    assert machine.state in TRANSITIONS[state]
