"""The moments of one transfer, for who wants to see where the time goes."""

from __future__ import annotations

from collections.abc import Callable

import pycurl

from idpbuilder.wire import Timing

_VERSIONS = {
    pycurl.CURL_HTTP_VERSION_1_0: "1.0",
    pycurl.CURL_HTTP_VERSION_1_1: "1.1",
    pycurl.CURL_HTTP_VERSION_2_0: "2",
}

_Handshake = tuple[float | None, float | None, float | None]


class Connections:
    """Numbers the connections of an engine from 1, by what the system tells them apart by."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, int], int] = {}

    def number(self, origin: str, port: int) -> int:
        """The connection to `origin` from our own `port`."""
        return self._numbers.setdefault((origin, port), len(self._numbers) + 1)


class Stopwatch:
    """Takes the moments of a transfer to `origin` by `clock`, from now on: it is put in line."""

    __slots__ = (
        "_answered",
        "_begun",
        "_clock",
        "_connection",
        "_connections",
        "_handed_over",
        "_origin",
        "_queued",
        "_sending",
        "_set_up",
    )

    def __init__(self, origin: str, connections: Connections, clock: Callable[[], float]) -> None:
        self._origin = origin
        self._connections = connections
        self._clock = clock
        self._queued = clock()
        self._begun: float | None = None
        self._set_up: float | None = None
        self._sending: float | None = None
        self._handed_over: float | None = None
        self._answered: float | None = None
        self._connection: int | None = None

    def begins(self) -> None:
        """It is out of the line."""
        self._begun = self._clock()

    def is_set_up(self) -> None:
        """It is libcurl's now."""
        self._set_up = self._clock()

    def sends(self, port: int, *, has_body: bool) -> None:
        """There is a connection, from our own `port`: the request goes out now."""
        self._sending = self._clock()
        self._connection = self._connections.number(self._origin, port)
        if not has_body:
            self._handed_over = self._sending

    def has_sent(self) -> None:
        """The body's last byte is libcurl's."""
        self._handed_over = self._clock()

    def is_answered(self) -> None:
        """Something of an answer is there; the first time counts."""
        if self._answered is None:
            self._answered = self._clock()

    def timing(self, easy: pycurl.Curl | None) -> Timing:
        """All moments, the end being now; `easy` is None where it never began."""
        ended = self._clock()
        reused, version = False, ""
        made: _Handshake = (None, None, None)
        if easy is not None:
            reused = self._sending is not None and not easy.getinfo(pycurl.NUM_CONNECTS)
            if self._answered is not None:
                version = _VERSIONS.get(easy.getinfo(pycurl.INFO_HTTP_VERSION), "")
            if not reused:
                made = self._handshake(easy, ended if self._sending is None else self._sending)
        return Timing(
            self._origin,
            self._connection,
            reused,
            version,
            self._queued,
            self._begun,
            self._set_up,
            *made,
            self._sending,
            self._handed_over,
            self._answered,
            ended,
        )

    def _handshake(self, easy: pycurl.Curl, end: float) -> _Handshake:
        """When the name was looked up, the connection made and secured, as far as it came."""
        assert self._set_up is not None
        latest, found = self._set_up, list[float | None]()
        for moment in (pycurl.NAMELOOKUP_TIME_T, pycurl.CONNECT_TIME_T, pycurl.APPCONNECT_TIME_T):
            seconds = easy.getinfo(moment) / 1e6
            if seconds > 0:
                # libcurl counts from a moment that is a little off ours
                latest = min(max(latest, self._set_up + seconds), end)
            found.append(latest if seconds > 0 else None)
        looked_up, connected, secured = found
        return looked_up, connected, secured
