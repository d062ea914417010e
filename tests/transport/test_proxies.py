"""The proxies of the environment. The names are of no host: only a proxy can make sense of them."""

from __future__ import annotations

import base64

import pytest

from idpbuilder.transport import CurlEngine, EngineSettings
from idpbuilder.wire import Completion, FailureKind, Request, Trust
from tests.parts.certificates import Certificates
from tests.parts.listeners import closed_port
from tests.transport.conftest import Finish
from tests.transport.scripted import OK, Peer, Received, ScriptedServer, answering, saying


def failure(done: Completion, kind: FailureKind) -> str:
    assert done.failure is not None
    assert (done.failure.kind, done.response) == (kind, None)
    return done.failure.message


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_plain_http_goes_through_the_proxy(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    log: list[Received] = []
    with ScriptedServer(answering(OK, log)) as server:
        monkeypatch.setenv(variable, server.url)
        (done,) = finish(engine, Request("GET", "http://registry.invalid/v2/"))
    assert done.response is not None
    assert log[0].line == b"GET http://registry.invalid/v2/ HTTP/1.1"


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_no_proxy_is_heeded(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with ScriptedServer(answering(OK)) as server:
        monkeypatch.setenv(variable, server.url)
        monkeypatch.setenv("NO_PROXY", "other.test,.invalid")
        (done,) = finish(engine, Request("GET", "http://registry.invalid/v2/"))
        failure(done, FailureKind.RESOLVE)
        assert server.connections == 0


def test_this_machine_is_reached_directly(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    with ScriptedServer(answering(OK)) as server:
        (done,) = finish(engine, Request("GET", f"{server.url}/"))
    assert done.response is not None


def test_tls_goes_through_a_tunnel_that_never_sees_the_credentials(
    engine: CurlEngine,
    finish: Finish,
    monkeypatch: pytest.MonkeyPatch,
    certificates: Certificates,
) -> None:
    connects: list[bytes] = []
    inner: list[Received] = []

    def play(peer: Peer) -> None:
        connects.append(peer.read_head())
        peer.send(b"HTTP/1.1 200 Tunnel\r\nX-Proxy: yes\r\n\r\n")
        context = certificates.self_signed.server_context()
        with context.wrap_socket(peer.connection, server_side=True) as tunnel:
            answering(OK, inner)(Peer(tunnel, peer.wait_for_the_end))

    with ScriptedServer(play) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        headers = (("Authorization", "Bearer secret"),)
        trust = Trust(verify=False)
        request = Request("GET", "https://registry.invalid/v2/", headers, trust=trust)
        (done,) = finish(engine, request)
        engine.close()  # the server lost hold of the socket inside the tunnel
    assert done.response is not None
    assert "x-proxy" not in done.response.headers
    assert connects[0].startswith(b"CONNECT registry.invalid:443 HTTP/1.1")
    assert b"secret" not in connects[0]
    assert inner[0].fields(b"Authorization") == [b"Bearer secret"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
            "the proxy wants credentials (407)",
        ),
        (
            b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
            "the proxy does not let the connection through (403)",
        ),
        (b"", "the proxy does not let the connection through"),
    ],
)
def test_a_proxy_that_refuses_is_told(
    engine: CurlEngine,
    finish: Finish,
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes,
    message: str,
) -> None:
    with ScriptedServer(saying(answer)) as server:
        monkeypatch.setenv("https_proxy", f"http://user:secret@{server.host}")
        (done,) = finish(engine, Request("GET", "https://registry.invalid/v2/"))
    assert failure(done, FailureKind.PROXY) == message


def test_a_proxy_that_is_not_there_is_told(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{closed_port()}")
    for scheme in ("http", "https"):
        (done,) = finish(engine, Request("GET", f"{scheme}://registry.invalid/v2/"))
        message = failure(done, FailureKind.PROXY)
        assert message == "the connection to the proxy was refused"


def test_a_proxy_without_an_address_is_told(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    (done,) = finish(engine, Request("GET", "http://registry.invalid/v2/"))
    assert failure(done, FailureKind.PROXY) == "the name of the proxy has no address"


def test_a_proxys_password_may_be_of_any_bytes(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[Received] = []
    with ScriptedServer(answering(OK, log)) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:pw\u00e9@{server.host}")
        (done,) = finish(engine, Request("GET", "http://registry.invalid/v2/"))
    assert done.response is not None
    credentials = base64.b64encode("me:pw\u00e9".encode())
    assert log[0].fields(b"Proxy-Authorization") == [b"Basic " + credentials]


@pytest.mark.parametrize("proxy", ["ftp://proxy", "http://[::1", "http://h:99999", "http://a b:1"])
def test_a_proxy_that_cannot_be_used_is_told(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    for scheme in ("http", "https"):
        (done,) = finish(engine, Request("GET", f"{scheme}://registry.invalid/v2/"))
        assert failure(done, FailureKind.PROXY) == "the address of the proxy cannot be used"


def test_a_proxy_of_no_bytes_is_a_failure_of_the_proxy(finish: Finish) -> None:
    engine = CurlEngine(EngineSettings())
    engine._options._environ = {"HTTP_PROXY": "http://\ud800"}
    (done,) = finish(engine, Request("GET", "http://registry.invalid/v2/"))
    engine.close()
    assert "characters that cannot be sent" in failure(done, FailureKind.PROXY)
