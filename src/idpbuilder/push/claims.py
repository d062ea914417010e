"""Which blobs one image is bringing into a registry right now."""

from __future__ import annotations

from collections.abc import Hashable

from idpbuilder.image import Digest
from idpbuilder.push.plan import PlannedBlob
from idpbuilder.push.registry import Registry


class Claims:
    """The blobs that one image is bringing: nobody else brings them, and each takes its room.

    A task that is dropped before it first ran gives nothing back: whoever holds this does.
    """

    def __init__(self, registry: Registry, repository: str) -> None:
        self.failed = False
        """Whether one could not be brought."""
        self._registry = registry
        self._repository = repository
        self._held: dict[Digest, tuple[Hashable, int]] = {}

    def take(self, blob: PlannedBlob, identity: Hashable, size: int) -> None:
        """`size` bytes of `blob` are to be sent."""
        self._held[blob.digest] = identity, size
        self._registry.known.begin(identity, self._repository)
        self._registry.pace.begin(size)

    def give_back(self, blob: PlannedBlob) -> None:
        """It is there, or given up."""
        self._give_back(blob.digest)

    def give_back_all(self) -> None:
        """Whatever was begun has ended, or is about to be dropped."""
        for digest in list(self._held):
            self._give_back(digest)

    def _give_back(self, digest: Digest) -> None:
        held = self._held.pop(digest, None)
        if held is not None:
            identity, size = held
            self._registry.pace.end(size)
            self._registry.known.end(identity, self._repository)
