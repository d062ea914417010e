"""How long a token lives, in seconds from when it came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idpbuilder.registry.lifetime import lifetime
from idpbuilder.wire import Headers

NOON = "Sun, 01 Mar 2026 12:00:00 GMT"


def lives(date: str | None = NOON, **answer: object) -> float:
    return lifetime(answer, Headers([("Date", date)] if date is not None else []))


@pytest.mark.parametrize(
    "said", [None, 0, -1, 5, 60, True, "300", "x", [], {}, float("nan"), float("-inf")]
)
def test_a_minute_is_the_least_and_what_counts_where_nothing_is_said(said: object) -> None:
    assert lives(expires_in=said) == 60
    assert lives() == 60


@pytest.mark.parametrize("said", [86400, 10**400, 1e99, float("inf")])
def test_a_day_is_the_most(said: object) -> None:
    assert lives(expires_in=said) == 86400


@pytest.mark.parametrize(
    "issued",
    [
        "2026-03-01T11:58:20Z",
        "2026-03-01t11:58:20z",
        "2026-03-01T11:58:20.987654321Z",
        "2026-03-01T12:58:20+01:00",
        "2026-03-01T06:28:20.5-05:30",
    ],
)
def test_a_lifetime_counts_from_when_the_token_was_issued(issued: str) -> None:
    assert lives(expires_in=300, issued_at=issued) == 200


@pytest.mark.parametrize(
    "issued",
    [
        "2026-03-01T12:00:00.9Z",
        "2026-03-01T12:00:01Z",
        "2026-03-01T13:00:00Z",
        "2026-03-01T11:55:00Z",
        "2025-03-01T12:00:00Z",
        "0001-01-01T00:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-03-01T12:00:00+99:00",
        "2026-03-01 11:58:20",
        "2026-03-01T11:58:20",
        "yesterday",
        "",
        1772366300,
        None,
        [],
    ],
)
def test_when_a_token_was_issued_does_not_count_where_it_cannot_be_true(issued: object) -> None:
    assert lives(expires_in=300, issued_at=issued) == 300


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "now",
        "Sunday, 01-Mar-26 12:00:00 GMT",
        "Sun, 99 Mar 2026 12:00:00 GMT",
        "Sun, 01 Foo 2026 12:00:00 GMT",
        "Sun, 01 Mar 2026 99:00:00 GMT",
        "Sun, 01 Mar 2026 12:00:00 +0100",
    ],
)
def test_without_the_services_own_time_a_lifetime_counts_from_now(date: str | None) -> None:
    assert lives(date, expires_in=300, issued_at="2026-03-01T11:58:20Z") == 300


def test_a_token_at_its_end_is_used_for_a_moment() -> None:
    assert lives(expires_in=60, issued_at="2026-03-01T11:59:01Z") == 10


@given(st.text(max_size=40), st.text(max_size=40))
def test_nothing_that_a_service_says_breaks_the_reading(date: str, issued: str) -> None:
    assert lives(date, expires_in=300, issued_at=issued) == 300


@given(
    st.datetimes().map(lambda time: time.isoformat() + "Z"),
    st.integers(min_value=61, max_value=86400),
)
def test_a_token_always_lives_for_a_while_and_never_longer_than_is_said(
    issued: str, said: int
) -> None:
    assert 10 <= lives(expires_in=said, issued_at=issued) <= said
