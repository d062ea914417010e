"""Ratios are those of pairs, growth is told by its end, what was not measured is not made up."""

from __future__ import annotations

import sys

import pytest

from bench.parts.cost import Samples
from bench.parts.missing import Missing
from bench.parts.record import Found
from bench.parts.row import Push
from bench.parts.table import ratios, targets
from bench.parts.targets import (
    Target,
    beside,
    beside_best,
    marginal,
    multiple,
    ours,
    rise,
)
from bench.parts.tools import find


def took(**programs: list[float]) -> Samples:
    """The seconds of each program's rounds."""
    return {name: [{"seconds": one} for one in rounds] for name, rounds in programs.items()}


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    # the machine was slow in the second round, for both alike
    points = {"": took(idpbuilder=[1.0, 9.0, 1.2], crane=[2.0, 18.0, 2.0])}
    assert beside("crane")(points) == pytest.approx(0.5)


def test_the_best_peer_is_the_one_with_the_lowest_median() -> None:
    points = {"": took(idpbuilder=[3.0], crane=[4.0], skopeo=[2.0])}
    assert beside_best()(points) == pytest.approx(1.5)


def test_a_peer_that_is_missing_gives_no_figure() -> None:
    points = {"": took(idpbuilder=[3.0])}
    assert beside("crane")(points) is None
    assert beside_best()(points) is None
    assert ours("round_trips")(points) is None


def test_a_start_is_told_as_a_multiple_of_another() -> None:
    points = {"": {"ours": [{"cpu": 0.04}], "nothing": [{"cpu": 0.01}]}}
    assert multiple("ours", "nothing")(points) == pytest.approx(4)


def test_growth_that_is_linear_is_1_whatever_the_start_costs() -> None:
    points = {f"{x}": took(idpbuilder=[5 + 0.1 * x]) for x in (10, 100, 1000)}
    assert marginal("seconds")(points) == pytest.approx(1)
    assert rise("seconds")(points) == pytest.approx(105 / 6)


def test_growth_that_is_not_linear_is_seen_at_the_end() -> None:
    points = {f"{x}": took(idpbuilder=[5 + x * x]) for x in (10, 100, 1000)}
    assert (marginal("seconds")(points) or 0) == pytest.approx(10)


ROW = Push(
    "far",
    "far away",
    None,  # type: ignore[arg-type]
    targets=(Target("time beside crane", beside("crane"), 0.5, 0.4),),
)


@pytest.mark.parametrize(("seconds", "met"), [(0.9, "yes"), (1.1, "**no**")])
def test_the_table_says_whether_a_target_is_met(seconds: float, met: str) -> None:
    found = Found.of(ROW, {"": took(idpbuilder=[seconds], crane=[2.0])})
    line = list(targets([found]))[-1]
    assert line == (
        f"| far away | time beside crane | {seconds / 2:.2f} | ≤ 0.50, 0.40 a stretch | {met} |"
    )


def test_a_row_that_was_skipped_says_why() -> None:
    found = Found.of(ROW, {}, "there is no Go to make it")
    assert list(targets([found]))[-1].endswith(
        "| – | ≤ 0.50, 0.40 a stretch | not measured: there is no Go to make it |"
    )


def test_a_peer_that_took_no_part_has_an_empty_cell() -> None:
    one = Found.of(ROW, {"": took(idpbuilder=[1.0], crane=[2.0])})
    other = Found.of(ROW, {"": took(idpbuilder=[1.0], skopeo=[4.0])})
    assert list(ratios([one, other])) == [
        "| our time beside that of | crane | skopeo |",
        "|---|---|---|",
        "| far away | 0.50 |  |",
        "| far away |  | 0.25 |",
    ]


def test_a_program_that_is_nowhere_is_told_by_its_name() -> None:
    with pytest.raises(Missing, match="`no-such-program` is not on PATH"):
        find("no-such-program")


def test_a_variable_says_which_program_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_SKOPEO", sys.executable)
    assert find("skopeo") == sys.executable
    monkeypatch.setenv("BENCH_SKOPEO", "/elsewhere/skopeo")
    with pytest.raises(Missing, match="BENCH_SKOPEO names `/elsewhere/skopeo`"):
        find("skopeo")
