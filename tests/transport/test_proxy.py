from __future__ import annotations

import pytest

from idpbuilder.transport.proxy import ProxyUnusable, octets_of, proxy_for, speaks_tls

UPPER = {"HTTP_PROXY": "http://proxy:3128"}


def test_upper_case_http_proxy_is_for_plain_http() -> None:
    assert proxy_for("http://registry.test/v2/", UPPER) == "http://proxy:3128"


def test_https_is_left_to_libcurl() -> None:
    assert proxy_for("https://registry.test/v2/", UPPER) is None


def test_a_lower_case_variable_wins() -> None:
    assert proxy_for("http://registry.test/", UPPER | {"http_proxy": "http://other"}) is None


def test_an_empty_lower_case_variable_wins_too() -> None:
    assert proxy_for("http://registry.test/", UPPER | {"http_proxy": ""}) is None


def test_an_empty_variable_counts_as_unset() -> None:
    assert proxy_for("http://registry.test/", {"HTTP_PROXY": ""}) is None


def test_a_header_of_a_cgi_request_is_no_proxy() -> None:
    assert proxy_for("http://registry.test/", UPPER | {"REQUEST_METHOD": "GET"}) is None


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1", "127.9.9.9:5000", "[::1]:5000"])
def test_this_machine_is_reached_without_a_proxy(host: str) -> None:
    assert proxy_for(f"http://{host}/v2/", UPPER) == ""
    assert proxy_for(f"https://{host}/v2/", {"HTTPS_PROXY": "http://proxy"}) == ""


def test_a_proxy_is_the_bytes_that_the_environment_holds() -> None:
    assert octets_of("http://u:pw\u00e9@proxy") == "http://u:pw\u00e9@proxy".encode()
    assert octets_of("http://u:\udcff@proxy") == b"http://u:\xff@proxy"


def test_a_proxy_of_no_bytes_is_unusable() -> None:
    with pytest.raises(ProxyUnusable):
        octets_of("http://\ud800")


@pytest.mark.parametrize(
    ("url", "proxy", "environ", "needs"),
    [
        ("https://h/", None, {}, True),
        ("HTTPS://h/", "", {}, True),
        ("http://h/", None, {}, False),
        ("http://h/", "http://p", {"ALL_PROXY": "https://p"}, False),
        ("http://h/", "https://p", {}, True),
        ("http://h/", None, {"ALL_PROXY": "https://p"}, True),
        ("http://h/", None, {"http_proxy": "HTTPS://p"}, True),
        ("http://h/", None, {"https_proxy": "https://p"}, False),
        ("http://localhost/", "", {"ALL_PROXY": "https://p"}, False),
    ],
)
def test_certificates_are_for_tls_to_the_registry_or_its_proxy(
    url: str, proxy: str | None, environ: dict[str, str], needs: bool
) -> None:
    assert speaks_tls(url, proxy, environ) is needs
