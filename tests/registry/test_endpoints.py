"""URLs and Locations."""

from __future__ import annotations

import pytest

from idpbuilder.image import Digest, InvalidValue
from idpbuilder.registry.endpoints import Endpoint, with_digest

HUB = Endpoint.of("https", "docker.io")
ENDPOINT = Endpoint("https", "registry.example.com")
ASKED = "https://registry.example.com/v2/a/blobs/uploads/"


def test_docker_hub_is_reached_at_its_registry_host() -> None:
    assert HUB.base == "https://registry-1.docker.io"


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/v2/a/blobs/uploads/1", "https://registry.example.com/v2/a/blobs/uploads/1"),
        ("1?_state=x%3D", f"{ASKED}1?_state=x%3D"),
        ("https://cdn.example.com/u/1", "https://cdn.example.com/u/1"),
        ("https://registry.example.com:443/u", "https://registry.example.com:443/u"),
        ("/blobs/upload/1", "https://registry.example.com/blobs/upload/1"),
        ("/u/1#fragment", "https://registry.example.com/u/1"),
    ],
)
def test_a_location_is_taken_against_the_url_that_was_asked(location: str, url: str) -> None:
    assert ENDPOINT.resolve(ASKED, location) == url


def test_a_location_is_taken_against_the_last_hop_and_not_the_first() -> None:
    hop = "https://uploads.example.com/deep/path/"
    assert ENDPOINT.resolve(hop, "next") == "https://uploads.example.com/deep/path/next"


def test_a_port_that_is_the_schemes_own_makes_no_other_origin() -> None:
    assert ENDPOINT.is_origin_of("https://registry.example.com:443/v2/")
    assert Endpoint("https", "registry.example.com:443").is_origin_of(ASKED)
    assert not ENDPOINT.is_origin_of("https://registry.example.com:8443/v2/")
    assert not ENDPOINT.is_origin_of("http://registry.example.com/v2/")
    assert not ENDPOINT.is_origin_of("https://registry.example.com.evil.example/v2/")


def test_a_location_that_falls_back_to_http_on_the_registrys_host_stays_in_tls() -> None:
    found = ENDPOINT.resolve(ASKED, "http://registry.example.com/v2/a/blobs/uploads/1?s=1")
    assert found == "https://registry.example.com/v2/a/blobs/uploads/1?s=1"


def test_a_location_that_leaves_tls_for_another_host_is_refused_unless_insecure() -> None:
    location = "http://cdn.example.com/1"
    with pytest.raises(InvalidValue, match="out of TLS"):
        ENDPOINT.resolve(ASKED, location)
    assert ENDPOINT.resolve(ASKED, location, insecure=True) == location


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("127.0.0.1", "an address of this machine"),
        ("10.0.0.7", "an address inside this network"),
        ("169.254.169.254", "an address of this link alone"),
        ("[fd00::1]", "an address inside this network"),
        ("localhost", "an address of this machine"),
        ("0x7f.1", "an address in disguise"),
        ("127%2e0%2e0%2e1", "an address in disguise"),
        ("loc%61lhost", "an address in disguise"),
        ("[::ffff:127.0.0.1]", "an address of this machine"),
        ("[64:ff9b::169.254.169.254]", "an address of this link alone"),
    ],
)
def test_a_registry_outside_never_leads_into_this_network(host: str, why: str) -> None:
    with pytest.raises(InvalidValue, match=f"leads to .*, {why}"):
        ENDPOINT.resolve(ASKED, f"https://{host}/u/1")


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "169.254.169.254"])
def test_a_registry_inside_this_network_never_leads_to_this_machine_or_its_link(host: str) -> None:
    inside = Endpoint("http", "10.0.0.5:5000")
    with pytest.raises(InvalidValue, match="leads to"):
        inside.resolve("http://10.0.0.5:5000/v2/", f"http://{host}/u")


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "%31%36%39.254.169.254"])
def test_nobody_leads_to_an_address_in_disguise(host: str) -> None:
    here = Endpoint("http", "127.0.0.1:5000")
    with pytest.raises(InvalidValue, match="an address in disguise"):
        here.resolve("http://127.0.0.1:5000/v2/", f"http://{host}/u", peer="127.0.0.1")


def test_a_registry_on_this_machine_may_lead_to_another_port_of_it() -> None:
    here = Endpoint("http", "127.0.0.1:5000")
    assert here.resolve("http://127.0.0.1:5000/v2/", "http://localhost:9000/u")


def test_a_registry_inside_this_network_may_lead_to_its_neighbour() -> None:
    inside = Endpoint("http", "10.0.0.5:5000")
    assert inside.resolve("http://10.0.0.5:5000/v2/", "http://10.0.0.6/u") == "http://10.0.0.6/u"


def test_where_a_registry_is_says_its_address_where_that_is_known() -> None:
    location = "https://10.0.0.7/u"
    assert ENDPOINT.resolve(ASKED, location, peer="10.0.0.6") == location
    with pytest.raises(InvalidValue, match="an address inside this network"):
        ENDPOINT.resolve(ASKED, location, peer="8.8.8.8")
    # to itself it may always lead
    own = "https://registry.example.com:8443/u"
    assert ENDPOINT.resolve(ASKED, own, peer="127.0.0.1") == own


@pytest.mark.parametrize(
    "location",
    [
        "ftp://registry.example.com/u",
        "file:///etc/passwd",
        "https://user@registry.example.com/",
        "https://[::1/u",
        "/u\r\nX: y",
        "https://h:99999/u",
    ],
)
def test_what_is_no_http_url_is_no_location(location: str) -> None:
    with pytest.raises(InvalidValue):
        ENDPOINT.resolve(ASKED, location)


def test_the_digest_joins_a_query_that_is_there_and_changes_nothing_in_it() -> None:
    digest = Digest.of(b"")
    query = f"digest=sha256%3A{digest.encoded}"
    assert with_digest("https://h/u", digest) == f"https://h/u?{query}"
    assert with_digest("https://h/u?s=a%2Fb&t", digest) == f"https://h/u?s=a%2Fb&t&{query}"
