"""From an image of raw layers to the image that goes out.

Which layers are packed on the way, and the documents that name the packed ones in their place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from idpbuilder.image import Descriptor, Digest, InvalidValue, Manifest, parse_document
from idpbuilder.image.layer import layer_compression, layer_type
from idpbuilder.image.manifest import (
    CONFIG_LIMIT,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    parse_object,
)
from idpbuilder.source import Document, SourceImage
from idpbuilder.source.files import read

if TYPE_CHECKING:
    from idpbuilder.packing.layer import RawLayer

_REFERENCE_DIGEST = "vnd.docker.reference.digest"
_OF_THE_BYTES = ("io.github.containers.zstd-chunked.", "containerd.io/snapshot/stargz/")
_AS_OCI = {
    DOCKER_LIST: OCI_INDEX,
    DOCKER_MANIFEST: OCI_MANIFEST,
    "application/vnd.docker.container.image.v1+json": "application/vnd.oci.image.config.v1+json",
}


def layers_to_pack(image: SourceImage, *, all_layers: bool) -> dict[Digest, RawLayer]:
    """The layers of `image` that are packed on the way, by the digest that its manifests name.

    Raw ones where the image asks for it; with `all_layers` each that is a tar, packed or not. A
    layer that is not at hand is not among them.
    """
    layers = packable(image, all_layers=all_layers)
    at_hand = {digest: one for digest, one in layers.items() if digest in image.blobs}
    if not at_hand:
        return {}
    from idpbuilder.packing.layer import RawLayer

    return {
        digest: RawLayer(one.diff_id, image.blobs[digest], one.stored)
        for digest, one in at_hand.items()
    }


@dataclass(frozen=True, slots=True)
class Packable:
    """A layer that is packed on the way, wherever it is: its diff ID, None where nobody says so,
    and how its file holds it: "" as it is, `gzip` or `zstd`.
    """

    diff_id: Digest | None
    stored: str


def packable(image: SourceImage, *, all_layers: bool) -> dict[Digest, Packable]:
    """What `layers_to_pack` gives, and those that are not at hand."""
    found: dict[Digest, Packable] = {}
    if not image.repack and not all_layers:
        return found
    for manifest in (item.content for item in image.documents):
        if not isinstance(manifest, Manifest):
            continue
        diff_ids: list[Digest | None] | None = None
        for number, layer in enumerate(manifest.layers):
            packed_as = layer_compression(layer.media_type)
            if packed_as is None or layer.foreign or layer.digest in found:
                continue
            stored = image.stored.get(layer.digest, packed_as)
            if not packed_as or layer.digest in image.stored:
                found[layer.digest] = Packable(layer.digest, stored)
            elif all_layers:
                if diff_ids is None:
                    diff_ids = _diff_ids(image, manifest)
                found[layer.digest] = Packable(diff_ids[number], stored)
    return found


@dataclass(frozen=True, slots=True)
class PackedLayer:
    """What a layer was packed into: `gzip`, `zstd` or `none`, and the blob's digest and size."""

    kind: str
    digest: Digest
    size: int


def rewritten(image: SourceImage, packed: Mapping[Digest, PackedLayer]) -> tuple[Document, ...]:
    """The documents of `image` with each layer in `packed` named as what it was packed into.

    Children first, the root last, as in the image. What names nothing that changed stays as it is,
    byte for byte.
    """
    renamed: dict[Digest, Document] = {}
    for document in image.documents:
        value = parse_object(document.data)
        before = json.dumps(value)
        if isinstance(document.content, Manifest):
            _rename_layers(value, document.content, packed)
        else:
            _rename_manifests(value, renamed)
        _rename_subject(value, renamed)
        changed = json.dumps(value) != before
        renamed[document.descriptor.digest] = _document(document, value) if changed else document
    return tuple(renamed.values())


def _rename_layers(
    value: dict[str, Any], manifest: Manifest, packed: Mapping[Digest, PackedLayer]
) -> None:
    for entry, layer in zip(value["layers"], manifest.layers, strict=True):
        now = packed.get(layer.digest)
        if now is not None:
            entry["mediaType"] = layer_type(layer.media_type, now.kind)
            _point(entry, now.digest, now.size)
    types = [entry["mediaType"] for entry in value["layers"]]
    if manifest.media_type in _AS_OCI and any(".oci." in kind for kind in types):
        # a format that Docker's own manifest has no name for
        value["mediaType"] = _AS_OCI[manifest.media_type]
        config = value["config"]
        config["mediaType"] = _AS_OCI.get(config["mediaType"], config["mediaType"])
        for entry in value["layers"]:
            compression = layer_compression(entry["mediaType"])
            if compression is not None:
                entry["mediaType"] = layer_type(OCI_MANIFEST, compression)


def _rename_manifests(value: dict[str, Any], renamed: Mapping[Digest, Document]) -> None:
    for entry in value["manifests"]:
        _rename(entry, renamed)
        annotations = entry.get("annotations")
        if isinstance(annotations, dict) and _REFERENCE_DIGEST in annotations:
            document = _known(annotations[_REFERENCE_DIGEST], renamed)
            if document is not None:
                annotations[_REFERENCE_DIGEST] = str(document.descriptor.digest)
    if value.get("mediaType") == DOCKER_LIST and any(
        entry["mediaType"] in (OCI_MANIFEST, OCI_INDEX) for entry in value["manifests"]
    ):
        value["mediaType"] = OCI_INDEX


def _rename_subject(value: dict[str, Any], renamed: Mapping[Digest, Document]) -> None:
    subject = value.get("subject")
    if isinstance(subject, dict):
        _rename(subject, renamed)


def _rename(entry: dict[str, Any], renamed: Mapping[Digest, Document]) -> None:
    document = _known(entry.get("digest"), renamed)
    if document is not None and str(document.descriptor.digest) != entry["digest"]:
        descriptor = document.descriptor
        entry["mediaType"] = descriptor.media_type
        _point(entry, descriptor.digest, descriptor.size)


def _point(entry: dict[str, Any], digest: Digest, size: int) -> None:
    """Have a descriptor name other content, and say nothing more of the old one's bytes."""
    if entry["digest"] == str(digest):
        return
    entry["digest"], entry["size"] = str(digest), size
    entry.pop("data", None)
    annotations = entry.get("annotations")
    if isinstance(annotations, dict):
        for key in [key for key in annotations if key.startswith(_OF_THE_BYTES)]:
            del annotations[key]


def _known(text: object, renamed: Mapping[Digest, Document]) -> Document | None:
    try:
        return renamed.get(Digest.parse(text))
    except InvalidValue:
        return None


def _document(old: Document, value: dict[str, Any]) -> Document:
    data = json.dumps(value, separators=(",", ":")).encode()
    media_type = value.get("mediaType") or old.descriptor.media_type
    digest = Digest.of(data, old.descriptor.digest.algorithm)
    descriptor = replace(old.descriptor, media_type=media_type, digest=digest, size=len(data))
    return Document(descriptor, data, parse_document(data, media_type))


def config_of(image: SourceImage, config: Descriptor) -> bytes:
    """The bytes of a config of `image`. Raises SourceError."""
    return read(image.label, image.blobs[config.digest], str(config.digest), CONFIG_LIMIT)


def _diff_ids(image: SourceImage, manifest: Manifest) -> list[Digest | None]:
    """A diff ID for each layer of `manifest`, None where the config gives none."""
    unknown: list[Digest | None] = [None] * len(manifest.layers)
    try:
        rootfs = parse_object(config_of(image, manifest.config)).get("rootfs")
        texts = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not isinstance(texts, list) or len(texts) != len(unknown):
            return unknown
        return [Digest.parse(text) for text in texts]
    except InvalidValue:
        return unknown
