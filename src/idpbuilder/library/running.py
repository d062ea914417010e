"""A push on a thread of its own, whose caller hears of it on his."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Final

from idpbuilder.errors import PushError
from idpbuilder.push.events import Chosen, Event, Note, Progress, Reporter, Warned
from idpbuilder.push.options import PushOptions
from idpbuilder.push.result import Outcome, PushFailure
from idpbuilder.push.stop import Stop
from idpbuilder.redact import Secrets

PROGRESS_SECONDS: Final = 0.1

Hear = Callable[[Event | Progress, int], None]
"""Is told what happened in the push of that number, from 1; 0: in no single one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is told beside events: `Note`s, and where all pushes stand every PROGRESS_SECONDS."""

    notes: bool = False
    progress: bool = False


def run_apart(
    options: PushOptions, hear: Hear, secrets: Secrets, wanted: Wanted
) -> tuple[Outcome, ...]:
    """Push what `options` ask for; `hear` is called on the caller's thread, and nobody else waits.

    What it raises ends the push, and so does a KeyboardInterrupt; both come out of here once
    nothing runs any more. What turns out to be secret is added to `secrets`, and is in nothing
    that is told or returned.
    """
    # an exception in the midst of libcurl's callbacks would be lost, and Ctrl-C raises one
    # wherever the main thread is: that must be here, where it does nothing but wait
    told: SimpleQueue[tuple[Event | Progress, int] | _Ended] = SimpleQueue()
    stop = _StopFromAfar()
    options = replace(options, confide=secrets.add)
    reporter = _Post(told, secrets, wanted)
    thread = Thread(
        target=_run, args=(options, reporter, stop, told), name="idpbuilder-push", daemon=True
    )
    try:
        thread.start()
        while not isinstance(said := told.get(), _Ended):
            hear(*said)
    except BaseException:
        stop.request(signal.SIGINT)
        if thread.ident is not None:
            thread.join()
        raise
    thread.join()
    if said.error is not None:
        raise said.error
    return said.outcomes


@dataclass(frozen=True, slots=True)
class _Ended:
    outcomes: tuple[Outcome, ...] = ()
    error: BaseException | None = None


class _StopFromAfar(Stop):
    """A Stop that another thread asks for: whom it woke may be gone the moment after."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()

    def request(self, signum: int) -> None:
        with self._lock:
            super().request(signum)

    def wakes(self, wake: Callable[[], None] | None) -> None:
        with self._lock:
            super().wakes(wake)


class _Post:
    """A Reporter that puts what it is told, without the secrets in it, where the caller looks."""

    def __init__(
        self,
        told: SimpleQueue[tuple[Event | Progress, int] | _Ended],
        secrets: Secrets,
        wanted: Wanted,
    ) -> None:
        self._told = told
        self._secrets = secrets
        self._wanted = wanted

    @property
    def wants_notes(self) -> bool:
        return self._wanted.notes

    @property
    def interval(self) -> float | None:
        return PROGRESS_SECONDS if self._wanted.progress else None

    def emit(self, event: Event, push: int = 0) -> None:
        if isinstance(event, Note | Warned | Chosen):
            event = replace(event, text=self._secrets.hide(event.text))
        elif isinstance(event, PushFailure):
            _veil(event.error, self._secrets)
        self._told.put((event, push))

    def progress(self, progress: Progress) -> None:
        self._told.put((progress, 0))


def _run(
    options: PushOptions,
    reporter: Reporter,
    stop: Stop,
    told: SimpleQueue[tuple[Event | Progress, int] | _Ended],
) -> None:
    try:
        # the caller waits for whatever comes of it, an import that fails too
        from idpbuilder.push.run import run

        told.put(_Ended(run(options, reporter, stop)))
    except BaseException as error:
        told.put(_Ended(error=error))


def _veil(error: PushError, secrets: Secrets) -> None:
    """Take the secrets out of an error. Where it came from goes too: there they may stand as well,
    in texts that nobody wrote for users.
    """
    error.what, error.why, error.hint = map(secrets.hide, (error.what, error.why, error.hint))
    error.args = (error.what, error.why, error.hint)
    error.__cause__ = error.__context__ = error.__traceback__ = None
