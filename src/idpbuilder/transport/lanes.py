"""So many at once for each origin, the rest in line behind them. Pure."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """Lets `width` items of each origin through at once, in the order in which they came."""

    __slots__ = ("_inside", "_lines", "_ready", "_width")

    def __init__(self, width: int) -> None:
        self._width = width
        self._inside: dict[str, int] = {}
        self._lines: dict[str, deque[T]] = {}
        self._ready: deque[T] = deque()

    def add(self, item: T, origin: str) -> None:
        """Put `item` in line."""
        if self._inside.get(origin, 0) < self._width:
            self._admit(item, origin)
        else:
            self._lines.setdefault(origin, deque()).append(item)

    def next(self) -> T | None:
        """An item whose turn it is; each comes once, and holds its place until `leave`."""
        return self._ready.popleft() if self._ready else None

    def leave(self, origin: str) -> None:
        """An item of `origin` that `next` gave is through."""
        self._inside[origin] -= 1
        if not self._inside[origin]:
            del self._inside[origin]
        line = self._lines.get(origin)
        if line:
            self._admit(line.popleft(), origin)
            if not line:
                del self._lines[origin]

    def drop(self, item: T, origin: str) -> bool:
        """Take `item` out of the line; whether it was in one."""
        if item in self._ready:
            self._ready.remove(item)
            self.leave(origin)
            return True
        line = self._lines.get(origin, deque())
        if item not in line:
            return False
        line.remove(item)
        if not line:
            del self._lines[origin]
        return True

    def _admit(self, item: T, origin: str) -> None:
        self._inside[origin] = self._inside.get(origin, 0) + 1
        self._ready.append(item)
