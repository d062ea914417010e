"""An HTTP/1.1 server that records what it is asked and misbehaves as planned."""

from __future__ import annotations

import itertools
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from tests.parts.exchange import Exchange, Received
from tests.parts.faults import Action
from tests.parts.server import Server


@dataclass(slots=True)
class _Planned:
    action: Action
    match: Callable[[Received], bool]
    skip: int
    times: int | None

    def due(self, request: Received) -> bool:
        """Whether it is this request's turn; counts it."""
        if self.times == 0 or not self.match(request):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class HttpServer(Server):
    """Keep-alive HTTP/1.1; subclasses say in `handle` what an untroubled request gets.

    `requests` holds every request in the order of arrival, `most_at_once` how many were under way
    together at the peak.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> None:
        super().__init__(tls=tls, address=address)
        self.requests: list[Received] = []
        self.most_at_once = 0
        self._at_once = 0
        self._plan: list[_Planned] = []
        self._numbers = itertools.count(1)

    def handle(self, exchange: Exchange) -> None:
        """Read the body and answer; what is left of the body is drained afterwards."""
        raise NotImplementedError

    def fault(
        self,
        action: Action,
        *,
        method: str = "",
        path: str = "",
        match: Callable[[Received], bool] = lambda request: True,
        skip: int = 0,
        times: int | None = 1,
    ) -> None:
        """Treat the next `times` requests (None: all) with `action`, after `skip` that may pass.

        A request is meant if it has this method, the regular expression `path` is found in its
        path, and `match` says so. Of several faults the first planned comes first.
        """

        def meant(request: Received) -> bool:
            right_method = not method or request.method == method
            return right_method and bool(re.search(path, request.path)) and match(request)

        with self._lock:
            self._plan.append(_Planned(action, meant, skip, times))

    def seen(self, method: str = "", path: str = "") -> list[Received]:
        """The requests so far with this method, in whose path the expression `path` is found."""
        with self._lock:
            return [
                request
                for request in self.requests
                if (not method or request.method == method) and re.search(path, request.path)
            ]

    def serve(self, connection: socket.socket) -> None:
        number = next(self._numbers)
        with connection.makefile("rb") as stream:
            while exchange := Exchange.read(connection, stream, self.ended, number):
                self._serve_one(exchange)
                if exchange.closed or exchange.request.headers.get("connection") == "close":
                    return

    def _serve_one(self, exchange: Exchange) -> None:
        with self._lock:
            self.requests.append(exchange.request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            fault = next((fault for fault in self._plan if fault.due(exchange.request)), None)
        try:
            if fault:
                fault.action.apply(exchange, self.handle)
            else:
                self.handle(exchange)
        finally:
            with self._lock:
                self._at_once -= 1
        if not exchange.closed:
            exchange.read_body()
