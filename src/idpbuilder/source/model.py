"""What every source yields: an image whose documents are read and whose blobs have a place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from idpbuilder.image import Descriptor, Digest, Index, Manifest, Platform, Reference
from idpbuilder.wire import Region


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or an index: its bytes as they were found, verified, and what they say."""

    descriptor: Descriptor
    data: bytes
    content: Manifest | Index


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An image to push.

    `label` is the source as the user named it. `names` are the image's own names, each with
    a tag; `tag` is a bare tag that came without a name, or "". `documents` holds each manifest and
    index once, children before their parents and the root last; `blobs` has a region for every
    config and every layer that is not foreign. `platforms` are those of its manifests.

    Where `repack` is set its raw layers are packed on the way: it comes out of an engine or
    `docker save`. A layer there may be named by its diff ID though its file is compressed: `stored`
    says how. An image whose layers are still in its engine, or in an archive that was not unpacked,
    has no regions for them yet: `export` fetches them, once, and gives the image with them. It
    raises what opening a source does.
    `refused` says why what the image is called cannot be used as its name, "" where it can.
    `contents` is what the archive that it was read from, or the engine's image, is remembered under
    once it is pushed, and its table of contents; None where nothing is to be remembered.
    """

    label: str
    names: tuple[Reference, ...]
    tag: str
    documents: tuple[Document, ...]
    blobs: Mapping[Digest, Region]
    platforms: tuple[Platform, ...]
    repack: bool = False
    stored: Mapping[Digest, str] = field(default_factory=dict)
    export: Callable[[], SourceImage] | None = None
    refused: str = ""
    contents: tuple[str, bytes] | None = None

    @property
    def root(self) -> Document:
        """What the tag will point at."""
        return self.documents[-1]
