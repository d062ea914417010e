"""Which proxy a request takes, where libcurl's own reading of the environment is not enough."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from idpbuilder.registry.endpoints import is_loopback

NO_PROXY_AT_ALL = ""


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
