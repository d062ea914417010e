"""The credential helpers that podman asks for every registry: `credential-helpers` of its
registries.conf (containers-registries.conf(5)).
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from idpbuilder.credentials.credential_helper import is_helper_name
from idpbuilder.credentials.reading import content_of
from idpbuilder.credentials.unusable import Unusable

FILES = "containers-auth.json"
"""The name in the list that means podman's files."""
_KEY = "credential-helpers"


@dataclass(frozen=True, slots=True)
class Listed:
    """The names in their order, and the file that lists them; `broken` files say nothing."""

    names: tuple[str, ...] = (FILES,)
    shown: str = ""
    broken: tuple[tuple[str, Unusable], ...] = ()


def listed(environ: Mapping[str, str], system: str) -> Listed:
    """What the last of podman's files that has a list says; without one, FILES alone.

    `system` stands for `/etc`.
    """
    names: tuple[str, ...] = ()
    shown = ""
    broken: list[tuple[str, Unusable]] = []
    for path in _paths(environ, system):
        try:
            found = _names(path)
        except Unusable as why:
            broken.append((path, why))
            continue
        if found is not None:
            names, shown = found, path
    return Listed(names or (FILES,), shown, tuple(broken))


def _paths(environ: Mapping[str, str], system: str) -> Iterator[str]:
    """The main file, then those beside it, as podman reads them."""
    home = environ.get("HOME")
    settings = (environ.get("XDG_CONFIG_HOME"), os.path.join(home, ".config") if home else None)
    # a relative one would be what lies in the working directory, which may be anyone's
    own = [os.path.join(place, "containers") for place in settings if place and place[0] == "/"]
    places = [*own, os.path.join(system, "containers")]
    main = environ.get("CONTAINERS_REGISTRIES_CONF")
    if not main:
        mains = [os.path.join(place, "registries.conf") for place in places]
        main = next(filter(os.path.exists, mains), None)
        if main in mains[: len(own)]:
            # a user's own takes the place of all that the system says
            places = own
    if main:
        yield main
    for place in reversed(places):
        folder = os.path.join(place, "registries.conf.d")
        with suppress(OSError):
            yield from (os.path.join(folder, name) for name in _drop_ins(folder))


def _drop_ins(folder: str) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.endswith(".conf"))


def _names(path: str) -> tuple[str, ...] | None:
    """The list in a file; None where there is none. Raises Unusable."""
    found = content_of(path, stat.S_IWOTH)
    # most machines have these files, and few say this: the parser is spared
    if found is None or _KEY.encode() not in found[0]:
        return None
    names = _toml(found[0]).get(_KEY)
    if names is None:
        return None
    if not isinstance(names, list):
        raise Unusable(f"its `{_KEY}` is no list")
    if not all(isinstance(name, str) and is_helper_name(name) for name in names):
        raise Unusable(f"its `{_KEY}` names what is no helper")
    return tuple(names)


def _toml(data: bytes) -> dict[str, object]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        document: dict[str, object] = tomllib.loads(data.decode())
    except (ValueError, RecursionError):
        # the parser's error quotes what it stumbled over
        raise Unusable("it is not TOML") from None
    return document
