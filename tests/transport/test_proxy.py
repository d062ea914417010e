"""Which proxy the environment means."""

from __future__ import annotations

import pytest

from idpbuilder.transport.proxy import (
    ProxyUnusable,
    octets_of,
    proxy_for,
    secrets_in,
    speaks_tls,
)

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


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_upper_case_variable_wins_and_the_own_one_before_that_for_all(scheme: str) -> None:
    environ: dict[str, str] = {}
    own = f"{scheme}_proxy"
    for variable in ("all_proxy", "ALL_PROXY", own, own.upper()):
        environ[variable] = f"http://{variable}:1"
        assert proxy_for(f"{scheme}://registry.test/", environ) == f"http://{variable}:1"


def test_an_upper_case_list_of_exceptions_wins() -> None:
    environ = UPPER | {"NO_PROXY": "other.test", "no_proxy": "registry.test"}
    assert proxy_for("http://registry.test/", environ) == PROXY


def test_an_empty_variable_counts_as_unset() -> None:
    assert proxy_for("http://registry.test/", {"HTTP_PROXY": ""}) == ""
    assert proxy_for("http://registry.test/", {"http_proxy": PROXY, "HTTP_PROXY": " "}) == PROXY
    exceptions = {"NO_PROXY": "", "no_proxy": "registry.test"}
    assert proxy_for("http://registry.test/", UPPER | exceptions) == ""


def test_a_header_of_a_cgi_request_is_no_proxy() -> None:
    assert proxy_for("http://registry.test/", UPPER | {"REQUEST_METHOD": "GET"}) == ""
    assert proxy_for("http://registry.test/", UPPER | {"REQUEST_METHOD": ""}) == PROXY
    # a header cannot make these
    for environ in ({"http_proxy": PROXY}, {"ALL_PROXY": PROXY}):
        assert proxy_for("http://registry.test/", environ | {"REQUEST_METHOD": "GET"}) == PROXY
    environ = {"HTTPS_PROXY": PROXY, "REQUEST_METHOD": "GET"}
    assert proxy_for("https://registry.test/", environ) == PROXY


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1", "127.9.9.9:5000", "[::1]:5000"])
def test_this_machine_is_reached_without_a_proxy(host: str) -> None:
    assert proxy_for(f"http://{host}/v2/", UPPER) == ""
    assert proxy_for(f"https://{host}/v2/", {"HTTPS_PROXY": PROXY}) == ""


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
        ("10.0.0.0/8", "[::ffff:10.1.2.3]", True),
        ("::ffff:10.1.2.3", "10.1.2.3", True),
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


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        # the ports of docker and podman, and not libcurl's
        ("proxy", "http://proxy:80"),
        ("proxy:3128", "http://proxy:3128"),
        ("proxy:", "http://proxy:80"),
        ("http://proxy", "http://proxy:80"),
        ("https://proxy", "https://proxy:443"),
        ("HTTPS://proxy/", "https://proxy:443"),
        ("http://proxy:3128/path?query#fragment", "http://proxy:3128"),
        ("http://[fd00::1]:3128", "http://[fd00::1]:3128"),
        ("[fd00::1]", "http://[fd00::1]:80"),
        ("user:pw@proxy", "http://user:pw@proxy:80"),
        ("http://user@proxy", "http://user@proxy:80"),
        # libcurl would take the first `@` for the end of the password
        ("http://user:p@w@proxy", "http://user:p%40w@proxy:80"),
        ("http://user:p%40w@proxy", "http://user:p%40w@proxy:80"),
        ("http://user:p%w@proxy", "http://user:p%w@proxy:80"),
        ("http://user:p:w@proxy", "http://user:p:w@proxy:80"),
        # who speaks SOCKS 5 resolves the registry's name itself
        ("SOCKS5://user:pw@proxy", "socks5h://user:pw@proxy:1080"),
        ("socks5h://proxy", "socks5h://proxy:1080"),
        ("socks4://proxy", "socks4://proxy:1080"),
        ("socks4a://proxy:1", "socks4a://proxy:1"),
    ],
)
def test_a_proxy_is_what_docker_and_podman_take_it_for(named: str, meant: str) -> None:
    assert proxy_for("https://registry.test/", {"ALL_PROXY": named}) == meant


@pytest.mark.parametrize(
    "named",
    [
        "http://",
        "http://:3128",
        ":3128",
        "ftp://proxy",
        "unix:///run/proxy",
        "socks6://proxy",
        "//proxy",
        "'http://proxy'",
        "http://[::1",
        "http://::1",
        "http://proxy:0",
        "http://proxy:99999",
        "http://proxy:port",
        "http://pro xy",
        "http://user:p/w@proxy",
        "http://user:%00@proxy",
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
def test_a_proxy_that_is_none_is_told_with_its_variable(named: str, variable: str) -> None:
    with pytest.raises(ProxyUnusable) as caught:
        proxy_for("https://registry.test/", {variable: named})
    assert str(caught.value) == f"the address of the proxy in {variable} cannot be used"
    # it is no matter where it is not needed
    for url in ("https://localhost/", "https://excepted.test/"):
        assert proxy_for(url, {variable: named, "NO_PROXY": "excepted.test"}) == ""


def test_the_passwords_of_proxies_are_known() -> None:
    environ = {
        "HTTP_PROXY": "http://me:p%40w@proxy",
        "all_proxy": "you:x@y/z@proxy",
        "HTTPS_PROXY": "http://me@proxy",
        "NO_PROXY": "a:b@c",
    }
    assert set(secrets_in(environ)) == {"p%40w", "p@w", "me:p@w", "x@y/z", "you:x@y/z"}


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
