"""What whole commands cost, beside each other: in turns, as ratios within a round."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Make = Callable[[int], Sequence[str]]
"""The command of a round, which is counted from 0."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took: seconds on the wall and of CPU, peak memory in MiB."""

    seconds: float
    cpu: float
    memory: float


def measure(command: Sequence[str], environ: Mapping[str, str], stdin: Path | None = None) -> Cost:
    """Run a command that must succeed."""
    # as users run it, whose Python keeps what it has compiled
    environ = {key: value for key, value in environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    with (stdin or Path(os.devnull)).open("rb") as source:
        process = subprocess.Popen(
            command, env=environ, stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        shown = " ".join(command)
        raise SystemExit(f"`{shown}` failed with {process.returncode}:\n{said.decode()}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def compare(
    work: str,
    commands: Mapping[str, Make],
    environ: Mapping[str, str],
    *,
    rounds: int = 5,
    before: Callable[[], None] = lambda: None,
    warm_up: bool = True,
) -> dict[str, float]:
    """Print what `commands` cost; the median ratio of the first one's time to each other's.

    `before` runs before each of them. A first round that warms the page cache counts for nobody.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for number in range(rounds + warm_up):
        for name, make in commands.items():
            before()
            cost = measure(make(number), environ)
            if number >= warm_up:
                costs[name].append(cost)
    first = next(iter(costs.values()))
    ratios = {}
    for name, found in costs.items():
        ratios[name] = statistics.median(
            ours.seconds / theirs.seconds for ours, theirs in zip(first, found, strict=True)
        )
        beside = "" if found is first else f"   ours takes {ratios[name]:.2f} of its time"
        print(
            f"{work:34} {name:16}"
            f" {statistics.median(one.seconds for one in found):7.3f} s"
            f" {statistics.median(one.cpu for one in found):7.3f} CPU s"
            f" {max(one.memory for one in found):6.1f} MiB{beside}",
            flush=True,
        )
    return ratios
