"""The long run: every fault at every request of a push, its place drawn by hypothesis.

    python -m tests.faults [--examples N] [--seed N] [--kinds WORD …] [REGISTRY …]

REGISTRY is a Distribution's program; without one Debian's, and 3.x where Go can make one. It prints
a table, and ends with 1 where anything was not as it should be.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.faults.pushes import ROOT, Case, Image, Outcome, Pushes
from tests.faults.table import table
from tests.parts.distribution import Distribution
from tests.parts.proxy_faults import KINDS
from tests.parts.skopeo import Skopeo

_BUILT = ROOT / "build" / "faults"
_DISTRIBUTION_3 = "github.com/distribution/distribution/v3/cmd/registry@latest"
_SEVERE = (
    "reset",
    "stall",
    "truncated",
    "401 instead",
    "413 instead",
    "429 instead",
    "502 instead",
    "503 instead",
    "answer lost",
    "answer cut",
    "500 after work",
)
"""Faults that make a difference where they do not pass."""


def main() -> int:
    """Run all of it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("registries", nargs="*", metavar="REGISTRY")
    parser.add_argument("--examples", type=int, default=2, help="places for each fault and request")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--images", nargs="*", default=["layout", "index", "archive"])
    parser.add_argument("--at-once", type=int, default=2 * (os.cpu_count() or 1))
    given_ = parser.parse_args()
    print(f"seed {given_.seed}")
    bad = 0
    for program in given_.registries or _registries():
        began = time.monotonic()
        outcomes = _run(program, given_)
        print(f"\n## {_version(program)}\n\n{table(outcomes)}")
        print(f"\n{len(outcomes)} faulted pushes in {time.monotonic() - began:.0f} s")
        bad += sum(bool(outcome.problems) for outcome in outcomes)
    return 1 if bad else 0


def _registries() -> list[str]:
    found = ["docker-registry"]
    built = _BUILT / "registry"
    if not built.exists() and shutil.which("go"):
        _BUILT.mkdir(parents=True, exist_ok=True)
        variables = {**os.environ, "GOBIN": str(_BUILT)}
        subprocess.run(["go", "install", _DISTRIBUTION_3], env=variables, check=False)
    return [*found, str(built)] if built.exists() else found


def _version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return " ".join(done.stdout.split()[-2:])


def _run(program: str, given_: argparse.Namespace) -> list[Outcome]:
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        Distribution(program=program) as registry,
        ThreadPoolExecutor(given_.at_once) as pool,
    ):
        home = Path(folder) / "skopeo"
        home.mkdir()
        pushes = Pushes(registry, Skopeo("skopeo", home), Path(folder))
        images = [getattr(pushes, name)() for name in given_.images]
        jobs = []
        for image in images:
            count = len(pushes.places(image))
            for number, cell in enumerate(_cells(given_.kinds, count)):
                drawn = random.Random(f"{given_.seed}/{image.name}/{number}").randrange(2**32)
                jobs.append(pool.submit(_push_cell, pushes, image, cell, given_.examples, drawn))
        return [outcome for job in jobs for outcome in job.result()]


def _cells(kinds: list[str], requests: int) -> Iterator[Case]:
    """Every fault at every request, once, and some from there on."""
    for kind in kinds:
        for index in range(requests):
            yield Case(kind, index)
            if kind in _SEVERE:
                yield Case(kind, index, ever=True)


def _push_cell(
    pushes: Pushes, image: Image, cell: Case, examples: int, drawn: int
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    # hypothesis begins with 0: everywhere else
    turn = drawn % 1001

    @seed(drawn)
    @settings(
        max_examples=1 if cell.ever else examples,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 1000), st.booleans())
    def push(place: int, over_old: bool) -> None:
        permille = (place + turn) % 1001
        case = Case(cell.kind, cell.index, permille=permille, ever=cell.ever)
        outcome = pushes.push(image, case, over_old=over_old)
        outcomes.append(outcome)
        if outcome.problems:
            print(f"!! {image.name} {case} {outcome.places}: {outcome.problems}", flush=True)

    push()
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
