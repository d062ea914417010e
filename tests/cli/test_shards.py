"""Which of several machines this is."""

from __future__ import annotations

import pytest

from idpbuilder.cli.shards import shard
from idpbuilder.cli.values import BadValue
from idpbuilder.push.options import Shard

CI = {"CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "3"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1/1", Shard(1, 1)), ("2/4", Shard(2, 4)), ("04/4", Shard(4, 4)), ("ci", Shard(2, 3))],
)
def test_a_shard_is_written_as_a_number_of_a_count_or_left_to_the_ci_system(
    text: str, expected: Shard
) -> None:
    assert shard(text, CI) == expected


@pytest.mark.parametrize(
    "text", ["", "1", "0/3", "4/3", "-1/3", "1/", "/3", "1/3/5", "a/b", "CI", " 1/3", "1/9999999"]
)
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(BadValue) as caught:
        shard(text, CI)
    assert "from 1" in caught.value.hint


@pytest.mark.parametrize("name", ["CI_NODE_INDEX", "CI_NODE_TOTAL"])
def test_a_variable_of_the_ci_system_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(BadValue, match=name):
        shard("ci", {**CI, name: ""})


def test_a_ci_system_that_counts_from_zero_is_found_out() -> None:
    with pytest.raises(BadValue, match="0/3"):
        shard("ci", {**CI, "CI_NODE_INDEX": "0"})
