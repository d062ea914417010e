"""The engine, the reporter and the packer of a push whose time is looked at: each does what the
real one does, and tells a `Trace` of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from idpbuilder.push.events import (
    ConfigEnded,
    Event,
    LayerEnded,
    ManifestEnded,
    Progress,
    PushStarted,
    Reporter,
)
from idpbuilder.push.result import LayerResult, PushFailure, PushResult
from idpbuilder.push.trace import Group, Trace, Track, Value
from idpbuilder.registry.failure import bare
from idpbuilder.wire import Completion, Engine, Request, Timing

if TYPE_CHECKING:
    pass

_SHORT: Final = 0.001
"""Seconds of the shortest wait in the engine's line that is told."""

_BRIEF: Final = 0.0001
"""Seconds below which a request's beginning is no phase of it: every one has some."""


class TracedEngine:
    """An engine that tells `trace` of every request. It has to say where the time goes."""

    def __init__(self, engine: Engine, trace: Trace) -> None:
        self._engine = engine
        self._trace = trace
        self._moving: dict[int, tuple[Request, float]] = {}

    def submit(self, request: Request) -> int:
        """As the engine's."""
        now = self._trace.clock()
        ticket = self._engine.submit(request)
        self._moving[ticket] = request, now
        return ticket

    def poll(self, timeout: float | None) -> list[Completion]:
        """As the engine's."""
        ended = self._engine.poll(timeout)
        for completion in ended:
            request, _ = self._moving.pop(completion.ticket)
            if completion.timing is not None:
                self._tell(request, completion, completion.timing)
        return ended

    def sent(self, ticket: int) -> int:
        """As the engine's."""
        return self._engine.sent(ticket)

    def is_moving(self, ticket: int) -> bool:
        """As the engine's."""
        return self._engine.is_moving(ticket)

    def cancel(self, ticket: int) -> None:
        """As the engine's."""
        self._drop(ticket)
        self._engine.cancel(ticket)

    def wake(self) -> None:
        """As the engine's."""
        self._engine.wake()

    def close(self) -> None:
        """As the engine's."""
        for ticket in list(self._moving):
            self._drop(ticket)
        self._engine.close()

    def _drop(self, ticket: int) -> None:
        """A request is dropped: over which connection it went is not known."""
        request, begun = self._moving.pop(ticket, (None, 0.0))
        if request is not None:
            sent = self._engine.sent(ticket)
            told: dict[str, Value] = {"url": bare(request.url), "sent": sent, "ended by": "us"}
            track = Track(Group.CONNECTIONS, f"{_host(request)} dropped")
            self._trace.add(track, _name(request), begun, self._trace.clock(), told)

    def _tell(self, request: Request, completion: Completion, timing: Timing) -> None:
        begun = timing.ended if timing.begun is None else timing.begun
        if begun - timing.queued >= _SHORT:
            line = Track(Group.LINE, timing.host)
            told = {"url": bare(request.url)}
            self._trace.add(line, _name(request), timing.queued, begun, told)
        where = "no connection" if timing.connection is None else f"#{timing.connection}"
        track = Track(Group.CONNECTIONS, f"{timing.host} {where}")
        arguments = _arguments(request, completion, timing)
        phases = tuple(phases_of(timing, has_body=request.body is not None))
        self._trace.add(track, _name(request), begun, timing.ended, arguments, phases)


def phases_of(timing: Timing, *, has_body: bool) -> Iterator[tuple[str, float, float]]:
    """What a request did, one after the other, each from when to when; none took no time."""
    since = timing.begun
    if since is None:
        return
    for name, moment in (
        ("set-up", timing.set_up),
        ("look-up", timing.looked_up),
        ("connect", timing.connected),
        ("TLS", timing.secured),
        # for a connection that others use, or are making
        ("wait", timing.sending),
        ("send", _earlier(timing.handed_over, timing.answered)),
        ("commit" if has_body else "answer", timing.answered),
        ("receive", timing.ended if timing.answered is not None else None),
    ):
        if moment is not None:
            if moment - since > (_BRIEF if name in ("set-up", "wait") else 0.0):
                yield name, since, moment
            since = max(since, moment)


def _earlier(one: float | None, other: float | None) -> float | None:
    """The earlier moment; a registry may answer before it has the whole body."""
    return min((moment for moment in (one, other) if moment is not None), default=None)


def _arguments(request: Request, completion: Completion, timing: Timing) -> dict[str, Value]:
    told: dict[str, Value] = {"url": bare(request.url)}
    if completion.response is not None:
        told["status"] = completion.response.status
    elif completion.failure is not None:
        told["failure"] = completion.failure.message
    if request.body is not None:
        told["sent"] = completion.sent
    if timing.version:
        told["HTTP"] = timing.version
    if timing.connection is not None:
        told["connection"] = "reused" if timing.reused else "new"
    return told


_KINDS: Final = (("/blobs/uploads/", "upload"), ("/blobs/", "blob"), ("/manifests/", "manifest"))


def _name(request: Request) -> str:
    url = bare(request.url)
    kind = next((kind for part, kind in _KINDS if part in url), "")
    return f"{request.method} {kind}".rstrip()


def _host(request: Request) -> str:
    return "/".join(bare(request.url).split("/", 3)[:3]).lower()


@dataclass(slots=True)
class _Image:
    """A push that is under way: what `Trace.begin` gave it, and when its last blob was there."""

    number: int
    began: float
    since: float


class TracedReporter:
    """Tells `reporter` all, and `trace` what becomes of images, whose tracks it keeps there.

    A layer is told when it is there. From the last blob to the end it is manifests that are waited
    for.
    """

    def __init__(self, reporter: Reporter, trace: Trace) -> None:
        self._reporter = reporter
        self._trace = trace
        self._tracks = trace.images
        self._images: dict[int, _Image] = {}

    @property
    def wants_notes(self) -> bool:
        """As the other reporter."""
        return self._reporter.wants_notes

    @property
    def interval(self) -> float | None:
        """As the other reporter."""
        return self._reporter.interval

    def progress(self, progress: Progress) -> None:
        """As the other reporter."""
        self._reporter.progress(progress)

    def emit(self, event: Event, push: int = 0) -> None:
        """As the other reporter, after a look at it."""
        image = self._images.get(push)
        if image is None and isinstance(event, PushStarted):
            self._begin(event, push)
        elif image is not None and isinstance(event, LayerEnded):
            name = f"layer {event.number}/{event.total}"
            self._blob(name, event.layer, self._tracks[push], image)
        elif image is not None and isinstance(event, ConfigEnded):
            self._blob("config", event.config, self._tracks[push], image)
        elif image is not None and isinstance(event, ManifestEnded):
            told = {"status": event.status.value}
            now = self._trace.clock()
            self._trace.add(self._tracks[push], "manifests", image.since, now, told)
        elif image is not None and isinstance(event, PushResult | PushFailure):
            self._trace.end(image.number, _outcome(event))
            del self._images[push], self._tracks[push]
        self._reporter.emit(event, push)

    def _begin(self, event: PushStarted, push: int) -> None:
        reference = str(event.reference)
        track = self._tracks[push] = Track(Group.IMAGES, f"#{push} {reference}")
        told: dict[str, Value] = {"image": event.image, "layers": len(event.layers)}
        now = self._trace.clock()
        self._images[push] = _Image(self._trace.begin(track, reference, told), now, now)

    def _blob(self, name: str, blob: LayerResult, track: Track, image: _Image) -> None:
        now = self._trace.clock()
        told: dict[str, Value] = {
            "digest": str(blob.digest),
            "size": blob.size,
            "status": blob.status.value,
        }
        if blob.mounted_from:
            told["from"] = blob.mounted_from
        # it was begun no sooner than its image
        began = max(now - blob.seconds, image.began)
        self._trace.add(track, name, began, now, told)
        image.since = now


def _outcome(event: PushResult | PushFailure) -> dict[str, Value]:
    if isinstance(event, PushFailure):
        return {"failure": event.error.message}
    return {
        "digest": str(event.root.digest),
        "sent": event.bytes_sent,
        "requests": event.requests,
        "retries": event.retries,
    }
