"""An engine whose registry is a function, on a clock that only the engine moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from idpbuilder.wire import Completion, FailureKind, Headers, Request, Response, TransportFailure

Answer = Response | TransportFailure | Completion | None
BROKEN = TransportFailure(FailureKind.BROKEN, "the connection was reset")


def response(status: int, body: bytes = b"", **headers: str) -> Response:
    """An answer; header names have `_` for `-`."""
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Response(status, Headers(fields), body, "")


class ScriptedEngine:
    """Asks `answer` for what each request comes to; None: it never ends."""

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self.requests: list[Request] = []
        self.now = 0.0
        self.cancelled: list[int] = []
        self.moving: set[int] = set()
        self.most_moving = 0
        self._answer = answer
        self._done: deque[Completion] = deque()

    def clock(self) -> float:
        """Seconds that the scripted world has seen."""
        return self.now

    def submit(self, request: Request) -> int:
        ticket = len(self.requests)
        self.requests.append(request)
        self.moving.add(ticket)
        self.most_moving = max(self.most_moving, len(self.moving))
        size = request.body.size if request.body else 0
        found = self._answer(request)
        if isinstance(found, Response):
            found = Completion(ticket, replace(found, url=request.url), None, size, True, 0.0)
        elif isinstance(found, TransportFailure):
            found = Completion(ticket, None, found, 0, False, 0.0)
        if found is not None:
            self._done.append(replace(found, ticket=ticket))
        return ticket

    def poll(self, timeout: float | None) -> list[Completion]:
        if self._done:
            # one at a time: the harshest order for whoever waits
            completion = self._done.popleft()
            self.moving.discard(completion.ticket)
            return [completion]
        assert timeout is not None, "nothing will ever happen"
        self.now += timeout
        return []

    def sent(self, ticket: int) -> int:
        return 0

    def is_moving(self, ticket: int) -> bool:
        return True

    def cancel(self, ticket: int) -> None:
        self.cancelled.append(ticket)
        self.moving.discard(ticket)

    def wake(self) -> None:
        """Nobody waits."""

    def close(self) -> None:
        """Nothing is held."""

    @property
    def lines(self) -> list[str]:
        """The request lines so far, without scheme and host."""
        return [f"{item.method} /{item.url.split('/', 3)[3]}" for item in self.requests]


def in_turn(*answers: Answer) -> Callable[[Request], Answer]:
    """Answers in this order, whatever is asked."""
    waiting = iter(answers)
    return lambda request: next(waiting)
