"""A manifest's way into a repository (distribution-spec 1.1, Pushing Manifests).

Where it has a subject, so does the subject's list of referrers, if need be by a fallback tag.
"""

from __future__ import annotations

import json
from enum import Enum

from idpbuilder.errors import PushError
from idpbuilder.image import Descriptor, Digest, InvalidValue
from idpbuilder.image.manifest import INDEX_TYPES, MANIFEST_TYPES, OCI_INDEX, parse_object
from idpbuilder.registry.call import Call
from idpbuilder.registry.endpoints import Endpoint
from idpbuilder.registry.failure import (
    failure_setback,
    incompatible,
    is_retriable,
    is_success,
    refusal,
    setback,
    stored_digest,
)
from idpbuilder.registry.retry import Setback
from idpbuilder.registry.scope import Scope
from idpbuilder.wire import BytesBody, Request, Response, TransportFailure, Trust

ACCEPT = ", ".join(sorted(INDEX_TYPES | MANIFEST_TYPES))


class State(Enum):
    """Where a manifest stands."""

    NEW = "new"
    PUTTING = "putting"
    CONFIRMING = "confirming"  # the answer was lost, or a repeat refused: asks whether it is there
    ASKING_REFERRERS = "asking referrers"  # does the registry list referrers by itself?
    READING_FALLBACK = "reading fallback"  # it does not: the list is ours to keep, under a tag
    PUTTING_FALLBACK = "putting fallback"
    DONE = "done"
    FAILED = "failed"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.NEW: frozenset({State.PUTTING}),
    State.PUTTING: frozenset({State.CONFIRMING, State.ASKING_REFERRERS, State.DONE, State.FAILED}),
    State.CONFIRMING: frozenset({State.PUTTING, State.ASKING_REFERRERS, State.DONE, State.FAILED}),
    State.ASKING_REFERRERS: frozenset({State.READING_FALLBACK, State.DONE, State.FAILED}),
    State.READING_FALLBACK: frozenset({State.PUTTING_FALLBACK, State.DONE, State.FAILED}),
    State.PUTTING_FALLBACK: frozenset({State.DONE, State.FAILED}),
    State.DONE: frozenset(),
    State.FAILED: frozenset(),
}


class ManifestPut:
    """Puts `data`, byte for byte, under `reference` (a tag or a digest).

    `referrer` is the entry that the fallback tag of `subject` lists, where the manifest has one.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        repository: str,
        reference: str,
        descriptor: Descriptor,
        data: bytes,
        *,
        trust: Trust,
        subject: Descriptor | None = None,
        referrer: dict[str, object] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.repository = repository
        self.reference = reference
        self.descriptor = descriptor
        self.data = data
        self.subject = subject
        self.referrer = referrer or {}
        self.state = State.NEW
        self._trust = trust
        self._fallback: dict[str, object] = {}
        self._is_repeat = False
        self._refusal: PushError | None = None

    @property
    def what(self) -> str:
        """What is being done, for errors and notes."""
        return f"manifest {self.descriptor.digest}"

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
            self._go(State.PUTTING)
        if self.state is State.PUTTING:
            request = self._put(self.reference, self.descriptor.media_type, self.data)
        elif self.state is State.CONFIRMING:
            url = self.endpoint.manifest(self.repository, self.reference)
            request = Request("HEAD", url, (("Accept", ACCEPT),), trust=self._trust)
        elif self.state is State.ASKING_REFERRERS:
            request = self._get(self.endpoint.referrers(self.repository, self._subject_digest))
        elif self.state is State.READING_FALLBACK:
            request = self._get(self.endpoint.manifest(self.repository, self._fallback_tag))
        else:
            data = json.dumps(self._fallback, separators=(",", ":")).encode()
            request = self._put(self._fallback_tag, OCI_INDEX, data)
        return Call(request, (Scope.push(self.repository),))

    def receive(self, response: Response) -> Setback | None:
        """The answer to `next_call`. Raises PushError where there is no way on."""
        try:
            if self.state is State.PUTTING:
                return self._put_answered(response)
            if self.state is State.CONFIRMING:
                return self._confirmed(response)
            if self.state is State.ASKING_REFERRERS:
                return self._referrers_answered(response)
            if self.state is State.READING_FALLBACK:
                return self._fallback_read(response)
            return self._fallback_put(response)
        except Exception:
            self._go(State.FAILED)
            raise

    def transfer_failed(self, failure: TransportFailure, sent: int = 0) -> Setback | None:
        """`next_call` got no answer. Raises PushError where there is no way on."""
        del sent
        try:
            found = failure_setback(failure, self.what, self.endpoint.authority)
        except Exception:
            self._go(State.FAILED)
            raise
        if self.state is State.PUTTING:
            # where it was heard after all, an immutable tag would refuse it the second time
            self._is_repeat = True
            self._go(State.CONFIRMING)
        return found

    # -- requests

    def _put(self, reference: str, media_type: str, data: bytes) -> Request:
        url = self.endpoint.manifest(self.repository, reference)
        return Request("PUT", url, (("Content-Type", media_type),), BytesBody(data), self._trust)

    def _get(self, url: str) -> Request:
        return Request("GET", url, (("Accept", ACCEPT),), trust=self._trust)

    @property
    def _subject_digest(self) -> Digest:
        assert self.subject is not None
        return self.subject.digest

    @property
    def _fallback_tag(self) -> str:
        digest = self._subject_digest
        # the referrers tag schema cuts the encoding at 64 characters
        return f"{digest.algorithm}-{digest.encoded[:64]}"

    # -- answers

    def _put_answered(self, response: Response) -> Setback | None:
        if not is_success(response):
            return self._put_refused(response)
        stored_digest(response, self.descriptor.digest)
        self._stored(listed="OCI-Subject" in response.headers)
        return None

    def _put_refused(self, response: Response) -> Setback | None:
        what = f"{self.what} was not taken by `{self.repository}`"
        if self._is_repeat and response.status in (409, 412):
            # the tag may be immutable since the first try, which was heard
            self._refusal = refusal(response, what)
            self._go(State.CONFIRMING)
            return None
        found = setback(response, what)
        self._is_repeat = True
        return found

    def _confirmed(self, response: Response) -> Setback | None:
        if is_retriable(response):
            return setback(response, f"{self.what} could not be looked for")
        named = response.headers.get("Docker-Content-Digest")
        if response.status == 200 and named == str(self.descriptor.digest):
            self._stored(listed=False)
        elif self._refusal is not None:
            raise self._refusal
        else:
            self._go(State.PUTTING)
        return None

    def _stored(self, *, listed: bool) -> None:
        self._go(State.DONE if listed or self.subject is None else State.ASKING_REFERRERS)

    def _referrers_answered(self, response: Response) -> Setback | None:
        # a registry in trouble has not said that it keeps no list: a tag made now would hide one
        if is_retriable(response):
            return setback(response, f"the referrers of {self._subject_digest} could not be read")
        # 200 is the specification's sign that the registry keeps the list itself
        kept = response.status == 200 and is_success(response)
        self._go(State.DONE if kept else State.READING_FALLBACK)
        return None

    def _fallback_read(self, response: Response) -> Setback | None:
        if response.status == 404:
            listed: dict[str, object] = {
                "schemaVersion": 2,
                "mediaType": OCI_INDEX,
                "manifests": [],
            }
        elif response.status == 200:
            listed = self._parse_fallback(response.body)
        else:
            return setback(response, f"the referrers of {self._subject_digest} could not be read")
        manifests = listed["manifests"]
        assert isinstance(manifests, list)
        digest = str(self.descriptor.digest)
        if any(isinstance(entry, dict) and entry.get("digest") == digest for entry in manifests):
            self._go(State.DONE)
            return None
        self._fallback = {**listed, "manifests": [*manifests, self.referrer]}
        self._go(State.PUTTING_FALLBACK)
        return None

    def _parse_fallback(self, body: bytes) -> dict[str, object]:
        what = f"the referrers of {self._subject_digest} could not be read"
        try:
            document = parse_object(body)
        except InvalidValue as error:
            raise incompatible(what, f"the tag `{self._fallback_tag}` {error}") from error
        if not isinstance(document.get("manifests"), list):
            raise incompatible(what, f"the tag `{self._fallback_tag}` is no index")
        return document

    def _fallback_put(self, response: Response) -> Setback | None:
        if not is_success(response):
            return setback(
                response, f"the referrers of {self._subject_digest} could not be written"
            )
        self._go(State.DONE)
        return None

    def _go(self, state: State) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} -> {state}"
        self.state = state
