"""Many conversations on one loop: tasks are generators that yield what they wait for.

A task yields `Send` and is resumed with the request's Completion, `Sleep` and is resumed later, or
`Join` and is resumed with the results of other tasks, or `Until` and is resumed when something came
true. Nothing but the engine's `poll` waits.

Tasks that belong together are a scope: what is left of them when the scope is over is dropped, and
a deadline ends all of them.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Any, Generic, TypeVar

from idpbuilder.wire import Completion, Engine, Request

T = TypeVar("T")

AT_ONCE = 64
"""Tasks at once that each wait for answers."""

_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Send:
    """Move a request; resumes with its Completion. `started` is told the ticket."""

    request: Request
    started: Callable[[int], None] | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Resume after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Join:
    """Resume when all `tasks` have ended, with the list of their results, or as soon as one has
    failed, with its error raised.
    """

    tasks: tuple[Task[Any], ...]


@dataclass(frozen=True, slots=True)
class Until:
    """Resume when `happened` says so, or after `seconds`; whoever makes it true calls the engine's
    `wake`.
    """

    happened: Callable[[], bool]
    seconds: float | None = None


Effect = Send | Sleep | Join | Until
Steps = Generator[Effect, Any, T]


class Abandoned(Exception):
    """The run is over, and nobody waits for this any more."""


class DeadlinePassed(Exception):
    """The time that work was given is over."""


@dataclass(slots=True)
class Deadline:
    """How many `seconds` work may take, None for ever. It counts from the first request on.

    Where several count at once, the time that passes is shared out among them: together they may
    take as long as one after the other. `alone`: all of the time counts for this one.
    """

    seconds: float | None
    spent: float = 0.0
    counts: bool = False
    alone: bool = False

    @property
    def left(self) -> float | None:
        """Seconds that are left, None for ever."""
        return None if self.seconds is None else max(self.seconds - self.spent, 0.0)

    @property
    def is_over(self) -> bool:
        """Whether none is left."""
        return self.seconds is not None and self.spent > self.seconds - _NOTHING


@dataclass(slots=True, eq=False)
class _Scope:
    deadline: Deadline
    tasks: set[Task[Any]] = field(default_factory=set)
    main: Task[Any] | None = None


class Task(Generic[T]):
    """A generator that runs on a loop, and what came of it."""

    def __init__(self, steps: Steps[T], scope: _Scope) -> None:
        self.steps = steps
        self.scope = scope
        self.done = False
        self.result: T | None = None
        self.error: BaseException | None = None
        self.watchers: list[tuple[Task[Any], Join]] = []
        self.waits_for: Join | None = None


class Loop:
    """Runs tasks over an engine.

    `check` is called on every turn and may raise.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        check: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self._check = check
        self._tick: Callable[[], None] | None = None
        self._interval: float | None = None
        self._next_tick = 0.0
        self._counted = 0.0
        self._busy: list[Deadline] = []
        self._scopes: list[_Scope] = []
        self._running: Task[Any] | None = None
        self._ready: deque[tuple[Task[Any], object, BaseException | None]] = deque()
        self._sleeping: list[tuple[float, int, Task[Any]]] = []
        self._hoping: list[tuple[Callable[[], bool], float, Task[Any]]] = []
        self._moving: dict[int, Task[Any]] = {}
        self._foreign: list[Completion] = []
        self._numbers = itertools.count()

    @property
    def runs(self) -> bool:
        """Whether `run` is under way."""
        return bool(self._scopes)

    def ticks(self, tick: Callable[[], None], interval: float | None) -> None:
        """Call `tick` about every `interval` seconds while tasks run; None: not at all."""
        self._tick, self._interval = tick, interval

    def spawn(self, steps: Steps[T], *, shared: bool = False) -> Task[T]:
        """Start a task; it first runs on the loop's next turn.

        It belongs to the scope of the task that starts it; a `shared` one to the whole run.
        """
        scope = self._scopes[0]
        if self._running is not None and not shared:
            scope = self._running.scope
        return self._spawn(steps, scope)

    def run(self, steps: Steps[T], deadline: Deadline | None = None) -> T:
        """Run `steps` and all that it spawns; its result. Whatever is left at the end is dropped.

        When the time is over, DeadlinePassed.
        """
        self._next_tick = self._counted = self.clock()
        main = self._open(steps, deadline or Deadline(None))
        try:
            while True:
                self._check()
                self._count()
                self._resume_ready()
                if main.done:
                    break
                self._turn(None)
        finally:
            self._count()
            for scope in reversed(self._scopes):
                self._drop(scope)
            self._scopes.clear()
            self._ready.clear()
            self._sleeping.clear()
            self._hoping.clear()
        if main.error is not None:
            raise main.error
        return main.result  # type: ignore[return-value]

    def scoped(self, steps: Steps[T], deadline: Deadline) -> Steps[T]:
        """Run `steps` and all that it spawns as a scope of its own; its result.

        Whatever is left of it at the end is dropped. When the time is over, DeadlinePassed.
        """
        main = self._open(steps, deadline)
        try:
            (result,) = yield from join([main])
            return result
        finally:
            self._count()
            self._drop(main.scope)
            self._scopes.remove(main.scope)

    def go_on(self, seconds: float | None) -> None:
        """From within a task that cannot yield: let the others go on, for at most `seconds` (None:
        until anything happens). Raises what `check` does, and Abandoned.
        """
        self._check()
        here, self._running = self._running, None
        try:
            self._count()
            self._resume_ready()
            self._turn(seconds)
            self._resume_ready()
        finally:
            self._running = here
        main = self._scopes[0].main
        if main is not None and main.done:
            raise Abandoned

    def check_time(self) -> None:
        """From within a task that cannot yield: raise DeadlinePassed where its time is over."""
        if self._running is None or not self._running.scope.deadline.counts:
            return
        deadline = self._running.scope.deadline
        passed = (self.clock() - self._counted) / self._sharing
        if deadline.left is not None and deadline.left <= passed:
            raise DeadlinePassed

    def take_foreign(self) -> list[Completion]:
        """What has ended of requests that no task waits for; each is given out once."""
        ended, self._foreign = self._foreign, []
        return ended

    def _open(self, steps: Steps[T], deadline: Deadline) -> Task[T]:
        scope = _Scope(deadline)
        self._scopes.append(scope)
        scope.main = task = self._spawn(steps, scope)
        return task

    def _spawn(self, steps: Steps[T], scope: _Scope) -> Task[T]:
        task = Task(steps, scope)
        scope.tasks.add(task)
        self._ready.append((task, None, None))
        return task

    # -- time

    def _count(self) -> None:
        """Share out the time that has passed, and end what has no more."""
        now = self.clock()
        counting = [scope for scope in self._scopes if scope.deadline.counts]
        passed, self._counted = now - self._counted, now
        for deadline in self._busy:
            deadline.spent += passed if deadline.alone else passed / self._sharing
        for scope in counting:
            main = scope.main
            if scope.deadline.is_over and main is not None and not main.done:
                self._drop(scope)
                self._end(main, None, DeadlinePassed())

    @property
    def _sharing(self) -> int:
        """Among how many the time that passes is shared out."""
        return max(sum(not one.alone for one in self._busy), 1)

    def _look_who_is_busy(self) -> None:
        """Time counts for whose requests are out or are to be tried again: who waits for what
        another is bringing, or for room, has not had its turn.
        """
        engine = self.engine
        moving = {t.scope for ticket, t in self._moving.items() if engine.is_moving(ticket)}
        moving |= {task.scope for *_, task in self._sleeping if not task.done}
        counting = [scope for scope in self._scopes if scope.deadline.counts]
        busy = [scope.deadline for scope in counting if scope in moving]
        self._busy = busy or [scope.deadline for scope in counting]

    def _begin_to_count(self, task: Task[Any]) -> None:
        deadline = task.scope.deadline
        if not deadline.counts and deadline.seconds is not None:
            self._count()
            deadline.counts = True

    def _patience(self, most: float | None) -> float | None:
        """Seconds until something is due; None for never."""
        if self._ready:
            return 0.0
        now = self.clock()
        due = [] if most is None else [most]
        sharing = self._sharing
        due += [
            one.left * (1 if one.alone else sharing) for one in self._busy if one.left is not None
        ]
        if self._interval is not None:
            due.append(self._next_tick - now)
        if self._sleeping:
            due.append(self._sleeping[0][0] - now)
        due += [end - now for _, end, _ in self._hoping if end < inf]
        return max(min(due), 0.0) if due else None

    # -- one turn

    def _turn(self, most: float | None) -> None:
        now = self.clock()
        if self._tick and self._interval is not None and now >= self._next_tick:
            self._tick()
            self._next_tick = now + self._interval
        self._resume_hoping()
        self._look_who_is_busy()
        for completion in self.engine.poll(self._patience(most)):
            task = self._moving.pop(completion.ticket, None)
            if task is not None:
                self._ready.append((task, completion, None))
            else:
                self._foreign.append(completion)
        self._resume_hoping()
        now = self.clock()
        while self._sleeping and self._sleeping[0][0] <= now:
            self._ready.append((heapq.heappop(self._sleeping)[2], None, None))

    def _resume_hoping(self) -> None:
        hoping, self._hoping = self._hoping, []
        now = self.clock()
        for happened, end, task in hoping:
            if task.done:
                continue
            if happened() or end <= now:
                self._ready.append((task, None, None))
            else:
                self._hoping.append((happened, end, task))

    def _resume_ready(self) -> None:
        while self._ready:
            task, value, error = self._ready.popleft()
            if task.done:
                continue
            self._running = task
            try:
                effect = task.steps.throw(error) if error else task.steps.send(value)
            except StopIteration as stop:
                self._end(task, stop.value, None)
            except Exception as failure:
                self._end(task, None, failure)
            else:
                self._start(task, effect)
            finally:
                self._running = None

    def _start(self, task: Task[Any], effect: Effect) -> None:
        if isinstance(effect, Send):
            self._begin_to_count(task)
            ticket = self.engine.submit(effect.request)
            self._moving[ticket] = task
            if effect.started:
                effect.started(ticket)
        elif isinstance(effect, Sleep):
            end = self.clock() + effect.seconds
            heapq.heappush(self._sleeping, (end, next(self._numbers), task))
        elif isinstance(effect, Until):
            end = inf if effect.seconds is None else self.clock() + effect.seconds
            self._hoping.append((effect.happened, end, task))
        else:
            if any(other.scope is self._scopes[0] for other in effect.tasks):
                # what the whole run shares asks on behalf of whoever waits for it
                self._begin_to_count(task)
            task.waits_for = effect
            for other in effect.tasks:
                other.watchers.append((task, effect))
            self._look_at(task, effect)

    def _end(self, task: Task[Any], result: Any, error: BaseException | None) -> None:
        task.done, task.result, task.error = True, result, error
        task.scope.tasks.discard(task)
        for watcher, join in task.watchers:
            self._look_at(watcher, join)

    def _look_at(self, task: Task[Any], join: Join) -> None:
        if task.waits_for is not join:
            return
        failed = next((other.error for other in join.tasks if other.error is not None), None)
        if failed is not None:
            task.waits_for = None
            self._ready.append((task, None, failed))
        elif all(other.done for other in join.tasks):
            task.waits_for = None
            self._ready.append((task, [other.result for other in join.tasks], None))

    def _drop(self, scope: _Scope) -> None:
        """End what is left of a scope, with all that it waits for."""
        for ticket in [number for number, task in self._moving.items() if task.scope is scope]:
            del self._moving[ticket]
            self.engine.cancel(ticket)
        while scope.tasks:
            task = scope.tasks.pop()
            task.done = True
            task.waits_for = None
            task.steps.close()


def completion_of(value: object) -> Completion:
    """What a `Send` was resumed with."""
    assert isinstance(value, Completion)
    return value


def send(request: Request, started: Callable[[int], None] | None = None) -> Steps[Completion]:
    """Move one request."""
    return completion_of((yield Send(request, started)))


def join(tasks: Iterable[Task[T]]) -> Steps[list[T]]:
    """Wait for tasks; the first error of one is raised."""
    results: list[T] = yield Join(tuple(tasks))
    return results


def in_parallel(
    loop: Loop, items: Iterable[T], work: Callable[[T], Steps[None]], most: int = AT_ONCE
) -> Steps[None]:
    """Do `work` for all items in order, at most `most` at once. Raises the first error."""
    queue = deque(items)
    workers = min(most, len(queue))
    yield from join([loop.spawn(_work_off(queue, work)) for _ in range(workers)])


def _work_off(queue: deque[T], work: Callable[[T], Steps[None]]) -> Steps[None]:
    while queue:
        yield from work(queue.popleft())
