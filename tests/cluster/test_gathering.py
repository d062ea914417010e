"""What workers tell becomes one run, whoever tells it, in whatever order, and how often."""

from __future__ import annotations

import pytest

from idpbuilder.cluster.gathering import Gathering
from idpbuilder.cluster.share import Told
from idpbuilder.cluster.sources import Seen
from idpbuilder.errors import ImageNotFound, Interrupted, Unreachable
from idpbuilder.image import Descriptor, Digest, Reference
from idpbuilder.push.events import Note, PushStarted, RunEnded, RunStarted, Warned
from idpbuilder.push.options import Order
from idpbuilder.push.result import Outcome, PushFailure, PushResult
from tests.push.conftest import Recorder

PLACES = tuple(Reference.parse(f"r.example.com/team/app{number}:v1") for number in range(4))
SEEN = [
    Seen(Order("/a"), (PLACES[0], PLACES[1])),
    Seen(Order("/b", (PLACES[2],))),
    Seen(Order("/c", (PLACES[3],), line="line 3")),
]


def result(number: int) -> PushResult:
    image = "/a" if number < 2 else "/b" if number == 2 else "/c"
    root = Descriptor("type", Digest.of(b""), 1)
    return PushResult(image, PLACES[number], root, 1, (), (), 0, 0, 0, 0.0)


def push(number: int, share: int = 0) -> Told:
    return Told(share, (PushStarted("app", PLACES[number], ()), result(number)))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def outcomes(recorder: Recorder) -> list[Outcome]:
    return [one for one in recorder.events if isinstance(one, PushResult | PushFailure)]


def test_outcomes_come_in_the_order_of_the_list(recorder: Recorder) -> None:
    gathering = Gathering(SEEN, recorder)
    for number in (3, 1, 0, 2):
        gathering.hear(push(number))
    assert gathering.end(None) == tuple(map(result, range(4)))
    assert recorder.events[0] == RunStarted(4)
    assert outcomes(recorder) == [result(number) for number in (3, 1, 0, 2)]
    ended = recorder.events[-1]
    assert isinstance(ended, RunEnded)
    assert ended.left == 0
    assert not gathering.has_failed


def test_what_is_told_twice_is_reported_once(recorder: Recorder) -> None:
    gathering = Gathering(SEEN, recorder)
    warning = Told(0, (Warned("careful"),))
    for told in (push(0), warning, push(0), Told(1, (Warned("careful"),)), push(1)):
        gathering.hear(told)
    gathering.hear(Told(0, (Note("same"),)))
    gathering.hear(Told(1, (Note("same"),)))
    assert outcomes(recorder) == [result(0), result(1)]
    assert recorder.events.count(Warned("careful")) == 1
    assert recorder.events.count(Note("same")) == 2


def test_a_share_that_is_lost_fails_with_what_it_had_not_told(recorder: Recorder) -> None:
    gathering = Gathering(SEEN, recorder)
    gathering.hear(push(1))
    missing = PushFailure("/c", None, ImageNotFound("line 3: no image"))
    gathering.hear(Told(0, (missing,)))
    # another worker, to whom the share went, says the same
    gathering.hear(Told(0, (PushFailure("/c", None, ImageNotFound("line 3: no image", "there")),)))
    error = Unreachable("lost")
    gathering.fails(0, [0, 1, 2], error)
    wanted = (
        PushFailure("/a", PLACES[0], error),
        result(1),
        PushFailure("/b", PLACES[2], error),
        missing,
    )
    assert gathering.end(None) == wanted
    assert gathering.has_failed


def test_a_run_that_is_stopped_tells_how_many_are_left(recorder: Recorder) -> None:
    gathering = Gathering(SEEN, recorder)
    gathering.hear(push(2))
    error = Interrupted("stopped by SIGINT", 2)
    assert gathering.end(error) == (result(2), PushFailure("", None, error))
    ended = recorder.events[-1]
    assert isinstance(ended, RunEnded)
    assert (ended.outcomes, ended.left) == ((result(2),), 3)


def test_an_image_whose_names_are_not_known_here_has_not_failed_if_one_arrived(
    recorder: Recorder,
) -> None:
    gathering = Gathering([Seen(Order("/a")), Seen(Order("/unseen"))], recorder)
    gathering.hear(push(0))
    error = Unreachable("lost")
    gathering.fails(0, [0, 1], error)
    assert gathering.end(None) == (result(0), PushFailure("/unseen", None, error))
