"""A server that does on each connection exactly what a test says, bytes and all."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass

from tests.parts.server import Server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came over the wire."""

    head: bytes
    body: bytes

    @property
    def line(self) -> bytes:
        """The request line."""
        return self.head.split(b"\r\n", 1)[0]

    def fields(self, name: bytes) -> list[bytes]:
        """Every value of the header `name`."""
        pairs = (line.partition(b":") for line in self.head.split(b"\r\n")[1:])
        return [value.strip() for key, _, value in pairs if key.lower() == name.lower()]


class Peer:
    """The server's end of one connection."""

    def __init__(self, connection: socket.socket, ended: Callable[[], object]) -> None:
        self.connection = connection
        self.wait_for_the_end = ended
        self._buffer = b""

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes, fewer where the client ends."""
        while len(self._buffer) < count and self._fill(count - len(self._buffer)):
            pass
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def read_head(self) -> bytes:
        """A request's head without its last empty line; empty where the client ends."""
        while b"\r\n\r\n" not in self._buffer and self._fill(65536):
            pass
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    def read_request(self) -> Received | None:
        """A whole request, None where the client ends."""
        head = self.read_head()
        if not head:
            return None
        received = Received(head, b"")
        lengths = received.fields(b"Content-Length")
        return Received(head, self.read(int(lengths[0]))) if lengths else received

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def reset(self) -> None:
        """End the connection with RST."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    def read_to_the_end(self) -> None:
        """Until the client closes."""
        while self._fill(1 << 20):
            self._buffer = b""

    def _fill(self, room: int) -> bool:
        data = self.connection.recv(min(room, 1 << 20))
        self._buffer += data
        return bool(data)


Script = Callable[[Peer], None]


class ScriptedServer(Server):
    """Plays one script after the other, a connection each; the last one for all that follow."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self._scripts = list(scripts)

    def serve(self, connection: socket.socket) -> None:
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        script(Peer(connection, self.ended.wait))


def answering(answer: bytes, log: list[Received] | None = None) -> Script:
    """Reads each request to its end and gives it `answer`."""

    def play(peer: Peer) -> None:
        while (received := peer.read_request()) is not None:
            if log is not None:
                log.append(received)
            peer.send(answer)

    return play


def answering_early(answer: bytes, after: int, then: Script) -> Script:
    """Answers when `after` bytes of the body have come."""

    def play(peer: Peer) -> None:
        peer.read_head()
        peer.read(after)
        peer.send(answer)
        then(peer)

    return play


def saying(data: bytes) -> Script:
    """Says `data` to each request and hangs up."""

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(data)

    return play


def silent(peer: Peer) -> None:
    """Reads all that comes and never answers."""
    peer.read_to_the_end()


def deaf(peer: Peer) -> None:
    """Neither reads nor answers."""
    peer.wait_for_the_end()
