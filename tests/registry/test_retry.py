"""When to try again."""

from __future__ import annotations

import pytest

from idpbuilder.registry.retry import RETRY_AFTER_LIMIT, RetryPolicy, parse_retry_after

STEADY = RetryPolicy(chance=lambda: 0.5)


def test_the_delay_doubles_from_half_a_second_up_to_fifteen() -> None:
    delays = [STEADY.delay(made) for made in range(10)]
    assert delays == [0.5, 1, 2, 4, 8, 15, 15, 15, 15, 15]
    assert sum(filter(None, delays)) == pytest.approx(90.5)


def test_the_tries_come_to_an_end() -> None:
    assert STEADY.delay(10) is None
    assert RetryPolicy(retries=0).delay(0) is None


def test_chance_moves_a_delay_by_a_fifth_and_never_over_the_ceiling() -> None:
    assert RetryPolicy(chance=lambda: 0.0).delay(0) == pytest.approx(0.4)
    assert RetryPolicy(chance=lambda: 1.0).delay(0) == pytest.approx(0.6)
    assert RetryPolicy(chance=lambda: 1.0).delay(9) == 15


def test_what_the_registry_asks_for_wins_within_reason() -> None:
    assert STEADY.delay(0, 42.0) == 42
    assert STEADY.delay(0, 1e9) == RETRY_AFTER_LIMIT
    assert STEADY.delay(10, 1.0) is None


def test_retry_after_is_a_number_or_a_date() -> None:
    assert parse_retry_after("120", now=0) == 120
    assert parse_retry_after("Thu, 01 Jan 1970 00:01:00 GMT", now=20) == 40
    assert parse_retry_after("Thu, 01 Jan 1970 00:00:00 GMT", now=20) == 0


@pytest.mark.parametrize("value", [None, "", "soon", "-3", "1.5", "٣", "Thu, 99 Foo"])
def test_what_is_neither_asks_for_nothing(value: str | None) -> None:
    assert parse_retry_after(value, now=0) is None


def test_a_retry_after_of_nothing_does_not_burn_every_try_at_once() -> None:
    assert [STEADY.delay(made, 0.0) for made in range(3)] == [0.5, 1, 2]
    assert STEADY.delay(0, -5.0) == 0.5
