"""A whole run: sources are opened, and every destination is pushed to over one engine."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass

from idpbuilder.credentials import find_credentials
from idpbuilder.errors import (
    CredentialStoreError,
    Interrupted,
    PushError,
    PushTimeout,
    UsageError,
)
from idpbuilder.push.destination import Destination, destinations
from idpbuilder.push.events import Note, Reporter
from idpbuilder.push.options import PushOptions
from idpbuilder.push.pushing import ImagePush
from idpbuilder.push.result import PushFailure, PushResult
from idpbuilder.push.session import RegistrySession, SessionOptions
from idpbuilder.push.stop import Stop
from idpbuilder.push.tasks import DeadlinePassed, Loop
from idpbuilder.registry.credentials import Credentials
from idpbuilder.registry.retry import RetryPolicy
from idpbuilder.source import SourceImage, open_source
from idpbuilder.transport import CurlEngine, EngineSettings
from idpbuilder.wire import Engine, Trust

DEFAULT_JOBS = 16
"""Concurrent transfers per registry."""
_CLEAN_UP_SECONDS = 2.0

Outcome = PushResult | PushFailure


@dataclass(frozen=True, slots=True)
class _Errand:
    """An image, a place to bring it to, and whom to talk to there."""

    image: SourceImage
    destination: Destination
    session: RegistrySession


@dataclass(frozen=True, slots=True)
class _Found:
    """What the stores hold for a destination, or why they could not be read."""

    credentials: Credentials | None
    error: CredentialStoreError | None = None

    def __call__(self) -> Credentials | None:
        if self.error is not None:
            raise self.error
        return self.credentials


class _Failed(Exception):
    """A destination was not reached: nothing after it is tried."""

    def __init__(self, failure: PushFailure) -> None:
        super().__init__()
        self.failure = failure


def run(options: PushOptions, reporter: Reporter, stop: Stop) -> tuple[Outcome, ...]:
    """Push every image of `options` to its destinations, one after the other.

    What becomes of each is emitted and returned, in order; the first failure is the last outcome.
    All sources are opened and all destinations settled before anything is sent.
    """
    settings = EngineSettings(
        connections=options.jobs or DEFAULT_JOBS, limit_rate=options.limit_rate
    )
    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        engine = CurlEngine(settings)
        stack.callback(engine.close)
        stack.callback(stop.wakes, None)
        stop.wakes(engine.wake)
        try:
            errands = _Preparation(options, reporter, stop, engine).errands(stack)
            for errand in errands:
                result = _push(errand, options, reporter, stop)
                outcomes.append(result)
                reporter.emit(result)
        except _Failed as failed:
            outcomes.append(failed.failure)
            reporter.emit(failed.failure)
    return tuple(outcomes)


class _Preparation:
    """All that is done before the first request."""

    def __init__(
        self, options: PushOptions, reporter: Reporter, stop: Stop, engine: Engine
    ) -> None:
        self._options = options
        self._reporter = reporter
        self._stop = stop
        self._engine = engine
        self._sessions: dict[tuple[object, ...], RegistrySession] = {}

    def errands(self, stack: ExitStack) -> list[_Errand]:
        """What there is to do, in order; `stack` closes the sources. Raises _Failed."""
        images = [image for text in self._options.images for image in self._open(text, stack)]
        if self._options.to and len(images) != 1:
            error = UsageError(
                "`--to` takes exactly one image",
                f"there are {len(images)}",
                "name one image of the source, as in `oci:PATH:REF`, or use `--registry`",
            )
            raise _Failed(PushFailure(self._options.images[0], None, error))
        return [errand for image in images for errand in self._destined(image)]

    def _open(self, text: str, stack: ExitStack) -> tuple[SourceImage, ...]:
        try:
            source = open_source(text, self._options.platform, self._stop.check)
            return stack.enter_context(source)
        except PushError as error:
            raise _Failed(PushFailure(text, None, error)) from error

    def _destined(self, image: SourceImage) -> list[_Errand]:
        try:
            places = destinations(image, self._options.to, self._options.prefix)
            return [_Errand(image, place, self._session(place)) for place in places]
        except PushError as error:
            raise _Failed(PushFailure(image.label, None, error)) from error

    def _session(self, place: Destination) -> RegistrySession:
        registry, find = place.reference.registry, self._finder(place)
        # a store may keep other credentials for other repositories of one registry
        key = (registry, place.scheme, find)
        session = self._sessions.get(key)
        if session is None:
            options = self._options
            session_options = SessionOptions(
                RetryPolicy(options.retries),
                Trust(verify=not options.insecure, cert_dir=options.cert_dir),
                options.insecure,
                place.scheme,
            )
            session = RegistrySession(registry, session_options, find, self._engine, self._note)
            self._sessions[key] = session
        return session

    def _finder(self, place: Destination) -> _Found:
        """How to get the credentials when a registry asks for them.

        A slip in what the user gave shows at once; a store that cannot be read matters only then.
        """
        options = self._options
        try:
            found = find_credentials(
                place.reference.registry,
                place.reference.repository,
                username=options.username,
                password=options.password,
                authfile=options.authfile,
                environ=os.environ,
            )
        except CredentialStoreError as error:
            return _Found(None, error)
        return _Found(found)

    def _note(self, text: str) -> None:
        if self._reporter.wants_notes:
            self._reporter.emit(Note(text))


def _push(errand: _Errand, options: PushOptions, reporter: Reporter, stop: Stop) -> PushResult:
    session = errand.session
    loop = Loop(session.engine, check=stop.check)
    session.begin_image(loop)
    push = ImagePush(
        errand.image,
        errand.destination,
        session,
        loop,
        reporter,
        options.jobs or DEFAULT_JOBS,
    )
    loop.ticks(push.tick, reporter.interval)
    steps = push.rehearse() if options.dry_run else push.push(verify=options.verify)
    try:
        return loop.run(steps, options.timeout)
    except DeadlinePassed:
        error: PushError = _timed_out(errand, options)
    except Interrupted as interrupted:
        error = interrupted
    except PushError as failure:
        error = failure
        _clean_up(push, loop)
    raise _Failed(PushFailure(errand.image.label, errand.destination.reference, error)) from error


def _clean_up(push: ImagePush, loop: Loop) -> None:
    try:
        loop.run(push.clean_up(), _CLEAN_UP_SECONDS)
    except (PushError, DeadlinePassed):
        # the push's own error is what counts; a session left open is purged by the registry
        return


def _timed_out(errand: _Errand, options: PushOptions) -> PushTimeout:
    trouble = errand.session.last_trouble
    passed = f"the timeout of {options.timeout:g} s passed"
    return PushTimeout(
        f"`{errand.destination.reference}` was not pushed in time",
        f"{passed}; the last trouble was: {trouble}" if trouble else passed,
        "give it longer with `--timeout`; running the command again goes on where it stopped",
    )
