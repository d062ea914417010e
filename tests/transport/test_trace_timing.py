"""Where an engine says that the time of a request went."""

from __future__ import annotations

import time

import pytest

from idpbuilder.transport.curl import CurlEngine
from idpbuilder.wire import BytesBody, Completion, FailureKind, Request, Timing, Trust
from tests.parts.certificates import Certificates
from tests.parts.listeners import closed_port
from tests.transport.conftest import Finish, MakeEngine
from tests.transport.scripted import CREATED, OK, Peer, ScriptedServer, answering

MOMENTS = (
    "queued",
    "begun",
    "set_up",
    "looked_up",
    "connected",
    "secured",
    "sending",
    "handed_over",
    "answered",
    "ended",
)


def timing_of(done: Completion) -> Timing:
    assert done.timing is not None
    return done.timing


def moments(timing: Timing) -> dict[str, float]:
    """Those that there are, in the order in which they should come."""
    found = {name: getattr(timing, name) for name in MOMENTS}
    return {name: moment for name, moment in found.items() if moment is not None}


def in_order(timing: Timing) -> list[str]:
    """The names of the moments, which are in order."""
    found = moments(timing)
    assert list(found.values()) == sorted(found.values()), found
    return list(found)


@pytest.fixture
def timed(make_engine: MakeEngine) -> CurlEngine:
    return make_engine(timed=True)


def test_an_engine_that_is_not_asked_tells_of_no_moments(
    engine: CurlEngine, finish: Finish
) -> None:
    with ScriptedServer(answering(OK)) as server:
        (done,) = finish(engine, Request("GET", server.url))
    assert done.timing is None


def test_a_request_over_tls_comes_to_every_moment_in_order(
    timed: CurlEngine, finish: Finish, certificates: Certificates
) -> None:
    trust = Trust(verify=False)
    with ScriptedServer(answering(CREATED), tls=certificates.server.server_context()) as server:
        host = f"https://localhost:{server.port}"
        (done,) = finish(timed, Request("PUT", f"{host}/v2/", body=BytesBody(b"body"), trust=trust))
    assert done.response is not None, done.failure
    timing = timing_of(done)
    assert in_order(timing) == list(MOMENTS)
    assert (timing.host, timing.reused, timing.version) == (host, False, "1.1")


def test_over_a_connection_that_is_there_nothing_is_looked_up_or_secured(
    timed: CurlEngine, finish: Finish
) -> None:
    with ScriptedServer(answering(OK)) as server:
        first, second = (timing_of(finish(timed, Request("GET", server.url))[0]) for _ in range(2))
    assert (first.reused, second.reused) == (False, True)
    assert first.connection == second.connection == 1
    assert in_order(first) == [name for name in MOMENTS if name != "secured"]
    made = ("looked_up", "connected", "secured")
    assert in_order(second) == [name for name in MOMENTS if name not in made]


def test_requests_at_once_have_connections_of_their_own_and_wait_in_line_for_them(
    make_engine: MakeEngine, finish: Finish
) -> None:
    engine = make_engine(timed=True, connections=2)
    with ScriptedServer(answering(CREATED)) as server:
        body = BytesBody(b"x" * 1000)
        done = finish(engine, *(Request("PUT", server.url, body=body) for _ in range(3)))
    one, two, three = map(timing_of, done)
    assert {one.connection, two.connection} == {1, 2}
    assert three.connection in (1, 2)
    assert three.begun is not None
    assert three.begun >= min(one.ended, two.ended)
    for timing in (one, two, three):
        assert in_order(timing)[0] == "queued"


def test_the_commit_lasts_from_the_bodys_last_byte_to_the_answers_first(
    timed: CurlEngine, finish: Finish
) -> None:
    whole: list[float] = []

    def play(peer: Peer) -> None:
        peer.read_request()
        whole.append(time.monotonic())
        peer.send(CREATED)

    with ScriptedServer(play) as server:
        (done,) = finish(timed, Request("PUT", server.url, body=BytesBody(b"body")))
    timing = timing_of(done)
    assert timing.handed_over is not None
    assert timing.answered is not None
    assert timing.handed_over <= whole[0] <= timing.answered


def test_a_connection_that_is_refused_comes_to_no_sending(
    timed: CurlEngine, finish: Finish
) -> None:
    (done,) = finish(timed, Request("GET", f"http://127.0.0.1:{closed_port()}/"))
    timing = timing_of(done)
    assert done.failure is not None
    assert done.failure.kind is FailureKind.CONNECT
    assert (timing.connection, timing.reused, timing.version) == (None, False, "")
    assert timing.sending is timing.connected is timing.answered is None
    assert in_order(timing)[-1] == "ended"


def test_a_request_that_cannot_be_made_has_its_moments_too(
    timed: CurlEngine, finish: Finish
) -> None:
    (done,) = finish(timed, Request("BREW", "http://127.0.0.1:1/"))
    timing = timing_of(done)
    assert done.failure is not None
    assert done.failure.kind is FailureKind.SETUP
    assert in_order(timing) == ["queued", "begun", "ended"]


def test_an_answer_that_comes_before_the_body_is_whole_is_no_sending_of_all(
    timed: CurlEngine, finish: Finish
) -> None:
    def refuse(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        peer.read(65536)
        peer.reset()

    with ScriptedServer(refuse) as server:
        body = BytesBody(bytes(64 * 1024 * 1024))
        (done,) = finish(timed, Request("PUT", server.url, body=body))
    timing = timing_of(done)
    assert done.response is not None, done.failure
    assert done.response.status == 413
    assert not done.body_complete
    assert timing.handed_over is None
    assert in_order(timing)[-2:] == ["answered", "ended"]
