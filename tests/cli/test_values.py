from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idpbuilder.cli.values import boolean, duration, one_of, rate, whole_number
from idpbuilder.errors import BadValue


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("300ms", 0.3),
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("1.s", 1),
        ("+2s", 2),
        ("1m1m", 120),
        ("2us", 2e-6),
        ("2µs", 2e-6),
        ("2μs", 2e-6),
        ("2ns", 2e-9),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["0", "0s", "0h0m", "+0", "0.0"])
def test_a_duration_of_zero_is_no_limit(text: str) -> None:
    assert duration(text) is None


@pytest.mark.parametrize("text", ["300", "1.5", "+7"])
def test_a_bare_number_is_no_duration_but_a_hint(text: str) -> None:
    with pytest.raises(BadValue, match="it has no unit") as caught:
        duration(text)
    assert caught.value.hint == f"did you mean `{text}s`?"


@pytest.mark.parametrize(
    "text", ["", "s", "-5m", "5 m", "5M", "5min", "1d", "five", "1h 30m", "1e3s", ".", "5m\n", "٣s"]
)
def test_what_go_would_refuse_is_no_duration(text: str) -> None:
    with pytest.raises(BadValue, match="it is no duration"):
        duration(text)


def test_a_duration_beyond_the_range_of_go_is_refused() -> None:
    assert duration("2562047h") is not None
    with pytest.raises(BadValue, match="too long"):
        duration("2562048h")
    with pytest.raises(BadValue, match="too long"):
        duration("9" * 5000 + "s")


def test_a_duration_too_short_for_go_is_not_taken_for_no_limit() -> None:
    assert duration("0.1ns") == pytest.approx(1e-10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("500K", 512_000),
        ("500k", 512_000),
        ("10M", 10_485_760),
        ("1.5M", 1_572_864),
        ("2G", 2 * 1024**3),
        ("1T", 1024**4),
        ("0", None),
        ("0M", None),
    ],
)
def test_a_rate_counts_as_curl_counts(text: str, expected: int | None) -> None:
    assert rate(text) == expected


@pytest.mark.parametrize(
    "text", ["", "M", "-1", "10 M", "10MB", "10MiB", "ten", "0.1", "9" * 40, "1e3"]
)
def test_a_rate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        rate(text)


def test_a_whole_number_must_be_within_its_range() -> None:
    assert [whole_number(text, 0, 20) for text in ("0", "20", "+7", "007")] == [0, 20, 7, 7]
    for text in ("-1", "21", "9" * 5000):
        with pytest.raises(BadValue, match="out of range") as caught:
            whole_number(text, 0, 20)
        assert caught.value.hint == "write a whole number from 0 to 20"


@pytest.mark.parametrize("text", ["", "1.0", "1_0", " 1", "x", "0x1", "٣"])
def test_a_whole_number_has_nothing_but_digits(text: str) -> None:
    with pytest.raises(BadValue, match="no whole number"):
        whole_number(text, 0, 20)


def test_a_boolean_is_one_of_six_words_in_any_case() -> None:
    assert all(boolean(text) for text in ("true", "1", "yes", "TRUE", "Yes"))
    assert not any(boolean(text) for text in ("false", "0", "no", "FALSE", "No"))
    for text in ("on", "off", "y", "t", "2", "", " true"):
        with pytest.raises(BadValue):
            boolean(text)


def test_a_choice_that_is_none_lists_the_choices() -> None:
    assert one_of("text", ("text", "json")) == "text"
    with pytest.raises(BadValue) as caught:
        one_of("JSON", ("text", "json"))
    assert caught.value.hint == "choose one of `text`, `json`"


@given(st.text(max_size=30))
def test_no_text_makes_a_parser_raise_anything_but_bad_value(text: str) -> None:
    for parse in (duration, rate, boolean, lambda value: whole_number(value, 0, 20)):
        with suppress(BadValue):
            parse(text)
