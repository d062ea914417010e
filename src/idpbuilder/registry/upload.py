"""One blob's way into a repository, without I/O (distribution-spec 1.1, Pushing Blobs)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from idpbuilder.errors import PushError
from idpbuilder.image import Digest, InvalidValue
from idpbuilder.registry.call import Call
from idpbuilder.registry.endpoints import Endpoint, host_of, with_digest
from idpbuilder.registry.failure import (
    THE_REGISTRY,
    diagnose,
    failure_setback,
    incompatible,
    is_retriable,
    is_success,
    refusal,
    setback,
    stored_digest,
)
from idpbuilder.registry.lookup import HEAD_REFUSED, blob_call, blob_presence
from idpbuilder.registry.retry import Setback
from idpbuilder.registry.scope import Scope
from idpbuilder.wire import Body, Request, Response, TransportFailure, Trust

DOUBT_SIZE = 1024 * 1024
"""Bytes from which a HEAD is cheaper than the risk of sending a blob that is there."""


class State(Enum):
    """Where an upload stands."""

    NEW = "new"
    STARTING = "starting"  # asked for a session: by a mount, or plainly
    CHECKING = "checking"  # asks with HEAD whether the blob is there
    SENDING = "sending"  # the body is on its way
    CONFIRMING = "confirming"  # the body's answer was lost or odd: asks whether it arrived
    EXISTS = "exists"
    MOUNTED = "mounted"
    DONE = "done"
    FAILED = "failed"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.NEW: frozenset({State.STARTING, State.CHECKING}),
    State.STARTING: frozenset(
        {State.STARTING, State.CHECKING, State.SENDING, State.EXISTS, State.MOUNTED, State.FAILED}
    ),
    State.CHECKING: frozenset({State.STARTING, State.SENDING, State.EXISTS, State.FAILED}),
    State.SENDING: frozenset({State.CONFIRMING, State.STARTING, State.DONE, State.FAILED}),
    State.CONFIRMING: frozenset({State.STARTING, State.DONE, State.FAILED}),
    State.EXISTS: frozenset(),
    State.MOUNTED: frozenset(),
    State.DONE: frozenset(),
    State.FAILED: frozenset(),
}


class Probe(Enum):
    """What a mount of a blob from the very repository it is for tells on this registry.

    Where it is honest, 201 says that the blob is there and 202 opens a session: one round trip in
    place of HEAD and POST.
    """

    UNKNOWN = "unknown"
    HONEST = "honest"
    USELESS = "useless"


@dataclass(slots=True)
class Habits:
    """What was learnt about one registry in this run, shared by all uploads to it."""

    probe: Probe = Probe.UNKNOWN
    refused_sources: set[str] = field(default_factory=set)


# a mount or a probe answered so is not to be had here: a plain POST may be
_NO_MOUNT = frozenset({400, 401, 403, 404, 405, 422, 501})


class _Start(Enum):
    MOUNT = "mount"  # from another repository
    PROBE = "probe"  # from this one
    PLAIN = "plain"


class BlobUpload:
    """Brings the blob `digest` into `repository`: found there, mounted, or sent.

    `mount_from` names a repository of the same registry that has the blob. `session` is the URL of
    the open upload session, or None; `abandoned` are those of earlier sessions that may still be
    open and hold bytes, to be cancelled by the sender.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        repository: str,
        digest: Digest,
        body: Body,
        *,
        habits: Habits,
        trust: Trust,
        mount_from: str | None = None,
        insecure: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self.repository = repository
        self.digest = digest
        self.body = body
        self.state = State.NEW
        self.session: str | None = None
        self.abandoned: list[str] = []
        self._habits = habits
        self._trust = trust
        self._insecure = insecure
        self._mount_from = mount_from
        self._start = self._first_start()
        self._known_missing = False
        self._head_refused = False
        self._refused_digest = False

    @property
    def what(self) -> str:
        """What is being done, for errors and notes."""
        return f"blob {self.digest}"

    @property
    def step(self) -> str:
        """The state's name."""
        return self.state.value

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to send."""
        return not TRANSITIONS[self.state]

    def next_call(self) -> Call:
        """What to send now."""
        if self.state is State.NEW:
            # where the probe tells nothing, only a HEAD tells whether the blob is there
            useless = self._start is _Start.PLAIN
            self._go(State.CHECKING if useless else State.STARTING)
        if self.state is State.STARTING:
            return self._starting_call()
        if self.state is State.SENDING:
            return self._sending_call()
        return blob_call(
            self.endpoint, self.repository, self.digest, self._trust, head=not self._head_refused
        )

    def receive(self, response: Response) -> Setback | None:
        """The answer to `next_call`, its body sent whole. Raises PushError where there is no way
        on.
        """
        try:
            if self.state is State.STARTING:
                return self._started(response)
            if self.state is State.SENDING:
                return self._sent(response)
            return self._checked(response)
        except Exception:
            self._go(State.FAILED)
            raise

    def transfer_failed(self, failure: TransportFailure) -> Setback | None:
        """`next_call` got no answer. Raises PushError where there is no way on."""
        try:
            # the session may be at another host than the registry
            sending = self.state is State.SENDING and self.session is not None
            where = host_of(self.session or "") if sending else self.endpoint.authority
            found = failure_setback(failure, self.what, where)
        except Exception:
            self._go(State.FAILED)
            raise
        if self.state is State.SENDING:
            # a body is never sent twice into one session: what of it arrived is not known
            self._leave_session(State.CONFIRMING)
        return found

    # -- requests

    @property
    def _scopes(self) -> tuple[Scope, ...]:
        return (Scope.push(self.repository),)

    def _first_start(self) -> _Start:
        source = self._mount_from
        if source and source != self.repository and source not in self._habits.refused_sources:
            return _Start.MOUNT
        return _Start.PLAIN if self._habits.probe is Probe.USELESS else _Start.PROBE

    def _starting_call(self) -> Call:
        scopes = self._scopes
        if self._start is _Start.MOUNT and self._mount_from:
            url = self.endpoint.mount(self.repository, self.digest, self._mount_from)
            scopes += (Scope.pull(self._mount_from),)
        elif self._start is _Start.PROBE:
            url = self.endpoint.mount(self.repository, self.digest, self.repository)
        else:
            url = self.endpoint.uploads(self.repository)
        return Call(
            Request("POST", url, trust=self._trust), scopes, lenient=self._start is _Start.MOUNT
        )

    def _sending_call(self) -> Call:
        assert self.session is not None
        request = Request(
            "PUT",
            with_digest(self.session, self.digest),
            (("Content-Type", "application/octet-stream"),),
            self.body,
            self._trust,
        )
        return Call(request, self._scopes)

    # -- answers

    def _started(self, response: Response) -> Setback | None:
        if response.status == 201 and self._start is not _Start.PLAIN:
            if self._start is _Start.PROBE:
                self._habits.probe = Probe.HONEST
            self._go(State.MOUNTED if self._start is _Start.MOUNT else State.EXISTS)
            return None
        if is_success(response):
            self._open(response)
            return None
        if self._start is not _Start.PLAIN and response.status in _NO_MOUNT:
            self._start_otherwise(response)
            return None
        return setback(response, f"{self.what} could not be started in `{self.repository}`")

    def _open(self, response: Response) -> None:
        location = response.headers.get("Location")
        if not location:
            what = f"{self.what} could not be started"
            raise incompatible(what, "the registry opened an upload without a Location")
        try:
            self.session = self.endpoint.resolve(response.url, location, insecure=self._insecure)
        except InvalidValue as error:
            raise incompatible(f"{self.what} could not be started", str(error)) from error
        # a refused mount says nothing of this repository, and some registries refuse every probe
        doubtful = self._start is _Start.MOUNT or (
            self._start is _Start.PROBE and self._habits.probe is Probe.UNKNOWN
        )
        doubtful = doubtful and not self._known_missing and (self.body.size or 0) >= DOUBT_SIZE
        self._go(State.CHECKING if doubtful else State.SENDING)

    def _start_otherwise(self, response: Response) -> None:
        if self._start is _Start.MOUNT:
            if self._mount_from and response.status != 404:
                self._habits.refused_sources.add(self._mount_from)
            self._mount_from = None
            self._start = self._first_start()
        else:
            self._habits.probe = Probe.USELESS
            self._start = _Start.PLAIN
        known_missing = self._start is not _Start.PLAIN or self._known_missing
        self._go(State.STARTING if known_missing else State.CHECKING)

    def _checked(self, response: Response) -> Setback | None:
        confirming = self.state is State.CONFIRMING
        if blob_presence(response):
            if self._start is _Start.PROBE and not confirming:
                self._habits.probe = Probe.USELESS
            self._go(State.DONE if confirming else State.EXISTS)
            return None
        if is_retriable(response):
            return setback(response, f"{self.what} could not be looked for")
        if response.status in HEAD_REFUSED and not self._head_refused:
            self._head_refused = True
            return None
        # whatever else is answered, the POST that follows says whether the blob can be sent
        self._known_missing = True
        if confirming or self.session is None:
            self._start = _Start.PLAIN
            self._go(State.STARTING)
        else:
            self._go(State.SENDING)
        return None

    def _sent(self, response: Response) -> Setback | None:
        what = f"{self.what} was not taken"
        if is_success(response):
            stored_digest(response, self.digest)
            self.session = None
            self._go(State.DONE)
            return None
        codes = diagnose(response).codes
        ours = self.endpoint.is_origin_of(response.url)
        who = THE_REGISTRY if ours else host_of(response.url)
        if codes & {"DIGEST_INVALID", "SIZE_INVALID"}:
            return self._digest_refused(refusal(response, what, who))
        if response.status == 404 or "BLOB_UPLOAD_UNKNOWN" in codes:
            # perhaps an earlier try of this PUT was heard after all
            self._leave_session(State.CONFIRMING, gone=True)
            return Setback(refusal(response, what, who))
        if response.status == 416 or "BLOB_UPLOAD_INVALID" in codes:
            self._leave_session(State.CONFIRMING)
            # it may mean the session, or a body that is not what its digest promised
            return Setback(refusal(response, what, who), doubts_body=response.status == 400)
        found = setback(response, what, who=who)
        self._leave_session(State.CONFIRMING)
        return found

    def _digest_refused(self, error: PushError) -> Setback:
        # whoever drives us found the local bytes to be sound: once they may break on their way
        if self._refused_digest:
            raise error
        self._refused_digest = True
        self._leave_session(State.STARTING)
        return Setback(error, doubts_body=True)

    def _leave_session(self, state: State, *, gone: bool = False) -> None:
        if self.session is not None and not gone:
            self.abandoned.append(self.session)
        self.session = None
        self._start = _Start.PLAIN
        self._go(state)

    def _go(self, state: State) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} -> {state}"
        self.state = state
