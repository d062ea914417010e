"""Many images as one plan: what they share goes out once, and none is in another's way."""

from __future__ import annotations

import gzip
import os
import signal
from pathlib import Path

import pytest

from idpbuilder.errors import ImageInvalid, Interrupted, NetworkError, PushTimeout
from idpbuilder.image import Reference
from idpbuilder.push.course import KEPT_OPEN
from idpbuilder.push.events import Event, PushStarted, RunEnded, RunStarted
from idpbuilder.push.options import Order
from idpbuilder.push.result import PushFailure, PushResult
from idpbuilder.push.schedule import HEAVY
from tests.parts.docker_archives import Saved, save
from tests.parts.faults import Answer, Hang
from tests.parts.images import ImageSpec, write_layout
from tests.parts.listeners import ClosesAtOnce
from tests.parts.manners import Manners
from tests.parts.memory_registry import MemoryRegistry
from tests.parts.registry_auth import BearerAuth
from tests.parts.token_service import TokenService
from tests.push.conftest import Pusher
from tests.push.test_pushing import holds
from tests.push.test_saved import LARGE, unpacked

MANY = KEPT_OPEN + 8
"""More orders than are kept open."""


def to(registry: MemoryRegistry | str, name: str) -> tuple[Reference, ...]:
    host = registry if isinstance(registry, str) else registry.host
    return (Reference.parse(f"{host}/team/{name}:v1"),)


def layouts(folder: Path, registry: MemoryRegistry, count: int) -> tuple[Order, ...]:
    """Small images that share a layer."""
    orders = []
    for number in range(count):
        path = folder / f"image{number}"
        write_layout(path, [ImageSpec((5_000, 100 + number))])
        line = f"line {number + 1} of `list`"
        orders.append(Order(str(path), to(registry, f"app{number}"), line=line))
    return tuple(orders)


def test_a_raw_layer_that_archives_share_is_packed_and_sent_once(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    images = [Saved(layers=(LARGE, 500 + number), seed=7) for number in range(4)]
    saved = [save(tmp_path / f"{number}.tar", [one]) for number, one in enumerate(images)]
    orders = tuple(
        Order(str(one.path), to(registry, f"app{number}")) for number, one in enumerate(saved)
    )
    outcomes = pusher.run(listed=orders, memory=False)
    assert all(isinstance(outcome, PushResult) for outcome in outcomes)
    for number, one in enumerate(images):
        assert unpacked(registry, f"team/app{number}") == one.raw()
    assert sum(one.body_length for one in registry.requests) < 2 * LARGE


def test_more_images_than_are_kept_open_all_arrive_with_few_open_files(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    counts: list[int] = []

    def count(event: Event) -> None:
        counts.append(len(os.listdir("/proc/self/fd")))

    pusher.recorder.on_event = count
    # of an archive, unlike a layout, a file is open
    orders = []
    for number in range(MANY):
        saved = save(tmp_path / f"{number}.tar", [Saved(layers=(300 + number,))])
        orders.append(Order(str(saved.path), to(registry, f"app{number}")))
    pusher.run(listed=tuple(orders[:4]))
    few, counts[:] = max(counts), []
    outcomes = pusher.run(listed=tuple(orders), jobs=2)
    assert [outcome.reference for outcome in outcomes] == [order.to[0] for order in orders]
    assert all(isinstance(outcome, PushResult) for outcome in outcomes)
    assert max(counts) < few + 2 * KEPT_OPEN


def test_compressed_archives_are_unpacked_in_their_turn_and_a_broken_one_fails_alone(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    orders = []
    for number in range(3):
        saved = save(tmp_path / "plain.tar", [Saved(layers=(1_000 + number,))])
        path = tmp_path / f"{number}.tar.gz"
        data = gzip.compress(saved.path.read_bytes())
        path.write_bytes(data[: len(data) // 2] if number == 1 else data)
        line = f"line {number + 1} of `list`"
        orders.append(Order(str(path), to(registry, f"app{number}"), line=line))
    outcomes = pusher.run(listed=tuple(orders), keep_going=True)
    assert [type(outcome) for outcome in outcomes] == [PushResult, PushFailure, PushResult]
    failure = outcomes[1]
    assert isinstance(failure, PushFailure)
    assert isinstance(failure.error, ImageInvalid)
    assert failure.error.message.startswith("line 2 of `list`: ")


def test_where_mounts_are_refused_everything_arrives_all_the_same(
    pusher: Pusher, tmp_path: Path
) -> None:
    with MemoryRegistry(Manners(mount="always-202")) as registry:
        orders = layouts(tmp_path, registry, 6)
        outcomes = pusher.run(listed=orders)
        assert all(isinstance(outcome, PushResult) for outcome in outcomes)
        assert all(registry.tags(f"team/app{number}") == ["v1"] for number in range(6))


def test_a_registry_that_throttles_gets_everything_in_the_end(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    slow = Answer(429, headers={"Retry-After": "0"})
    registry.fault(slow, times=5)
    outcomes = pusher.run(listed=layouts(tmp_path, registry, 8))
    assert all(isinstance(outcome, PushResult) for outcome in outcomes)


def test_where_one_of_two_registries_is_down_its_images_fail_together_and_the_others_arrive(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    with ClosesAtOnce() as down:
        orders = tuple(
            Order(order.image, order.to if number % 2 else to(down.host, f"app{number}"))
            for number, order in enumerate(layouts(tmp_path, registry, 12))
        )
        outcomes = pusher.run(listed=orders, keep_going=True, retries=1)
    failures = [outcome for outcome in outcomes if isinstance(outcome, PushFailure)]
    assert len(failures) == 6
    assert all(isinstance(failure.error, NetworkError) for failure in failures)
    assert len(registry.repositories) == 6
    retries = [note for note in pusher.recorder.notes.splitlines() if note.startswith("retry")]
    assert len(retries) == 1, "one image found out for all of them"


def test_tokens_for_one_repository_each_are_enough(pusher: Pusher, tmp_path: Path) -> None:
    with TokenService({"alice": "s3cret"}) as tokens:
        with MemoryRegistry(auth=BearerAuth(tokens)) as registry:
            orders = layouts(tmp_path, registry, 5)
            outcomes = pusher.run(listed=orders, username="alice", password="s3cret")
        assert all(isinstance(outcome, PushResult) for outcome in outcomes)


def test_an_image_that_hangs_runs_out_of_time_alone(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    registry.fault(Hang(1000), path="team/app1/manifests", times=None)
    outcomes = pusher.run(listed=layouts(tmp_path, registry, 3), keep_going=True, timeout=0.5)
    assert [type(outcome) for outcome in outcomes] == [PushResult, PushFailure, PushResult]
    failure = outcomes[1]
    assert isinstance(failure, PushFailure)
    assert isinstance(failure.error, PushTimeout)


def test_what_was_finished_before_a_signal_stays_and_is_reported(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, PushResult):
            pusher.stop.request(signal.SIGINT)

    pusher.recorder.on_event = stop
    orders = layouts(tmp_path, registry, 20)
    outcomes = pusher.run(listed=orders, jobs=1, keep_going=True)
    reached = [outcome for outcome in outcomes if isinstance(outcome, PushResult)]
    assert 0 < len(reached) < 20
    for result in reached:
        assert registry.tags(result.reference.repository) == ["v1"]
    last = outcomes[-1]
    assert isinstance(last, PushFailure)
    assert isinstance(last.error, Interrupted)
    assert (last.image, last.reference) == ("", None)
    (end,) = [event for event in pusher.recorder.events if isinstance(event, RunEnded)]
    assert len(end.outcomes) + end.left == 20
    assert last not in end.outcomes


def test_a_run_says_at_first_how_many_pushes_it_has_and_tells_where_all_of_them_stand(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    pusher.run(listed=layouts(tmp_path, registry, 5))
    told = [
        event for event in pusher.recorder.events if isinstance(event, RunStarted | PushStarted)
    ]
    assert told[0] == RunStarted(5)
    assert max(len(progress.pushes) for progress in pusher.recorder.progresses) > 1


def test_small_images_arrive_while_large_ones_are_on_their_way(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    path = tmp_path / "large"
    write_layout(path, [ImageSpec((HEAVY,))])
    small = layouts(tmp_path, registry, 5)
    large = Order(str(path), to(registry, "large"))
    pusher.run(listed=(large, *small), limit_rate=40_000_000)
    ended = [event for event in pusher.recorder.events if isinstance(event, PushResult)]
    assert ended[-1].reference.repository == "team/large"


def test_tags_that_change_places_are_no_cycle(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    one = write_layout(tmp_path / "one", [ImageSpec((1_000,), seed=1)])
    two = write_layout(tmp_path / "two", [ImageSpec((2_000,), seed=2)])
    orders = (Order(str(one.path), to(registry, "b")), Order(str(two.path), to(registry, "a")))
    pusher.run(listed=(Order(str(one.path), to(registry, "a")),))
    outcomes = pusher.run(listed=orders)
    assert all(isinstance(outcome, PushResult) for outcome in outcomes)
    assert holds(registry, "team/b", one)
    assert holds(registry, "team/a", two)


@pytest.mark.parametrize("verify", [False, True])
def test_a_rehearsal_plans_to_send_what_images_share_once(
    verify: bool, registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    outcomes = pusher.run(listed=layouts(tmp_path, registry, 3), dry_run=True, verify=verify)
    shared = [outcome.layers[0].status.value for outcome in outcomes]  # type: ignore[union-attr]
    assert sorted(shared) == ["would-mount", "would-mount", "would-push"]
    assert {request.method for request in registry.requests} == {"HEAD"}
