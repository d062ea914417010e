"""One request under way: what libcurl's callbacks need, and what came of it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf

import pycurl

from idpbuilder.image.host import may_lead_to, reach
from idpbuilder.transport.answer import Answer
from idpbuilder.transport.failures import Fault, answer_of_proxy, failure_of
from idpbuilder.transport.proxy import speaks_tls
from idpbuilder.transport.rate import Turnstile
from idpbuilder.transport.timing import Connections, Stopwatch
from idpbuilder.transport.watchdog import Allowances, Phase, Watch
from idpbuilder.wire import (
    BodyReader,
    Completion,
    FailureKind,
    Request,
    Response,
    TransportFailure,
)

_ABORT = 0


@dataclass(slots=True)
class Desk:
    """What all transfers of an engine share.

    Bodies are read into one `buffer`: libcurl copies what a callback returns before the next one
    runs. What a callback raises would be printed by pycurl and lost: it is kept in `raised`.
    `connections` are there where somebody wants to know where the time goes.
    """

    buffer: memoryview
    clock: Callable[[], float]
    allowances: Allowances
    turnstile: Turnstile[Transfer] | None
    connections: Connections | None = None
    raised: list[BaseException] = field(default_factory=list)


class Transfer:
    """A request from `begin` to `completion`.

    The easy handle knows this object by its callbacks, and this object knows the handle: `end`
    parts them.
    """

    __slots__ = (
        "_answer",
        "_body_ended",
        "_desk",
        "_failure",
        "_peer",
        "_reader",
        "_started",
        "_stopwatch",
        "_taken",
        "easy",
        "origin",
        "proxy",
        "request",
        "sent",
        "shared",
        "size",
        "starved",
        "ticket",
        "watch",
    )

    def __init__(self, ticket: int, request: Request, desk: Desk) -> None:
        self.ticket = ticket
        self.request = request
        # scheme, host and port; an address that cannot be parsed is libcurl's to refuse
        place = "/".join(request.url.split("/", 3)[:3]).lower()
        self.origin = f"{request.unix_socket}:{place}" if request.unix_socket else place
        self.sent = 0
        self.shared = False
        self.proxy = ""
        self.easy: pycurl.Curl | None = None
        self._desk = desk
        self._answer = Answer(request.answer_limit)
        self._failure: TransportFailure | None = None
        self._peer = ""
        self._reader: BodyReader | None = None
        # of a body that is still being made, only its reader knows where it ends
        self.size = request.body.size if request.body else 0
        self._body_ended = False
        self._started = desk.clock()
        self._taken = 0
        self._stopwatch = (
            Stopwatch(self.origin, desk.connections, desk.clock) if desk.connections else None
        )
        self.starved = False
        patient = replace(desk.allowances, answer=inf) if request.patient else desk.allowances
        self.watch = Watch(patient, self._started)

    def leave_line(self) -> None:
        """It is this one's turn."""
        if self._stopwatch:
            self._stopwatch.begins()

    def begin(self, easy: pycurl.Curl) -> None:
        """Open the body, and be called by `easy`. Raises OSError."""
        self._started = self._desk.clock()
        self.watch.enter(Phase.CONNECTING, self._started)
        if self.request.body:
            self._reader = self.request.body.open()
        self.easy = easy
        if self._stopwatch:
            self._stopwatch.is_set_up()
        easy.setopt(pycurl.PREREQFUNCTION, self._on_connected)
        easy.setopt(pycurl.READFUNCTION, self._on_read)
        easy.setopt(pycurl.HEADERFUNCTION, self._on_header)
        easy.setopt(pycurl.WRITEFUNCTION, self._on_data)

    def end(self) -> None:
        """Close the body and part from the handle."""
        if self._desk.turnstile:
            self._desk.turnstile.leave(self)
        reader, self._reader = self._reader, None
        if reader:
            reader.close()
        self.easy = None

    @property
    def may_share(self) -> bool:
        """Whether it could go over a connection that others use at the same time."""
        return self.request.unix_socket is None and speaks_tls(self.request.url)

    @property
    def body_complete(self) -> bool:
        """Whether all of the body was handed over."""
        return self._body_ended if self.size is None else self.sent == self.size

    @property
    def answered(self) -> bool:
        """Whether an answer had begun."""
        return self._answer.begun

    def still_moves(self) -> bool:
        """Whether the other side took bytes since the last time this was asked.

        A slow line takes long over what the system's buffer holds, and until a good part of that is
        gone nothing more is read. Not to be asked inside a callback.
        """
        assert self.easy is not None
        if self.watch.phase not in (Phase.SENDING, Phase.AWAITING):
            return False
        left = _unacknowledged(self.easy.getinfo(pycurl.ACTIVESOCKET))
        before, self._taken = self._taken, self.sent - left
        return left > 0 and self._taken > before

    def stalled(self) -> Completion:
        """How it ended, its time being over."""
        return self._completion(None, TransportFailure(FailureKind.STALLED, self.watch.complaint))

    def unusable(self, reason: str, kind: FailureKind = FailureKind.SETUP) -> Completion:
        """How it ended before it began."""
        return self._completion(None, TransportFailure(kind, reason))

    def unreadable(self, error: OSError | EOFError) -> Completion:
        """How it ended, its body being unreadable."""
        return self._completion(None, _unreadable(error))

    def completion(self, fault: Fault | None) -> Completion:
        """How it ended, by libcurl's word."""
        answer = self._answer
        failure = self._failure
        if failure is None and fault is not None and not answer.cut:
            failure = failure_of(fault)
            if failure.kind is FailureKind.BROKEN and self._answered_early:
                failure = None
        elif failure is None and not answer.whole_head:
            # libcurl takes the end of the connection for the end of the head
            failure = failure_of(Fault(pycurl.E_PARTIAL_FILE))
        elif self.proxy and not speaks_tls(self.request.url):
            # without a tunnel the proxy's answer stands in the place of the registry's
            failure = answer_of_proxy(answer.status, answer.headers)
        if failure is not None:
            return self._completion(None, failure)
        url, peer = self.request.url, self._peer
        response = Response(answer.status, answer.headers, answer.body, url, peer)
        return self._completion(response, None)

    @property
    def _answered_early(self) -> bool:
        # a server that refuses in mid-body may close on us: its reason is worth more than that
        return self._answer.whole_head and not self.body_complete

    def _completion(
        self, response: Response | None, failure: TransportFailure | None
    ) -> Completion:
        seconds = self._desk.clock() - self._started
        timing = self._stopwatch.timing(self.easy) if self._stopwatch else None
        return Completion(
            self.ticket, response, failure, self.sent, self.body_complete, seconds, timing
        )

    # -- called by libcurl: nothing may be raised here

    def _on_connected(self, peer: str, _ours: str, _port: int, our_port: int) -> int:
        if self._stopwatch:
            self._stopwatch.sends(our_port, has_body=self.size != 0)
        if not self.proxy and self.request.unix_socket is None:
            # a name is known by its address only now; nothing has been asked yet
            self._peer = peer
            led_by = self.request.led_by
            if led_by and not may_lead_to(led_by, peer):
                message = f"the registry leads to {peer}, {reach(peer).value}"
                self._failure = TransportFailure(FailureKind.ASTRAY, message)
                abort: int = pycurl.PREREQFUNC_ABORT
                return abort
        phase = Phase.AWAITING if self.size == 0 else Phase.SENDING
        self.watch.enter(phase, self._desk.clock())
        ok: int = pycurl.PREREQFUNC_OK
        return ok

    def _on_read(self, room: int) -> memoryview | int:
        try:
            return self._read(room)
        except (OSError, EOFError) as error:
            self._failure = _unreadable(error)
        except BaseException as error:
            self._desk.raised.append(error)
        abort: int = pycurl.READFUNC_ABORT
        return abort

    def _read(self, room: int) -> memoryview | int:
        desk = self._desk
        now = desk.clock()
        count = min(room, len(desk.buffer))
        if self.size is not None:
            count = min(count, self.size - self.sent)
        if count and desk.turnstile:
            count = desk.turnstile.ask(self, count, now)
            if not count:
                return self._pause(now)
        assert self._reader is not None
        got = self._reader.readinto(desk.buffer[:count])
        if got is None:
            self.starved = True
            return self._pause(now)
        if count and not got:
            if self.size is not None:
                raise EOFError(f"{self.size - self.sent} bytes short")
            self._body_ended = True
        self.sent += got
        if self._stopwatch and self.body_complete:
            self._stopwatch.has_sent()
        if self._answer.begun:
            self.watch.enter(Phase.RECEIVING, now)
        else:
            phase = Phase.AWAITING if self.body_complete else Phase.SENDING
            self.watch.enter(phase, now, self.sent)
        return desk.buffer[:got]

    def _pause(self, now: float) -> int:
        self.watch.enter(Phase.PAUSED, now)
        pause: int = pycurl.READFUNC_PAUSE
        return pause

    def _on_header(self, line: bytes) -> int | None:
        try:
            taken = self._answer.add_line(line)
            now = self._desk.clock()
            if self._stopwatch and self._answer.begun:
                self._stopwatch.is_answered()
            if self._answer.begun and not self.request.patient:
                self._receive(now)
            else:
                self.watch.moved(now)
        except BaseException as error:
            self._desk.raised.append(error)
            return _ABORT
        if not taken:
            message = "the head of the answer is too large"
            self._failure = TransportFailure(FailureKind.PROTOCOL, message)
            return _ABORT
        return None

    def _on_data(self, data: bytes) -> int | None:
        try:
            self._receive(self._desk.clock())
            sink = self.request.sink
            if sink is not None and self._answer.is_success:
                sink.write(data)
                return None
            return None if self._answer.add_data(data) else _ABORT
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            self._failure = TransportFailure(
                FailureKind.SINK, f"the answer cannot be kept: {reason}", error
            )
            return _ABORT
        except BaseException as error:
            self._desk.raised.append(error)
            return _ABORT

    def _receive(self, now: float) -> None:
        if self.watch.phase is not Phase.PAUSED:
            self.watch.enter(Phase.RECEIVING, now)


def _unacknowledged(fd: int) -> int:
    """Bytes in the system's buffer that the other side has not taken; 0 where it does not tell."""
    if fd < 0:
        # libcurl has let go of the connection already
        return 0
    import fcntl
    import termios

    with contextlib.suppress(OSError):
        count = fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(count, sys.byteorder)
    return 0


def _unreadable(error: OSError | EOFError) -> TransportFailure:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    name = error.filename if isinstance(error, OSError) else None
    what = f"`{name}`" if isinstance(name, str) else "a local file"
    return TransportFailure(FailureKind.BODY_READ, f"{what} cannot be read: {reason}", error)
