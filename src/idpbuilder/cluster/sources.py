"""The images of a list, before it is shared out: all must be where every worker can read them."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Final

from idpbuilder.errors import Interrupted, UsageError
from idpbuilder.image import Reference
from idpbuilder.memory import Forgetful
from idpbuilder.push.errand import blobs_of
from idpbuilder.push.events import Event, Progress
from idpbuilder.push.late import LatePacker
from idpbuilder.push.options import Order, PushOptions
from idpbuilder.push.patience import Patience
from idpbuilder.push.prepare import Failed, Preparation, PutOff, put_it_off
from idpbuilder.push.result import PushFailure
from idpbuilder.push.schedule import HEAVY
from idpbuilder.push.stop import Stop
from idpbuilder.push.tasks import Loop
from idpbuilder.push.tools import Tools
from idpbuilder.transport.curl import CurlEngine
from idpbuilder.transport.settings import EngineSettings

_TRANSPORTS: Final = ("oci:", "oci-archive:", "docker-archive:")
_HINT: Final = "name a file or a folder that every worker can read, as `/shared/app.tar`"


@dataclass(frozen=True, slots=True)
class Seen:
    """An order as it looks from here: where its pushes go and what they bring, in bytes; a
    `failure` where that can be known already.
    """

    order: Order
    references: tuple[Reference, ...] = ()
    blobs: Mapping[Hashable, int] = field(default_factory=dict)
    failure: PushFailure | None = None

    @property
    def pushes(self) -> int:
        """How many there are, as far as is known."""
        return max(len(self.references), len(self.order.to), 1)


def reachable(options: PushOptions) -> tuple[Order, ...]:
    """The orders of `options`, their paths absolute.

    Raises UsageError for an image that only this machine has.
    """
    found = []
    for order in options.orders:
        place = order.line or "`--dask`"
        if order.image is None:
            raise UsageError("`--dask` needs images", hint=_HINT)
        if order.image == "-":
            why = "standard input is this machine's"
            raise UsageError(f"{place}: `-` cannot be used with `--dask`", why, _HINT)
        found.append(replace(order, image=_absolute(order.image, place)))
    return tuple(found)


def _absolute(image: str, place: str) -> str:
    transport = next((one for one in _TRANSPORTS if image.startswith(one)), "")
    path = image.removeprefix(transport)
    if not transport and not path.startswith(("/", "./", "../")) and not os.path.exists(path):
        why = "it is no path, and what an engine has is on one machine alone"
        raise UsageError(f"{place}: `{image}` cannot be used with `--dask`", why, _HINT)
    return transport + os.path.join(os.getcwd(), path.removeprefix("./")).replace("/./", "/")


def look(orders: tuple[Order, ...], options: PushOptions, stop: Stop) -> list[Seen]:
    """What can be seen of `orders` from here, before anything is sent. Raises Interrupted.

    What cannot be read here may well be there for a worker, and is no failure yet.
    """
    with ExitStack() as stack:
        engine = CurlEngine(EngineSettings())
        stack.callback(engine.close)
        packer = LatePacker(options.method, wake=engine.wake)
        stack.callback(packer.close)
        loop = Loop(engine, check=stop.check)
        tools = Tools(engine, Forgetful(), None, packer, {})
        patience = Patience(stop, loop)
        preparation = Preparation(options, _Silence(), patience, tools, loop)
        return list(_seen(orders, preparation, stop))


def _seen(orders: tuple[Order, ...], preparation: Preparation, stop: Stop) -> Iterator[Seen]:
    for order in orders:
        stop.check()
        unknown: dict[Hashable, int] = {order: HEAVY}
        try:
            opened = preparation.open(order, at_length=put_it_off)
        except PutOff:
            yield Seen(order, blobs=unknown)
        except Failed as failed:
            error = failed.failure.error
            if isinstance(error, Interrupted):
                raise error from None
            slip = isinstance(error, UsageError)
            yield Seen(order, blobs=unknown, failure=failed.failure if slip else None)
        else:
            places = tuple(errand.destination.reference for errand in opened.errands)
            yield Seen(order, places, dict(blobs_of(opened.errands)))
            opened.close()


class _Silence:
    """A Reporter that tells nobody: the workers will."""

    wants_notes = False
    interval = None

    def emit(self, event: Event, push: int = 0) -> None:
        pass

    def progress(self, progress: Progress) -> None:
        pass
