"""A run on a Dask cluster: a share for each worker, and what became of all of them."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any, Final
from uuid import uuid4

from idpbuilder.cluster.connection import connected, count_workers
from idpbuilder.cluster.gathering import Gathering
from idpbuilder.cluster.share import TOPIC, Share, Told, for_worker, push_share
from idpbuilder.cluster.sources import Seen, look, reachable
from idpbuilder.errors import Interrupted, PushError, Unreachable
from idpbuilder.push.events import Reporter
from idpbuilder.push.options import PushOptions
from idpbuilder.push.result import Outcome
from idpbuilder.push.shard import split
from idpbuilder.push.stop import Stop

Run = Callable[[PushOptions, Reporter, Stop], tuple[Outcome, ...]]
Client = Any
Future = Any
"""Dask's own: it has few types."""

_LAST_WORDS: Final = 0.3
"""Seconds in which workers that are stopped may still tell of pushes that were over."""


def run_on(address: str) -> Run:
    """What pushes on the Dask cluster at `address`, as `push.run.run` does here.

    Each worker gets a share of the images, with its place in the list kept, and one that is lost
    leaves its share to another: Dask runs it again. Raises UsageError for what cannot be pushed
    there, Unreachable where nobody answers.
    """

    def run(options: PushOptions, reporter: Reporter, stop: Stop) -> tuple[Outcome, ...]:
        orders = reachable(options)
        if options.cert_dir is not None:
            options = replace(options, cert_dir=os.path.abspath(options.cert_dir))
        try:
            with connected(address, stop.check) as client:
                workers = count_workers(client, address, stop.check)
                seen = look(orders, options, stop)
                return _Run(client, options, seen, reporter, stop).on(workers)
        except Interrupted as error:
            return Gathering((), reporter).end(error)

    return run


class _Run:
    """Shares out what was `seen`, and waits for what comes back."""

    def __init__(
        self,
        client: Client,
        options: PushOptions,
        seen: list[Seen],
        reporter: Reporter,
        stop: Stop,
    ) -> None:
        self._client = client
        self._options = options
        self._seen = seen
        self._stop = stop
        self._notes = reporter.wants_notes
        self._gathering = Gathering(seen, reporter)
        self._name = f"{TOPIC}-{uuid4().hex}"
        self._heard: SimpleQueue[Any] = SimpleQueue()
        self._places: dict[Future, tuple[int, list[int]]] = {}
        """The shares that are not over: their numbers, and the places of their orders."""

    def on(self, workers: int) -> tuple[Outcome, ...]:
        """Push all of it on so many workers."""
        for seen in self._seen:
            if seen.failure is not None:
                self._gathering.hear(Told(-1, (seen.failure,)))
        if self._gathering.has_failed and not self._options.keep_going:
            return self._gathering.end(None)
        self._stop.wakes(lambda: self._heard.put(None))
        self._client.subscribe_topic(TOPIC, self._tell)
        try:
            self._share_out(workers)
            interrupted = self._gather()
        finally:
            self._stop.wakes(None)
            self._client.unsubscribe_topic(TOPIC)
        return self._gathering.end(interrupted)

    def _share_out(self, workers: int) -> None:
        left = [place for place, seen in enumerate(self._seen) if seen.failure is None]
        count = min(workers, len(left))
        options = for_worker(self._options, count)
        parts = split([self._seen[place].blobs for place in left], count) if left else []
        for number, part in enumerate(parts):
            places = [left[one] for one in part]
            if not places:
                continue
            orders = tuple(self._seen[place].order for place in places)
            share = Share(self._name, number, replace(options, listed=orders), self._notes)
            # one each, as Dask deals them out to workers that have nothing to do; named, a worker
            # that is lost as the last one would have its share wait for him
            key = f"{self._name}-{number}"
            future = self._client.submit(push_share, share, key=key, pure=False)
            self._places[future] = number, places
            future.add_done_callback(self._heard.put)

    def _tell(self, event: tuple[object, bytes]) -> None:
        name, told = pickle.loads(event[1])
        if name == self._name:
            self._heard.put(told)

    def _gather(self) -> Interrupted | None:
        """Hear of all shares until they are over, or nobody wants them any more."""
        while self._places:
            try:
                self._stop.check()
            except Interrupted as error:
                self._cancel()
                return error
            said = self._heard.get()
            if isinstance(said, Told):
                self._gathering.hear(said)
            elif said is not None:
                self._is_over(said)
            if self._gathering.has_failed and not self._options.keep_going:
                self._cancel()
        return None

    def _is_over(self, future: Future) -> None:
        number, places = self._places.pop(future)
        if future.status == "finished":
            for told in future.result():
                self._gathering.hear(told)
        else:
            self._gathering.fails(number, places, _lost(future))

    def _cancel(self) -> None:
        """Have the workers end what they are at."""
        self._client.cancel(list(self._places))
        self._places.clear()
        # what they had done by then is on its way
        until = time.monotonic() + _LAST_WORDS
        with suppress(Empty):
            while True:
                said = self._heard.get(timeout=max(until - time.monotonic(), 0))
                if isinstance(said, Told):
                    self._gathering.hear(said)


def _lost(future: Future) -> PushError:
    error = future.exception() if future.status == "error" else None
    why = (
        " ".join(str(error).split())
        if error is not None
        else "its scheduler is gone, or has cancelled it"
    )
    if error is not None and type(error).__name__ != "KilledWorker":
        return PushError("unexpected error on a worker", f"{type(error).__name__}: {why}")
    return Unreachable(
        "the Dask workers that were to push it were lost",
        why,
        "look into their logs; running the command again sends what is missing",
    )
