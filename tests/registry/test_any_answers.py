"""The machines under whatever a registry may answer, in any order; no socket.

However badly it began, a machine that gets good answers from then on must come to its end.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from idpbuilder.errors import PushError
from idpbuilder.image import Descriptor, Digest
from idpbuilder.image.manifest import OCI_MANIFEST
from idpbuilder.registry import manifest_put, streamed
from idpbuilder.registry.call import Call
from idpbuilder.registry.manifest_put import ManifestPut
from idpbuilder.registry.streamed import StreamedUpload
from idpbuilder.registry.upload import TRANSITIONS, BlobUpload, Habits, Probe
from idpbuilder.wire import (
    BytesBody,
    FailureKind,
    Headers,
    PartBody,
    Response,
    TransportFailure,
    Trust,
)
from tests.registry.exchange import BASE, DIGEST, ENDPOINT

MIB = 1024 * 1024
SIZES = (0, 7, MIB - 1, MIB, 3 * MIB + 5)
OTHER = "sha256:" + "0" * 64
LEFT = f"{BASE}/blobs/uploads/left"
LISTED = b'{"manifests":[{"digest":"%s"}]}' % str(DIGEST).encode()
SUBJECT = Descriptor(OCI_MANIFEST, Digest.of(b"subject"), 7)
CODES = (
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DENIED",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "TOOMANYREQUESTS",
    "UNAUTHORIZED",
    "UNSUPPORTED",
)
EARLY = (200, 201, 202, 204, 206, 301, 304, 307, 404, 405)
STATUSES = (*EARLY, 100, 299, 400, 401, 403, 409, 412, 413, 416, 429, 500, 502, 503, 504, 599)
LOCATIONS = ("", "?", "//", "/v2/else?a=b", "http://[::1", "ftp://a/b", "https://10.0.0.1/x", "é\n")
RANGES = ("0-0", "0-6", "bytes=0-6", "0-1048575", "0-1048576", "0-99999999999", "7-9", "-", "x")
LENGTHS = ("0", "65536", "1048576", "99999999999999999999", "-1", "many")

bodies = st.one_of(
    st.binary(max_size=20),
    st.sampled_from(CODES).map(lambda code: json.dumps({"errors": [{"code": code}]}).encode()),
    st.sampled_from(
        [b"<html>", b'{"manifests":[]}', LISTED, b'{"manifests":{}}', b'{"errors":{}}', b"[" * 100]
    ),
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "Location": st.sampled_from(LOCATIONS),
        "Range": st.sampled_from(RANGES),
        "OCI-Chunk-Min-Length": st.sampled_from(LENGTHS),
        "OCI-Chunk-Max-Length": st.sampled_from(LENGTHS),
        "Docker-Content-Digest": st.sampled_from(
            ["", "sha256:" + "0" * 64, str(DIGEST), "sha512:"]
        ),
        "OCI-Subject": st.just(str(SUBJECT.digest)),
        "Retry-After": st.sampled_from(["0", "-1", "1e9", "soon"]),
    },
)


class AnyAnswers(RuleBasedStateMachine):
    """One machine and its registry; subclasses say which."""

    transitions: ClassVar[Mapping[Any, frozenset[Any]]]
    machine: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.numbers = itertools.count()
        self.before: Any = None
        self.ended_by: PushError | None = None
        # how far each session is known to be filled, None once that is not known
        self.filled: dict[str, int | None] = {}

    def begin(self, machine: Any) -> None:
        """Take this machine."""
        self.machine, self.before = machine, machine.state

    @property
    def goes_on(self) -> bool:
        """Whether the machine wants to send something."""
        return not self.machine.ended

    # -- what happens

    @precondition(lambda self: self.goes_on)
    @rule(status=st.sampled_from(STATUSES), body=bodies, given=fields)
    def answered(self, status: int, body: bytes, given: dict[str, str]) -> None:
        call = self.ask()
        self.hear(call, Response(status, Headers(given.items()), body, call.request.url))

    @precondition(lambda self: self.goes_on)
    @rule(status=st.sampled_from(STATUSES), body=bodies, given=fields)
    def answered_with_a_session(self, status: int, body: bytes, given: dict[str, str]) -> None:
        call = self.ask()
        fields = Headers({**given, "Location": self.location(call)}.items())
        self.hear(call, Response(status, fields, body, call.request.url))

    @precondition(lambda self: self.goes_on)
    @rule(times=st.integers(1, 4))
    def answered_well(self, times: int) -> None:
        for _ in range(times):
            if self.goes_on:
                call = self.ask()
                self.hear(call, good(call, self.location(call)))

    @precondition(lambda self: self.goes_on)
    @rule(permille=st.integers(0, 1000))
    def broken_and_told_what_arrived(self, permille: int) -> None:
        call = self.ask()
        sent = self.break_off(call, FailureKind.BROKEN, permille)
        if self.goes_on and sent:
            call = self.ask()
            fields = Headers([("Range", f"0-{sent - 1}"), ("Location", self.location(call))])
            self.hear(call, Response(204, fields, b"", call.request.url))

    @precondition(lambda self: self.goes_on)
    @rule(kind=st.sampled_from(FailureKind), permille=st.integers(0, 1000))
    def broken(self, kind: FailureKind, permille: int) -> None:
        self.break_off(self.ask(), kind, permille)

    @precondition(lambda self: not self.goes_on)
    @rule()
    def nothing(self) -> None:
        """An end is an end; hypothesis wants something to happen all the same."""

    # -- what must be true

    @invariant()
    def an_error_is_an_end(self) -> None:
        assert self.ended_by is None or (self.machine.ended and self.ended_by.what)

    def teardown(self) -> None:
        for _ in range(100):
            if self.machine is None or self.machine.ended:
                return
            call = self.ask()
            self.hear(call, good(call, self.location(call)))
        raise AssertionError(f"no end in sight: {self.machine.state}")

    # -- around it

    def ask(self) -> Call:
        """What the machine sends; asking twice makes no difference."""
        call: Call = self.machine.next_call()
        self.moved()
        again = self.machine.next_call()
        self.moved()
        assert (again.request.method, again.request.url) == (call.request.method, call.request.url)
        self.check_body(call)
        return call

    def hear(self, call: Call, response: Response) -> None:
        """Have `call` answered."""
        before = self.session
        self.forget(call)
        self.note(call, response)
        self.learn(lambda: self.machine.receive(response))
        after = self.session
        if after is not None and call.request.method == "POST":
            self.filled[after] = 0
        elif after is not None and before is not None:
            self.filled[after] = self.filled.get(before, 0)

    def break_off(self, call: Call, kind: FailureKind, permille: int) -> int:
        """Have `call` broken off; how many bytes of its body were handed over."""
        size = (call.request.body.size or 0) if call.request.body else 0
        local = kind in (FailureKind.BODY_READ, FailureKind.SINK)
        failure = TransportFailure(kind, "it broke", OSError(5, "I/O error") if local else None)
        sent = size * permille // 1000
        self.forget(call)
        self.learn(lambda: self.machine.transfer_failed(failure, sent))
        return sent

    def learn(self, tell: Callable[[], object]) -> None:
        try:
            tell()
        except PushError as error:
            self.ended_by = error
        self.moved()

    def moved(self) -> None:
        now = self.machine.state
        assert now is self.before or now in self.transitions[self.before], (self.before, now)
        self.before = now

    # -- sessions: no byte goes into one that has not said that it lacks it

    @property
    def session(self) -> str | None:
        """The open session, by its path."""
        url = getattr(self.machine, "session", None)
        return url and path_of(url)

    def check_body(self, call: Call) -> None:
        body = call.request.body
        if body is None or body.size == 0 or self.session is None:
            return
        known = self.filled[self.session]
        assert known is not None, f"{self.session} gets a body, and what it holds is not known"
        assert offset(call) == known, f"{self.session} holds {known}, and gets {offset(call)}"

    def forget(self, call: Call) -> None:
        body = call.request.body
        if self.session is not None and body is not None and body.size != 0:
            self.filled[self.session] = None

    def note(self, call: Call, response: Response) -> None:
        """What an answer says of what the session holds."""
        if self.session != path_of(call.request.url):
            return
        body = call.request.body
        if call.request.method == "PATCH" and response.status in (200, 201, 202, 204):
            self.filled[self.session] = offset(call) + ((body.size or 0) if body else 0)
        stated = re.fullmatch(r"(?:bytes=)?0-(\d+)", response.headers.get("Range") or "")
        if call.request.method == "GET" and stated:
            last = int(stated[1])
            self.filled[self.session] = last + 1 if last else 0

    def location(self, call: Call) -> str:
        """A new session's, or another one of the session that is asked."""
        if call.request.method == "POST":
            return f"{BASE}/blobs/uploads/{next(self.numbers)}?state=1"
        return f"{path_of(call.request.url)}?state=2"


def good(call: Call, location: str) -> Response:
    """What a registry answers that has nothing yet and takes all."""
    method = call.request.method
    status = {"POST": 202, "PATCH": 202, "PUT": 201}.get(method, 404)
    fields = Headers([("Location", location)] if status == 202 else [])
    return Response(status, fields, b"", call.request.url)


def path_of(url: str) -> str:
    return url.partition("?")[0]


def offset(call: Call) -> int:
    """Where the body begins in the blob, as the request says where it does (distribution-spec 1.1,
    Content-Range).
    """
    body = call.request.body
    start = body.start if isinstance(body, PartBody) else 0
    said = dict(call.request.headers).get("Content-Range")
    assert said is None or int(said.partition("-")[0]) == start
    return start


class UploadUnderAnyAnswers(AnyAnswers):
    transitions = TRANSITIONS

    @initialize(
        size=st.sampled_from(SIZES),
        probe=st.sampled_from(Probe),
        source=st.sampled_from([None, "team/app", "team/base"]),
        resume=st.sampled_from([None, None, LEFT]),
        chunk=st.sampled_from([0, MIB, 2 * MIB]),
    )
    def started(
        self, size: int, probe: Probe, source: str | None, resume: str | None, chunk: int
    ) -> None:
        if resume is not None:
            self.filled[resume] = None
        self.begin(
            BlobUpload(
                ENDPOINT,
                "team/app",
                DIGEST,
                BytesBody(bytes(size)),
                habits=Habits(probe=probe, chunk=chunk),
                trust=Trust(),
                mount_from=source,
                resume=resume,
            )
        )


class StreamUnderAnyAnswers(AnyAnswers):
    transitions = streamed.TRANSITIONS

    @initialize(known=st.sampled_from([DIGEST, None]), resume=st.sampled_from([None, LEFT]))
    def started(self, known: Digest | None, resume: str | None) -> None:
        if resume is not None:
            self.filled[resume] = None
        self.begin(
            StreamedUpload(
                ENDPOINT,
                "team/app",
                BytesBody(bytes(7)),
                lambda: known,
                what="layer",
                trust=Trust(),
                resume=resume,
            )
        )

    @invariant()
    def it_gives_up_in_silence(self) -> None:
        assert self.ended_by is None


class ManifestUnderAnyAnswers(AnyAnswers):
    transitions = manifest_put.TRANSITIONS

    @initialize(subject=st.sampled_from([SUBJECT, None]))
    def started(self, subject: Descriptor | None) -> None:
        data, referrer = b"a layer", {"digest": str(DIGEST)}
        descriptor = Descriptor(OCI_MANIFEST, DIGEST, len(data))
        self.begin(
            ManifestPut(
                ENDPOINT,
                "team/app",
                "v1",
                descriptor,
                data,
                trust=Trust(),
                subject=subject,
                referrer=referrer,
            )
        )


_SETTINGS = settings(stateful_step_count=15, suppress_health_check=list(HealthCheck))
TestUpload = UploadUnderAnyAnswers.TestCase
TestUpload.settings = _SETTINGS
TestStream = StreamUnderAnyAnswers.TestCase
TestStream.settings = _SETTINGS
TestManifest = ManifestUnderAnyAnswers.TestCase
TestManifest.settings = _SETTINGS
