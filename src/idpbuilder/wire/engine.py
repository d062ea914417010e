"""What an engine is: something that moves requests out and answers in, and judges neither."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from idpbuilder.wire.message import Request, Response, Timing


class FailureKind(Enum):
    """Why there is no answer."""

    RESOLVE = "resolve"  # the host has no address
    CONNECT = "connect"  # no connection
    PROXY = "proxy"  # the proxy is not there, or has trouble with the other side
    PROXY_REFUSED = "proxy refused"  # its rules, its credentials or its certificate are in the way
    NO_TUNNEL = "no tunnel"  # the proxy lets no TLS through to there
    NOT_TLS = "not tls"  # the other side does not speak TLS
    TLS = "tls"  # the handshake failed
    CERTIFICATE = "certificate"  # the certificate is not trusted
    BROKEN = "broken"  # the connection ended before the answer did
    STALLED = "stalled"  # nothing moved for too long
    PROTOCOL = "protocol"  # what came back is not HTTP
    BODY_READ = "body read"  # the local file could not be read: the cause is in `cause`
    SINK = "sink"  # what came could not be put away: the cause is in `cause`
    ASTRAY = "astray"  # the URL came from one who may not lead there
    SETUP = "setup"  # the request could not be made at all


@dataclass(frozen=True, slots=True)
class TransportFailure:
    """A request that got no answer. `message` is for people and holds no secret."""

    kind: FailureKind
    message: str
    cause: OSError | EOFError | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """How a request ended: with a response or a failure, never both.

    `sent` counts the body's bytes that were handed to the network; `body_complete` says that
    these were all of them. A response may come without: a registry can answer early, and a
    success without the whole body is none. `timing` is there where an engine was asked for it.
    """

    ticket: int
    response: Response | None
    failure: TransportFailure | None
    sent: int
    body_complete: bool
    seconds: float
    timing: Timing | None = None


class Engine(Protocol):
    """Moves bytes. Nothing here blocks but `poll`."""

    def submit(self, request: Request) -> int:
        """Start a request; the ticket names it in `poll`, `sent` and `cancel`."""

    def poll(self, timeout: float | None) -> list[Completion]:
        """What has ended; waits at most `timeout` seconds (None: for ever) for the first.

        An empty list means that the time is over, or that `wake` was called.
        """

    def sent(self, ticket: int) -> int:
        """Body bytes handed over so far by a request under way; 0 for one that is not."""

    def is_moving(self, ticket: int) -> bool:
        """Whether a request has gone out, and waits for none of the others."""

    def cancel(self, ticket: int) -> None:
        """Drop a request; it will not complete."""

    def wake(self) -> None:
        """Make `poll` return now, and look again at bodies that are still being made.

        Safe from a signal handler and from another thread.
        """

    def close(self) -> None:
        """Drop all requests and connections."""
