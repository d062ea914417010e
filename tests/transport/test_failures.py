"""What libcurl's errors mean, by what it was seen to say."""

from __future__ import annotations

import pycurl
import pytest

from idpbuilder.transport.failures import Fault, failure_of
from idpbuilder.transport.transfer import _unacknowledged
from idpbuilder.wire import FailureKind


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (
            pycurl.E_COULDNT_RESOLVE_HOST,
            "Could not resolve host: chunk.example.com",
            FailureKind.RESOLVE,
        ),
        (
            pycurl.E_COULDNT_CONNECT,
            "Failed to connect to chunk.example.com:443 after 0 ms: Could not connect to server",
            FailureKind.CONNECT,
        ),
        (
            pycurl.E_PEER_FAILED_VERIFICATION,
            "SSL: no alternative certificate subject name matches target hostname 'chunk.test'",
            FailureKind.CERTIFICATE,
        ),
        (
            pycurl.E_OPERATION_TIMEDOUT,
            "Failed to connect to chunk.example.com port 443: Timeout was reached",
            FailureKind.CONNECT,
        ),
        (
            pycurl.E_SSL_CONNECT_ERROR,
            "SSL_connect: Connection reset by peer in connection to chunk.example.com:443",
            FailureKind.TLS,
        ),
    ],
)
def test_a_host_that_is_called_chunk_is_no_broken_answer(
    code: int, text: str, kind: FailureKind
) -> None:
    assert failure_of(Fault(code, text)).kind is kind


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (pycurl.E_UNSUPPORTED_PROTOCOL, "Received HTTP/0.9 when not allowed"),
        (pycurl.E_RECV_ERROR, "chunk hex-length char not a hex digit: 0x7a"),
        (pycurl.E_FTP_WEIRD_SERVER_REPLY, "Invalid Content-Length: value"),
    ],
)
def test_an_answer_that_is_not_http_is_told_apart(code: int, text: str) -> None:
    assert failure_of(Fault(code, text)).kind is FailureKind.PROTOCOL


def test_a_url_of_another_scheme_is_no_broken_answer() -> None:
    fault = Fault(pycurl.E_UNSUPPORTED_PROTOCOL, 'Protocol "ftp" is disabled')
    assert failure_of(fault).kind is FailureKind.SETUP


@pytest.mark.parametrize("code", [pycurl.E_COULDNT_CONNECT, pycurl.E_RECV_ERROR])
def test_a_tunnel_that_a_proxy_refuses_is_the_proxys_under_either_code(code: int) -> None:
    failure = failure_of(Fault(code, "CONNECT tunnel failed, response 407", proxied=True))
    assert failure.kind is FailureKind.PROXY_REFUSED
    assert failure.message.startswith("the proxy wants a user name and password")
    assert failure.message.endswith("(407)")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("No authentication method was acceptable.", FailureKind.PROXY_REFUSED),
        ("User was rejected by the SOCKS5 server (1 255).", FailureKind.PROXY_REFUSED),
        ("cannot complete SOCKS5 connection to app.test. (2)", FailureKind.PROXY_REFUSED),
        ("cannot complete SOCKS5 connection to app.test. (4)", FailureKind.PROXY),
        ("cannot complete SOCKS5 connection to authentication.test. (5)", FailureKind.PROXY),
        ("connection to proxy closed", FailureKind.PROXY),
    ],
)
def test_what_a_socks_proxy_refuses_is_told_from_what_it_cannot_do(
    text: str, kind: FailureKind
) -> None:
    assert failure_of(Fault(97, text, proxied=True)).kind is kind


def test_a_connection_that_libcurl_has_let_go_of_has_nothing_under_way() -> None:
    assert _unacknowledged(-1) == 0
