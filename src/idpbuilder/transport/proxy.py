"""Which proxy a request takes, where libcurl's own reading of the environment is not enough."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from idpbuilder.image.host import is_loopback

NO_PROXY_AT_ALL = ""
_FOR_PLAIN_HTTP = ("http_proxy", "all_proxy", "ALL_PROXY")
"""What libcurl may take the proxy of an `http` URL from."""


class ProxyUnusable(Exception):
    """A proxy that was named and cannot be used; the text holds no secret."""


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy for `url`; "" for none; None where libcurl finds out by itself.

    libcurl reads `http_proxy`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, the last also where a
    proxy is named here. It ignores `HTTP_PROXY`, since a CGI server makes that of a request's
    `Proxy` header.
    """
    parts = urlsplit(url)
    # a registry on this machine is none that a proxy could reach; docker and its kin do the same
    if is_loopback(parts.hostname or ""):
        return NO_PROXY_AT_ALL
    if parts.scheme != "http" or "http_proxy" in environ or "REQUEST_METHOD" in environ:
        return None
    return environ.get("HTTP_PROXY") or None


def octets_of(proxy: str) -> bytes:
    """`proxy` as libcurl takes it: the bytes that the environment holds. Raises ProxyUnusable."""
    try:
        return os.fsencode(proxy)
    except UnicodeEncodeError:
        raise ProxyUnusable("the proxy's address holds characters that cannot be sent") from None


def speaks_tls(url: str, proxy: str | None, environ: Mapping[str, str]) -> bool:
    """Whether a request for `url` may need certificates, its own or its proxy's.

    `proxy` is what `proxy_for` said.
    """
    if url[:6].lower() == "https:":
        return True
    named = (proxy,) if proxy is not None else (environ.get(name) for name in _FOR_PLAIN_HTTP)
    return any(text and text[:6].lower() == "https:" for text in named)
