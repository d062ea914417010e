"""What every source yields: an image whose documents are read and whose blobs have a place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    """

    label: str
    names: tuple[Reference, ...]
    tag: str
    documents: tuple[Document, ...]
    blobs: Mapping[Digest, Region]
    platforms: tuple[Platform, ...]

    @property
    def root(self) -> Document:
        """What the tag will point at."""
        return self.documents[-1]
