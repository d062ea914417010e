"""What a worker does with its share, and what it lets nobody see."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from idpbuilder.cluster import share as sharing
from idpbuilder.cluster.share import TOPIC, Share, Told, push_share
from idpbuilder.image import Reference
from idpbuilder.push.events import LayerEnded, ManifestEnded, Note, PushStarted, Warned
from idpbuilder.push.options import Order, PushOptions
from idpbuilder.push.result import PushFailure, PushResult
from tests.parts.faults import Hang
from tests.parts.images import ImageSpec, write_layout
from tests.parts.memory_registry import MemoryRegistry


class FakeWorker:
    """A worker whose only task is `task`; what it tells is in `told`."""

    address = "tcp://10.0.0.1:4000"

    def __init__(self) -> None:
        self.told: list[tuple[str, Told]] = []
        self.task = SimpleNamespace(state="executing")
        self.state = SimpleNamespace(tasks={"task": self.task})

    def get_current_task(self) -> str:
        return "task"

    def log_event(self, topic: str, message: bytes) -> None:
        assert topic == TOPIC
        self.told.append(pickle.loads(message))


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeWorker:
    fake = FakeWorker()
    monkeypatch.setattr("distributed.get_worker", lambda: fake)
    monkeypatch.setenv("HOME", str(tmp_path))
    return fake


def order(folder: Path, registry: MemoryRegistry, name: str, size: int) -> Order:
    path = write_layout(folder / name, [ImageSpec((size,))]).path
    return Order(str(path), (Reference.parse(f"{registry.host}/team/{name}:v1"),))


def test_all_events_of_a_push_come_with_its_outcome(
    registry: MemoryRegistry, worker: FakeWorker, tmp_path: Path
) -> None:
    orders = tuple(order(tmp_path, registry, name, 1_000) for name in ("one", "two"))
    told = push_share(Share("run", 3, PushOptions(listed=orders), notes=False))
    assert [("run", one) for one in told] == worker.told
    assert {one.share for one in told} == {3}
    for one in told:
        kinds = [type(event) for event in one.events]
        assert (kinds[0], kinds[-1]) == (PushStarted, PushResult)
        assert {LayerEnded, ManifestEnded} <= set(kinds)


def test_notes_of_a_push_and_of_none_are_told_where_they_are_wanted(
    registry: MemoryRegistry, worker: FakeWorker, tmp_path: Path
) -> None:
    orders = (order(tmp_path, registry, "one", 1_000),)
    told = push_share(Share("run", 0, PushOptions(listed=orders), notes=True))
    *alone, push = told
    assert isinstance(push.events[-1], PushResult)
    assert any(isinstance(event, Note) for event in push.events)
    assert all(isinstance(event, Note | Warned) for one in alone for event in one.events)


def test_a_failure_says_where(registry: MemoryRegistry, worker: FakeWorker, tmp_path: Path) -> None:
    (told,) = push_share(Share("run", 0, PushOptions(listed=(Order("/nowhere"),)), notes=False))
    outcome = told.outcome
    assert isinstance(outcome, PushFailure)
    assert "on the worker `tcp://10.0.0.1:4000`" in str(outcome.error)


def test_a_share_that_nobody_wants_any_more_is_given_up(
    registry: MemoryRegistry, worker: FakeWorker, tmp_path: Path
) -> None:
    registry.fault(Hang(1000), path="blobs", times=None)
    worker.task.state = "cancelled"
    options = PushOptions(listed=(order(tmp_path, registry, "one", 1_000),), timeout=None)
    assert push_share(Share("run", 0, options, notes=False)) == ()


def test_a_bug_is_told_without_what_may_be_secret_in_it(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(options: PushOptions, hear: object, secrets: Any, wanted: object) -> None:
        secrets.add("hunter2-hunter2")
        raise RuntimeError("no answer to https://me:other@h/?token=hunter2-hunter2")

    monkeypatch.setattr(sharing, "run_apart", breaks)
    (told,) = push_share(Share("run", 0, PushOptions(), notes=False))
    assert isinstance(told.outcome, PushFailure)
    assert "RuntimeError: no answer to https://***@h/?***" in told.outcome.error.why
