"""Archives of `docker save`, and of those who write the same: podman, skopeo, kaniko, bazel.

Their `manifest.json` lists images by the files of their configs and layers. Such an image has no
manifest of its own that a registry could take, so one is made (Docker image manifest version 2,
schema 2): it names each layer by its diff ID, which is what the config says of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from idpbuilder.errors import ImageInvalid
from idpbuilder.image import Descriptor, Digest, Index, InvalidValue
from idpbuilder.image.layer import RAW_DOCKER_LAYER
from idpbuilder.image.manifest import (
    CONFIG_LIMIT,
    DOCKER_MANIFEST,
    DOCUMENT_LIMIT,
    OCI_INDEX,
    parse_document,
    parse_object,
)
from idpbuilder.source.entries import CONTAINERD_NAME, Called, picked
from idpbuilder.source.files import MANIFEST_FILE, Files, blob_name, invalid, read
from idpbuilder.source.model import Document
from idpbuilder.source.spool import MAGIC_LENGTH, compression_of
from idpbuilder.wire import Region

CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_LAYERS_LIMIT = 200_000
"""Layers of all images of an archive together: a thousand images of as many as Docker allows."""
_SHOWN = 300
_HASHED_NAME = re.compile(r"(?:.*/)?(?:sha256:)?([0-9a-f]{64})(?:\.json)?\Z")


@dataclass(frozen=True, slots=True)
class Item:
    """One image as `manifest.json` lists it: names of members, and its names."""

    config: str
    layers: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """The images of an archive, as an OCI layout would hold them.

    `made` are their manifests; `stored` tells how the layers' files are compressed, by diff ID.
    """

    path: str
    index: Index
    made: tuple[Document, ...]
    stored: Mapping[Digest, str]
    blobs: Mapping[str, Region]

    def find(self, name: str) -> Region | None:
        """Where the blob of a config or a layer lies, by the name that it had in a layout."""
        return self.blobs.get(name)


def read_saved(files: Files, ref: str, check: Callable[[], None]) -> Saved:
    """The images that `manifest.json` in `files` lists, or the one that `ref` names.

    `check` is called for each and may raise. Raises ImageNotFound, ImageUnreadable, ImageInvalid.
    """
    items = _items(files)
    if ref:
        items = _asked(items, files.path, ref)
    reading = _Reading(files)
    entries: list[Descriptor] = []
    for item in items:
        check()
        entries += _named(reading.image(item), item.tags)
    index = Index(OCI_INDEX, tuple(entries))
    made = tuple(reading.made.values())
    return Saved(files.path, index, made, reading.stored, reading.blobs)


def _items(files: Files) -> list[Item]:
    region = files.find(MANIFEST_FILE)
    if region is None:
        raise invalid(files.path, f"it holds no `{MANIFEST_FILE}`")
    try:
        value = json.loads(read(files.path, region, MANIFEST_FILE, DOCUMENT_LIMIT))
    except (ValueError, RecursionError) as error:
        raise invalid(files.path, f"`{MANIFEST_FILE}` is not JSON") from error
    if not isinstance(value, list):
        raise invalid(files.path, f"`{MANIFEST_FILE}` is no list")
    if not value:
        raise invalid(files.path, f"its `{MANIFEST_FILE}` lists no image")
    return [_item(files.path, number, one) for number, one in enumerate(value)]


def _item(path: str, number: int, value: object) -> Item:
    if not isinstance(value, dict):
        raise _wrong(path, number, "is no object")
    config = value.get("Config")
    if not isinstance(config, str) or not config:
        raise _wrong(path, number, "names no `Config`")
    layers = _texts(path, number, value, "Layers")
    return Item(config, layers, _texts(path, number, value, "RepoTags"))


def _texts(path: str, number: int, value: Mapping[str, object], key: str) -> tuple[str, ...]:
    # Go writes an empty list as null
    texts = value.get(key) or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise _wrong(path, number, f"has no list of texts at `{key}`")
    return tuple(texts)


def _wrong(path: str, number: int, why: str) -> ImageInvalid:
    return invalid(path, f"image {number} in `{MANIFEST_FILE}` {why}")


def _asked(items: list[Item], path: str, ref: str) -> list[Item]:
    named = [(item, Called.of(tag)) for item in items for tag in item.tags or ("",)]
    names, keys = [called for _, called in named], [item.config for item, _ in named]
    found = [named[number] for number in picked(names, keys, path, ref)]
    return [Item(item.config, item.layers, called.spellings) for item, called in found]


def _named(descriptor: Descriptor, tags: Iterable[str]) -> list[Descriptor]:
    named = [replace(descriptor, annotations=((CONTAINERD_NAME, tag),)) for tag in tags]
    return named or [descriptor]


@dataclass(frozen=True, slots=True)
class _Config:
    descriptor: Descriptor
    diff_ids: tuple[Digest, ...]


class _Reading:
    """What has been read of one archive; images share configs and layers."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._configs: dict[Region, _Config] = {}
        self._layers = 0
        self.made: dict[Digest, Document] = {}
        self.stored: dict[Digest, str] = {}
        self.blobs: dict[str, Region] = {}

    def image(self, item: Item) -> Descriptor:
        """The descriptor of the manifest that is made for `item`."""
        config = self._config(item.config)
        if len(config.diff_ids) != len(item.layers):
            raise self._invalid(
                f"`{MANIFEST_FILE}` lists {len(item.layers)} layers of an image, "
                f"and its config {len(config.diff_ids)}"
            )
        self._layers += len(item.layers)
        if self._layers > _LAYERS_LIMIT:
            raise self._invalid(f"its images have more than {_LAYERS_LIMIT} layers")
        layers = [
            self._layer(diff_id, name)
            for diff_id, name in zip(config.diff_ids, item.layers, strict=True)
        ]
        document = _manifest(config.descriptor, layers)
        self.made[document.descriptor.digest] = document
        return document.descriptor

    def _config(self, name: str) -> _Config:
        region = self._region(name)
        known = self._configs.get(region)
        if known is not None:
            return known
        data = read(self._files.path, region, name[:_SHOWN], CONFIG_LIMIT)
        digest = Digest.of(data)
        named = _HASHED_NAME.match(name)
        if named and named[1] != digest.encoded:
            raise self._invalid(f"the content of `{name}` has another digest")
        try:
            diff_ids = _diff_ids(parse_object(data))
        except InvalidValue as error:
            raise self._invalid(f"the config `{name[:_SHOWN]}` {error}") from error
        config = _Config(Descriptor(CONFIG_TYPE, digest, len(data)), diff_ids)
        self._configs[region] = config
        self.blobs[blob_name(digest)] = region
        return config

    def _layer(self, diff_id: Digest, name: str) -> Descriptor:
        region = self._region(name)
        # one content under one name: the file that comes first stands for all
        known = self.blobs.setdefault(blob_name(diff_id), region)
        if known is region and diff_id not in self.stored:
            start = Region(region.path, region.offset, min(region.size, MAGIC_LENGTH), region.fd)
            compression = compression_of(read(self._files.path, start, name[:_SHOWN], MAGIC_LENGTH))
            if compression is not None:
                self.stored[diff_id] = compression.name
        return Descriptor(RAW_DOCKER_LAYER, diff_id, known.size)

    def _region(self, name: str) -> Region:
        region = self._files.find(name)
        if region is None:
            raise self._invalid(f"`{name[:_SHOWN]}` is missing, which `{MANIFEST_FILE}` names")
        return region

    def _invalid(self, why: str) -> ImageInvalid:
        return invalid(self._files.path, why)


def _diff_ids(config: Mapping[str, object]) -> tuple[Digest, ...]:
    rootfs = config.get("rootfs")
    texts = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if texts is None:
        return ()
    if not isinstance(texts, list):
        raise InvalidValue("has no list of `rootfs.diff_ids`")
    return tuple(Digest.parse(text) for text in texts)


def _manifest(config: Descriptor, layers: Iterable[Descriptor]) -> Document:
    value = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": _as_json(config),
        "layers": [_as_json(layer) for layer in layers],
    }
    data = json.dumps(value, separators=(",", ":")).encode()
    descriptor = Descriptor(DOCKER_MANIFEST, Digest.of(data), len(data))
    return Document(descriptor, data, parse_document(data, DOCKER_MANIFEST))


def _as_json(descriptor: Descriptor) -> dict[str, object]:
    return {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
    }
