"""Proves that builds are reproducible: builds twice, under conditions that differ, and compares.

The folder, its depth, the mask of files, the time zone, the language and the seed of hashes differ;
the files, SOURCE_DATE_EPOCH and the compiler are the same. Prints the digests of what was built.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
# where, with which mask, and with which variables
CONDITIONS = (
    ("one", 0o022, {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"}),
    ("two/a folder/further/down", 0o077, {"TZ": "Pacific/Auckland", "PYTHONHASHSEED": "2"}),
)


def main(arguments: Sequence[str]) -> int:
    """Build twice and compare; 1 where anything differs. `arguments` go to `build`."""
    if "SOURCE_DATE_EPOCH" not in os.environ:
        print("SOURCE_DATE_EPOCH is not set: run `make reproducible`", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        # before anything is built, lest somebody edit a file between
        for place, _, _ in CONDITIONS:
            _copy(Path(scratch, place))
        first, second = (
            _built(Path(scratch, place), umask, variables, arguments)
            for place, umask, variables in CONDITIONS
        )
    for name in sorted(first.keys() | second.keys()):
        same = first.get(name) == second.get(name)
        print(f"{first.get(name)}  {name}{'' if same else f': differs, {second.get(name)}'}")
    return 0 if first == second and first else 1


def _built(
    place: Path, umask: int, variables: dict[str, str], arguments: Sequence[str]
) -> dict[str, str]:
    subprocess.run(
        [sys.executable, "-m", "build", *arguments, "--outdir", "dist", "."],
        cwd=place, umask=umask, env={**os.environ, **variables}, stdout=subprocess.DEVNULL,
        check=True,
    )  # fmt: skip
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in place.glob("dist/*")
    }


def _copy(place: Path) -> None:
    """The files that git knows or would take, with a time of their own."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, os.fsdecode(told).split("\0")):
        source, target = ROOT / name, place / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            # its rights and no time
            shutil.copy(source, target)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
