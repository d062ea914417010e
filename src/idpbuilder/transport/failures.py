"""From libcurl's errors to ours, in this one place."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, replace

import pycurl

from idpbuilder.wire import FailureKind, Headers, TransportFailure


@dataclass(frozen=True, slots=True)
class Fault:
    """What libcurl knows of a transfer that failed.

    `text` is its error buffer, which may name the URL and never becomes a message as it is.
    `connected`: there was a TCP connection; `proxied`: to a proxy; `at_proxy`: to one that had not
    made a tunnel, if that is how the registry is reached; `at_tls_proxy`: to one that speaks TLS;
    `answered`: an answer had begun. `connect_seconds` is the limit that was set.
    """

    code: int
    text: str = ""
    os_errno: int = 0
    verify_result: int = 0
    proxied: bool = False
    at_proxy: bool = False
    at_tls_proxy: bool = False
    proxy_verify_result: int = 0
    connected: bool = False
    answered: bool = False
    connect_seconds: float = 0.0


def failure_of(fault: Fault) -> TransportFailure:
    """The failure that `fault` is, in words of our own."""
    text = fault.text.lower()
    # some of these texts name hosts, and a host may be called anything: the code comes first
    if fault.code == _E_PROXY:
        return _socks_failure(text)
    if fault.code == pycurl.E_COULDNT_RESOLVE_PROXY:
        return TransportFailure(FailureKind.PROXY, "the name of the proxy has no address")
    if _is_tunnel(fault.code, text):
        return _tunnel_failure(text)
    if fault.at_tls_proxy and fault.code in _TLS_CODES | {pycurl.E_PEER_FAILED_VERIFICATION}:
        return _tls_failure_of_proxy(fault)
    if fault.at_proxy and fault.connected and fault.code in _BROKEN_CODES:
        return TransportFailure(FailureKind.PROXY, _of_proxy(fault))
    if fault.code in _PROTOCOL_CODES or _is_gibberish(fault.code, text):
        message = f"the answer{_by_way(fault)} is not proper HTTP/1.1"
        return TransportFailure(FailureKind.PROTOCOL, message)
    # libcurl has no better code for a key that is none, is another one's, or has a passphrase
    bad_key = fault.code == pycurl.E_BAD_FUNCTION_ARGUMENT and "private key" in text
    fixed = _FIXED.get(pycurl.E_SSL_CERTPROBLEM if bad_key else fault.code)
    if fixed is not None:
        return TransportFailure(*fixed)
    if fault.code == pycurl.E_COULDNT_CONNECT:
        kind = FailureKind.PROXY if fault.proxied else FailureKind.CONNECT
        return TransportFailure(kind, _connect_message(fault))
    if fault.code == pycurl.E_OPERATION_TIMEDOUT:
        return _late(fault)
    if fault.code == pycurl.E_PEER_FAILED_VERIFICATION:
        return TransportFailure(FailureKind.CERTIFICATE, _distrust(fault))
    # in TLS 1.3 a server refuses the client's certificate only after the handshake
    if fault.code in _TLS_CODES or _refusal(text):
        return _tls_failure(text)
    return TransportFailure(FailureKind.BROKEN, f"{_broken(fault)}{_by_way(fault)}")


def _by_way(fault: Fault) -> str:
    return " by way of the proxy" if fault.proxied else ""


def _is_tunnel(code: int, text: str) -> bool:
    return code in _TUNNEL_CODES and text.startswith(_TUNNEL_TEXTS)


def _is_gibberish(code: int, text: str) -> bool:
    sign = _PROTOCOL_SIGNS.get(code)
    return sign is not None and sign in text


def answer_of_proxy(status: int, headers: Headers) -> TransportFailure | None:
    """The failure that an answer to plain HTTP by way of a proxy is, where the proxy gave it.

    It says so by its name, which squid and tinyproxy put into no other answer, or as in RFC 9209.
    """
    named = (headers.get("Server") or "").lower().startswith(("squid", "tinyproxy"))
    told = "error=" in (headers.get("Proxy-Status") or "") or "X-Squid-Error" in headers
    if status == 407 or (status >= 400 and (named or told)):
        return _refusal_of_proxy(str(status), FailureKind.PROXY_REFUSED)
    return None


def _tunnel_failure(text: str) -> TransportFailure:
    # plain HTTP may well be let through: many proxies make tunnels to port 443 alone
    return _refusal_of_proxy(text.rpartition("response ")[2].strip(), FailureKind.NO_TUNNEL)


def _refusal_of_proxy(status: str, refused: FailureKind) -> TransportFailure:
    # tinyproxy answers 401 to a wrong password
    if status in ("401", "407"):
        return TransportFailure(FailureKind.PROXY_REFUSED, f"{_UNAUTHORIZED} ({status})")
    if status in _FAR_SIDE:
        message = f"the proxy could not make a connection ({status})"
        return TransportFailure(FailureKind.PROXY, message)
    if status.isdecimal() and status.startswith("4"):
        return TransportFailure(refused, f"{_REFUSED} ({status})")
    return TransportFailure(
        FailureKind.PROXY, f"{_REFUSED} ({status})" if status.isdecimal() else _CLOSED
    )


def _socks_failure(text: str) -> TransportFailure:
    if text.startswith(_SOCKS_TEXTS):
        return TransportFailure(FailureKind.PROXY_REFUSED, _UNAUTHORIZED)
    # RFC 1928, 6: the only one of its reasons that is the proxy's own will
    if text.endswith("(2)"):
        return TransportFailure(FailureKind.PROXY_REFUSED, _REFUSED)
    return TransportFailure(FailureKind.PROXY, "the proxy could not make a connection")


def _tls_failure_of_proxy(fault: Fault) -> TransportFailure:
    if fault.code == pycurl.E_PEER_FAILED_VERIFICATION:
        reason = _distrust(replace(fault, verify_result=fault.proxy_verify_result))
    else:
        reason = _tls_failure(fault.text.lower()).message
    return TransportFailure(FailureKind.PROXY_REFUSED, f"TLS with the proxy: {reason}")


def _connect_message(fault: Fault) -> str:
    whom = "the connection to the proxy" if fault.proxied else "the connection"
    if fault.os_errno == errno.ECONNREFUSED:
        return f"{whom} was refused"
    reason = os.strerror(fault.os_errno) if fault.os_errno else ""
    return f"{whom} failed: {reason}" if reason else f"{whom} failed"


def _late(fault: Fault) -> TransportFailure:
    limit = f"{fault.connect_seconds:g} s"
    if fault.connected:
        way = _by_way(fault)
        message = f"the connection was made{way}, but not ready for a request within {limit}"
        return TransportFailure(FailureKind.STALLED, message)
    if fault.proxied:
        return TransportFailure(FailureKind.PROXY, f"no connection to the proxy within {limit}")
    return TransportFailure(FailureKind.CONNECT, f"no connection within {limit}")


def _of_proxy(fault: Fault) -> str:
    if fault.code == pycurl.E_OPERATION_TIMEDOUT:
        return f"the proxy made no connection within {fault.connect_seconds:g} s"
    if fault.code in _PROTOCOL_CODES or _is_gibberish(fault.code, fault.text.lower()):
        return "what answers is no proxy"
    return _CLOSED


def _distrust(fault: Fault) -> str:
    reason = _VERIFY_RESULTS.get(fault.verify_result)
    if reason is None:
        reason = fault.text.rpartition(": ")[2]
        if "subject name" in fault.text:
            an_address = " address '" in fault.text
            reason = _VERIFY_RESULTS[64 if an_address else 62]
    return f"the certificate is not trusted: {reason}"


def _tls_failure(text: str) -> TransportFailure:
    if any(sign in text for sign in _NOT_TLS_SIGNS):
        return TransportFailure(FailureKind.NOT_TLS, "the other side does not speak TLS")
    reason = _system_reason(text) or "the server closed the connection"
    message = _refusal(text) or f"the TLS handshake failed: {reason}"
    return TransportFailure(FailureKind.TLS, message)


def _refusal(text: str) -> str | None:
    return next((message for sign, message in _TLS_SIGNS if sign in text), None)


def _system_reason(text: str) -> str:
    # libcurl's errno may be that of an earlier address of the same host
    return text.partition(" failure: ")[2]


def _broken(fault: Fault) -> str:
    if fault.code == pycurl.E_GOT_NOTHING:
        return "the connection was closed without an answer"
    if fault.code == pycurl.E_SEND_FAIL_REWIND:
        return "a kept connection broke while the body was being sent"
    if fault.code == pycurl.E_PARTIAL_FILE or fault.answered:
        return "the connection broke in the middle of the answer"
    system = _system_reason(fault.text.lower())
    reason = f": {system}" if system else ""
    if fault.code == pycurl.E_SEND_ERROR:
        return f"the connection broke while the request was being sent{reason}"
    if fault.code == pycurl.E_RECV_ERROR:
        return f"the connection broke before the answer{reason}"
    return f"the transfer failed (libcurl error {fault.code})"


_E_PROXY = 97  # pycurl has no name for it
_E_TOO_LARGE = 100
_E_SSL_CLIENTCERT = 98

# a proxy's refusal has no code of its own
_TUNNEL_CODES = frozenset({pycurl.E_COULDNT_CONNECT, pycurl.E_RECV_ERROR})
_TUNNEL_TEXTS = ("connect tunnel failed", "proxy connect aborted")
_REFUSED = "the proxy does not let the connection through"
_CLOSED = "the proxy closed the connection"
_UNAUTHORIZED = "the proxy wants a user name and password, or does not take the ones it got"
# what a proxy says of the registry, not of us
_FAR_SIDE = frozenset({"500", "502", "503", "504"})
_SOCKS_TEXTS = ("no authentication method", "user was rejected")
_FIXED = {
    pycurl.E_COULDNT_RESOLVE_HOST: (FailureKind.RESOLVE, "the host name has no address"),
    pycurl.E_UNSUPPORTED_PROTOCOL: (FailureKind.SETUP, "the URL is neither http nor https"),
    pycurl.E_URL_MALFORMAT: (FailureKind.SETUP, "the URL is malformed"),
    pycurl.E_LOGIN_DENIED: (FailureKind.SETUP, "the URL holds a user name"),
    pycurl.E_SSL_CACERT_BADFILE: (FailureKind.SETUP, "the CA certificates cannot be loaded"),
    pycurl.E_SSL_CERTPROBLEM: (
        FailureKind.SETUP,
        "the client certificate or its key cannot be used",
    ),
    pycurl.E_OUT_OF_MEMORY: (FailureKind.SETUP, "not enough memory"),
}
_PROTOCOL_CODES = frozenset(
    {pycurl.E_FTP_WEIRD_SERVER_REPLY, pycurl.E_BAD_CONTENT_ENCODING, _E_TOO_LARGE}
)
_BROKEN_CODES = _PROTOCOL_CODES | {
    pycurl.E_OPERATION_TIMEDOUT,
    pycurl.E_GOT_NOTHING,
    pycurl.E_SEND_ERROR,
    pycurl.E_RECV_ERROR,
    pycurl.E_UNSUPPORTED_PROTOCOL,
}
# other versions of HTTP come as an unsupported protocol, bad chunks as a broken connection
_PROTOCOL_SIGNS = {pycurl.E_UNSUPPORTED_PROTOCOL: "http/", pycurl.E_RECV_ERROR: "chunk"}
_TLS_CODES = frozenset(
    {
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_SSL_CIPHER,
        pycurl.E_USE_SSL_FAILED,
        pycurl.E_SSL_SHUTDOWN_FAILED,
        pycurl.E_SSL_ISSUER_ERROR,
        pycurl.E_SSL_INVALIDCERTSTATUS,
        _E_SSL_CLIENTCERT,
    }
)
# OpenSSL, on being answered in another language; it depends on which bytes came first
_NOT_TLS_SIGNS = (
    "wrong version number",
    "packet length too long",
    "record too small",
    "http request",
    "https proxy request",
    "unknown protocol",
    "bad record type",
)
_TLS_SIGNS = (
    ("certificate required", "the server wants a client certificate"),
    ("bad certificate", "the server does not accept the client certificate"),
    ("unknown ca", "the server does not accept the client certificate"),
    ("certificate expired", "the server does not accept the client certificate"),
    ("protocol version", "the server speaks no TLS 1.2 or later"),
    ("unsupported protocol", "the server speaks no TLS 1.2 or later"),
    ("handshake failure", "the server found no common way to encrypt"),
    ("unrecognized name", "the server does not know this host name"),
)
# OpenSSL, x509_vfy.h
_VERIFY_RESULTS = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed",
    19: "it was signed by an unknown authority",
    20: "it was signed by an unknown authority",
    21: "it was signed by an unknown authority",
    23: "it was revoked",
    24: "it was signed by what is no authority",
    26: "it is not meant for a server",
    62: "it is for another host name",
    64: "it is for another address",
    66: "its key is too weak",
    67: "the key of its authority is too weak",
    68: "its signature is too weak",
    79: "it was signed by what is no authority",
}
