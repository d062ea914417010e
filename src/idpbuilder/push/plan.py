"""What a push has to bring into a repository, each digest once, and in which order."""

from __future__ import annotations

from dataclasses import dataclass

from idpbuilder.image import Descriptor, Digest, Index, Manifest
from idpbuilder.source import Document, SourceImage
from idpbuilder.wire import Region


@dataclass(frozen=True, slots=True)
class PlannedBlob:
    """A blob to bring; `layer` is its place among the layers, from 0, None for a config."""

    digest: Digest
    size: int
    region: Region
    layer: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Blobs go first, largest first so that no long one is left alone at the end; then `children`,
    each before its parents; then the root.

    `layers` are the distinct layers in manifest order over all platforms, base first.
    """

    layers: tuple[Descriptor, ...]
    blobs: tuple[PlannedBlob, ...]
    children: tuple[Document, ...]
    root: Document

    @property
    def size(self) -> int:
        """Bytes of all distinct blobs and manifests."""
        documents = (*self.children, self.root)
        return sum(blob.size for blob in self.blobs) + sum(len(item.data) for item in documents)


def plan_image(image: SourceImage) -> Plan:
    """The plan for `image`, whatever the registry holds already."""
    numbers: dict[Digest, int] = {}
    layers: list[Descriptor] = []
    blobs: dict[Digest, PlannedBlob] = {}
    for manifest in _manifests(image):
        for layer in manifest.layers:
            if layer.foreign or layer.digest in numbers:
                continue
            numbers[layer.digest] = len(layers)
            layers.append(layer)
            blobs[layer.digest] = _planned(image, layer, numbers[layer.digest])
    for manifest in _manifests(image):
        if manifest.config.digest not in blobs:
            blobs[manifest.config.digest] = _planned(image, manifest.config, None)
    return Plan(
        tuple(layers),
        tuple(sorted(blobs.values(), key=lambda blob: -blob.size)),
        image.documents[:-1],
        image.root,
    )


def _planned(image: SourceImage, descriptor: Descriptor, layer: int | None) -> PlannedBlob:
    return PlannedBlob(descriptor.digest, descriptor.size, image.blobs[descriptor.digest], layer)


def _manifests(image: SourceImage) -> list[Manifest]:
    """The manifests in the order in which the root names them, depth first."""
    contents = {document.descriptor.digest: document.content for document in image.documents}
    found: dict[Digest, Manifest] = {}
    waiting = [image.root.descriptor.digest]
    while waiting:
        digest = waiting.pop()
        content = contents[digest]
        if isinstance(content, Index):
            waiting += reversed([entry.digest for entry in content.manifests])
        else:
            found.setdefault(digest, content)
    return list(found.values())
