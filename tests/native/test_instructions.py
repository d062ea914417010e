"""What the kernels cost in instructions: the same on every machine, however fast.

The hashes are left out. How many instructions these take is their libraries' affair, and depends on
what the processor can do.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from idpbuilder import native
from tests.parts.programs import need

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not native.COMPILED, reason="the kernels are not compiled here"),
    # `make cov` has them count their lines
    pytest.mark.skipif("COVERAGE_RUN" in os.environ, reason="the kernels are traced here"),
]

MIB = 1024 * 1024
SIZES = (16 * MIB, 32 * MIB)

# the most that is allowed: a tenth above what was seen with Python 3.12, which takes the most of
# 3.10 to 3.13; a copy of the bytes alone would be 30 thousand and more for each MiB
READ = 2_000
"""For a MiB in buffers of 512 KiB; 1,456 with Python 3.11."""

DIGEST = 4_600
"""For a MiB in spans of 256 KiB; 3,190 with Python 3.11."""

FINGERPRINT = 51_000
"""For any region of more than 1 MiB, by 64 samples; 38,000 with Python 3.11."""

MARK = "getppid"
"""Where it is called callgrind writes down what it has counted, and begins anew."""

WORK = """
import hashlib, os, sys
import xxhash
from idpbuilder.native import RegionReader, digest_region, fingerprint_region

class Blind:
    update = staticmethod(len)
    hexdigest = intdigest = staticmethod(int)

hashlib.new = xxhash.xxh3_64 = lambda of: Blind
file = os.open(sys.argv[1], os.O_RDONLY)
buffer = memoryview(bytearray(512 * 1024))

def read(size):
    reader = RegionReader(os.dup(file), 0, size)
    while reader.remaining:
        reader.readinto(buffer)

def digest(size):
    digest_region(file, 0, size, "sha256")

def fingerprint(size):
    fingerprint_region(file, 0, size)

# what is looked up once is looked up here
for work in (read, digest, fingerprint):
    work(1024 * 1024)
os.getppid()
for work in (read, digest, fingerprint):
    for size in map(int, sys.argv[2:]):
        work(size)
        os.getppid()
"""


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], int]:
    """Instructions within a kernel, by its name and the size of the region."""
    folder = tmp_path_factory.mktemp("instructions")
    region, counts = folder / "region", folder / "counts"
    with region.open("wb") as file:
        file.truncate(SIZES[-1])
    options = (
        "-q",
        "--tool=callgrind",
        f"--callgrind-out-file={counts}",
        f"--dump-before={MARK}",
        *(
            f"--toggle-collect=*{name}"
            for name in ("readinto", "digest_region", "fingerprint_region")
        ),
    )
    done = subprocess.run(
        [need("valgrind"), *options, sys.executable, "-c", WORK, region, *map(str, SIZES)],
        # the same names lie in the same places of a dictionary
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    steps = list(product(("read", "digest", "fingerprint"), SIZES))
    # the first is what came before
    found = {step: total(folder / f"counts.{number}") for number, step in enumerate(steps, start=2)}
    # none where callgrind does not find the kernels: have they no names any more?
    assert all(found.values()), found
    return found


def total(counts: Path) -> int:
    """The sum that a file of callgrind's ends with."""
    (found,) = re.findall(r"^totals: (\d+)$", counts.read_text(), re.MULTILINE)
    return int(found)


@pytest.mark.parametrize(("kernel", "most"), [("read", READ), ("digest", DIGEST)])
def test_a_mebibyte_costs_few_instructions(
    counted: dict[tuple[str, int], int], kernel: str, most: int
) -> None:
    less, more = (counted[kernel, size] for size in SIZES)
    assert (more - less) / (SIZES[1] - SIZES[0]) * MIB <= most


@pytest.mark.parametrize("kernel", ["read", "digest"])
def test_twice_the_bytes_cost_no_more_than_twice_the_instructions(
    counted: dict[tuple[str, int], int], kernel: str
) -> None:
    less, more = (counted[kernel, size] for size in SIZES)
    assert more <= 2.1 * less


def test_a_fingerprint_costs_the_same_for_every_size(
    counted: dict[tuple[str, int], int],
) -> None:
    less, more = (counted["fingerprint", size] for size in SIZES)
    assert more <= 1.01 * less
    assert more <= FINGERPRINT
