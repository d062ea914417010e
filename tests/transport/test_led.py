"""Requests to where somebody sent us: which address is behind a name, a connection tells."""

from __future__ import annotations

import pytest

from idpbuilder.transport.curl import CurlEngine
from idpbuilder.wire import BytesBody, FailureKind, Request, Trust
from tests.parts.certificates import Certificates
from tests.transport.conftest import Finish
from tests.transport.scripted import CREATED, OK, Received, ScriptedServer, answering

ELSEWHERE = "registry.example.com"


@pytest.mark.parametrize("led_by", [ELSEWHERE, "8.8.8.8", "10.0.0.1", "169.254.1.1", "fd00::1"])
def test_a_name_behind_which_this_machine_is_is_not_asked_for_anything(
    engine: CurlEngine, finish: Finish, led_by: str
) -> None:
    log: list[Received] = []
    with ScriptedServer(answering(CREATED, log)) as server:
        url = f"http://{server.other_host}/upload"
        (done,) = finish(engine, Request("PUT", url, body=BytesBody(b"blob"), led_by=led_by))
    assert done.failure is not None
    assert done.failure.kind is FailureKind.ASTRAY
    assert done.failure.message == "the registry leads to 127.0.0.1, an address of this machine"
    assert (log, done.sent) == ([], 0)


def test_a_connection_that_is_there_already_is_no_way_around(
    engine: CurlEngine, finish: Finish
) -> None:
    log: list[Received] = []
    with ScriptedServer(answering(OK, log)) as server:
        url = f"http://{server.other_host}/"
        finish(engine, Request("GET", url))
        (done,) = finish(engine, Request("GET", url, led_by=ELSEWHERE))
    assert done.failure is not None
    assert done.failure.kind is FailureKind.ASTRAY
    assert len(log) == 1


def test_who_is_here_himself_may_lead_here(engine: CurlEngine, finish: Finish) -> None:
    with ScriptedServer(answering(OK)) as server:
        (first,) = finish(engine, Request("GET", server.url))
        assert first.response is not None
        assert first.response.peer == "127.0.0.1"
        request = Request("GET", f"http://{server.other_host}/", led_by=first.response.peer)
        (done,) = finish(engine, request)
    assert done.response is not None


def test_over_tls_too(engine: CurlEngine, finish: Finish, certificates: Certificates) -> None:
    log: list[Received] = []
    context = certificates.server.server_context()
    with ScriptedServer(answering(OK, log), tls=context) as server:
        request = Request("GET", server.url, trust=Trust(verify=False), led_by=ELSEWHERE)
        (done,) = finish(engine, request)
    assert done.failure is not None
    assert done.failure.kind is FailureKind.ASTRAY
    assert log == []


def test_what_a_proxy_connects_to_is_the_proxys_matter(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer(answering(OK)) as server:
        monkeypatch.setenv("HTTP_PROXY", server.url)
        request = Request("GET", "http://storage.example.com/", led_by=ELSEWHERE)
        (done,) = finish(engine, request)
    assert done.response is not None
