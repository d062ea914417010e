"""Formats and levels."""

from __future__ import annotations

import pytest

from idpbuilder.image import InvalidValue
from idpbuilder.packing.method import Method


def test_gzip_at_level_2_is_what_is_done_unasked() -> None:
    assert Method.choose() == Method("gzip", 2)


@pytest.mark.parametrize(
    ("kind", "level", "method"),
    [
        ("gzip", None, Method("gzip", 2)),
        ("gzip", 1, Method("gzip", 1)),
        ("zstd", None, Method("zstd", 3)),
        ("zstd", 19, Method("zstd", 19)),
        ("none", None, Method("none", 0)),
    ],
)
def test_a_format_has_its_own_level(kind: str, level: int | None, method: Method) -> None:
    assert Method.choose(kind, level) == method


@pytest.mark.parametrize(
    ("kind", "level", "says"),
    [
        ("bzip2", None, "`bzip2` is none of gzip, zstd and none"),
        ("gzip", 0, "gzip has levels 1 to 2, not `0`"),
        ("gzip", 3, "gzip has levels 1 to 2, not `3`"),
        ("zstd", 20, "zstd has levels 1 to 19, not `20`"),
        ("none", 1, "there is no level where nothing is compressed"),
    ],
)
def test_what_there_is_not_is_refused(kind: str, level: int | None, says: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Method.choose(kind, level)
    assert str(caught.value) == says


def test_a_name_tells_all_that_the_bytes_depend_on() -> None:
    methods = [("gzip", 1), ("gzip", 2), ("zstd", 1), ("zstd", 3), ("none", None)]
    names = [Method.choose(*values).name for values in methods]
    assert len(set(names)) == len(names)
    assert names[1].startswith("gzip-2/1/isa-l-2.")
    assert names[3].startswith("zstd-3/2/zstd-1.")
