"""Long work that cannot yield, an archive that is unpacked or an image that an engine exports:
meanwhile the others go on, and it can be stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from idpbuilder.push.stop import Stop
from idpbuilder.push.tasks import Deadline, DeadlinePassed, Loop, Steps, Until
from idpbuilder.wire import Completion, Engine, Request


class Patience:
    """Lends itself to one such work at a time; `check` is called between its steps."""

    def __init__(self, stop: Stop, loop: Loop) -> None:
        self._stop = stop
        self._loop = loop
        self._busy = False
        self._end: float | None = None

    def check(self) -> None:
        """Let the others go on. Raises Interrupted or DeadlinePassed."""
        if self._loop.runs:
            self._loop.go_on(0.0)
        else:
            self._stop.check()
        if self._end is not None and self._loop.clock() >= self._end:
            raise DeadlinePassed

    def idle(self, seconds: float) -> bool:
        """While nothing comes: let the others go on until something happens to them, for at most
        `seconds`; False where there are none, and nothing was waited for. Raises as `check`.
        """
        self.check()
        if not self._loop.runs:
            return False
        self._loop.go_on(seconds)
        return True

    def check_alone(self) -> None:
        """For what is so short that the others can wait. Raises Interrupted or DeadlinePassed."""
        self._stop.check()
        self._loop.check_time()

    def take_turn(self) -> Steps[None]:
        """Wait until nobody else is at it; the work follows at once, in `until`."""
        while self._busy:
            yield Until(lambda: not self._busy)

    @contextmanager
    def until(self, deadline: Deadline) -> Iterator[None]:
        """Work in here may take what the deadline leaves, which is told what it took."""
        began = self._loop.clock()
        self._busy = True
        self._end = None if deadline.left is None else began + deadline.left
        try:
            yield
        finally:
            self._busy = False
            self._end = None
            deadline.spent += self._loop.clock() - began


class PatientEngine:
    """`engine` as it is lent to who waits for answers alone: meanwhile the loop goes on."""

    def __init__(self, engine: Engine, loop: Loop) -> None:
        self._engine = engine
        self._loop = loop

    def submit(self, request: Request) -> int:
        """As the engine's."""
        return self._engine.submit(request)

    def poll(self, timeout: float | None) -> list[Completion]:
        """What has ended of what was submitted here."""
        if not self._loop.runs:
            return self._engine.poll(timeout)
        self._loop.go_on(timeout)
        return self._loop.take_foreign()

    def sent(self, ticket: int) -> int:
        """As the engine's."""
        return self._engine.sent(ticket)

    def is_moving(self, ticket: int) -> bool:
        """As the engine's."""
        return self._engine.is_moving(ticket)

    def cancel(self, ticket: int) -> None:
        """As the engine's."""
        self._engine.cancel(ticket)

    def wake(self) -> None:
        """As the engine's."""
        self._engine.wake()

    def close(self) -> None:
        """Nothing: the engine is closed by whom it belongs to."""
