"""How a signal reaches a running push."""

from __future__ import annotations

import signal
from collections.abc import Callable

from idpbuilder.errors import Interrupted


class Stop:
    """A request to stop that a signal handler can make at any point.

    A handler must not raise into whatever runs at that moment (a callback of libcurl's would
    swallow it), so it only leaves word here and wakes who may be waiting; the push looks at
    `check` between steps.
    """

    def __init__(self) -> None:
        self._signum: int | None = None
        self._wake: Callable[[], None] | None = None

    @property
    def requested(self) -> bool:
        """Whether someone asked to stop."""
        return self._signum is not None

    def request(self, signum: int) -> None:
        """Ask the push to stop, because of signal `signum`."""
        self._signum = signum
        if self._wake is not None:
            self._wake()

    def wakes(self, wake: Callable[[], None] | None) -> None:
        """Have `wake` called when someone asks to stop; None takes it back."""
        self._wake = wake

    def check(self) -> None:
        """Raise Interrupted if someone asked to stop."""
        if self._signum is not None:
            raise Interrupted(f"stopped by {signal.Signals(self._signum).name}", self._signum)
