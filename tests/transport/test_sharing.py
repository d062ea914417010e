"""Requests that share a connection by HTTP/2, and servers that offer it and do not get it right."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest

from idpbuilder.transport.curl import CurlEngine
from idpbuilder.transport.lanes import LIGHT
from idpbuilder.wire import BytesBody, FailureKind, Request
from tests.parts.certificates import Certificates
from tests.parts.distribution import Distribution, DistributionOptions
from tests.parts.programs import need
from tests.transport.conftest import Finish, MakeEngine
from tests.transport.scripted import CREATED, Peer, Script, ScriptedServer, answering

FRAME = 9
SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
GO_AWAY = bytes([0, 0, 8, 7, 0, 0, 0, 0, 0, *bytes(4), 0, 0, 0, 2])


@pytest.fixture(autouse=True)
def _trusted(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))


def offering_http2(certificates: Certificates) -> ssl.SSLContext:
    context = certificates.server.server_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def bad_at_http2(bad: Callable[[Peer], None]) -> Script:
    """Does `bad` on connections that were to speak HTTP/2, and answers well on all others."""
    well = answering(CREATED)

    def play(peer: Peer) -> None:
        assert isinstance(peer.connection, ssl.SSLSocket)
        (bad if peer.connection.selected_alpn_protocol() == "h2" else well)(peer)

    return play


def hang_up(peer: Peer) -> None:
    peer.read(FRAME)


def talk_nonsense(peer: Peer) -> None:
    peer.read(FRAME)
    peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def go_away(peer: Peer) -> None:
    peer.read(FRAME)
    peer.send(SETTINGS + GO_AWAY)


@pytest.mark.parametrize("bad", [hang_up, talk_nonsense, go_away])
def test_after_a_shared_connection_went_wrong_none_is_shared(
    bad: Callable[[Peer], None],
    engine: CurlEngine,
    finish: Finish,
    certificates: Certificates,
) -> None:
    with ScriptedServer(bad_at_http2(bad), tls=offering_http2(certificates)) as server:
        request = Request("POST", f"{server.url}/v2/")
        (first,) = finish(engine, request)
        assert first.failure is not None
        assert first.failure.kind in (FailureKind.BROKEN, FailureKind.PROTOCOL)
        for done in finish(engine, request, request):
            assert done.response is not None
            assert done.response.status == 201


def test_after_nothing_moved_on_a_shared_connection_none_is_shared(
    make_engine: MakeEngine, finish: Finish, certificates: Certificates
) -> None:
    engine = make_engine(stall_seconds=0.2, answer_seconds=0.2)
    silence = bad_at_http2(Peer.read_to_the_end)
    with ScriptedServer(silence, tls=offering_http2(certificates)) as server:
        request = Request("HEAD", f"{server.url}/v2/")
        (first,) = finish(engine, request)
        assert first.failure is not None
        assert first.failure.kind is FailureKind.STALLED
        (second,) = finish(engine, request)
        assert second.response is not None


def test_after_nobody_answered_in_time_the_others_do_not_wait_for_one_to_find_out(
    make_engine: MakeEngine, finish: Finish, certificates: Certificates
) -> None:
    engine = make_engine(connect_seconds=0.3)
    tls = offering_http2(certificates)
    spoken: list[str | None] = []

    def play(peer: Peer) -> None:
        with tls.wrap_socket(peer.connection, server_side=True) as connection:
            spoken.append(connection.selected_alpn_protocol())
            secure = Peer(connection, peer.wait_for_the_end)
            secure.read_request()
            secure.send(CREATED)

    with ScriptedServer(Peer.read_to_the_end, play) as server:
        url = f"https://{server.host}/v2/"
        (first,) = finish(engine, Request("HEAD", url))
        assert first.failure is not None
        (second,) = finish(engine, Request("HEAD", url))
        assert second.response is not None
    assert spoken == ["http/1.1"]


def test_a_server_without_http2_is_spoken_to_over_a_few_connections(
    make_engine: MakeEngine, finish: Finish, certificates: Certificates
) -> None:
    engine = make_engine(connections=4)
    tls = certificates.server.server_context()
    with ScriptedServer(answering(CREATED), tls=tls) as server:
        request = Request("POST", f"{server.url}/v2/")
        assert all(done.response for done in finish(engine, *[request] * 20))
        assert server.connections <= 4


def test_questions_and_small_bodies_share_and_large_bodies_do_not(
    engine: CurlEngine, finish: Finish, certificates: Certificates
) -> None:
    need("docker-registry")
    options = DistributionOptions(tls=certificates.server, ca=certificates.ca)
    with Distribution(options) as registry:
        base = f"{registry.url}/v2/team/app"
        finish(engine, Request("HEAD", f"{base}/manifests/v1"))
        answers = finish(engine, *[Request("POST", f"{base}/blobs/uploads/") for _ in range(50)])
        assert {done.response.status for done in answers if done.response} == {202}
        for size in (1_000, LIGHT + 1):
            body = BytesBody(bytes(size))
            finish(engine, Request("PUT", f"{base}/manifests/{size}", body=body))
        heard, clients = registry.heard(53), registry.clients
    assert [(one.method, one.version) for one in heard] == [
        ("HEAD", "HTTP/2.0"),
        *[("POST", "HTTP/2.0")] * 50,
        ("PUT", "HTTP/2.0"),
        ("PUT", "HTTP/1.1"),
    ]
    assert len(clients) == 2
