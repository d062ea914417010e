"""The layers of one image that are packed on the way, and what is known of them."""

from __future__ import annotations

import os
from collections.abc import Collection, Hashable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from idpbuilder.errors import SourceError
from idpbuilder.image import Descriptor, Digest, Manifest
from idpbuilder.memory import AnyMemory, Packed
from idpbuilder.native import fingerprint_region
from idpbuilder.push.late import LatePacker
from idpbuilder.push.repack import (
    PackedLayer,
    config_of,
    layers_to_pack,
    packable,
    rewritten,
)
from idpbuilder.push.tasks import Steps, Until
from idpbuilder.source import Document, SourceImage
from idpbuilder.wire import Region

if TYPE_CHECKING:
    from idpbuilder.packing.job import PackJob

Recent = dict[tuple[Digest, str], Packed]
"""What layers were packed into in this run, by diff ID and packer."""


class LayersElsewhere(Exception):
    """The registry lacks a layer that is not at hand: the image's `export` has to fetch it."""


class Layers:
    """Has the raw layers of `image` packed by `packer`, each once however often it is asked for.

    With `all_layers` the packed ones are packed anew. What `memory` or this run (`recent`) knows of
    a layer stands in for packing it, until its bytes are needed.
    """

    def __init__(
        self,
        image: SourceImage,
        packer: LatePacker,
        memory: AnyMemory,
        recent: Recent,
        *,
        all_layers: bool,
    ) -> None:
        self._image = image
        self._packer = packer
        self._memory = memory
        self._recent = recent
        self._all_layers = all_layers
        self._packable = packable(image, all_layers=all_layers)
        self._raw = layers_to_pack(image, all_layers=all_layers)
        self._jobs: dict[Digest, PackJob] = {}
        self._packed: dict[Digest, Packed] = {}
        self._names: dict[Digest, str] = {}
        for digest, layer in self._packable.items():
            if layer.diff_id is None:
                continue
            name = self._names[digest] = self._packer_name(digest)
            known = recent.get((layer.diff_id, name)) or memory.packed(layer.diff_id, name)
            if known is not None:
                self._packed[digest] = known

    def start(self) -> None:
        """Begin to pack what nothing is known of, in the order in which the image names it.

        Raises LayersElsewhere.
        """
        if not self._packable.keys() <= self._raw.keys() | self._packed.keys():
            raise LayersElsewhere
        for digest in self._raw:
            if digest not in self._packed:
                self.job(digest)

    def is_raw(self, digest: Digest) -> bool:
        """Whether the layer that the image's own manifests call `digest` is packed on the way."""
        return digest in self._packable

    def identity(self, digest: Digest) -> Hashable:
        """What a blob is brought as: layers that come to the same bytes have the same."""
        layer = self._packable.get(digest)
        if layer is None or layer.diff_id is None:
            return digest
        return (layer.diff_id, self._names[digest])

    @property
    def all_packed(self) -> bool:
        """Whether it is known what every layer is packed into."""
        return len(self._packed) == len(self._packable)

    def packed(self, digest: Digest) -> Packed | None:
        """What the layer is packed into, as far as that is known.

        Another image of this run may have found it out.
        """
        found = self._packed.get(digest)
        layer = self._packable.get(digest)
        if found is None and layer is not None and layer.diff_id is not None:
            found = self._recent.get((layer.diff_id, self._names[digest]))
        return found

    def job(self, digest: Digest) -> PackJob:
        """The packing of a layer, begun now if it was not.

        Raises LayersElsewhere for what is not at hand, raw or not.
        """
        job = self._jobs.get(digest)
        if job is None:
            layer = self._raw.get(digest)
            if layer is None:
                raise LayersElsewhere
            job = self._jobs[digest] = self._packer.use(layer)
        return job

    def packs_its_own(self, digest: Digest) -> bool:
        """Whether the layer is packed from this image's own bytes now, after another image's, which
        should have been the same, turned out to be broken. Raises what `job` does.
        """
        job, layer = self._jobs.get(digest), self._raw.get(digest)
        if job is None or layer is None or job.error is None or job.layer.region == layer.region:
            return False
        self._packer.leave(self._jobs.pop(digest))
        self.job(digest)
        return True

    def learn(self, digest: Digest, packed: Packed) -> None:
        """The layer is known to be packed into this.

        Raises ImageInvalid where it was read, and is not the layer it should be.
        """
        diff_id = self._packable[digest].diff_id
        if digest in self._jobs:
            self._jobs[digest].check(diff_id)
        self._packed[digest] = packed
        if diff_id is not None:
            name = self._names[digest]
            self._recent[diff_id, name] = packed
            self._memory.remember_packed(diff_id, name, packed)
            if self._stays(digest):
                self._memory.remember_packed(diff_id, self._name_in_the_image, packed)

    def pack_all(self) -> Steps[None]:
        """Wait until it is known what every layer is packed into. Raises PushError."""
        for digest in self._raw:
            if digest not in self._packed:
                job = self.job(digest)
                yield Until(lambda job=job: job.done)  # type: ignore[misc]
                if self.packs_its_own(digest):
                    job = self.job(digest)
                    yield Until(lambda job=job: job.done)  # type: ignore[misc]
                self.learn(digest, job.result())

    def documents(self) -> tuple[Document, ...]:
        """The documents of the image as it goes out, children first, the root last."""
        if not self._packed:
            return self._image.documents
        packed = {
            digest: PackedLayer(self._kind(digest), found.digest, found.size)
            for digest, found in self._packed.items()
        }
        return rewritten(self._image, packed)

    def unpacked(self, digest: Digest, sent: int) -> int:
        """How many raw bytes the `sent` bytes of the packed layer stand for."""
        job = self._jobs.get(digest)
        if job is None or not job.spool.size:
            return sent
        return job.raw_read * sent // job.spool.size

    def remember(self, registry: str, repository: str, digests: Iterable[Digest]) -> None:
        """The image is in the registry: keep what spares the next push work."""
        self._memory.remember_seen(registry, repository, digests)
        image = self._image
        # what was taken from memory is there; a layout is read where it is, and costs nothing
        if image.export is not None or not (image.repack or image.contents):
            return
        for document in image.documents:
            self._memory.remember_document(document.descriptor.digest, document.data)
            if isinstance(document.content, Manifest):
                self._remember_config(document.content.config)
        if image.contents is not None:
            self._memory.remember_table_of_contents(*image.contents)

    def _remember_config(self, config: Descriptor) -> None:
        # the push has succeeded, whatever became of the file since; and an artifact's config may be
        # too large to be kept
        with suppress(SourceError):
            self._memory.remember_document(config.digest, config_of(self._image, config))

    def _stays(self, digest: Digest) -> bool:
        """Whether a layer that is stored compressed goes out as it is."""
        return not self._all_layers and bool(self._packable[digest].stored)

    def _kind(self, digest: Digest) -> str:
        return self._packable[digest].stored if self._stays(digest) else self._packer.method.kind

    def _packer_name(self, digest: Digest) -> str:
        """What makes the packed bytes what they are."""
        if not self._stays(digest):
            return self._packer.method.name
        layer = self._raw.get(digest)
        return self._name_in_the_image if layer is None else _name_by_its_bytes(layer.region)

    @property
    def _name_in_the_image(self) -> str:
        """What stands for the bytes of a packed layer that is not at hand."""
        return f"as stored in {self._image.root.descriptor.digest}"

    @property
    def jobs(self) -> Collection[PackJob]:
        """The packings that were begun."""
        return self._jobs.values()

    def release(self) -> None:
        """The packed bytes are not needed here any more."""
        for job in self._jobs.values():
            self._packer.leave(job)
        self._jobs.clear()


def _name_by_its_bytes(region: Region) -> str:
    # a diff ID says nothing of the bytes that someone else packed
    try:
        fd = region.open_fd()
        try:
            sample = fingerprint_region(fd, region.offset, region.size)
        finally:
            os.close(fd)
    except (OSError, EOFError):
        return "as stored, and unreadable"
    return f"as stored/{region.size}/{sample:016x}"
