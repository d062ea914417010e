"""When to try again: a pure policy, its clock and its chance handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from idpbuilder.errors import PushError

RETRY_AFTER_LIMIT = 300.0
"""Seconds: the longest that a registry's Retry-After is obeyed."""


@dataclass(frozen=True, slots=True)
class Setback:
    """A try that failed and may be made again.

    `error` is what to raise when it is not. `retry_after` is what the registry asked for, in
    seconds. `doubts_body` asks for a look at the local bytes first: the registry says they are not
    what their digest says. `crowded`: it has too much to do, and whoever asks next makes it worse.
    """

    error: PushError
    retry_after: float | None = None
    doubts_body: bool = False
    crowded: bool = False


def _chance() -> float:
    # a push without trouble does not pay for the import
    from random import random

    return random()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`retries` further tries for a request, after `first` seconds doubled each time, at most
    `ceiling` seconds, each varied by a fifth so that many transfers do not come back as one.
    """

    retries: int = 10
    first: float = 0.5
    ceiling: float = 15.0
    chance: Callable[[], float] = _chance

    def delay(self, made: int, retry_after: float | None = None) -> float | None:
        """Seconds to wait before the next try when `made` retries were made; None to give up.

        What the registry asks for is obeyed where it is longer than ours, up to
        RETRY_AFTER_LIMIT: `Retry-After: 0` from many answers in a row would burn every try at once.
        """
        if made >= self.retries:
            return None
        planned = min(self.first * 2.0**made, self.ceiling)
        varied = min(planned * (0.8 + 0.4 * self.chance()), self.ceiling)
        if retry_after is None:
            return varied
        return min(max(retry_after, varied), RETRY_AFTER_LIMIT)


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds that a `Retry-After` asks for, given as a number or as a date (RFC 9110, 10.2.3).

    `now` in seconds since the epoch. None where there is none, or it is neither.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    # only a registry that sends dates pays for the import
    from email.utils import parsedate_to_datetime

    try:
        return max(parsedate_to_datetime(text).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return None
