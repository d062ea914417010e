"""Platforms: their spelling, and which serves whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idpbuilder.image import InvalidValue, Platform


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("linux/amd64", "linux/amd64"),
        ("Linux/AMD64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/armhf", "linux/arm"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("macos/arm64", "darwin/arm64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
    ],
)
def test_a_platform_gets_its_usual_spelling(text: str, usual: str) -> None:
    assert str(Platform.parse(text)) == usual


@pytest.mark.parametrize(
    "text",
    ["", "/", "linux", "linux/", "/amd64", "linux/arm/v7/x", "linux /amd64", "linux/amd64\n"],
)
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        Platform.parse(text)


@given(st.text() | st.text("linux/ard64v", max_size=20))
def test_parsing_raises_nothing_but_invalid_value(text: str) -> None:
    try:
        platform = Platform.parse(text)
    except InvalidValue:
        return
    assert Platform.parse(str(platform)) == platform


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/arm64", "linux/arm64/v8"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm", "linux/arm/v6"),
        ("linux/amd64", "linux/amd64/v3"),
    ],
)
def test_a_platform_is_served_by(asked: str, offered: str) -> None:
    assert Platform.parse(asked).offered_by(Platform.parse(offered)) > 0


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        ("linux/amd64", "linux/arm64"),
        ("linux/amd64", "windows/amd64"),
        ("linux/arm/v7", "linux/arm/v6"),
        ("linux/arm/v6", "linux/arm/v7"),
        ("linux/amd64/v3", "linux/amd64"),
        ("linux/amd64", "unknown/unknown"),
    ],
)
def test_a_platform_is_not_served_by(asked: str, offered: str) -> None:
    assert Platform.parse(asked).offered_by(Platform.parse(offered)) == 0


def test_nothing_is_served_by_no_platform() -> None:
    assert Platform.parse("linux/amd64").offered_by(None) == 0


def test_for_arm_the_plain_platform_is_best_and_v7_comes_before_v6() -> None:
    asked = Platform.parse("linux/arm")
    scores = [asked.offered_by(Platform.parse(f"linux/arm{end}")) for end in ("", "/v7", "/v6")]
    assert scores == sorted(set(scores), reverse=True)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"os": "linux"},
        {"architecture": "amd64"},
        {"os": "linux", "architecture": ""},
        {"os": 1, "architecture": []},
    ],
)
def test_a_document_may_name_no_platform(document: dict[str, object]) -> None:
    assert Platform.of(document) is None


def test_a_document_names_its_platform() -> None:
    document = {"os": "linux", "architecture": "arm", "variant": "v7", "os.version": "1"}
    assert Platform.of(document) == Platform("linux", "arm", "v7")
    assert Platform.of({**document, "variant": 7}) == Platform("linux", "arm")
