"""What a run found, where, and with what: for a file of JSON and for the tables."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from bench import ROOT
from bench.parts.missing import Missing
from bench.parts.peers import Peer
from bench.parts.registries import distribution_program
from bench.parts.row import Row
from bench.parts.targets import Points
from bench.parts.tools import version


@dataclass(frozen=True, slots=True)
class Judgement:
    """A target beside what was measured; None is what could not be."""

    what: str
    measured: float | None
    limit: float
    stretch: float | None
    digits: int
    unit: str

    @property
    def met(self) -> bool | None:
        """Whether it was reached."""
        return None if self.measured is None else self.measured <= self.limit


@dataclass(frozen=True, slots=True)
class Found:
    """A row and what came of it; `skipped` says why nothing did. `axis` is that of a series."""

    name: str
    work: str
    axis: str
    points: Points
    judgements: Sequence[Judgement]
    skipped: str = ""

    @property
    def is_series(self) -> bool:
        """Whether it has points that make a curve."""
        return bool(self.axis) and len(self.points) > 1

    @classmethod
    def of(cls, row: Row, points: Points, skipped: str = "") -> Found:
        """Judge what a row measured."""
        judgements = [
            Judgement(
                target.what,
                target.value(points) if points else None,
                target.limit,
                target.stretch,
                target.digits,
                target.unit,
            )
            for target in row.targets
        ]
        return cls(row.name, row.work, getattr(row, "axis", ""), points, judgements, skipped)


@dataclass(frozen=True, slots=True)
class Record:
    """One run: when, of which commit, on which machine, with which programs."""

    date: str
    commit: str
    mode: str
    machine: Mapping[str, str | float]
    versions: Mapping[str, str]
    rows: Sequence[Found]

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def record(rows: Sequence[Found], peers: Mapping[str, Peer], mode: str, load: float) -> Record:
    """What was found, with everything that it depends on; `load` is that before it began.

    Above 1 others were at work, and the figures are worth less.
    """
    versions = {name: peer.says() for name, peer in peers.items() if " " not in name}
    try:
        versions["Distribution"] = version(distribution_program(), ["--version"])
    except Missing as missing:
        versions["Distribution"] = str(missing)
    versions["Python"] = platform.python_version()
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Record(now, _commit(), mode, _machine(load), versions, rows)


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def _machine(load: float) -> dict[str, str | float]:
    return {
        "processor": _line("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count() or 1,
        "memory": _line("/proc/meminfo", "MemTotal"),
        "system": platform.platform(),
        "load": load,
    }


def _line(path: str, key: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
