"""One layer on its way from raw to packed, and the three stages that it goes through."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from idpbuilder.errors import ImageInvalid, LocalError, PushError
from idpbuilder.image import Digest
from idpbuilder.memory import Packed
from idpbuilder.packing.codec import Piece, PlainCodec, codec_of
from idpbuilder.packing.layer import LayerReader, RawLayer
from idpbuilder.packing.method import NONE, Method
from idpbuilder.packing.scarce import no_room
from idpbuilder.packing.spool import GrowingBody, Shelf, Spool
from idpbuilder.wire import Body, RegionBody

CANCELLED = "its packing was stopped"
RELEASED = "it was given up, having arrived"


class Block(NamedTuple):
    """A block of a raw layer: its number, its bytes, those before it, whether none follows."""

    number: int
    data: memoryview
    before: bytes
    is_last: bool


class PackJob:
    """One layer that is being packed, or was.

    What the user of a job looks at may be looked at from any thread at any time. After `done` a
    job has `packed`, or `error`, or neither where it was cancelled.
    """

    def __init__(
        self,
        layer: RawLayer,
        method: Method,
        *,
        keep: bool,
        folder: str | None,
        shelf: Shelf | None = None,
        forget: Callable[[PackJob, str], None],
    ) -> None:
        self.layer = layer
        self.method = method
        """How it is packed, unless it is kept."""
        self.kept = keep and bool(layer.stored)
        """Whether the stored bytes become the blob as they are, only hashed and verified."""
        self.kind = layer.stored if self.kept else method.kind
        """The format of the blob: "gzip", "zstd" or "none"."""
        self.spool = Spool(folder, shelf)
        """Where the blob grows; stays empty where it lies in the layer's own file already."""
        self.packed: Packed | None = None
        """The blob's digest, and its size in bytes."""
        self.error: PushError | None = None
        self.done = False
        self._is_region = self.kept or (method.kind == NONE and not layer.stored)
        self._forget = forget
        self._reader = LayerReader(layer, hash_stored=self.kept)
        self._codec = PlainCodec(drop=True) if self._is_region else codec_of(method)
        self._hash = hashlib.sha256()
        self._blocks = 0
        self._before = b""

    @property
    def diff_id(self) -> Digest | None:
        """The layer's diff ID as it was given; else what was read has it, once all was."""
        return self.layer.diff_id or self.raw_digest

    @property
    def raw_digest(self) -> Digest | None:
        """The digest of the raw bytes, after the last was read; it is `layer.diff_id` if there."""
        return self._reader.raw_digest

    @property
    def raw_size(self) -> int | None:
        """Bytes of the raw layer; None while they are not known."""
        if not self.layer.stored:
            return self.layer.region.size
        return None if self.raw_digest is None else self.raw_read

    @property
    def raw_read(self) -> int:
        """Bytes of the raw layer that were read."""
        return self._reader.raw_read

    def body(self) -> Body:
        """The blob as a body, that can be sent while it grows; as often as needed.

        Its readers raise OSError once the job has failed, was cancelled or released: `error` says
        why it failed.
        """
        return RegionBody(self.layer.region) if self._is_region else GrowingBody(self.spool)

    def result(self) -> Packed:
        """What a job that is done came to. Raises its `error`."""
        if self.error is not None:
            raise self.error
        assert self.packed is not None, CANCELLED
        return self.packed

    def check(self, diff_id: Digest | None) -> None:
        """Raise ImageInvalid where the job is done and what it read has another diff ID."""
        if diff_id is not None and self.raw_digest not in (None, diff_id):
            raise ImageInvalid(
                f"layer {diff_id} is broken",
                f"`{self.layer.region.path}` holds {self.raw_digest} in its place",
                "save the image again, whole",
            )

    def cancel(self) -> None:
        """Stop: nobody needs the blob, nor what would be known of it. May be called twice."""
        self._forget(self, CANCELLED)

    def release(self) -> None:
        """Give back the room of a finished blob that has arrived wherever it should.

        What is known of it stays; its bytes are gone, and who asks the packer for the layer again
        has it packed anew. Does nothing before `done`. May be called twice.
        """
        if self.done:
            self._forget(self, RELEASED)

    # the stages, and the ends; for the packer alone

    @property
    def block_size(self) -> int:
        """Bytes of a block."""
        return self._codec.block_size

    @property
    def in_hand(self) -> int:
        """Bytes of memory that a block takes while it is read and packed."""
        return self._codec.in_hand

    @property
    def reading_memory(self) -> int:
        """Bytes of memory that are taken from the first read to the last."""
        return self._reader.memory

    def read(self, buffer: memoryview) -> Block:
        """Read the next block into `buffer`, of one block's size. One thread at a time.

        Raises what `LayerReader.read` does.
        """
        count, is_last = self._reader.read(buffer)
        block = Block(self._blocks, buffer[:count], self._before, is_last)
        self._blocks += 1
        if window := self._codec.window:
            self._before = bytes(block.data[-window:])
        return block

    def pack(self, block: Block) -> Piece | None:
        """Pack a block; nothing comes of an empty one. On any thread."""
        return self._codec.pack(block.data, block.before) if block.data else None

    def commit(self, piece: Piece | None, *, is_last: bool) -> None:
        """Put a packed block at the end of the blob. In order, one thread at a time.

        Raises LocalError where there is no room for it.
        """
        data = b"" if piece is None else self._codec.join(piece)
        if is_last:
            data += self._codec.end()
        self._hash.update(data)
        try:
            if data:
                self.spool.append(data)
            if is_last:
                self._finish()
        except OSError as error:
            raise no_room(f"cannot pack {self._name} into a temporary file", error) from error

    def close_reader(self) -> None:
        """Give back the layer's file. Not while `read` runs."""
        self._reader.close()

    def settle(self, error: Exception | None) -> None:
        """The job ends: whole, by an error, or, where there is neither, cancelled."""
        if error is not None:
            self.error = error if isinstance(error, PushError) else self._unexpected(error)
            self.spool.fail(f"it could not be packed: {self.error.message}")
        elif self.packed is None:
            self.spool.fail(CANCELLED)
        self.done = True

    def _finish(self) -> None:
        if not self._is_region:
            self.packed = Packed(Digest("sha256", self._hash.hexdigest()), self.spool.size)
        else:
            digest = self._reader.stored_digest if self.kept else self._reader.raw_digest
            assert digest is not None  # all was read
            self.packed = Packed(digest, self.layer.region.size)
        # last: who has read the whole spool asks for its digest next
        self.spool.finish()

    @property
    def _name(self) -> str:
        known = self.diff_id
        return f"layer {known}" if known else f"a layer in `{self.layer.region.path}`"

    def _unexpected(self, error: Exception) -> LocalError:
        found = LocalError(
            f"{self._name} cannot be packed",
            f"{type(error).__name__}: {error}",
            "run it again with IDPBUILDER_DEBUG=1 to see where it happened, and report it as a bug",
        )
        found.__cause__ = error
        return found
