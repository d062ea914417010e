"""The course of a run: all images as one plan, each opened when its turn comes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from idpbuilder.errors import Interrupted
from idpbuilder.push.errand import Carrying, Errand, blobs_of
from idpbuilder.push.events import Chosen, Progress, Reporter, RunStarted, Teller
from idpbuilder.push.opened import Opened
from idpbuilder.push.options import Order, PushOptions
from idpbuilder.push.patience import Patience
from idpbuilder.push.prepare import Failed, Preparation, PutOff, put_it_off, too_many
from idpbuilder.push.result import Outcome, PushFailure
from idpbuilder.push.schedule import Schedule
from idpbuilder.push.tasks import Deadline, Loop, Steps, Until, in_parallel, join
from idpbuilder.push.tools import Tools

KEPT_OPEN = 32
"""Orders that are kept open once they have been looked at; of more, none is."""

_OF_ONE_ORDER = 8
"""Errands at once of an order that is opened when its turn comes."""

Place = tuple[int, int]
"""Which order, and which of its errands: outcomes come in this order."""


@dataclass(frozen=True, slots=True)
class Part:
    """One errand of an order; `number` is the push's."""

    place: Place
    number: int
    errand: Errand
    opened: Opened


@dataclass(frozen=True, slots=True)
class Closed:
    """An order that is opened when its turn comes, and the `numbers` of its pushes; `known`: it
    was looked at before.
    """

    place: int
    numbers: tuple[int, ...]
    known: bool


class Course:
    """Pushes what `options` ask for, and tells `reporter` what becomes of each."""

    def __init__(
        self,
        options: PushOptions,
        reporter: Reporter,
        tools: Tools,
        loop: Loop,
        patience: Patience,
    ) -> None:
        self.outcomes: dict[Place, Outcome] = {}
        self.total = 0
        """Pushes there are to make, as far as is known."""
        self.began_several = False
        """Whether there turned out to be several, and nothing against them."""
        self._options = options
        self._orders = options.orders
        self._reporter = reporter
        self._tools = tools
        self._loop = loop
        self._patience = patience
        self._preparation = Preparation(options, reporter, patience, tools, loop)
        self._schedule: Schedule[Part | Closed] = Schedule()
        self._opened: set[Opened] = set()
        self._carrying: dict[int, Carrying] = {}
        self._tidying: dict[int, Carrying] = {}
        self._is_looked_at = False
        self._ended_by: Exception | None = None
        self._bytes_ended = 0
        self._began = loop.clock()

    # -- what there is to do

    def look(self) -> None:
        """See what there is to do, and what of it can be known to go wrong, before anything is
        sent. Raises Failed for the first failure, unless the others are to go on.
        """
        if self._options.to and len(self._options.images) > 1:
            # before anything is opened: an export may take minutes
            raise Failed.of(self._orders[0], too_many(len(self._orders)))
        shard = self._options.shard
        if shard is not None:
            from idpbuilder.push.shard import share

            whole = len(self._orders)
            self._orders = share(self._orders, shard, self._preparation)
            words = f"{len(self._orders)} of {whole} images"
            self._reporter.emit(Chosen(f"Shard {shard.number}/{shard.count}: {words}"))
        for place in range(len(self._orders)):
            # a layout is looked at in one go, and there may be thousands
            self._patience.check()
            self._look_at(place)
        self._schedule.is_complete()
        self._is_looked_at = True
        self.began_several = self.total > 1
        if self.began_several:
            self._reporter.emit(RunStarted(self.total))

    def _look_at(self, place: int) -> None:
        few = len(self._orders) <= KEPT_OPEN
        order = self._orders[place]
        try:
            with self._watched(order):
                if len(self._orders) == 1:
                    opened = self._preparation.open(order)
                else:
                    opened = self._preparation.open(order, at_length=put_it_off)
        except PutOff:
            self._schedule.add(Closed(place, self._numbers(1), known=False), None)
            return
        except Failed as failed:
            self._end((place, 0), self._numbers(1)[0], failed.failure)
            return
        numbers = self._numbers(len(opened.errands))
        if few:
            for part in self._parts(place, numbers, opened):
                self._schedule.add(part, dict(blobs_of([part.errand])))
        else:
            closed = Closed(place, numbers, known=True)
            self._schedule.add(closed, dict(blobs_of(opened.errands)))
            opened.close()

    def _watched(self, order: Order) -> AbstractContextManager[None]:
        """An order is opened in here."""
        trace = self._options.trace
        return trace.opening(order.image) if trace else nullcontext()

    def _numbers(self, count: int) -> tuple[int, ...]:
        first = self.total + 1
        self.total += count
        return tuple(range(first, first + count))

    def _parts(self, place: int, numbers: tuple[int, ...], opened: Opened) -> list[Part]:
        # an order whose image was unpacked only now may come to more than was known
        numbers += self._numbers(max(len(opened.errands) - len(numbers), 0))
        # or to less, where the file was replaced
        self.total -= len(numbers) - len(opened.errands)
        self._opened.add(opened)
        return [
            Part((place, part), number, errand, opened)
            for part, (number, errand) in enumerate(zip(numbers, opened.errands, strict=False))
        ]

    # -- doing it

    def steps(self) -> Steps[None]:
        """Push everything. Raises Failed where what is left is not to be tried, and Interrupted."""
        self._loop.ticks(self._tick, self._reporter.interval)
        schedule = self._schedule
        while self._ended_by is None and not schedule.is_over:
            entry = schedule.next()
            if entry is not None:
                self._loop.spawn(self._do(entry.what, lambda entry=entry: schedule.ended(entry)))  # type: ignore[misc]
            else:
                yield Until(lambda: bool(self._ended_by) or schedule.has_next or schedule.is_over)
        if self._ended_by is not None:
            raise self._ended_by

    def _do(self, what: Part | Closed, ended: Callable[[], None]) -> Steps[None]:
        try:
            if isinstance(what, Part):
                yield from self._push(what)
            else:
                yield from self._push_closed(what)
        except Exception as error:
            self._ended_by = self._ended_by or error
        finally:
            ended()

    def _push_closed(self, closed: Closed) -> Steps[None]:
        yield from self._patience.take_turn()
        try:
            order = self._orders[closed.place]
            with self._patience.until(Deadline(None)), self._watched(order):
                opened = self._preparation.open(order, again=closed.known)
        except Failed as failed:
            # one failure stands for all that were to come of it
            self.total -= len(closed.numbers) - 1
            self._end((closed.place, 0), closed.numbers[0], failed.failure)
            return
        parts = self._parts(closed.place, closed.numbers, opened)
        yield from in_parallel(self._loop, parts, self._push, _OF_ONE_ORDER)

    def _push(self, part: Part) -> Steps[None]:
        carrying = self._carrying[part.number] = Carrying(
            part.errand,
            self._options,
            self._tools,
            self._loop,
            self._patience,
            Teller(self._reporter, part.number),
        )
        outcome = yield from carrying.steps()
        # what is stopped on the way stays in one of them, to be cleaned up after
        self._tidying[part.number] = self._carrying.pop(part.number)
        self._bytes_ended += carrying.session.tally.bytes_sent
        part.opened.is_done(part.errand, carrying.layers)
        if part.opened.is_over:
            self._loop.spawn(self._close(part.opened), shared=True)
        # it is over, whatever stops the tidying up
        self._end(part.place, part.number, outcome)
        yield from carrying.tidy_up()
        del self._tidying[part.number]

    def _close(self, opened: Opened) -> Steps[None]:
        # another image may be sent what was packed from this one
        yield Until(lambda: not opened.is_used)
        opened.close()
        self._opened.discard(opened)

    def _end(self, place: Place, number: int, outcome: Outcome) -> None:
        """Tell what became of a push. Raises Failed where that ends the others."""
        self.outcomes[place] = outcome
        self._reporter.emit(outcome, number)
        if isinstance(outcome, PushFailure) and (
            not self._options.keep_going or isinstance(outcome.error, Interrupted)
        ):
            raise Failed(outcome)

    # -- around it

    def clean_up(self, loop: Loop) -> Steps[None]:
        """Close the upload sessions of what was stopped."""
        left = (*self._carrying.values(), *self._tidying.values())
        yield from join([loop.spawn(one.clean_up(loop)) for one in left])

    @property
    def is_told(self) -> bool:
        """Whether all that was to be done is done and told: tidying up at most is left."""
        return self._is_looked_at and len(self.outcomes) == self.total

    def interrupted(self, error: Interrupted) -> PushFailure:
        """What is told of a run that somebody stopped; the push, where there was only one."""
        if self.total == 1 and self._carrying:
            (carrying,) = self._carrying.values()
            return carrying.errand.failed(error)
        return PushFailure("", None, error)

    def remember(self) -> None:
        """Keep for the next run what was learnt of the registries."""
        for registry in self._preparation.registries.values():
            registry.remember()

    def close(self) -> None:
        """Close what is open still."""
        for opened in self._opened:
            opened.close()

    def _tick(self) -> None:
        standing = {number: one.standing() for number, one in self._carrying.items()}
        under_way = sum(sum(one.sent) for one in standing.values())
        seconds = self._loop.clock() - self._began
        self._reporter.progress(Progress(standing, seconds, self._bytes_ended + under_way))
