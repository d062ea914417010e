"""What a push says of where its time went."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from idpbuilder.errors import Interrupted, PushError
from idpbuilder.push.events import Event, PushStarted
from idpbuilder.push.result import PushFailure
from idpbuilder.push.session import RegistrySession, unwatched
from idpbuilder.push.trace import Group, Span, Trace, Track
from idpbuilder.push.traced import TracedEngine, phases_of
from idpbuilder.wire import BytesBody, Completion, Request, Timing
from tests.parts.docker_archives import Saved, save
from tests.parts.faults import Wait
from tests.parts.images import ImageSpec, write_layout
from tests.parts.manners import WITH_QUERY, Manners
from tests.parts.memory_registry import MemoryRegistry
from tests.push.conftest import Pusher
from tests.push.scripted import ScriptedEngine, response
from tests.push.test_session import World

TRACK = Track(Group.CONNECTIONS, "https://registry.test #1")
TIMING = Timing(
    host="https://registry.test",
    connection=1,
    reused=False,
    version="2",
    queued=1.0,
    begun=2.0,
    set_up=3.0,
    looked_up=4.0,
    connected=5.0,
    secured=6.0,
    sending=7.0,
    handed_over=8.0,
    answered=9.0,
    ended=10.0,
)


class Clock:
    """Tells what it was set to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Spans(list[Span]):
    """What was handed on, and the trace that did so."""

    def __init__(self, clock: Callable[[], float] | None = None, limit: int = 1000) -> None:
        super().__init__()
        self.trace = Trace(self.append, limit=limit, **({"clock": clock} if clock else {}))

    def of(self, group: Group) -> list[Span]:
        return [span for span in self if span.track.group is group]

    def named(self, name: str) -> list[Span]:
        return [span for span in self if span.name == name]


def rows_are_free_of_overlaps(spans: list[Span]) -> bool:
    """Whether no two spans in one row were there at the same time, and phases lie in order."""
    rows: dict[tuple[Track, int], list[Span]] = {}
    for span in spans:
        rows.setdefault((span.track, span.row), []).append(span)
        edges = [edge for phase in span.phases for edge in (phase.start, phase.end)]
        assert [span.start, *edges, span.end] == sorted([span.start, *edges, span.end]), span
    for row in rows.values():
        row.sort(key=lambda span: (span.start, span.end))
        for one, other in pairwise(row):
            assert one.end <= other.start, (one, other)
    return bool(rows)


# -- the trace itself


def test_what_is_there_at_once_has_rows_of_its_own_and_what_comes_later_none() -> None:
    spans = Spans(Clock())
    for start, end in ((0, 4), (1, 2), (2, 3), (3, 6), (4, 5)):
        spans.trace.add(TRACK, "request", start, end, {})
    assert [span.row for span in spans] == [0, 1, 1, 1, 0]


def test_what_has_begun_holds_its_row_until_it_ends() -> None:
    clock = Clock()
    spans = Spans(clock)
    first = spans.trace.begin(TRACK, "image", {"image": "app"})
    spans.trace.add(TRACK, "layer", 0, 1, {})
    clock.now = 5.0
    spans.trace.end(first, {"sent": 3})
    spans.trace.end(first, {"sent": 4})
    assert [(span.name, span.row, span.start, span.end) for span in spans] == [
        ("layer", 1, 0, 1),
        ("image", 0, 0, 5),
    ]
    assert spans[1].arguments == {"image": "app", "sent": 3}


def test_moments_count_from_the_beginning_of_the_trace() -> None:
    clock = Clock()
    clock.now = 100.0
    spans = Spans(clock)
    spans.trace.add(TRACK, "request", 101, 104, {}, [("send", 102, 103)])
    (span,) = spans
    (phase,) = span.phases
    assert (span.start, span.end, phase.start, phase.end) == (1, 4, 2, 3)


def test_beyond_the_limit_spans_are_counted_and_handed_on_no_more() -> None:
    spans = Spans(Clock(), limit=3)
    phases = [("send", 0, 1)]
    for _ in range(4):
        spans.trace.add(TRACK, "request", 0, 1, {}, phases)
    assert (len(spans), spans.trace.dropped) == (1, 3)


def test_what_never_ended_is_handed_on_at_the_end_as_cut_off() -> None:
    clock = Clock()
    spans = Spans(clock)
    spans.trace.begin(TRACK, "image", {})
    clock.now = 2.0
    spans.trace.close()
    spans.trace.close()
    # a thread that was not told in time
    spans.trace.add(TRACK, "late", 2, 3, {})
    (span,) = spans
    assert (span.end, span.arguments) == (2, {"ended by": "the end of the run"})


def test_what_fails_says_by_what() -> None:
    spans = Spans(Clock())
    with pytest.raises(PushError), spans.trace.opening("app.tar"):
        raise PushError("no")
    (span,) = spans
    assert (span.track.group, span.name) == (Group.SOURCES, "app.tar")
    assert span.arguments == {"ended by": "PushError"}


def test_threads_tell_it_at_once_and_nothing_is_lost() -> None:
    spans = Spans(limit=100_000)

    def work() -> None:
        for _ in range(500):
            with spans.trace.during(Track(Group.PACKING, "thread"), "pack", {}):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(spans) == 2000
    assert rows_are_free_of_overlaps(spans)


# -- requests


def test_the_phases_of_a_request_follow_on_each_other() -> None:
    phases = list(phases_of(TIMING, has_body=True))
    names = ["set-up", "look-up", "connect", "TLS", "wait", "send", "commit", "receive"]
    assert [name for name, _, _ in phases] == names
    assert [(start, end) for _, start, end in phases] == [(n, n + 1) for n in range(2, 10)]


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        (
            {"set_up": 2.0, "looked_up": None, "connected": None, "secured": None, "sending": 2.0},
            ["send", "answer", "receive"],
        ),
        ({"sending": None, "handed_over": None, "answered": None}, None),
        ({"begun": None}, []),
        # refused before the body was whole: what was sent ended with the answer
        ({"handed_over": None}, ["set-up", "look-up", "connect", "TLS", "wait", "send", "receive"]),
    ],
)
def test_what_a_request_did_not_come_to_is_no_phase(
    changed: dict[str, float | None], names: list[str] | None
) -> None:
    timing = replace(TIMING, **changed)  # type: ignore[arg-type]
    expected = ["set-up", "look-up", "connect", "TLS"] if names is None else names
    assert [name for name, _, _ in phases_of(timing, has_body=False)] == expected


def test_a_request_is_told_without_its_query_and_with_what_came_of_it() -> None:
    request = Request(
        "PUT",
        "https://registry.test/v2/app/blobs/uploads/1?_state=s3cret&digest=x",
        (("Authorization", "Bearer s3cret"),),
        BytesBody(b"four"),
    )
    done = Completion(0, response(201), None, 4, True, 1.0, TIMING)
    spans = Spans(Clock())
    engine = TracedEngine(ScriptedEngine(lambda _request: done), spans.trace)
    engine.submit(request)
    assert len(engine.poll(None)) == 1
    line, span = spans
    assert (line.track, line.start, line.end) == (Track(Group.LINE, TIMING.host), 1, 2)
    assert (span.track, span.name, span.start, span.end) == (TRACK, "PUT upload", 2, 10)
    assert span.arguments == {
        "url": "https://registry.test/v2/app/blobs/uploads/1",
        "status": 201,
        "sent": 4,
        "HTTP": "2",
        "connection": "new",
    }
    assert "s3cret" not in repr(spans)


@pytest.mark.parametrize("end", ["cancel", "close"])
def test_a_request_that_is_dropped_is_told_once(end: str) -> None:
    clock = Clock()
    spans = Spans(clock)
    engine = TracedEngine(ScriptedEngine(lambda _request: None), spans.trace)
    ticket = engine.submit(Request("GET", "https://registry.test/v2/?token=s3cret"))
    clock.now = 3.0
    if end == "cancel":
        engine.cancel(ticket)
    engine.close()
    (span,) = spans
    assert (span.track.name, span.name, span.end) == ("https://registry.test dropped", "GET", 3)
    assert span.arguments == {"url": "https://registry.test/v2/", "sent": 0, "ended by": "us"}


# -- waits


def watched(world: World, spans: Spans) -> World:
    world.session = RegistrySession(
        world.shared, world.notes.append, partial(spans.trace.waiting, 1)
    )
    return world


def test_a_back_off_is_told_with_its_reason() -> None:
    answers = iter([response(500), response(200)])
    world = World(lambda request: next(answers))
    spans = Spans(world.engine.clock)
    assert watched(world, spans).has_blob()
    (span,) = spans
    assert (span.track.group, span.name, span.end) == (Group.IMAGES, "back-off", 0.5)
    assert "answered 500" in str(span.arguments["why"])


def test_the_quiet_that_a_registry_asks_for_is_told_of_those_who_keep_it() -> None:
    answers = iter([response(429, Retry_After="40"), *[response(200)] * 2])
    world = World(lambda request: next(answers))
    spans = Spans(world.engine.clock)
    watched(world, spans)
    world.shared.pace.hush(15.0)
    assert world.has_blob()
    assert [(span.name, span.start, span.end) for span in spans] == [
        ("quiet", 0, 15),
        ("back-off", 15, 55),
    ]


# -- whole pushes


def test_a_push_is_told_from_its_source_to_its_tag(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(layers=(1000, 2000))])
    spans = Spans()
    place = f"{registry.host}/team/app:v1"
    result = pusher.push(layout.path, place, trace=spans.trace)
    spans.trace.close()
    assert rows_are_free_of_overlaps(spans)
    assert [span.name for span in spans.of(Group.SOURCES)] == [str(layout.path)]
    images = spans.of(Group.IMAGES)
    assert {span.track.name for span in images} == {f"#1 {place}"}
    names = sorted(span.name for span in images)
    assert names == sorted([place, "layer 1/2", "layer 2/2", "config", "manifests"])
    (image,) = spans.named(place)
    assert image.row == 0
    assert image.arguments["digest"] == str(result.root.digest)
    assert all(image.start <= span.start and span.end <= image.end for span in images)
    requests = spans.of(Group.CONNECTIONS)
    assert len(requests) == result.requests
    assert all(span.phases for span in requests)


def test_a_push_that_is_traced_asks_what_one_asks_that_is_not(
    pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(layers=(1000, 2000))])
    asked = []
    for options in ({}, {"trace": Spans().trace}):
        with MemoryRegistry(Manners(location="/uploads/{id}")) as registry:
            pusher.push(layout.path, f"{registry.host}/team/app:v1", **options)
            asked.append(sorted(one.method for one in registry.requests))
    assert asked[0] == asked[1]


def test_no_query_is_told_whatever_a_registry_puts_there(pusher: Pusher, tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(layers=(1000, 2000))])
    spans = Spans()
    with MemoryRegistry(Manners(location=WITH_QUERY)) as registry:
        pusher.push(layout.path, f"{registry.host}/team/app:v1", trace=spans.trace)
    urls = [str(span.arguments["url"]) for span in spans.of(Group.CONNECTIONS)]
    assert any("/blobs/uploads/" in url for url in urls)
    assert not any("?" in url or "_state" in url for url in urls)


def test_each_block_of_a_layer_is_told_at_each_of_its_stages(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar", [Saved(layers=(2_500_000,), tags=("app:v1",))])
    spans = Spans()
    pusher.push(saved.path, f"{registry.host}/team/app:v1", trace=spans.trace)
    packing = spans.of(Group.PACKING)
    assert rows_are_free_of_overlaps(packing)
    assert {span.row for span in packing} == {0}
    assert all(span.track.name.startswith("packing-") for span in packing)
    stages = [span.name for span in packing]
    assert stages.count("read") == stages.count("pack") == stages.count("write") >= 3
    assert {span.arguments["layer"] for span in packing} == set(saved.images[0].diff_ids)


def test_of_a_push_that_is_stopped_all_is_told_until_then(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(layers=(1000, 2000))])
    place = f"{registry.host}/team/app:v1"
    spans, gate = Spans(), threading.Event()
    registry.fault(Wait(gate), method="PUT", times=None)

    def stop(request: Request) -> None:
        if request.method == "PUT":
            pusher.stop.request(signal.SIGTERM)

    watch_requests(monkeypatch, stop)
    try:
        (outcome,) = pusher.run(layout.path, to=place, trace=spans.trace)
    finally:
        gate.set()
    spans.trace.close()
    assert isinstance(outcome, PushFailure)
    assert isinstance(outcome.error, Interrupted)
    (image,) = spans.named(place)
    assert image.arguments["ended by"] == "the end of the run"
    dropped = [span for span in spans.named("PUT upload") if "ended by" in span.arguments]
    assert dropped
    assert rows_are_free_of_overlaps(spans)


def watch_requests(monkeypatch: pytest.MonkeyPatch, look: Callable[[Request], None]) -> None:
    """Have `look` called with each request that goes into the traced engine."""
    submit = TracedEngine.submit

    def watched(engine: TracedEngine, request: Request) -> int:
        ticket = submit(engine, request)
        look(request)
        return ticket

    monkeypatch.setattr(TracedEngine, "submit", watched)


def test_a_push_that_fails_says_so_on_its_own_track(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(layers=(1000,))])
    spans = Spans()
    started: list[Event] = []
    pusher.recorder.on_event = started.append
    place = f"{registry.host}/team/app:v1@sha256:{'0' * 64}"
    error = pusher.fails(layout.path, place, trace=spans.trace)
    begun = [event for event in started if isinstance(event, PushStarted)]
    told = [span.arguments.get("failure") for span in spans.of(Group.IMAGES)]
    assert told == [error.message] * len(begun)


def test_nothing_surrounds_a_wait_that_nobody_watches() -> None:
    around: AbstractContextManager[None] = unwatched("back-off", "why")
    assert isinstance(around, nullcontext)
