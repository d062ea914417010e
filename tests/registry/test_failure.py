"""What refusals and lost answers mean."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idpbuilder import errors
from idpbuilder.errors import PushError
from idpbuilder.registry.failure import (
    bare,
    clean,
    diagnose,
    failure_setback,
    is_success,
    refusal,
    setback,
)
from idpbuilder.wire import FailureKind, TransportFailure
from tests.registry.exchange import answer


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "NAME_INVALID", errors.ContentRefused),
        (400, "MANIFEST_INVALID", errors.ContentRefused),
        (401, "UNAUTHORIZED", errors.Unauthorized),
        (403, "DENIED", errors.Forbidden),
        (400, "DENIED", errors.Forbidden),
        (404, "NAME_UNKNOWN", errors.RepositoryNotFound),
        (404, "MANIFEST_BLOB_UNKNOWN", errors.BlobsMissing),
        (405, "UNSUPPORTED", errors.Incompatible),
        (413, "", errors.BodyTooLarge),
        (418, "", errors.Incompatible),
        (301, "", errors.Incompatible),
        (429, "TOOMANYREQUESTS", errors.RateLimited),
        (500, "UNKNOWN", errors.RegistryFailed),
        (507, "", errors.RegistryFailed),
    ],
)
def test_each_refusal_has_its_error(status: int, code: str, kind: type[PushError]) -> None:
    found = refusal(answer(status, code=code), "x failed")
    assert type(found) is kind
    assert found.message.startswith(f"x failed: the registry answered {status}")
    assert found.hint
    if code:
        assert code in found.message


@pytest.mark.parametrize("status", [408, 429, 499, 500, 502, 503, 504, 522])
def test_trouble_that_may_pass_is_a_setback(status: int) -> None:
    assert setback(answer(status), "x").retry_after is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 501])
def test_what_will_not_pass_is_raised(status: int) -> None:
    with pytest.raises(PushError):
        setback(answer(status), "x")


def test_a_retry_after_that_is_a_date_is_taken_against_the_clock() -> None:
    given_date = answer(503, Retry_After="Thu, 01 Jan 1970 00:01:00 GMT")
    assert setback(given_date, "x", now=lambda: 50.0).retry_after == 10


def test_html_and_plain_text_are_diagnostics_too() -> None:
    page = b"<html><head><style>b{}</style></head><h1>413 Too Large</h1><hr>nginx</html>"
    assert diagnose(answer(413, body=page)).text == "413 Too Large nginx"
    assert diagnose(answer(500, body=b"out of disk\n")).text == "out of disk"
    assert diagnose(answer(401, body=b'{"error": "invalid_grant"}')).text == "invalid_grant"


def test_a_diagnostic_is_one_short_line_whatever_the_registry_sends() -> None:
    text = diagnose(answer(500, body=b"a\x1b[2Jb\r\nc" + b"x" * 10_000)).text
    assert text.startswith("a [2Jb c")
    assert len(text) <= 300
    assert text.isprintable()


def test_a_registry_that_echoes_our_secret_does_not_get_it_printed() -> None:
    assert "c2VjcmV0" not in clean("bad header: Authorization: Basic c2VjcmV0")
    assert "eyJhbGci" not in clean("token Bearer eyJhbGci.x.y expired")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://s3.example/x?X-Amz-Signature=abc now", "see https://s3.example/x?*** now"),
        ("see 'https://h/x?token'", "see 'https://h/x?***'"),
        ("no /v2/u/1?_state=abc&x=1", "no /v2/u/1?***"),
        ("at http://me:hunter2@h/x", "at http://***@h/x"),
        ("at //me:hunter2@h", "at //***@h"),
        ("what? a=b is not it", "what? a=b is not it"),
    ],
)
def test_what_a_registry_says_of_a_url_is_shown_without_its_secrets(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize("piece", ["//", "://", "?a=", "://a", "//a?", "a?b", "bearer "])
def test_no_answer_keeps_the_cleaning_busy(piece: str) -> None:
    assert len(clean(piece * 100_000)) <= 300


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["errors", "code", "message", "detail", "x"]), inner)
        ),
    )
)
def test_no_json_breaks_the_diagnosis(document: object) -> None:
    diagnose(answer(500, body=json.dumps(document).encode()))


@given(st.binary(max_size=300))
def test_no_body_breaks_the_diagnosis(body: bytes) -> None:
    assert len(diagnose(answer(500, body=body)).text) <= 300


def test_a_url_is_shown_without_what_may_be_signed() -> None:
    assert bare("https://h/u?X-Amz-Signature=s") == "https://h/u"


@pytest.mark.parametrize("kind", [FailureKind.CERTIFICATE, FailureKind.NOT_TLS, FailureKind.SETUP])
def test_what_no_retry_mends_is_raised_at_once(kind: FailureKind) -> None:
    with pytest.raises(errors.NetworkError):
        failure_setback(TransportFailure(kind, "m"), "x", "h:1")


@pytest.mark.parametrize(
    "kind",
    [
        FailureKind.RESOLVE,
        FailureKind.CONNECT,
        FailureKind.BROKEN,
        FailureKind.STALLED,
        FailureKind.PROXY,
        FailureKind.TLS,
        FailureKind.PROTOCOL,
    ],
)
def test_a_lost_connection_may_come_back(kind: FailureKind) -> None:
    found = failure_setback(TransportFailure(kind, "m"), "x failed", "h:1")
    assert found.error.message == "x failed: h:1: m"
    assert found.error.hint


def test_a_certificate_that_is_not_trusted_names_the_ways_out() -> None:
    with pytest.raises(errors.TlsFailed) as caught:
        failure_setback(TransportFailure(FailureKind.CERTIFICATE, "self-signed"), "x", "h:1")
    for way in ("SSL_CERT_FILE", "--cert-dir", "--insecure"):
        assert way in caught.value.hint


def test_a_registry_without_tls_gets_the_hint_how_to_reach_it() -> None:
    with pytest.raises(errors.TlsFailed) as caught:
        failure_setback(TransportFailure(FailureKind.NOT_TLS, "m"), "x", "h:5000")
    assert "http://h:5000" in caught.value.hint


@pytest.mark.parametrize(
    "piece", ["<", "<a", "<script ", "<script>", "<!--", "< x ", "</script", "<<>"]
)
def test_a_page_that_is_made_to_be_slow_to_read_is_not(piece: str) -> None:
    page = (piece * 65536)[:65536].encode()
    began = time.process_time()
    diagnose(answer(500, body=page))
    assert time.process_time() - began < 0.2


def test_what_a_page_does_not_show_is_no_diagnosis() -> None:
    page = b"<SCRIPT src=x>if (a<b) {}</SCRIPT>Bad<style>b{}</style ><br/>gateway <script>x"
    assert diagnose(answer(502, body=page)).text == "Bad gateway"
    assert diagnose(answer(500, body=b"1 < 2")).text == "1 < 2"


def test_a_long_document_is_still_read_as_json() -> None:
    errors_ = [{"code": "DENIED", "message": "m", "detail": "x" * 20_000}]
    found = diagnose(answer(403, body=json.dumps({"errors": errors_}).encode()))
    assert found.codes == {"DENIED"}


def test_a_page_for_people_is_no_success() -> None:
    assert not is_success(answer(200, body=b"\n<html>Sign in"))
    assert is_success(answer(200))


@pytest.mark.parametrize(
    "message",
    [
        "the CA certificates cannot be loaded",
        "the client certificate or its key cannot be used",
        "`/no/such` cannot be read: No such file or directory",
        "`/etc/certs` holds `me.cert` but no `me.key`",
    ],
)
def test_certificates_that_cannot_be_used_name_where_they_were_named(message: str) -> None:
    with pytest.raises(errors.NetworkError) as caught:
        failure_setback(TransportFailure(FailureKind.SETUP, message), "x", "h:1")
    for place in ("SSL_CERT_FILE", "SSL_CERT_DIR", "--cert-dir"):
        assert place in caught.value.hint


def test_a_url_that_cannot_be_used_is_no_matter_of_certificates() -> None:
    with pytest.raises(errors.NetworkError) as caught:
        failure_setback(TransportFailure(FailureKind.SETUP, "the URL is malformed"), "x", "h:1")
    assert "CERT" not in caught.value.hint
    assert "address" in caught.value.hint


def test_an_answer_that_this_machine_cannot_keep_is_its_own_trouble_and_not_tried_again() -> None:
    failure = TransportFailure(FailureKind.SINK, "the answer cannot be kept: no space left")
    with pytest.raises(errors.LocalError, match="no space left") as caught:
        failure_setback(failure, "x", "h:1")
    assert "disk" in caught.value.hint
