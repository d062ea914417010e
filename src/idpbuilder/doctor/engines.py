"""The container engines of this machine: where they are, whether they answer, and what they are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping

from idpbuilder.doctor.asking import answer_to
from idpbuilder.doctor.finding import Finding, failure, ok, warning
from idpbuilder.errors import ImageUnreadable
from idpbuilder.source.engines.api import EngineApi
from idpbuilder.source.engines.engine import EngineTrouble
from idpbuilder.source.engines.places import Place, distinct, places
from idpbuilder.wire import Engine, Request

_WHAT = "engine"
_SECONDS = 10.0
_START = "start it, or push a layout, an archive or standard input"
_NONE = "start Docker or podman, or push a layout, an archive or standard input"


def engines(
    environ: Mapping[str, str], engine: Engine, check: Callable[[], None]
) -> Iterator[Finding]:
    """Every engine that is there, in the order in which a push asks them.

    What is not there is told only where nothing is. `check` may raise, to stop it.
    """
    try:
        found = distinct(places(environ))
    except ImageUnreadable as error:
        yield failure(_WHAT, error)
        return
    there = [place for place in found if place.explicit or _is_there(place, environ)]
    if not there:
        looked = ", ".join(place.label for place in found)
        yield warning(_WHAT, f"there is none: looked at {looked}", _NONE)
    for place in there:
        check()
        yield _asked(place, environ, engine, check)


def _is_there(place: Place, environ: Mapping[str, str]) -> bool:
    if place.command:
        return shutil.which("podman", path=environ.get("PATH", "")) is not None
    return os.path.lexists(place.socket)


def _asked(
    place: Place, environ: Mapping[str, str], engine: Engine, check: Callable[[], None]
) -> Finding:
    try:
        if place.trouble:
            raise EngineTrouble(place.trouble, place.hint)
        told = _command(environ) if place.command else _api(place, engine, check)
    except EngineTrouble as trouble:
        if not place.explicit:
            return warning(_WHAT, f"{place.label}: {trouble.why}", trouble.hint or _START)
        what = f"the container engine of {place.label} cannot be used"
        hint = trouble.hint or "start it, or name another one or none at all"
        return failure(_WHAT, ImageUnreadable(what, trouble.why, hint))
    facts = {"place": place.label, "kind": place.kind.value, "version": told}
    return ok(_WHAT, f"{place.label}: {told}", facts)


def _api(place: Place, engine: Engine, check: Callable[[], None]) -> str:
    """What the engine at a socket or a URL calls itself. Raises EngineTrouble."""
    dialect = EngineApi(place, engine, check).connect().dialect
    base = place.url or "http://localhost"
    socket = place.socket or None
    request = Request("GET", f"{base}/version", trust=place.trust, unix_socket=socket)
    answer = answer_to(request, engine, _SECONDS, check)
    name = _own_name(answer.body) if answer is not None and answer.status == 200 else ""
    return f"{name or 'an engine that does not say its version'}, {dialect}"


def _own_name(answer: bytes) -> str:
    """Name and version in an answer to `/version`; "" where it has none."""
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(value, dict) or not isinstance(value.get("Version"), str):
        return ""
    parts = value.get("Components")
    first = parts[0] if isinstance(parts, list) and parts else None
    name = first.get("Name") if isinstance(first, dict) else None
    # Docker calls itself `Engine`
    name = name if isinstance(name, str) and name != "Engine" else "Docker Engine"
    return f"{name} {value['Version']}"


def _command(environ: Mapping[str, str]) -> str:
    """What the command `podman` calls itself. Raises EngineTrouble."""
    path = shutil.which("podman", path=environ.get("PATH", ""))
    assert path is not None
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(environ),
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EngineTrouble(f"it did not answer within {_SECONDS:g} s") from error
    except OSError as error:
        raise EngineTrouble(f"it cannot be run: {error.strerror}") from error
    said = " ".join(done.stdout.decode(errors="replace").split())
    if done.returncode or not said:
        raise EngineTrouble(f"`podman --version` ended with exit code {done.returncode}")
    return said
