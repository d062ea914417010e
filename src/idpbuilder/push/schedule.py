"""Which image comes next, where there are many: small ones do not wait behind large ones. Pure.

There are two lanes. A few large images at a time fill the line, since bytes are what they wait for;
small ones go by the dozen beside them, since those wait for answers. What most of an image's bytes
are shared with is brought first, once: the image itself comes after all that waits for nobody.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

HEAVY: Final = 16 * 1024 * 1024
"""Bytes, beside those that another image brings, from which an image is large."""

SHARED: Final = 1024 * 1024
"""Bytes of the smallest blob that is worth waiting for."""

HEAVY_AT_ONCE: Final = 4
LIGHT_AT_ONCE: Final = 32

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Entry(Generic[T]):
    """Something to do; `after` brings what it would only wait for."""

    what: T
    heavy: bool
    after: Entry[T] | None
    begun: bool = False
    done: bool = False


class Schedule(Generic[T]):
    """Lets entries begin in the order in which they came, as far as their lanes have room."""

    def __init__(self) -> None:
        self._lanes: dict[bool, list[Entry[T]]] = {True: [], False: []}
        self._running: dict[bool, int] = {True: 0, False: 0}
        self._bringers: dict[Hashable, Entry[T]] = {}
        self._counted: set[Hashable] = set()

    def add(self, what: T, blobs: Mapping[Hashable, int] | None) -> Entry[T]:
        """Put something in line that brings `blobs` of so many bytes each, named by where they go
        and what they are; None where that is not known yet.
        """
        entry = Entry(what, blobs is None, None)
        own = 0
        for blob, size in (blobs or {}).items():
            if blob not in self._counted:
                self._counted.add(blob)
                own += size
        entry.heavy = entry.heavy or own >= HEAVY
        for blob, size in (blobs or {}).items():
            if size >= SHARED:
                bringer = self._bringers.setdefault(blob, entry)
                if bringer is not entry and bringer.heavy and not entry.heavy:
                    entry.after = bringer
        self._lanes[entry.heavy].append(entry)
        return entry

    def is_complete(self) -> None:
        """Nothing more comes: what it takes to tell who brings what is forgotten."""
        self._counted.clear()
        self._bringers.clear()

    def next(self) -> Entry[T] | None:
        """What may begin now; it holds its place until `ended`."""
        found = self._first()
        if found is not None:
            found.begun = True
            self._lanes[found.heavy].remove(found)
            self._running[found.heavy] += 1
        return found

    @property
    def has_next(self) -> bool:
        """Whether anything may begin now."""
        return self._first() is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing is in line or under way."""
        return not any(self._lanes.values()) and not any(self._running.values())

    def ended(self, entry: Entry[T]) -> None:
        """An entry that `next` gave is done, well or not."""
        entry.done = True
        self._running[entry.heavy] -= 1

    def _first(self) -> Entry[T] | None:
        for heavy, most in ((True, HEAVY_AT_ONCE), (False, LIGHT_AT_ONCE)):
            if self._running[heavy] < most:
                for entry in self._lanes[heavy]:
                    if entry.after is None or entry.after.done:
                        return entry
        if self._running[False] >= LIGHT_AT_ONCE:
            return None
        # what it shares with nobody can go already
        return next((one for one in self._lanes[False] if one.after and one.after.begun), None)
