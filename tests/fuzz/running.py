"""Feeding a target, and seeing that it neither breaks, hangs nor grows."""

from __future__ import annotations

import hashlib
import signal
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tests.fuzz.targets import Target
from tests.parts.resident import resident

PATIENCE = 2.0
"""Seconds for one input."""
GROWTH = 24_000
"""Kilobytes by which the process may grow: what Python's allocator does not give back."""
_LOOK_EVERY = 500


class Hangs(BaseException):
    """An input took too long."""


@dataclass(slots=True)
class Report:
    """What came of a target: how many inputs it took, how many it refused, and what it must not do.

    `growth` in kilobytes, `slowest` in seconds of the processor's time.
    """

    name: str
    inputs: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    growth: int = 0
    findings: dict[str, bytes] = field(default_factory=dict)

    @property
    def row(self) -> str:
        """A line of a table."""
        rate = self.inputs / self.seconds if self.seconds else 0.0
        share = 100 * self.refused / max(self.inputs, 1)
        return (
            f"| {self.name} | {self.inputs:,} | {share:.0f} % | {rate:,.0f} | "
            f"{1000 * self.slowest:.1f} ms | {self.growth:,} kB | {len(self.findings)} |"
        )


HEADER = (
    "| target | inputs | refused | a second | slowest | growth | findings |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)


def fuzz(
    target: Target, number: int, count: int, seconds: float, patience: float = PATIENCE
) -> Report:
    """Feed `target` with `count` inputs, or as many as `seconds` allow; `patience` for each."""
    report = Report(target.name)
    make, known = target.inputs(number), Counter[str]()
    began = time.monotonic()
    base = 0
    with _watched(patience) as clock:
        while report.inputs < count:
            if report.inputs % _LOOK_EVERY == 0:
                if time.monotonic() - began > seconds:
                    break
                # what is cached and compiled at first is no growth
                if not base and report.inputs >= min(count // 4, 20_000):
                    base = resident()
            data = make()
            report.inputs += 1
            clock[0] += 1
            started = time.thread_time()
            _feed(target, data, report, known)
            report.slowest = max(report.slowest, time.thread_time() - started)
    report.seconds = time.monotonic() - began
    report.growth = max(resident() - base, 0) if base else 0
    return report


def _feed(target: Target, data: bytes, report: Report, known: Counter[str]) -> None:
    try:
        target.run(data)
    except target.refuses:
        report.refused += 1
    except (Exception, Hangs) as error:
        frames = traceback.extract_tb(error.__traceback__)
        where = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
                           for frame in frames[:-4:-1])  # fmt: skip
        name = f"{type(error).__name__}: {str(error)[:100]} at {where}"
        known[where] += 1
        if known[where] == 1:
            report.findings[name] = data


@contextmanager
def _watched(patience: float) -> Iterator[list[int]]:
    """A count that is to change all the time; where it does not, Hangs is raised."""
    clock, seen = [0], [-1]

    def look(_number: int, _frame: FrameType | None) -> None:
        if clock[0] == seen[0]:
            raise Hangs(f"more than {patience} s for one input")
        seen[0] = clock[0]

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, patience, patience)
    try:
        yield clock
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def keep(report: Report, folder: Path) -> list[Path]:
    """Write the inputs that were findings into files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for data in report.findings.values():
        path = folder / f"{report.name.replace(' ', '-')}-{hashlib.sha256(data).hexdigest()[:12]}"
        path.write_bytes(data)
        paths.append(path)
    return paths
