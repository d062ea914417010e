"""Images in container engines: what is known of them, and how they become sources."""

from __future__ import annotations

import errno
import json
import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import IO

from idpbuilder.errors import ImageUnreadable, PlatformNotFound
from idpbuilder.image import Descriptor, Digest, InvalidValue, Manifest, Platform, Reference
from idpbuilder.image.layer import RAW_DOCKER_LAYER
from idpbuilder.image.manifest import DOCKER_MANIFEST, parse_document, parse_object
from idpbuilder.source.arriving import Arriving
from idpbuilder.source.docker_archive import CONFIG_TYPE
from idpbuilder.source.engines.engine import (
    Check,
    ContainerEngine,
    Details,
    EngineTrouble,
    sentence,
)
from idpbuilder.source.engines.places import Place
from idpbuilder.source.files import invalid
from idpbuilder.source.model import Document, SourceImage
from idpbuilder.source.surroundings import Surroundings
from idpbuilder.source.temporary import no_room, put, temporary_file, write_all

_LIMIT = 1024**4
"""Bytes of the largest export that is taken, as of the largest archive that is spooled."""
_AT_ONCE = 512 * 1024
_PIECES = 512
_TAR_BLOCK = 512
_TAIL = 64 * 1024
_LOOK = "look into the engine's log, and try again"
_ERROR_MARK = b'{"errorDetail"'


@dataclass(frozen=True, slots=True)
class Access:
    """What it takes to look into engines. `stack` closes the files of exported images."""

    surroundings: Surroundings
    check: Check
    stack: ExitStack


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image in an engine. `names`, each with a tag, are what it will be pushed under.

    `label` is what the user knows it by, `reason` why it was chosen, "" where it was named.
    """

    label: str
    names: tuple[Reference, ...]
    details: Details
    place: Place
    holder: ContainerEngine
    access: Access
    reason: str = ""

    @property
    def image_id(self) -> Digest:
        """What the engine calls it: its config's digest, or its manifest's."""
        return self.details.id

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """Its raw layers, base first."""
        return self.details.diff_ids

    def source(self, platform: Platform | None) -> SourceImage:
        """The image as a source: still in its engine where its config is remembered, else exported.

        Raises ImageUnreadable where the engine fails, ImageInvalid where what it exports is no
        image, PlatformNotFound, and LocalError where there is no room for the export.
        """
        self._check_platform(platform)
        config = self.access.surroundings.known(self.image_id)
        deferred = self._deferred(config, platform) if config is not None else None
        return deferred or self._exported(platform)

    def _check_platform(self, platform: Platform | None) -> None:
        there = self.details.platform
        if platform is None or there is None or self.holder.chooses_platforms:
            return
        if not platform.offered_by(there):
            raise PlatformNotFound(
                f"`{self.label}` has no image for `{platform}`", hint=f"there is `{there}`"
            )

    # -- still in the engine

    def _deferred(self, config: bytes, platform: Platform | None) -> SourceImage | None:
        """The image by its config alone; None where `config` is not what it should be."""
        try:
            value = parse_object(config)
        except InvalidValue:
            return None
        rootfs, there = value.get("rootfs"), Platform.of(value)
        diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        # an engine that calls images by their manifests has something else under this digest
        if diff_ids != [str(one) for one in self.diff_ids]:
            return None
        if platform is not None and not platform.offered_by(there):
            return None
        document = _manifest(self.image_id, len(config), self.diff_ids, there)
        self.access.surroundings.note(
            f"`{self.label}` is known: its layers stay in the engine until one is sent"
        )
        return SourceImage(
            self.label,
            self.names,
            "",
            (document,),
            {self.image_id: put(self._temporary(), self.label, config, self._export_name)},
            (there,) if there else (),
            repack=True,
            export=lambda: self._exported(platform),
        )

    # -- exported

    def _exported(self, platform: Platform | None) -> SourceImage:
        from idpbuilder.source.images import open_spooled

        self.access.surroundings.note(f"exporting `{self.label}` from {self.place.label}")
        file = self._temporary()
        arrived = self.access.surroundings.early(self.diff_ids)
        sink = _Sink(file, Arriving(file.fileno(), self.label, arrived) if arrived else None)
        try:
            self.holder.export(self.image_id, platform, sink)
            sink.flush()
        except EngineTrouble as trouble:
            raise self._failed(trouble, platform) from trouble
        except OSError as error:
            raise no_room(self._export_name, error) from error
        self._check_end(file, sink.size)
        self.access.surroundings.note(f"the export has {sink.size} bytes")
        images = open_spooled(file, self.label, "", platform, self.access.check)
        return replace(self._own(images), label=self.label, names=self.names, tag="")

    def _own(self, images: tuple[SourceImage, ...]) -> SourceImage:
        found = [image for image in images if self.image_id in _digests(image)]
        if not found and len(images) > 1:
            raise invalid(self.label, "the engine exported several images, and none is this one")
        return found[0] if found else images[0]

    def _failed(self, trouble: EngineTrouble, platform: Platform | None) -> Exception:
        if platform is not None and "platform" in trouble.why.lower():
            return PlatformNotFound(f"`{self.label}` has no image for `{platform}`", trouble.why)
        what = f"cannot export `{self.label}` from {self.place.label}"
        return ImageUnreadable(what, trouble.why, trouble.hint or _LOOK)

    def _check_end(self, file: IO[bytes], size: int) -> None:
        """Raise ImageUnreadable where the archive has no end.

        An engine that fails in the middle has no other way to tell than to write its error there.
        """
        start = max(size - _TAIL, 0)
        tail = os.pread(file.fileno(), _TAIL, start)
        if size >= _TAR_BLOCK and not tail[-_TAR_BLOCK:].strip(b"\0"):
            return
        message = _error_in(tail)
        raise ImageUnreadable(
            f"cannot export `{self.label}` from {self.place.label}",
            f"the engine ended the export early{f': {message}' if message else ''}",
            _LOOK,
        )

    def _temporary(self) -> IO[bytes]:
        return temporary_file(self.access.stack, self._export_name)

    @property
    def _export_name(self) -> str:
        return f"the export of `{self.label}`"


class _Sink:
    """Where an export goes: a file, within a bound."""

    def __init__(self, file: IO[bytes], arriving: Arriving | None) -> None:
        self._file = file
        self._arriving = arriving
        self._held: list[bytes] = []
        self._holding = 0
        self.size = 0

    def write(self, data: bytes) -> None:
        # it comes in crumbs of a few kilobytes
        self._held.append(data)
        self._holding += len(data)
        if self._holding >= _AT_ONCE or len(self._held) >= _PIECES:
            self.flush()

    def flush(self) -> None:
        """Put away what was held back. Raises OSError."""
        held, self._held, holding = self._held, [], self._holding
        self._holding = 0
        self.size += holding
        if self.size > _LIMIT:
            raise OSError(errno.EFBIG, f"the export has more than {_LIMIT} bytes")
        written = os.writev(self._file.fileno(), held) if held else 0
        if written < holding:
            write_all(self._file, b"".join(held)[written:])
        if self._arriving is not None:
            self._arriving.grown(self.size)


def _error_in(tail: bytes) -> str:
    at = tail.rfind(_ERROR_MARK)
    if at < 0:
        return ""
    try:
        value = json.loads(tail[at:].decode(errors="replace").strip())
    except (ValueError, RecursionError):
        return ""
    text = value.get("error") if isinstance(value, dict) else None
    return sentence(text) if isinstance(text, str) else ""


def _digests(image: SourceImage) -> set[Digest]:
    manifests = [item.content for item in image.documents if isinstance(item.content, Manifest)]
    configs = {manifest.config.digest for manifest in manifests}
    return configs | {item.descriptor.digest for item in image.documents}


def _manifest(
    config: Digest, size: int, layers: tuple[Digest, ...], platform: Platform | None
) -> Document:
    """The manifest as it is made of an export, but for the sizes of layers, which are 0."""
    value = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": CONFIG_TYPE, "digest": str(config), "size": size},
        "layers": [
            {"mediaType": RAW_DOCKER_LAYER, "digest": str(one), "size": 0} for one in layers
        ],
    }
    data = json.dumps(value, separators=(",", ":")).encode()
    descriptor = Descriptor(DOCKER_MANIFEST, Digest.of(data), len(data), platform)
    return Document(descriptor, data, parse_document(data, DOCKER_MANIFEST))
