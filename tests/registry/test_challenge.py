"""Reading `WWW-Authenticate`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idpbuilder.registry.challenge import Challenge, parse_challenges
from idpbuilder.wire import Headers


def parse(*values: str) -> tuple[Challenge, ...]:
    return parse_challenges(Headers([("WWW-Authenticate", value) for value in values]))


def test_a_bearer_challenge_is_read_whole() -> None:
    value = 'Bearer realm="https://auth.example.com/token",service="r",scope="repository:a:pull"'
    assert parse(value) == (
        Challenge(
            "bearer",
            {
                "realm": "https://auth.example.com/token",
                "service": "r",
                "scope": "repository:a:pull",
            },
        ),
    )


def test_a_quoted_value_may_hold_commas_and_escapes() -> None:
    (found,) = parse(r'Bearer realm="https://a/t?x=1,2", scope="repository:a:pull,push", e="\"q\""')
    assert found.parameters["realm"] == "https://a/t?x=1,2"
    assert found.parameters["scope"] == "repository:a:pull,push"
    assert found.parameters["e"] == '"q"'


def test_the_scheme_and_the_names_come_in_any_case() -> None:
    assert parse('BASIC REALM="Sonatype Nexus"') == (
        Challenge("basic", {"realm": "Sonatype Nexus"}),
    )


def test_several_challenges_come_in_one_header_or_in_several() -> None:
    one = parse('Basic realm="a", Bearer realm="b", service=c')
    several = parse('Basic realm="a"', 'Bearer realm="b", service=c')
    assert one == several
    assert [found.scheme for found in one] == ["basic", "bearer"]
    assert one[1].parameters == {"realm": "b", "service": "c"}


def test_a_scheme_may_stand_alone() -> None:
    assert [found.scheme for found in parse("Negotiate, Basic realm=x")] == ["negotiate", "basic"]
    assert parse("Basic") == (Challenge("basic", {}),)


@pytest.mark.parametrize("lump", ["YIIZzz==", "YIIZzz=", "abc", "ab+/c0~.-_==", "a=  "])
@pytest.mark.parametrize("several", [False, True])
def test_a_bare_value_after_a_scheme_hides_nothing_that_follows(lump: str, several: bool) -> None:
    values = (f"Negotiate {lump}", "Basic realm=x")
    found = parse(*values) if several else parse(", ".join(values))
    assert [one.scheme for one in found] == ["negotiate", "basic"]
    assert found[1].parameters == {"realm": "x"}


def test_a_parameter_without_a_value_is_no_bare_value() -> None:
    assert parse('Bearer service=, realm="b"') == (Challenge("bearer", {"realm": "b"}),)
    assert parse('Bearer realm="b", service=')[0].parameters["realm"] == "b"


@pytest.mark.parametrize(
    "value",
    [
        'Bearer  realm = "r" , service = "s"',
        'Bearer realm="r" service="s"',
        ',, Bearer realm="r",,service="s",',
        'Bearer realm="r",service="s",realm="evil"',
        'bearer REALM="r",Service=s,x="' + "y" * 60_000 + '"',
        'Bearer realm="r",service="s"' + "".join(f",x{number}=y" for number in range(4000)),
    ],
)
def test_odd_forms_of_a_challenge_are_read(value: str) -> None:
    (found,) = parse(value)
    assert (found.parameters["realm"], found.parameters["service"]) == ("r", "s")


@pytest.mark.parametrize(
    "piece", ['"', "a ", "a=", "=", "\\", 'a="\\', "a,", " ", "a\t", "/+", "a b="]
)
def test_a_huge_challenge_is_read_in_no_time(piece: str) -> None:
    parse(f"Bearer {piece * (100_000 // len(piece))}")


def test_no_challenge_is_no_challenge() -> None:
    assert parse() == ()
    assert parse("", " , ") == ()


@given(st.text(max_size=200))
def test_nothing_that_a_registry_sends_breaks_the_reading(value: str) -> None:
    for found in parse(value):
        assert found.scheme == found.scheme.lower()


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True), st.text(max_size=20), max_size=4
    )
)
def test_what_is_quoted_by_the_rules_is_read_back(parameters: dict[str, str]) -> None:
    quoted = [
        '{}="{}"'.format(name, value.replace("\\", "\\\\").replace('"', '\\"'))
        for name, value in parameters.items()
    ]
    if any("\n" in value or "\r" in value for value in parameters.values()):
        return
    assert parse("Bearer " + ", ".join(quoted)) == (Challenge("bearer", parameters),)
