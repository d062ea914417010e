"""Images that go out together, and what must not happen to one because of another."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from idpbuilder.image import Reference
from idpbuilder.push.course import KEPT_OPEN
from idpbuilder.push.events import Event, ManifestEnded, Note, RunEnded, RunStarted
from idpbuilder.push.options import Order
from idpbuilder.push.result import PushFailure, PushResult
from tests.parts.docker_archives import Saved, members_of, save, write_tar
from tests.parts.exchange import Exchange, Received
from tests.parts.faults import Delay, Hang, Reset
from tests.parts.images import ImageSpec, write_layout
from tests.parts.manners import OTHER_HOST, Manners
from tests.parts.memory_registry import MemoryRegistry
from tests.push.conftest import Pusher
from tests.push.test_bulk import MANY, layouts, to
from tests.push.test_saved import LARGE

Outcomes = tuple[PushResult | PushFailure, ...]


def reached(outcomes: Outcomes) -> int:
    return sum(isinstance(outcome, PushResult) for outcome in outcomes)


def ended(pusher: Pusher) -> RunEnded:
    (end,) = [event for event in pusher.recorder.events if isinstance(event, RunEnded)]
    return end


class LateReset:
    """The connection breaks after a while."""

    def apply(self, exchange: Exchange, handle: Callable[[Exchange], None]) -> None:
        exchange.ended.wait(0.3)
        exchange.reset()


def test_a_storage_host_that_fails_one_image_stops_no_other(pusher: Pusher, tmp_path: Path) -> None:
    def small(request: Received) -> bool:
        return request.headers.get("content-length") == "3333"

    manners = Manners(location=OTHER_HOST, chunk_max=4 * 1024 * 1024)
    with MemoryRegistry(manners) as registry:
        registry.fault(LateReset(), method="PUT", match=small, times=None)
        registry.fault(Delay(0.2), method="POST", path="team/b/", times=None)
        registry.fault(Delay(0.1), method="PATCH", times=None)
        shared = b"x" * 13_000_000
        images = {"b": (shared,), "a": (12_000_001, shared), "c": (3333,)}
        orders = []
        for name, layers in images.items():
            write_layout(tmp_path / name, [ImageSpec(layers, seed=ord(name))])
            orders.append(Order(str(tmp_path / name), to(registry, name)))
        outcomes = pusher.run(listed=tuple(orders), keep_going=True, retries=0, timeout=30.0)
    assert [type(one) for one in outcomes] == [PushResult, PushResult, PushFailure]


def test_a_shared_layer_that_hangs_costs_the_time_of_the_image_that_brings_it(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    registry.fault(Hang(0), method="PUT", path="uploads")
    orders = []
    for number in range(2):
        write_layout(tmp_path / str(number), [ImageSpec((5_000,))])
        orders.append(Order(str(tmp_path / str(number)), to(registry, f"app{number}")))
    assert reached(pusher.run(listed=tuple(orders), keep_going=True, timeout=1.0)) == 1


def test_with_one_job_a_request_that_hangs_costs_one_image_alone(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    registry.fault(Hang(0), method="PUT", path="team/app1/manifests")
    orders = layouts(tmp_path, registry, 6)
    assert reached(pusher.run(listed=orders, keep_going=True, timeout=0.5, jobs=1)) == 5


@pytest.mark.parametrize("size", [5_000, LARGE])
def test_a_layer_that_is_broken_in_one_archive_is_packed_from_another(
    size: int, registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    one = Saved(layers=(size, 100), seed=7)
    members = members_of([one])
    name = next(name for name, data in members.items() if data == one.raw()[0])
    data = bytearray(one.raw()[0])
    data[600] ^= 1
    write_tar(tmp_path / "bad.tar", {**members, name: bytes(data)})
    write_tar(tmp_path / "good.tar", members)
    orders = tuple(
        Order(str(tmp_path / f"{name}.tar"), to(registry, name)) for name in ("bad", "good")
    )
    outcomes = pusher.run(listed=orders, keep_going=True, memory=False)
    assert [type(one) for one in outcomes] == [PushFailure, PushResult]


def test_where_mounts_are_refused_tags_of_one_repository_get_a_layer_once(
    pusher: Pusher, tmp_path: Path
) -> None:
    size = 12_000_000
    with MemoryRegistry(Manners(mount="always-202")) as registry:
        orders = []
        for number, name in enumerate(("other", "app", "app", "app", "app")):
            path = tmp_path / str(number)
            write_layout(path, [ImageSpec((b"x" * size, 100 + number))])
            place = Reference.parse(f"{registry.host}/team/{name}:v{number}")
            orders.append(Order(str(path), (place,)))
        outcomes = pusher.run(listed=tuple(orders), keep_going=True, limit_rate=20_000_000)
        assert reached(outcomes) == 5
        assert sum(one.body_length for one in registry.requests) < 2 * size + 100_000


def test_a_push_that_is_done_is_reported_though_its_tidying_up_is_stopped(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    def stop_soon(event: Event) -> None:
        if isinstance(event, ManifestEnded):
            threading.Timer(0.1, lambda: pusher.stop.request(signal.SIGINT)).start()

    pusher.recorder.on_event = stop_soon
    registry.fault(Reset(), method="PUT", path="uploads")
    registry.fault(Hang(0), method="DELETE", times=None)
    registry.fault(Hang(0), path="team/b/", times=None)
    for name in "ab":
        write_layout(tmp_path / name, [ImageSpec((5_000,), seed=ord(name))])
    orders = tuple(Order(str(tmp_path / name), to(registry, name)) for name in "ab")
    outcomes = pusher.run(listed=orders, keep_going=True)
    assert registry.tags("team/a") == ["v1"]
    assert [type(one) for one in outcomes] == [PushResult, PushFailure]


def test_a_signal_while_all_that_is_left_is_tidying_up_makes_no_failure(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, PushResult):
            pusher.stop.request(signal.SIGINT)

    pusher.recorder.on_event = stop
    registry.fault(Reset(), method="PUT", path="uploads")
    registry.fault(Hang(0), method="DELETE", times=None)
    (outcome,) = pusher.run(listed=layouts(tmp_path, registry, 1))
    assert isinstance(outcome, PushResult)


def test_a_signal_ends_the_look_at_a_long_list(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    def stop(event: Event) -> None:
        pusher.stop.request(signal.SIGINT)

    pusher.recorder.on_event = stop
    pusher.run(listed=layouts(tmp_path, registry, MANY))
    assert sum(isinstance(event, Note) for event in pusher.recorder.events) == 1
    assert registry.requests == []


@pytest.mark.parametrize("left", [0, 1])
def test_an_archive_that_holds_less_when_its_turn_comes_is_counted_as_what_it_is(
    left: int, registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    many = [Saved(layers=(300 + k,), tags=(f"{registry.host}/m/x:t{k}",)) for k in range(3)]
    path = tmp_path / "many.tar"
    save(path, many)

    def shrink(event: Event) -> None:
        if isinstance(event, RunStarted):
            path.unlink()
            if left:
                save(path, many[:left])

    pusher.recorder.on_event = shrink
    orders = (*layouts(tmp_path, registry, KEPT_OPEN), Order(str(path)))
    outcomes = pusher.run(listed=orders, keep_going=True)
    assert ended(pusher).left == 0
    assert len(outcomes) == KEPT_OPEN + 1
    assert reached(outcomes) == KEPT_OPEN + left


def test_a_request_that_hangs_holds_nobody_back_though_the_registry_was_in_trouble(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    registry.fault(Hang(0), path="team/app0/blobs", times=None)
    registry.fault(Reset(), method="POST", times=3)
    outcomes = pusher.run(
        listed=layouts(tmp_path, registry, 3), keep_going=True, timeout=5.0, limit_rate=10_000_000
    )
    assert reached(outcomes) == 2
