"""Which proxy a request takes: the environment's, read as docker and podman read it."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

from idpbuilder.image.host import is_loopback

NO_PROXY_AT_ALL = ""
_DEFAULT_PORT = {"http": 80, "https": 443}
_NAME_AND_PORT = re.compile(r"(\[[^\]]*\]|[^:]*):([0-9]+)\Z")
_PLACE = re.compile(r"(\[[^\s\[\]]+\]|[^\s:\[\]]+)(?::([0-9]{0,5}))?\Z")
_LAST_PORT = 65535
# what libcurl calls so, and the port that docker and podman take: libcurl's own is another
_SCHEMES = {
    "http": ("http", 80),
    "https": ("https", 443),
    "socks4": ("socks4", 1080),
    "socks4a": ("socks4a", 1080),
    # to libcurl this means that we resolve the registry's name: to docker and podman it does not,
    # and behind such a proxy there often is no other way to a name
    "socks5": ("socks5h", 1080),
    "socks5h": ("socks5h", 1080),
}
_VARIABLES = {
    "http": ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"),
    "https": ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"),
}
_WRONG = "the address of the proxy in {} cannot be used"


class ProxyUnusable(Exception):
    """A proxy that was named and cannot be used; the text holds no secret."""


def proxy_for(url: str, environ: Mapping[str, str]) -> str:
    """The proxy for `url`, as libcurl takes it; "" for none.

    Raises ValueError for what is no URL, ProxyUnusable for a proxy that is none.

    libcurl's own reading of the environment is not used: it ignores `HTTP_PROXY`, knows no port in
    `NO_PROXY`, and takes `.example.com` for `example.com` itself, which docker and podman do not.
    """
    parts = urlsplit(url)
    host, port = (parts.hostname or "").rstrip("."), parts.port or _DEFAULT_PORT.get(parts.scheme)
    # a registry on this machine is none that a proxy could reach; docker and its kin do the same
    if is_loopback(host):
        return NO_PROXY_AT_ALL
    variable, proxy = _first(environ, _names(parts.scheme, environ))
    exceptions = _first(environ, ("NO_PROXY", "no_proxy"))[1]
    if not proxy or _is_excepted(host, port, exceptions):
        return NO_PROXY_AT_ALL
    return _usable(variable, proxy)


def secrets_in(environ: Mapping[str, str]) -> Iterator[str]:
    """The passwords in the proxies that the environment names, also as they are sent."""
    for variable in {name for names in _VARIABLES.values() for name in names}:
        login = environ.get(variable, "").rpartition("@")[0].rpartition("://")[2]
        user, _, password = login.partition(":")
        if password:
            yield from (password, unquote(password), f"{unquote(user)}:{unquote(password)}")


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
    names = _VARIABLES.get(scheme, _VARIABLES["https"])
    # a CGI server makes HTTP_PROXY of a request's `Proxy` header: whoever sent it would choose
    cgi = environ.get("REQUEST_METHOD")
    return tuple(name for name in names if not (cgi and name == "HTTP_PROXY"))


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    found = ((name, environ.get(name, "").strip()) for name in names)
    return next((one for one in found if one[1]), ("", ""))


def _usable(variable: str, proxy: str) -> str:
    """`proxy` with its scheme and port, and an `@` in its password, where libcurl would stop,
    escaped.
    """
    scheme, separator, rest = proxy.partition("://")
    if not separator:
        scheme, rest = "http", proxy
    login, at, place = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")
    found, known = _PLACE.match(place), _SCHEMES.get(scheme.lower())
    if known is None or not found or "%00" in login:
        raise ProxyUnusable(_WRONG.format(variable))
    name, port = known[0], int(found[2] or known[1])
    if not 0 < port <= _LAST_PORT:
        raise ProxyUnusable(_WRONG.format(variable))
    return f"{name}://{login.replace('@', '%40')}{at}{found[1]}:{port}"


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
        network = ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None
    mapped = network.network_address
    if isinstance(mapped, ipaddress.IPv6Address) and mapped.ipv4_mapped and "/" not in text:
        return ipaddress.ip_network(mapped.ipv4_mapped)
    return network
