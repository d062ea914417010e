"""Opening a source, as the tests of this room do it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from idpbuilder.image import Platform
from idpbuilder.source import SourceImage, open_source
from idpbuilder.wire import Region


def ignore() -> None:
    """A `check` that never stops."""


@contextmanager
def opened(text: object, platform: str = "") -> Iterator[tuple[SourceImage, ...]]:
    """The images of the IMAGE argument `text`."""
    asked = Platform.parse(platform) if platform else None
    with open_source(str(text), asked, ignore) as images:
        yield images


def images_of(text: object, platform: str = "") -> tuple[SourceImage, ...]:
    """The images of `text`; their blobs can be read where they are no spool's."""
    with opened(text, platform) as images:
        return images


def content(region: Region) -> bytes:
    """What lies in a region."""
    fd = region.open_fd()
    try:
        return os.pread(fd, region.size, region.offset)
    finally:
        os.close(fd)


def documents_of(image: SourceImage) -> list[str]:
    """The digests of an image's documents, in order."""
    return [str(document.descriptor.digest) for document in image.documents]


def blobs_of(image: SourceImage) -> set[str]:
    """The digests of an image's blobs."""
    return {str(digest) for digest in image.blobs}
