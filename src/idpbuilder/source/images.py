"""From the files of a layout or an archive to the images in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from idpbuilder.errors import ImageInvalid, PlatformNotFound
from idpbuilder.image import Digest, Index, InvalidValue, Manifest, Platform, parse_document
from idpbuilder.image.manifest import DOCUMENT_LIMIT
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


def read_layout(
    files: Files, text: str, ref: str, platform: Platform | None, *, repack: bool = False
) -> tuple[SourceImage, ...]:
    """The images of the OCI layout in `files`, or the one that `ref` names.

    `text` is what the user typed; `repack` goes into each image. Raises ImageNotFound,
    ImageUnreadable, ImageInvalid, PlatformNotFound.
    """
    check_layout(files)
    found = candidates(_index(files), files.path, ref)
    images = images_in(Tree(files), found, text, platform)
    return tuple(replace(image, repack=True) for image in images) if repack else images


def read_archive_images(
    archive: Archive, text: str, ref: str, platform: Platform | None, check: Callable[[], None]
) -> tuple[SourceImage, ...]:
    """The images in an archive of either form, or the one that `ref` names.

    What Docker has saved since version 25 has both forms: there the layout counts, and the raw
    layers are to be packed. `check` is called between the images and may raise. Raises what
    `read_layout` does.
    """
    saved_by_docker = MANIFEST_FILE in archive.members
    if INDEX_FILE in archive.members:
        return read_layout(archive, text, ref, platform, repack=saved_by_docker)
    if not saved_by_docker:
        why = f"the tar archive holds no `{INDEX_FILE}` and no `{MANIFEST_FILE}`"
        raise no_image(archive.path, why)
    from idpbuilder.source.docker_archive import read_saved

    saved = read_saved(archive, ref, check)
    found = candidates(saved.index, archive.path, "")
    images = images_in(Tree(saved, saved.made), found, text, platform)
    return tuple(_repacked(image, saved.stored) for image in images)


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


def open_spooled(
    file: IO[bytes], label: str, ref: str, platform: Platform | None, check: Callable[[], None]
) -> tuple[SourceImage, ...]:
    """The images in the archive `file`, an uncompressed tar of either form that has no name.

    `label` is what the user knows it by. Regions are read through the descriptor of `file`, which
    the caller keeps open for as long as they are used. Raises what `read_archive_images` does.
    """
    from idpbuilder.source.archive import read_archive

    archive = read_archive(file, label, file.fileno(), check)
    return read_archive_images(archive, label, ref, platform, check)


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


def _index(files: Files) -> Index:
    region = files.find(INDEX_FILE)
    if region is None:
        raise no_image(files.path, f"it holds no `{INDEX_FILE}`")
    try:
        index = parse_document(read(files, region, INDEX_FILE, DOCUMENT_LIMIT))
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


def _repacked(image: SourceImage, stored: Mapping[Digest, str]) -> SourceImage:
    content = image.root.content
    layers = content.layers if isinstance(content, Manifest) else ()
    here = {one.digest: stored[one.digest] for one in layers if one.digest in stored}
    return replace(image, repack=True, stored=here)


def _label(one: Candidate, text: str) -> str:
    if one.names:
        return str(one.names[0])
    return f"{text}:{one.tag}" if one.tag else f"{text}@{one.descriptor.digest}"
