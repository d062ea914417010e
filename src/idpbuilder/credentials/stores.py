"""All the stores of this machine, in the order in which they are asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

from idpbuilder.credentials.credential_helper import Helper, on_path
from idpbuilder.credentials.docker_config import Candidate, DockerConfig, Form
from idpbuilder.credentials.keys import servers
from idpbuilder.credentials.lookup import GIVEN, Lookup
from idpbuilder.credentials.places import Place, dockers, podmans
from idpbuilder.credentials.reading import read
from idpbuilder.credentials.registries_conf import FILES, Listed, listed
from idpbuilder.credentials.surroundings import Surroundings
from idpbuilder.credentials.unusable import Unusable
from idpbuilder.errors import UsageError
from idpbuilder.registry.credentials import Credentials

_FILE_VARIABLE = "REGISTRY_AUTH_FILE"
_INLINE_VARIABLE = "DOCKER_AUTH_CONFIG"
_DEFAULT_STORE = "docker's default store"

_Ask = Callable[[str, str], tuple[Candidate, ...]]
"""What a store has for a repository in a registry; raises Unusable."""


@dataclass(frozen=True, slots=True)
class Given:
    """What flags and variables say, field by field; None and "" are nothing."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    authfile: str | None = None


class CredentialStores:
    """Knows who we are to every registry. Each file is read once, each warning given once."""

    def __init__(self, given: Given, surroundings: Surroundings) -> None:
        self._given = given
        self._environ = surroundings.environ
        self._warn = surroundings.warn
        self._surroundings = replace(surroundings, warn=self._warn_once)
        self._warned: set[str] = set()
        self._files: dict[str, DockerConfig | Unusable] = {}
        self._listed: Listed | None = None

    def lookup(self, registry: str, repository: str) -> Lookup:
        """How to get the credentials for `repository` in `registry` (`host[:port]`).

        A user name and a password that were both given win; one alone is completed from the stores,
        a user name only by that same user's secret. Raises UsageError where that is known to be
        impossible before a helper was asked, and where the file that `--authfile` names is missing.
        """
        given = self._given
        self._check_authfile()
        if given.username and given.password:
            whole = Credentials(GIVEN, given.username, given.password)
            return Lookup(registry, (whole,), surroundings=self._surroundings)
        candidates, warnings = self._candidates(registry, repository)
        found = Lookup(
            registry,
            candidates,
            given.username or "",
            given.password or "",
            warnings,
            self._surroundings,
        )
        if found.is_at_hand and (given.username or given.password):
            found()
        return found

    def _candidates(
        self, registry: str, repository: str
    ) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
        candidates: list[Candidate] = []
        warnings: list[str] = []
        for shown, ask in self._stores():
            try:
                found = ask(registry, repository)
            except Unusable as why:
                warnings.append(f"`{shown}` is not used for credentials: {why}")
                continue
            # a helper that has nothing, or fails, is not asked again for another's sake
            asked = {one.name for one in candidates if isinstance(one, Helper)}
            candidates += (
                one for one in found if not (isinstance(one, Helper) and one.name in asked)
            )
            # nothing comes after what is certain
            if candidates and isinstance(candidates[-1], Credentials):
                break
        return tuple(candidates), tuple(warnings)

    def _stores(self) -> Iterator[tuple[str, _Ask]]:
        if path := self._given.authfile or self._environ.get(_FILE_VARIABLE):
            yield path, self._file(Place(path, path), required=True)
            return
        if inline := self._environ.get(_INLINE_VARIABLE):
            yield _INLINE_VARIABLE, _inline(inline)
        if place := dockers(self._environ):
            yield place.shown, self._file(place)
        yield from self._podmans()
        # half of what is needed was given: the rest is not sought where nobody said it is
        if not (self._given.username or self._given.password):
            yield _DEFAULT_STORE, self._default

    def _podmans(self) -> Iterator[tuple[str, _Ask]]:
        """Podman's files, and the helpers that are to be asked before and after them."""
        if self._listed is None:
            self._listed = listed(self._environ, self._surroundings.system)
        for path, why in self._listed.broken:
            yield path, _raising(why)
        shown = self._listed.shown
        for name in self._listed.names:
            if name == FILES:
                for place in podmans(self._environ):
                    yield place.shown, self._file(place)
            else:
                yield shown, _helper(name, shown)

    def _file(self, place: Place, *, required: bool = False) -> _Ask:
        return lambda registry, repository: self._opened(place, required).candidates(
            registry, repository
        )

    def _opened(self, place: Place, required: bool = False) -> DockerConfig:
        """The file, read once: a pipe can be read but once. Raises Unusable."""
        if place.path not in self._files:
            try:
                self._files[place.path] = _read(place, required)
            except Unusable as why:
                self._files[place.path] = why
        found = self._files[place.path]
        if isinstance(found, Unusable):
            raise found
        return found

    def _default(self, registry: str, _repository: str) -> tuple[Candidate, ...]:
        """The helper that docker takes where its own file says nothing."""
        place = dockers(self._environ)
        # docker takes a file that it cannot use for an empty one
        with suppress(Unusable):
            if place and not self._opened(place).is_empty:
                return ()
        name = self._default_name
        if name is None:
            return ()
        return (Helper(name, servers(registry), _DEFAULT_STORE, may_fail=True),)

    @cached_property
    def _default_name(self) -> str | None:
        name = "secretservice"
        if sys.platform == "darwin":
            name = "osxkeychain"
        elif on_path("pass", self._environ):
            name = "pass"
        # nobody asked for it: what is not there is no matter
        return name if on_path(Helper(name, (), "").program, self._environ) else None

    def _check_authfile(self) -> None:
        path = self._given.authfile
        if path and not os.path.lexists(path):
            raise UsageError(
                f"`{path}` cannot be used for `--authfile`",
                "there is no such file",
                "name the file that `podman login --authfile` or `docker login` wrote",
            )

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._warn(text)


def _inline(text: str) -> _Ask:
    data = text.encode("utf-8", "surrogateescape")
    return lambda registry, repository: DockerConfig.parse(
        data, _INLINE_VARIABLE, Form.AUTHS_ONLY
    ).candidates(registry, repository)


def _helper(name: str, shown: str) -> _Ask:
    return lambda registry, _repository: (Helper(name, servers(registry), shown),)


def _raising(why: Unusable) -> _Ask:
    def ask(_registry: str, _repository: str) -> tuple[Candidate, ...]:
        raise why

    return ask


def _read(place: Place, required: bool) -> DockerConfig:
    data = read(place.path)
    if data is None and required:
        raise Unusable("there is no such file")
    return DockerConfig.parse(data or b"", place.shown, place.form)
