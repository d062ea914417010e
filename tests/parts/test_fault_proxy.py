"""The proxy that breaks things passes on what it should, and breaks what it should."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.parts.exchange import Exchange
from tests.parts.fault_proxy import FaultProxy, Planned
from tests.parts.http_server import HttpServer
from tests.parts.proxy_faults import KINDS, Call

UPLOAD = "/v2/app/blobs/uploads/1"
BODY = bytes(range(256)) * 400


class Echo(HttpServer):
    """Answers with what it was sent."""

    def handle(self, exchange: Exchange) -> None:
        data = exchange.body()
        exchange.answer(200, data, {"X-Length": str(len(data))})


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as running:
        yield running


def put(port: int, path: str = UPLOAD, body: bytes = BODY) -> tuple[int, bytes]:
    """Status and body of the answer. Raises OSError, HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("PUT", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_what_meets_no_fault_passes_as_it_is(echo: Echo) -> None:
    with FaultProxy(echo.port) as proxy:
        assert put(proxy.port) == (200, BODY)
        assert put(proxy.port, body=b"") == (200, b"")
    assert [one.place for one in proxy.passed] == ["send", "send"]
    assert proxy.body_bytes == len(BODY)
    assert proxy.hit == []


def test_a_body_without_a_length_passes_too(echo: Echo) -> None:
    with FaultProxy(echo.port) as proxy:
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
        headers = {"Transfer-Encoding": "chunked"}
        connection.request("PATCH", UPLOAD, iter([BODY, b"x"]), headers, encode_chunked=True)
        assert connection.getresponse().read() == BODY + b"x"
        # the connection lives on
        connection.request("PUT", UPLOAD, b"y")
        assert connection.getresponse().read() == b"y"
        connection.close()
    assert [one.place for one in proxy.passed] == ["stream", "send"]


def test_one_request_is_met_by_its_number_or_by_its_place(echo: Echo) -> None:
    fault = KINDS["500 instead"](1000)
    with FaultProxy(echo.port, Planned(fault, 1)) as proxy:
        assert [put(proxy.port, body=b"x")[0] for _ in range(3)] == [200, 500, 200]
    with FaultProxy(echo.port, Planned(fault, 1, ever=True)) as proxy:
        assert [put(proxy.port, body=b"x")[0] for _ in range(3)] == [200, 500, 500]
    manifest = "/v2/app/manifests/v1"
    with FaultProxy(echo.port, Planned(fault, 0, "manifest")) as proxy:
        assert [put(proxy.port, path, b"x")[0] for path in (UPLOAD, manifest, manifest)] == [
            *(200, 500, 200)
        ]
        assert [one.index for one in proxy.hit] == [1]


@pytest.mark.parametrize("kind", ["reset", "half-close", "answer reset", "answer lost"])
def test_a_connection_that_is_cut_brings_no_answer(kind: str, echo: Echo) -> None:
    with (
        FaultProxy(echo.port, Planned(KINDS[kind](400))) as proxy,
        pytest.raises((OSError, http.client.HTTPException)),
    ):
        put(proxy.port)
    # where the answer is cut the work has been done
    whole = [one for one in echo.requests if one.body_length == len(BODY)]
    assert len(whole) == kind.startswith("answer")


def test_a_stalled_body_arrives_in_part_and_no_further(echo: Echo) -> None:
    with FaultProxy(echo.port, Planned(KINDS["stall"](500))) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=0.3) as client:
            client.sendall(b"PUT %s HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd" % UPLOAD.encode())
            with pytest.raises(TimeoutError):
                client.recv(1)
        assert proxy.hit


def test_bytes_that_come_twice_leave_the_length_right(echo: Echo) -> None:
    with FaultProxy(echo.port, Planned(KINDS["bytes twice"](500))) as proxy:
        status, body = put(proxy.port)
    assert status == 200
    assert len(body) == len(BODY)
    assert body != BODY
    half = len(BODY) // 2
    assert body[:half] == BODY[:half]


def test_something_can_happen_in_the_middle_of_a_body(echo: Echo) -> None:
    called: list[int] = []
    with FaultProxy(
        echo.port, Planned(Call(lambda: called.append(proxy.body_bytes), 500))
    ) as proxy:
        assert put(proxy.port) == (200, BODY)
    assert len(called) == 1
    assert called[0] >= len(BODY) // 2


@pytest.mark.parametrize("kind", sorted(kind for kind in KINDS if "stall" not in kind))
def test_every_fault_leaves_the_proxy_fit_for_the_next_request(kind: str, echo: Echo) -> None:
    with FaultProxy(echo.port, Planned(KINDS[kind](300))) as proxy:
        with suppress(OSError, http.client.HTTPException):
            put(proxy.port)
        assert proxy.hit
        assert put(proxy.port) == (200, BODY)
