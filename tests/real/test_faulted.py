"""Pushes to which something happens: whole in the end, or the tag as it was and the reason told.

`make faults` makes many more of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.faults.pushes import Case, Image, Outcome, Pushes
from tests.parts.distribution import Distribution, DistributionOptions
from tests.parts.proxy_faults import KINDS
from tests.parts.skopeo import Skopeo
from tests.real.conftest import Start

PLACES = ("root", "start", "send", "manifest")
_HARD = {
    "reset": (0, 500, 1000),
    "half-close": (700,),
    "stall": (300,),
    "truncated": (999,),
    "bytes twice": (500,),
    "answer cut": (500,),
    "500 after work": (0,),
}


def chosen() -> Iterator[tuple[str, Case, bool]]:
    """An image's name, what happens, and whether the tag is another image's before."""
    for number, kind in enumerate(KINDS):
        # the two places where a fault costs most, and one of the others in turn
        yield "layout", Case(kind, place="manifest", permille=number * 41), number % 2 == 0
        yield "archive", Case(kind, place=PLACES[number % 3], permille=1000 - number * 41), False
    for kind, places in _HARD.items():
        for permille in places:
            yield "layout", Case(kind, 1, "send", permille), True
    for kind in ("reset", "stall", "502 instead", "answer lost"):
        yield "layout", Case(kind, place="send", permille=600, ever=True), True
        yield "index", Case(kind, 1, "manifest", ever=True), True
    yield "archive", Case("reset", place="stream", permille=400), True
    yield "archive", Case("answer lost", place="stream"), False


CHOSEN = tuple(chosen())


@pytest.fixture(scope="module")
def outcomes(
    start_distribution: Start, skopeo: Skopeo, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, Case, bool], Future[Outcome]]]:
    """All of them, some at once: most of the time of a fault is waiting."""
    with (
        start_distribution(DistributionOptions()) as registry,
        ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool,
    ):
        pushes = Pushes(registry, skopeo, tmp_path_factory.mktemp("faulted"))
        images: dict[str, Image] = {
            "layout": pushes.layout(),
            "index": pushes.index(),
            "archive": pushes.archive(),
        }
        yield {
            one: pool.submit(pushes.push, images[one[0]], one[1], over_old=one[2]) for one in CHOSEN
        }


def name_of(one: tuple[str, Case, bool]) -> str:
    image, case, _ = one
    return f"{image}, {case.kind} at {case.place}{', for ever' if case.ever else ''}"


@pytest.mark.parametrize("one", CHOSEN, ids=name_of)
def test_a_faulted_push_is_whole_or_leaves_the_tag_and_says_why(
    one: tuple[str, Case, bool], outcomes: dict[tuple[str, Case, bool], Future[Outcome]]
) -> None:
    outcome = outcomes[one].result()
    assert outcome.problems == [], outcome
    assert outcome.places, "nothing was done to the push"


def test_an_undisturbed_push_through_the_proxy_sends_every_byte_once(
    distribution: Distribution, skopeo: Skopeo, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pushes = Pushes(distribution, skopeo, tmp_path_factory.mktemp("undisturbed"))
    image = pushes.layout()
    outcome = pushes.push(image, None)
    assert outcome.problems == []
    assert (outcome.code, outcome.tag, outcome.retries) == (0, "new", 0)
    assert outcome.sent == image.size
