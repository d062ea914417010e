"""A blob's way into a repository while it is still being made, without I/O.

A session is opened, the body goes out in one PATCH without a length as it grows, and a PUT closes
the session under the digest that is known by then (distribution-spec 1.1, Pushing a blob in chunks;
a PATCH without Content-Range is what docker and podman send to every registry).

Nothing here is tried twice. Where anything is out of the ordinary the machine gives up: the body is
whole before long, and `BlobUpload`, which knows every trap, brings it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from idpbuilder.errors import RegistryError
from idpbuilder.image import Digest, InvalidValue
from idpbuilder.registry.call import Call
from idpbuilder.registry.endpoints import Endpoint, with_digest
from idpbuilder.registry.failure import is_retriable, is_success, stored_digest
from idpbuilder.registry.open_upload import stored_bytes
from idpbuilder.registry.scope import Scope
from idpbuilder.wire import Body, FailureKind, PartBody, Request, Response, TransportFailure, Trust

_OCTETS = (("Content-Type", "application/octet-stream"),)


class State(Enum):
    """Where a streamed upload stands."""

    STARTING = "starting"
    QUERYING = "querying"  # asks a session that an earlier run left how much it holds
    STREAMING = "streaming"
    COMMITTING = "committing"
    DONE = "done"
    GIVEN_UP = "given up"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.STARTING: frozenset({State.STREAMING, State.GIVEN_UP}),
    State.QUERYING: frozenset({State.STARTING, State.STREAMING}),
    State.STREAMING: frozenset({State.COMMITTING, State.GIVEN_UP}),
    State.COMMITTING: frozenset({State.DONE, State.GIVEN_UP}),
    State.DONE: frozenset(),
    State.GIVEN_UP: frozenset(),
}


class StreamedUpload:
    """Sends `body` into `repository`; `digest` gives its digest once the body has ended, None where
    it turned out to be no blob at all.

    `resume` is the URL of a session that an earlier run left, and that may hold the first bytes of
    the same body. `session` is the URL of the open upload session, or None; `broke` says that it
    was given up with a part of the body in it, as one may go on with.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        repository: str,
        body: Body,
        digest: Callable[[], Digest | None],
        *,
        what: str,
        trust: Trust,
        resume: str | None = None,
        insecure: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self.repository = repository
        self.body = body
        self.what = what
        self.state = State.QUERYING if resume else State.STARTING
        self.session = resume
        self.broke = False
        self._offset = 0
        self._digest = digest
        self._trust = trust
        self._insecure = insecure

    @property
    def step(self) -> str:
        """The state's name."""
        return self.state.value

    @property
    def is_filling(self) -> bool:
        """Whether the session is being filled or closed."""
        return self.state in (State.STREAMING, State.COMMITTING)

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to send."""
        return not TRANSITIONS[self.state]

    def next_call(self) -> Call:
        """What to send now."""
        scopes = (Scope.push(self.repository),)
        if self.state is State.STARTING:
            url = self.endpoint.uploads(self.repository)
            return Call(Request("POST", url, trust=self._trust), scopes)
        assert self.session is not None
        if self.state is State.QUERYING:
            return Call(Request("GET", self.session, trust=self._trust), scopes, lenient=True)
        if self.state is State.STREAMING:
            body = PartBody(self.body, self._offset, None) if self._offset else self.body
            return Call(Request("PATCH", self.session, _OCTETS, body, self._trust), scopes)
        digest = self._digest()
        assert digest is not None
        url = with_digest(self.session, digest)
        return Call(Request("PUT", url, _OCTETS, trust=self._trust), scopes)

    def receive(self, response: Response) -> None:
        """The answer to `next_call`, its body sent whole."""
        if self.state is State.COMMITTING:
            self._go(State.DONE if self._is_stored(response) else State.GIVEN_UP)
            return
        if self.state is State.QUERYING:
            self._queried(response)
            return
        heard = is_success(response) and self._keep_location(response)
        if self.state is State.STARTING:
            self._go(State.STREAMING if heard else State.GIVEN_UP)
        else:
            self.broke = is_retriable(response)
            self._go(State.COMMITTING if heard and self._digest() else State.GIVEN_UP)

    def transfer_failed(self, failure: TransportFailure, sent: int = 0) -> None:
        """`next_call` got no answer."""
        del sent
        if self.state is State.QUERYING:
            self._begin_anew()
        else:
            is_ours = failure.kind is FailureKind.BODY_READ
            self.broke = self.state is State.STREAMING and not is_ours
            self._go(State.GIVEN_UP)

    def _queried(self, response: Response) -> None:
        stored = stored_bytes(response) if is_success(response) else None
        size = self.body.size
        if size is not None and stored is not None and stored > size:
            stored = None
        if stored and self._keep_location(response):
            self._offset = stored
            self._go(State.STREAMING)
        else:
            self._begin_anew()

    def _begin_anew(self) -> None:
        self.session = None
        self._go(State.STARTING)

    def _keep_location(self, response: Response) -> bool:
        location = response.headers.get("Location")
        if not location:
            return self.session is not None
        try:
            self.session = self.endpoint.resolve(
                response.url, location, insecure=self._insecure, peer=response.peer
            )
        except InvalidValue:
            return False
        return True

    def _is_stored(self, response: Response) -> bool:
        digest = self._digest()
        if digest is None or not is_success(response):
            return False
        try:
            stored_digest(response, digest)
        except RegistryError:
            return False
        self.session = None
        return True

    def _go(self, state: State) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} -> {state}"
        self.state = state
