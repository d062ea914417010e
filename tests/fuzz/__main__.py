"""The long run: a million inputs for every target.

    python -m tests.fuzz [--count N] [--seconds N] [--seed N] [TARGET …]

It prints a table, keeps what it finds in build/fuzz/, and ends with 1 where it found anything.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from tests.fuzz.images import targets
from tests.fuzz.running import GROWTH, HEADER, fuzz, keep
from tests.fuzz.targets import PURE

_KEPT = Path(__file__).parent.parent.parent / "build" / "fuzz"


def main() -> int:
    """Run all of it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--count", type=int, default=1_000_000, help="inputs for each target")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each target")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    given = parser.parse_args()
    bad = False
    print(f"seed {given.seed}\n\n{HEADER}", flush=True)
    for target in (*PURE, *targets()):
        if not given.targets or target.name in given.targets:
            report = fuzz(target, given.seed, given.count, given.seconds)
            print(report.row, flush=True)
            for name, path in zip(report.findings, keep(report, _KEPT), strict=True):
                print(f"!! {name}\n   {path}", flush=True)
            bad = bad or bool(report.findings) or report.growth > GROWTH
        target.close()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
