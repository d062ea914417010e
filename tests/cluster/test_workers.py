"""`--dask` with a scheduler and workers that are processes of their own."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.cluster.conftest import DaskCluster, running_cluster
from tests.parts.distribution import Distribution
from tests.parts.faults import Hang
from tests.parts.images import ImageSpec, write_layout
from tests.parts.memory_registry import MemoryRegistry
from tests.real.command import Command

pytestmark = pytest.mark.real


def write_list(folder: Path, host: str, *sizes: int, team: str = "team") -> Path:
    """A list of images `app0`… with a layer of its own each and one that all share."""
    lines = []
    for number, size in enumerate(sizes):
        write_layout(folder / f"app{number}", [ImageSpec((300, size + number))])
        lines.append(f"./app{number} {host}/{team}/app{number}:v1\n")
    path = folder / "list"
    path.write_text("".join(lines))
    return path


def references(out: str) -> list[str]:
    return [json.loads(line)["reference"] for line in out.splitlines()]


def test_a_list_is_pushed_by_all_workers_and_told_as_without_them(
    cluster: DaskCluster, distribution: Distribution, command: Command, tmp_path: Path
) -> None:
    host = distribution.host
    path = write_list(tmp_path, host, *[200_000] * 6)
    digests = tmp_path / "digests"
    words = ("--from-file", path, "--output=json", "--progress=plain", "--verbose")
    done = command(*words, "--dask", cluster.address, "--digestfile", digests)
    assert done.code == 0, done.err
    wanted = [f"{host}/team/app{number}:v1" for number in range(6)]
    assert sorted(references(done.out)) == wanted
    assert all(distribution.tags(f"team/app{number}") == ["v1"] for number in range(6))
    # in the order of the list, whoever was first
    assert [line.partition("@")[0] for line in digests.read_text().splitlines()] == [
        reference.removesuffix(":v1") for reference in wanted
    ]
    assert "6 pushes: 6 pushed; " in done.err
    assert "[6/6] " in done.err
    assert "distributed" not in done.err
    # each worker found out for itself what the registry speaks
    assert done.err.count("going on over plain HTTP") == 2


def test_a_share_whose_worker_is_killed_is_pushed_by_another(
    distribution: Distribution, command: Command, tmp_path: Path
) -> None:
    path = write_list(tmp_path, distribution.host, 1_000, 2_000_000, 2_000_001, team="lost")
    with running_cluster(tmp_path / "cluster", 1) as cluster:
        words = ("--from-file", path, "--dask", cluster.address, "--limit-rate=2M")
        process = command.start(*words, "--output=json", "--progress=plain")
        assert process.stdout is not None
        first = process.stdout.readline()
        os.kill(cluster.workers[0].pid, signal.SIGKILL)
        cluster.workers[0].wait()
        assert distribution.tags("lost/app2") == [], "there is something left to be done"
        cluster.add_worker()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    names = [f"{distribution.host}/lost/app{number}:v1" for number in range(3)]
    assert sorted(references(first + out)) == names
    assert all(distribution.tags(f"lost/app{number}") == ["v1"] for number in range(3))
    assert "3 pushes: 3 pushed; " in err
    assert "distributed" not in err


def test_a_failure_names_its_worker_and_ends_the_others(
    cluster: DaskCluster, distribution: Distribution, command: Command, tmp_path: Path
) -> None:
    path = write_list(tmp_path, distribution.host, 10, 20)
    path.write_text(f"/nowhere/app.tar {distribution.host}/team/missing:v1\n" + path.read_text())
    done = command("--from-file", path, "--dask", cluster.address, "--progress=plain")
    assert done.code == 4
    assert "Error: line 1 of " in done.err
    assert "on the worker `tcp://" in done.err
    done = command("--from-file", path, "--dask", cluster.address, "--keep-going", "--quiet")
    assert done.code == 4
    assert len(done.out.splitlines()) == 2


def test_ctrl_c_ends_what_the_workers_are_at(
    registry: MemoryRegistry, command: Command, tmp_path: Path
) -> None:
    registry.fault(Hang(1000), path="team/app1/blobs/uploads", times=None)
    path = write_list(tmp_path, registry.host, 1_000, 200_000)
    with running_cluster(tmp_path / "cluster", 1) as cluster:
        words = ("--from-file", path, "--dask", cluster.address, "--timeout=0")
        process = command.start(*words, "--output=json", "--progress=plain")
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert references(first) == [f"{registry.host}/team/app0:v1"]
        assert json.loads(out)["error"]["code"] == "interrupted"
        assert "stopped by SIGINT" in err
        assert "1 not tried" in err
        # a worker that went on would never come to this
        (tmp_path / "more").mkdir()
        path = write_list(tmp_path / "more", registry.host, 10, team="other")
        done = command("--from-file", path, "--dask", cluster.address)
    assert done.code == 0, done.err


def test_a_cluster_without_workers_and_one_that_is_lost_are_told(
    registry: MemoryRegistry, command: Command, tmp_path: Path
) -> None:
    registry.fault(Hang(1000), path="team/app", times=None)
    path = write_list(tmp_path, registry.host, 10, 20)
    with running_cluster(tmp_path / "cluster", 0) as cluster:
        words = ("--from-file", path, "--dask", cluster.address, "--keep-going")
        done = command(*words)
        assert done.code == 3
        assert "has no workers" in done.err
        cluster.add_worker()
        process = command.start(*words, "--output=json", "--progress=plain")
        while not registry.requests:
            assert process.poll() is None
        cluster.stop_scheduler()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert sorted(references(out)) == [f"{registry.host}/team/app{n}:v1" for n in range(2)]
    assert "the Dask workers that were to push it were lost" in err
