"""Blobs whose body broke on its way, in this run or an earlier one, and those too large for one
request.
"""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from idpbuilder.errors import Interrupted, Unreachable
from idpbuilder.memory import LeftUpload, memory_path, open_memory
from idpbuilder.packing.layer import LayerReader
from idpbuilder.push.stop import Stop
from idpbuilder.registry import retry
from tests.parts.docker_archives import Saved, save
from tests.parts.exchange import ClientGone, Exchange, Received
from tests.parts.faults import Cut, Handle, Hang
from tests.parts.images import ImageSpec, Layout, write_layout
from tests.parts.manners import ECR, GHCR, GITEA, QUAY, WITH_QUERY, ZOT, Manners
from tests.parts.memory_registry import MemoryRegistry
from tests.push.conftest import Pusher
from tests.push.test_pushing import holds

SIZE = 12_000_000
CUT = 9_000_000
MOVES = Manners(location=WITH_QUERY)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once."""

    def delay(self: retry.RetryPolicy, made: int, retry_after: float | None = None) -> float | None:
        return None if made >= self.retries else 0.0

    monkeypatch.setattr(retry.RetryPolicy, "delay", delay)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return write_layout(tmp_path / "image", [ImageSpec(layers=(SIZE,))])


def is_large(request: Received) -> bool:
    """Whether it carries the layer, or what is missing of it."""
    return request.method == "PUT" and int(request.headers["content-length"]) > 1_000


def taken(registry: MemoryRegistry) -> int:
    """Bytes of bodies that the registry has read for blobs."""
    return sum(one.body_length for one in registry.seen(path="blobs"))


@pytest.mark.parametrize("manners", [Manners(), MOVES], ids=["in place", "at a new place"])
def test_only_what_did_not_arrive_is_sent_again(
    manners: Manners, pusher: Pusher, layout: Layout
) -> None:
    with MemoryRegistry(manners) as registry:
        registry.fault(Cut(CUT), match=is_large)
        registry.fault(Cut(SIZE - CUT - 1_000_000), match=is_large)
        result = pusher.push(layout.path, f"{registry.host}/team/app:v1")
        assert holds(registry, "team/app", layout)
        assert result.retries == 2
        assert SIZE <= taken(registry) < SIZE + 100_000
        assert registry.open_uploads("team/app") == 0


@pytest.mark.parametrize("manners", [QUAY, GITEA, ECR, ZOT], ids=["quay", "gitea", "ecr", "zot"])
def test_registries_that_cannot_say_what_they_hold_get_all_of_it_again(
    manners: Manners, pusher: Pusher, layout: Layout
) -> None:
    with MemoryRegistry(manners) as registry:
        registry.fault(Cut(CUT), match=is_large)
        pusher.push(layout.path, f"{registry.host}/team/app:v1")
        assert holds(registry, "team/app", layout)
        assert taken(registry) < 2 * SIZE + 100_000


def test_a_break_that_comes_again_and_again_is_no_failure_while_the_blob_moves_on(
    pusher: Pusher, layout: Layout
) -> None:
    with MemoryRegistry() as registry:
        for _ in range(5):
            registry.fault(Cut(2_000_000), match=is_large)
        pusher.push(layout.path, f"{registry.host}/team/app:v1", retries=1)
        assert holds(registry, "team/app", layout)


@pytest.mark.parametrize("most", [1024 * 1024, 5_000_000])
def test_a_registry_behind_a_limit_gets_chunks(most: int, pusher: Pusher, layout: Layout) -> None:
    with MemoryRegistry(Manners(body_max=most)) as registry:
        pusher.push(layout.path, f"{registry.host}/team/app:v1")
        assert holds(registry, "team/app", layout)
        assert registry.open_uploads("team/app") == 0


def test_the_limit_of_a_registry_is_known_to_the_next_run(
    pusher: Pusher, layout: Layout, tmp_path: Path
) -> None:
    with MemoryRegistry(Manners(body_max=5_000_000)) as registry:
        pusher.push(layout.path, f"{registry.host}/team/app:v1")
        other = write_layout(tmp_path / "other", [ImageSpec(layers=(SIZE,), seed=7)])
        before = len(registry.seen())
        pusher.push(other.path, f"{registry.host}/team/app:v2")
        assert all(one.status != 413 for one in registry.seen()[before:])


def test_announced_limits_are_obeyed(pusher: Pusher, layout: Layout) -> None:
    with MemoryRegistry(GHCR) as registry:
        registry.fault(Cut(CUT), match=is_large)
        pusher.push(layout.path, f"{registry.host}/team/app:v1")
        assert holds(registry, "team/app", layout)


# -- across runs


def half_sent(pusher: Pusher, registry: MemoryRegistry, layout: Layout, **options: Any) -> None:
    """A push that ends when the registry has taken all but a little of the layer."""
    registry.fault(Cut(CUT), match=is_large)
    error = pusher.fails(layout.path, f"{registry.host}/team/app:v1", retries=0, **options)
    assert isinstance(error, Unreachable)


def test_the_next_run_goes_on_where_this_one_ended(pusher: Pusher, layout: Layout) -> None:
    with MemoryRegistry(MOVES) as registry:
        half_sent(pusher, registry, layout)
        assert registry.open_uploads("team/app") == 1
        result = pusher.push(layout.path, f"{registry.host}/team/app:v1")
        assert holds(registry, "team/app", layout)
        assert result.bytes_sent < SIZE - CUT + 10_000
        assert registry.open_uploads("team/app") == 0
        # and nothing is left for a third one
        before = len(registry.seen())
        pusher.push(layout.path, f"{registry.host}/team/app:v2")
        assert "GET" not in [one.method for one in registry.seen()[before:]]


@pytest.mark.parametrize("first", [True, False])
def test_without_resuming_nothing_is_left_and_nothing_gone_on_with(
    first: bool, pusher: Pusher, layout: Layout
) -> None:
    with MemoryRegistry() as registry:
        half_sent(pusher, registry, layout, resume=first)
        assert registry.open_uploads("team/app") == int(first)
        result = pusher.push(layout.path, f"{registry.host}/team/app:v1", resume=not first)
        assert holds(registry, "team/app", layout)
        assert result.bytes_sent >= SIZE


def test_going_on_needs_no_memory_of_other_things(pusher: Pusher, layout: Layout) -> None:
    with MemoryRegistry() as registry:
        half_sent(pusher, registry, layout, memory=False)
        result = pusher.push(layout.path, f"{registry.host}/team/app:v1", memory=False)
        assert result.bytes_sent < SIZE - CUT + 10_000


def test_a_file_that_is_not_what_it_was_is_sent_from_its_start(
    pusher: Pusher, layout: Layout
) -> None:
    blob = layout.path / "blobs" / "sha256" / layout.image.layers[0].removeprefix("sha256:")
    whole = blob.read_bytes()
    with MemoryRegistry() as registry:
        blob.write_bytes(bytes(1000) + whole[1000:])
        half_sent(pusher, registry, layout)
        blob.write_bytes(whole)
        result = pusher.push(layout.path, f"{registry.host}/team/app:v1")
        assert holds(registry, "team/app", layout)
        assert result.bytes_sent >= SIZE


def test_a_session_that_holds_other_bytes_costs_another_try_and_no_failure(
    pusher: Pusher, layout: Layout
) -> None:
    with MemoryRegistry() as registry:
        half_sent(pusher, registry, layout)
        (session,) = registry.sessions.values()
        session.append(memoryview(b"one more"))
        pusher.push(layout.path, f"{registry.host}/team/app:v1")
        assert holds(registry, "team/app", layout)


def test_a_session_that_is_gone_is_not_missed(pusher: Pusher, layout: Layout) -> None:
    with MemoryRegistry() as registry:
        half_sent(pusher, registry, layout)
        registry.sessions.clear()
        result = pusher.push(layout.path, f"{registry.host}/team/app:v1")
        assert holds(registry, "team/app", layout)
        assert result.retries == 0


def test_a_session_at_an_address_that_no_registry_may_name_is_not_asked(
    pusher: Pusher, layout: Layout
) -> None:
    with MemoryRegistry() as registry:
        half_sent(pusher, registry, layout)
        blob = layout.image.layers[0]
        with open_memory({"HOME": str(pusher.home)}) as memory:
            left = memory.left_upload(registry.host, "team/app", blob)
            assert left is not None
            evil = LeftUpload("file:///etc/passwd", left.mark)
            memory.keep_upload(registry.host, "team/app", blob, evil)
        result = pusher.push(layout.path, f"{registry.host}/team/app:v1")
        assert result.bytes_sent >= SIZE


def test_a_blob_that_another_repository_has_is_mounted_and_not_gone_on_with(
    pusher: Pusher, layout: Layout
) -> None:
    with MemoryRegistry() as registry:
        half_sent(pusher, registry, layout)
        pusher.push(layout.path, f"{registry.host}/team/other:v1")
        result = pusher.push(layout.path, f"{registry.host}/team/app:v1")
        assert result.bytes_sent < 10_000
        assert registry.open_uploads("team/app") <= 1


@dataclass(frozen=True)
class Interrupt:
    """So many bytes are taken for good, and then the user presses Ctrl-C."""

    stop: Stop
    after_bytes: int
    begun: threading.Event

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        self.begun.set()
        exchange.cut_after = self.after_bytes
        with contextlib.suppress(ClientGone):
            handle(exchange)
        self.stop.request(signal.SIGINT)
        Hang().apply(exchange, handle)


@dataclass(frozen=True)
class Break:
    """So many bytes are taken for good, and then the connection breaks."""

    after_bytes: int
    begun: threading.Event

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        self.begun.set()
        Cut(self.after_bytes).apply(exchange, handle)


def memory_file(pusher: Pusher) -> str:
    """Where the memory of the pushes lies."""
    path = memory_path({"HOME": str(pusher.home)}, sys.platform)
    assert path is not None
    return path


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The end of a layer is not packed before this is set: its beginning is on its way."""
    event, read = threading.Event(), LayerReader.read

    def wait(self: LayerReader, buffer: memoryview) -> tuple[int, bool]:
        if self.raw_read > SIZE // 2:
            event.wait(20)
        return read(self, buffer)

    monkeypatch.setattr(LayerReader, "read", wait)
    return event


@pytest.mark.parametrize("gone", [False, True])
def test_a_layer_that_was_sent_while_it_was_packed_is_packed_again_and_gone_on_with(
    gone: bool, begun: threading.Event, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar", [Saved(layers=(SIZE,), tags=("app:v1",))])
    with MemoryRegistry(MOVES) as registry:
        registry.fault(Interrupt(pusher.stop, CUT, begun), method="PATCH")
        error = pusher.fails(saved.path, f"{registry.host}/team/app:v1")
        assert isinstance(error, Interrupted)
        assert registry.open_uploads("team/app") == 1
        if gone:
            registry.sessions.clear()
        pusher.stop = Stop()
        result = pusher.push(saved.path, f"{registry.host}/team/app:v1", verify=True)
        assert (result.bytes_sent < SIZE - CUT + 100_000) is not gone
        assert registry.open_uploads("team/app") == 0


@pytest.mark.parametrize(
    ("manners", "times"),
    [(MOVES, 1), (QUAY, 2), (GITEA, 2), (ECR, 2), (ZOT, 2)],
    ids=["goes on", "quay", "gitea", "ecr", "zot"],
)
def test_a_layer_that_broke_while_it_was_packed_is_gone_on_with_in_the_same_run(
    manners: Manners, times: int, begun: threading.Event, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar", [Saved(layers=(SIZE,), tags=("app:v1",))])
    with MemoryRegistry(manners) as registry:
        registry.fault(Break(CUT, begun), method="PATCH")
        pusher.push(saved.path, f"{registry.host}/team/app:v1", verify=True)
        assert taken(registry) < times * SIZE + 100_000
        assert registry.open_uploads("team/app") == 0
    with contextlib.closing(sqlite3.connect(memory_file(pusher))) as kept:
        assert kept.execute("SELECT count(*) FROM uploads").fetchone() == (0,)


@pytest.mark.parametrize("place", ["no home", "a file in the way"])
def test_a_session_that_cannot_be_written_down_is_closed(
    place: str, pusher: Pusher, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "no home":
        monkeypatch.delenv("HOME")
    else:
        (pusher.home / ".cache").write_bytes(b"")
    with MemoryRegistry() as registry:
        half_sent(pusher, registry, layout)
        assert registry.open_uploads("team/app") == 0
