"""Which proxy a request takes: the environment's, read as docker and podman read it."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from idpbuilder.image.host import is_loopback

NO_PROXY_AT_ALL = ""
_DEFAULT_PORT = {"http": 80, "https": 443}
_NAME_AND_PORT = re.compile(r"(\[[^\]]*\]|[^:]*):([0-9]+)\Z")


class ProxyUnusable(Exception):
    """A proxy that was named and cannot be used; the text holds no secret."""


def proxy_for(url: str, environ: Mapping[str, str]) -> str:
    """The proxy for `url`; "" for none. Raises ValueError for what is no URL.

    libcurl's own reading of the environment is not used: it ignores `HTTP_PROXY`, knows no port in
    `NO_PROXY`, and takes `.example.com` for `example.com` itself, which docker and podman do not.
    """
    parts = urlsplit(url)
    host, port = (parts.hostname or "").rstrip("."), parts.port or _DEFAULT_PORT.get(parts.scheme)
    # a registry on this machine is none that a proxy could reach; docker and its kin do the same
    if is_loopback(host):
        return NO_PROXY_AT_ALL
    proxy = _first(environ, _names(parts.scheme, environ))
    if not proxy or _is_excepted(host, port, _first(environ, ("no_proxy", "NO_PROXY"))):
        return NO_PROXY_AT_ALL
    return _naming_far_away(proxy)


def octets_of(proxy: str) -> bytes:
    """`proxy` as libcurl takes it: the bytes that the environment holds. Raises ProxyUnusable."""
    try:
        return os.fsencode(proxy)
    except UnicodeEncodeError:
        raise ProxyUnusable("the proxy's address holds characters that cannot be sent") from None


def speaks_tls(url: str) -> bool:
    """Whether what is at `url`, a registry or a proxy, is spoken to over TLS."""
    return url[:6].lower() == "https:"


def _names(scheme: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that may name the proxy, the first that is not empty counts."""
    if scheme != "http":
        return ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    # a CGI server makes HTTP_PROXY of a request's `Proxy` header: whoever sent it would choose
    upper = () if "REQUEST_METHOD" in environ else ("HTTP_PROXY",)
    return ("http_proxy", *upper, "all_proxy", "ALL_PROXY")


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next(filter(None, (environ.get(name, "").strip() for name in names)), "")


def _naming_far_away(proxy: str) -> str:
    """`proxy`, which resolves the registry's name itself if it speaks SOCKS 5.

    To libcurl `socks5` means that we do. To docker and podman it does not, and behind such a proxy
    there often is no other way to a name.
    """
    local = "socks5://"
    return f"socks5h://{proxy[len(local) :]}" if proxy.lower().startswith(local) else proxy


def _is_excepted(host: str, port: int | None, exceptions: str) -> bool:
    entries = re.split(r"[\s,]+", exceptions.lower())
    return any(_excepts(entry, host, port) for entry in entries if entry)


def _excepts(entry: str, host: str, port: int | None) -> bool:
    """Whether an entry of NO_PROXY means `host`, as golang.org/x/net/http/httpproxy has it."""
    if entry == "*":
        return True
    if found := _NAME_AND_PORT.match(entry):
        if int(found[2]) != port:
            return False
        entry = found[1]
    network, address = _network(entry), _network(host)
    if network is not None:
        return (
            address is not None
            and address.version == network.version
            and address.network_address in network
        )
    name = entry.removeprefix("*")
    if name.startswith("."):
        return host.endswith(name)
    return host == name or host.endswith(f".{name}")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The network, or the address as one of its own, that `text` is."""
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None
