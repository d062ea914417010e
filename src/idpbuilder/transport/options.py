"""From a request to the options of an easy handle."""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Iterator, Mapping

import pycurl

from idpbuilder.transport.lanes import FAR_WIDTH
from idpbuilder.transport.proxy import NO_PROXY_AT_ALL, octets_of, proxy_for, speaks_tls
from idpbuilder.transport.settings import EngineSettings
from idpbuilder.transport.trust import Certificates, find_certificates
from idpbuilder.wire import Request, Trust

LARGE_BUFFER = 512 * 1024
"""As fast as larger ones; what a transfer costs in memory."""
_SMALL_BUFFER = 64 * 1024
_ALL_BUFFERS = 16 * 1024 * 1024

_SHARED = pycurl.CURL_HTTP_VERSION_2TLS
_APART = pycurl.CURL_HTTP_VERSION_1_1
# pycurl has no names for these
_SUPPRESS_CONNECT_HEADERS = 265
_DISALLOW_USERNAME_IN_URL = 278

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[^\r\n\0]*\Z")


class RequestUnusable(Exception):
    """A request that cannot be put on the wire; the text says why and holds no secret."""


class Options:
    """Sets up easy handles; reads certificates once for each kind of trust."""

    def __init__(self, settings: EngineSettings, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._trusts: dict[Trust, tuple[tuple[int, object], ...]] = {}
        self._proxys_trust: tuple[tuple[int, object], ...] = ()
        connections = settings.connections or FAR_WIDTH
        large = min(LARGE_BUFFER, max(_ALL_BUFFERS // connections, _SMALL_BUFFER))
        self._large_buffer = large
        self._constant: tuple[tuple[int, object], ...] = (
            (pycurl.NOSIGNAL, 1),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.NETRC, pycurl.NETRC_IGNORED),
            (pycurl.PATH_AS_IS, 1),
            (pycurl.TCP_NODELAY, 1),
            (pycurl.TCP_KEEPALIVE, 1),
            (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
            (pycurl.HTTP09_ALLOWED, 0),
            (_SUPPRESS_CONNECT_HEADERS, 1),
            (_DISALLOW_USERNAME_IN_URL, 1),
            # what the environment excepts is excepted by `proxy_for`
            (pycurl.NOPROXY, ""),
            (pycurl.CONNECTTIMEOUT_MS, max(int(settings.connect_seconds * 1000), 1)),
            (pycurl.USERAGENT, settings.user_agent),
        )

    def apply(self, easy: pycurl.Curl, request: Request, *, share: bool = False) -> str:
        """Set up `easy`, which is new or reset, for `request`; the proxy that it takes, or "".

        With `share` it goes over HTTP/2 where the other side speaks it, beside other requests.
        Raises RequestUnusable, ProxyUnusable, TrustUnusable, pycurl.error.
        """
        for option, value in self._constant:
            easy.setopt(option, value)
        easy.setopt(pycurl.HTTP_VERSION, _SHARED if share else _APART)
        easy.setopt(pycurl.PIPEWAIT, int(share))
        if request.unix_socket is not None:
            easy.setopt(pycurl.UNIX_SOCKET_PATH, request.unix_socket)
        if request.sink is not None:
            easy.setopt(pycurl.BUFFERSIZE, LARGE_BUFFER)
        # whatever the label of a socket looks like, no proxy leads to it
        proxy = self._proxy(request.url) if request.unix_socket is None else NO_PROXY_AT_ALL
        easy.setopt(pycurl.PROXY, octets_of(proxy))
        if proxy and request.body and not speaks_tls(request.url):
            # tinyproxy closes after each answer and says nothing of it before; libcurl makes up for
            # that, but cannot where a body was begun
            easy.setopt(pycurl.FRESH_CONNECT, 1)
        # certificates that nothing needs are not read: they may be broken
        for option, value in self._trust(request.trust) if speaks_tls(request.url) else ():
            easy.setopt(option, value)
        for option, value in self._trust_in_proxies() if speaks_tls(proxy) else ():
            easy.setopt(option, value)
        easy.setopt(pycurl.URL, _octets(request.url, "the URL"))
        easy.setopt(pycurl.HTTPHEADER, _fields(request.headers))
        self._method(easy, request)
        return proxy

    def _method(self, easy: pycurl.Curl, request: Request) -> None:
        method, size = request.method, request.body.size if request.body else 0
        if method not in _METHODS:
            raise RequestUnusable(f"the method `{method}` is unknown")
        if method == "HEAD":
            easy.setopt(pycurl.NOBODY, 1)
        elif request.body or method in _WITH_BODY:
            # for POST too: libcurl's own would be a form, and without a body it would wait for one
            easy.setopt(pycurl.UPLOAD, 1)
            # without a length libcurl sends chunks (RFC 9112, 7.1)
            easy.setopt(pycurl.INFILESIZE_LARGE, -1 if size is None else size)
            large = size is None or size >= LARGE_BUFFER
            buffer = self._large_buffer if large else _SMALL_BUFFER
            easy.setopt(pycurl.UPLOAD_BUFFERSIZE, buffer)
        if method not in ("HEAD", "GET"):
            easy.setopt(pycurl.CUSTOMREQUEST, method)

    def _proxy(self, url: str) -> str:
        try:
            return proxy_for(url, self._environ)
        except ValueError:
            raise RequestUnusable("the URL is malformed") from None

    def _trust(self, trust: Trust) -> tuple[tuple[int, object], ...]:
        options = self._trusts.get(trust)
        if options is None:
            found = find_certificates(trust, self._environ)
            options = self._trusts[trust] = tuple(self._trust_options(trust, found))
        return options

    def _trust_in_proxies(self) -> tuple[tuple[int, object], ...]:
        """Whom a proxy is believed by: `--insecure` and a registry's own CAs do not count."""
        if not self._proxys_trust:
            found = find_certificates(Trust(), self._environ)
            self._proxys_trust = (
                (pycurl.PROXY_SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
                *self._authorities(found, pycurl.PROXY_CAINFO, pycurl.PROXY_CAINFO_BLOB),
            )
        return self._proxys_trust

    def _trust_options(self, trust: Trust, found: Certificates) -> Iterator[tuple[int, object]]:
        yield pycurl.SSL_VERIFYPEER, int(trust.verify)
        yield pycurl.SSL_VERIFYHOST, 2 if trust.verify else 0
        yield from self._authorities(found, pycurl.CAINFO, pycurl.CAINFO_BLOB)
        if found.client_cert and found.client_key:
            yield pycurl.SSLCERT, found.client_cert
            yield pycurl.SSLKEY, found.client_key
            # nobody is there to be asked for one, and OpenSSL would
            yield pycurl.KEYPASSWD, ""

    def _authorities(
        self, found: Certificates, file: int, blob: int
    ) -> Iterator[tuple[int, object]]:
        if found.ca_data is not None:
            path = self._named(found.ca_data)
            yield (file, path) if path else (blob, found.ca_data)
        elif found.ca_file:
            yield file, found.ca_file

    def _named(self, data: bytes) -> str | None:
        """A file in memory: libcurl reads a file once, and a blob anew for each connection."""
        if not hasattr(os, "memfd_create") or not os.path.isdir("/proc/self/fd"):
            return None
        try:
            descriptor = os.memfd_create("authorities")
        except OSError:
            return None
        weakref.finalize(self, os.close, descriptor)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        return f"/proc/self/fd/{descriptor}"


def _fields(headers: tuple[tuple[str, str], ...]) -> list[bytes]:
    # a name without a value takes back what libcurl would send of its own
    lines = [b"Expect:", b"Accept:"]
    for name, value in headers:
        line = f"{name}: {value}"
        if not _FIELD.match(line):
            raise RequestUnusable(f"the value of the header `{name[:40]}` cannot be sent")
        # libcurl drops a field without a value unless it is written so
        lines.append(_octets(line if value else f"{name};", "a header"))
    return lines


def _octets(text: str, what: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise RequestUnusable(f"{what} holds characters that HTTP cannot carry") from None
