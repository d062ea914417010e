"""From the files of a layout to the images in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from idpbuilder.errors import PlatformNotFound
from idpbuilder.image import Index, InvalidValue, Platform, parse_document
from idpbuilder.image.manifest import DOCUMENT_LIMIT
from idpbuilder.source.choice import choose, platforms
from idpbuilder.source.entries import Candidate, candidates
from idpbuilder.source.files import INDEX_FILE, Files, check_layout, invalid, no_layout, read
from idpbuilder.source.model import SourceImage
from idpbuilder.source.tree import Tree


def read_images(
    files: Files, text: str, ref: str, platform: Platform | None
) -> tuple[SourceImage, ...]:
    """The images in `files`, or the one that `ref` names; `text` is what the user typed.

    Raises ImageNotFound, ImageUnreadable, ImageInvalid, PlatformNotFound.
    """
    check_layout(files)
    found = candidates(_index(files), files.path, ref)
    tree = Tree(files)
    if platform is not None:
        found = tuple(_for_platform(tree, found, platform))
    labels = [text] if len(found) == 1 else [_label(one, text) for one in found]
    return tuple(_image(tree, one, label) for one, label in zip(found, labels, strict=True))


def _index(files: Files) -> Index:
    region = files.find(INDEX_FILE)
    if region is None:
        raise no_layout(files.path, f"it holds no `{INDEX_FILE}`")
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
    return SourceImage(label, one.names, one.tag, documents, blobs, there)


def _label(one: Candidate, text: str) -> str:
    if one.names:
        return str(one.names[0])
    return f"{text}:{one.tag}" if one.tag else f"{text}@{one.descriptor.digest}"
