"""What can go wrong with one request: each action is what the client gets for an answer."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tests.parts.exchange import ClientGone, Exchange

Handle = Callable[[Exchange], None]
HTML = "<!DOCTYPE html><html><body><h1>Sorry</h1><p>We will be back soon</p></body></html>"


class Action(Protocol):
    """A way to treat a request; `handle` is the way it would be treated otherwise."""

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        """Treat it."""


def errors(code: str, message: str = "", detail: object = None) -> dict[str, object]:
    """The body of a registry's error (distribution-spec 1.1, Error Codes)."""
    return {"errors": [{"code": code, "message": message, "detail": detail}]}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer before the body was read.

    `close`: say no more, listen on. `drain`: read the body and keep the connection.
    `reset`: end it at once, which may cost the client the answer.
    """

    status: int
    body: bytes | str | Mapping[str, object] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    then: Literal["close", "drain", "reset"] = "close"

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        last = {} if self.then == "drain" else {"Connection": "close"}
        exchange.answer(self.status, self.body, {**last, **self.headers})
        if self.then == "close":
            exchange.close_half()
        elif self.then == "reset":
            exchange.reset()


@dataclass(frozen=True, slots=True)
class AnswerAfterBody:
    """An answer after the body was read; the connection lives on."""

    status: int
    body: bytes | str | Mapping[str, object] = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        exchange.read_body()
        exchange.answer(self.status, self.body, self.headers)


@dataclass(frozen=True, slots=True)
class Html:
    """A page for people, as proxies and load balancers send them."""

    status: int
    page: str = HTML

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        exchange.read_body()
        exchange.answer(self.status, self.page, {"Content-Type": "text/html; charset=utf-8"})


@dataclass(frozen=True, slots=True)
class Reset:
    """RST after so many bytes of the body (None: after all of it)."""

    after_bytes: int | None = 0

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        exchange.read_body(limit=self.after_bytes)
        exchange.reset()


@dataclass(frozen=True, slots=True)
class Cut:
    """The server takes so many bytes of the body for good, and then the connection is reset."""

    after_bytes: int

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        exchange.cut_after = self.after_bytes
        with contextlib.suppress(ClientGone):
            handle(exchange)
        exchange.reset()


@dataclass(frozen=True, slots=True)
class CloseHalf:
    """FIN after so many bytes of the body, no answer."""

    after_bytes: int | None = 0

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        exchange.read_body(limit=self.after_bytes)
        exchange.close_half()


@dataclass(frozen=True, slots=True)
class Hang:
    """Neither reads nor answers after so many bytes of the body, until the server ends."""

    after_bytes: int | None = 0

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        exchange.read_body(limit=self.after_bytes)
        exchange.hang()


@dataclass(frozen=True, slots=True)
class HangAfterBody:
    """Takes all, and never answers."""

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        exchange.read_body()
        exchange.hang()


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes that need not be HTTP, after the body, and the end of the connection.

    An answer cut short is one too: `b"HTTP/1.1 200 OK\\r\\nContent-Length: 9\\r\\n\\r\\n1234"`.
    """

    data: bytes = b"\x00\x01SSH-2.0-OpenSSH\r\n\r\n"

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        exchange.read_body()
        exchange.send(self.data)
        exchange.close_half()


@dataclass(frozen=True, slots=True)
class Delay:
    """The usual treatment, so many seconds later."""

    seconds: float

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        exchange.ended.wait(self.seconds)
        handle(exchange)


@dataclass(frozen=True, slots=True)
class Wait:
    """The usual treatment once the test sets `gate`, or the server ends."""

    gate: threading.Event

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        while not self.gate.wait(0.02) and not exchange.ended.is_set():
            pass
        handle(exchange)


@dataclass(frozen=True, slots=True)
class Handled:
    """The server does what it was asked for, but `then` is what the client sees.

    `Handled(Reset())` loses the answer; `Handled(AnswerAfterBody(502))` is a gateway that did.
    """

    then: Action

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        exchange.muted = True
        handle(exchange)
        exchange.muted = False
        self.then.apply(exchange, handle)
