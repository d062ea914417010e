"""One process that pushes again and again, and tells what it holds.

    python -m tests.soak.pushing COUNT EVERY REGISTRY IMAGE …

A line of JSON for every so many pushes: how many there were, how many failed, and what is open.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from idpbuilder.push.destination import Prefix
from idpbuilder.push.events import Event, Progress
from idpbuilder.push.options import PushOptions
from idpbuilder.push.result import PushFailure
from idpbuilder.push.run import run
from idpbuilder.push.stop import Stop
from tests.faults.quick import hurry
from tests.parts.resident import resident

_TASKS = Path("/proc/self/task")
_OPEN = Path("/proc/self/fd")


@dataclass(frozen=True, slots=True)
class Figures:
    """What a process holds after `pushes` pushes; `memory` in kilobytes."""

    pushes: int
    failed: int
    files: int
    threads: int
    memory: int
    temporary: int

    @classmethod
    def now(cls, pushes: int, failed: int) -> Figures:
        """As of this moment; what only waits to be collected does not count."""
        gc.collect()
        temporary = sum(len(files) for _, _, files in os.walk(tempfile.gettempdir()))
        return cls(pushes, failed, _open_files(), _threads(), resident(), temporary)


class _Silent:
    wants_notes = False
    interval = None

    def emit(self, event: Event, push: int = 0) -> None:
        """Tell nobody."""

    def progress(self, progress: Progress) -> None:
        """Tell nobody."""


def main(count: int, every: int, registry: str, images: list[str]) -> None:
    """Push, and print."""
    hurry()
    failed = 0
    for number in range(count):
        # half of them find what an earlier one left
        prefix = Prefix.parse(f"{registry}/soaked/{number // 2}")
        image = images[number % len(images)]
        options = PushOptions(images=(image,), prefix=prefix, retries=5, verify=number % 5 == 0)
        outcomes = run(options, _Silent(), Stop())
        failures = [one for one in outcomes if isinstance(one, PushFailure)]
        failed += bool(failures)
        for failure in failures:
            sys.stderr.write(f"push {number}: {failure.error}\n")
        if (number + 1) % every == 0:
            found = Figures.now(number + 1, failed)
            line = {name: getattr(found, name) for name in Figures.__slots__}
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()


def _open_files() -> int:
    # the folder itself is one of them while it is read
    return len(list(_OPEN.iterdir())) - 1 if _OPEN.exists() else 0


def _threads() -> int:
    """The fewest of a few looks: one that has been joined may take a moment to go."""
    looks = []
    for _ in range(10):
        looks.append(len(list(_TASKS.iterdir())) if _TASKS.exists() else threading.active_count())
        time.sleep(0.01)
    return min(looks)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
