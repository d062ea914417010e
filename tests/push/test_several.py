"""Several images in one run, and what becomes of the others when one fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from idpbuilder.errors import ImageNotFound, RegistryFailed, UsageError
from idpbuilder.image import Reference
from idpbuilder.push.events import RunEnded
from idpbuilder.push.options import Order
from idpbuilder.push.result import PushFailure, PushResult
from tests.parts.faults import Html
from tests.parts.images import ImageSpec, Layout, write_layout
from tests.parts.memory_registry import MemoryRegistry
from tests.push.conftest import Pusher
from tests.push.test_pushing import holds


@pytest.fixture
def layouts(tmp_path: Path) -> list[Layout]:
    """Three images that share their first layer."""
    return [
        write_layout(tmp_path / f"image{number}", [ImageSpec((50_000, 1_000 + number))])
        for number in range(3)
    ]


def listed(registry: MemoryRegistry, layouts: list[Layout]) -> list[Order]:
    return [
        Order(
            str(layout.path),
            (Reference.parse(f"{registry.host}/team/app{number}:v1"),),
            line=f"line {number + 1} of `list`",
        )
        for number, layout in enumerate(layouts)
    ]


def test_a_list_is_pushed_in_its_order_and_what_images_share_is_mounted(
    registry: MemoryRegistry, pusher: Pusher, layouts: list[Layout]
) -> None:
    outcomes = pusher.run(listed=tuple(listed(registry, layouts)))
    assert all(isinstance(outcome, PushResult) for outcome in outcomes)
    for number, layout in enumerate(layouts):
        assert holds(registry, f"team/app{number}", layout)
    assert sum(one.body_length > 40_000 for one in registry.seen("PUT")) == 1
    (end,) = [event for event in pusher.recorder.events if isinstance(event, RunEnded)]
    assert end.outcomes == outcomes


@pytest.mark.parametrize("keep_going", [False, True])
def test_a_missing_image_is_named_by_its_line_and_stops_the_others_unless_they_keep_going(
    keep_going: bool, registry: MemoryRegistry, pusher: Pusher, layouts: list[Layout]
) -> None:
    orders = listed(registry, layouts)
    orders[1] = Order("./nothing", orders[1].to, line=orders[1].line)
    outcomes = pusher.run(listed=tuple(orders), keep_going=keep_going)
    failures = [outcome for outcome in outcomes if isinstance(outcome, PushFailure)]
    assert [type(failure.error) for failure in failures] == [ImageNotFound]
    assert failures[0].error.message.startswith("line 2 of `list`: ")
    if keep_going:
        assert [type(outcome) for outcome in outcomes] == [PushResult, PushFailure, PushResult]
        assert holds(registry, "team/app2", layouts[2])
    else:
        # the whole list is checked before anything is sent
        assert registry.seen() == []


@pytest.mark.parametrize("keep_going", [False, True])
def test_a_push_that_fails_stops_the_others_unless_they_keep_going(
    keep_going: bool, registry: MemoryRegistry, pusher: Pusher, layouts: list[Layout]
) -> None:
    registry.fault(Html(500), method="POST", path="team/app1/", times=None)
    orders = tuple(listed(registry, layouts))
    outcomes = pusher.run(listed=orders, keep_going=keep_going, retries=0)
    (failure,) = [outcome for outcome in outcomes if isinstance(outcome, PushFailure)]
    assert isinstance(failure.error, RegistryFailed)
    (end,) = [event for event in pusher.recorder.events if isinstance(event, RunEnded)]
    assert len(outcomes) + end.left == 3
    if keep_going:
        assert [type(outcome) for outcome in outcomes] == [PushResult, PushFailure, PushResult]


def test_two_images_at_one_destination_are_refused_before_anything_is_sent(
    registry: MemoryRegistry, pusher: Pusher, layouts: list[Layout]
) -> None:
    orders = listed(registry, layouts)
    orders[2] = Order(orders[2].image, orders[0].to, line=orders[2].line)
    outcomes = pusher.run(listed=tuple(orders))
    failure = outcomes[-1]
    assert isinstance(failure, PushFailure)
    assert isinstance(failure.error, UsageError)
    assert "line 3 of `list`" in failure.error.message
    assert registry.seen() == []


def test_the_same_list_again_costs_one_request_an_image(
    registry: MemoryRegistry, pusher: Pusher, layouts: list[Layout]
) -> None:
    orders = tuple(listed(registry, layouts))
    pusher.run(listed=orders)
    before = len(registry.seen())
    pusher.run(listed=orders)
    assert [one.method for one in registry.seen()[before:]] == ["HEAD"] * 3
