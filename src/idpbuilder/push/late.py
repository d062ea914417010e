"""The packer, once there is something to pack: most pushes have nothing, and start sooner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from idpbuilder.packing.method import Method

if TYPE_CHECKING:
    from idpbuilder.packing.job import PackJob
    from idpbuilder.packing.layer import RawLayer
    from idpbuilder.packing.packer import Packer, Stage


class LatePacker:
    """Packs layers by `method`, as `packing.packer.Packer` does with the same arguments, and keeps
    what was packed for as long as somebody uses it.
    """

    def __init__(
        self,
        method: Method,
        *,
        wake: Callable[[], None],
        keep: bool = True,
        stage: Stage | None = None,
    ) -> None:
        self.method = method
        self._stage = stage
        self._wake = wake
        self._keep = keep
        self._packer: Packer | None = None
        self._users: Counter[PackJob] = Counter()

    def pack(self, layer: RawLayer) -> PackJob:
        """Begin to pack a layer that somebody may want.

        Raises LocalError where this machine gives no thread.
        """
        if self._packer is None:
            from idpbuilder.packing.packer import Packer, unwatched

            self._packer = Packer(
                self.method, wake=self._wake, keep=self._keep, stage=self._stage or unwatched
            )
        return self._packer.pack(layer)

    def use(self, layer: RawLayer) -> PackJob:
        """The packing of a layer, begun now if it was not: it is there until `leave`.

        Raises what `pack` does.
        """
        job = self.pack(layer)
        self._users[job] += 1
        return job

    def leave(self, job: PackJob) -> None:
        """One user needs the bytes no more; after the last one their room is given back."""
        self._users[job] -= 1
        self.drop_unused(job)

    def is_used(self, job: PackJob) -> bool:
        """Whether somebody still needs the bytes, and so what they are made of."""
        return self._users[job] > 0

    def drop_unused(self, job: PackJob) -> None:
        """End a packing that nobody uses, and give back its room."""
        if not self.is_used(job):
            del self._users[job]
            job.release()
            # one that is not done is of no use either
            job.cancel()

    def close(self) -> None:
        """End all packing, where there was any."""
        if self._packer is not None:
            self._packer.close()
