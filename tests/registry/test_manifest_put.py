"""A manifest's way into a repository, without a socket."""

from __future__ import annotations

import contextlib
import itertools
import json

import pytest

from idpbuilder.errors import BlobsMissing, ContentRefused, Incompatible, PushError, RateLimited
from idpbuilder.image import Descriptor, Digest
from idpbuilder.image.manifest import OCI_INDEX, OCI_MANIFEST
from idpbuilder.registry.manifest_put import TRANSITIONS, ManifestPut, State
from idpbuilder.wire import BytesBody, Trust
from tests.registry.exchange import BASE, BROKEN, ENDPOINT, UNUSABLE, answer, asks, meet

DATA = b'{ "schemaVersion": 2 }\n'
DESCRIPTOR = Descriptor(OCI_MANIFEST, Digest.of(DATA), len(DATA))
SUBJECT = Descriptor(OCI_MANIFEST, Digest.of(b"subject"), 7)
FALLBACK = f"{BASE}/manifests/sha256-{SUBJECT.digest.encoded}"
PUT = f"PUT {BASE}/manifests/v1"
HEAD = f"HEAD {BASE}/manifests/v1"
REFERRER: dict[str, object] = {"digest": str(DESCRIPTOR.digest)}


def put(subject: Descriptor | None = None) -> ManifestPut:
    return ManifestPut(
        ENDPOINT,
        "team/app",
        "v1",
        DESCRIPTOR,
        DATA,
        trust=Trust(),
        subject=subject,
        referrer=REFERRER,
    )


def lost(subject: Descriptor | None = None) -> ManifestPut:
    machine = put(subject)
    assert asks(machine) == PUT
    machine.transfer_failed(BROKEN)
    assert asks(machine) == HEAD
    return machine


def test_a_manifest_goes_out_byte_for_byte_under_its_media_type() -> None:
    machine = put()
    request = machine.next_call().request
    assert (request.method, request.url) == ("PUT", f"{BASE}/manifests/v1")
    assert request.body == BytesBody(DATA)
    assert dict(request.headers)["Content-Type"] == OCI_MANIFEST
    machine.receive(answer(201))
    assert machine.state is State.DONE


def test_a_location_answered_to_a_manifest_is_of_no_interest() -> None:
    machine = put()
    machine.next_call()
    machine.receive(answer(201, Location="ftp://elsewhere/blobs/uploads/1"))
    assert machine.state is State.DONE


def test_a_manifest_whose_blobs_are_unknown_is_told_apart_from_a_bad_one() -> None:
    machine = put()
    machine.next_call()
    with pytest.raises(BlobsMissing):
        machine.receive(answer(404, code="MANIFEST_BLOB_UNKNOWN"))
    machine = put()
    machine.next_call()
    with pytest.raises(ContentRefused) as caught:
        machine.receive(answer(400, code="MANIFEST_INVALID"))
    assert not isinstance(caught.value, BlobsMissing)


@pytest.mark.parametrize("status", [409, 412])
def test_an_immutable_tag_is_named_as_the_likely_reason(status: int) -> None:
    machine = put()
    machine.next_call()
    with pytest.raises(ContentRefused) as caught:
        machine.receive(answer(status))
    assert "immutable" in caught.value.hint


def test_a_registry_that_stored_another_manifest_is_found_out() -> None:
    machine = put()
    machine.next_call()
    with pytest.raises(ContentRefused, match="another digest"):
        machine.receive(answer(201, Docker_Content_Digest="sha256:" + "0" * 64))


def test_a_manifest_that_got_no_answer_is_looked_for_and_put_again() -> None:
    machine = put()
    assert asks(machine) == PUT
    assert machine.transfer_failed(BROKEN) is not None
    assert asks(machine) == HEAD
    machine.receive(answer(404))
    assert asks(machine) == PUT


@pytest.mark.parametrize("named", ["", str(SUBJECT.digest)])
def test_another_manifest_under_the_tag_is_not_taken_for_ours(named: str) -> None:
    machine = lost()
    machine.receive(answer(200, Docker_Content_Digest=named))
    assert asks(machine) == PUT


def test_a_manifest_whose_answer_was_lost_is_found_done_by_a_head() -> None:
    machine = lost()
    machine.receive(answer(200, Docker_Content_Digest=str(DESCRIPTOR.digest)))
    assert machine.state is State.DONE


def test_a_manifest_that_is_found_done_still_needs_its_subjects_list() -> None:
    machine = lost(SUBJECT)
    machine.receive(answer(200, Docker_Content_Digest=str(DESCRIPTOR.digest)))
    assert asks(machine) == f"GET {BASE}/referrers/{SUBJECT.digest}"


def test_trouble_while_looking_for_a_manifest_is_a_setback() -> None:
    machine = lost()
    assert machine.receive(answer(503)) is not None
    assert asks(machine) == HEAD
    assert machine.transfer_failed(BROKEN) is not None
    assert asks(machine) == HEAD


@pytest.mark.parametrize("status", [409, 412])
def test_an_immutable_tag_that_refuses_the_repeat_of_a_heard_put_is_done(status: int) -> None:
    machine = put()
    machine.next_call()
    assert machine.receive(answer(503)) is not None
    assert asks(machine) == PUT
    assert machine.receive(answer(status)) is None
    assert asks(machine) == HEAD
    machine.receive(answer(200, Docker_Content_Digest=str(DESCRIPTOR.digest)))
    assert machine.state is State.DONE


def test_an_immutable_tag_that_holds_another_image_is_refused_on_the_repeat_too() -> None:
    machine = lost()
    machine.receive(answer(404))
    machine.next_call()
    machine.receive(answer(412))
    machine.next_call()
    with pytest.raises(ContentRefused) as caught:
        machine.receive(answer(200, Docker_Content_Digest=str(SUBJECT.digest)))
    assert "immutable" in caught.value.hint
    assert machine.state is State.FAILED


def test_a_429_is_a_setback() -> None:
    machine = put()
    machine.next_call()
    found = machine.receive(answer(429, Retry_After="2"))
    assert found is not None
    assert isinstance(found.error, RateLimited)
    assert found.retry_after == 2


def test_a_registry_that_names_the_subject_keeps_the_referrers_itself() -> None:
    machine = put(SUBJECT)
    machine.next_call()
    machine.receive(answer(201, OCI_Subject=str(SUBJECT.digest)))
    assert machine.state is State.DONE


def test_a_registry_that_answers_the_referrers_api_needs_no_fallback_tag() -> None:
    machine = put(SUBJECT)
    machine.next_call()
    machine.receive(answer(201))
    assert asks(machine) == f"GET {BASE}/referrers/{SUBJECT.digest}"
    machine.receive(answer(200))
    assert machine.state is State.DONE


@pytest.mark.parametrize("status", [429, 503])
def test_trouble_with_the_referrers_api_makes_no_fallback_tag(status: int) -> None:
    machine = put(SUBJECT)
    machine.next_call()
    machine.receive(answer(201))
    asked = asks(machine)
    assert machine.receive(answer(status)) is not None
    assert asks(machine) == asked


def test_a_page_for_people_in_place_of_the_referrers_is_no_list() -> None:
    machine = put(SUBJECT)
    machine.next_call()
    machine.receive(answer(201))
    machine.next_call()
    machine.receive(answer(200, body=b"<html>"))
    assert asks(machine) == f"GET {FALLBACK}"


def test_a_page_for_people_in_place_of_a_stored_fallback_tag_is_no_success() -> None:
    machine = put(SUBJECT)
    fallback(machine)
    machine.receive(answer(404))
    machine.next_call()
    with pytest.raises(Incompatible):
        machine.receive(answer(200, body=b"<html>"))


def fallback(machine: ManifestPut) -> None:
    machine.next_call()
    machine.receive(answer(201))
    machine.next_call()
    machine.receive(answer(404))
    assert asks(machine) == f"GET {FALLBACK}"


def test_without_the_referrers_api_the_fallback_tag_is_made() -> None:
    machine = put(SUBJECT)
    fallback(machine)
    machine.receive(answer(404))
    request = machine.next_call().request
    assert (request.method, request.url) == ("PUT", FALLBACK)
    assert dict(request.headers)["Content-Type"] == OCI_INDEX
    assert isinstance(request.body, BytesBody)
    assert json.loads(request.body.data)["manifests"] == [REFERRER]
    machine.receive(answer(201))
    assert machine.state is State.DONE


def test_the_fallback_tag_keeps_what_it_lists_already() -> None:
    machine = put(SUBJECT)
    fallback(machine)
    other = {"digest": "sha256:" + "1" * 64}
    listed = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [other], "x": 1}
    machine.receive(answer(200, body=json.dumps(listed).encode()))
    body = machine.next_call().request.body
    assert isinstance(body, BytesBody)
    assert json.loads(body.data) == {**listed, "manifests": [other, REFERRER]}


def test_a_fallback_tag_that_lists_the_manifest_is_left_alone() -> None:
    machine = put(SUBJECT)
    fallback(machine)
    machine.receive(answer(200, body=json.dumps({"manifests": [REFERRER]}).encode()))
    assert machine.state is State.DONE


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"manifests": 1}'])
def test_a_fallback_tag_that_is_no_index_is_never_overwritten(body: bytes) -> None:
    machine = put(SUBJECT)
    fallback(machine)
    with pytest.raises(Incompatible):
        machine.receive(answer(200, body=body))
    assert machine.state is State.FAILED


def test_the_table_holds_the_ways_that_are_taken_and_no_other() -> None:
    happenings = [
        answer(201),
        answer(200, Docker_Content_Digest=str(DESCRIPTOR.digest)),
        answer(200, body=json.dumps({"manifests": [REFERRER]}).encode()),
        *(answer(status) for status in (404, 412, 503)),
        BROKEN,
        UNUSABLE,
    ]
    taken = set()
    for subject, path in itertools.product(
        (None, SUBJECT), itertools.product(happenings, repeat=4)
    ):
        machine = put(subject)
        for happening in path:
            if machine.ended:
                break
            new = machine.state
            machine.next_call()
            before = machine.state
            with contextlib.suppress(PushError):
                meet(machine, happening)
            taken |= {(new, before), (before, machine.state)}
    listed = {(state, after) for state, ways in TRANSITIONS.items() for after in ways}
    assert {(state, after) for state, after in taken if state is not after} == listed
