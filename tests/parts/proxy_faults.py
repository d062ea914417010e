"""What can go wrong on the way between the command and a registry.

A place inside a body or an answer is given in thousandths of its length: 0 is before its first
byte, 1000 after its last.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.parts.fault_proxy import Fault, Link, Passing
from tests.parts.faults import HTML

_PAUSE = 0.15
"""Seconds."""
_SLICE = 700
"""Bytes that come twice."""
_JSON = '{"errors":[{"code":"%s","message":"said the proxy","detail":null}]}'


def answer(
    status: int, reason: str, body: str = "", *fields: str, kind: str = "application/json"
) -> bytes:
    """An answer that the registry never gave."""
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"Content-Type: {kind}"] if body else []
    return ("\r\n".join([*lines, *fields]) + f"\r\n\r\n{body}").encode()


ANSWERS = {
    "401": answer(401, "Unauthorized", _JSON % "UNAUTHORIZED"),
    "413": answer(413, "Payload Too Large", HTML, kind="text/html"),
    "429": answer(429, "Too Many Requests", _JSON % "TOOMANYREQUESTS", "Retry-After: 1"),
    "500": answer(500, "Internal Server Error", _JSON % "UNKNOWN"),
    "502": answer(502, "Bad Gateway", HTML, kind="text/html"),
    "503": answer(503, "Service Unavailable", "", "Retry-After: 0"),
}


@dataclass(frozen=True, slots=True)
class BreakBody:
    """The registry hears no more after that much of the body, and the client is cut off.

    `reset` ends with RST, `close` with FIN, and in a `stall` nothing ends.
    """

    how: Literal["reset", "close", "stall"]
    permille: int

    def apply(self, link: Link, passing: Passing) -> bool:
        link.pass_until(passing, passing.body_offset(self.permille))
        _end(link, self.how)
        return False


@dataclass(frozen=True, slots=True)
class Truncate:
    """The registry sees the body end early; what it says to that is passed on."""

    permille: int

    def apply(self, link: Link, passing: Passing) -> bool:
        link.pass_until(passing, passing.body_offset(self.permille))
        link.registry.shutdown(socket.SHUT_WR)
        link.give(passing, link.read_answer(passing))
        link.close_half()
        return False


@dataclass(frozen=True, slots=True)
class DelayBody:
    """Nothing moves for a moment in the middle of the request."""

    permille: int

    def apply(self, link: Link, passing: Passing) -> bool:
        link.registry.sendall(passing.head)
        link.registry.sendall(link.read_body(passing.body_offset(self.permille)))
        link.ended.wait(_PAUSE)
        link.registry.sendall(link.read_body())
        link.give(passing, link.read_answer(passing))
        return True


@dataclass(frozen=True, slots=True)
class StutterBody:
    """Some bytes of the body come twice, and as many at its end are lost: its length is right.

    A request without a body comes twice as it is, and one of the answers is lost.
    """

    permille: int

    def apply(self, link: Link, passing: Passing) -> bool:
        body = link.read_body()
        if passing.length:
            body = _stuttered(body, self.permille)[: len(body)]
        times = 2 if not body else 1
        for _ in range(times):
            link.registry.sendall(passing.head + body)
        given = [link.read_answer(passing) for _ in range(times)]
        link.give(passing, given[-1])
        return True


@dataclass(frozen=True, slots=True)
class Replay:
    """The registry hears the whole request twice; the client gets the second answer."""

    def apply(self, link: Link, passing: Passing) -> bool:
        whole = passing.head + link.read_body()
        given = b""
        for _ in range(2):
            link.registry.sendall(whole)
            given = link.read_answer(passing)
        link.give(passing, given)
        return True


@dataclass(frozen=True, slots=True)
class AnswerInstead:
    """An answer after that much of the body, of which the registry hears nothing."""

    data: bytes
    permille: int

    def apply(self, link: Link, passing: Passing) -> bool:
        link.read_body(passing.body_offset(self.permille))
        link.give(passing, self.data)
        link.close_half()
        return False


@dataclass(frozen=True, slots=True)
class BreakAnswer:
    """The registry does its work, and its answer ends after that much of it."""

    how: Literal["reset", "close", "stall"]
    permille: int

    def apply(self, link: Link, passing: Passing) -> bool:
        link.pass_request(passing)
        data = link.read_answer(passing)
        link.client.sendall(data[: len(data) * self.permille // 1000])
        _end(link, self.how)
        return False


@dataclass(frozen=True, slots=True)
class DelayAnswer:
    """The answer stops for a moment in its middle."""

    permille: int

    def apply(self, link: Link, passing: Passing) -> bool:
        link.pass_request(passing)
        data = link.read_answer(passing)
        offset = len(data) * self.permille // 1000
        link.client.sendall(data[:offset])
        link.ended.wait(_PAUSE)
        link.client.sendall(data[offset:])
        return True


@dataclass(frozen=True, slots=True)
class StutterAnswer:
    """Some bytes of the answer come twice."""

    permille: int

    def apply(self, link: Link, passing: Passing) -> bool:
        link.pass_request(passing)
        link.give(passing, _stuttered(link.read_answer(passing), self.permille, 20))
        link.close_half()
        return False


@dataclass(frozen=True, slots=True)
class AnswerTwice:
    """The answer comes, and then again: before the next request, or instead of its answer."""

    def apply(self, link: Link, passing: Passing) -> bool:
        link.pass_request(passing)
        data = link.read_answer(passing)
        link.give(passing, data + data)
        return True


@dataclass(frozen=True, slots=True)
class AnswerOtherwise:
    """The registry does its work, and something before it says otherwise."""

    data: bytes

    def apply(self, link: Link, passing: Passing) -> bool:
        link.pass_request(passing)
        link.read_answer(passing)
        link.give(passing, self.data)
        link.close_half()
        return False


@dataclass(frozen=True, slots=True)
class Call:
    """Something happens after that much of the body; the request goes on as if nothing had."""

    what: Callable[[], object]
    permille: int

    def apply(self, link: Link, passing: Passing) -> bool:
        link.pass_until(passing, passing.body_offset(self.permille))
        self.what()
        if passing.length == 0:
            link.registry.sendall(passing.head)
        link.registry.sendall(link.read_body())
        link.give(passing, link.read_answer(passing))
        return True


KINDS: dict[str, Callable[[int], Fault]] = {
    "reset": lambda permille: BreakBody("reset", permille),
    "half-close": lambda permille: BreakBody("close", permille),
    "stall": lambda permille: BreakBody("stall", permille),
    "truncated": Truncate,
    "delayed": DelayBody,
    "bytes twice": StutterBody,
    "request twice": lambda permille: Replay(),
    **{
        f"{name} instead": lambda permille, data=data: AnswerInstead(data, permille)  # type: ignore[misc]
        for name, data in ANSWERS.items()
    },
    "answer reset": lambda permille: BreakAnswer("reset", permille),
    "answer cut": lambda permille: BreakAnswer("close", permille),
    "answer stalled": lambda permille: BreakAnswer("stall", permille),
    "answer lost": lambda permille: BreakAnswer("reset", 0),
    "answer delayed": DelayAnswer,
    "answer's bytes twice": StutterAnswer,
    "answer twice": lambda permille: AnswerTwice(),
    "500 after work": lambda permille: AnswerOtherwise(ANSWERS["500"]),
    "502 after work": lambda permille: AnswerOtherwise(ANSWERS["502"]),
    "503 after work": lambda permille: AnswerOtherwise(ANSWERS["503"]),
}
"""Every fault by its name, at a place in thousandths."""


def _stuttered(data: bytes, permille: int, count: int = _SLICE) -> bytes:
    end = max(len(data) * permille // 1000, min(count, len(data)))
    return data[:end] + data[end - min(count, end) :]


def _end(link: Link, how: str) -> None:
    if how == "reset":
        link.reset()
    elif how == "close":
        link.close_half()
    else:
        link.stall()
