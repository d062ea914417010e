"""Requests as a push makes them: the only place here that knows push's sessions and loop."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass

from idpbuilder.errors import PushError, PushTimeout
from idpbuilder.memory import Forgetful
from idpbuilder.push.registry import Registry, RegistryOptions
from idpbuilder.push.session import RegistrySession
from idpbuilder.push.tasks import Deadline, DeadlinePassed, Loop, Steps, send
from idpbuilder.registry.call import Call
from idpbuilder.registry.credentials import Confide, Credentials
from idpbuilder.registry.endpoints import Endpoint
from idpbuilder.registry.retry import RetryPolicy
from idpbuilder.registry.scope import Scope
from idpbuilder.wire import Completion, Engine, Request, Response, Trust

_CANCEL_SECONDS = 2.0


def answer_to(
    request: Request, engine: Engine, seconds: float, check: Callable[[], None]
) -> Response | None:
    """The answer to one request to whoever it is for; None where there is none in time."""
    try:
        return Loop(engine, check=check).run(send(request), Deadline(seconds)).response
    except DeadlinePassed:
        return None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that went out, and how it ended."""

    request: Request
    completion: Completion


class Witness:
    """An engine that keeps how every request ended."""

    def __init__(self, engine: Engine) -> None:
        self.exchanges: list[Exchange] = []
        self._engine = engine
        self._moving: dict[int, Request] = {}

    def submit(self, request: Request) -> int:
        """As the engine's."""
        ticket = self._engine.submit(request)
        self._moving[ticket] = request
        return ticket

    def poll(self, timeout: float | None) -> list[Completion]:
        """As the engine's."""
        ended = self._engine.poll(timeout)
        for completion in ended:
            if completion.ticket in self._moving:
                request = self._moving.pop(completion.ticket)
                self.exchanges.append(Exchange(request, completion))
        return ended

    def sent(self, ticket: int) -> int:
        """As the engine's."""
        return self._engine.sent(ticket)

    def is_moving(self, ticket: int) -> bool:
        """As the engine's."""
        return self._engine.is_moving(ticket)

    def cancel(self, ticket: int) -> None:
        """As the engine's."""
        self._moving.pop(ticket, None)
        self._engine.cancel(ticket)

    def wake(self) -> None:
        """As the engine's."""
        self._engine.wake()

    def close(self) -> None:
        """The engine is another's to close."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the registry is talked to; `timeout` in seconds for all requests together."""

    trust: Trust
    insecure: bool
    scheme: str
    timeout: float | None
    confide: Confide


class _Unsaid(Exception):
    """A registry asked who we are before it was time to say so."""


class Asking:
    """Asks one registry, each request once. Every method raises PushError, PushTimeout too.

    Until `introduce` nothing is said of who we are.
    """

    def __init__(
        self,
        registry: str,
        manner: Manner,
        find: Callable[[], Credentials | None],
        engine: Engine,
        check: Callable[[], None],
    ) -> None:
        self.registry = registry
        self.manner = manner
        self._witness = Witness(engine)
        self._find = find
        self._introduced = False
        self._loop = Loop(self._witness, check=check)
        self._deadline = Deadline(manner.timeout)
        options = RegistryOptions(
            RetryPolicy(0), manner.trust, manner.insecure, manner.scheme, manner.confide
        )
        self._registry = Registry(
            registry, options, self._who_we_are, self._loop, Forgetful(), None
        )
        self._session = RegistrySession(self._registry, lambda note: None)

    @property
    def endpoint(self) -> Endpoint:
        """Where the registry is, by what is known of its scheme."""
        return self._registry.endpoint

    @property
    def exchanges(self) -> list[Exchange]:
        """All that was said so far."""
        return self._witness.exchanges

    @property
    def last(self) -> Exchange:
        """What was said last; there is one after any request that got an answer."""
        return self._witness.exchanges[-1]

    def introduce(self) -> None:
        """From now on a registry that asks is told who we are."""
        self._introduced = True

    def greet(self, scopes: tuple[Scope, ...] = ()) -> Response:
        """The answer to a ping; before `introduce`, the one that asks who we are."""
        request = Request("GET", self.endpoint.ping(), trust=self.manner.trust)
        try:
            return self.ask(Call(request, scopes))
        except _Unsaid:
            response = self.last.completion.response
            assert response is not None
            return response

    def ask(self, call: Call) -> Response:
        """The answer to one request."""
        try:
            return self._loop.run(self._session.inquire(_one(call)), self._deadline)
        except DeadlinePassed:
            raise PushTimeout(
                f"{self.registry} did not answer in time",
                f"the timeout of {self.manner.timeout:g} s passed",
                "look whether it runs and how busy it is, or give it longer with `--timeout`",
            ) from None

    def cancel(self, url: str, repository: str) -> bool:
        """Close an upload session, whatever else is over; whether the registry says it did."""
        # Distribution wants another token to delete; others give none, and mind no push's
        delete = Scope(f"repository:{repository}:delete")
        request = Request("DELETE", url, trust=self.manner.trust)
        call = Call(request, (Scope.push(repository), delete), lenient=True)
        tries: tuple[Steps[object], ...] = (
            self._session.inquire(_one(call)),
            self._session.cancel(url, repository),
        )
        deadline = Deadline(_CANCEL_SECONDS)
        self._registry.loop = loop = Loop(self._witness, check=lambda: None)
        try:
            return any(self._cancels(loop, steps, deadline) for steps in tries)
        finally:
            self._registry.loop = self._loop

    def _cancels(self, loop: Loop, steps: Steps[object], deadline: Deadline) -> bool:
        before = len(self.exchanges)
        with suppress(PushError, DeadlinePassed):
            loop.run(steps, deadline)
        ended = [
            one.completion for one in self.exchanges[before:] if one.request.method == "DELETE"
        ]
        return any(one.response and one.response.status in (200, 202, 204) for one in ended)

    def _who_we_are(self) -> Credentials | None:
        if not self._introduced:
            raise _Unsaid
        return self._find()


def _one(call: Call) -> Generator[Call, Response, Response]:
    return (yield call)
