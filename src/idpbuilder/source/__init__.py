"""Where images come from: layouts, archives, standard input, container engines.

Every source yields `SourceImage`s: documents that were read and verified, and for each blob the
region of a local file where it lies. A new kind of source is one more file here, and one more
case in `_Opening.images`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from idpbuilder.errors import ImageNotFound
from idpbuilder.image import Platform
from idpbuilder.source.called import in_repository
from idpbuilder.source.model import Document, SourceImage
from idpbuilder.source.surroundings import Surroundings, nobody_else

if TYPE_CHECKING:
    from idpbuilder.source.engines import Access

__all__ = ["Document", "SourceImage", "Surroundings", "open_source"]

_PATH_STARTS = ("/", "./", "../")
_FORMS = (
    "name an OCI layout directory, an OCI archive or one of `docker save` by its path, or as "
    "`oci:PATH[:REF]`, `oci-archive:PATH[:REF]` or `docker-archive:PATH[:REF]`, or pipe an archive "
    "into `-`"
)
_ENGINES = {
    "docker-daemon": "docker-daemon",
    "podman": "podman",
    "containers-storage": "podman",
}


@contextmanager
def open_source(
    text: str | None,
    platform: Platform | None,
    check: Callable[[], None],
    *,
    all_tags: bool = False,
    surroundings: Surroundings | None = None,
) -> Iterator[tuple[SourceImage, ...]]:
    """The images that the IMAGE argument `text` names; their regions last as long as the context.

    Without a text it is the one that was built last, as the engines in the `surroundings` know it.
    With `platform` each is the one manifest that serves it; with `all_tags` every tag of the
    repository that `text` names is meant. `check` is called between the steps of long work and may
    raise. Raises ImageNotFound, ImageUnreadable, ImageInvalid, PlatformNotFound, UsageError, and
    LocalError where there is no room to spool an archive.
    """
    with ExitStack() as stack:
        opening = _Opening(text or "", platform, check, all_tags, surroundings, stack)
        yield opening.images() if text is not None else opening.latest()


@dataclass(frozen=True, slots=True)
class _Opening:
    text: str
    platform: Platform | None
    check: Callable[[], None]
    all_tags: bool
    surroundings: Surroundings | None
    stack: ExitStack

    def images(self) -> tuple[SourceImage, ...]:
        """The images of whatever `text` is."""
        if self.text == "-":
            return self._standard_input()
        transport, _, rest = self.text.partition(":")
        if transport == "oci":
            return self._layout(*_split_ref(rest))
        if transport in ("oci-archive", "docker-archive"):
            return self._archive(*_split_ref(rest), form=transport)
        if transport in _ENGINES:
            return self._by_name(rest, _ENGINES[transport])
        by_form = self.text.startswith(_PATH_STARTS)
        if os.path.isdir(self.text):
            from idpbuilder.source.layout import holds_layout

            if by_form or holds_layout(self.text):
                return self._layout(self.text)
        elif by_form or os.path.isfile(self.text):
            return self._archive(self.text)
        return self._by_name(self.text, "")

    def latest(self) -> tuple[SourceImage, ...]:
        """The image that was built last."""
        from idpbuilder.source.engines import detect

        access = self._access()
        found = detect(access)
        access.surroundings.chosen(f"Found `{found.label}`, {found.reason}")
        return (found.source(self.platform),)

    def _by_name(self, name: str, transport: str) -> tuple[SourceImage, ...]:
        """What is no path is the name of an image in an engine."""
        from idpbuilder.source.engines import EngineQuery, find_in_engines, sources

        found = find_in_engines(EngineQuery(name, transport, self.all_tags), self._access())
        return sources(found, self.platform)

    def _access(self) -> Access:
        from idpbuilder.source.engines import Access

        if self.surroundings is None:
            raise ImageNotFound(f"no such image `{self.text}`", hint=_FORMS)
        return Access(self.surroundings, self.check, self.stack)

    def _layout(self, path: str, ref: str = "") -> tuple[SourceImage, ...]:
        from idpbuilder.source.images import read_layout
        from idpbuilder.source.layout import open_layout

        one = "" if self.all_tags else ref
        self._note(f"`{path}` is an OCI layout")
        return self._of(read_layout(open_layout(path), self.text, one, self.platform), ref)

    def _archive(self, path: str, ref: str = "", form: str = "") -> tuple[SourceImage, ...]:
        from idpbuilder.source.remembered import ArchiveSource, Asked

        asked = Asked(path, self.text, ref, form, self.platform, self.all_tags)
        narrow = partial(self._of, ref=ref)
        source = ArchiveSource(asked, narrow, self.surroundings, self.check, self.stack)
        return source.images()

    def _note(self, text: str) -> None:
        if self.surroundings is not None:
            self.surroundings.note(text)

    def _of(self, images: tuple[SourceImage, ...], ref: str) -> tuple[SourceImage, ...]:
        """With `all_tags` those of `images` that are in the repository `ref`, else all."""
        return in_repository(images, ref, self.text) if self.all_tags and ref else images

    def _standard_input(self) -> tuple[SourceImage, ...]:
        from idpbuilder.source.images import read_archive_images
        from idpbuilder.source.standard_input import open_standard_input

        if self.surroundings:
            self.surroundings.at_length()
        arrived = self.surroundings.early(()) if self.surroundings else None
        idle = self.surroundings.idle if self.surroundings else nobody_else
        archive = self.stack.enter_context(open_standard_input(self.check, arrived, idle))
        return read_archive_images(archive, self.text, "", self.platform, self.check)


def _split_ref(text: str) -> tuple[str, str]:
    # both halves may hold colons, so what exists decides
    cuts = [place for place, letter in enumerate(text) if letter == ":"]
    for cut in (len(text), *reversed(cuts)):
        if os.path.exists(text[:cut]):
            return text[:cut], text[cut + 1 :]
    path, _, ref = text.partition(":")
    return path, ref
