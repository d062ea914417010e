"""Many conversations on one loop: tasks are generators that yield what they wait for.

A task yields `Send` and is resumed with the request's Completion, `Sleep` and is resumed later, or
`Join` and is resumed with the results of other tasks, or `Until` and is resumed when something came
true. Nothing but the engine's `poll` waits.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from idpbuilder.wire import Completion, Engine, Request

T = TypeVar("T")

AT_ONCE = 64
"""Tasks at once that each wait for answers."""


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
    """Resume when `happened` says so; whoever makes it true calls the engine's `wake`."""

    happened: Callable[[], bool]


Effect = Send | Sleep | Join | Until
Steps = Generator[Effect, Any, T]


class Task(Generic[T]):
    """A generator that runs on a loop, and what came of it."""

    def __init__(self, steps: Steps[T]) -> None:
        self.steps = steps
        self.done = False
        self.result: T | None = None
        self.error: BaseException | None = None
        self.watchers: list[tuple[Task[Any], Join]] = []
        self.waits_for: Join | None = None


class DeadlinePassed(Exception):
    """The time that a run was given is over."""


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
        self._timeout: float | None = None
        self._deadline: float | None = None
        self._ready: deque[tuple[Task[Any], object, BaseException | None]] = deque()
        self._sleeping: list[tuple[float, int, Task[Any]]] = []
        self._hoping: list[tuple[Callable[[], bool], Task[Any]]] = []
        self._moving: dict[int, Task[Any]] = {}
        self._open: set[Task[Any]] = set()
        self._numbers = itertools.count()

    def ticks(self, tick: Callable[[], None], interval: float | None) -> None:
        """Call `tick` about every `interval` seconds while tasks run; None: not at all."""
        self._tick, self._interval = tick, interval

    def spawn(self, steps: Steps[T]) -> Task[T]:
        """Start a task; it first runs on the loop's next turn."""
        task = Task(steps)
        self._open.add(task)
        self._ready.append((task, None, None))
        return task

    def run(self, steps: Steps[T], timeout: float | None = None) -> T:
        """Run `steps` and all that it spawns; its result. Whatever is left at the end is dropped.

        `timeout` in seconds counts from the loop's first request, also where that was made in an
        earlier run; when it is over, DeadlinePassed.
        """
        self._timeout = timeout
        main = self.spawn(steps)
        next_tick = self.clock()
        try:
            while True:
                self._check()
                self._resume_ready()
                if main.done:
                    break
                self.check_deadline()
                now = self.clock()
                if self._tick and self._interval is not None and now >= next_tick:
                    self._tick()
                    next_tick = now + self._interval
                self._turn(next_tick if self._interval is not None else None)
        finally:
            self._drop_all()
        if main.error is not None:
            raise main.error
        return main.result  # type: ignore[return-value]

    def check_deadline(self) -> None:
        """Raise DeadlinePassed where the time that began with the first request is over."""
        if self._deadline is not None and self.clock() >= self._deadline:
            raise DeadlinePassed

    def _turn(self, next_tick: float | None) -> None:
        ends = [end for end in (next_tick, self._deadline) if end is not None]
        if self._sleeping:
            ends.append(self._sleeping[0][0])
        timeout = max(min(ends) - self.clock(), 0.0) if ends else None
        self._resume_hoping()
        for completion in self.engine.poll(0.0 if self._ready else timeout):
            task = self._moving.pop(completion.ticket, None)
            if task is not None:
                self._ready.append((task, completion, None))
        self._resume_hoping()
        now = self.clock()
        while self._sleeping and self._sleeping[0][0] <= now:
            self._ready.append((heapq.heappop(self._sleeping)[2], None, None))

    def _resume_hoping(self) -> None:
        hoping, self._hoping = self._hoping, []
        for happened, task in hoping:
            if happened():
                self._ready.append((task, None, None))
            else:
                self._hoping.append((happened, task))

    def _resume_ready(self) -> None:
        while self._ready:
            task, value, error = self._ready.popleft()
            if task.done:
                continue
            try:
                effect = task.steps.throw(error) if error else task.steps.send(value)
            except StopIteration as stop:
                self._end(task, stop.value, None)
            except Exception as failure:
                self._end(task, None, failure)
            else:
                self._start(task, effect)

    def _start(self, task: Task[Any], effect: Effect) -> None:
        if isinstance(effect, Send):
            if self._deadline is None and self._timeout is not None:
                self._deadline = self.clock() + self._timeout
            ticket = self.engine.submit(effect.request)
            self._moving[ticket] = task
            if effect.started:
                effect.started(ticket)
        elif isinstance(effect, Sleep):
            end = self.clock() + effect.seconds
            heapq.heappush(self._sleeping, (end, next(self._numbers), task))
        elif isinstance(effect, Until):
            self._hoping.append((effect.happened, task))
        else:
            task.waits_for = effect
            for other in effect.tasks:
                other.watchers.append((task, effect))
            self._look_at(task, effect)

    def _end(self, task: Task[Any], result: Any, error: BaseException | None) -> None:
        task.done, task.result, task.error = True, result, error
        self._open.discard(task)
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

    def _drop_all(self) -> None:
        for ticket in self._moving:
            self.engine.cancel(ticket)
        for task in self._open:
            task.done = True
            task.steps.close()
        self._moving.clear()
        self._sleeping.clear()
        self._hoping.clear()
        self._ready.clear()
        self._open.clear()


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
