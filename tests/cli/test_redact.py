"""What is taken out of texts before they are shown."""

from __future__ import annotations

import base64
import json

import pytest

from idpbuilder.redact import Secrets

SECRET = 'p\u00e4 "s\\s&1+/'


def secrets(*texts: str) -> Secrets:
    found = Secrets()
    for text in texts:
        found.add(text)
    return found


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        repr(SECRET)[1:-1],
        "p%C3%A4%20%22s%5Cs%261%2B%2F",
        "p%C3%A4+%22s%5Cs%261%2B%2F",
        "p\u00e4 &quot;s\\s&amp;1+/",
        # Go's way with pages and with JSON
        "p\u00e4 &#34;s\\s&amp;1+/",
        'p\u00e4 \\"s\\\\s\\u00261+/',
        # as .NET writes them
        "p%c3%a4%20%22s%5cs%261%2b%2f",
        repr(SECRET.encode())[2:-1],
        base64.b64encode(SECRET.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
    ],
)
def test_a_secret_is_hidden_in_every_form_it_is_sent_in(form: str) -> None:
    assert secrets(SECRET).hide(f"a {form} b") == "a *** b"


def test_a_password_that_is_not_utf8_is_hidden_as_it_would_be_read() -> None:
    assert secrets("hunter\udcff2").hide("a hunter\ufffd2 hunter\xff2") == "a *** ***"


def test_a_password_is_hidden_without_what_cannot_be_printed() -> None:
    found = secrets("correct\U0001f642horse\x07battery")
    for text in ("a correct horse battery b", "a correct\U0001f642horse\x07battery b"):
        assert found.hide(text) == "a *** b"


def test_the_beginning_of_a_secret_before_a_cut_is_hidden() -> None:
    assert secrets("eyJhbGciOi").hide("x eyJhbG\u2026 y eyJ\u2026 ey\u2026") == (
        "x ***\u2026 y ***\u2026 ey\u2026"
    )


def test_of_secrets_inside_each_other_nothing_is_left() -> None:
    assert secrets("secret", "topsecretplus").hide("topsecretplus secret") == "*** ***"


def test_a_short_secret_is_hidden_where_it_stands_alone() -> None:
    assert secrets("a").hide("a bad `a` answer") == "*** bad `***` answer"


ORDINARY = (
    "PUT http://127.0.0.1:5000/v2/a/app/blobs/uploads/: 201 in 0.003 s",
    "layer 2 sha256:483cba67e7c3d2a2: pushed",
    "retry 3 of 10 in 0.5 s: `a-b/c.d:v1` failed",
)


@pytest.mark.parametrize("secret", ["a", "v1", "app", "127", ".", "/", "-", "//", "sha", "0"])
def test_a_secret_of_a_few_letters_leaves_paths_numbers_and_addresses(secret: str) -> None:
    for text in ORDINARY:
        assert secrets(secret).hide(text) == text
    for text in ("is {}", "'{}'", '{{"password":"{}"}}', "password={}, so"):
        assert secrets(secret).hide(text.format(secret)) == text.format("***")


def test_a_hint_of_ours_is_left_as_it_is() -> None:
    hint = "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"
    assert Secrets().hide(hint) == hint
    assert Secrets().hide("http://USER:SECRET@HOST:PORT") == "http://***@HOST:PORT"


def test_nothing_secret_changes_nothing() -> None:
    for none in ("", " ", "\t\n"):
        assert secrets(none).hide("what was said") == "what was said"


def test_what_urls_carry_is_hidden_and_what_headers_carry_where_nobody_wrote_the_text() -> None:
    text = "basic with https://me:x@h/p?sig=1 Bearer abc Set-Cookie: s=1"
    assert Secrets().hide(text) == "basic with https://***@h/p?*** Bearer abc Set-Cookie: s=1"
    assert Secrets().scrub(text) == "basic *** https://***@h/p?*** Bearer *** Set-Cookie: ***"


def test_the_repr_holds_no_secret() -> None:
    assert "hunter2" not in repr(secrets("hunter2"))
