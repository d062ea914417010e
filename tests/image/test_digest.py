"""Digests: what is one, and what they say of bytes."""

from __future__ import annotations

import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idpbuilder.image import Digest, InvalidValue

EMPTY = "sha256:" + hashlib.sha256(b"").hexdigest()


@given(st.binary(), st.sampled_from(["sha256", "sha512"]))
def test_a_digest_survives_its_text(data: bytes, algorithm: str) -> None:
    digest = Digest.of(data, algorithm)
    assert Digest.parse(str(digest)) == digest
    assert digest.matches(data)
    assert not digest.matches(data + b"x")
    assert digest.encoded == hashlib.new(algorithm, data).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "sha256",
        "sha256:",
        EMPTY[:-1],
        EMPTY + "0",
        EMPTY.upper(),
        EMPTY[:-1] + "A",
        EMPTY[:-1] + "g",
        EMPTY[:-1] + "\n",
        EMPTY + "\n",
        " " + EMPTY,
        "sha256:../../etc/passwd",
        "sha256:" + "/" * 64,
        "sha256:" + "٣" * 64,
        "sha512:" + "0" * 64,
        "md5:" + "0" * 32,
        "sha384:" + "0" * 96,
        None,
        7,
        b"sha256",
        ["sha256"],
    ],
)
def test_what_is_no_digest_is_refused(text: object) -> None:
    with pytest.raises(InvalidValue):
        Digest.parse(text)


@given(st.text() | st.text(string.hexdigits, min_size=60, max_size=68).map("sha256:{}".format))
def test_parsing_raises_nothing_but_invalid_value(text: str) -> None:
    try:
        digest = Digest.parse(text)
    except InvalidValue:
        return
    assert str(digest) == text


def test_digests_of_different_algorithms_differ() -> None:
    assert Digest.of(b"x") != Digest.of(b"x", "sha512")
