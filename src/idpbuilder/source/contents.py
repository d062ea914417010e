"""An archive's table of contents: the images in it and where their blobs lie, as JSON.

It holds what the archive alone can say. Manifests and configs are kept elsewhere, by their digests,
and what they say of blobs and platforms is read in them again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from idpbuilder.image import Descriptor, Digest, InvalidValue, Reference
from idpbuilder.image.manifest import parse_descriptor
from idpbuilder.source.archive import Archive
from idpbuilder.source.entries import Candidate
from idpbuilder.source.files import blob_name
from idpbuilder.source.model import SourceImage
from idpbuilder.wire import Region

VERSION: Final = 1
"""Of the table: another version's is never asked for."""

_STORED = ("gzip", "zstd")
_DAMAGE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Contents:
    """The images of an archive, each with how its layers' files are compressed, by diff ID.

    `regions` is None for an archive that has to be unpacked before its blobs lie anywhere. With
    `repack` raw layers are packed on the way.
    """

    repack: bool
    regions: Mapping[Digest, Region] | None
    images: tuple[tuple[Candidate, Mapping[Digest, str]], ...]


def describe(images: tuple[SourceImage, ...], archive: Archive) -> bytes:
    """The table of contents of `archive`, of which `images` were read."""
    regions = dict(_regions(images, archive))
    # what lies in a spool lies elsewhere the next time
    in_place = all(region.fd is None for region in regions.values())
    places = {str(digest): [one.offset, one.size] for digest, one in regions.items()}
    value = {
        "repack": any(image.repack for image in images),
        "places": places if in_place else None,
        "images": [_image(image) for image in images],
    }
    return json.dumps(value, separators=(",", ":")).encode()


def parse_contents(data: bytes, path: str, size: int) -> Contents:
    """What `data` says of the archive at `path`, a file of `size` bytes. Raises InvalidValue."""
    try:
        value = json.loads(data)
        places = value["places"]
        regions = None if places is None else dict(_placed(places, path, size))
        images = tuple(_listed(one) for one in value["images"])
        repack = value["repack"] is True
    except _DAMAGE as error:
        raise InvalidValue("is no table of contents") from error
    if not images:
        raise InvalidValue("lists no image")
    return Contents(repack, regions, images)


def _regions(images: Iterable[SourceImage], archive: Archive) -> Iterator[tuple[Digest, Region]]:
    for image in images:
        yield from image.blobs.items()
        for document in image.documents:
            # one that was made for `docker save` lies nowhere
            region = archive.members.get(blob_name(document.descriptor.digest))
            if isinstance(region, Region):
                yield document.descriptor.digest, region


def _image(image: SourceImage) -> dict[str, object]:
    return {
        "root": _descriptor(image.root.descriptor),
        "names": [str(name) for name in image.names],
        "tag": image.tag,
        "refused": image.refused,
        "stored": {str(digest): kind for digest, kind in image.stored.items()},
    }


def _descriptor(descriptor: Descriptor) -> dict[str, object]:
    value: dict[str, object] = {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
        "annotations": dict(descriptor.annotations),
        "urls": list(descriptor.urls),
    }
    if descriptor.platform is not None:
        there = descriptor.platform
        value["platform"] = {
            "os": there.os,
            "architecture": there.architecture,
            "variant": there.variant,
        }
    return value


def _placed(places: dict[str, Any], path: str, end: int) -> Iterator[tuple[Digest, Region]]:
    for text, (offset, size) in places.items():
        if type(offset) is not int or type(size) is not int:
            raise InvalidValue("places a blob nowhere")
        if offset < 0 or size < 0 or offset + size > end:
            raise InvalidValue("places a blob outside of its archive")
        yield Digest.parse(text), Region(path, offset, size)


def _listed(value: dict[str, Any]) -> tuple[Candidate, Mapping[Digest, str]]:
    names = tuple(Reference.parse(_text(name)) for name in value["names"])
    root = parse_descriptor(value["root"], "root")
    stored = {Digest.parse(text): kind for text, kind in value["stored"].items()}
    if not all(kind in _STORED for kind in stored.values()):
        raise InvalidValue("has layers of a compression that is not known")
    return Candidate(root, names, _text(value["tag"]), _text(value["refused"])), stored


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidValue("has no text where there should be one")
    return value
