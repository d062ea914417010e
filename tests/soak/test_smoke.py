"""A little of the soak with every run of the tests; `make soak` is the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.pushes import Pushes
from tests.parts.distribution import Distribution
from tests.parts.programs import need
from tests.parts.skopeo import Skopeo
from tests.soak.pushing import Figures
from tests.soak.soaking import GROWTH, growth, in_one_process, separately

pytestmark = pytest.mark.real


def test_pushes_in_one_process_and_runs_with_faults_leave_nothing_behind(tmp_path: Path) -> None:
    home = tmp_path / "skopeo"
    home.mkdir()
    skopeo = Skopeo(need("skopeo"), home)
    with Distribution(program=need("docker-registry")) as registry:
        pushes = Pushes(registry, skopeo, tmp_path)
        images = [pushes.layout(), pushes.archive()]
        figures = list(in_one_process(pushes, images, 40, 5, 4.0, 1))
        runs = separately(pushes, images, 4, 2, 10.0, 1)
    assert figures[-1].pushes == 40
    assert figures[-1].failed == 0
    assert growth(figures) == []
    assert (runs.codes, runs.problems, runs.temporary) == ({0: 4}, (), 0)


def test_what_grows_is_named() -> None:
    flat = [Figures(number, 0, 3, 1, 40_000, 0) for number in range(8)]
    assert growth(flat) == []
    leaky = [*flat[:-1], Figures(8, 0, 4, 2, 40_001 + GROWTH, 1)]
    assert [text.partition(":")[0] for text in growth(leaky)] == [
        "files",
        "threads",
        "temporary",
        "memory",
    ]
