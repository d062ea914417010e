"""Which part of a list is whose, where several machines share it without talking.

Each of them comes to the same answer: what counts is the list and its images, and neither a
registry nor what one machine remembers.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from idpbuilder.errors import ImageNotFound, Interrupted
from idpbuilder.push.errand import blobs_of
from idpbuilder.push.options import Order, Shard
from idpbuilder.push.prepare import Failed, Preparation, PutOff, put_it_off
from idpbuilder.push.schedule import HEAVY

_EACH: Final = 256 * 1024
"""Bytes that might be sent in the time that an image takes beside its bytes."""

Blobs = Mapping[Hashable, int]


def share(orders: Sequence[Order], shard: Shard, preparation: Preparation) -> tuple[Order, ...]:
    """The orders that are `shard`'s. What is wrong with one is found out by whose it is.

    Raises Failed where an image is not there at all, and where somebody stopped it.
    """
    blobs = [_blobs(order, preparation) for order in orders]
    return tuple(orders[place] for place in split(blobs, shard.count)[shard.number - 1])


def split(images: Sequence[Blobs], count: int) -> list[list[int]]:
    """`count` lists of places in `images`, in order, that take about the same time.

    An image is its blobs and their sizes in bytes. A blob that several images of a part share
    counts once, so that they come together where that pays.
    """
    parts: list[list[int]] = [[] for _ in range(count)]
    loads = [0] * count
    there: list[set[Hashable]] = [set() for _ in range(count)]
    for place in sorted(range(len(images)), key=lambda one: (-sum(images[one].values()), one)):
        blobs = images[place]
        after = [
            load + _EACH + sum(size for blob, size in blobs.items() if blob not in known)
            for load, known in zip(loads, there, strict=True)
        ]
        best = after.index(min(after))
        parts[best].append(place)
        loads[best] = after[best]
        there[best].update(blobs)
    return [sorted(part) for part in parts]


def _blobs(order: Order, preparation: Preparation) -> Blobs:
    """What an order brings, as every machine sees it."""
    try:
        opened = preparation.open(order, at_length=put_it_off, again=True)
    except Failed as failed:
        # a machine that lacks one would come to other parts than those that have it
        if isinstance(failed.failure.error, Interrupted | ImageNotFound):
            raise
        return {order: _size(order)}
    except PutOff:
        return {order: _size(order)}
    try:
        if any(errand.image.export is not None for errand in opened.errands):
            # it is known here alone, from an earlier run
            return {order: _size(order)}
        return dict(blobs_of(opened.errands))
    finally:
        opened.close()


def _size(order: Order) -> int:
    """Bytes of the file that an order names, where it names one."""
    text = order.image or ""
    for path in (text, text.partition(":")[2]):
        try:
            return os.stat(path).st_size if os.path.isfile(path) else HEAVY
        except (OSError, ValueError):
            continue
    return HEAVY
