"""One request as a server sees it, and its answer."""

from __future__ import annotations

import base64
import binascii
import http
import io
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tests.parts.server import listen_out

PIECE = 256 * 1024


class ClientGone(ConnectionError):
    """The connection ended before the request did."""


@dataclass(slots=True)
class Received:
    """A request: `path` as it was sent, header names in lower case.

    `body_length` counts the bytes that were read, `status` is what was answered last (0: nothing).
    Only forms are kept as text.
    """

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    connection: int
    body_length: int = 0
    status: int = 0
    form: dict[str, list[str]] = field(default_factory=dict)
    at: float = field(default_factory=time.monotonic)

    @property
    def authorization(self) -> str | None:
        """The header of that name."""
        return self.headers.get("authorization")

    @property
    def basic(self) -> tuple[str, str] | None:
        """User and password of Basic authentication."""
        scheme, _, value = (self.authorization or "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, _, password = base64.b64decode(value).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return user, password

    def first(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next(iter(self.query.get(name, ())), None)


class Exchange:
    """A request whose body has not been read, and the connection to answer on."""

    def __init__(
        self,
        request: Received,
        connection: socket.socket,
        stream: io.BufferedReader,
        ended: threading.Event,
    ) -> None:
        self.request = request
        self.ended = ended
        self.closed = False
        self.muted = False
        self.cut_after: int | None = None
        self._connection = connection
        self._stream = stream
        self._room = PIECE
        self._body = self._pieces()

    @classmethod
    def read(
        cls,
        connection: socket.socket,
        stream: io.BufferedReader,
        ended: threading.Event,
        number: int,
    ) -> Exchange | None:
        """The next request of a connection, or None at its end."""
        start = stream.peek(1)[:1]
        if not start:
            return None
        if not start.isalpha():
            # a TLS hello, most of all: a plain HTTP server answers so
            connection.sendall(b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\nno HTTP\n")
            return None
        method, target, _ = _line(stream).split(" ", 2)
        headers: dict[str, str] = {}
        while line := _line(stream):
            name, _, value = line.partition(":")
            key = name.lower()
            headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
        url = urlsplit(target)
        query = parse_qs(url.query, keep_blank_values=True)
        return cls(Received(method, url.path, query, headers, number), connection, stream, ended)

    def read_body(
        self, sink: Callable[[memoryview], object] | None = None, limit: int | None = None
    ) -> None:
        """Hand the body, or its next `limit` bytes, to `sink`. Raises ClientGone."""
        stop = None if limit is None else self.request.body_length + limit
        while stop is None or self.request.body_length < stop:
            self._room = PIECE if stop is None else min(PIECE, stop - self.request.body_length)
            if self.cut_after is not None:
                self._room = min(self._room, self.cut_after - self.request.body_length)
                if not self._room:
                    raise ClientGone
            piece = next(self._body, None)
            if piece is None:
                return
            self.request.body_length += len(piece)
            if sink is not None:
                sink(piece)

    def body(self) -> bytes:
        """The whole body. Raises ClientGone."""
        data = bytearray()
        self.read_body(data.extend)
        return bytes(data)

    def answer(
        self,
        status: int,
        body: bytes | str | Mapping[str, object] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send an answer; a mapping goes out as JSON. A HEAD gets the headers alone."""
        if self.muted:
            return
        self.request.status = status
        if isinstance(body, Mapping):
            headers = {"Content-Type": "application/json", **(headers or {})}
            body = json.dumps(body)
        data = body.encode() if isinstance(body, str) else body
        reason = http.HTTPStatus(status).phrase if status in _KNOWN else "Unknown"
        lines = [f"HTTP/1.1 {status} {reason}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        given = {name.lower() for name in headers or {}}
        if status >= 200 and status != 204 and "content-length" not in given:
            lines.append(f"Content-Length: {len(data)}")
        content = b"" if self.request.method == "HEAD" else data
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + content)

    def send(self, data: bytes) -> None:
        """Raw bytes."""
        self._connection.sendall(data)

    def reset(self) -> None:
        """End the connection with RST."""
        self.closed = True
        linger = struct.pack("ii", 1, 0)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._stream.close()
        self._connection.close()

    def hang(self) -> None:
        """Neither read nor answer until the server ends."""
        self.closed = True
        self.ended.wait()

    def close_half(self) -> None:
        """Say no more, but listen on: a close with unread bytes would be a reset."""
        self.closed = True
        listen_out(self._connection)

    def _pieces(self) -> Iterator[memoryview]:
        headers = self.request.headers
        buffer = memoryview(bytearray(PIECE))
        if headers.get("expect", "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" not in headers.get("transfer-encoding", ""):
            yield from self._span(int(headers.get("content-length", "0")), buffer)
            return
        while size := int(_line(self._stream).partition(";")[0], 16):
            yield from self._span(size, buffer)
            _line(self._stream)
        while _line(self._stream):
            pass

    def _span(self, size: int, buffer: memoryview) -> Iterator[memoryview]:
        while size:
            count = self._stream.readinto1(buffer[: min(size, self._room)])
            if not count:
                raise ClientGone("the body ended early")
            size -= count
            yield buffer[:count]


_KNOWN = frozenset(int(status) for status in http.HTTPStatus)


def _line(stream: io.BufferedReader) -> str:
    line = stream.readline(1 << 16)
    if not line.endswith(b"\n"):
        raise ClientGone("the request ended early")
    return line.decode("latin-1").rstrip("\r\n")
