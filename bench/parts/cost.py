"""What whole commands cost: a sample for each run."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from bench.parts import launcher

Sample = dict[str, float]
"""One run: `seconds`, `cpu` (seconds), `memory` (MiB, the peak), `files` (most that were open), and
what servers counted.
"""
Samples = dict[str, list[Sample]]
"""Programs' runs, ours first; the n-th of each belong together."""


_PEAKS = ("memory", "files")


def scaled(sample: Sample, factor: float) -> Sample:
    """What a loop would have taken that is so many times as long."""
    return {key: value if key in _PEAKS else value * factor for key, value in sample.items()}


class Failed(Exception):
    """A command failed; the text has what it said."""


class Launcher:
    """Starts commands from a small process, so that their peak memory is their own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="idpbuilder-bench-")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", launcher.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Launcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()
        self._folder.cleanup()

    def measure(
        self, command: Sequence[str], environ: Mapping[str, str], *, files: bool = False
    ) -> Sample:
        """Run a command that must succeed; `files` are counted if asked for. Raises Failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        said = Path(self._folder.name, "stderr")
        job = {
            "command": list(command),
            "environ": dict(environ),
            "said": str(said),
            "files": files,
        }
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        sample: Sample = json.loads(self._process.stdout.readline())
        code = sample.pop("exit")
        if code:
            line = " ".join(command)
            raise Failed(f"`{line}` failed with {code:.0f}:\n{said.read_text()}")
        return sample
