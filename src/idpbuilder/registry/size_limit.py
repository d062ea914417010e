"""Whether something on the way takes no bodies of this size. Pure."""

from __future__ import annotations

from typing import Final

from idpbuilder.registry.habits import LEAST_CHUNK, Habits
from idpbuilder.registry.open_upload import OpenUpload

_SAME_PLACE: Final = 256 * 1024
"""Bytes that buffers on the way blur the place of a break by."""


class SizeLimit:
    """Learns from what becomes of one blob's bodies, and makes those of all smaller by `habits`."""

    def __init__(self, habits: Habits) -> None:
        self._habits = habits
        self._refused: int | None = None
        self._broke_at: int | None = None

    def refused(self, size: int) -> bool:
        """A body of `size` bytes was answered 413: whether a smaller one is to be had, and worth a
        try.

        Where the registry's own least size is too large for what stands before it, none is.
        """
        if self._refused is not None and size >= self._refused:
            return False
        self._refused = size
        return self._habits.shrink(size)

    def broke(self, upload: OpenUpload, sent: int) -> bool:
        """A body broke after `sent` bytes: whether something hangs up on large ones without a word,
        and a smaller one is worth a try.
        """
        before, self._broke_at = self._broke_at, upload.handed
        if before is None or not 0 < sent < upload.to_send:
            return False
        if upload.offset and sent < LEAST_CHUNK:
            # it was gone on with, and hardly so: no smaller body would have come further
            return False
        is_same_place = abs(before - upload.handed) <= _SAME_PLACE
        return is_same_place and self._habits.shrink(upload.to_send)
