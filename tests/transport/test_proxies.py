"""The proxies of the environment. The names are of no host: only a proxy can make sense of them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from idpbuilder.transport.curl import CurlEngine
from idpbuilder.transport.settings import EngineSettings
from idpbuilder.wire import BytesBody, Completion, FailureKind, Request, Trust
from tests.parts.certificates import Certificates
from tests.parts.listeners import ClosesAtOnce, NeverAnswers, closed_port
from tests.transport.conftest import Finish, MakeEngine
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
    # what is let through without TLS is another matter
    tunnel = "let the connection through" in message
    kind = FailureKind.NO_TUNNEL if tunnel else FailureKind.PROXY_REFUSED
    assert failure(done, kind) == message


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
        (b"", "the proxy closed the connection"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "what answers is no proxy"),
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


@pytest.mark.parametrize("scheme", ["http", "https", "socks4a", "socks5"])
def test_a_proxy_that_does_not_answer_is_told_apart(
    make_engine: MakeEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    engine = make_engine(connect_seconds=0.3)
    with NeverAnswers() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://{proxy.host}")
        (done,) = finish(engine, Request("GET", "https://registry.invalid/v2/"))
    if scheme.startswith("socks"):
        # libcurl does not say how far that had come
        assert "by way of the proxy" in failure(done, FailureKind.STALLED)
    else:
        message = failure(done, FailureKind.PROXY)
        assert message == "the proxy made no connection within 0.3 s"


@pytest.mark.parametrize("scheme", ["http", "https", "socks4a", "socks5"])
def test_a_proxy_that_hangs_up_is_told_apart(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with ClosesAtOnce() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://{proxy.host}")
        (done,) = finish(engine, Request("GET", "https://registry.invalid/v2/"))
    assert done.failure is not None
    assert done.failure.kind in (FailureKind.PROXY, FailureKind.PROXY_REFUSED)


def test_what_breaks_without_a_tunnel_is_told_to_have_come_by_way_of_the_proxy(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    for answer, kind in ((b"", FailureKind.BROKEN), (b"rubbish\r\n\r\n", FailureKind.PROTOCOL)):
        with ScriptedServer(saying(answer)) as server:
            monkeypatch.setenv("http_proxy", server.url)
            (done,) = finish(engine, Request("GET", "http://registry.invalid/v2/"))
        assert "by way of the proxy" in failure(done, kind)


UNAUTHORIZED = "the proxy wants a user name and password, or does not take the ones it got"


@pytest.mark.parametrize(
    ("status", "field", "kind", "message"),
    [
        (407, b"Proxy-Authenticate: Basic", FailureKind.PROXY_REFUSED, f"{UNAUTHORIZED} (407)"),
        # tinyproxy's answer to a wrong password
        (401, b"Server: tinyproxy/1.11.1", FailureKind.PROXY_REFUSED, f"{UNAUTHORIZED} (401)"),
        (
            403,
            b"Server: squid/5.7",
            FailureKind.PROXY_REFUSED,
            "the proxy does not let the connection through (403)",
        ),
        (
            503,
            b"X-Squid-Error: ERR_CONNECT_FAIL 111",
            FailureKind.PROXY,
            "the proxy could not make a connection (503)",
        ),
        (
            504,
            b"Proxy-Status: edge; error=connection_timeout",
            FailureKind.PROXY,
            "the proxy could not make a connection (504)",
        ),
    ],
)
def test_what_a_proxy_answers_to_plain_http_is_no_answer_of_the_registrys(
    engine: CurlEngine,
    finish: Finish,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    field: bytes,
    kind: FailureKind,
    message: str,
) -> None:
    answer = b"HTTP/1.1 %d No\r\n%b\r\nContent-Length: 0\r\n\r\n" % (status, field)
    with ScriptedServer(saying(answer)) as server:
        monkeypatch.setenv("http_proxy", server.url)
        (done,) = finish(engine, Request("GET", "http://registry.invalid/v2/"))
    assert failure(done, kind) == message


@pytest.mark.parametrize(
    ("status", "field"),
    [
        (401, b"WWW-Authenticate: Basic"),
        (403, b"Via: 1.1 vm (tinyproxy/1.11.1)"),
        (503, b"Proxy-Status: edge; received-status=503"),
        (404, b"X-Cache: MISS from vm"),
        (200, b"Server: squid/5.7"),
    ],
)
def test_what_a_proxy_hands_on_is_the_registrys(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch, status: int, field: bytes
) -> None:
    answer = b"HTTP/1.1 %d No\r\n%b\r\nContent-Length: 0\r\n\r\n" % (status, field)
    with ScriptedServer(saying(answer)) as server:
        monkeypatch.setenv("http_proxy", server.url)
        (done,) = finish(engine, Request("GET", "http://registry.invalid/v2/"))
    assert done.response is not None
    assert done.response.status == status
    # whose address it is, only the proxy knows
    assert done.response.peer == ""


def test_a_proxy_that_speaks_socks_4_is_told_name_and_user(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    greetings: list[bytes] = []

    def play(peer: Peer) -> None:
        greeting = b""
        while greeting.count(b"\0", 8) < 2:
            greeting += peer.read(1)
        greetings.append(greeting)
        peer.send(b"\0\x5a" + bytes(6))
        answering(OK)(peer)

    with ScriptedServer(play) as server:
        monkeypatch.setenv("ALL_PROXY", f"socks4a://me@{server.host}")
        (done,) = finish(engine, Request("GET", "http://registry.invalid/v2/"))
    assert done.response is not None
    assert greetings == [b"\x04\x01\x00\x50\x00\x00\x00\x01me\0registry.invalid\0"]


def test_a_proxy_that_speaks_socks_4_may_refuse(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    def play(peer: Peer) -> None:
        peer.connection.recv(65536)
        peer.send(b"\0\x5b" + bytes(6))

    with ScriptedServer(play) as server:
        monkeypatch.setenv("ALL_PROXY", f"socks4a://me@{server.host}")
        (done,) = finish(engine, Request("GET", "http://registry.invalid/v2/"))
    assert failure(done, FailureKind.PROXY) == "the proxy could not make a connection"


def test_a_socket_is_reached_without_a_proxy(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{closed_port()}")
    request = Request("GET", "http://docker.invalid/v1", unix_socket=str(tmp_path / "none"))
    (done,) = finish(engine, request)
    assert failure(done, FailureKind.CONNECT).startswith("the connection failed")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        ("self_signed", "it is self-signed"),
        ("expired", "it has expired"),
        ("wrong_host", "it is for another address"),
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
        assert message == "the address of the proxy in ALL_PROXY cannot be used"


def test_a_proxy_of_no_bytes_is_a_failure_of_the_proxy(finish: Finish) -> None:
    engine = CurlEngine(EngineSettings())
    engine._options._environ = {"HTTP_PROXY": "http://\ud800"}
    (done,) = finish(engine, Request("GET", "http://registry.invalid/v2/"))
    engine.close()
    assert "characters that cannot be sent" in failure(done, FailureKind.PROXY_REFUSED)
