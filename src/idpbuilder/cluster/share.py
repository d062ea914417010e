"""A share of a list: what travels to a worker, what it does there, and what comes back."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from idpbuilder.errors import PushError
from idpbuilder.library.running import Wanted, run_apart
from idpbuilder.push.events import Event, Note, Progress, Warned
from idpbuilder.push.options import PushOptions
from idpbuilder.push.result import PushFailure, PushResult
from idpbuilder.redact import Secrets

if TYPE_CHECKING:
    from distributed import Worker

TOPIC: Final = "idpbuilder-push"
"""Under which workers tell of pushes: one for all runs, so that a scheduler keeps no more of them
than of any other topic.
"""


@dataclass(frozen=True, slots=True)
class Share:
    """What a worker is to push. No secret is in it.

    `run` tells runs apart and `number` the shares of one; `notes`: whether they are wanted.
    """

    run: str
    number: int
    options: PushOptions
    notes: bool


@dataclass(frozen=True, slots=True)
class Told:
    """All events of one push, which end in its outcome; or what was told of no single push."""

    share: int
    events: tuple[Event, ...]

    @property
    def outcome(self) -> PushResult | PushFailure | None:
        """What became of the push."""
        last = self.events[-1]
        return last if isinstance(last, PushResult | PushFailure) else None


class _Cancelled(Exception):
    """Nobody waits for this any more."""


def push_share(share: Share) -> tuple[Told, ...]:
    """Push a share on the worker where this is called.

    Each push is told of as soon as it is over; all of them are returned, since what was told may
    have been lost. A share that was half done before, by a worker that is gone, finds in the
    registry what that one brought there.
    """
    from distributed import get_worker

    work = _Work(share, get_worker())
    secrets = Secrets()
    wanted = Wanted(share.notes, progress=True)
    try:
        run_apart(share.options, work.hear, secrets, wanted)
    except _Cancelled:
        pass
    except Exception as error:
        # raised, Dask would write it into its logs as it is
        text = secrets.scrub(f"{type(error).__name__}: {error}")
        unexpected = PushError("unexpected error", " ".join(text.split()))
        work.hear(PushFailure("", None, unexpected), 0)
    return tuple(work.told)


class _Work:
    """Tells the client what a worker does for it."""

    def __init__(self, share: Share, worker: Worker) -> None:
        self.told: list[Told] = []
        self._share = share
        self._worker = worker
        self._task = worker.get_current_task()
        self._held: dict[int, list[Event]] = {}

    def hear(self, event: Event | Progress, number: int) -> None:
        """Something happened. Raises _Cancelled."""
        if isinstance(event, Progress):
            if self._is_cancelled():
                raise _Cancelled
        elif isinstance(event, Warned):
            self._tell((event,))
        elif isinstance(event, PushResult | PushFailure):
            if isinstance(event, PushFailure):
                self._add_place(event.error)
            self._tell((*self._held.pop(number, ()), event))
        elif number:
            self._held.setdefault(number, []).append(event)
        elif isinstance(event, Note):
            self._tell((event,))

    def _tell(self, events: tuple[Event, ...]) -> None:
        told = Told(self._share.number, events)
        self.told.append(told)
        self._worker.log_event(TOPIC, pickle.dumps((self._share.run, told)))

    def _is_cancelled(self) -> bool:
        task = self._worker.state.tasks.get(self._task)
        return task is None or task.state == "cancelled"

    def _add_place(self, error: PushError) -> None:
        # a file that is missing, or a sign-in: it matters where
        where = f"on the worker `{self._worker.address}`"
        error.why = f"{error.why}, {where}" if error.why else where
        error.args = (error.what, error.why, error.hint)


def for_worker(options: PushOptions, workers: int) -> PushOptions:
    """`options` without images, as one of so many workers may have them: without what is secret or
    means something on this machine alone.
    """
    rate = options.limit_rate
    return replace(
        options,
        images=(),
        listed=(),
        to=(),
        username=None,
        password=None,
        authfile=None,
        limit_rate=None if rate is None else max(rate // workers, 1),
        shard=None,
        confide=PushOptions().confide,
        trace=None,
    )
