"""Images in container engines, and how they become sources.

What is remembered of an image, under its ID, stands in for its export until a layer is needed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import IO

from idpbuilder.errors import PlatformNotFound, SourceError
from idpbuilder.image import Digest, Manifest, Platform, Reference
from idpbuilder.source.contents import VERSION, describe, parse_contents
from idpbuilder.source.engines.engine import Details
from idpbuilder.source.engines.fetched import Holder, export_name
from idpbuilder.source.files import invalid
from idpbuilder.source.images import list_archive
from idpbuilder.source.known import KnownTree
from idpbuilder.source.model import SourceImage
from idpbuilder.source.temporary import temporary_file


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image in an engine. `names`, each with a tag, are what it will be pushed under.

    `label` is what the user knows it by, `reason` why it was chosen, "" where it was named.
    """

    label: str
    names: tuple[Reference, ...]
    details: Details
    holder: Holder
    reason: str = ""

    @property
    def image_id(self) -> Digest:
        """What the engine calls it: its config's digest, or its manifest's."""
        return self.details.id

    def source(self, platform: Platform | None) -> SourceImage:
        """The image as a source. Raises what `sources` does."""
        return sources([self], platform)[0]

    def check_platform(self, platform: Platform | None) -> None:
        """Raise PlatformNotFound where the engine says that it is one for another."""
        there = self.details.platform
        if platform is None or there is None or self.holder.engine.chooses_platforms:
            return
        if not platform.offered_by(there):
            raise PlatformNotFound(
                f"`{self.label}` has no image for `{platform}`", hint=f"there is `{there}`"
            )

    def called(self, image: SourceImage) -> SourceImage:
        """`image`, which is this one, by the name that the user knows it by."""
        return replace(image, label=self.label, names=self.names, tag="", refused="")


def sources(found: Sequence[FoundImage], platform: Platform | None) -> tuple[SourceImage, ...]:
    """The images, which one engine has, as sources: those still in it that are remembered.

    Raises ImageUnreadable where the engine fails, ImageInvalid where what it exports is no image,
    PlatformNotFound, and LocalError where there is no room for the export.
    """
    for one in found:
        one.check_platform(platform)
    return _Sources(found, platform).images()


class _Sources:
    """Images of one engine; each is exported at most once, and what is exported is kept."""

    def __init__(self, found: Sequence[FoundImage], platform: Platform | None) -> None:
        self._found = {one.image_id: one for one in found}
        self._holder = found[0].holder
        self._surroundings = self._holder.access.surroundings
        self._platform = platform
        self._exported: dict[Digest, SourceImage] = {}
        self._was_needed = False
        self._configs: IO[bytes] | None = None

    def images(self) -> tuple[SourceImage, ...]:
        """All of them, in order."""
        known = [(one.image_id, self._known(one)) for one in self._found.values()]
        self._export([image_id for image_id, image in known if image is None])
        return tuple(image or self._exported[image_id] for image_id, image in known)

    # -- still in the engine

    def _known(self, one: FoundImage) -> SourceImage | None:
        """The image by what is remembered of it; None where that is not all. Raises LocalError."""
        table = self._surroundings.table
        data = table(self._key(one)) if table is not None else None
        if data is None:
            return None
        try:
            # nothing of an export lies in a file that would still be there
            contents = parse_contents(data, one.label, 0)
            tree = KnownTree(one.label, contents, self._surroundings.known)
            (image,) = tree.images(one.label)
            if contents.regions is not None or not self._is_of(one, image):
                return None
            image = tree.with_configs_alone(image, self._file(), export_name(one.label))
        except (ValueError, SourceError):
            # whatever is wrong with what is remembered, the engine knows better
            return None
        self._surroundings.note(
            f"`{one.label}` is known: its layers stay in the engine until one is sent"
        )
        return replace(one.called(image), export=partial(self._needed, one.image_id))

    def _key(self, one: FoundImage) -> str:
        platform = str(self._platform) if self._platform else ""
        identity = f"engine image {one.image_id}"
        return json.dumps([VERSION, identity, self._holder.engine.dialect, platform])

    def _is_of(self, one: FoundImage, image: SourceImage) -> bool:
        if self._platform is not None and self._holder.engine.chooses_platforms:
            # then it is a part of the image, which does not tell of which
            return True
        manifests = [item.content for item in image.documents if isinstance(item.content, Manifest)]
        digests = {manifest.config.digest for manifest in manifests}
        return one.image_id in digests | {item.descriptor.digest for item in image.documents}

    def _file(self) -> IO[bytes]:
        # one for all, for a repository may have more tags than a process has files
        if self._configs is None:
            what = "the configs of images"
            self._configs = temporary_file(self._holder.access.stack, what)
        return self._configs

    # -- exported

    def _needed(self, image_id: Digest) -> SourceImage:
        """The same image with its layers. Raises what opening it does."""
        if image_id not in self._exported:
            # one whose layers are missing may be alone; where there is a second, there are more
            rest = [one for one in self._found if one not in self._exported]
            self._export(rest if self._was_needed else [image_id])
            self._was_needed = True
        return self._exported[image_id]

    def _export(self, ids: Sequence[Digest]) -> None:
        if self._platform is not None and self._holder.engine.chooses_platforms:
            # an export of parts of images does not say which part is of which image
            batches = [[one] for one in ids]
        else:
            batches = [list(ids)] if ids else []
        for batch in batches:
            self._export_together([self._found[one] for one in batch])

    def _export_together(self, found: Sequence[FoundImage]) -> None:
        self._surroundings.at_length()
        what = found[0].label
        if len(found) > 1:
            what += f" and {len(found) - 1} more"
        ids = [one.image_id for one in found]
        diff_ids = [digest for one in found for digest in one.details.diff_ids]
        archive = self._holder.fetch(what, ids, diff_ids, self._platform)
        listing = list_archive(archive, "", self._holder.access.check)
        for one in found:
            own = listing.of(one.image_id)
            if not own.found and len(found) == 1:
                # what was asked for alone is this image, whatever it is called
                own = listing
            images = own.images(one.label, self._platform) if own.found else ()
            if len(images) != 1:
                why = f"the engine exported {len(images) or 'other'} images, and none is this one"
                raise invalid(one.label, why)
            contents = None
            if self._surroundings.table is not None:
                contents = self._key(one), describe(images, archive)
            self._exported[one.image_id] = replace(one.called(images[0]), contents=contents)
