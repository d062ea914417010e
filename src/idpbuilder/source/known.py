"""What is remembered of a source: its images, as their remembered documents tell of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import IO

from idpbuilder.image import Descriptor, Digest, Manifest
from idpbuilder.image.manifest import DOCUMENT_LIMIT
from idpbuilder.source.contents import Contents
from idpbuilder.source.files import blob_name
from idpbuilder.source.images import images_in
from idpbuilder.source.model import SourceImage
from idpbuilder.source.temporary import put
from idpbuilder.source.tree import Tree
from idpbuilder.wire import Region


class KnownTree(Tree):
    """What is known of the source at `path` without reading all of it.

    `known` gives the remembered content of a digest. Where blobs have no place yet a layer's region
    says only how large it is.
    """

    def __init__(
        self, path: str, contents: Contents, known: Callable[[Digest], bytes | None]
    ) -> None:
        regions = contents.regions or {}
        super().__init__(_Places(path, {blob_name(one): at for one, at in regions.items()}))
        self._contents = contents
        self._placed = contents.regions is not None
        self._known = known

    def images(self, text: str) -> tuple[SourceImage, ...]:
        """Its images; `text` is how the user named it. Raises ImageInvalid where one is unknown."""
        contents = self._contents
        found = images_in(self, tuple(one for one, _ in contents.images), text, None)
        return tuple(
            replace(image, repack=contents.repack, stored=stored)
            for image, (_, stored) in zip(found, contents.images, strict=True)
        )

    def with_configs_alone(self, image: SourceImage, file: IO[bytes], what: str) -> SourceImage:
        """The image without the places of its layers, and its configs put into `file`.

        Raises ImageInvalid where one is not remembered, LocalError.
        """
        manifests = [one.content for one in image.documents if isinstance(one.content, Manifest)]
        configs = [manifest.config for manifest in manifests]
        blobs = {one.digest: put(file, self.path, self._needed(one), what) for one in configs}
        return replace(image, blobs=blobs)

    def region(self, descriptor: Descriptor) -> Region | None:
        return super().region(descriptor) if self._placed else Region("", 0, descriptor.size)

    def content(self, descriptor: Descriptor, limit: int = DOCUMENT_LIMIT) -> bytes | None:
        if self._placed:
            data = super().content(descriptor, limit)
            if data is not None:
                return data
        return self._needed(descriptor)

    def _needed(self, descriptor: Descriptor) -> bytes:
        data = self._known(descriptor.digest)
        if data is None or len(data) != descriptor.size:
            raise self.invalid(f"{descriptor.digest} is not remembered")
        return data


@dataclass(frozen=True, slots=True)
class _Places:
    path: str
    regions: dict[str, Region]

    def find(self, name: str) -> Region | None:
        return self.regions.get(name)
