"""The way to a Dask cluster, and what must be so before anything is sent there."""

from __future__ import annotations

import logging
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final

from idpbuilder import __version__
from idpbuilder.errors import PushError, Unreachable, UsageError

Client = Any
"""Dask's own: it has few types."""

_SECONDS: Final = 10
"""For the scheduler to answer."""

_GRACE: Final = 2
"""Seconds for Dask to say itself that it does not."""


_LOOK: Final = 0.1
"""Seconds from one look whether somebody stops it to the next."""


@contextmanager
def connected(address: str, check: Callable[[], None]) -> Iterator[Client]:
    """A client of the scheduler at `address`; what it still waits for at the end is cancelled.

    Dask's own log is kept off the user's terminal meanwhile: what matters of it is in our errors.
    Raises UsageError where Dask is not installed or `address` is none, Unreachable, and what
    `check` does meanwhile.
    """
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client = _client(address, check)
            try:
                yield client
            finally:
                client.close()
    finally:
        logging.disable(before)


def _client(address: str, check: Callable[[], None]) -> Client:
    try:
        import distributed
    except ImportError as error:
        raise UsageError(
            "`--dask` needs Dask, which is not installed",
            hint="run `pip install 'idpbuilder-push[dask]'`",
        ) from error
    try:
        return _within(lambda: _connect(distributed.Client, address), check)
    except PushError:
        raise
    except ValueError as error:
        raise UsageError(
            f"`{address}` cannot be used for `--dask`",
            str(error),
            "write the scheduler's address, as `tcp://scheduler.example.com:8786`",
        ) from error
    except Exception as error:
        raise Unreachable(
            f"no Dask scheduler answers at `{address}`",
            " ".join(str(error).split()) or type(error).__name__,
            "look whether it runs, and whether this machine reaches it",
        ) from error


def _connect(kind: Any, address: str) -> Client:
    return kind(address, timeout=_SECONDS, set_as_default=False, name="idpbuilder-push")


def _within(make: Callable[[], Any], check: Callable[[], None]) -> Any:
    """What `make` gives. Raises what it does, what `check` does meanwhile, or TimeoutError."""
    made: SimpleQueue[Any] = SimpleQueue()

    def run() -> None:
        try:
            made.put(make())
        except Exception as error:
            made.put(error)

    # who takes a connection and never says a word would keep Dask waiting for ever
    Thread(target=run, name="idpbuilder-dask", daemon=True).start()
    until = time.monotonic() + _SECONDS + _GRACE
    while True:
        check()
        try:
            found = made.get(timeout=_LOOK)
            break
        except Empty:
            if time.monotonic() >= until:
                raise TimeoutError(f"no answer in {_SECONDS + _GRACE:g} s") from None
    if isinstance(found, Exception):
        raise found
    return found


def count_workers(client: Client, address: str, check: Callable[[], None]) -> int:
    """How many workers there are. Raises Unreachable where there is none or one does not answer,
    UsageError where one does not run what runs here, and what `check` does meanwhile.
    """

    # of this function, which is none of a module's, Dask sends the code
    def version() -> str | None:
        try:
            import idpbuilder
        except ImportError:
            return None
        return idpbuilder.__version__

    try:
        found = _within(lambda: client.run(version, on_error="return"), check)
    except TimeoutError as error:
        # one that is stopped, or whose machine is gone, Dask would wait for
        raise Unreachable(
            f"not all workers of the Dask cluster at `{address}` answer",
            str(error),
            "look at the workers, and stop those that hang",
        ) from error
    if not found:
        raise Unreachable(
            f"the Dask cluster at `{address}` has no workers",
            hint="start some, as with `dask worker`",
        )
    others = Counter(_words(said) for said in found.values() if said != __version__)
    if others:
        counts = ", ".join(f"{count} with {words}" for words, count in others.most_common())
        raise UsageError(
            f"workers of the Dask cluster at `{address}` do not run idpbuilder-push {__version__}",
            f"of {len(found)} there are {counts}",
            "install the release that runs here on all of them",
        )
    return len(found)


def _words(said: object) -> str:
    if said is None:
        return "none"
    return said if isinstance(said, str) else f"no answer ({type(said).__name__})"
