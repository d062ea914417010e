"""Questions without side effects."""

from __future__ import annotations

import pytest

from idpbuilder.errors import Forbidden, PushError
from idpbuilder.image import Digest
from idpbuilder.registry.lookup import find_manifest, has_blob, read_manifest
from idpbuilder.wire import Trust
from tests.registry.exchange import BASE, DIGEST, ENDPOINT, answer, finish

HEAD = f"HEAD {BASE}/manifests/v1"
GET = f"GET {BASE}/manifests/v1"
DATA = b"{}"


def manifest(algorithm: str = "sha256"):  # type: ignore[no-untyped-def]
    return find_manifest(ENDPOINT, "team/app", "v1", Trust(), algorithm)


def blob():  # type: ignore[no-untyped-def]
    return has_blob(ENDPOINT, "team/app", DIGEST, Trust())


def test_a_head_that_names_the_digest_is_enough() -> None:
    found = finish(manifest(), answer(200, Docker_Content_Digest=str(DIGEST)))
    assert found == ([HEAD], DIGEST)


def test_a_head_without_a_digest_is_followed_by_a_get() -> None:
    found = finish(manifest(), answer(200), answer(200, body=DATA))
    assert found == ([HEAD, GET], Digest.of(DATA))


def test_a_digest_of_another_algorithm_is_worked_out_from_the_bytes() -> None:
    head = answer(200, Docker_Content_Digest=str(DIGEST))
    lines, found = finish(manifest("sha512"), head, answer(200, body=DATA))
    assert lines == [HEAD, GET]
    assert found == Digest.of(DATA, "sha512")


def test_nothing_there_is_nothing_found() -> None:
    assert finish(manifest(), answer(404)) == ([HEAD], None)
    assert finish(manifest(), answer(405), answer(404)) == ([HEAD, GET], None)


def test_a_head_that_is_not_allowed_is_asked_again_as_a_get() -> None:
    assert finish(manifest(), answer(405), answer(200, body=DATA))[1] == Digest.of(DATA)


def test_a_head_that_is_forbidden_is_asked_again_for_its_reason() -> None:
    with pytest.raises(Forbidden, match="DENIED: m"):
        finish(manifest(), answer(403), answer(403, code="DENIED"))


def test_what_is_read_back_is_hashed_and_not_believed() -> None:
    inquiry = read_manifest(ENDPOINT, "team/app", "v1", Trust())
    lying = answer(200, body=DATA, Docker_Content_Digest=str(DIGEST))
    assert finish(inquiry, lying) == ([GET], Digest.of(DATA))


def test_a_blob_is_there_or_it_is_not() -> None:
    assert finish(blob(), answer(200))[1] is True
    assert finish(blob(), answer(404))[1] is False
    lines, found = finish(blob(), answer(405), answer(206))
    assert (lines[-1], found) == (f"GET {BASE}/blobs/{DIGEST}", True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_blob_whose_head_leads_to_storage_elsewhere_is_there(status: int) -> None:
    assert finish(blob(), answer(status, Location="https://storage.example.com/x"))[1] is True
    assert finish(blob(), answer(405), answer(status))[1] is True


def test_a_blob_that_may_not_be_looked_for_is_an_error_with_its_reason() -> None:
    with pytest.raises(PushError, match="DENIED: m"):
        finish(blob(), answer(403), answer(403, code="DENIED"))
