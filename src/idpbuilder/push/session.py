"""One image's conversation with a registry: signed in, tried again, counted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from idpbuilder.errors import NetworkError, PushError
from idpbuilder.push.pace import STUCK
from idpbuilder.push.registry import Registry
from idpbuilder.push.tasks import Sleep, Steps, Until, join, send
from idpbuilder.registry.call import Call, Machine
from idpbuilder.registry.endpoints import host_of
from idpbuilder.registry.failure import (
    THE_REGISTRY,
    bare,
    failure_setback,
    is_retriable,
    setback,
)
from idpbuilder.registry.retry import Setback
from idpbuilder.registry.scope import Rights, Scope
from idpbuilder.wire import (
    Completion,
    FailureKind,
    Headers,
    Request,
    Response,
    TransportFailure,
)

T = TypeVar("T")
Watch = Callable[[str, str], AbstractContextManager[None]]
"""What surrounds a wait: what it is called, and why it is."""

_UNASKED = "the token service {} could not be asked"


@dataclass(slots=True)
class Tally:
    """What a push has cost so far: payload bytes of blobs and manifests, requests, and retries."""

    bytes_sent: int = 0
    requests: int = 0
    retries: int = 0


def unwatched(_name: str, _why: str) -> AbstractContextManager[None]:
    """Nobody wants to see what is waited for."""
    return nullcontext()


class RegistrySession:
    """Sends what one image's machines want to send to `registry`, and tells `note`; what it waits
    for by its own choice goes on in `watch`.
    """

    def __init__(
        self, registry: Registry, note: Callable[[str], None], watch: Watch = unwatched
    ) -> None:
        self.registry = registry
        self.tally = Tally()
        self.last_trouble = ""
        self._note = note
        self._watch = watch

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
            ours = self.registry.endpoint.is_origin_of(self.registry.rebased(call.request).url)
            yield from self._back_off(found, retries.get(step, 0), of_registry=ours)
            retries[step] = retries.get(step, 0) + 1

    def inquire(self, inquiry: Generator[Call, Response, T]) -> Steps[T]:
        """Answer an inquiry's calls until it returns. Raises PushError."""
        call = next(inquiry)
        while True:
            what = partial(self._failed, call.request)
            exchange = partial(self._exchange, call)
            response = yield from self._insist(exchange, what, self.registry.endpoint.authority)
            try:
                call = inquiry.send(response)
            except StopIteration as stop:
                result: T = stop.value
                return result

    def cancel(self, url: str, repository: str) -> Steps[None]:
        """Close an upload session that nobody needs any more; whether that works is no matter."""
        registry = self.registry
        ours = registry.endpoint.is_origin_of(url)
        header = (yield from self._may_delete(repository)) if ours else None
        request = Request("DELETE", url, trust=registry.options.trust)
        yield from self._send(registry.ready(request, header))

    def _may_delete(self, repository: str) -> Steps[str | None]:
        """What signs a DELETE: CNCF Distribution wants a right of its own for it."""
        auth, push = self.registry.auth, Scope.push(repository)
        scopes = (push, Scope.delete(repository))
        rights = auth.wanted(scopes)
        if rights is not None:
            try:
                yield from self._fetch(scopes, rights)
            except PushError:
                return auth.header((push,))
        return auth.header(scopes)

    def close(self) -> None:
        """The image is done: if it was to find out how the registry is to be asked, another is."""
        if self.registry.asked_by is self:
            self.registry.asked_by = None

    # -- one request, and its further tries

    def _failed(self, request: Request) -> str:
        """What failed, by the scheme that is known by then."""
        return f"{request.method} {bare(self.registry.rebased(request).url)} failed"

    def _insist(
        self, exchange: Callable[[], Steps[Completion]], what: Callable[[], str], where: str
    ) -> Steps[Response]:
        """Make `exchange` until there is an answer worth judging."""
        made = 0
        who = THE_REGISTRY if where == self.registry.endpoint.authority else "it"
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

    def _back_off(self, found: Setback, made: int, *, of_registry: bool = True) -> Steps[None]:
        self.last_trouble = found.error.message
        registry = self.registry
        policy = registry.options.policy
        delay = policy.delay(made, found.retry_after)
        unreachable = of_registry and isinstance(found.error, NetworkError)
        if unreachable and (delay is None or registry.given_up):
            # whoever asks next asks once: it may be there again
            registry.given_up = found.error
            raise found.error
        if delay is None:
            raise found.error
        if found.crowded:
            # not for as long as this one waits, which grows: the others were not refused so often
            quiet = policy.delay(0, found.retry_after) or delay
            registry.pace.hush(registry.clock() + quiet)
        self.tally.retries += 1
        self._note(f"retry {made + 1} of {policy.retries} in {delay:.1f} s: {found.error.message}")
        with self._watch("back-off", found.error.message):
            yield Sleep(delay)

    def _exchange(
        self, call: Call, started: Callable[[int], None] | None = None
    ) -> Steps[Completion]:
        """Send a call, signed in; a 401 is answered by one renewed sign-in."""
        registry = self.registry
        renewed = False
        while True:
            ours = registry.endpoint.is_origin_of(registry.rebased(call.request).url)
            if ours:
                # what another host answers tells nothing of the registry, and frees nobody
                yield from self._let_the_first_ask()
            request = registry.rebased(call.request)
            try:
                header = (yield from self._authorization(call.scopes)) if ours else None
            except PushError as error:
                # whatever ails the token for a mount, the blob can still be sent
                if not call.lenient:
                    raise
                self._note(f"auth: {error.message}")
                return _denied(request)
            completion = yield from self._paced(registry.ready(request, header), started)
            self.tally.bytes_sent += completion.sent
            if completion.failure and registry.lets_try_plain(completion.failure):
                why = completion.failure.message
                self._note(f"{registry.name}: {why}: going on over plain HTTP")
                continue
            response = completion.response
            if response is not None and ours:
                registry.peer = response.peer
                registry.given_up = registry.asked_by = None
            if response is not None and not registry.has_answered:
                registry.has_answered = True
                if response.status != 401:
                    self._note(f"auth: {registry.name} asks for no credentials")
            if response is None or response.status != 401 or not ours:
                return completion
            if renewed and call.lenient:
                return completion
            if renewed:
                raise registry.auth.unauthorized(registry.endpoint, response)
            yield from self._sign_in(call.scopes, response, header)
            # a first sign-in is no renewal: what it brings may itself be refused, once
            renewed = header is not None

    def _let_the_first_ask(self) -> Steps[None]:
        """Where nothing is known of the registry, or nothing good any more, one image asks it, and
        the others wait for what comes of that.

        Raises what the registry was given up for meanwhile.
        """
        registry, waited = self.registry, False
        while registry.is_unsure and registry.asked_by is not self:
            if registry.asked_by is None and not waited:
                registry.asked_by = self
                return
            if registry.asked_by is None and registry.given_up is not None:
                raise copy.copy(registry.given_up)
            waited = registry.asked_by is not None
            yield Until(lambda: not registry.is_unsure or registry.asked_by is None)

    def _paced(self, request: Request, started: Callable[[int], None] | None) -> Steps[Completion]:
        """Send a request when the registry, for all that is known, can take it."""
        pace, clock = self.registry.pace, self.registry.clock
        while (wait := pace.quiet(clock())) or not (pace.lets_send or pace.lets_one_more(clock())):
            with self._watch("quiet" if wait else "pace", ""):
                yield Sleep(wait) if wait else Until(lambda: pace.lets_send, STUCK)
        # one that is dropped tells nothing of the registry
        ticket, well = pace.sent(clock()), True
        try:
            completion = yield from self._send(request, started)
            well = completion.response is not None and not is_retriable(completion.response)
        finally:
            pace.answered(ticket, well=well, now=clock())
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
        auth, endpoint = self.registry.auth, self.registry.endpoint
        if not auth.refused(response, endpoint, scopes, header):
            ping = Request("GET", endpoint.ping(), trust=self.registry.options.trust)
            answer = yield from self._insist(
                partial(self._send, ping), partial(self._failed, ping), endpoint.authority
            )
            if answer.status != 401:
                raise auth.unauthorized(endpoint, response)
            if not auth.refused(answer, endpoint, scopes, None):
                raise auth.unauthorized(endpoint, answer)
        self._note(f"auth: {auth.scheme} with {auth.source} for {self.registry.name}")

    def _authorization(self, scopes: tuple[Scope, ...]) -> Steps[str | None]:
        """The header for `scopes`; a token that is missing is fetched once, whoever needs it."""
        auth, fetching = self.registry.auth, self.registry.fetching
        while (rights := auth.wanted(scopes)) is not None:
            task = fetching.get(rights)
            if task is None:
                # others may wait for it by the time that this image is done or given up
                fetch = self._fetch(scopes, rights)
                task = fetching[rights] = self.registry.loop.spawn(fetch, shared=True)
            yield from join([task])
        return auth.header(scopes)

    def _fetch(self, scopes: tuple[Scope, ...], rights: Rights) -> Steps[None]:
        try:
            flow = self.registry.auth.fetch(scopes)
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
            self.registry.fetching.pop(rights, None)


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
