from __future__ import annotations

import pytest

from idpbuilder.transport.proxy import proxy_for

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
