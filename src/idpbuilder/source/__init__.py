"""Where images come from: layouts and archives of them.

Every source yields `SourceImage`s: documents that were read and verified, and for each blob the
region of a local file where it lies. A new kind of source is one more file here, and one more
case in `_files`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from idpbuilder.errors import ImageNotFound
from idpbuilder.image import Platform
from idpbuilder.source.model import Document, SourceImage

if TYPE_CHECKING:
    from idpbuilder.source.files import Files

__all__ = ["Document", "SourceImage", "open_source"]

_PATH_STARTS = ("/", "./", "../")


@contextmanager
def open_source(
    text: str, platform: Platform | None, check: Callable[[], None]
) -> Iterator[tuple[SourceImage, ...]]:
    """The images that the IMAGE argument `text` names; their regions last as long as the context.

    With `platform` each is the one manifest that serves it. `check` is called between the steps
    of long work and may raise. Raises ImageNotFound, ImageUnreadable, ImageInvalid,
    PlatformNotFound, and LocalError where there is no room to decompress an archive.
    """
    from idpbuilder.source.images import read_images

    with ExitStack() as stack:
        files, ref = _files(text, check, stack)
        yield read_images(files, text, ref, platform)


def _files(text: str, check: Callable[[], None], stack: ExitStack) -> tuple[Files, str]:
    transport, _, rest = text.partition(":")
    if transport == "oci":
        from idpbuilder.source.layout import open_layout

        path, ref = _split_ref(rest)
        return open_layout(path), ref
    if transport == "oci-archive":
        from idpbuilder.source.archive import open_archive

        path, ref = _split_ref(rest)
        return stack.enter_context(open_archive(path, check)), ref
    return _at_path(text, check, stack), ""


def _at_path(text: str, check: Callable[[], None], stack: ExitStack) -> Files:
    by_form = text.startswith(_PATH_STARTS)
    if os.path.isdir(text):
        from idpbuilder.source.layout import holds_layout, open_layout

        if by_form or holds_layout(text):
            return open_layout(text)
    elif by_form or os.path.isfile(text):
        from idpbuilder.source.archive import open_archive

        return stack.enter_context(open_archive(text, check))
    raise ImageNotFound(
        f"no such image `{text}`",
        hint="name an OCI layout directory or an OCI archive by its path, "
        "or as `oci:PATH[:REF]` or `oci-archive:PATH[:REF]`",
    )


def _split_ref(text: str) -> tuple[str, str]:
    # both halves may hold colons, so what exists decides
    cuts = [place for place, letter in enumerate(text) if letter == ":"]
    for cut in (len(text), *reversed(cuts)):
        if os.path.exists(text[:cut]):
            return text[:cut], text[cut + 1 :]
    path, _, ref = text.partition(":")
    return path, ref
