"""The long run: 1,000 pushes in one process, 300 runs with faults, and 100 that are killed.

    python -m tests.soak [--pushes N] [--runs N] [--kills N] [--registry PROGRAM]

It prints what a process holds and what runs leave, and ends with 1 where anything grew.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.pushes import Pushes
from tests.parts.distribution import Distribution
from tests.parts.skopeo import Skopeo
from tests.soak.soaking import growth, in_one_process, killed, separately


def main() -> int:
    """Run all of it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--pushes", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--faults", type=float, default=4.0, help="percent of all requests")
    parser.add_argument("--registry", default="docker-registry", metavar="PROGRAM")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    given = parser.parse_args()
    print(f"seed {given.seed}")
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        Distribution(program=given.registry) as registry,
    ):
        home = Path(folder) / "skopeo"
        home.mkdir()
        pushes = Pushes(registry, Skopeo("skopeo", home), Path(folder))
        wrong = [*_one_process(pushes, given), *_runs(pushes, given), *_kills(pushes, given)]
    for text in wrong:
        print(f"!! {text}")
    return 1 if wrong else 0


def _one_process(pushes: Pushes, given: argparse.Namespace) -> list[str]:
    if not given.pushes:
        return []
    images = [pushes.layout(), pushes.index(), pushes.archive()]
    print(f"\n## {given.pushes} pushes in one process\n")
    print("| pushes | failed | open files | threads | memory | temporary files | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    began, every = time.monotonic(), max(given.pushes // 20, 1)
    figures = []
    for one in in_one_process(pushes, images, given.pushes, every, given.faults, given.seed):
        figures.append(one)
        print(
            f"| {one.pushes} | {one.failed} | {one.files} | {one.threads} | {one.memory:,} kB "
            f"| {one.temporary} | {time.monotonic() - began:.0f} |",
            flush=True,
        )
    return growth(figures)


def _runs(pushes: Pushes, given: argparse.Namespace) -> list[str]:
    if not given.runs:
        return []
    images = [pushes.layout("layout-2"), pushes.index("index-2"), pushes.archive("archive-2")]
    at_once = 2 * (os.cpu_count() or 1)
    runs = separately(pushes, images, given.runs, at_once, given.faults, given.seed)
    codes = ", ".join(f"{code}×{count}" for code, count in sorted(runs.codes.items()))
    print(f"\n## {given.runs} runs with faults\n")
    print(f"exit codes: {codes}")
    print(f"memory of the largest: {runs.memory:,} kB")
    print(f"bodies sent: {runs.sent / 1e6:.1f} MB")
    print(f"left: {runs.temporary} temporary files, {runs.home_files} files of "
          f"{runs.home_bytes:,} bytes in the home", flush=True)  # fmt: skip
    left = [f"{runs.temporary} temporary files were left"] if runs.temporary else []
    return [*runs.problems, *left]


def _kills(pushes: Pushes, given: argparse.Namespace) -> list[str]:
    if not given.kills:
        return []
    found = killed(pushes, given.kills, given.seed)
    shares = sorted(100 * one.sent / image.size for image, one in found)
    extra = sorted(100 * (one.sent - image.size) / image.size for image, one in found)
    print(f"\n## {given.kills} runs that were killed, and made again\n")
    print(f"whole: {sum(not one.problems for _, one in found)}")
    print(f"bytes sent by both, of the image: median {shares[len(shares) // 2]:.0f} %, "
          f"most {shares[-1]:.0f} %")  # fmt: skip
    print(f"sent again: median {extra[len(extra) // 2]:.0f} %, most {extra[-1]:.0f} %", flush=True)
    return [problem for _, one in found for problem in one.problems]


if __name__ == "__main__":
    sys.exit(main())
