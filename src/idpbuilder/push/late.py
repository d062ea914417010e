"""The packer, once there is something to pack: most pushes have nothing, and start sooner."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from idpbuilder.packing.method import Method

if TYPE_CHECKING:
    from idpbuilder.packing.job import PackJob
    from idpbuilder.packing.layer import RawLayer
    from idpbuilder.packing.packer import Packer


class LatePacker:
    """Packs layers by `method`, as `packing.packer.Packer` does with the same arguments."""

    def __init__(self, method: Method, *, wake: Callable[[], None], keep: bool = True) -> None:
        self.method = method
        self._wake = wake
        self._keep = keep
        self._packer: Packer | None = None

    def pack(self, layer: RawLayer) -> PackJob:
        """Begin to pack a layer. Raises LocalError where this machine gives no thread."""
        if self._packer is None:
            from idpbuilder.packing.packer import Packer

            self._packer = Packer(self.method, wake=self._wake, keep=self._keep)
        return self._packer.pack(layer)

    def close(self) -> None:
        """End all packing, where there was any."""
        if self._packer is not None:
            self._packer.close()
