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
from idpbuilder.image import InvalidValue, Platform
from idpbuilder.source.archive import Identity, identify, open_archive
from idpbuilder.source.contents import VERSION, describe, parse_contents
from idpbuilder.source.files import shown
from idpbuilder.source.images import check_form, read_archive_images
from idpbuilder.source.known import KnownTree
from idpbuilder.source.model import SourceImage
from idpbuilder.source.surroundings import Surroundings
from idpbuilder.source.temporary import temporary_file

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
        at_length = surroundings.at_length if surroundings else lambda: None
        opened = open_archive(asked.path, self._check, at_length)
        archive = self._stack.enter_context(opened)
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
            tree = KnownTree(asked.path, contents, surroundings.known)
            images = self._narrow(tree.images(asked.text))
            if contents.regions is not None:
                surroundings.note(f"`{asked.path}` is known: its members are not read")
                return images
            # in one file, for an archive may have more configs than a process has files
            what = f"the configs of {shown(asked.path)}"
            file = temporary_file(self._stack, what)
            images = tuple(tree.with_configs_alone(image, file, what) for image in images)
        except (InvalidValue, SourceError):
            # whatever is wrong with what is remembered, the archive knows better
            return None
        surroundings.note(f"`{asked.path}` is known: it is not unpacked until a layer is sent")
        key = asked.key(identity)
        return tuple(replace(image, export=partial(self._unpacked, image, key)) for image in images)

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
