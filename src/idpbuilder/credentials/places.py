"""The files in which docker and podman keep what they were told at `login`."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_CONTAINERS = ("containers", "auth.json")


@dataclass(frozen=True, slots=True)
class Place:
    """The file at `path`, which the user knows as `shown`."""

    path: str
    shown: str


def places(environ: Mapping[str, str]) -> Iterator[Place]:
    """Docker's file, then podman's in podman's own order."""
    home = _home(environ)
    if folder := environ.get("DOCKER_CONFIG"):
        yield _at(folder, "config.json")
    elif home:
        yield _below(home, ".docker", "config.json")
    # podman on macOS has no folder that a reboot clears
    if sys.platform != "darwin":
        yield from _until_reboot(environ)
    if folder := environ.get("XDG_CONFIG_HOME"):
        yield _at(folder, *_CONTAINERS)
    elif home:
        yield _below(home, ".config", *_CONTAINERS)


def _until_reboot(environ: Mapping[str, str]) -> Iterator[Place]:
    if folder := environ.get("XDG_RUNTIME_DIR"):
        yield _at(folder, *_CONTAINERS)
        return
    folder = f"/run/containers/{os.getuid()}"
    # another's folder is no trouble that anyone needs to hear of
    if os.access(folder, os.X_OK):
        yield _at(folder, "auth.json")


def _home(environ: Mapping[str, str]) -> str:
    """As docker and podman: where HOME is unset, what the system says."""
    if home := environ.get("HOME"):
        return home
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""


def _at(*parts: str) -> Place:
    path = os.path.join(*parts)
    return Place(path, path)


def _below(home: str, *parts: str) -> Place:
    return Place(os.path.join(home, *parts), os.path.join("~", *parts))
