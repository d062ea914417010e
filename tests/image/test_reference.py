"""References: Docker's grammar and habits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idpbuilder.image import Digest, InvalidValue, Reference
from idpbuilder.image.reference import check_registry, is_docker_hub, split_host_port

DIGEST = Digest.of(b"")


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag"),
    [
        ("app", "", "app", ""),
        ("app:v1", "", "app", "v1"),
        ("team/app:v1", "", "team/app", "v1"),
        ("docker.io/library/app:v1", "docker.io", "library/app", "v1"),
        ("localhost/app:v1", "localhost", "app", "v1"),
        ("localhost:5000/app", "localhost:5000", "app", ""),
        ("host:80/app", "host:80", "app", ""),
        ("host/app", "", "host/app", ""),
        ("registry.example.com/a/b/c:1.2_3-4", "registry.example.com", "a/b/c", "1.2_3-4"),
        ("Registry.Example.COM/app", "Registry.Example.COM", "app", ""),
        ("127.0.0.1/app", "127.0.0.1", "app", ""),
        ("[::1]:5000/app:v1", "[::1]:5000", "app", "v1"),
        ("[::1]/app", "[::1]", "app", ""),
        ("[2001:db8::1]:443/a/b", "[2001:db8::1]:443", "a/b", ""),
        ("a__b/c--d/e.f", "", "a__b/c--d/e.f", ""),
        ("app:" + "t" * 128, "", "app", "t" * 128),
        ("app:_UPPER.Case", "", "app", "_UPPER.Case"),
    ],
)
def test_a_reference_falls_into_its_parts(
    text: str, registry: str, repository: str, tag: str
) -> None:
    reference = Reference.parse(text)
    assert reference == Reference(registry, repository, tag)
    assert str(reference) == text


def test_a_tag_and_a_digest_may_both_be_there() -> None:
    reference = Reference.parse(f"host.example/app:v1@{DIGEST}")
    assert reference == Reference("host.example", "app", "v1", DIGEST)
    assert reference.name == "host.example/app"
    assert reference.suffix == str(DIGEST)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "@",
        "/",
        "/app",
        "app/",
        "a//b",
        ":v1",
        "app:",
        "app:v1:v2",
        "app:.v1",
        "app:-v1",
        "app:v 1",
        "app:v1\n",
        "app\n",
        "app:" + "t" * 129,
        "app@",
        "app@sha256:00",
        f"app@{DIGEST}@{DIGEST}",
        "App",
        "host.example/App:v1",
        "a___b",
        "a..b",
        "-app",
        "app-",
        "a b",
        "äpp",
        "host.example/",
        "host.example:/app",
        "host.example:0/app",
        "host.example:65536/app",
        "host.example:x/app",
        "host.example:٣/app",
        "host.example:1:2/app",
        "-host.example/app",
        "host_name.example/app",
        "host..example/app",
        "[::1/app",
        "[::1]x/app",
        "[::1]:/app",
        "[nonsense.]/app",
        "[127.0.0.1]/app",
        "[fe80::1%eth0]:5000/app",
        "[fe80::1%\r\nX-Any: header]/app",
        "https://host.example/app",
        "user@host.example/app",
        "host.example/" + "a" * 250,
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        Reference.parse(text)


def test_an_upper_case_name_is_told_what_is_wrong_with_it() -> None:
    with pytest.raises(InvalidValue, match="`Team/App` must be lower case"):
        Reference.parse("host.example/Team/App:v1")


@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "registry-1.docker.io"])
def test_docker_hub_goes_by_three_names(host: str) -> None:
    assert is_docker_hub(host)
    assert is_docker_hub(host.upper())


@pytest.mark.parametrize("host", ["", "hub.docker.io", "docker.io:443", "docker.com"])
def test_nothing_else_is_docker_hub(host: str) -> None:
    assert not is_docker_hub(host)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host", ("host", None)),
        ("host:5000", ("host", 5000)),
        ("[::1]", ("[::1]", None)),
        ("[::1]:5000", ("[::1]", 5000)),
    ],
)
def test_a_registry_falls_into_host_and_port(text: str, expected: tuple[str, int | None]) -> None:
    check_registry(text)
    assert split_host_port(text) == expected


def test_podmans_localhost_names_no_registry_unless_it_has_a_port() -> None:
    assert Reference.parse("localhost/app:v1").local_name_dropped() == Reference("", "app", "v1")
    with_port = Reference.parse("localhost:5000/app:v1")
    assert with_port.local_name_dropped() == with_port


_HOSTS = st.sampled_from(["", "localhost", "h.example", "h:5000", "[::1]:5000", "10.0.0.1:80"])
_COMPONENTS = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}", fullmatch=True)
_TAGS = st.just("") | st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}", fullmatch=True)


@given(
    _HOSTS,
    st.lists(_COMPONENTS, min_size=1, max_size=4),
    _TAGS,
    st.none() | st.binary().map(Digest.of),
)
def test_a_reference_survives_its_text(
    host: str, components: list[str], tag: str, digest: Digest | None
) -> None:
    # without a registry a first component with a dot reads as one
    path = components if host else ["library", *components]
    reference = Reference(host, "/".join(path), tag, digest)
    assert Reference.parse(str(reference)) == reference


@given(st.text() | st.text("abA0.:/@-_[]\n%", max_size=40))
def test_parsing_raises_nothing_but_invalid_value(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidValue:
        return
    assert str(reference) == text
