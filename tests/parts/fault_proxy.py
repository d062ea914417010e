"""A proxy that breaks things between the command and a real registry.

It passes bytes on as they come and knows just enough of HTTP/1.1 to tell which request of a push
it is at. What it does to one of them is a `Fault` (`proxy_faults.py`).
"""

from __future__ import annotations

import io
import itertools
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from tests.parts.server import Server, listen_out

PIECE = 64 * 1024
_UNKNOWN_LENGTH = 1_000_000
"""Bytes that a body without a length is taken to have where a place in it is wanted."""

# what a request of a push is for, by its method and its path
_PLACES = (
    ("root", "HEAD", r"/manifests/(?!sha)"),
    ("child", "HEAD", r"/manifests/sha"),
    ("manifest", "PUT", r"/manifests/"),
    ("read back", "GET", r"/manifests/"),
    ("start", "POST", r"/blobs/uploads/"),
    ("send", "PUT", r"/blobs/uploads/"),
    ("stream", "PATCH", r"/blobs/uploads/"),
    ("status", "GET", r"/blobs/uploads/"),
    ("cancel", "DELETE", r"/blobs/uploads/"),
    ("check", "HEAD", r"/blobs/sha"),
)


class ConnectionOver(ConnectionError):
    """One of the two sides has gone."""


@dataclass(slots=True)
class Passing:
    """A request on its way through, the `index`th of all that came to the proxy.

    `length` is its body's in bytes, None where it does not say, and `came` what came of it.
    `status` is what the client was answered last, 0 for nothing; `faulted`: something was done.
    """

    index: int
    method: str
    path: str
    head: bytes
    length: int | None
    came: int = 0
    status: int = 0
    faulted: bool = False

    @property
    def place(self) -> str:
        """What it is for."""
        for name, method, path in _PLACES:
            if self.method == method and re.search(path, self.path):
                return name
        return "other"

    def body_offset(self, permille: int) -> int:
        """That far into the body, in bytes."""
        length = _UNKNOWN_LENGTH if self.length is None else self.length
        return length * permille // 1000


class Fault(Protocol):
    """What is done to a request; `apply` says whether the connection may live on."""

    def apply(self, link: Link, passing: Passing) -> bool:
        """Treat it. OSError ends the connection."""


class Plan(Protocol):
    """To which requests something is done, and what."""

    @property
    def fault(self) -> Fault:
        """What is done."""

    def meets(self, passing: Passing, number: int) -> bool:
        """Whether it is this one's turn, the `number`th for its place. Asked by many threads."""


class Link:
    """A client's connection, and the one to the registry that belongs to it."""

    def __init__(self, client: socket.socket, registry: socket.socket, proxy: FaultProxy) -> None:
        self.client = client
        self.registry = registry
        self.ended = proxy.ended
        self._asked = client.makefile("rb")
        self._answered = registry.makefile("rb")
        self._body: Iterator[bytes] = iter(())

    def next_request(self, numbers: Iterator[int]) -> Passing | None:
        """The next request's head; None where the client has no more."""
        head = _head(self._asked)
        if not head:
            return None
        method, path, _ = head.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)
        chunked = _field(head, b"transfer-encoding") == b"chunked"
        length = None if chunked else int(_field(head, b"content-length") or 0)
        passing = Passing(next(numbers), method, path, head, length)
        self._body = self._pieces(passing)
        return passing

    # -- towards the registry

    def pass_request(self, passing: Passing) -> None:
        """The whole request."""
        self.registry.sendall(passing.head)
        for piece in self._body:
            self.registry.sendall(piece)

    def pass_until(self, passing: Passing, offset: int) -> None:
        """The head and so many bytes of the body; nothing at all of a request without one."""
        if passing.length == 0:
            return
        self.registry.sendall(passing.head)
        for piece in self._first(offset):
            self.registry.sendall(piece)

    def read_body(self, offset: int | None = None) -> bytes:
        """What is left of the body, or so many bytes of it, kept from the registry."""
        return b"".join(self._body if offset is None else self._first(offset))

    def _first(self, count: int) -> Iterator[bytes]:
        while count > 0:
            piece = next(self._body, b"")
            if not piece:
                return
            yield piece[:count]
            if len(piece) > count:
                self._body = itertools.chain((piece[count:],), self._body)
            count -= len(piece)

    # -- towards the client

    def read_answer(self, passing: Passing) -> bytes:
        """The registry's whole answer, as it came."""
        head = _head(self._answered)
        if not head:
            raise ConnectionOver("the registry has gone")
        status = head.split(b" ", 2)[1]
        if passing.method == "HEAD" or status in (b"204", b"304"):
            return head
        if _field(head, b"transfer-encoding") == b"chunked":
            return head + b"".join(_chunks(self._answered))
        return head + self._answered.read(int(_field(head, b"content-length") or 0))

    def give(self, passing: Passing, answer: bytes) -> None:
        """Answer the client."""
        self.client.sendall(answer)
        words = answer.split(b" ", 2)
        if len(words) > 1 and words[1].isdigit():
            passing.status = int(words[1])

    # -- endings

    def reset(self) -> None:
        """End the client's connection with RST."""
        linger = struct.pack("ii", 1, 0)
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._asked.close()
        self.client.close()

    def close_half(self) -> None:
        """FIN to the client, who may still speak."""
        self.registry.close()
        listen_out(self.client)

    def stall(self) -> None:
        """Nothing moves any more, until the proxy ends."""
        self.ended.wait()

    def close(self) -> None:
        """Give back what is held."""
        self._asked.close()
        self._answered.close()

    def _pieces(self, passing: Passing) -> Iterator[bytes]:
        if passing.length is None:
            for piece in _chunks(self._asked):
                passing.came += len(piece)
                yield piece
            return
        left = passing.length
        while left:
            piece = self._asked.read1(min(left, PIECE))
            if not piece:
                raise ConnectionOver("the client has gone")
            left -= len(piece)
            passing.came += len(piece)
            yield piece


@dataclass(frozen=True, slots=True)
class Planned:
    """`fault` meets the request `index`, and with `ever` all after it; or the `index`th request
    that is for `place`, and all such after it.
    """

    fault: Fault
    index: int = 0
    place: str = ""
    ever: bool = False

    def meets(self, passing: Passing, number: int) -> bool:
        """Whether it is this one's turn, the `number`th for its place."""
        if self.place and passing.place != self.place:
            return False
        count = number if self.place else passing.index
        return count >= self.index if self.ever else count == self.index


class FaultProxy(Server):
    """Passes on what comes to a free loopback port to the loopback port `target`, with faults.

    `passed` holds every request that came, in order.
    """

    def __init__(self, target: int, *planned: Plan) -> None:
        super().__init__()
        self.passed: list[Passing] = []
        self._target = target
        self._planned = planned
        self._numbers = itertools.count()
        self._places: dict[str, int] = {}

    @property
    def body_bytes(self) -> int:
        """Bytes of bodies that came from the client so far."""
        return sum(passing.came for passing in self.passed)

    @property
    def hit(self) -> list[Passing]:
        """The requests to which something was done."""
        return [passing for passing in self.passed if passing.faulted]

    def serve(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._target)) as registry:
            registry.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(connection, registry, self)
            try:
                while passing := link.next_request(self._numbers):
                    if not self._carry(link, passing):
                        return
            finally:
                link.close()

    def _carry(self, link: Link, passing: Passing) -> bool:
        """Pass one request on, or do to it what is planned; whether the connection lives on."""
        with self._lock:
            number = self._places.get(passing.place, 0)
            self._places[passing.place] = number + 1
            self.passed.append(passing)
        for planned in self._planned:
            if planned.meets(passing, number):
                passing.faulted = True
                return planned.fault.apply(link, passing)
        link.pass_request(passing)
        link.give(passing, link.read_answer(passing))
        return True


def _head(stream: io.BufferedReader) -> bytes:
    """All up to and with the empty line; nothing where the other side said no more."""
    lines = []
    while line := stream.readline(PIECE):
        lines.append(line)
        if line == b"\r\n":
            return b"".join(lines)
    return b""


def _field(head: bytes, name: bytes) -> bytes:
    """The value of a header field, in lower case; empty where there is none."""
    found = re.search(rb"(?mi)^" + name + rb":[ \t]*([^\r\n]*)", head)
    return found[1].strip().lower() if found else b""


def _chunks(stream: io.BufferedReader) -> Iterator[bytes]:
    """A chunked body as it is on the wire, frames and all (RFC 9112, 7.1)."""
    size = -1
    while size:
        line = stream.readline(PIECE)
        if not line.endswith(b"\r\n"):
            raise ConnectionOver("a chunked body ended early")
        size = int(line.partition(b";")[0], 16)
        yield line
        left = size + 2
        while left:
            piece = stream.read1(min(left, PIECE))
            if not piece:
                raise ConnectionOver("a chunked body ended early")
            left -= len(piece)
            yield piece
