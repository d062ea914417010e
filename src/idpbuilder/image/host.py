"""Hosts as references and URLs name them: which are this machine, or lie inside this network."""

from __future__ import annotations

import ipaddress
import re
from enum import Enum

_PLAIN_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\Z")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NUMBERS_ONLY = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*\.?\Z")


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address) is this machine: `localhost`, 127.0.0.0/8, `::1`."""
    if host.lower().rstrip(".") == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


class Reach(Enum):
    """From where the address that a host is written as can be reached, and what to call it."""

    PUBLIC = "a public address"
    PRIVATE = "an address inside this network"
    LINK_LOCAL = "an address of this link alone"
    LOOPBACK = "an address of this machine"
    HIDDEN = "an address in disguise"


_MAY_LEAD_TO: dict[Reach, frozenset[Reach]] = {
    Reach.PUBLIC: frozenset({Reach.PUBLIC}),
    Reach.PRIVATE: frozenset({Reach.PUBLIC, Reach.PRIVATE}),
    # where clouds keep a machine's own credentials
    Reach.LINK_LOCAL: frozenset({Reach.PUBLIC, Reach.LINK_LOCAL}),
    Reach.LOOPBACK: frozenset({Reach.PUBLIC, Reach.PRIVATE, Reach.LOOPBACK}),
    Reach.HIDDEN: frozenset({Reach.PUBLIC}),
}


def reach(host: str) -> Reach:
    """The reach of `host`, which is a name or an address.

    HIDDEN is what only some take for an address, as `0x7f.1` and `127%2e0.0.1`.
    """
    name = host.lower().rstrip(".")
    if is_loopback(host) or name.endswith(".localhost"):
        return Reach.LOOPBACK
    address = _address(host)
    if address is None:
        plain = _PLAIN_NAME.match(name) and not _NUMBERS_ONLY.match(name)
        return Reach.PUBLIC if plain else Reach.HIDDEN
    address = _translated(address)
    if address.is_unspecified or address.is_loopback:
        # connecting to the unspecified address is connecting to oneself
        return Reach.LOOPBACK
    if address.is_link_local:
        return Reach.LINK_LOCAL
    return Reach.PUBLIC if address.is_global and not address.is_multicast else Reach.PRIVATE


def may_lead_to(host: str, other: str) -> bool:
    """Whether a server at `host` may send us on to the host `other`.

    It always may to itself. Else nobody could reach through us what he cannot reach alone: this
    machine, its link, its network.
    """
    return host == other or reach(other) in _MAY_LEAD_TO[reach(host)]


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _translated(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that a gateway makes of an IPv6 address (RFC 6052, RFC 3056)."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.sixtofour or address
    return address
