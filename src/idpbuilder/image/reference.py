"""References, `registry/repository[:tag][@digest]`, by Docker's grammar and habits."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace

from idpbuilder.image.digest import Digest
from idpbuilder.image.invalid import InvalidValue

DOCKER_HUB = "docker.io"
DEFAULT_TAG = "latest"
_HUB_ALIASES = frozenset({"index.docker.io", "registry-1.docker.io", "docker.io"})
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z")
_HOST = re.compile(
    r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*\Z"
)
_NAME_LIMIT = 255


@dataclass(frozen=True, slots=True)
class Reference:
    """A name, whole or in part.

    `registry` is `host[:port]` as it was written, `""` where the name has none; `repository`
    has no registry in it. `tag` and `digest` may both be absent.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """The reference that `text` spells, not normalised. Raises InvalidValue."""
        name, at, digest_text = text.partition("@")
        digest = Digest.parse(digest_text) if at else None
        registry, rest = _split_registry(name)
        repository, colon, tag = rest.partition(":")
        if colon:
            check_tag(tag)
        check_repository(repository, registry)
        return cls(registry, repository, tag, digest)

    @property
    def name(self) -> str:
        """`registry/repository`, without tag and digest."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository

    @property
    def suffix(self) -> str:
        """What the manifest is called in the repository: its digest if it has one, else its tag."""
        return str(self.digest) if self.digest else self.tag

    def local_name_dropped(self) -> Reference:
        """The same without podman's `localhost/`, which names no registry."""
        return replace(self, registry="") if self.registry == "localhost" else self

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def is_docker_hub(registry: str) -> bool:
    """Whether `registry` is Docker Hub under one of its names."""
    return registry.lower() in _HUB_ALIASES


def check_registry(registry: str) -> None:
    """Raise InvalidValue unless `registry` is `host[:port]`."""
    host, port = split_host_port(registry)
    if port is not None and not 0 < port < 65536:
        raise InvalidValue(f"`{registry}` has a port that is not between 1 and 65535")
    if host.startswith("["):
        try:
            zone = ipaddress.IPv6Address(host[1:-1]).scope_id
        except ValueError as error:
            raise InvalidValue(f"`{registry}` is no IPv6 address in brackets") from error
        if zone is not None:
            # it may be any text, and means something on this machine alone
            raise InvalidValue(f"`{registry}` is an IPv6 address with a zone")
    elif not _HOST.match(host):
        raise InvalidValue(f"`{registry}` is no host name")


def split_host_port(registry: str) -> tuple[str, int | None]:
    """`host` (IPv6 in its brackets) and port of `host[:port]`. Raises InvalidValue."""
    if registry.startswith("["):
        host, bracket, rest = registry.partition("]")
        host, port = host + bracket, rest.removeprefix(":") if rest.startswith(":") else None
        if not bracket or (rest and port is None):
            raise InvalidValue(f"`{registry}` is no IPv6 address in brackets")
    else:
        host, colon, after = registry.partition(":")
        port = after if colon else None
    if port is not None and not (port.isascii() and port.isdigit() and len(port) <= 5):
        raise InvalidValue(f"`{registry}` has a port that is not a number")
    return host, None if port is None else int(port)


def check_repository(repository: str, registry: str = "") -> None:
    """Raise InvalidValue unless `repository` is a name by the distribution specification."""
    if not repository:
        raise InvalidValue("the name is empty")
    if not _REPOSITORY.match(repository):
        if repository != repository.lower() and _REPOSITORY.match(repository.lower()):
            raise InvalidValue(f"`{repository}` must be lower case")
        raise InvalidValue(f"`{repository}` is no repository name")
    if len(registry) + 1 + len(repository) > _NAME_LIMIT:
        raise InvalidValue(f"the name is longer than {_NAME_LIMIT} characters")


def check_tag(tag: str) -> None:
    """Raise InvalidValue unless `tag` is one by the distribution specification."""
    if not _TAG.match(tag):
        raise InvalidValue(f"`{tag}` is no tag")


def _split_registry(name: str) -> tuple[str, str]:
    # Docker's rule: the first component is a registry if it looks like a host
    first, slash, rest = name.partition("/")
    looks_like_host = "." in first or ":" in first or first == "localhost"
    if not slash or not looks_like_host:
        return "", name
    check_registry(first)
    return first, rest
