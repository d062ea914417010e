"""A Dask cluster of processes, as users start it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.parts.distribution import Distribution
from tests.parts.fixtures import registry
from tests.parts.programs import need
from tests.real.command import Command

__all__ = ["registry"]

_START_LIMIT = 60.0
"""Seconds for a process of Dask's to come up."""


class DaskCluster:
    """A scheduler, and workers of one thread each; they log into `folder`."""

    def __init__(self, folder: Path) -> None:
        self.workers: list[subprocess.Popen[bytes]] = []
        self._folder = folder
        self._environ = Command(folder)._environment({})
        self._scheduler = self._start("scheduler", "--port=0", "--no-dashboard", "--no-show")
        self.address = self._logged("scheduler", "Scheduler at:").split()[0]

    def add_worker(self) -> subprocess.Popen[bytes]:
        """One more, which is known to the scheduler when this returns."""
        name = f"worker{len(self.workers)}"
        words = (
            "--nthreads=1",
            "--no-nanny",
            "--no-dashboard",
            f"--local-directory={self._folder}",
        )
        process = self._start("worker", self.address, *words, name=name)
        self.workers.append(process)
        self._logged(name, "Registered to:")
        return process

    def stop_scheduler(self) -> None:
        """At once."""
        self._scheduler.kill()

    def close(self) -> None:
        """End all of it."""
        for process in (*self.workers, self._scheduler):
            process.kill()
            process.wait()

    def log(self, name: str) -> str:
        """What a process has said."""
        return (self._folder / name).read_text(errors="replace")

    def _start(self, kind: str, *arguments: str, name: str = "") -> subprocess.Popen[bytes]:
        with (self._folder / (name or kind)).open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", kind, *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environ,
            )  # fmt: skip

    def _logged(self, name: str, words: str) -> str:
        """What follows `words` in a log."""
        until = time.monotonic() + _START_LIMIT
        while words not in (log := self.log(name)):
            if time.monotonic() > until:
                raise RuntimeError(f"{name} did not come up:\n{log}")
            time.sleep(0.02)
        return log.partition(words)[2]


@contextmanager
def running_cluster(folder: Path, workers: int) -> Iterator[DaskCluster]:
    folder.mkdir()
    cluster = DaskCluster(folder)
    try:
        for _ in range(workers):
            cluster.add_worker()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """Of two workers."""
    with running_cluster(tmp_path_factory.mktemp("dask") / "cluster", 2) as running:
        yield running


@pytest.fixture(scope="module")
def distribution() -> Iterator[Distribution]:
    """Open to all, plain HTTP."""
    with Distribution(program=need("docker-registry")) as running:
        yield running


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """`idpbuilder push`, as a user who has signed in nowhere."""
    home = tmp_path / "home"
    home.mkdir()
    return Command(home)
