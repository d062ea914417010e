"""From the files of a layout or an archive to the images in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from idpbuilder.errors import ImageInvalid, PlatformNotFound
from idpbuilder.image import (
    Descriptor,
    Digest,
    Index,
    InvalidValue,
    Manifest,
    Platform,
    parse_document,
)
from idpbuilder.image.manifest import DOCUMENT_LIMIT, INDEX_TYPES, MANIFEST_TYPES
from idpbuilder.source.choice import choose, platforms
from idpbuilder.source.entries import Candidate, candidates
from idpbuilder.source.files import (
    INDEX_FILE,
    MANIFEST_FILE,
    Files,
    check_layout,
    invalid,
    no_image,
    read,
)
from idpbuilder.source.model import SourceImage
from idpbuilder.source.tree import Tree

if TYPE_CHECKING:
    from idpbuilder.source.archive import Archive

_DOCUMENT_TYPES: Final = MANIFEST_TYPES | INDEX_TYPES
_SEARCH_LIMIT: Final = 10_000
"""Documents below one root that are searched: as many as are ever read."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a layout or an archive lists: nothing is read yet but what lists it.

    With `repack` raw layers are packed on the way; `stored` tells how the files of layers are
    compressed that are named by their diff IDs.
    """

    tree: Tree
    found: tuple[Candidate, ...]
    repack: bool = False
    stored: Mapping[Digest, str] = field(default_factory=dict)

    def images(self, text: str, platform: Platform | None) -> tuple[SourceImage, ...]:
        """All of them. Raises ImageUnreadable, ImageInvalid, PlatformNotFound."""
        images = images_in(self.tree, self.found, text, platform)
        return tuple(self._repacked(image) for image in images) if self.repack else images

    def of(self, digest: Digest) -> Listing:
        """The one that `digest` is the root of, or else a manifest or a config below; or none.

        Raises ImageInvalid.
        """
        found = [one for one in self.found if one.descriptor.digest == digest]
        found = found or [one for one in self.found if self._holds(one.descriptor, digest)]
        return replace(self, found=tuple(found[:1]))

    def _holds(self, root: Descriptor, wanted: Digest) -> bool:
        seen: set[Digest] = set()
        waiting = [root]
        while waiting and len(seen) < _SEARCH_LIMIT:
            descriptor = waiting.pop()
            document = self.tree.document(descriptor) if descriptor.digest not in seen else None
            seen.add(descriptor.digest)
            content = document.content if document else None
            config = content.config.digest if isinstance(content, Manifest) else None
            if wanted in (descriptor.digest, config):
                return True
            if isinstance(content, Index):
                waiting += [one for one in content.manifests if one.media_type in _DOCUMENT_TYPES]
        return False

    def _repacked(self, image: SourceImage) -> SourceImage:
        content = image.root.content
        layers = content.layers if isinstance(content, Manifest) else ()
        stored = self.stored
        here = {one.digest: stored[one.digest] for one in layers if one.digest in stored}
        return replace(image, repack=True, stored=here)


def read_layout(
    files: Files, text: str, ref: str, platform: Platform | None
) -> tuple[SourceImage, ...]:
    """The images of the OCI layout in `files`, or the one that `ref` names.

    `text` is what the user typed. Raises ImageNotFound, ImageUnreadable, ImageInvalid,
    PlatformNotFound.
    """
    return _listed_in_layout(files, ref).images(text, platform)


def read_archive_images(
    archive: Archive, text: str, ref: str, platform: Platform | None, check: Callable[[], None]
) -> tuple[SourceImage, ...]:
    """The images in an archive of either form, or the one that `ref` names.

    `check` is called between the images and may raise. Raises what `read_layout` does.
    """
    return list_archive(archive, ref, check).images(text, platform)


def list_archive(archive: Archive, ref: str, check: Callable[[], None]) -> Listing:
    """What an archive of either form lists, or the one image that `ref` names.

    What Docker has saved since version 25 has both forms: there the layout counts, and the raw
    layers are to be packed. Raises ImageNotFound, ImageUnreadable, ImageInvalid.
    """
    saved_by_docker = MANIFEST_FILE in archive.members
    if INDEX_FILE in archive.members:
        return replace(_listed_in_layout(archive, ref), repack=saved_by_docker)
    if not saved_by_docker:
        why = f"the tar archive holds no `{INDEX_FILE}` and no `{MANIFEST_FILE}`"
        raise no_image(archive.path, why)
    from idpbuilder.source.docker_archive import read_saved

    saved = read_saved(archive, ref, check)
    found = candidates(saved.index, archive.path, "")
    return Listing(Tree(saved, saved.made), found, True, saved.stored)


def check_form(archive: Archive, form: str) -> None:
    """Raise ImageInvalid where the user calls it `oci-archive` or `docker-archive` and it is not.

    An archive of both forms may be called either; "" may be anything.
    """
    has_index, has_list = (name in archive.members for name in (INDEX_FILE, MANIFEST_FILE))
    wanted, other = INDEX_FILE, "docker-archive"
    if form == other:
        wanted, other = MANIFEST_FILE, "oci-archive"
    if form and wanted not in archive.members and (has_index or has_list):
        what = f"`{archive.path}` is no `{form}`"
        raise ImageInvalid(what, f"it holds no `{wanted}`", f"name it as `{other}:{archive.path}`")


def images_in(
    tree: Tree, found: tuple[Candidate, ...], text: str, platform: Platform | None
) -> tuple[SourceImage, ...]:
    """The images that were `found` in `tree`, each cut down to `platform` where one is asked for.

    Raises ImageUnreadable, ImageInvalid, PlatformNotFound.
    """
    if platform is not None:
        found = tuple(_for_platform(tree, found, platform))
    labels = [text] if len(found) == 1 else [_label(one, text) for one in found]
    return tuple(_image(tree, one, label) for one, label in zip(found, labels, strict=True))


def _listed_in_layout(files: Files, ref: str) -> Listing:
    check_layout(files)
    return Listing(Tree(files), candidates(_index(files), files.path, ref))


def _index(files: Files) -> Index:
    region = files.find(INDEX_FILE)
    if region is None:
        raise no_image(files.path, f"it holds no `{INDEX_FILE}`")
    try:
        index = parse_document(read(files.path, region, INDEX_FILE, DOCUMENT_LIMIT))
    except InvalidValue as error:
        why = f"`{INDEX_FILE}` {error}"
        raise invalid(files.path, why) from error
    if not isinstance(index, Index):
        why = f"`{INDEX_FILE}` is a manifest and no index"
        raise invalid(files.path, why)
    return index


def _for_platform(
    tree: Tree, found: Sequence[Candidate], platform: Platform
) -> Iterator[Candidate]:
    named = [one for one in found if not one.nameless]
    for one in named:
        yield replace(one, descriptor=choose(tree, [one.descriptor], platform))
    # nameless neighbours are one image's platforms
    rest = [one.descriptor for one in found if one.nameless]
    if rest:
        try:
            yield Candidate(choose(tree, rest, platform), (), "")
        except PlatformNotFound:
            if not named:
                raise


def _image(tree: Tree, one: Candidate, label: str) -> SourceImage:
    documents, blobs = tree.whole(one.descriptor)
    there = platforms(tree, one.descriptor)
    return SourceImage(label, one.names, one.tag, documents, blobs, there, refused=one.refused)


def _label(one: Candidate, text: str) -> str:
    if one.names:
        return str(one.names[0])
    return f"{text}:{one.tag}" if one.tag else f"{text}@{one.descriptor.digest}"
