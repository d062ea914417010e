"""One blob's way into a repository, without I/O (distribution-spec 1.1, Pushing Blobs)."""

from __future__ import annotations

from typing import Final

from idpbuilder.errors import PushError
from idpbuilder.image import Digest, InvalidValue
from idpbuilder.registry.call import Call
from idpbuilder.registry.endpoints import Endpoint, host_of
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
from idpbuilder.registry.habits import Habits, Probe
from idpbuilder.registry.lookup import HEAD_REFUSED, blob_call, blob_presence
from idpbuilder.registry.open_upload import (
    RESUME_FROM,
    OpenUpload,
    chunk_size,
    stored_bytes,
)
from idpbuilder.registry.retry import Setback
from idpbuilder.registry.scope import Scope
from idpbuilder.registry.size_limit import SizeLimit
from idpbuilder.registry.upload_state import (
    FILLING,
    IN_SESSION,
    NO_MOUNT,
    TRANSITIONS,
    Start,
    State,
)
from idpbuilder.wire import Body, FailureKind, Request, Response, TransportFailure, Trust

DOUBT_SIZE: Final = 1024 * 1024
"""Bytes from which a HEAD is cheaper than the risk of sending a blob that is there."""

_UNHEARD: Final = frozenset({FailureKind.RESOLVE, FailureKind.CONNECT})
"""After these a session cannot have moved, and has not stood still."""


class BlobUpload:
    """Brings the blob `digest` into `repository`: found there, mounted, or sent.

    `mount_from` names a repository of the same registry that has the blob; `resume` is the URL of a
    session that an earlier run left, and that may hold a part of it; `broken` that of one which
    this run began to fill in another way. `upload` is the open session, or None; `abandoned` are
    the URLs of earlier ones that may still be open and hold bytes, to be cancelled by the sender.
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
        resume: str | None = None,
        broken: str | None = None,
        insecure: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self.repository = repository
        self.digest = digest
        self.body = body
        self.state = State.NEW
        self.upload: OpenUpload | None = None
        self.abandoned: list[str] = []
        self._habits = habits
        self._trust = trust
        self._insecure = insecure
        self._mount_from = mount_from
        self._start = self._first_start()
        self._known_missing = False
        self._head_refused = False
        self._refused_digest = False
        self._limit = SizeLimit(habits)
        self._furthest = 0
        self._cannot_tell = False
        self._is_left_over = broken is None and resume is not None
        if session := broken or resume:
            self.upload = OpenUpload(session, self._size, trust, handed=self._size)

    @property
    def what(self) -> str:
        """What is being done, for errors and notes."""
        return f"blob {self.digest}"

    @property
    def step(self) -> str:
        """The state's name, and how far the blob ever came: what moves on is not tried once more.

        It moves by whole MiB: a peer that takes a byte of each try must not make the tries endless.
        """
        return f"{self.state.value} from {self._furthest // RESUME_FROM} MiB"

    @property
    def session(self) -> str | None:
        """The URL of the open upload session."""
        return self.upload.url if self.upload else None

    @property
    def is_filling(self) -> bool:
        """Whether the session is being filled or closed."""
        return self.state in FILLING

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to send."""
        return not TRANSITIONS[self.state]

    def next_call(self) -> Call:
        """What to send now."""
        if self.state is State.NEW:
            self._go(State.QUERYING if self.upload else self._beginning)
        if self.state is State.STARTING:
            return self._starting_call()
        if self.upload is not None and self.state in IN_SESSION:
            # a session that cannot be asked is not worth a failure
            lenient = self.state is State.QUERYING
            return Call(self._session_request(self.upload), self._scopes, lenient=lenient)
        return blob_call(
            self.endpoint, self.repository, self.digest, self._trust, head=not self._head_refused
        )

    def receive(self, response: Response) -> Setback | None:
        """The answer to `next_call`, its body sent whole. Raises PushError where there is no way
        on.
        """
        if self.upload and self.state in FILLING:
            self.upload.handed = self.upload.offset + self.upload.to_send
        try:
            if self.state is State.STARTING:
                return self._started(response)
            if self.state is State.QUERYING:
                return self._queried(response)
            if self.state is State.CHUNKING and is_success(response):
                self._chunk_taken(response)
                return None
            if self.state in FILLING:
                return self._sent(response)
            return self._checked(response)
        except Exception:
            self._go(State.FAILED)
            raise

    def transfer_failed(self, failure: TransportFailure, sent: int = 0) -> Setback | None:
        """`next_call` got no answer, when `sent` bytes of its body had been handed over. Raises
        PushError where there is no way on.
        """
        if self._is_left_over:
            self._forget_what_was_left()
            return None
        in_session = self.upload is not None and self.state in IN_SESSION
        # the session may be at another host than the registry
        where = host_of(self.session or "") if in_session else self.endpoint.authority
        try:
            found = failure_setback(failure, self.what, where)
        except Exception:
            self._go(State.FAILED)
            raise
        if self.upload and self.state in FILLING:
            self.upload.handed = self.upload.offset + sent
            if failure.kind in _UNHEARD:
                self.upload.stuck = False
            if failure.kind is FailureKind.BROKEN and self._limit.broke(self.upload, sent):
                self._start_anew()
            else:
                self._look_after_a_break()
        return found

    # -- requests

    @property
    def _scopes(self) -> tuple[Scope, ...]:
        return (Scope.push(self.repository),)

    @property
    def _size(self) -> int:
        return self.body.size or 0

    def _first_start(self) -> Start:
        source = self._mount_from
        if source and source != self.repository and source not in self._habits.refused_sources:
            return Start.MOUNT
        return Start.PLAIN if self._habits.probe is Probe.USELESS else Start.PROBE

    @property
    def _beginning(self) -> State:
        # where the probe tells nothing, only a HEAD tells whether the blob is there
        return State.CHECKING if self._start is Start.PLAIN else State.STARTING

    def _starting_call(self) -> Call:
        scopes = self._scopes
        if self._start is Start.MOUNT and self._mount_from:
            url = self.endpoint.mount(self.repository, self.digest, self._mount_from)
            scopes += (Scope.pull(self._mount_from),)
        elif self._start is Start.PROBE:
            url = self.endpoint.mount(self.repository, self.digest, self.repository)
        else:
            url = self.endpoint.uploads(self.repository)
        return Call(
            Request("POST", url, trust=self._trust), scopes, lenient=self._start is Start.MOUNT
        )

    def _session_request(self, upload: OpenUpload) -> Request:
        if self.state is State.QUERYING:
            return upload.status()
        if self.state is State.CHUNKING:
            return upload.patch(self.body)
        return upload.put(self.digest, self.body)

    # -- answers: how the upload starts

    def _started(self, response: Response) -> Setback | None:
        if response.status == 201 and self._start is not Start.PLAIN:
            if self._start is Start.PROBE:
                self._habits.probe = Probe.HONEST
            self._go(State.MOUNTED if self._start is Start.MOUNT else State.EXISTS)
            return None
        if is_success(response):
            self._open(response)
            return None
        if self._start is not Start.PLAIN and response.status in NO_MOUNT:
            self._start_otherwise(response)
            return None
        return setback(response, f"{self.what} could not be started in `{self.repository}`")

    def _open(self, response: Response) -> None:
        location = response.headers.get("Location")
        if not location:
            what = f"{self.what} could not be started"
            raise incompatible(what, "the registry opened an upload without a Location")
        chunk = chunk_size(response, self._habits.chunk, self._size)
        url = self._resolved(response, location)
        self.upload = OpenUpload(url, self._size, self._trust, chunk=chunk)
        # a refused mount says nothing of this repository, and some registries refuse every probe
        doubtful = self._start is Start.MOUNT or (
            self._start is Start.PROBE and self._habits.probe is Probe.UNKNOWN
        )
        doubtful = doubtful and not self._known_missing and self._size >= DOUBT_SIZE
        self._go(State.CHECKING if doubtful else _filling(self.upload))

    def _resolved(self, response: Response, location: str) -> str:
        try:
            return self.endpoint.resolve(
                response.url, location, insecure=self._insecure, peer=response.peer
            )
        except InvalidValue as error:
            raise incompatible(f"{self.what} could not be started", str(error)) from error

    def _start_otherwise(self, response: Response) -> None:
        if self._start is Start.MOUNT:
            if self._mount_from and response.status != 404:
                self._habits.refused_sources.add(self._mount_from)
            self._mount_from = None
            self._start = self._first_start()
        else:
            self._habits.probe = Probe.USELESS
            self._start = Start.PLAIN
        known_missing = self._start is not Start.PLAIN or self._known_missing
        self._go(State.STARTING if known_missing else State.CHECKING)

    def _checked(self, response: Response) -> Setback | None:
        confirming = self.state is State.CONFIRMING
        if blob_presence(response):
            if self._start is Start.PROBE and not confirming:
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
        if confirming or self.upload is None:
            self._start = Start.PLAIN
            self._go(State.STARTING)
        else:
            self._go(_filling(self.upload))
        return None

    # -- answers: how the session is filled

    def _chunk_taken(self, response: Response) -> None:
        assert self.upload is not None
        # what its Range says is not asked: some registries never move it
        self.upload.offset = self.upload.handed
        self._furthest = max(self._furthest, self.upload.offset)
        self._move(self.upload, response)
        self._go(_filling(self.upload))

    def _move(self, upload: OpenUpload, response: Response) -> None:
        location = response.headers.get("Location")
        if location:
            upload.url = self._resolved(response, location)

    def _sent(self, response: Response) -> Setback | None:
        what = f"{self.what} was not taken"
        if is_success(response):
            stored_digest(response, self.digest)
            self.upload = None
            self._go(State.DONE)
            return None
        codes = diagnose(response).codes
        ours = self.endpoint.is_origin_of(response.url)
        who = THE_REGISTRY if ours else host_of(response.url)
        if codes & {"DIGEST_INVALID", "SIZE_INVALID"}:
            return self._digest_refused(refusal(response, what, who))
        if response.status == 413 and self.upload and self._limit.refused(self.upload.to_send):
            self._start_anew()
            return None
        if response.status == 404 or "BLOB_UPLOAD_UNKNOWN" in codes:
            # perhaps an earlier try of this PUT was heard after all
            self._leave_session(State.CONFIRMING, gone=True)
            return Setback(refusal(response, what, who))
        if response.status == 416 or "BLOB_UPLOAD_INVALID" in codes:
            self._distrust_resuming()
            self._leave_session(State.CONFIRMING)
            # it may mean the session, or a body that is not what its digest promised
            return Setback(refusal(response, what, who), doubts_body=response.status == 400)
        found = setback(response, what, who=who)
        if found.crowded and self.upload is not None:
            # it will take more later: that is no standing still
            self.upload.stuck = False
        self._look_after_a_break()
        return found

    def _digest_refused(self, error: PushError) -> Setback:
        if self._distrust_resuming():
            # it did not say the truth of what it held
            self._start_anew()
            return Setback(error)
        # whoever drives us found the local bytes to be sound: once they may break on their way
        if self._refused_digest:
            raise error
        self._refused_digest = True
        self._start_anew()
        return Setback(error, doubts_body=True)

    # -- after a break

    def _queried(self, response: Response) -> Setback | None:
        upload = self.upload
        assert upload is not None
        # one that fails at this very question again will not answer it later
        cannot_tell, self._cannot_tell = self._cannot_tell, response.status == 500
        hopeless = cannot_tell and response.status == 500
        if is_retriable(response) and not self._is_left_over and not hopeless:
            return setback(response, f"{self.what} could not be gone on with")
        stored = stored_bytes(response) if is_success(response) else None
        if stored is not None and upload.agree(stored):
            self._is_left_over = False
            self._furthest = max(self._furthest, stored)
            # what was announced when the session was opened is not said again
            upload.chunk = upload.chunk or chunk_size(response, self._habits.chunk, upload.size)
            self._move(upload, response)
            self._go(_filling(upload))
            return None
        gone = response.status in (404, 410)
        if self._is_left_over:
            # only what speaks as a session does is closed: the note may lead anywhere
            if stored is not None:
                self.abandoned.append(upload.url)
            self._forget_what_was_left()
            return None
        if response.status >= 400:
            self._habits.resumes = False
        self._leave_session(State.CONFIRMING, gone=gone)
        return None

    def _forget_what_was_left(self) -> None:
        """Begin as if no earlier run had been."""
        self._is_left_over = False
        self.upload = None
        self._go(self._beginning)

    def _look_after_a_break(self) -> None:
        """Ask what became of the bytes, the session where it may tell, else the repository."""
        worth_asking = self.upload is not None and self.upload.is_worth_asking
        if worth_asking and self._habits.resumes:
            self._go(State.QUERYING)
        else:
            self._leave_session(State.CONFIRMING)

    def _distrust_resuming(self) -> bool:
        """What the session holds is not what we gave it: whether it was gone on with."""
        resumed = self.upload is not None and self.upload.resumed
        if resumed:
            self._habits.resumes = False
        return resumed

    def _start_anew(self) -> None:
        self._known_missing = True
        self._leave_session(State.STARTING)

    def _leave_session(self, state: State, *, gone: bool = False) -> None:
        if self.upload is not None and not gone:
            self.abandoned.append(self.upload.url)
        self.upload = None
        self._start = Start.PLAIN
        self._go(state)

    def _go(self, state: State) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} -> {state}"
        self.state = state


def _filling(upload: OpenUpload) -> State:
    """How what a session lacks goes into it."""
    if upload.is_full:
        return State.COMMITTING
    return State.CHUNKING if upload.chunk else State.SENDING
