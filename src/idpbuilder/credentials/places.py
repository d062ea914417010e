"""The files in which docker and podman keep what they were told at `login`."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from idpbuilder.credentials.docker_config import Form

_CONTAINERS = ("containers", "auth.json")


@dataclass(frozen=True, slots=True)
class Place:
    """The file at `path`, which the user knows as `shown`."""

    path: str
    shown: str
    form: Form = Form.PODMAN


def dockers(environ: Mapping[str, str]) -> Place | None:
    """Docker's own file; None for a user without a home."""
    if folder := environ.get("DOCKER_CONFIG"):
        return _at(folder, "config.json", form=Form.DOCKER)
    home = _home(environ)
    return _below(home, ".docker", "config.json", form=Form.DOCKER) if home else None


def podmans(environ: Mapping[str, str]) -> Iterator[Place]:
    """Podman's files in podman's own order, and what docker wrote of old, which podman reads."""
    home = _home(environ)
    # podman on macOS has no folder that a reboot clears
    if sys.platform != "darwin":
        yield from _until_reboot(environ)
    if folder := environ.get("XDG_CONFIG_HOME"):
        yield _at(folder, *_CONTAINERS)
    elif home:
        yield _below(home, ".config", *_CONTAINERS)
    if home:
        yield _below(home, ".dockercfg", form=Form.OLD)


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


def _at(*parts: str, form: Form = Form.PODMAN) -> Place:
    path = os.path.join(*parts)
    return Place(path, path, form)


def _below(home: str, *parts: str, form: Form = Form.PODMAN) -> Place:
    return Place(os.path.join(home, *parts), os.path.join("~", *parts), form)
