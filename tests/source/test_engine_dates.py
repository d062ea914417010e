"""Dates and descriptions as engines write them."""

from __future__ import annotations

import pytest

from idpbuilder.source.engines.engine import details, listed, moment, sentence

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("1970-01-01T00:00:00Z", (0, 0)),
        ("1970-01-01T00:00:01.5Z", (1, 500_000_000)),
        ("1970-01-01T00:00:01.123456789Z", (1, 123_456_789)),
        ("1970-01-01T01:00:00+01:00", (0, 0)),
        ("1970-01-01T00:00:00.000000001-00:30", (1800, 1)),
        ("0001-01-01T00:00:00Z", (-62_135_596_800, 0)),
        ("1970-01-01T00:00:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (12, None),
    ],
)
def test_a_moment_is_read_to_the_nanosecond(text: object, when: object) -> None:
    assert moment(text) == when


def test_what_has_no_id_is_no_image() -> None:
    for value in ([], {}, {"Id": 3}, {"Id": "sha256:12"}):
        assert listed(value) is None
        assert details(value) is None


def test_dangling_names_are_no_tags() -> None:
    image = listed({"Id": DIGEST, "RepoTags": ["<none>:<none>", "app:v1"], "RepoDigests": None})
    assert image is not None
    assert image.tags == ("app:v1",)


def test_the_command_leaves_out_the_algorithm_and_calls_tags_names() -> None:
    image = listed({"Id": "a" * 64, "RepoTags": None, "Names": ["localhost/app:v1"]})
    assert image is not None
    assert (str(image.id), image.tags) == (DIGEST, ("localhost/app:v1",))


def test_an_engines_message_fits_into_one_of_ours() -> None:
    assert sentence("no such\n  thing.\n") == "no such thing"
    assert len(sentence("x" * 1000)) == 301
