"""Who we are to a registry: from flags and variables, else from a store on this machine.

A new store is one more file here, and one more line in `_stores`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Protocol

from idpbuilder.credentials.docker_config import DockerConfig
from idpbuilder.errors import UsageError
from idpbuilder.registry.credentials import Credentials

__all__ = ["Credentials", "find_credentials"]

_GIVEN = "flags or variables"


class Store(Protocol):
    """A place where credentials are kept."""

    def find(self, registry: str, repository: str) -> Credentials | None:
        """What is kept for a repository in `registry` (`host[:port]`); may raise AuthError."""


def find_credentials(
    registry: str,
    repository: str,
    *,
    username: str | None,
    password: str | None,
    authfile: str | None,
    environ: Mapping[str, str],
) -> Credentials | None:
    """The credentials for `repository` in `registry` (`host[:port]`); None where there are none.

    `username` and `password` come from flags and variables, merged; both together win. One alone
    is completed from the stores, a user name only by that same user's secret. Raises UsageError
    where it cannot be completed, CredentialStoreError where a store cannot be read.
    """
    if username and password:
        return Credentials(_GIVEN, username, password)
    stores = _stores(authfile, environ)
    kept = (store.find(registry, repository) for store in stores)
    found = next((credentials for credentials in kept if credentials is not None), None)
    if password:
        return _with_password(password, found, registry)
    if username and (found is None or found.username != username):
        raise UsageError(
            f"user `{username}` has no password for `{registry}`",
            hint="give it with `--password-stdin`, `--password` or IDPBUILDER_REGISTRY_PASSWORD, "
            "or leave out the user name",
        )
    return found


def _with_password(password: str, found: Credentials | None, registry: str) -> Credentials:
    if found is None or not found.username:
        raise UsageError(
            f"the password for `{registry}` has no user name",
            hint="give it with `--username` or IDPBUILDER_REGISTRY_USER",
        )
    return Credentials(_GIVEN, found.username, password)


def _stores(authfile: str | None, environ: Mapping[str, str]) -> Iterator[Store]:
    if authfile:
        yield DockerConfig(authfile, authfile, required=True)
        return
    if directory := environ.get("DOCKER_CONFIG"):
        path = os.path.join(directory, "config.json")
        yield DockerConfig(path, path)
    elif home := environ.get("HOME"):
        path = os.path.join(home, ".docker", "config.json")
        yield DockerConfig(path, "~/.docker/config.json")
