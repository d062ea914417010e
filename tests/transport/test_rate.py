from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from idpbuilder.transport.rate import BURST_SECONDS, TokenBucket, Turnstile


def test_a_bucket_starts_empty() -> None:
    assert TokenBucket(1000, now=5.0).take(100, now=5.0) == 0


def test_credit_grows_with_time() -> None:
    bucket = TokenBucket(1000, now=0.0)
    assert bucket.take(100, now=0.01) == 10
    assert bucket.take(100, now=0.01) == 0
    assert bucket.take(5, now=0.02) == 5
    assert bucket.take(100, now=0.02) == 5


def test_a_long_silence_saves_up_no_more_than_a_small_burst() -> None:
    bucket = TokenBucket(1000, now=0.0)
    assert bucket.take(10_000, now=3600.0) == 1000 * BURST_SECONDS


def test_even_a_byte_a_second_is_a_rate() -> None:
    bucket = TokenBucket(1, now=0.0)
    assert bucket.take(100, now=0.5) == 0
    assert bucket.ready_at() == 1.0
    assert bucket.take(100, now=bucket.ready_at()) == 1


@given(
    st.integers(1, 10**9),
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 2**20)), max_size=60),
)
def test_never_more_is_granted_than_the_rate_allows(
    rate: int, asked: list[tuple[float, int]]
) -> None:
    bucket = TokenBucket(rate, now=0.0)
    now, granted = 0.0, 0
    for wait, wanted in asked:
        now += wait
        granted += bucket.take(wanted, now)
        assert granted <= rate * now * (1 + 1e-9) + 1e-6


@given(st.integers(1, 10**9), st.integers(1, 32))
def test_whoever_waits_until_it_is_ready_gets_the_whole_rate(rate: int, rounds: int) -> None:
    bucket = TokenBucket(rate, now=0.0)
    now, granted = 0.0, 0
    for _ in range(rounds):
        now = bucket.ready_at() + 1e-9
        granted += bucket.take(2**40, now)
    assert granted >= rate * now * (1 - 1e-6) - 2


def test_senders_are_served_in_the_order_in_which_they_came() -> None:
    turnstile = Turnstile[str](1000, now=0.0)
    assert [turnstile.ask(name, 100, 0.0) for name in "abc"] == [0, 0, 0]
    served = []
    now = 0.0
    for _ in range(6):
        ready = turnstile.ready_at()
        assert ready is not None
        now = max(now, ready) + 1e-6
        sender = turnstile.release(now)
        assert sender is not None
        assert turnstile.ask(sender, 100, now) > 0
        served.append(sender)
        assert turnstile.ask(sender, 100, now) == 0  # the credit is spent: to the end of the line
    assert served == list("abcabc")


def test_a_newcomer_does_not_pass_those_who_wait() -> None:
    turnstile = Turnstile[str](1000, now=0.0)
    turnstile.ask("first", 100, 0.0)
    assert turnstile.ask("second", 100, 1.0) == 0
    assert turnstile.release(1.0) == "first"
    assert turnstile.ask("first", 100, 1.0) == 50


def test_nobody_is_released_before_it_pays() -> None:
    turnstile = Turnstile[str](1000, now=0.0)
    assert turnstile.ready_at() is None
    turnstile.ask("one", 100, 0.0)
    assert turnstile.ready_at() == 0.025
    assert turnstile.release(0.024) is None
    assert turnstile.release(0.025) == "one"
    assert turnstile.ready_at() is None


def test_a_released_sender_that_does_not_ask_holds_up_nobody() -> None:
    turnstile = Turnstile[str](1000, now=0.0)
    turnstile.ask("slow", 100, 0.0)
    turnstile.ask("quick", 100, 0.0)
    assert turnstile.release(1.0) == "slow"
    assert turnstile.release(1.0) == "quick"
    assert turnstile.ask("quick", 100, 1.0) == 50


def test_a_sender_that_ended_waits_no_more() -> None:
    turnstile = Turnstile[str](1000, now=0.0)
    turnstile.ask("gone", 100, 0.0)
    turnstile.leave("gone")
    turnstile.leave("never there")
    assert turnstile.ready_at() is None
    assert turnstile.ask("next", 100, 1.0) == 50
