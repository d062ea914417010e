"""The engine over libcurl's multi interface: one thread, one loop, and only `poll` blocks."""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import threading
import time
from collections.abc import Callable

import pycurl

from idpbuilder.transport.failures import Fault
from idpbuilder.transport.lanes import FAR_WIDTH, Lanes
from idpbuilder.transport.options import LARGE_BUFFER, Options, RequestUnusable
from idpbuilder.transport.proxy import ProxyUnusable, speaks_tls
from idpbuilder.transport.rate import Turnstile
from idpbuilder.transport.settings import EngineSettings
from idpbuilder.transport.timing import Connections
from idpbuilder.transport.transfer import Desk, Transfer
from idpbuilder.transport.trust import TrustUnusable
from idpbuilder.transport.watchdog import Allowances, Watchdog
from idpbuilder.wire import Completion, FailureKind, Request

_WANTED = {
    pycurl.POLL_IN: selectors.EVENT_READ,
    pycurl.POLL_OUT: selectors.EVENT_WRITE,
    pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
}
_HAPPENED = {
    selectors.EVENT_READ: pycurl.CSELECT_IN,
    selectors.EVENT_WRITE: pycurl.CSELECT_OUT,
    selectors.EVENT_READ | selectors.EVENT_WRITE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}
_BROKEN = frozenset({FailureKind.BROKEN, FailureKind.PROTOCOL})
_IDLE_PER_HOST = 4
_CLOSING_SECONDS = 0.2


def _distance(easy: pycurl.Curl) -> float:
    """Seconds that a handshake took on the connection that was made for this request.

    A proxy nearby takes a TCP connection at once, wherever the registry is: TLS has to go all the
    way.
    """
    looked_up, connected, secured = (
        float(easy.getinfo(moment))
        for moment in (pycurl.NAMELOOKUP_TIME_T, pycurl.CONNECT_TIME_T, pycurl.APPCONNECT_TIME_T)
    )
    return max(connected - looked_up, secured - connected) / 1e6


def _go_on(easy: pycurl.Curl) -> None:
    """Have libcurl ask again for a body that paused."""
    try:
        easy.pause(pycurl.PAUSE_CONT)
    except pycurl.error as error:
        # it ended in this very turn, its connection is gone, and it is yet to be collected
        if error.args[0] != pycurl.E_BAD_FUNCTION_ARGUMENT:
            raise


class CurlEngine:
    """Moves requests with libcurl. One thread uses it; only `wake` may be called from elsewhere.

    `clock` counts seconds and never goes back.
    """

    def __init__(
        self, settings: EngineSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        now = clock()
        allowances = Allowances(
            settings.stall_seconds, settings.answer_seconds, settings.commit_rate
        )
        turnstile = Turnstile[Transfer](settings.limit_rate, now) if settings.limit_rate else None
        self._settings = settings
        self._clock = clock
        connections = Connections() if settings.timed else None
        buffer = memoryview(bytearray(LARGE_BUFFER))
        self._desk = Desk(buffer, clock, allowances, turnstile, connections)
        self._watchdog = Watchdog(allowances, now)
        self._options = Options(settings)
        self._lanes = Lanes[Transfer](settings.connections)
        self._tickets = itertools.count(1)
        self._transfers: dict[int, Transfer] = {}
        self._running: dict[pycurl.Curl, Transfer] = {}
        self._spare: list[pycurl.Curl] = []
        self._ended: list[Completion] = []
        self._curl_due: float | None = None
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        for end in (self._wake_read, self._wake_write):
            os.set_blocking(end, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._multi.setopt(
            pycurl.M_MAXCONNECTS, (settings.connections or FAR_WIDTH) * _IDLE_PER_HOST
        )

    def submit(self, request: Request) -> int:
        """Start a request; the ticket names it in `poll`, `sent` and `cancel`."""
        transfer = Transfer(next(self._tickets), request, self._desk)
        self._transfers[transfer.ticket] = transfer
        self._lanes.add(transfer)
        self._start_next()
        return transfer.ticket

    def poll(self, timeout: float | None) -> list[Completion]:
        """What has ended; waits at most `timeout` seconds (None: for ever) for the first.

        An empty list means that the time is over, or that `wake` was called.
        """
        end = None if timeout is None else self._clock() + timeout
        while True:
            woken = self._step(self._patience(end))
            if self._desk.raised:
                raise self._desk.raised.pop(0)
            if woken or self._ended or (end is not None and self._clock() >= end):
                ended, self._ended = self._ended, []
                return ended

    def sent(self, ticket: int) -> int:
        """Body bytes handed over so far by a request under way; 0 for one that is not."""
        transfer = self._transfers.get(ticket)
        return transfer.sent if transfer else 0

    def is_moving(self, ticket: int) -> bool:
        """Whether a request has gone out, and waits for none of the others."""
        transfer = self._transfers.get(ticket)
        return transfer is not None and transfer.easy is not None

    def cancel(self, ticket: int) -> None:
        """Drop a request; it will not complete."""
        self._ended = [completion for completion in self._ended if completion.ticket != ticket]
        transfer = self._transfers.get(ticket)
        if transfer is None:
            return
        if self._lanes.drop(transfer):
            del self._transfers[ticket]
        else:
            self._drop(transfer)
        self._start_next()

    def wake(self) -> None:
        """Make `poll` return now, and look again at bodies that are still being made.

        Safe from a signal handler and from another thread.
        """
        # a full pipe wakes as well
        with contextlib.suppress(BlockingIOError):
            if self._wake_write >= 0:
                os.write(self._wake_write, b"\0")

    def close(self) -> None:
        """Drop all requests and connections. May be called twice.

        Where a name server does not answer, libcurl waits for it, for as long as the system's
        resolver does: then a thread of its own is left waiting, which must not keep the process.
        """
        if self._wake_write < 0:
            return
        write, self._wake_write = self._wake_write, -1
        for transfer in list(self._running.values()):
            self._drop(transfer)
        for easy in self._spare:
            easy.close()
        self._spare.clear()
        self._transfers.clear()
        self._ended.clear()
        closing = threading.Thread(target=self._multi.close, daemon=True)
        closing.start()
        closing.join(_CLOSING_SECONDS)
        self._selector.close()
        os.close(self._wake_read)
        os.close(write)

    # -- one turn of the loop

    def _patience(self, end: float | None) -> float | None:
        """Seconds until something is due besides what the sockets say; None for never."""
        if self._ended:
            return 0.0
        moments = [end, self._curl_due]
        if self._running:
            moments.append(self._watchdog.next_look)
        if self._desk.turnstile:
            moments.append(self._desk.turnstile.ready_at())
        due = [moment for moment in moments if moment is not None]
        return max(min(due) - self._clock(), 0.0) if due else None

    def _step(self, patience: float | None) -> bool:
        """Wait for sockets, and do all that is due; whether `wake` was called."""
        woken = False
        for key, events in self._selector.select(patience):
            if key.fd == self._wake_read:
                woken = True
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
            else:
                self._multi.socket_action(key.fd, _HAPPENED[events])
        if woken:
            self._feed_the_starved()
        now = self._clock()
        if self._curl_due is not None and self._curl_due <= now:
            self._curl_due = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        if self._desk.turnstile:
            released = self._desk.turnstile.release(now)
            if released is not None and released.easy is not None:
                _go_on(released.easy)
        self._collect()
        if self._watchdog.next_look <= now:
            self._look(now)
        self._start_next()
        return woken

    def _feed_the_starved(self) -> None:
        """Have libcurl ask again for the bodies of which nothing was there."""
        for easy, transfer in list(self._running.items()):
            if transfer.starved:
                transfer.starved = False
                _go_on(easy)

    def _collect(self) -> None:
        """Take from libcurl what has ended."""
        left = 1
        while left:
            left, whole, failed = self._multi.info_read()
            for easy in whole:
                self._finish(self._running[easy], None)
            for easy, code, text in failed:
                self._finish(self._running[easy], self._fault(easy, code, text))

    def _look(self, now: float) -> None:
        """Drop what has stood still for too long."""
        for transfer in self._watchdog.look(self._running.values(), now):
            self._ended.append(transfer.stalled())
            if transfer.shared:
                # libcurl would go on with the connection on which nothing moves
                self._lanes.learn(transfer.origin, shares=False)
            self._drop(transfer)

    # -- a transfer's beginning and end

    def _start_next(self) -> None:
        while (chosen := self._lanes.next()) is not None:
            transfer, share = chosen
            transfer.shared = share
            transfer.leave_line()
            self._start(transfer)

    def _start(self, transfer: Transfer) -> None:
        easy = self._spare.pop() if self._spare else pycurl.Curl()
        # in this order: what fails to start is ended like what has started
        self._running[easy] = transfer
        try:
            transfer.proxy = self._options.apply(easy, transfer.request, share=transfer.shared)
            transfer.begin(easy)
            self._multi.add_handle(easy)
        except ProxyUnusable as error:
            self._ended.append(transfer.unusable(str(error), FailureKind.PROXY_REFUSED))
        except (RequestUnusable, TrustUnusable) as error:
            self._ended.append(transfer.unusable(str(error)))
        except pycurl.error as error:
            self._ended.append(transfer.completion(Fault(error.args[0])))
        except (OSError, EOFError) as error:
            self._ended.append(transfer.unreadable(error))
        except BaseException:
            self._put_away(easy)
            raise
        else:
            return
        self._put_away(easy)

    def _finish(self, transfer: Transfer, fault: Fault | None) -> None:
        completion = transfer.completion(fault)
        self._ended.append(completion)
        self._learn(transfer, completion)
        self._drop(transfer)

    def _learn(self, transfer: Transfer, completion: Completion) -> None:
        """See what an end tells of the origin: how far it is, and whether it speaks HTTP/2."""
        easy = transfer.easy
        assert easy is not None
        if completion.response is not None and easy.getinfo(pycurl.NUM_CONNECTS):
            self._lanes.measure(transfer.origin, _distance(easy))
        if not transfer.shared:
            return
        if completion.response is not None:
            version = easy.getinfo(pycurl.INFO_HTTP_VERSION)
            self._lanes.learn(transfer.origin, shares=version == pycurl.CURL_HTTP_VERSION_2_0)
        elif completion.failure and (
            completion.failure.kind in _BROKEN
            or completion.seconds >= self._settings.connect_seconds
        ):
            # some that offer HTTP/2 do not get it right, and the other tries go the plain way; and
            # where nobody answers, not all may wait for one after the other to find that out
            self._lanes.learn(transfer.origin, shares=False)

    def _drop(self, transfer: Transfer) -> None:
        easy = transfer.easy
        assert easy is not None
        self._multi.remove_handle(easy)
        self._put_away(easy)

    def _put_away(self, easy: pycurl.Curl) -> None:
        transfer = self._running.pop(easy)
        transfer.end()
        self._transfers.pop(transfer.ticket, None)
        self._lanes.leave(transfer)
        # drops the callbacks, and with them the way from the handle back to the transfer
        easy.reset()
        self._spare.append(easy)

    def _fault(self, easy: pycurl.Curl, code: int, text: str) -> Fault:
        transfer = self._running[easy]
        at_proxy = transfer.proxy.startswith("http") and not easy.getinfo(pycurl.HTTP_CONNECTCODE)
        return Fault(
            code,
            text,
            os_errno=easy.getinfo(pycurl.OS_ERRNO),
            verify_result=easy.getinfo(pycurl.SSL_VERIFYRESULT),
            proxied=bool(easy.getinfo(pycurl.USED_PROXY)),
            at_proxy=speaks_tls(transfer.request.url) and at_proxy,
            at_tls_proxy=speaks_tls(transfer.proxy) and at_proxy,
            proxy_verify_result=easy.getinfo(pycurl.PROXY_SSL_VERIFYRESULT),
            connected=easy.getinfo(pycurl.CONNECT_TIME_T) > 0,
            answered=transfer.answered,
            connect_seconds=self._settings.connect_seconds,
        )

    # -- called by libcurl: nothing may be raised here

    def _on_socket(self, event: int, fd: int, _multi: object, _data: object) -> None:
        try:
            self._listen(fd, event)
        except BaseException as error:
            self._desk.raised.append(error)

    def _listen(self, fd: int, event: int) -> None:
        known = fd in self._selector.get_map()
        if event == pycurl.POLL_REMOVE:
            if known:
                self._selector.unregister(fd)
        elif known:
            self._selector.modify(fd, _WANTED[event])
        else:
            self._selector.register(fd, _WANTED[event])

    def _on_timer(self, milliseconds: int) -> None:
        self._curl_due = None if milliseconds < 0 else self._clock() + milliseconds / 1000
