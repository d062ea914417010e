"""A threaded server on a free loopback port: the floor under every double in these tests."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from types import TracebackType
from typing import TypeVar

S = TypeVar("S", bound="Server")
PATIENCE = 2.0
"""Seconds for which a server that has said its last still listens."""


class Server:
    """Serves each connection in a thread of its own, until the `with` block ends.

    What a connection's thread raises, other than the client's going away, is a fault of the test
    itself and is raised at the end of the block.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> None:
        self.ended = threading.Event()
        self.connections = 0
        self._tls = tls
        self._address = address
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._crashes: list[Exception] = []
        self._listener: socket.socket | None = None

    def serve(self, connection: socket.socket) -> None:
        """One connection, from its first byte to its last. OSError ends it quietly."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        """The port that was free."""
        assert self._listener is not None, "the server listens inside its `with` block only"
        return int(self._listener.getsockname()[1])

    @property
    def host(self) -> str:
        """`address:port`, as in an image's name."""
        address = f"[{self._address}]" if ":" in self._address else self._address
        return f"{address}:{self.port}"

    @property
    def other_host(self) -> str:
        """The same server under another name."""
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        """The server with its scheme, no slash at the end."""
        return f"{self.scheme}://{self.host}"

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return "https" if self._tls else "http"

    def __enter__(self: S) -> S:
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        self._listener = socket.create_server((self._address, 0), family=family, backlog=128)
        self._start(self._accept, self._listener)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._listener is not None
        self.ended.set()
        # a connection is what wakes `accept` on every system
        with contextlib.suppress(OSError), socket.create_connection(self._listener.getsockname()):
            pass
        with self._lock:
            for connection in self._open:
                _hang_up(connection)
        for thread in self._threads:
            thread.join()
        self._listener.close()
        if self._crashes and error is None:
            raise self._crashes[0]

    def _start(self, job: object, connection: socket.socket) -> None:
        thread = threading.Thread(target=job, args=(connection,), daemon=True)  # type: ignore[arg-type]
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            if self.ended.is_set():
                connection.close()
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(self._run, connection)

    def _run(self, connection: socket.socket) -> None:
        try:
            if self._tls:
                connection = self._tls.wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                )
            self._enter(connection)
            if isinstance(connection, ssl.SSLSocket):
                self._shake_hands(connection)
            self.serve(connection)
        except OSError:
            pass  # the client may go away, or not like the certificate
        except Exception as error:
            self._crashes.append(error)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _shake_hands(self, connection: ssl.SSLSocket) -> None:
        try:
            connection.do_handshake()
        except ssl.SSLError:
            # a close with unread bytes would be a reset, and cost the client the alert
            listen_out(connection)
            raise

    def _enter(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            self._open.add(connection)
        if self.ended.is_set():
            _hang_up(connection)


def listen_out(connection: socket.socket) -> None:
    """Say no more, and drop what the client still says, for a while."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_WR)
        connection.settimeout(PATIENCE)
        while socket.socket.recv(connection, 1 << 16):
            pass


def _hang_up(connection: socket.socket) -> None:
    # past SSLSocket.shutdown, which would pull the TLS layer from under the thread that reads
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
