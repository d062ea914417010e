"""Exports: what an engine writes of its images, brought whole into a file."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO

from idpbuilder.errors import ImageUnreadable, PlatformNotFound
from idpbuilder.image import Digest, Platform
from idpbuilder.source.archive import Archive, read_archive
from idpbuilder.source.arriving import Arriving
from idpbuilder.source.engines.engine import Check, ContainerEngine, EngineTrouble, sentence
from idpbuilder.source.engines.places import Place
from idpbuilder.source.surroundings import Surroundings
from idpbuilder.source.temporary import no_room, temporary_file, write_all

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
class Holder:
    """The engine that has the images, and where it was found."""

    place: Place
    engine: ContainerEngine
    access: Access

    def fetch(
        self,
        what: str,
        ids: Sequence[Digest],
        diff_ids: Sequence[Digest],
        platform: Platform | None,
    ) -> Archive:
        """The images with these IDs in one archive, whose file lasts as long as the access.

        `what` is what the user knows them by, `diff_ids` are their raw layers. Raises
        ImageUnreadable where the engine fails, ImageInvalid where what it exports is no archive,
        PlatformNotFound, and LocalError where there is no room.
        """
        surroundings = self.access.surroundings
        surroundings.note(f"exporting `{what}` from {self.place.label}")
        file = temporary_file(self.access.stack, export_name(what))
        arrived = surroundings.early(tuple(dict.fromkeys(diff_ids)))
        sink = _Sink(file, Arriving(file.fileno(), what, arrived) if arrived else None)
        try:
            self.engine.export(ids, platform, sink)
            sink.flush()
        except EngineTrouble as trouble:
            raise self._failed(what, trouble, platform) from trouble
        except OSError as error:
            raise no_room(export_name(what), error) from error
        self._check_end(what, file, sink.size)
        surroundings.note(f"the export has {sink.size} bytes")
        return read_archive(file, what, file.fileno(), self.access.check)

    def _failed(self, what: str, trouble: EngineTrouble, platform: Platform | None) -> Exception:
        if platform is not None and "platform" in trouble.why.lower():
            return PlatformNotFound(f"`{what}` has no image for `{platform}`", trouble.why)
        return self._cannot(what, trouble.why, trouble.hint or _LOOK)

    def _check_end(self, what: str, file: IO[bytes], size: int) -> None:
        """Raise ImageUnreadable where the archive has no end.

        An engine that fails in the middle has no other way to tell than to write its error there.
        """
        start = max(size - _TAIL, 0)
        tail = os.pread(file.fileno(), _TAIL, start)
        if size >= _TAR_BLOCK and not tail[-_TAR_BLOCK:].strip(b"\0"):
            return
        message = _error_in(tail)
        why = f"the engine ended the export early{f': {message}' if message else ''}"
        raise self._cannot(what, why, _LOOK)

    def _cannot(self, what: str, why: str, hint: str) -> ImageUnreadable:
        return ImageUnreadable(f"cannot export `{what}` from {self.place.label}", why, hint)


def export_name(what: str) -> str:
    """What messages call the export of the image that the user knows as `what`."""
    return f"the export of `{what}`"


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
