"""Faults by chance, for as long as a soak takes."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field

from tests.parts.fault_proxy import Fault, Passing
from tests.parts.proxy_faults import KINDS

PASSING_KINDS = tuple(
    kind
    for kind in KINDS
    # a refusal ends a push, and what is changed on its way is another fault's business
    if kind not in ("401 instead", "413 instead", "429 instead", "bytes twice")
    and kind not in ("answer's bytes twice", "stall", "answer stalled")
)
"""What is over before long, and is got over."""


@dataclass(slots=True)
class Sometimes:
    """Meets one request of so many hundred `percent` says, each time with another fault."""

    percent: float
    chance: random.Random
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def meets(self, passing: Passing, number: int) -> bool:
        """Whether it is this one's turn."""
        with self._lock:
            return self.chance.random() * 100 < self.percent

    @property
    def fault(self) -> Fault:
        """The next one."""
        with self._lock:
            return KINDS[self.chance.choice(PASSING_KINDS)](self.chance.randrange(1001))
