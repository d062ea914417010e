"""Which proxy the environment means."""

from __future__ import annotations

import pytest

from idpbuilder.transport.proxy import ProxyUnusable, octets_of, proxy_for, speaks_tls

PROXY = "http://proxy:3128"
UPPER = {"HTTP_PROXY": PROXY}


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_plain_http_has_its_variables_in_both_cases(variable: str) -> None:
    assert proxy_for("http://registry.test/v2/", {variable: PROXY}) == PROXY


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_https_has_its_variables_in_both_cases(variable: str) -> None:
    assert proxy_for("https://registry.test/v2/", {variable: PROXY}) == PROXY


def test_a_proxy_is_for_its_own_scheme() -> None:
    assert proxy_for("https://registry.test/", UPPER) == ""
    assert proxy_for("http://registry.test/", {"HTTPS_PROXY": PROXY}) == ""
    assert proxy_for("https://registry.test/", {}) == ""


def test_a_lower_case_variable_wins_and_the_own_one_before_that_for_all() -> None:
    environ = {"ALL_PROXY": "http://all", "all_proxy": "http://all-lower"}
    assert proxy_for("http://registry.test/", environ) == "http://all-lower"
    environ["HTTP_PROXY"] = "http://upper"
    assert proxy_for("http://registry.test/", environ) == "http://upper"
    environ["http_proxy"] = "http://lower"
    assert proxy_for("http://registry.test/", environ) == "http://lower"


def test_an_empty_variable_counts_as_unset() -> None:
    assert proxy_for("http://registry.test/", {"HTTP_PROXY": ""}) == ""
    assert proxy_for("http://registry.test/", UPPER | {"http_proxy": " "}) == PROXY
    exceptions = {"no_proxy": "", "NO_PROXY": "registry.test"}
    assert proxy_for("http://registry.test/", UPPER | exceptions) == ""


def test_a_header_of_a_cgi_request_is_no_proxy() -> None:
    assert proxy_for("http://registry.test/", UPPER | {"REQUEST_METHOD": "GET"}) == ""


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1", "127.9.9.9:5000", "[::1]:5000"])
def test_this_machine_is_reached_without_a_proxy(host: str) -> None:
    assert proxy_for(f"http://{host}/v2/", UPPER) == ""
    assert proxy_for(f"https://{host}/v2/", {"HTTPS_PROXY": "http://proxy"}) == ""


@pytest.mark.parametrize(
    ("exceptions", "host", "excepted"),
    [
        ("*", "registry.test", True),
        ("other.test,*", "registry.test", True),
        ("example.com", "example.com", True),
        ("example.com", "registry.example.com", True),
        ("EXAMPLE.com", "registry.example.COM.", True),
        ("example.com", "notexample.com", False),
        (".example.com", "registry.example.com", True),
        (".example.com", "example.com", False),
        ("*.example.com", "registry.example.com", True),
        ("*.example.com", "example.com", False),
        ("other.test , example.com", "example.com", True),
        ("other.test example.com", "example.com", True),
        ("example.com:5000", "example.com:5000", True),
        ("example.com:443", "example.com", True),
        ("example.com:5000", "example.com", False),
        (".example.com:5000", "registry.example.com:5000", True),
        ("10.0.0.0/8", "10.1.2.3:5000", True),
        ("10.0.0.0/8:5000", "10.1.2.3:5000", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "ten.example.com", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "110.1.2.3", False),
        ("fd00::/8", "[fd00::1]:5000", True),
        ("[fd00::1]", "[fd00::1]", True),
        ("fd00::1", "[FD00:0::1]", True),
        ("[fd00::1]:5000", "[fd00::1]:5000", True),
        ("[fd00::1]:5000", "[fd00::1]", False),
        ("10.0.0.0/8", "[fd00::1]", False),
        ("10.0.0.0/99", "10.1.2.3", False),
        (",, ,", "registry.test", False),
        (":5000", "registry.test:5000", False),
    ],
)
@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
def test_no_proxy_means_what_docker_and_podman_take_it_for(
    exceptions: str, host: str, excepted: bool, variable: str
) -> None:
    found = proxy_for(f"https://{host}/v2/", {"HTTPS_PROXY": PROXY, variable: exceptions})
    assert found == ("" if excepted else PROXY)


def test_a_proxy_that_speaks_socks_5_resolves_the_name_itself() -> None:
    environ = {"ALL_PROXY": "SOCKS5://user:pw@proxy:1080"}
    assert proxy_for("https://registry.test/", environ) == "socks5h://user:pw@proxy:1080"
    environ = {"ALL_PROXY": "socks5h://proxy:1080"}
    assert proxy_for("https://registry.test/", environ) == "socks5h://proxy:1080"


@pytest.mark.parametrize("url", ["http://[::1", "http://h:99999/"])
def test_what_is_no_url_has_no_proxy(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        proxy_for(url, UPPER)


def test_a_proxy_is_the_bytes_that_the_environment_holds() -> None:
    assert octets_of("http://u:pw\u00e9@proxy") == "http://u:pw\u00e9@proxy".encode()
    assert octets_of("http://u:\udcff@proxy") == b"http://u:\xff@proxy"


def test_a_proxy_of_no_bytes_is_unusable() -> None:
    with pytest.raises(ProxyUnusable):
        octets_of("http://\ud800")


@pytest.mark.parametrize(
    ("url", "needs"),
    [("https://h/", True), ("HTTPS://h/", True), ("http://h/", False), ("", False)],
)
def test_certificates_are_for_what_speaks_tls(url: str, needs: bool) -> None:
    assert speaks_tls(url) is needs
