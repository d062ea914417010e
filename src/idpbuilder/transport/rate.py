"""An upper bound on bytes per second over many senders, each served in its turn. Pure."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

BURST_SECONDS = 0.05
"""What may be saved up while nobody sends, as time at the full rate."""
_SHARE_SECONDS = BURST_SECONDS / 2


class TokenBucket:
    """Credit in bytes that grows by `rate` a second up to a small burst. Starts empty."""

    __slots__ = ("_credit", "_rate", "_then")

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._credit = 0.0
        self._then = now

    def take(self, wanted: int, now: float) -> int:
        """How many of `wanted` bytes may be sent now; 0 where there is no credit."""
        burst = max(self._rate * BURST_SECONDS, 1.0)
        self._credit = min(self._credit + (now - self._then) * self._rate, burst)
        self._then = now
        granted = min(wanted, int(self._credit))
        self._credit -= granted
        return granted

    def ready_at(self) -> float:
        """When there is enough credit that waking up for it pays."""
        share = max(self._rate * _SHARE_SECONDS, 1.0)
        return self._then + max(share - self._credit, 0.0) / self._rate


class Turnstile(Generic[T]):
    """Hands the credit of a bucket to senders in the order in which they came to wait."""

    __slots__ = ("_bucket", "_released", "_waiting")

    def __init__(self, rate: int, now: float) -> None:
        self._bucket = TokenBucket(rate, now)
        self._waiting: deque[T] = deque()
        self._released: set[T] = set()

    def ask(self, sender: T, wanted: int, now: float) -> int:
        """How many of `wanted` bytes may be sent now; with 0 `sender` waits to be released."""
        its_turn = sender in self._released or not self._waiting
        self._released.discard(sender)
        granted = self._bucket.take(wanted, now) if its_turn else 0
        if not granted:
            self._waiting.append(sender)
        return granted

    def ready_at(self) -> float | None:
        """When the next sender may go on; None where none waits."""
        return self._bucket.ready_at() if self._waiting else None

    def release(self, now: float) -> T | None:
        """The sender whose turn it is, if there is credit for it.

        It may be slow to ask: the credit stays where it is, and the next may be released meanwhile.
        """
        if not self._waiting or now < self._bucket.ready_at():
            return None
        sender = self._waiting.popleft()
        self._released.add(sender)
        return sender

    def leave(self, sender: T) -> None:
        """`sender` has ended: it waits no more."""
        self._released.discard(sender)
        if sender in self._waiting:
            self._waiting.remove(sender)
