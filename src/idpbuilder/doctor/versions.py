"""What a server agrees to before the first request: TLS, and which HTTP. Nothing is asked of it.

libcurl does not tell what else a server would have agreed to.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from idpbuilder.transport.trust import Certificates

_NAMES = {"h2": "HTTP/2", "http/1.1": "HTTP/1.1"}
_ISSUER = ("organizationName", "commonName")


@dataclass(frozen=True, slots=True)
class Agreed:
    """`tls` as in `TLS 1.3`, `http` as in `HTTP/2`, the best first.

    Of a certificate that is trusted, who signed it, and until when in seconds since 1970 it holds;
    "" and None of another one.
    """

    tls: str
    http: tuple[str, ...]
    issuer: str = ""
    until: float | None = None


def agree(
    host: str, port: int, certificates: Certificates | None, left: Callable[[], float]
) -> Agreed | None:
    """What the server at `host` and `port` agrees to; None where it agrees to nothing.

    `certificates` None believes anyone; `left` says how many seconds there are for the next step.
    """
    trusted = certificates
    found = _tried(host, port, trusted, ("h2", "http/1.1"), left)
    if found is None:
        # Python may doubt a certificate that libcurl has just believed
        trusted = None
        found = _tried(host, port, trusted, ("h2", "http/1.1"), left)
    if found is None or found.http != (_NAMES["h2"],):
        return found
    other = _tried(host, port, trusted, ("http/1.1",), left)
    return replace(found, http=found.http + other.http) if other else found


def _tried(
    host: str,
    port: int,
    certificates: Certificates | None,
    protocols: tuple[str, ...],
    left: Callable[[], float],
) -> Agreed | None:
    seconds = left()
    if seconds <= 0:
        return None
    try:
        context = _context(certificates, protocols)
        with (
            socket.create_connection((host, port), seconds) as connection,
            context.wrap_socket(connection, server_hostname=host) as secured,
        ):
            return _agreed(secured)
    except (OSError, ValueError):
        return None


def _context(certificates: Certificates | None, protocols: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(list(protocols))
    if certificates is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    # between certificates there may be anything
    data = certificates.ca_data.decode("ascii", "ignore") if certificates.ca_data else None
    context.load_verify_locations(certificates.ca_file, cadata=data)
    # those are strict in later versions of Python, and libcurl is not
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if certificates.client_cert and certificates.client_key:
        context.load_cert_chain(certificates.client_cert, certificates.client_key, "")
    return context


def _agreed(connection: ssl.SSLSocket) -> Agreed:
    # without ALPN it is HTTP/1.1 that is meant (RFC 9113, 3.2)
    chosen = connection.selected_alpn_protocol() or "http/1.1"
    tls = (connection.version() or "TLS").replace("TLSv", "TLS ")
    certificate = connection.getpeercert() or {}
    until = None
    end = certificate.get("notAfter")
    if isinstance(end, str):
        with suppress(ValueError):
            until = float(ssl.cert_time_to_seconds(end))
    return Agreed(tls, (_NAMES.get(chosen, chosen),), _issuer(certificate.get("issuer")), until)


def _issuer(names: object) -> str:
    """Who signed a certificate, of the names as `ssl` has them: pairs in tuples in a tuple."""
    parts = names if isinstance(names, tuple) else ()
    pairs = [pair for part in parts if isinstance(part, tuple) for pair in part]
    found = {pair[0]: pair[1] for pair in pairs if isinstance(pair, tuple) and len(pair) == 2}
    return next((str(found[name]) for name in _ISSUER if name in found), "")


def plain(host: str, port: int, path: str, seconds: float) -> str:
    """The version of HTTP in which a server without TLS answers a GET; "" where it does not."""
    authority = f"[{host}]" if ":" in host else host
    request = f"GET {path} HTTP/1.1\r\nHost: {authority}:{port}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((host, port), max(seconds, 0.001)) as connection:
            connection.sendall(request.encode("ascii"))
            # no more: whoever reads a whole head waits as long as someone likes to send one
            found = re.match(rb"HTTP/1\.[01](?= )", connection.recv(64))
    except (OSError, ValueError):
        return ""
    return found[0].decode("ascii") if found else ""
