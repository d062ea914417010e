"""Archives by their paths: an unchanged one that was pushed before is not read again.

What is in it is remembered under what the file is and what was asked of it. Nothing that is
remembered is believed of a manifest or a config unless its digest says so; of a layer the registry
says so, or its diff ID. Where anything is missing the archive is read as if nothing were known.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from idpbuilder.errors import ImageChanged, SourceError
from idpbuilder.image import Descriptor, Digest, InvalidValue, Manifest, Platform
from idpbuilder.image.manifest import DOCUMENT_LIMIT
from idpbuilder.source.archive import Identity, identify, open_archive
from idpbuilder.source.contents import VERSION, Contents, describe, parse_contents
from idpbuilder.source.files import blob_name, shown
from idpbuilder.source.images import check_form, images_in, read_archive_images
from idpbuilder.source.model import SourceImage
from idpbuilder.source.surroundings import Surroundings
from idpbuilder.source.temporary import put, temporary_file
from idpbuilder.source.tree import Tree
from idpbuilder.wire import Region

Narrow = Callable[[tuple[SourceImage, ...]], tuple[SourceImage, ...]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the archive at `path`: `text` is how the user named it, `ref` the image in
    it, "" for all, or with `all_tags` a repository; it must have the `form`, "" for either.
    """

    path: str
    text: str
    ref: str
    form: str
    platform: Platform | None
    all_tags: bool

    def key(self, identity: Identity) -> str:
        """What the answer is remembered under. How the file was named makes no difference."""
        platform = str(self.platform) if self.platform else ""
        question = [self.ref, self.all_tags, self.form, platform]
        return json.dumps([VERSION, identity.text, *question])


class ArchiveSource:
    """The images that are `asked` for; `narrow` picks those of them that are meant.

    `stack` closes what is opened, also when a layer turns out to be needed.
    """

    def __init__(
        self,
        asked: Asked,
        narrow: Narrow,
        surroundings: Surroundings | None,
        check: Callable[[], None],
        stack: ExitStack,
    ) -> None:
        self._asked = asked
        self._narrow = narrow
        self._surroundings = surroundings
        self._check = check
        self._stack = stack
        self._read_before: tuple[SourceImage, ...] | None = None

    def images(self) -> tuple[SourceImage, ...]:
        """From memory where the archive is known, else from the archive. Raises SourceError."""
        surroundings, asked = self._surroundings, self._asked
        if surroundings is None or surroundings.table is None:
            return self._read()
        identity = identify(asked.path)
        data = surroundings.table(asked.key(identity)) if identity else None
        if identity is None or data is None:
            return self._read()
        return self._known(surroundings, identity, data) or self._read()

    def _read(self) -> tuple[SourceImage, ...]:
        asked, surroundings = self._asked, self._surroundings
        archive = self._stack.enter_context(open_archive(asked.path, self._check))
        check_form(archive, asked.form)
        if surroundings is not None:
            surroundings.note(f"`{asked.path}` is an archive of {len(archive.members)} members")
        ref = "" if asked.all_tags else asked.ref
        images = read_archive_images(archive, asked.text, ref, asked.platform, self._check)
        images = self._narrow(images)
        if surroundings is None or surroundings.table is None or archive.identity is None:
            return images
        contents = asked.key(archive.identity), describe(images, archive)
        return tuple(replace(image, contents=contents) for image in images)

    # -- from memory

    def _known(
        self, surroundings: Surroundings, identity: Identity, data: bytes
    ) -> tuple[SourceImage, ...] | None:
        """What `data` tells of the archive; None where it does not tell all. Raises LocalError."""
        asked = self._asked
        try:
            contents = parse_contents(data, asked.path, identity.size)
            tree = _Remembered(asked.path, contents, surroundings.known)
            images = self._narrow(_images(tree, contents, asked.text))
            if contents.regions is not None:
                surroundings.note(f"`{asked.path}` is known: its members are not read")
                return images
            configs = {one: tree.needed(one) for image in images for one in _configs(image)}
        except (InvalidValue, SourceError):
            # whatever is wrong with what is remembered, the archive knows better
            return None
        surroundings.note(f"`{asked.path}` is known: it is not unpacked until a layer is sent")
        kept = self._kept(configs)
        return tuple(self._deferred(image, kept, asked.key(identity)) for image in images)

    def _deferred(self, image: SourceImage, kept: dict[Digest, Region], key: str) -> SourceImage:
        configs = {one.digest: kept[one.digest] for one in _configs(image)}
        return replace(image, blobs=configs, export=partial(self._unpacked, image, key))

    def _kept(self, configs: dict[Descriptor, bytes]) -> dict[Digest, Region]:
        """The configs in one file, for an archive may have more of them than a process has files.

        Raises LocalError.
        """
        what = f"the configs of {shown(self._asked.path)}"
        file = temporary_file(self._stack, what)
        return {
            one.digest: put(file, self._asked.path, data, what) for one, data in configs.items()
        }

    def _unpacked(self, image: SourceImage, key: str) -> SourceImage:
        """The same image with its layers. Raises ImageChanged where it is not there any more."""
        if self._read_before is None:
            self._read_before = self._read()
        wanted = image.root.descriptor.digest
        for found in self._read_before:
            if found.root.descriptor.digest == wanted:
                return replace(found, label=image.label, names=image.names, tag=image.tag)
        assert self._surroundings is not None
        # if it was the memory that lied, it shall not do so again
        self._surroundings.forget(key)
        raise ImageChanged(
            f"{shown(self._asked.path)} changed while it was pushed",
            f"it does not hold {wanted} any more",
            "let nothing write to the archive, then push again",
        )


class _Remembered(Tree):
    """What is known of an archive without reading all of it.

    Where blobs have no place yet a layer's region says only how large it is.
    """

    def __init__(
        self, path: str, contents: Contents, known: Callable[[Digest], bytes | None]
    ) -> None:
        regions = contents.regions or {}
        super().__init__(_Places(path, {blob_name(one): at for one, at in regions.items()}))
        self._placed = contents.regions is not None
        self._known = known

    def region(self, descriptor: Descriptor) -> Region | None:
        return super().region(descriptor) if self._placed else Region("", 0, descriptor.size)

    def content(self, descriptor: Descriptor, limit: int = DOCUMENT_LIMIT) -> bytes | None:
        if self._placed:
            data = super().content(descriptor, limit)
            if data is not None:
                return data
        return self.needed(descriptor)

    def needed(self, descriptor: Descriptor) -> bytes:
        """The remembered content. Raises ImageInvalid where there is none."""
        data = self._known(descriptor.digest)
        if data is None or len(data) != descriptor.size:
            raise self.invalid(f"{descriptor.digest} is not remembered")
        return data


@dataclass(frozen=True, slots=True)
class _Places:
    path: str
    regions: dict[str, Region]

    def find(self, name: str) -> Region | None:
        return self.regions.get(name)


def _images(tree: Tree, contents: Contents, text: str) -> tuple[SourceImage, ...]:
    found = images_in(tree, tuple(one for one, _ in contents.images), text, None)
    return tuple(
        replace(image, repack=contents.repack, stored=stored)
        for image, (_, stored) in zip(found, contents.images, strict=True)
    )


def _configs(image: SourceImage) -> list[Descriptor]:
    manifests = [one.content for one in image.documents if isinstance(one.content, Manifest)]
    return [manifest.config for manifest in manifests]
