"""An order whose source is open, and what has to last until it is closed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from idpbuilder.push.errand import Errand
from idpbuilder.push.late import LatePacker
from idpbuilder.push.layers import Layers

if TYPE_CHECKING:
    from idpbuilder.packing.job import PackJob


class Opened:
    """What an order comes to: `errands`, as long as `stack` is not closed.

    `early` are layers that began to be packed while they arrived. What was packed of an image is
    kept until the last of its errands is done: it is packed once for all its destinations.
    """

    def __init__(
        self,
        errands: Iterable[Errand],
        stack: ExitStack,
        early: Iterable[PackJob],
        packer: LatePacker,
    ) -> None:
        self.errands = tuple(errands)
        self._stack = stack
        self._packer = packer
        self._jobs = set(early)
        self._left = Counter(id(errand.image) for errand in self.errands)
        self._layers: defaultdict[int, list[Layers]] = defaultdict(list)

    def is_done(self, errand: Errand, layers: Iterable[Layers]) -> None:
        """One of the errands is done, with these layers."""
        image = id(errand.image)
        for one in layers:
            self._jobs.update(one.jobs)
        self._layers[image] += layers
        self._left[image] -= 1
        if not self._left[image]:
            for one in self._layers.pop(image):
                one.release()

    @property
    def is_over(self) -> bool:
        """Whether all errands are done."""
        return not any(self._left.values())

    @property
    def is_used(self) -> bool:
        """Whether somebody needs what was packed of it."""
        return any(self._packer.is_used(job) for job in self._jobs)

    def close(self) -> None:
        """Close the source. May be called twice."""
        for job in self._jobs:
            self._packer.drop_unused(job)
        self._jobs.clear()
        self._stack.close()
