"""Lists of images: what is to be pushed where, a line each."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator
from typing import Any, Final

from idpbuilder.errors import BadValue, UsageError
from idpbuilder.image import InvalidValue, Platform, Reference
from idpbuilder.push.asked import PLATFORM_HINT, TO_HINT, destination
from idpbuilder.push.options import Order

LIMIT: Final = 16 * 1024 * 1024
"""Bytes of the longest list that is read."""

_HINT: Final = (
    'write a line as `IMAGE [DESTINATION…] [platform=OS/ARCH]`, or as `{"image": …, "to": […]}`'
)
_PLATFORM: Final = "platform="
_TRANSPORTS: Final = ("oci:", "oci-archive:", "docker-archive:")
_KEYS: Final = frozenset({"image", "to", "platform"})


def read_list(
    path: str, stdin: Callable[[], bytes], platform: Platform | None
) -> tuple[Order, ...]:
    """What the list at `path` asks for, `-` for `stdin`; `platform` is for lines without one.

    Relative paths in it are relative to its folder. Raises UsageError, which names the line.
    """
    text = _decoded(path, stdin() if path == "-" else _content(path))
    folder = "" if path == "-" else os.path.dirname(path)
    name = "the list" if path == "-" else f"`{path}`"
    orders = tuple(_orders(text, folder, name, platform))
    if not orders:
        raise UsageError(f"{name} names no image", hint=_HINT)
    return orders


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(LIMIT + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            f"the list `{path}` cannot be read", reason, "name a file, or `-` for standard input"
        ) from error


def _decoded(path: str, data: bytes) -> str:
    if len(data) > LIMIT:
        raise UsageError(f"the list `{path}` is too long", f"it has more than {LIMIT} bytes")
    # paths need not be UTF-8
    return os.fsdecode(data.removeprefix(b"\xef\xbb\xbf"))


def _orders(text: str, folder: str, name: str, platform: Platform | None) -> Iterator[Order]:
    for number, line in enumerate(text.split("\n"), 1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        place = f"line {number} of {name}"
        try:
            image, to, chosen = _object(words) if words.startswith("{") else _words(words)
            references = tuple(_destinations(to))
            wanted = Platform.parse(chosen) if chosen else platform
            beside = _beside(image, folder)
        except (BadValue, InvalidValue) as error:
            hint = getattr(error, "hint", "") or _HINT
            raise UsageError(f"{place} cannot be used", str(error), hint) from error
        yield Order(beside, references, wanted, place)


def _words(line: str) -> tuple[str, list[str], str]:
    try:
        image, *others = shlex.split(line, comments=True)
    except ValueError as error:
        raise BadValue(f"its quotes do not match: {error}", _HINT) from error
    platforms = [word.removeprefix(_PLATFORM) for word in others if word.startswith(_PLATFORM)]
    if len(platforms) > 1 or "" in platforms:
        raise BadValue("it needs one platform", PLATFORM_HINT)
    to = [word for word in others if not word.startswith(_PLATFORM)]
    return image, to, platforms[0] if platforms else ""


def _object(line: str) -> tuple[str, list[str], str]:
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadValue("it begins as JSON and is none", _HINT) from error
    strange = sorted(found.keys() - _KEYS)
    if strange:
        raise BadValue(f"it has the unknown key `{strange[0]}`", _HINT)
    image, to, platform = found.get("image"), found.get("to", []), found.get("platform", "")
    to = [to] if isinstance(to, str) else to
    texts = isinstance(image, str) and isinstance(platform, str) and isinstance(to, list)
    if not texts or not all(isinstance(one, str) for one in to):
        raise BadValue("`image` and `platform` are texts, `to` is a list of texts", _HINT)
    return image, to, platform


def _destinations(texts: list[str]) -> Iterator[Reference]:
    for text in texts:
        try:
            yield destination(text)
        except BadValue as error:
            raise BadValue(f"a destination in it: {error}", error.hint or TO_HINT) from error


def _beside(image: str, folder: str) -> str:
    """`image`, with a relative path in it counted from `folder`."""
    if not image:
        raise BadValue("its image is empty", _HINT)
    transport = next((one for one in _TRANSPORTS if image.startswith(one)), "")
    path = image.removeprefix(transport)
    there = os.path.join(folder, path)
    is_path = bool(transport) or path.startswith(("./", "../"))
    if not folder or os.path.isabs(path) or not (is_path or os.path.exists(there)):
        return image
    # what stands beside the list is a path whatever it looks like
    return transport + there if transport or os.path.isabs(there) else os.path.join(".", there)
