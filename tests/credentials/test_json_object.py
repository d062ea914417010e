"""What counts as a JSON object: all that does so with docker."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idpbuilder.credentials.json_object import fields, first_object
from idpbuilder.image import InvalidValue


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_object_is_read_in_every_encoding_that_json_may_have(encoding: str) -> None:
    assert first_object('{"a": "é"}'.encode(encoding)) == {"a": "é"}


@pytest.mark.parametrize("text", [' \t\r\n{"a": 1}', '{"a": 1} and more', '{"a": 1}{"b": 2}'])
def test_the_first_object_counts(text: str) -> None:
    assert first_object(text.encode()) == {"a": 1}


@pytest.mark.parametrize("text", ['{"A": 1}', '{"A": 0, "a": 1}', '{"a": 0, "A": 1}'])
def test_names_are_the_same_in_any_case_and_the_last_counts(text: str) -> None:
    assert first_object(text.encode()) == {"a": 1}


def test_only_the_objects_own_names_are_in_lower_case() -> None:
    assert first_object(b'{"A": {"B": 1}}') == {"a": {"B": 1}}
    assert fields({"B": 1}) == {"b": 1}


@pytest.mark.parametrize("name", ["auths", "AUTHS"])
def test_what_objects_of_the_same_name_hold_is_put_together(name: str) -> None:
    text = f'{{"auths": {{"x": 1, "y": 1}}, "{name}": {{"y": 2, "z": 2}}}}'
    assert first_object(text.encode()) == {"auths": {"x": 1, "y": 2, "z": 2}}


def test_bytes_that_are_no_text_are_replaced_as_docker_does() -> None:
    assert first_object(b'{"a": "\xff"}') == {"a": "\ufffd"}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\x00\xfe", "is not JSON"),
        (b'{"a": s3cret}', "is not JSON"),
        (b"{'a': 1}", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"null", "is not a JSON object"),
        (b'"s3cret"', "is not a JSON object"),
    ],
)
def test_what_is_none_is_told_without_its_content(data: bytes, why: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        first_object(data)
    assert str(caught.value) == why


def test_a_name_that_comes_very_often_takes_no_longer_than_others() -> None:
    text = ",".join(f'"a": {{"{number}": 1}}' for number in range(100_000))
    assert len(first_object(f"{{{text}}}".encode())["a"]) == 100_000  # type: ignore[arg-type]


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading(data: bytes) -> None:
    with suppress(InvalidValue):
        first_object(data)


@given(st.dictionaries(st.text(st.characters(categories=["Ll"]), max_size=5), st.integers()))
def test_an_object_comes_back_as_it_was(value: dict[str, int]) -> None:
    if {name.lower() for name in value} == set(value):
        assert first_object(json.dumps(value).encode()) == value
