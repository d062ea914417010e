"""A list that several machines share."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idpbuilder.errors import ImageNotFound
from idpbuilder.image import Reference
from idpbuilder.push.events import Chosen
from idpbuilder.push.options import Order, Shard
from idpbuilder.push.result import PushFailure, PushResult
from idpbuilder.push.shard import split
from tests.parts.docker_archives import Saved, save
from tests.parts.images import ImageSpec, write_layout
from tests.parts.memory_registry import MemoryRegistry
from tests.push.conftest import Pusher

MB = 1_000_000

images = st.lists(
    st.dictionaries(st.integers(0, 20), st.integers(0, 10**9), max_size=5), max_size=30
)


@given(images, st.integers(1, 8))
def test_every_image_is_in_exactly_one_part(images: list[dict[int, int]], count: int) -> None:
    parts = split(images, count)
    assert len(parts) == count
    assert sorted(place for part in parts for place in part) == list(range(len(images)))
    assert parts == split(images, count)


def test_parts_are_balanced_by_size() -> None:
    sizes = [900, 500, 400, 100, 100]
    parts = split([{number: size * MB} for number, size in enumerate(sizes)], 2)
    assert sorted(sum(sizes[place] for place in part) for part in parts) == [1000, 1000]


def test_images_that_share_most_of_their_bytes_stay_together() -> None:
    one = [{"base one": 1000 * MB, f"a{number}": MB} for number in range(5)]
    two = [{"base two": 1000 * MB, f"b{number}": MB} for number in range(5)]
    mixed = [image for pair in zip(one, two, strict=True) for image in pair]
    assert split(mixed, 2) == [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]


def test_many_small_images_are_shared_out_by_their_number() -> None:
    parts = split([{number: 100} for number in range(100)], 4)
    assert [len(part) for part in parts] == [25, 25, 25, 25]


@pytest.fixture
def orders(registry: MemoryRegistry, tmp_path: Path) -> tuple[Order, ...]:
    """Layouts, an archive, and a compressed one."""
    paths = []
    for number in range(6):
        paths.append(tmp_path / f"layout{number}")
        write_layout(paths[-1], [ImageSpec((3_000 * number, 50))])
    paths.append(save(tmp_path / "plain.tar", [Saved(layers=(9_000,))]).path)
    paths.append(tmp_path / "packed.tar.gz")
    paths[-1].write_bytes(gzip.compress(paths[-2].read_bytes()))
    return tuple(
        Order(str(path), (Reference.parse(f"{registry.host}/team/app{number}:v1"),))
        for number, path in enumerate(paths)
    )


def pushed(pusher: Pusher, orders: tuple[Order, ...], count: int) -> list[set[str]]:
    """The images that each of so many machines pushes."""
    parts = []
    for number in range(1, count + 1):
        outcomes = pusher.run(listed=orders, shard=Shard(number, count))
        assert all(isinstance(outcome, PushResult) for outcome in outcomes)
        parts.append({outcome.image for outcome in outcomes})
    return parts


def test_the_machines_together_push_everything_once(
    pusher: Pusher, orders: tuple[Order, ...]
) -> None:
    parts = pushed(pusher, orders, 3)
    assert sum(map(len, parts)) == len(orders)
    assert set().union(*parts) == {order.image for order in orders}
    chosen = [event.text for event in pusher.recorder.events if isinstance(event, Chosen)]
    assert [text.partition(":")[0] for text in chosen] == ["Shard 1/3", "Shard 2/3", "Shard 3/3"]


def test_what_a_machine_remembers_makes_no_difference(
    pusher: Pusher, orders: tuple[Order, ...]
) -> None:
    before = pushed(pusher, orders, 3)
    assert pushed(pusher, orders, 3) == before


@pytest.mark.parametrize("number", [1, 2])
def test_a_machine_that_lacks_an_image_pushes_nothing_for_its_parts_would_be_others(
    number: int, registry: MemoryRegistry, pusher: Pusher, orders: tuple[Order, ...]
) -> None:
    orders = (*orders, Order("./nothing", orders[0].to, line="line 9 of `list`"))
    (failure,) = pusher.run(listed=orders, shard=Shard(number, 2), keep_going=True)
    assert isinstance(failure, PushFailure)
    assert isinstance(failure.error, ImageNotFound)
    assert registry.requests == []


def test_a_machine_too_many_pushes_nothing(
    registry: MemoryRegistry, pusher: Pusher, orders: tuple[Order, ...]
) -> None:
    assert pusher.run(listed=orders, shard=Shard(50, 50)) == ()
    assert registry.requests == []
