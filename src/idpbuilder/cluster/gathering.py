"""What workers tell, gathered into one run."""

from __future__ import annotations

import time
from collections.abc import Sequence

from idpbuilder.cluster.share import Told
from idpbuilder.cluster.sources import Seen
from idpbuilder.errors import Interrupted, PushError
from idpbuilder.image import Reference
from idpbuilder.push.events import Reporter, RunEnded, RunStarted, Warned
from idpbuilder.push.result import Outcome, PushFailure


class Gathering:
    """Tells `reporter` of pushes as they end, each once, whoever tells of it how often."""

    def __init__(self, seen: Sequence[Seen], reporter: Reporter) -> None:
        self._seen = seen
        self._reporter = reporter
        self._total = sum(one.pushes for one in seen)
        self._outcomes: list[Outcome] = []
        self._told: set[object] = set()
        self._began = time.monotonic()
        if self._total > 1:
            reporter.emit(RunStarted(self._total))

    @property
    def has_failed(self) -> bool:
        """Whether a push has."""
        return any(isinstance(one, PushFailure) for one in self._outcomes)

    def hear(self, told: Told) -> None:
        """A worker tells of a push, or of no single one."""
        outcome = told.outcome
        key: object = told.events[-1]
        if outcome is not None:
            key = told.share, outcome.image, outcome.reference or _what(outcome)
        elif not isinstance(told.events[-1], Warned):
            key = object()
        if key in self._told:
            return
        self._told.add(key)
        if outcome is not None:
            self._outcomes.append(outcome)
        for event in told.events:
            self._reporter.emit(event, len(self._outcomes) if outcome is not None else 0)

    def fails(self, share: int, places: Sequence[int], error: PushError) -> None:
        """What was not told of the orders at `places` will not be any more."""
        references = {one.reference for one in self._outcomes}
        failed = {one.image for one in self._outcomes if one.reference is None}
        images = {one.image for one in self._outcomes}
        for place in places:
            order = self._seen[place].order
            wanted: Sequence[Reference | None] = self._seen[place].references or order.to or (None,)
            for reference in wanted:
                told = reference in references if reference is not None else order.image in images
                if not told and order.image not in failed:
                    failure = PushFailure(order.image or "", reference, error)
                    self.hear(Told(share, (failure,)))

    def end(self, interrupted: Interrupted | None) -> tuple[Outcome, ...]:
        """All outcomes, in the order of the list."""
        places, last = self._places(), (len(self._seen), 0)
        outcomes = sorted(
            self._outcomes,
            key=lambda one: next(
                (places[name] for name in (one.reference, one.image) if name in places), last
            ),
        )
        if interrupted is not None:
            self._reporter.emit(PushFailure("", None, interrupted))
        if self._total > 1:
            left = max(self._total - len(outcomes), 0)
            seconds = time.monotonic() - self._began
            self._reporter.emit(RunEnded(tuple(outcomes), seconds, left))
        return (*outcomes, *([PushFailure("", None, interrupted)] if interrupted else ()))

    def _places(self) -> dict[Reference | str | None, tuple[int, int]]:
        """Where references, and images that have come to none, stand in the list."""
        found: dict[Reference | str | None, tuple[int, int]] = {}
        for place, seen in enumerate(self._seen):
            found.setdefault(seen.order.image, (place, 0))
            for number, reference in enumerate(seen.references or seen.order.to):
                found.setdefault(reference, (place, number))
        return found


def _what(outcome: Outcome) -> str:
    """Names the line of the list. Of two workers' errors `why` differs, for it names the worker."""
    return outcome.error.what if isinstance(outcome, PushFailure) else ""
