"""A little of the fuzzing with every run of the tests; `make fuzz` is the rest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from idpbuilder.image.manifest import parse_document
from tests.fuzz.images import packed, tar_of, targets, unpacked
from tests.fuzz.mutation import JsonMutator, Mutator, encoded
from tests.fuzz.running import Hangs, fuzz, keep
from tests.fuzz.targets import MANIFESTS, PURE, Target, texts

COUNT = 400
"""Inputs for each target."""
_OF_FILES = ("layout", "OCI archive", "docker archive", "tar", "compressed archive")


@pytest.fixture(scope="module")
def every() -> Iterator[dict[str, Target]]:
    """All targets by their names."""
    found = {target.name: target for target in chain(PURE, targets())}
    yield found
    for target in found.values():
        target.close()


@pytest.mark.parametrize("name", [*(target.name for target in PURE), *_OF_FILES])
def test_inputs_that_nobody_meant_are_taken_or_refused(name: str, every: dict[str, Target]) -> None:
    report = fuzz(every[name], 1, COUNT, float("inf"))
    assert report.findings == {}
    assert report.inputs == COUNT


def test_the_good_inputs_are_good(every: dict[str, Target]) -> None:
    for one in MANIFESTS:
        parse_document(encoded(one))
    for name in _OF_FILES:
        report = fuzz(every[name], 2, COUNT, float("inf"))
        # a bent archive may still be one; where none is, none was to begin with
        assert report.refused < COUNT or name == "compressed archive"


# -- the harness itself


def test_the_same_number_gives_the_same_inputs() -> None:
    for make in (lambda: Mutator([b"abc"], number=7), lambda: JsonMutator(MANIFESTS, 7)):
        one, other = make(), make()
        assert [one() for _ in range(50)] == [other() for _ in range(50)]


def test_what_a_target_must_not_raise_is_a_finding_and_kept_once(tmp_path: Path) -> None:
    def run(data: bytes) -> None:
        raise KeyError(data)

    report = fuzz(Target("broken", texts("x"), run), 1, 10, 60)
    assert len(report.findings) == 1
    (path,) = keep(report, tmp_path)
    assert path.read_bytes() in report.findings.values()


def test_an_input_that_takes_too_long_is_a_finding() -> None:
    def run(data: bytes) -> None:
        # nothing but the alarm ends it
        while time.sleep(60) is None:
            pass

    report = fuzz(Target("slow", texts("x"), run), 1, 1, 60, patience=0.05)
    (name,) = report.findings
    assert name.startswith(Hangs.__name__)


def test_members_come_out_as_they_went_in() -> None:
    members = {"a": b"\0\xff", "b/c": b""}
    assert unpacked(packed(members)) == members
    assert len(tar_of(members)) == 512 * 5
