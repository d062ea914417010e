"""The parts of a soak: pushes in one process, runs of the command, runs that are killed."""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.faults.killed import Killed, killed_push
from tests.faults.pushes import CODES, ROOT, Image, Pushes
from tests.parts.fault_proxy import FaultProxy
from tests.parts.images import ImageSpec
from tests.soak.pushing import Figures
from tests.soak.sometimes import Sometimes

GROWTH = 12_000
"""Kilobytes that a process may have gained once it is warm."""


@dataclass(frozen=True, slots=True)
class Runs:
    """What separate runs came to: exit codes, kilobytes of the largest, and what they left."""

    codes: Counter[int]
    memory: int
    temporary: int
    home_files: int
    home_bytes: int
    sent: int
    problems: tuple[str, ...]


def in_one_process(
    pushes: Pushes, images: list[Image], count: int, every: int, percent: float, number: int
) -> Iterator[Figures]:
    """Figures while one process makes `count` pushes, of whose requests `percent` meet a fault."""
    home = pushes.home("one-process")
    variables = {**os.environ, "HOME": str(home), "TMPDIR": str(home / "tmp")}
    variables.pop("XDG_CACHE_HOME", None)
    paths = [str(image.path) for image in images]
    with FaultProxy(pushes.registry.port, Sometimes(percent, random.Random(number))) as proxy:
        line = [sys.executable, "-m", "tests.soak.pushing", str(count), str(every), proxy.url]
        with subprocess.Popen(
            [*line, *paths], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=variables
        ) as process:
            assert process.stdout is not None
            for told in process.stdout:
                yield Figures(**json.loads(told))
        assert process.returncode == 0, "the process that pushes came to a bad end"


def growth(figures: list[Figures]) -> list[str]:
    """What grew between the first look at a warm process and the last."""
    warm, last = figures[len(figures) // 4], figures[-1]
    found = [
        f"{name}: {getattr(warm, name)} became {getattr(last, name)}"
        for name in ("files", "threads", "temporary")
        if getattr(last, name) > getattr(warm, name)
    ]
    if last.memory - warm.memory > GROWTH:
        found.append(f"memory: {warm.memory} kB became {last.memory} kB")
    return found


def separately(
    pushes: Pushes, images: list[Image], count: int, at_once: int, percent: float, number: int
) -> Runs:
    """Runs of the command, all in one home, with faults."""
    home = pushes.home("separately")
    problems: list[str] = []

    def push(turn: int) -> int:
        image = images[turn % len(images)]
        done = pushes.command(home, image.path, f"{proxy.url}/separate/{turn}")
        if done.returncode not in CODES or "Traceback" in done.stderr:
            problems.append(f"run {turn}: {done.returncode}: {done.stderr}")
        elif done.returncode == 0:
            try:
                pushes.check_whole(f"separate/{turn}/app", image, home / f"copy-{turn}")
            except (AssertionError, KeyError) as error:
                problems.append(f"run {turn} is not whole: {error}")
        return done.returncode

    with (
        FaultProxy(pushes.registry.port, Sometimes(percent, random.Random(number))) as proxy,
        ThreadPoolExecutor(at_once) as pool,
    ):
        codes = Counter(pool.map(push, range(count)))
        sent = proxy.body_bytes
    kept = [file for file in _files(home) if not file.relative_to(home).parts[0].startswith("copy")]
    return Runs(
        codes,
        resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
        len(list(_files(home / "tmp"))),
        len(kept),
        sum(file.stat().st_size for file in kept),
        sent,
        tuple(problems),
    )


def killed(pushes: Pushes, count: int, number: int) -> list[tuple[Image, Killed]]:
    """Runs that are killed at some request, wherever that is, and made again."""
    chance = random.Random(number)
    images = [
        pushes.image(f"large-{size}", ImageSpec((size, 20_000), seed=size))
        for size in (9_000_000, 30_000_000)
    ]
    found = []
    for turn in range(count):
        image = images[turn % len(images)]
        # half of them in the middle of the large body, where most of the time goes
        place = chance.choice(("root", "start", "send", "send", "send", "manifest"))
        one = killed_push(pushes, image, place, chance.randrange(1001), f"-{turn}")
        found.append((image, one))
    return found


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
