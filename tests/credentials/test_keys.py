"""Which key of a store speaks of which repository."""

from __future__ import annotations

import pytest

from idpbuilder.credentials.keys import keys_for, servers


def matches(key: str, registry: str, repository: str = "team/app") -> bool:
    return list(keys_for([key], registry, repository)) == [key]


@pytest.mark.parametrize(
    "key",
    [
        "host.example",
        "HOST.Example",
        "host.example/",
        "https://host.example",
        "http://host.example",
        "https://host.example/v1/",
        "https://host.example/v2/",
        "https://host.example/v2",
        "https://host.example:443",
        "host.example/v1/",
        "host.example/team",
        "host.example/team/app",
        "https://host.example/team/app/",
        "https://host.example/some/api/",
        "http://host.example//",
    ],
)
def test_a_key_speaks_of_its_host(key: str) -> None:
    assert matches(key, "host.example")


@pytest.mark.parametrize(
    "key",
    [
        "host.example:5000",
        "host.example:443",
        "http://host.example:443",
        "other.example",
        "sub.host.example",
        "host.example.org",
        "host.example/tea",
        "host.example/team/app2",
        "host.example/team/app/sub",
        "host.example/other/v2",
        "host.example/team/app/v2",
        "",
    ],
)
def test_a_key_does_not_speak_of_others(key: str) -> None:
    assert not matches(key, "host.example")


@pytest.mark.parametrize("key", ["localhost:5000", "http://localhost:5000", "LOCALHOST:5000/v2/"])
def test_a_port_belongs_to_the_host(key: str) -> None:
    assert matches(key, "localhost:5000")
    assert not matches(key, "localhost:5001")
    assert not matches(key, "localhost")


def test_an_https_key_speaks_of_port_443_with_and_without_it() -> None:
    assert matches("https://host.example", "host.example:443")
    assert matches("https://host.example:443", "host.example:443")
    assert matches("host.example:443", "host.example:443")
    assert not matches("host.example", "host.example:443")


def test_ipv6_hosts_keep_their_brackets() -> None:
    assert matches("[::1]:5000", "[::1]:5000")
    assert matches("https://[::1]", "[::1]")
    assert matches("https://[::1]", "[::1]:443")
    assert not matches("https://[::1]", "[::1]:5000")


@pytest.mark.parametrize(
    "key",
    [
        "https://index.docker.io/v1/",
        "index.docker.io",
        "docker.io",
        "https://docker.io",
        "registry-1.docker.io",
        "docker.io/library",
    ],
)
def test_docker_hub_has_several_keys(key: str) -> None:
    assert matches(key, "docker.io", "library/app")


def test_the_key_that_docker_writes_comes_before_its_equals() -> None:
    keys = ["docker.io", "index.docker.io", "https://index.docker.io/v1/"]
    assert next(keys_for(keys, "docker.io", "a/b")) == "https://index.docker.io/v1/"
    keys = ["https://host.example", "host.example"]
    assert next(keys_for(keys, "host.example", "a/b")) == "host.example"


def test_the_most_specific_path_comes_first() -> None:
    keys = ["h.example", "h.example/a", "h.example/a/b/c", "h.example/a/b", "h.example/b"]
    found = list(keys_for(keys, "h.example", "a/b/c"))
    assert found == ["h.example/a/b/c", "h.example/a/b", "h.example/a", "h.example"]


def test_a_repository_may_be_called_like_a_version_of_the_api() -> None:
    assert matches("host.example/team/v2", "host.example", "team/v2/app")
    assert not matches("host.example/team/v2", "host.example", "team/app")


def test_a_key_of_another_repository_comes_last_where_hosts_are_whole() -> None:
    keys = ["h.example/other", "h.example", "h.example/a"]
    found = list(keys_for(keys, "h.example", "a/b", whole_hosts=True))
    assert found == ["h.example/a", "h.example", "h.example/other"]


def test_a_helper_may_know_docker_hub_by_two_names() -> None:
    assert servers("index.docker.io") == ("https://index.docker.io/v1/", "docker.io")
    assert servers("host.example:5000") == ("host.example:5000",)
