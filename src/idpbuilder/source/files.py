"""The files of an image, whatever holds them (OCI image specification, image-layout.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from idpbuilder.errors import ImageInvalid, ImageNotFound, ImageUnreadable, SourceError
from idpbuilder.image import Digest, InvalidValue
from idpbuilder.image.manifest import parse_object
from idpbuilder.wire import Region, RegionBody

INDEX_FILE = "index.json"
LAYOUT_FILE = "oci-layout"
BLOBS = "blobs/"
MANIFEST_FILE = "manifest.json"
"""What lists the images in an archive of `docker save`."""
STANDARD_INPUT = "standard input"
"""What a source is called that the user named `-`."""
_LAYOUT_FILE_LIMIT = 64 * 1024
_COUNT_SHOWN = 20
_LENGTH_SHOWN = 300


class Files(Protocol):
    """A directory or an archive that holds images."""

    @property
    def path(self) -> str:
        """What the user knows it by."""

    def find(self, name: str) -> Region | None:
        """Where the file `name`, relative to its top, lies; None where there is none.

        Raises ImageInvalid for what is no regular file, ImageUnreadable for what cannot be opened.
        """


def blob_name(digest: Digest) -> str:
    """The file that holds the blob of this digest."""
    return f"{BLOBS}{digest.algorithm}/{digest.encoded}"


def read(path: str, region: Region, name: str, limit: int) -> bytes:
    """All bytes of `region`, which is `name` in the source that the user knows as `path`.

    Raises ImageInvalid where it is larger than `limit` bytes or shorter than it was a moment
    ago, ImageUnreadable where it cannot be read.
    """
    if region.size > limit:
        why = f"`{name}` has {region.size} bytes, and more than {limit} are never read"
        raise invalid(path, why)
    buffer = bytearray(region.size)
    try:
        reader = RegionBody(region).open()
        try:
            reader.readinto(memoryview(buffer))
        finally:
            reader.close()
    except OSError as error:
        raise unreadable(region.path, error) from error
    except EOFError as error:
        why = f"`{name}` ends before its {region.size} bytes"
        raise invalid(path, why) from error
    return bytes(buffer)


def check_layout(files: Files) -> None:
    """Raise ImageInvalid unless `oci-layout` names version 1 of the image layout."""
    region = files.find(LAYOUT_FILE)
    if region is None:
        raise no_image(files.path, f"it holds no `{LAYOUT_FILE}` file")
    try:
        layout = parse_object(read(files.path, region, LAYOUT_FILE, _LAYOUT_FILE_LIMIT))
    except InvalidValue as error:
        raise no_image(files.path, f"`{LAYOUT_FILE}` {error}") from error
    version = layout.get("imageLayoutVersion")
    if not isinstance(version, str) or version.partition(".")[0] != "1":
        raise no_image(files.path, f"`{LAYOUT_FILE}` names no `imageLayoutVersion` 1")


def invalid(path: str, why: str, hint: str = "copy or save the image again, whole") -> ImageInvalid:
    """The error for a source that breaks the format, or lies."""
    return ImageInvalid(f"{shown(path)} is no valid image", why, hint)


def no_image(path: str, why: str) -> ImageInvalid:
    """The error for what holds an image of no form that we know."""
    return ImageInvalid(
        f"{shown(path)} is no image",
        why,
        "push an OCI layout directory, or an archive: an OCI one or one of `docker save`, "
        "plain or by gzip or zstd",
    )


def shown(path: str) -> str:
    """`path` as messages spell it."""
    return path if path == STANDARD_INPUT else f"`{path[:_LENGTH_SHOWN]}`"


def listed(texts: Iterable[str]) -> str:
    """Some of `texts` for a hint: a source may hold thousands."""
    ordered = sorted(set(texts))
    shown = ", ".join(f"`{text[:_LENGTH_SHOWN]}`" for text in ordered[:_COUNT_SHOWN])
    more = len(ordered) - _COUNT_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def unreadable(path: str, error: OSError) -> SourceError:
    """The error for a file that the system does not let us read."""
    reason = (error.strerror or str(error)).lower()
    if isinstance(error, FileNotFoundError):
        return ImageNotFound(f"no image at {shown(path)}", reason, "check the path")
    hint = "check that it is readable for the user who pushes"
    return ImageUnreadable(f"cannot read {shown(path)}", reason, hint)
