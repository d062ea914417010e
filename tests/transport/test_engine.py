from __future__ import annotations

import errno
import gc
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from idpbuilder import __version__
from idpbuilder.transport.curl import CurlEngine
from idpbuilder.transport.libcurl import curl_version
from idpbuilder.transport.settings import EngineSettings
from idpbuilder.transport.transfer import Transfer
from idpbuilder.wire import (
    BodyReader,
    BytesBody,
    FailureKind,
    Region,
    RegionBody,
    Request,
    Response,
)
from tests.transport.conftest import Finish, MakeEngine
from tests.transport.scripted import (
    CREATED,
    OK,
    Peer,
    Received,
    ScriptedServer,
    answering,
    saying,
    silent,
)

MIB = 1024 * 1024


def test_an_answer_comes_with_status_headers_and_body(engine: CurlEngine, finish: Finish) -> None:
    text = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nX-A: 1\r\nx-a: 2\r\n\r\ngone"
    with ScriptedServer(answering(text)) as server:
        url = f"{server.url}/v2/"
        (done,) = finish(engine, Request("GET", url))
    response = done.response
    assert response is not None
    assert (response.status, response.body) == (404, b"gone")
    assert response.headers.get_all("X-A") == ("1", "2")
    assert response.url == url
    assert (done.failure, done.sent, done.body_complete) == (None, 0, True)
    assert done.seconds > 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_only_what_was_asked_is_on_the_wire(
    engine: CurlEngine, finish: Finish, method: str
) -> None:
    log: list[Received] = []
    with ScriptedServer(answering(b"HTTP/1.1 204 No Content\r\n\r\n", log)) as server:
        finish(engine, Request(method, f"{server.url}/v2/?a=b", (("Authorization", "Basic eA=="),)))
        host = server.host
    (received,) = log
    lines = received.head.decode().split("\r\n")
    assert lines[0] == f"{method} /v2/?a=b HTTP/1.1"
    length = ["Content-Length: 0"] if method in ("POST", "PUT", "PATCH") else []
    agent = f"User-Agent: idpbuilder-push/{__version__}"
    assert sorted(lines[1:]) == sorted(
        [f"Host: {host}", agent, "Authorization: Basic eA==", *length]
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("size", [0, 1, 100_000, 3 * MIB + 1])
def test_a_body_arrives_whole(engine: CurlEngine, finish: Finish, method: str, size: int) -> None:
    data = os.urandom(size)
    log: list[Received] = []
    with ScriptedServer(answering(CREATED, log)) as server:
        (done,) = finish(engine, Request(method, f"{server.url}/", body=BytesBody(data)))
    assert done.response is not None
    assert (done.sent, done.body_complete) == (size, True)
    assert log[0].body == data
    assert log[0].fields(b"Content-Length") == [str(size).encode()]
    assert log[0].fields(b"Expect") == log[0].fields(b"Content-Type") == []


def test_bodies_sent_at_once_are_not_mixed_up(engine: CurlEngine, finish: Finish) -> None:
    bodies = [bytes([number]) * (2 * MIB + number) for number in range(8)]
    log: list[Received] = []
    with ScriptedServer(answering(CREATED, log)) as server:
        finish(engine, *(Request("PUT", f"{server.url}/", body=BytesBody(body)) for body in bodies))
    assert sorted(received.body for received in log) == sorted(bodies)


def test_a_region_of_a_file_is_sent(engine: CurlEngine, finish: Finish, tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(b"0123456789")
    log: list[Received] = []
    with ScriptedServer(answering(CREATED, log)) as server:
        body = RegionBody(Region(str(path), 3, 4))
        finish(engine, Request("PUT", f"{server.url}/", body=body))
    assert log[0].body == b"3456"


def test_a_content_type_is_only_what_the_request_says(engine: CurlEngine, finish: Finish) -> None:
    log: list[Received] = []
    with ScriptedServer(answering(OK, log)) as server:
        headers = (("Content-Type", "application/octet-stream"), ("X-Empty", ""))
        finish(engine, Request("POST", f"{server.url}/", headers, BytesBody(b"x")))
    assert log[0].fields(b"Content-Type") == [b"application/octet-stream"]
    assert log[0].fields(b"X-Empty") == [b""]


def test_a_path_is_sent_as_it_is(engine: CurlEngine, finish: Finish) -> None:
    log: list[Received] = []
    with ScriptedServer(answering(OK, log)) as server:
        finish(engine, Request("GET", f"{server.url}/a/../b/./%7E?x=%2F&y=[]{{}}"))
    assert log[0].line == b"GET /a/../b/./%7E?x=%2F&y=[]{} HTTP/1.1"


def test_redirects_are_not_followed_and_cookies_not_kept(
    engine: CurlEngine, finish: Finish
) -> None:
    log: list[Received] = []
    answer = b"HTTP/1.1 307 Go\r\nLocation: /else\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    with ScriptedServer(answering(answer, log)) as server:
        for _ in range(2):
            (done,) = finish(engine, Request("GET", f"{server.url}/"))
            assert done.response is not None
            assert done.response.status == 307
    assert [received.line for received in log] == [b"GET / HTTP/1.1"] * 2
    assert log[1].fields(b"Cookie") == []


def test_a_connection_serves_one_request_after_the_other(
    engine: CurlEngine, finish: Finish
) -> None:
    with ScriptedServer(answering(OK)) as server:
        for method in ("GET", "POST", "PUT", "DELETE") * 5:
            body = BytesBody(b"x") if method == "PUT" else None
            finish(engine, Request(method, f"{server.url}/", body=body))
        assert server.connections == 1


def test_no_more_connections_than_allowed(make_engine: MakeEngine, finish: Finish) -> None:
    engine = make_engine(connections=3)
    with ScriptedServer(answering(OK)) as server:
        done = finish(engine, *(Request("GET", f"{server.url}/{n}") for n in range(40)))
        assert server.connections == 3
    assert all(completion.response for completion in done)


def test_interim_answers_are_passed_over(engine: CurlEngine, finish: Finish) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    with ScriptedServer(answering(interim * 3 + OK)) as server:
        (done,) = finish(engine, Request("GET", f"{server.url}/"))
    assert done.response is not None
    assert done.response.status == 200
    assert list(done.response.headers) == [("content-length", "2")]


def test_an_answer_beyond_its_limit_is_cut_there(engine: CurlEngine, finish: Finish) -> None:
    text = b"HTTP/1.1 500 Oh\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000)
    with ScriptedServer(answering(text)) as server:
        for _ in range(2):
            (done,) = finish(engine, Request("GET", f"{server.url}/", answer_limit=10))
            assert done.response is not None
            assert done.response.body == bytes(10)
        assert server.connections == 1


def test_an_answer_without_end_is_left_and_still_delivered(
    engine: CurlEngine, finish: Finish
) -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:  # the client's going away ends this
            peer.send(bytes(MIB))

    with ScriptedServer(play) as server:
        (done,) = finish(engine, Request("GET", f"{server.url}/", answer_limit=10))
    assert done.response is not None
    assert done.response.body == bytes(10)


@pytest.mark.parametrize(
    "garbage",
    [
        b"220 mail.test ESMTP\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 400 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 300_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_is_a_protocol_failure(
    engine: CurlEngine, finish: Finish, garbage: bytes
) -> None:
    with ScriptedServer(saying(garbage)) as server:
        (done,) = finish(engine, Request("GET", f"{server.url}/"))
    assert done.failure is not None
    assert done.failure.kind is FailureKind.PROTOCOL


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request("GET", "ftp://127.0.0.1/"), "the URL is neither http nor https"),
        (Request("GET", "http://user:secret@127.0.0.1/"), "the URL holds a user name"),
        (Request("GET", "http://[::1/"), "the URL is malformed"),
        (Request("GET", "http://a b/"), "the URL is malformed"),
        (
            Request("GET", "http://127.0.0.1/\u20ac"),
            "the URL holds characters that HTTP cannot carry",
        ),
        (Request("BREW", "http://127.0.0.1/"), "the method `BREW` is unknown"),
        (
            Request("GET", "http://127.0.0.1/", (("A", "secret\r\nB: c"),)),
            "the value of the header `A` cannot be sent",
        ),
        (
            Request("GET", "http://127.0.0.1/", (("A", "\u20ac"),)),
            "a header holds characters that HTTP cannot carry",
        ),
    ],
)
def test_a_request_that_cannot_be_made_is_a_completion(
    engine: CurlEngine, finish: Finish, request_: Request, message: str
) -> None:
    (done,) = finish(engine, request_)
    assert done.failure is not None
    assert (done.failure.kind, done.failure.message) == (FailureKind.SETUP, message)


def test_a_name_without_an_address_cannot_be_resolved(engine: CurlEngine, finish: Finish) -> None:
    (done,) = finish(engine, Request("GET", "http://registry.invalid/"))
    assert done.failure is not None
    assert done.failure.kind is FailureKind.RESOLVE


# -- bodies that cannot be read


class FaultyBody:
    """Opens to a reader that raises `error` after `good` bytes, and remembers being closed."""

    size = 2 * MIB

    def __init__(self, error: BaseException | None, good: int) -> None:
        self.error, self.good, self.closed = error, good, 0

    def open(self) -> BodyReader:
        return self

    def readinto(self, buffer: memoryview) -> int:
        if not self.good and self.error:
            raise self.error
        count = min(len(buffer), self.good)
        self.good -= count
        return count

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("good", [0, MIB])
@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "Input/output error"), EOFError("short"), None]
)
def test_a_body_that_cannot_be_read_is_told_with_its_cause(
    engine: CurlEngine,
    finish: Finish,
    error: OSError | EOFError | None,
    good: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    body = FaultyBody(error, good)
    with ScriptedServer(silent) as server:
        (done,) = finish(engine, Request("PUT", f"{server.url}/", body=body))
    assert done.failure is not None
    assert done.failure.kind is FailureKind.BODY_READ
    assert done.failure.cause is error if error else isinstance(done.failure.cause, EOFError)
    assert (done.sent, done.body_complete) == (good, False)
    assert body.closed
    assert capfd.readouterr() == ("", "")


def test_a_file_that_cannot_be_opened_is_a_completion(engine: CurlEngine, finish: Finish) -> None:
    body = RegionBody(Region("/no/such/file", 0, 10))
    (done,) = finish(engine, Request("PUT", "http://127.0.0.1:9/", body=body))
    assert done.failure is not None
    assert done.failure.kind is FailureKind.BODY_READ
    assert isinstance(done.failure.cause, FileNotFoundError)
    assert done.failure.message == "`/no/such/file` cannot be read: No such file or directory"


def test_a_bug_in_a_reader_comes_out_of_poll(
    engine: CurlEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    body = FaultyBody(ZeroDivisionError("a bug"), 0)
    with ScriptedServer(silent) as server:
        engine.submit(Request("PUT", f"{server.url}/", body=body))
        with pytest.raises(ZeroDivisionError, match="a bug"):
            engine.poll(30.0)
        engine.close()
    assert body.closed
    assert capfd.readouterr() == ("", "")


def test_the_next_request_after_a_broken_body_gets_a_fresh_connection(
    engine: CurlEngine, finish: Finish
) -> None:
    log: list[Received] = []
    with ScriptedServer(silent, answering(OK, log)) as server:
        finish(engine, Request("PUT", f"{server.url}/", body=FaultyBody(OSError(), MIB)))
        (done,) = finish(engine, Request("GET", f"{server.url}/"))
        assert server.connections == 2
    assert done.response is not None
    assert [received.line for received in log] == [b"GET / HTTP/1.1"]


# -- polling, waking, counting, cancelling, closing


def test_poll_returns_when_its_time_is_over(engine: CurlEngine) -> None:
    assert engine.poll(0.0) == []
    assert engine.poll(0.01) == []


def test_wake_ends_a_poll_without_limit(engine: CurlEngine) -> None:
    engine.wake()
    assert engine.poll(None) == []


def test_wake_from_another_thread_ends_a_poll_without_limit(engine: CurlEngine) -> None:
    polling = threading.Event()

    def call() -> None:
        polling.wait()
        engine.wake()

    thread = threading.Thread(target=call)
    thread.start()
    polling.set()
    assert engine.poll(None) == []
    thread.join()


def test_wake_from_a_signal_handler_ends_a_poll_without_limit(engine: CurlEngine) -> None:
    before = signal.signal(signal.SIGALRM, lambda *_: engine.wake())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert engine.poll(None) == []
    finally:
        signal.signal(signal.SIGALRM, before)


def test_more_wakes_than_a_pipe_holds_block_nobody(engine: CurlEngine) -> None:
    for _ in range(200_000):
        engine.wake()
    assert engine.poll(None) == []


def test_wake_after_close_does_nothing(engine: CurlEngine) -> None:
    engine.close()
    engine.wake()


def test_sent_counts_while_the_body_goes_out(engine: CurlEngine) -> None:
    half_read, go_on = threading.Event(), threading.Event()

    def play(peer: Peer) -> None:
        peer.read_head()
        peer.read(32 * MIB)
        half_read.set()
        go_on.wait()
        peer.read(32 * MIB)
        peer.send(CREATED)

    with ScriptedServer(play) as server:
        ticket = engine.submit(Request("PUT", f"{server.url}/", body=BytesBody(bytes(64 * MIB))))
        assert engine.sent(ticket) == 0
        while not half_read.is_set():
            assert engine.poll(0.01) == []
        assert 32 * MIB <= engine.sent(ticket) < 64 * MIB
        go_on.set()
        (done,) = engine.poll(30.0)
    assert done.sent == 64 * MIB
    assert engine.sent(ticket) == 0


def test_a_cancelled_request_never_completes(engine: CurlEngine, finish: Finish) -> None:
    body = FaultyBody(None, 2 * MIB)
    with ScriptedServer(silent, answering(OK)) as server:
        ticket = engine.submit(Request("PUT", f"{server.url}/", body=body))
        while not engine.sent(ticket):
            engine.poll(0.01)
        engine.cancel(ticket)
        assert body.closed
        assert engine.sent(ticket) == 0
        (done,) = finish(engine, Request("GET", f"{server.url}/"))
        assert done.ticket != ticket
        engine.cancel(ticket)
        engine.cancel(12345)


def test_a_request_cancelled_in_line_is_never_sent(make_engine: MakeEngine) -> None:
    engine = make_engine(connections=1)
    log: list[Received] = []
    with ScriptedServer(answering(OK, log)) as server:
        tickets = [engine.submit(Request("GET", f"{server.url}/{n}")) for n in range(3)]
        engine.cancel(tickets[1])
        done = [engine.poll(30.0)[0].ticket for _ in range(2)]
    assert done == [tickets[0], tickets[2]]
    assert [received.line for received in log] == [b"GET /0 HTTP/1.1", b"GET /2 HTTP/1.1"]


def test_cancelling_makes_room_for_the_next(make_engine: MakeEngine) -> None:
    engine = make_engine(connections=1)
    with ScriptedServer(silent, answering(OK)) as server:
        first = engine.submit(Request("GET", f"{server.url}/1"))
        second = engine.submit(Request("GET", f"{server.url}/2"))
        while not server.connections:
            engine.poll(0.01)
        engine.cancel(first)
        (done,) = engine.poll(30.0)
    assert done.ticket == second


def test_a_request_that_has_ended_can_still_be_cancelled(engine: CurlEngine) -> None:
    ticket = engine.submit(Request("GET", "ftp://x/"))
    engine.cancel(ticket)
    assert engine.poll(0.0) == []


def descriptors() -> set[str]:
    return set(os.listdir("/dev/fd"))


def test_close_leaves_no_descriptor_and_may_be_called_twice(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(bytes(32 * MIB))
    before = len(descriptors())
    with ScriptedServer(silent) as server:
        engine = CurlEngine(EngineSettings(connections=4))
        body = RegionBody(Region(str(path), 0, 32 * MIB))
        for _ in range(8):
            engine.submit(Request("PUT", f"{server.url}/", body=body))
        while server.connections < 4:
            engine.poll(0.01)
        engine.close()
        engine.close()
    assert len(descriptors()) == before


def test_close_does_not_wait_for_a_name_server_that_does_not_answer(engine: CurlEngine) -> None:
    answered, closed = threading.Event(), threading.Event()
    multi = engine._multi

    class Resolving:
        def close(self) -> None:
            answered.wait()
            closed.set()

    engine._multi = Resolving()
    engine.close()
    assert not closed.is_set()
    answered.set()
    closed.wait()
    multi.close()


def test_a_thousand_requests_leave_nothing_behind(engine: CurlEngine, finish: Finish) -> None:
    def counts() -> tuple[int, int, int]:
        gc.collect()
        kept = [thing for thing in gc.get_objects() if isinstance(thing, Transfer | Response)]
        return len(kept), len(engine._spare) + len(engine._running), len(descriptors())

    with ScriptedServer(answering(OK)) as server:
        requests = [Request("PUT", f"{server.url}/", body=BytesBody(b"x")) for _ in range(32)]
        finish(engine, *requests)
        before = counts()
        for _ in range(1000 // len(requests)):
            finish(engine, *requests)
        assert counts() == before


def test_transfers_are_freed_without_the_garbage_collector(
    engine: CurlEngine, finish: Finish
) -> None:
    def transfers() -> int:
        return sum(isinstance(thing, Transfer) for thing in gc.get_objects())

    with ScriptedServer(answering(OK)) as server:
        gc.collect()
        gc.disable()
        try:
            before = transfers()
            finish(engine, *(Request("GET", f"{server.url}/") for _ in range(10)))
            assert transfers() == before
        finally:
            gc.enable()


def test_the_version_names_libcurl() -> None:
    name, _, version = curl_version().partition("/")
    assert name == "libcurl"
    assert version[0].isdigit()


# -- how fast


def test_a_limited_rate_is_not_exceeded(make_engine: MakeEngine, finish: Finish) -> None:
    start = time.monotonic()
    engine = make_engine(limit_rate=2_000_000, stall_seconds=0.05)
    with ScriptedServer(answering(CREATED)) as server:
        bodies = [BytesBody(bytes(100_000))] * 4
        done = finish(engine, *(Request("PUT", f"{server.url}/", body=body) for body in bodies))
        seconds = time.monotonic() - start
    assert all(completion.body_complete and completion.response for completion in done)
    assert seconds >= 400_000 / 2_000_000


def test_a_paused_request_can_be_cancelled(make_engine: MakeEngine, finish: Finish) -> None:
    engine = make_engine(limit_rate=1)
    with ScriptedServer(answering(CREATED)) as server:
        tickets = [
            engine.submit(Request("PUT", f"{server.url}/", body=BytesBody(bytes(MIB))))
            for _ in range(2)
        ]
        while server.connections < 2:
            engine.poll(0.01)
        engine.poll(0.05)
        for ticket in tickets:
            engine.cancel(ticket)
        assert finish(engine, Request("GET", f"{server.url}/"))[0].response is not None
