"""Servers that answer early, break off, or stand still."""

from __future__ import annotations

import socket
import sys
import threading
import time

import pytest

from idpbuilder.transport.curl import CurlEngine
from idpbuilder.wire import BytesBody, Completion, FailureKind, Request
from tests.parts.listeners import closed_port
from tests.transport.conftest import Finish, MakeEngine
from tests.transport.scripted import (
    CREATED,
    OK,
    Peer,
    ScriptedServer,
    answering,
    answering_early,
    deaf,
    saying,
    silent,
)

MIB = 1024 * 1024
BIG = BytesBody(bytes(32 * MIB))


def failure(done: Completion, kind: FailureKind) -> str:
    """The message of a completion that failed with `kind`."""
    assert done.response is None
    assert done.failure is not None
    assert done.failure.kind is kind
    return done.failure.message


def test_a_closed_port_refuses_the_connection(engine: CurlEngine, finish: Finish) -> None:
    (done,) = finish(engine, Request("GET", f"http://127.0.0.1:{closed_port()}/"))
    assert failure(done, FailureKind.CONNECT) == "the connection was refused"


def test_a_listener_that_accepts_nobody_is_given_up(
    make_engine: MakeEngine, finish: Finish
) -> None:
    engine = make_engine(connect_seconds=0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        # what fills the queue of a listener leaves the next one without an answer
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        (done,) = finish(engine, Request("GET", f"http://127.0.0.1:{address[1]}/"))
        for filler in fillers:
            filler.close()
    assert failure(done, FailureKind.CONNECT) == "no connection within 0.2 s"


def test_a_success_in_mid_body_is_told_from_a_whole_one(engine: CurlEngine, finish: Finish) -> None:
    answer = b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    early = answering_early(answer, MIB, then=Peer.read_to_the_end)
    with ScriptedServer(early) as server:
        (done,) = finish(engine, Request("PUT", f"{server.url}/", body=BIG))
    assert done.response is not None
    assert done.response.status == 202
    assert MIB <= done.sent < BIG.size
    assert not done.body_complete


@pytest.mark.parametrize("status", [401, 413])
def test_a_refusal_in_mid_body_is_delivered(
    engine: CurlEngine, finish: Finish, status: int
) -> None:
    answer = b"HTTP/1.1 %d No\r\nContent-Length: 3\r\n\r\nwhy" % status
    early = answering_early(answer, MIB, then=Peer.read_to_the_end)
    with ScriptedServer(early, answering(OK)) as server:
        (done,) = finish(engine, Request("PUT", f"{server.url}/", body=BIG))
        assert done.response is not None
        assert (done.response.status, done.response.body) == (status, b"why")
        assert not done.body_complete
        (after,) = finish(engine, Request("GET", f"{server.url}/"))
        assert after.response is not None


def test_a_refusal_with_a_reset_is_an_answer_or_a_broken_connection(
    engine: CurlEngine, finish: Finish
) -> None:
    early = answering_early(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", MIB, then=Peer.reset)
    with ScriptedServer(early) as server:
        (done,) = finish(engine, Request("PUT", f"{server.url}/", body=BIG))
    if done.response is None:
        failure(done, FailureKind.BROKEN)
    else:
        assert done.response.status == 413
    assert not done.body_complete


def test_a_refusal_cut_short_in_mid_body_is_still_the_answer(
    engine: CurlEngine, finish: Finish
) -> None:
    answer = b"HTTP/1.1 413 No\r\nContent-Length: 1000\r\n\r\ntoo lar"
    early = answering_early(answer, MIB, then=lambda peer: peer.connection.shutdown(socket.SHUT_WR))
    with ScriptedServer(early) as server:
        (done,) = finish(engine, Request("PUT", f"{server.url}/", body=BIG))
    if done.response is None:
        failure(done, FailureKind.BROKEN)
    else:
        assert (done.response.status, done.response.body) == (413, b"too lar")


def test_a_reset_in_mid_body_is_a_broken_connection(engine: CurlEngine, finish: Finish) -> None:
    with ScriptedServer(answering_early(b"", MIB, then=Peer.reset)) as server:
        (done,) = finish(engine, Request("PUT", f"{server.url}/", body=BIG))
    assert "broke" in failure(done, FailureKind.BROKEN)
    assert MIB <= done.sent < BIG.size
    assert not done.body_complete


def test_a_close_after_the_body_is_a_broken_connection(engine: CurlEngine, finish: Finish) -> None:
    with ScriptedServer(saying(b"")) as server:
        (done,) = finish(engine, Request("PUT", f"{server.url}/", body=BytesBody(b"x")))
    message = failure(done, FailureKind.BROKEN)
    assert message == "the connection was closed without an answer"
    assert done.body_complete


@pytest.mark.parametrize("part", [b"HTTP/1.1 201 Created\r\nConte", OK[:-1]])
def test_half_an_answer_is_none(engine: CurlEngine, finish: Finish, part: bytes) -> None:
    with ScriptedServer(saying(part)) as server:
        (done,) = finish(engine, Request("PUT", f"{server.url}/", body=BytesBody(b"x")))
    failure(done, FailureKind.BROKEN)


def test_a_body_is_never_sent_twice_behind_our_back(engine: CurlEngine, finish: Finish) -> None:
    heads: list[bytes] = []

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(OK)
        heads.append(peer.read_head())
        peer.reset()

    def play_again(peer: Peer) -> None:
        heads.append(peer.read_head())
        peer.read_to_the_end()

    with ScriptedServer(play, play_again) as server:
        finish(engine, Request("GET", f"{server.url}/"))
        (done,) = finish(engine, Request("PUT", f"{server.url}/", body=BIG))
    failure(done, FailureKind.BROKEN)
    assert len(heads) == 1


def test_a_request_without_a_body_survives_the_end_of_a_kept_connection(
    engine: CurlEngine, finish: Finish
) -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(OK)

    with ScriptedServer(play) as server:
        for _ in range(5):
            (done,) = finish(engine, Request("GET", f"{server.url}/"))
            assert done.response is not None


# -- standing still


def test_a_server_that_takes_no_more_bytes_is_given_up(
    make_engine: MakeEngine, finish: Finish
) -> None:
    with ScriptedServer(deaf) as server:
        (done,) = finish(
            make_engine(stall_seconds=0.2, answer_seconds=0.2),
            Request("PUT", f"{server.url}/", body=BIG),
        )
    assert failure(done, FailureKind.STALLED) == "nothing could be sent for 0.2 s"
    assert 0 < done.sent < BIG.size


@pytest.mark.parametrize("body", [None, BytesBody(b""), BytesBody(b"small")])
def test_a_server_that_never_answers_is_given_up(
    make_engine: MakeEngine, finish: Finish, body: BytesBody | None
) -> None:
    with ScriptedServer(silent) as server:
        (done,) = finish(
            make_engine(stall_seconds=0.2, answer_seconds=0.2),
            Request("PUT", f"{server.url}/", body=body),
        )
    assert failure(done, FailureKind.STALLED) == "no answer came within 0.2 s"
    assert done.body_complete


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\n", OK[:-1]])
def test_an_answer_that_stops_is_given_up(
    make_engine: MakeEngine, finish: Finish, start: bytes
) -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(start)
        peer.wait_for_the_end()

    with ScriptedServer(play) as server:
        (done,) = finish(
            make_engine(stall_seconds=0.2, answer_seconds=0.2), Request("GET", f"{server.url}/")
        )
    message = failure(done, FailureKind.STALLED)
    assert message == "the answer stopped, and nothing more came for 0.2 s"


def test_the_time_for_an_answer_grows_with_the_body(
    make_engine: MakeEngine, finish: Finish
) -> None:
    engine = make_engine(answer_seconds=0.1, commit_rate=100 * MIB)
    with ScriptedServer(silent) as server:
        (done,) = finish(engine, Request("PUT", f"{server.url}/", body=BIG))
    assert failure(done, FailureKind.STALLED) == "no answer came within 0.42 s"


def test_a_slow_server_is_left_alone(make_engine: MakeEngine, finish: Finish) -> None:
    def play(peer: Peer) -> None:
        received = peer.read_request()
        assert received is not None
        for octet in CREATED:
            peer.send(bytes([octet]))
            time.sleep(0.01)

    engine = make_engine(stall_seconds=10.0, answer_seconds=10.0)
    with ScriptedServer(play) as server:
        (done,) = finish(engine, Request("PUT", f"{server.url}/", body=BytesBody(b"x")))
    assert done.response is not None
    assert done.response.status == 201


def test_by_default_a_minute_passes_before_a_server_is_given_up(make_engine: MakeEngine) -> None:
    ahead = [0.0]
    engine = make_engine(lambda: time.monotonic() + ahead[0])
    with ScriptedServer(silent) as server:
        engine.submit(Request("GET", f"{server.url}/"))
        while not server.connections:
            engine.poll(0.01)
        engine.poll(0.05)
        ahead[0] = 50.0
        assert engine.poll(0.01) == []
        ahead[0] = 70.0
        (done,) = engine.poll(10.0)
    assert failure(done, FailureKind.STALLED) == "no answer came within 60 s"


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell what is buffered")
def test_a_slow_line_over_a_large_buffer_is_no_stall(make_engine: MakeEngine) -> None:
    read, done_reading = threading.Semaphore(0), threading.Semaphore(0)

    def play(peer: Peer) -> None:
        while not server.ended.is_set():
            if read.acquire(timeout=0.02):
                peer.read(MIB)
                done_reading.release()

    ahead = [0.0]
    engine = make_engine(lambda: time.monotonic() + ahead[0])
    with ScriptedServer(play) as server:
        ticket = engine.submit(Request("PUT", f"{server.url}/", body=BIG))
        before = -1
        while before < engine.sent(ticket) or not before:
            before = engine.sent(ticket)
            assert engine.poll(0.1) == []
        for _ in range(3):
            read.release()
            done_reading.acquire()
            ahead[0] += 65.0
            assert engine.poll(0.0) == []
        ended: list[Completion] = []
        for _ in range(10):
            # what the buffers still pass on looks like movement, a few times at most
            ahead[0] += 65.0
            ended = ended or engine.poll(0.1)
    (done,) = ended
    failure(done, FailureKind.STALLED)


def test_a_pause_of_our_own_is_no_stall(make_engine: MakeEngine, finish: Finish) -> None:
    engine = make_engine(limit_rate=100, stall_seconds=0.001)
    with ScriptedServer(answering(CREATED)) as server:
        (done,) = finish(engine, Request("PUT", f"{server.url}/", body=BytesBody(bytes(20))))
    assert done.response is not None


def test_what_stalled_takes_its_connection_with_it(make_engine: MakeEngine, finish: Finish) -> None:
    engine = make_engine(connections=1, stall_seconds=0.2, answer_seconds=0.2)
    with ScriptedServer(silent, answering(OK)) as server:
        first, second = finish(
            engine, Request("GET", f"{server.url}/1"), Request("GET", f"{server.url}/2")
        )
    failure(first, FailureKind.STALLED)
    assert second.response is not None
