"""The upload sessions of large blobs, written down before they are filled.

A run that is killed leaves its sessions open, and the next one asks them how much they hold. What
is written down is a hint: a session that is gone, or that holds something else, costs one question.
"""

from __future__ import annotations

from dataclasses import dataclass

from idpbuilder.image import Digest, InvalidValue
from idpbuilder.memory import AnyMemory, LeftUpload
from idpbuilder.push.local import LocalBlob
from idpbuilder.registry.endpoints import Endpoint
from idpbuilder.registry.streamed import StreamedUpload
from idpbuilder.registry.upload import BlobUpload
from idpbuilder.wire import Body

KEPT_FROM = 8 * 1024 * 1024
"""Bytes of the smallest blob whose session is worth writing down."""

_PACKED = "packed"


@dataclass(frozen=True, slots=True)
class Journal:
    """The sessions of one repository; without a `memory` none is worth a note."""

    memory: AnyMemory | None
    registry: str
    repository: str

    def entry(self, digest: Digest, body: Body) -> Entry | None:
        """Where the session of a blob is noted, None for one that is not worth it."""
        if self.memory is None or (body.size or 0) < KEPT_FROM:
            return None
        try:
            # what is packed here comes to the same bytes each time
            mark = f"{body.fingerprint():016x}" if isinstance(body, LocalBlob) else _PACKED
        except (OSError, EOFError):
            # whoever sends it will tell
            return None
        return Entry(self.memory, (self.registry, self.repository, str(digest)), mark)

    def entry_of_raw(self, diff_id: Digest | None, packer: str) -> Entry | None:
        """Where the session of a layer is noted whose digest is not known yet."""
        if self.memory is None or diff_id is None:
            return None
        return Entry(self.memory, (self.registry, self.repository, f"{diff_id} {packer}"), _PACKED)


class Entry:
    """The note about one blob. `kept` is the URL that stands there now."""

    def __init__(self, memory: AnyMemory, key: tuple[str, str, str], mark: str) -> None:
        self.kept: str | None = None
        self._memory = memory
        self._key = key
        self._mark = mark

    def left(self, endpoint: Endpoint, *, insecure: bool) -> str | None:
        """The session that an earlier run left, None where there is none to go on with."""
        left = self._memory.left_upload(*self._key)
        if left is None or left.mark != self._mark:
            return None
        try:
            # it must be one that the registry might send us to today
            uploads = endpoint.uploads(self._key[1])
            self.kept = endpoint.resolve(uploads, left.url, insecure=insecure)
        except InvalidValue:
            return None
        return self.kept

    def follow(self, upload: BlobUpload | StreamedUpload) -> None:
        """A request of `upload` is about to go out."""
        url = upload.session
        if url is None:
            self.drop()
        elif upload.is_filling and url != self.kept:
            left = LeftUpload(url, self._mark)
            # a session that could not be written down is nobody's to go on with
            self.kept = url if self._memory.keep_upload(*self._key, left) else None

    def drop(self) -> None:
        """There is nothing to go on with any more."""
        if self.kept is not None:
            self.kept = None
            self._memory.drop_upload(*self._key)
