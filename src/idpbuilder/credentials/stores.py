"""All the stores of this machine, in the order in which they are asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from idpbuilder.credentials.docker_config import Candidate, DockerConfig
from idpbuilder.credentials.lookup import GIVEN, Lookup
from idpbuilder.credentials.places import Place, places
from idpbuilder.credentials.reading import read
from idpbuilder.credentials.surroundings import Surroundings
from idpbuilder.credentials.unusable import Unusable
from idpbuilder.errors import UsageError
from idpbuilder.registry.credentials import Credentials

_FILE_VARIABLE = "REGISTRY_AUTH_FILE"
_INLINE_VARIABLE = "DOCKER_AUTH_CONFIG"


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
        for shown, open_it in self._stores():
            try:
                candidates += open_it().candidates(registry, repository)
            except Unusable as why:
                warnings.append(f"`{shown}` is not used for credentials: {why}")
            # nothing comes after what is certain
            if candidates and isinstance(candidates[-1], Credentials):
                break
        return tuple(candidates), tuple(warnings)

    def _stores(self) -> Iterator[tuple[str, Callable[[], DockerConfig]]]:
        if path := self._given.authfile or self._environ.get(_FILE_VARIABLE):
            yield path, lambda: self._file(Place(path, path), required=True)
            return
        if inline := self._environ.get(_INLINE_VARIABLE):
            data = inline.encode("utf-8", "surrogateescape")
            yield (
                _INLINE_VARIABLE,
                lambda: DockerConfig.parse(data, _INLINE_VARIABLE, auths_only=True),
            )
        for place in places(self._environ):
            yield place.shown, lambda place=place: self._file(place)  # type: ignore[misc]

    def _file(self, place: Place, *, required: bool = False) -> DockerConfig:
        """The file, read once: a pipe can be read but once. Raises Unusable."""
        if place.path not in self._files:
            try:
                self._files[place.path] = _opened(place, required)
            except Unusable as why:
                self._files[place.path] = why
        found = self._files[place.path]
        if isinstance(found, Unusable):
            raise found
        return found

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


def _opened(place: Place, required: bool) -> DockerConfig:
    data = read(place.path)
    if data is None and required:
        raise Unusable("there is no such file")
    return DockerConfig.parse(data or b"", place.shown)
