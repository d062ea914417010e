"""How much is under way to one registry at once: less in trouble, more as it recovers. Pure.

There are two questions. May another blob be begun? Many small ones may, since each spends its time
waiting, and few large ones, since those fill the line by themselves. And may another request go
out? Always, until one meets trouble: then half as many, and none for as long as the registry asks.
"""

from __future__ import annotations

from typing import Final

FEW: Final = 8
"""Large blobs at once, whatever their sizes."""

MANY: Final = 64
"""Small blobs at once, and larger ones while together they have no more than ENOUGH bytes."""

ENOUGH: Final = 32 * 1024 * 1024

SMALL: Final = ENOUGH // MANY
"""Bytes of the largest blob that is small."""

STUCK: Final = 2.0
"""Seconds without an answer after which those that are under way hold back nobody."""

UNBOUNDED: Final = 1_000
"""Requests at once, as long as there is no trouble: the engine has limits of its own."""


class Pace:
    """Counts blobs and requests. `jobs` blobs at once, whatever their sizes; None: many small ones
    and few large ones.
    """

    def __init__(self, jobs: int | None = None) -> None:
        self.most: Final = jobs or MANY
        self._jobs = jobs
        self._small = 0
        self._large = 0
        self._bytes = 0
        self._requests = 0
        self._limit: float = UNBOUNDED
        self._cuts = 0
        self._quiet_until = 0.0
        self._moved = 0.0

    # -- blobs

    def lets_begin(self, size: int) -> bool:
        """Whether a blob of `size` bytes may be begun now."""
        if self._jobs is not None:
            return self._small + self._large < self._jobs
        if size <= SMALL:
            # it waits for no large one
            return self._small < MANY
        return self._large < FEW or (self._large < MANY and self._bytes + size <= ENOUGH)

    def begin(self, size: int) -> None:
        """A blob of `size` bytes was begun."""
        self._count(size, 1)

    def end(self, size: int) -> None:
        """A blob that was begun is there, or given up."""
        self._count(size, -1)

    def _count(self, size: int, by: int) -> None:
        if size <= SMALL:
            self._small += by
        else:
            self._large += by
            self._bytes += by * size

    # -- requests

    @property
    def lets_send(self) -> bool:
        """Whether there is room for another request."""
        return self._requests < self._limit

    def quiet(self, now: float) -> float:
        """Seconds until any request may go out at all."""
        return max(self._quiet_until - now, 0.0)

    def lets_one_more(self, now: float) -> bool:
        """Whether one may go out though there is no room: all that are under way seem to hang."""
        return now - self._moved >= STUCK

    def sent(self, now: float = 0.0) -> int:
        """A request went out; what to hand to `answered` when it ends."""
        self._moved = now
        self._requests += 1
        return self._cuts

    def answered(self, ticket: int, *, well: bool, now: float = 0.0) -> None:
        """The request that `ticket` is of has ended; `well`: in no trouble that may pass."""
        self._moved = now
        if well:
            self._limit = min(self._limit + 1, UNBOUNDED)
        elif ticket == self._cuts:
            # those that were under way beside it tell the same once more
            self._limit = max(min(self._limit, self._requests) / 2, 1.0)
            self._cuts += 1
        self._requests -= 1

    def forget(self) -> None:
        """What went wrong so far was no trouble of the registry's."""
        self._limit = UNBOUNDED

    def hush(self, until: float) -> None:
        """The registry asks everybody to wait until then."""
        self._quiet_until = max(self._quiet_until, until)
