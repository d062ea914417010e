"""The command line, called in this process and in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from idpbuilder.cli.command import Session
from idpbuilder.cli.push import push
from tests.cli.fakes import FakeRun, result

ROOT = Path(__file__).parents[2]

Call = Callable[..., Result]
Spawn = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def call() -> Call:
    """Calls `push` in this process, with a run and variables of the test's."""

    def invoke(
        *arguments: str,
        run: object = None,
        environ: Mapping[str, str] | None = None,
        stdin: str | bytes | None = None,
    ) -> Result:
        session = Session(run=run or FakeRun(result()), environ=environ or {})  # type: ignore[arg-type]
        return CliRunner().invoke(push, arguments, obj=session, prog_name="push", input=stdin)

    return invoke


@pytest.fixture
def surroundings() -> dict[str, str]:
    """Variables for a process that is to find this source tree and little else."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
        "PYTHONWARNINGS": "error",
        "PYTHONIOENCODING": "utf-8",
    }


@pytest.fixture
def spawn(surroundings: dict[str, str]) -> Spawn:
    """Runs a module of Python's in its own process."""

    def run(
        *arguments: str, environ: Mapping[str, str] | None = None, **attributes: object
    ) -> subprocess.CompletedProcess[str]:
        defaults: dict[str, object] = {"capture_output": True, "stdin": subprocess.DEVNULL}
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [sys.executable, "-m", *arguments],
            env=surroundings | dict(environ or {}),
            encoding="utf-8",
            timeout=60,
            check=False,
            cwd=ROOT,
            **(defaults | attributes),
        )

    return run
