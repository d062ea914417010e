from __future__ import annotations

import http.client
import json
import socket
import threading
import urllib.error
import urllib.request

import pytest

from tests.parts.faults import (
    Action,
    Answer,
    AnswerAfterBody,
    CloseHalf,
    Delay,
    Garbage,
    Handled,
    Hang,
    HangAfterBody,
    Html,
    Reset,
    Wait,
    errors,
)
from tests.parts.listeners import ClosesAtOnce, EmptyHttp, NeverAnswers, closed_port
from tests.parts.memory_registry import MemoryRegistry
from tests.parts.server import Server
from tests.parts.stored import digest_of

BODY = b"x" * 300_000


def put(registry: MemoryRegistry, timeout: float = 10) -> tuple[int, bytes]:
    """Start an upload and send BODY to it, over a connection of its own."""
    connection = http.client.HTTPConnection(registry.host, timeout=timeout)
    try:
        connection.request("POST", "/v2/app/blobs/uploads/")
        started = connection.getresponse()
        started.read()
        url = f"{started.headers['Location']}?digest={digest_of(BODY)}"
        connection.request("PUT", url, BODY)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("then", ["close", "drain"])
def test_an_early_answer_is_heard(registry: MemoryRegistry, then: str) -> None:
    registry.fault(Answer(503, errors("TOOMANYREQUESTS"), then=then), method="PUT")  # type: ignore[arg-type]
    status, body = put(registry)

    assert (status, json.loads(body)["errors"][0]["code"]) == (503, "TOOMANYREQUESTS")
    assert put(registry)[0] == 201


@pytest.mark.parametrize(
    ("action", "status"), [(AnswerAfterBody(502), 502), (Html(504), 504), (Delay(0.01), 201)]
)
def test_a_late_answer_takes_the_body_first(
    registry: MemoryRegistry, action: Action, status: int
) -> None:
    registry.fault(action, method="PUT")

    assert put(registry)[0] == status
    assert registry.seen("PUT")[0].body_length == len(BODY)


@pytest.mark.parametrize("action", [Reset(1000), Reset(None), Answer(500, then="reset")])
def test_a_reset_breaks_the_connection(registry: MemoryRegistry, action: Action) -> None:
    registry.fault(action, path="blobs/uploads/.", method="PUT")

    # with `then="reset"` the answer may be heard before the connection breaks
    try:
        assert put(registry)[0] == 500
    except (ConnectionError, http.client.RemoteDisconnected):
        assert registry.seen("PUT")[0].body_length in (0, 1000, len(BODY))
    assert not registry.has_blob("app", digest_of(BODY))


@pytest.mark.parametrize("action", [CloseHalf(1000), Garbage(b"")])
def test_a_half_closed_connection_gives_no_answer(registry: MemoryRegistry, action: Action) -> None:
    registry.fault(action, method="PUT")

    with pytest.raises(http.client.RemoteDisconnected):
        put(registry)


def test_garbage_is_no_http(registry: MemoryRegistry) -> None:
    registry.fault(Garbage(), method="PUT")

    with pytest.raises(http.client.BadStatusLine):
        put(registry)


@pytest.mark.parametrize("action", [Hang(1000), HangAfterBody()])
def test_what_hangs_gives_no_answer_and_ends_with_the_server(action: Action) -> None:
    with MemoryRegistry() as registry:
        registry.fault(action, method="PUT")
        with pytest.raises(TimeoutError):
            put(registry, timeout=0.1)


def test_an_answer_can_be_lost_after_the_work_was_done(registry: MemoryRegistry) -> None:
    registry.fault(Handled(AnswerAfterBody(502)), method="PUT")

    assert put(registry)[0] == 502
    assert registry.has_blob("app", digest_of(BODY))


def test_a_gate_holds_requests_together(registry: MemoryRegistry) -> None:
    gate = threading.Event()
    registry.fault(Wait(gate), method="PUT", times=None)
    pushes = [threading.Thread(target=put, args=(registry,)) for _ in range(3)]
    for push in pushes:
        push.start()
    while len(registry.seen("PUT")) < 3:
        gate.wait(0.01)
    gate.set()
    for push in pushes:
        push.join()

    assert registry.most_at_once == 3
    assert {request.status for request in registry.seen("PUT")} == {201}


def test_a_fault_can_let_requests_pass_first(registry: MemoryRegistry) -> None:
    registry.fault(AnswerAfterBody(500), method="PUT", skip=1, times=2)

    assert [put(registry)[0] for _ in range(4)] == [201, 500, 500, 201]


def test_a_plain_server_tells_tls_clients_that_it_is_none() -> None:
    with EmptyHttp() as server, socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"\x16\x03\x01\x00\xf4")
        assert client.recv(1000).startswith(b"HTTP/1.0 400")


@pytest.mark.parametrize(("kind", "error"), [(ClosesAtOnce, None), (NeverAnswers, TimeoutError)])
def test_a_port_may_be_no_server_at_all(kind: type[Server], error: type[OSError] | None) -> None:
    with kind() as server, socket.create_connection(("127.0.0.1", server.port), 0.1) as client:
        if error is None:
            assert client.recv(1) == b""
        else:
            with pytest.raises(error):
                client.recv(1)


def test_nobody_listens_on_a_closed_port() -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", closed_port())).close()


def test_a_fault_of_the_server_itself_is_raised_at_its_end() -> None:
    class Broken(EmptyHttp):
        def handle(self, exchange: object) -> None:
            raise ZeroDivisionError

    server = Broken()
    server.__enter__()
    with pytest.raises((urllib.error.URLError, ConnectionError, http.client.HTTPException)):
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(server.url)
    with pytest.raises(ZeroDivisionError):
        server.__exit__(None, None, None)
