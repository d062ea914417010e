"""The proxies of the environment. The names are of no host: only a proxy can make sense of them."""

from __future__ import annotations

import base64

import pytest

from idpbuilder.transport.curl import CurlEngine
from idpbuilder.transport.settings import EngineSettings
from idpbuilder.wire import BytesBody, Completion, FailureKind, Request, Trust
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
            "the proxy wants a user name and password, or does not take the ones it got (407)",
        ),
        (
            b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
            "the proxy wants a user name and password, or does not take the ones it got (401)",
        ),
        (
            b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
            "the proxy does not let the connection through (403)",
        ),
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
    assert failure(done, FailureKind.PROXY_REFUSED) == message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n",
            "the proxy could not make a connection (502)",
        ),
        (
            b"HTTP/1.1 302 No\r\nContent-Length: 0\r\n\r\n",
            "the proxy does not let the connection through (302)",
        ),
        (b"", "the proxy does not let the connection through"),
    ],
)
def test_what_may_pass_at_a_proxy_is_told_apart(
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


def test_a_proxys_407_to_plain_http_is_no_answer_of_the_registrys(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
    with ScriptedServer(saying(answer)) as server:
        monkeypatch.setenv("http_proxy", server.url)
        (done,) = finish(engine, Request("GET", "http://registry.invalid/v2/"))
    assert "(407)" in failure(done, FailureKind.PROXY_REFUSED)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        ("self_signed", "it is self-signed"),
        ("expired", "it has expired"),
        ("wrong_host", "it is for another host name"),
    ],
)
@pytest.mark.parametrize("verify", [True, False])
def test_a_proxys_certificate_is_told_apart_from_the_registrys(
    engine: CurlEngine,
    finish: Finish,
    monkeypatch: pytest.MonkeyPatch,
    certificates: Certificates,
    scheme: str,
    pair: str,
    reason: str,
    verify: bool,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    context = getattr(certificates, pair).server_context()
    with ScriptedServer(answering(OK), tls=context) as server:
        monkeypatch.setenv("ALL_PROXY", server.url)
        request = Request("GET", f"{scheme}://registry.invalid/v2/", trust=Trust(verify=verify))
        (done,) = finish(engine, request)
    message = failure(done, FailureKind.PROXY_REFUSED)
    assert message == f"TLS with the proxy: the certificate is not trusted: {reason}"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_does_not_speak_tls_is_no_registry_without_it(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    def play(peer: Peer) -> None:
        peer.connection.recv(65536)
        peer.send(b"HTTP/1.1 400 No\r\n\r\n")

    with ScriptedServer(play) as server:
        monkeypatch.setenv("ALL_PROXY", f"https://{server.host}")
        (done,) = finish(engine, Request("GET", f"{scheme}://registry.invalid/v2/"))
    message = failure(done, FailureKind.PROXY_REFUSED)
    assert message == "TLS with the proxy: the other side does not speak TLS"


def test_the_system_vouches_for_a_proxy_where_the_registry_is_not_verified(
    engine: CurlEngine,
    finish: Finish,
    monkeypatch: pytest.MonkeyPatch,
    certificates: Certificates,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    log: list[Received] = []
    context = certificates.server.server_context()
    with ScriptedServer(answering(OK, log), tls=context) as server:
        monkeypatch.setenv("HTTP_PROXY", server.url)
        request = Request("GET", "http://registry.invalid/v2/", trust=Trust(verify=False))
        (done,) = finish(engine, request)
    assert done.response is not None
    assert log[0].line == b"GET http://registry.invalid/v2/ HTTP/1.1"


def test_a_body_goes_over_a_connection_of_its_own_where_a_proxy_may_close_the_kept_one(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[Received] = []
    with ScriptedServer(answering(OK, log)) as server:
        monkeypatch.setenv("http_proxy", server.url)
        url = "http://registry.invalid/v2/"
        for request in (Request("GET", url), Request("GET", url)):
            finish(engine, request)
        assert server.connections == 1
        finish(engine, Request("PUT", url, body=BytesBody(b"body")))
        assert server.connections == 2


def test_a_registry_without_tls_behind_a_tunnel_is_told_as_such(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    def play(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 Tunnel\r\n\r\n")
        peer.connection.recv(65536)
        peer.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    with ScriptedServer(play) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        (done,) = finish(engine, Request("GET", "https://registry.invalid/v2/"))
    assert failure(done, FailureKind.NOT_TLS) == "the other side does not speak TLS"


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
        message = failure(done, FailureKind.PROXY_REFUSED)
        assert message == "the address of the proxy cannot be used"


def test_a_proxy_of_no_bytes_is_a_failure_of_the_proxy(finish: Finish) -> None:
    engine = CurlEngine(EngineSettings())
    engine._options._environ = {"HTTP_PROXY": "http://\ud800"}
    (done,) = finish(engine, Request("GET", "http://registry.invalid/v2/"))
    engine.close()
    assert "characters that cannot be sent" in failure(done, FailureKind.PROXY_REFUSED)
