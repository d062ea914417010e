"""Hosts, by how they are written."""

from __future__ import annotations

import pytest

from idpbuilder.image.host import Reach, is_loopback, may_lead_to, reach


def test_loopback_is_localhost_and_its_addresses() -> None:
    for host in ("localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "::1", "[::1]"):
        assert is_loopback(host), host
    # what only a gateway would lead here is none of these: it may be spoken to without TLS
    others = ("[64:ff9b::7f00:1]", "[2002:7f00:1::]", "0.0.0.0", "2130706433", "0x7f.1")
    for host in ("localhost.example.com", "10.0.0.1", "example.com", "[::2]", *others):
        assert not is_loopback(host), host


@pytest.mark.parametrize(
    ("expected", "hosts"),
    [
        (
            Reach.PUBLIC,
            "example.com 8.8.8.8 [2606:4700::1111] 127.example.com localhost.example.com",
        ),
        (Reach.PRIVATE, "10.0.0.7 192.168.1.1 100.64.0.1 [fd00::1] [::ffff:10.0.0.1] 224.0.0.1"),
        (Reach.LINK_LOCAL, "169.254.169.254 [fe80::1] [fe80::1%eth0] [::ffff:169.254.169.254]"),
        (Reach.LOOPBACK, "localhost LOCALHOST. x.localhost 127.0.0.1 [::1] [::ffff:127.0.0.1]"),
        (Reach.LOOPBACK, "0.0.0.0 [::]"),
        (Reach.HIDDEN, "0 0x0 0x7f.1 0X7F000001 2130706433 017700000001 0177.0.0.1 127.1"),
        # libcurl takes the one apart, and others who knows what
        (Reach.HIDDEN, "127%2e0%2e0%2e1 loc%61lhost a\\b a..b a,b * \u2460\u2461\u2466.0.0.1"),
        (Reach.LOOPBACK, "[64:ff9b::7f00:1] [2002:7f00:1::]"),
        (Reach.LINK_LOCAL, "[64:ff9b::a9fe:a9fe] [2002:a9fe:a9fe::1] [::ffff:a9fe:a9fe]"),
        (Reach.PRIVATE, "[64:ff9b::10.0.0.1] [2002:a00:1::]"),
        (Reach.PUBLIC, "[64:ff9b::8.8.8.8] [2002:808:808::] a_b-c.example 1.example"),
    ],
)
def test_a_host_reaches_as_far_as_its_address_is_written(expected: Reach, hosts: str) -> None:
    assert {host: reach(host) for host in hosts.split()} == dict.fromkeys(hosts.split(), expected)


PUBLIC, PRIVATE, LINK, LOOPBACK = "example.com", "10.0.0.1", "169.254.0.1", "127.0.0.1"
HIDDEN = "2852039166"


@pytest.mark.parametrize(
    ("host", "others"),
    [
        (PUBLIC, {PUBLIC}),
        (PRIVATE, {PUBLIC, PRIVATE}),
        (LINK, {PUBLIC, LINK}),
        (LOOPBACK, {PUBLIC, PRIVATE, LOOPBACK}),
        # to itself
        (HIDDEN, {PUBLIC, HIDDEN}),
    ],
)
def test_nobody_reaches_through_us_what_he_cannot_reach_alone(host: str, others: set[str]) -> None:
    everywhere = (PUBLIC, PRIVATE, LINK, LOOPBACK, HIDDEN)
    assert {other for other in everywhere if may_lead_to(host, other)} == others
