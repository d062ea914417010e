"""Bodies that are still being made, answers that go elsewhere, and sockets without a network."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from idpbuilder.wire import Completion, FailureKind, Request, Trust
from tests.parts.certificates import Certificates
from tests.transport.conftest import Finish, MakeEngine
from tests.transport.scripted import CREATED, OK, Peer, Received, ScriptedServer, answering


class Growing:
    """A body that grows as the test says."""

    def __init__(self) -> None:
        self.data = b""
        self.whole = False
        self.opened = 0

    @property
    def size(self) -> int | None:
        return len(self.data) if self.whole else None

    def open(self) -> Growing.Reader:
        self.opened += 1
        return self.Reader(self)

    class Reader:
        """Reads what is there."""

        def __init__(self, body: Growing) -> None:
            self.body, self.position = body, 0

        def readinto(self, buffer: memoryview) -> int | None:
            part = self.body.data[self.position : self.position + len(buffer)]
            if not part:
                return 0 if self.body.whole else None
            buffer[: len(part)] = part
            self.position += len(part)
            return len(part)

        def close(self) -> None:
            pass


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.data, self.error = b"", error

    def write(self, data: bytes) -> None:
        if self.error:
            raise self.error
        self.data += data


def dechunked(peer: Peer) -> bytes:
    """A chunked body (RFC 9112, 7.1)."""
    body = b""
    while True:
        line = b""
        while not line.endswith(b"\r\n"):
            line += peer.read(1)
        size = int(line, 16)
        body += peer.read(size)
        peer.read(2)
        if not size:
            return body


def test_a_growing_body_is_sent_in_chunks_as_it_grows(make_engine: MakeEngine) -> None:
    received: list[tuple[Received, bytes]] = []

    def play(peer: Peer) -> None:
        head = Received(peer.read_head(), b"")
        received.append((head, dechunked(peer)))
        peer.send(CREATED)

    # a limit far below the test's own pauses: a body of our own making never stalls
    engine, body = make_engine(stall_seconds=0.01), Growing()
    with ScriptedServer(play) as server:
        ticket = engine.submit(Request("PATCH", f"{server.url}/", body=body))
        while not body.opened:
            engine.poll(0.01)
        assert engine.poll(0.05) == []
        for part in (b"one", b"two" * 100_000):
            body.data += part
            engine.wake()
            while engine.sent(ticket) < len(body.data):
                assert engine.poll(1.0) == []
        body.whole = True
        engine.wake()
        done: list[Completion] = []
        while not done:
            done = engine.poll(1.0)
    assert done[0].response is not None
    assert (done[0].sent, done[0].body_complete) == (300_003, True)
    ((head, content),) = received
    assert head.fields(b"Transfer-Encoding") == [b"chunked"]
    assert head.fields(b"Content-Length") == head.fields(b"Expect") == []
    assert content == body.data


def test_a_wake_beside_the_answer_that_ends_a_growing_body_is_no_trouble(
    make_engine: MakeEngine,
) -> None:
    answered, seen = threading.Event(), threading.Event()

    def play(peer: Peer) -> None:
        peer.read_head()
        seen.wait(10)
        peer.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        peer.connection.shutdown(socket.SHUT_WR)
        answered.set()
        peer.wait_for_the_end()

    engine, body = make_engine(), Growing()
    with ScriptedServer(play) as server:
        body.data = b"one"
        ticket = engine.submit(Request("PATCH", f"{server.url}/", body=body))
        while engine.sent(ticket) < 3:
            engine.poll(0.01)
        # starved by now, and asked again in the very turn in which the answer is read
        assert engine.poll(0.02) == []
        seen.set()
        assert answered.wait(10)
        body.data += b"two"
        engine.wake()
        done: list[Completion] = []
        while not done:
            done = engine.poll(1.0)
    assert done[0].response is not None
    assert (done[0].response.status, done[0].body_complete) == (503, False)


def test_an_answer_before_a_growing_body_has_ended_is_not_a_whole_body(
    make_engine: MakeEngine,
) -> None:
    def play(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    engine, body = make_engine(), Growing()
    with ScriptedServer(play) as server:
        engine.submit(Request("PATCH", f"{server.url}/", body=body))
        done: list[Completion] = []
        while not done:
            done = engine.poll(1.0)
    assert done[0].response is not None
    assert done[0].response.status == 413
    assert not done[0].body_complete


def test_a_wake_from_another_thread_brings_the_rest(make_engine: MakeEngine) -> None:
    engine, body = make_engine(), Growing()
    received: list[bytes] = []

    def play(peer: Peer) -> None:
        peer.read_head()
        received.append(dechunked(peer))
        peer.send(CREATED)

    def grow() -> None:
        for number in range(50):
            body.data += bytes([number]) * 1000
            engine.wake()
        body.whole = True
        engine.wake()

    with ScriptedServer(play) as server:
        engine.submit(Request("PATCH", f"{server.url}/", body=body))
        thread = threading.Thread(target=grow)
        thread.start()
        done: list[Completion] = []
        while not done:
            done = engine.poll(5.0)
        thread.join()
    assert received == [body.data]


def test_a_success_goes_into_the_sink_and_a_refusal_is_kept(
    make_engine: MakeEngine, finish: Finish
) -> None:
    refused = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"
    sinks = Kept(), Kept()
    for answer, sink in zip((OK, refused), sinks, strict=True):
        with ScriptedServer(answering(answer)) as server:
            (done,) = finish(make_engine(), Request("GET", f"{server.url}/", sink=sink))
        assert done.response is not None
        assert done.response.body == (b"" if answer is OK else b"none")
    assert [sink.data for sink in sinks] == [b"ok", b""]


def test_a_sink_that_is_full_ends_the_request_and_is_named(
    make_engine: MakeEngine, finish: Finish
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with ScriptedServer(answering(OK)) as server:
        (done,) = finish(make_engine(), Request("GET", f"{server.url}/", sink=Kept(full)))
    assert done.failure is not None
    assert done.failure.kind is FailureKind.SINK
    assert done.failure.cause is full
    assert "no space left" in done.failure.message


@pytest.fixture
def unix_server(tmp_path: Path) -> Iterator[tuple[str, list[bytes]]]:
    """A socket path whose server answers each request, and the request lines it has seen."""
    path, lines = str(tmp_path / "engine.sock"), list[bytes]()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        data = connection.recv(65536)
                        if not data:
                            break
                        head += data
                    lines.append(head.split(b"\r\n")[0])
                    connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

        threading.Thread(target=serve, daemon=True).start()
        yield path, lines
        # closing alone does not wake who accepts
        listener.shutdown(socket.SHUT_RDWR)


def test_a_unix_socket_is_reached_whatever_proxies_there_are(
    unix_server: tuple[str, list[bytes]],
    make_engine: MakeEngine,
    finish: Finish,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, lines = unix_server
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    request = Request("GET", "http://docker/v1.24/info", unix_socket=path)
    (done,) = finish(make_engine(), request)
    assert done.response is not None
    assert done.response.body == b"ok"
    assert lines == [b"GET /v1.24/info HTTP/1.1"]


def test_a_unix_socket_that_is_not_there_is_a_failure_to_connect(
    make_engine: MakeEngine, finish: Finish, tmp_path: Path
) -> None:
    missing = str(tmp_path / "none.sock")
    (done,) = finish(make_engine(), Request("GET", "http://docker/", unix_socket=missing))
    assert done.failure is not None
    assert done.failure.kind is FailureKind.CONNECT


def test_a_patient_request_waits_for_its_answer_as_long_as_it_takes(
    make_engine: MakeEngine,
) -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(OK.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        peer.wait_for_the_end()

    ahead = [0.0]
    engine = make_engine(lambda: time.monotonic() + ahead[0], answer_seconds=1.0)
    with ScriptedServer(play) as server:
        engine.submit(Request("GET", f"{server.url}/", patient=True))
        while not server.connections:
            engine.poll(0.01)
        for _ in range(3):
            assert engine.poll(0.05) == []
            ahead[0] += 10_000.0


def test_a_bundle_of_its_own_takes_the_place_of_the_systems(
    certificates: Certificates, make_engine: MakeEngine, finish: Finish, tmp_path: Path
) -> None:
    context = certificates.server.server_context(client_ca=certificates.ca)
    pair = (str(certificates.client.cert), str(certificates.client.key))
    with ScriptedServer(answering(OK), tls=context) as server:
        trusted = Trust(only=str(certificates.ca), client=pair)
        (done,) = finish(make_engine(), Request("GET", f"{server.url}/", trust=trusted))
        assert done.response is not None
        missing = Trust(only=str(tmp_path / "none.pem"))
        (done,) = finish(make_engine(), Request("GET", f"{server.url}/", trust=missing))
        assert done.failure is not None
        assert done.failure.kind is FailureKind.SETUP
