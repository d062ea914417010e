"""Which requests go out now, over what, and which wait: a lane for each origin. Pure.

Requests with little or no body share one HTTP/2 connection where the other side speaks it: a
hundred questions then cost one round trip and no handshake. Large bodies go over HTTP/1.1
connections of their own: these cost half as much CPU, and have no window that a distant server must
open for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Final, Generic, Protocol, TypeVar

LIGHT: Final = 128 * 1024
"""Bytes of the largest body that may share a connection."""

STREAMS: Final = 100
"""Requests at once over a shared connection: what servers should grant (RFC 9113, 6.5.2)."""

SHARED_BYTES: Final = 1024 * 1024
"""Body bytes at once over a shared connection: what common servers take without a pause."""

BULK: Final = 512 * 1024
"""Bytes from which a body fills its connection for long: what is smaller does not wait for it."""

NEAR: Final = 0.01
"""Seconds that a handshake takes at most with what is near."""

NEAR_WIDTH: Final = 8
FAR_WIDTH: Final = 32
"""Connections at once, for bulk and as many for the rest: to what is near, a handshake costs more
than another connection brings.
"""


class Sharing(Enum):
    """Whether an origin takes many requests over one connection."""

    UNKNOWN = "unknown"
    YES = "yes"
    NO = "no"


class Item(Protocol):
    """What waits for its turn. `size` are the bytes of its body, None where they are not known."""

    @property
    def origin(self) -> str:
        """What it wants a connection to."""

    @property
    def size(self) -> int | None:
        """Bytes of its body."""

    @property
    def may_share(self) -> bool:
        """Whether it could go over a shared connection as far as its URL is concerned."""


T = TypeVar("T", bound=Item)


@dataclass(slots=True)
class _Lane(Generic[T]):
    width: int
    most: int
    sharing: Sharing = Sharing.UNKNOWN
    distance: float = inf
    line: list[T] = field(default_factory=list)
    apart: int = 0
    bulky: int = 0
    sharers: int = 0
    shared_bytes: int = 0

    def choose(self) -> tuple[T, bool] | None:
        """Take the first item out of the line for which there is room; whether it shares."""
        for item in self.line:
            share = self._lets_share(item)
            if share or self._lets_apart(item):
                self.line.remove(item)
                self.count(item, 1, share=share)
                return item, share
        return None

    def count(self, item: T, by: int, *, share: bool) -> None:
        if share:
            self.sharers += by
            self.shared_bytes += by * (item.size or 0)
        else:
            self.apart += by
            self.bulky += by * _is_bulky(item)

    def _lets_share(self, item: T) -> bool:
        size = item.size
        if not item.may_share or size is None or size > LIGHT or self.sharing is Sharing.NO:
            return False
        if self.sharing is Sharing.UNKNOWN:
            # one goes ahead and finds out
            return not self.sharers
        full = size > 0 and self.shared_bytes + size > SHARED_BYTES
        return not full and self.sharers + self.apart < self.most

    def _lets_apart(self, item: T) -> bool:
        alike = self.bulky if _is_bulky(item) else self.apart - self.bulky
        if alike >= self.width or self.sharers + self.apart >= self.most:
            return False
        # a question that can share waits for that: a connection of its own would take longer
        return item.size != 0 or not item.may_share or self.sharing is Sharing.NO


def _is_bulky(item: Item) -> bool:
    return item.size is None or item.size > BULK


class Lanes(Generic[T]):
    """Lets each item through when its origin has room, in the order in which they came.

    `width` items at once for each origin; None: as many as its distance calls for, and STREAMS more
    over a shared connection.
    """

    __slots__ = ("_changed", "_inside", "_lanes", "_width")

    def __init__(self, width: int | None) -> None:
        self._width = width
        self._lanes: dict[str, _Lane[T]] = {}
        self._inside: dict[T, bool] = {}
        self._changed = False

    def add(self, item: T) -> None:
        """Put `item` in line."""
        self._lane(item.origin).line.append(item)

    def next(self) -> tuple[T, bool] | None:
        """An item whose turn it is, and whether it shares a connection; it holds its place until
        `leave`.
        """
        while self._changed:
            for lane in self._lanes.values():
                chosen = lane.choose()
                if chosen:
                    self._inside[chosen[0]] = chosen[1]
                    return chosen
            self._changed = False
        return None

    def leave(self, item: T) -> None:
        """An item that `next` gave is through."""
        self._lane(item.origin).count(item, -1, share=self._inside.pop(item))

    def drop(self, item: T) -> bool:
        """Take `item` out of the line; whether it was in one."""
        line = self._lane(item.origin).line
        if item in line:
            line.remove(item)
            return True
        return False

    def learn(self, origin: str, *, shares: bool) -> None:
        """Whether an origin lets requests share a connection; once it does not, it never does."""
        lane = self._lane(origin)
        if lane.sharing is not Sharing.NO:
            lane.sharing = Sharing.YES if shares else Sharing.NO

    def measure(self, origin: str, seconds: float) -> None:
        """A handshake took so many seconds; the shortest one tells how far the origin is."""
        lane = self._lane(origin)
        lane.distance = min(lane.distance, seconds)
        if self._width is None:
            lane.width = NEAR_WIDTH if lane.distance < NEAR else FAR_WIDTH
            lane.most = lane.width + STREAMS

    def _lane(self, origin: str) -> _Lane[T]:
        """The lane of an origin in which something is about to change."""
        self._changed = True
        lane = self._lanes.get(origin)
        if lane is None:
            width = self._width or NEAR_WIDTH
            lane = self._lanes[origin] = _Lane(width, self._width or width + STREAMS)
        return lane
