"""One registry through a whole run: its endpoint, its tokens, and every request to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TypeVar

from idpbuilder.errors import PushError
from idpbuilder.image import Digest
from idpbuilder.image.host import is_loopback
from idpbuilder.image.reference import split_host_port
from idpbuilder.memory import AnyMemory, KnownRegistry
from idpbuilder.push.known import Known
from idpbuilder.push.pace import Pace
from idpbuilder.push.tasks import Loop, Sleep, Steps, Task, Until, join, send
from idpbuilder.registry.auth import Authenticator
from idpbuilder.registry.call import Call, Machine
from idpbuilder.registry.credentials import Confide, Credentials, confide_in_nobody
from idpbuilder.registry.endpoints import Endpoint, host_of, origin
from idpbuilder.registry.failure import (
    THE_REGISTRY,
    bare,
    failure_setback,
    is_retriable,
    setback,
)
from idpbuilder.registry.habits import Habits, Probe
from idpbuilder.registry.retry import RetryPolicy, Setback
from idpbuilder.registry.scope import Rights, Scope
from idpbuilder.wire import (
    Completion,
    Engine,
    FailureKind,
    Headers,
    Request,
    Response,
    TransportFailure,
    Trust,
)

T = TypeVar("T")
_UNASKED = "the token service {} could not be asked"


@dataclass(slots=True)
class Tally:
    """What a push has cost so far: payload bytes of blobs and manifests, requests, and retries."""

    bytes_sent: int = 0
    requests: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How to talk to a registry. `scheme` is "" where the user fixed none; `confide` is told every
    secret before it is sent; `jobs` blobs at once, None for as many as pay.
    """

    policy: RetryPolicy
    trust: Trust
    insecure: bool = False
    scheme: str = ""
    confide: Confide = confide_in_nobody
    jobs: int | None = None


class RegistrySession:
    """Sends what machines want to send: signed in, tried again, counted, and told to `note`."""

    def __init__(
        self,
        registry: str,
        options: SessionOptions,
        find_credentials: Callable[[], Credentials | None],
        engine: Engine,
        note: Callable[[str], None],
        memory: AnyMemory,
        journal: AnyMemory | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.registry = registry
        self.journal = journal
        self.engine = engine
        self.options = options
        self.pace = Pace(options.jobs)
        self.known = Known()
        self.tally = Tally()
        self.last_trouble = ""
        self._schemes = _schemes(registry, options)
        self._settled = False
        self.endpoint = Endpoint.of(self._schemes.pop(0), registry)
        self._auth = Authenticator(
            find_credentials,
            options.trust,
            clock,
            insecure=options.insecure,
            confide=options.confide,
        )
        self._fetching: dict[Rights, Task[None]] = {}
        self._peer = ""
        self._loop: Loop | None = None
        self._clock = clock
        self._note = note
        self._memory = memory

    def begin_image(self, loop: Loop) -> None:
        """Work on `loop` from now on, and count anew."""
        self._loop = loop
        self.tally = Tally()
        self.last_trouble = ""
        self._fetching.clear()

    @cached_property
    def habits(self) -> Habits:
        """What is known of the registry's ways. An image that is there needs none of it: the memory
        is not opened before the first blob is asked for.
        """
        return _habits(self._memory.registry(self.registry))

    def remember(self) -> None:
        """Keep for the next run what this one learnt of the registry, where it came to blobs."""
        if "habits" not in vars(self):
            return
        known = KnownRegistry(self.habits.probe is Probe.HONEST, self.habits.chunk)
        if known != KnownRegistry():
            self._memory.remember_registry(self.registry, known)

    def mount_source(self, digest: Digest, repository: str) -> str | None:
        """Another repository of this registry to take the blob from, None where none is known.

        What an earlier run saw is a hint: where it is wrong the blob is sent.
        """
        place = self.known.elsewhere(digest, repository)
        if place is not None:
            return place
        seen = self._memory.seen(self.registry, digest)
        return None if repository in seen else next(iter(seen), None)

    def drive(
        self,
        machine: Machine,
        *,
        recheck: Callable[[Setback], Steps[None]] | None = None,
        started: Callable[[int], None] | None = None,
    ) -> Steps[None]:
        """Bring `machine` to its end. Raises the PushError that ended it.

        `recheck` looks at the local bytes before they are sent again, and may raise; `started` is
        told the ticket of each request.
        """
        retries: dict[str, int] = {}
        while not machine.ended:
            call, step = machine.next_call(), machine.step
            completion = yield from self._exchange(call, started)
            found = _judge(machine, completion)
            if found is None:
                continue
            if recheck:
                yield from recheck(found)
            yield from self._back_off(found, retries.get(step, 0))
            retries[step] = retries.get(step, 0) + 1

    def inquire(self, inquiry: Generator[Call, Response, T]) -> Steps[T]:
        """Answer an inquiry's calls until it returns. Raises PushError."""
        call = next(inquiry)
        while True:
            what = partial(self._failed, call.request)
            exchange = partial(self._exchange, call)
            response = yield from self._insist(exchange, what, self.endpoint.authority)
            try:
                call = inquiry.send(response)
            except StopIteration as stop:
                result: T = stop.value
                return result

    def cancel(self, url: str, repository: str) -> Steps[None]:
        """Close an upload session that nobody needs any more; whether that works is no matter."""
        ours = self.endpoint.is_origin_of(url)
        header = self._auth.header((Scope.push(repository),)) if ours else None
        request = Request("DELETE", url, trust=self.options.trust)
        yield from self._send(self._ready(request, header))

    # -- one request, and its further tries

    def _ready(self, request: Request, header: str | None) -> Request:
        """The request as it goes out: signed, or with word of who led us to another host."""
        host = origin(self.endpoint.base)[1]
        if origin(request.url)[1] != host:
            return replace(request, led_by=self._peer or host)
        return _signed(request, header)

    def _failed(self, request: Request) -> str:
        """What failed, by the scheme that is known by then."""
        return f"{request.method} {bare(self._rebased(request).url)} failed"

    def _insist(
        self, exchange: Callable[[], Steps[Completion]], what: Callable[[], str], where: str
    ) -> Steps[Response]:
        """Make `exchange` until there is an answer worth judging."""
        made = 0
        who = THE_REGISTRY if where == self.endpoint.authority else "it"
        while True:
            completion = yield from exchange()
            if completion.failure is not None:
                found = failure_setback(completion.failure, what(), where)
            else:
                assert completion.response is not None
                if not is_retriable(completion.response):
                    return completion.response
                found = setback(completion.response, what(), who=who)
            yield from self._back_off(found, made)
            made += 1

    def _back_off(self, found: Setback, made: int) -> Steps[None]:
        self.last_trouble = found.error.message
        policy = self.options.policy
        delay = policy.delay(made, found.retry_after)
        if delay is None:
            raise found.error
        if found.crowded:
            # not for as long as this one waits, which grows: the others were not refused so often
            quiet = policy.delay(0, found.retry_after) or delay
            self.pace.hush(self._clock() + quiet)
        self.tally.retries += 1
        self._note(f"retry {made + 1} of {policy.retries} in {delay:.1f} s: {found.error.message}")
        yield Sleep(delay)

    def _exchange(
        self, call: Call, started: Callable[[int], None] | None = None
    ) -> Steps[Completion]:
        """Send a call, signed in; a 401 is answered by one renewed sign-in."""
        renewed = False
        while True:
            request = self._rebased(call.request)
            ours = self.endpoint.is_origin_of(request.url)
            try:
                header = (yield from self._authorization(call.scopes)) if ours else None
            except PushError as error:
                # whatever ails the token for a mount, the blob can still be sent
                if not call.lenient:
                    raise
                self._note(f"auth: {error.message}")
                return _denied(request)
            completion = yield from self._paced(self._ready(request, header), started)
            self.tally.bytes_sent += completion.sent
            if completion.failure and self._next_scheme(completion.failure):
                continue
            response = completion.response
            if response is not None and ours:
                self._peer = response.peer
            if response is not None and not self._settled:
                self._settled = True
                if response.status != 401:
                    self._note(f"auth: {self.registry} asks for no credentials")
            if response is None or response.status != 401 or not ours:
                return completion
            if renewed and call.lenient:
                return completion
            if renewed:
                raise self._auth.unauthorized(self.endpoint, response)
            yield from self._sign_in(call.scopes, response, header)
            # a first sign-in is no renewal: what it brings may itself be refused, once
            renewed = header is not None

    def _paced(self, request: Request, started: Callable[[int], None] | None) -> Steps[Completion]:
        """Send a request when the registry, for all that is known, can take it."""
        pace, clock = self.pace, self._clock
        while (wait := pace.quiet(clock())) or not pace.lets_send:
            yield Sleep(wait) if wait else Until(lambda: pace.lets_send)
        # one that is dropped tells nothing of the registry
        ticket, well = pace.sent(), True
        try:
            completion = yield from self._send(request, started)
            well = completion.response is not None and not is_retriable(completion.response)
        finally:
            pace.answered(ticket, well=well)
        return completion

    def _send(
        self, request: Request, started: Callable[[int], None] | None = None
    ) -> Steps[Completion]:
        self.tally.requests += 1
        completion = yield from send(request, started)
        answer = completion.failure.message if completion.failure else ""
        if completion.response is not None:
            answer = str(completion.response.status)
        self._note(f"{request.method} {bare(request.url)}: {answer} in {completion.seconds:.3f} s")
        return completion

    # -- signing in

    def _sign_in(
        self, scopes: tuple[Scope, ...], response: Response, header: str | None
    ) -> Steps[None]:
        """Learn from a 401, and from the ping's where the 401 itself asks for nothing."""
        learnt = self._auth.refused(response, self.endpoint, scopes, header)
        if not learnt:
            ping = Request("GET", self.endpoint.ping(), trust=self.options.trust)
            answer = yield from self._insist(
                partial(self._send, ping), partial(self._failed, ping), self.endpoint.authority
            )
            if answer.status != 401:
                raise self._auth.unauthorized(self.endpoint, response)
            if not self._auth.refused(answer, self.endpoint, scopes, None):
                raise self._auth.unauthorized(self.endpoint, answer)
        self._note(f"auth: {self._auth.scheme} with {self._auth.source} for {self.registry}")

    def _authorization(self, scopes: tuple[Scope, ...]) -> Steps[str | None]:
        """The header for `scopes`; a token that is missing is fetched once, whoever needs it."""
        while (rights := self._auth.wanted(scopes)) is not None:
            task = self._fetching.get(rights)
            if task is None:
                assert self._loop is not None
                task = self._loop.spawn(self._fetch(scopes, rights))
                self._fetching[rights] = task
            yield from join([task])
        return self._auth.header(scopes)

    def _fetch(self, scopes: tuple[Scope, ...], rights: Rights) -> Steps[None]:
        try:
            flow = self._auth.fetch(scopes)
            request = next(flow)
            while True:
                what = partial(_UNASKED.format, bare(request.url))
                send_it = partial(self._send, request)
                response = yield from self._insist(send_it, what, host_of(request.url))
                try:
                    request = flow.send(response)
                except StopIteration:
                    return
        finally:
            self._fetching.pop(rights, None)

    # -- which scheme

    def _next_scheme(self, failure: TransportFailure) -> bool:
        """Whether the registry turned out not to speak TLS, and may be asked without."""
        if self._settled or not self._schemes:
            return False
        portless = split_host_port(self.registry)[1] is None
        plain = failure.kind in (FailureKind.NOT_TLS, FailureKind.NO_TUNNEL) or (
            portless and failure.kind is FailureKind.CONNECT
        )
        if plain:
            self.endpoint = Endpoint.of(self._schemes.pop(0), self.registry)
            self._note(f"{self.registry}: {failure.message}: going on over plain HTTP")
            self.pace.forget()
        return plain

    def _rebased(self, request: Request) -> Request:
        """The request at today's scheme, where its URL was made before the scheme was known."""
        old = Endpoint.of("https", self.registry).base
        if self.endpoint.scheme == "http" and request.url.startswith(f"{old}/"):
            return replace(request, url=self.endpoint.base + request.url.removeprefix(old))
        return request


def _habits(known: KnownRegistry | None) -> Habits:
    if known is None:
        return Habits()
    return Habits(Probe.HONEST if known.honest else Probe.UNKNOWN, chunk=known.chunk)


def _schemes(registry: str, options: SessionOptions) -> list[str]:
    if options.scheme:
        return [options.scheme]
    host = split_host_port(registry)[0]
    return ["https", "http"] if options.insecure or is_loopback(host) else ["https"]


def _signed(request: Request, header: str | None) -> Request:
    if header is None:
        return request
    return replace(request, headers=(*request.headers, ("Authorization", header)))


def _denied(request: Request) -> Completion:
    """What a registry would have answered to a request for which there is no token."""
    response = Response(401, Headers(), b"", request.url)
    return Completion(0, response, None, 0, True, 0.0)


def _judge(machine: Machine, completion: Completion) -> Setback | None:
    response = completion.response
    # a success that came before the body was whole is none: the registry cannot have it
    if response is not None and (completion.body_complete or response.status >= 300):
        return machine.receive(response)
    early = TransportFailure(FailureKind.BROKEN, "it answered before the whole body was sent")
    return machine.transfer_failed(completion.failure or early, completion.sent)
