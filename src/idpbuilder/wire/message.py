"""A request, and the answer to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from idpbuilder.wire.body import Body, Sink


class Headers:
    """Header fields in the order they came; names compare in any case, a name may repeat."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = tuple((name.lower(), value) for name, value in fields)

    def get(self, name: str) -> str | None:
        """The last value of `name`, or None."""
        values = self.get_all(name)
        return values[-1] if values else None

    def get_all(self, name: str) -> tuple[str, ...]:
        """Every value of `name`, in order."""
        wanted = name.lower()
        return tuple(value for key, value in self._fields if key == wanted)

    def __contains__(self, name: str) -> bool:
        return bool(self.get_all(name))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._fields == other._fields

    def __hash__(self) -> int:
        return hash(self._fields)


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a TLS connection believes.

    `verify=False` takes any certificate. `cert_dir` names a folder whose `*.crt` are
    further CAs and whose `NAME.cert` and `NAME.key` are the client's own certificate. `only` is a
    CA bundle that takes the place of the system's; `client` is the client's own certificate and its
    key.
    """

    verify: bool = True
    cert_dir: str | None = None
    only: str | None = None
    client: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    `headers` holds what the protocol says; the engine adds only `Host`, `User-Agent` and the
    body's length. `answer_limit` bounds the bytes of the answer's body that are kept;
    an answer beyond it is cut there. Redirects are never followed by the engine.

    With `unix_socket` the connection goes there, and the URL's host is but a label. With `sink` the
    body of a success is handed over as it comes, in place of being kept. A `patient` request waits
    for the first byte of its answer without a limit. `led_by` is the host or address of whoever
    sent us to the URL, where that was no user: nothing is asked of what he may not lead to.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: Body | None = None
    trust: Trust = field(default_factory=Trust)
    answer_limit: int = 4 * 1024 * 1024
    unix_socket: str | None = None
    sink: Sink | None = None
    patient: bool = False
    led_by: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a request whose URL was `url`; `peer` is the address that gave it, "" where a
    proxy stands between.
    """

    status: int
    headers: Headers
    body: bytes
    url: str
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the time of a request to `host` (scheme, host and port) went.

    The moments are seconds on the engine's clock, each None where it did not come to that. `begun`
    ends the wait in the engine's line, `set_up` what is read before a connection is wanted;
    `looked_up`, `connected` and `secured` are there where one was made for this request and none
    `reused`; `sending` begins with the head, `handed_over` is when the body's last byte was given
    away, and `answered` when the first of the answer came. `connection` is a number from 1,
    `version` HTTP's, as `1.1`, "" where nothing came.
    """

    host: str
    connection: int | None
    reused: bool
    version: str
    queued: float
    begun: float | None
    set_up: float | None
    looked_up: float | None
    connected: float | None
    secured: float | None
    sending: float | None
    handed_over: float | None
    answered: float | None
    ended: float
