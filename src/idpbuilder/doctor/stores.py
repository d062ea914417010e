"""Where credentials are kept on this machine, and which are for a registry. Never a secret."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from idpbuilder.credentials import Credentials, CredentialStores, Given, Surroundings
from idpbuilder.credentials.credential_helper import on_path
from idpbuilder.credentials.docker_config import DockerConfig, Form
from idpbuilder.credentials.places import Place, dockers, podmans
from idpbuilder.credentials.reading import read
from idpbuilder.credentials.registries_conf import FILES, listed
from idpbuilder.credentials.unusable import Unusable
from idpbuilder.doctor.finding import Facts, Finding, failure, ok, warning
from idpbuilder.errors import CredentialHelperFailed, PushError

_WHAT = "credentials"
_HELPER = "docker-credential-"
_REPAIR = "repair it, or sign in again with the tool that wrote it"


def stores(environ: Mapping[str, str], authfile: str | None = None) -> Iterator[Finding]:
    """The files and helpers that a push may ask, in its order."""
    alone = authfile or environ.get("REGISTRY_AUTH_FILE")
    inline = environ.get("DOCKER_AUTH_CONFIG")
    found: list[Finding] = []
    if alone:
        found += _file(Place(alone, alone), required=True)
    else:
        if inline:
            data = inline.encode("utf-8", "surrogateescape")
            found.append(_told("DOCKER_AUTH_CONFIG", lambda: data, environ, Form.AUTHS_ONLY))
        for place in filter(None, (dockers(environ), *podmans(environ))):
            found += _file(place, environ=environ)
        found += _listed(environ)
    yield from found
    if programs := helpers(environ):
        yield ok(_WHAT, f"helpers on PATH: {', '.join(programs)}", {"helpers": programs})
    if not found:
        yield ok(_WHAT, "no file that docker or podman keeps them in", {})


def helpers(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The credential helpers on PATH, by their names."""
    names: set[str] = set()
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        if os.path.isabs(folder) and os.path.isdir(folder) and os.access(folder, os.R_OK):
            names.update(name for name in os.listdir(folder) if name.startswith(_HELPER))
    return tuple(sorted(name for name in names if on_path(name, environ)))


def _file(
    place: Place, *, required: bool = False, environ: Mapping[str, str] | None = None
) -> Iterator[Finding]:
    if required or os.path.lexists(place.path):
        yield _told(place.shown, lambda: read(place.path), environ or {}, place.form)


def _told(
    shown: str, content: Callable[[], bytes | None], environ: Mapping[str, str], form: Form
) -> Finding:
    try:
        data = content()
        if data is None:
            raise Unusable("there is no such file")
        config = DockerConfig.parse(data, shown, form)
    except Unusable as why:
        return warning(_WHAT, f"`{shown}` is not used: {why}", _REPAIR, {"store": shown})
    entries = tuple(_hosts(config.auths))
    named = [config.creds_store] if config.creds_store else []
    named += [name for name in config.cred_helpers.values() if isinstance(name, str) and name]
    programs = tuple(dict.fromkeys(f"{_HELPER}{name}" for name in named))
    says = [f"entries for {', '.join(entries)}"] if entries else []
    if config.creds_store:
        says.append(f"{_HELPER}{config.creds_store} for all")
    says += [
        f"{_HELPER}{name} for {', '.join(_hosts({key: None}))}"
        for key, name in config.cred_helpers.items()
        if isinstance(name, str) and name
    ]
    detail = f"{shown}: {'; '.join(says) or 'nothing'}"
    facts: Facts = {"store": shown, "entries": entries, "helpers": programs}
    missing = [name for name in programs if not on_path(name, environ)]
    if missing:
        hint = f"install it, or take it out of `{shown}`"
        return warning(_WHAT, f"{detail}; not on PATH: {', '.join(missing)}", hint, facts)
    return ok(_WHAT, detail, facts)


def _hosts(keys: Mapping[str, object]) -> Iterator[str]:
    # what someone wrote before a host may be a password
    yield from (key.rpartition("@")[2].partition("?")[0] for key in keys)


def _listed(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The helpers that podman asks for every registry."""
    found = listed(environ, "/etc")
    for path, why in found.broken:
        yield warning(_WHAT, f"`{path}` is not used: {why}", _REPAIR, {"store": path})
    names = tuple(f"{_HELPER}{name}" for name in found.names if name != FILES)
    if names:
        facts: Facts = {"store": found.shown, "helpers": names}
        yield ok(_WHAT, f"{found.shown}: {', '.join(names)} for all", facts)


@dataclass(slots=True)
class Finder:
    """Finds who we are to one registry, once, whoever asks."""

    _find: Callable[[], Credentials | None]
    _asked: bool = False
    _found: Credentials | None = None
    _error: PushError | None = field(default=None, repr=False)

    def __call__(self) -> Credentials | None:
        """The credentials; None where there are none. Raises what looking for them raised."""
        if not self._asked:
            self._asked = True
            try:
                self._found = self._find()
            except PushError as error:
                self._error = error
        if self._error is not None:
            raise self._error
        return self._found


def finder(registry: str, repository: str, given: Given, surroundings: Surroundings) -> Finder:
    """Finds the credentials that a push to `repository` would use.

    Raises UsageError where what the user gave cannot be completed.
    """
    return Finder(CredentialStores(given, surroundings).lookup(registry, repository))


def chosen(registry: str, find: Finder) -> Finding:
    """Which credentials are for `registry`, and where they come from. May run helpers."""
    try:
        found = find()
    except CredentialHelperFailed as error:
        # nobody minds as long as the registry asks for none
        return warning(_WHAT, error.message, error.hint)
    except PushError as error:
        return failure(_WHAT, error)
    if found is None:
        return ok(_WHAT, f"none for {registry}", {"source": None})
    who = f"user `{found.username}`" if found.username else "a token"
    facts = {"source": found.source, "username": found.username}
    return ok(_WHAT, f"for {registry}: {who}, from {found.source}", facts)
