"""SIGINT, SIGTERM and SIGHUP while a push runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from idpbuilder.push.stop import Stop

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_reach(stop: Stop) -> Iterator[None]:
    """Pass the first signal on to `stop`; a Ctrl-C after it ends the process at once.

    A signal that is ignored when the push begins stays so: `nohup`, and shells without job
    control, mean it. Afterwards everything is as it was.
    """

    def handle(signum: int, _frame: FrameType | None) -> None:
        if not stop.requested:
            stop.request(signum)
        elif signum == signal.SIGINT:
            os._exit(128 + signum)

    before = {
        number: signal.signal(number, handle)
        for number in _SIGNALS
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
