"""The blobs that a push has to bring into a repository, each digest once, and in which order."""

from __future__ import annotations

from dataclasses import dataclass

from idpbuilder.image import Descriptor, Digest, Index, Manifest
from idpbuilder.source import SourceImage
from idpbuilder.wire import Region


@dataclass(frozen=True, slots=True)
class PlannedBlob:
    """A blob to bring, by the digest that the source names; `layer` is its place among the layers,
    from 0, None for a config. `region` is None for one that is not at hand.
    """

    digest: Digest
    size: int
    region: Region | None
    layer: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The blobs to bring, largest first so that no long one is left alone at the end.

    `layers` are the distinct layers in manifest order over all platforms, base first.
    """

    layers: tuple[Descriptor, ...]
    blobs: tuple[PlannedBlob, ...]


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
    return Plan(tuple(layers), tuple(sorted(blobs.values(), key=lambda blob: -blob.size)))


def _planned(image: SourceImage, descriptor: Descriptor, layer: int | None) -> PlannedBlob:
    region = image.blobs.get(descriptor.digest)
    return PlannedBlob(descriptor.digest, descriptor.size, region, layer)


def _manifests(image: SourceImage) -> list[Manifest]:
    """The manifests in the order in which the root names them, depth first."""
    contents = {document.descriptor.digest: document.content for document in image.documents}
    found: list[Manifest] = []
    seen: set[Digest] = set()
    waiting = [image.root.descriptor.digest]
    while waiting:
        digest = waiting.pop()
        if digest in seen:
            # indexes that name each other's children many times over would be walked for ever
            continue
        seen.add(digest)
        content = contents[digest]
        if isinstance(content, Index):
            waiting += reversed([entry.digest for entry in content.manifests])
        else:
            found.append(content)
    return found
