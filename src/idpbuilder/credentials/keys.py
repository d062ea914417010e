"""The keys under which stores keep credentials: a host, a URL of old, or a repository's path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from idpbuilder.image.reference import DOCKER_HUB, is_docker_hub

_HUB_KEY = "https://index.docker.io/v1/"
_HTTPS = "https://"
_HTTPS_PORT = ":443"
_VERSIONS = ("v1", "v2")


def servers(registry: str) -> tuple[str, ...]:
    """What a helper is asked for in turn, for `registry` (`host[:port]`).

    It keeps Docker Hub under the name that docker gave it, or under podman's.
    """
    return (_HUB_KEY, DOCKER_HUB) if is_docker_hub(registry) else (registry,)


def keys_for(
    keys: Iterable[str], registry: str, repository: str, *, whole_hosts: bool = False
) -> Iterator[str]:
    """Those of `keys` that speak of `repository` in `registry`, the most specific first.

    Among equals the key that Docker itself writes comes first, then the order of `keys`. With
    `whole_hosts` a key with the path of another repository is better than none: docker looks at
    hosts alone.
    """
    host = _host(registry)
    usual = _HUB_KEY if host == DOCKER_HUB else host
    known = [(key, path) for key in keys for hosts, path in [_parts(key)] if host in hosts]
    known.sort(key=lambda one: one[0] != usual)
    paths = list(_paths(repository))
    for path in paths:
        yield from (key for key, its_path in known if its_path == path)
    if whole_hosts:
        yield from (key for key, its_path in known if its_path not in paths)


def _parts(key: str) -> tuple[tuple[str, ...], str]:
    """The hosts that a key speaks of, and the path of the repositories there; "" for all."""
    secure = key.startswith(_HTTPS)
    rest = key.removeprefix(_HTTPS).removeprefix("http://")
    written, _, path = rest.partition("/")
    path = path.rstrip("/")
    if rest != key or path in _VERSIONS:
        # what is at a URL is an API, and serves all repositories
        path = ""
    host = _host(written)
    if not secure:
        return (host,), path
    # https is what names the port, so both spellings are the same place
    bare = host.removesuffix(_HTTPS_PORT)
    return (bare, bare + _HTTPS_PORT) if bare != host or not _has_port(host) else (host,), path


def _host(text: str) -> str:
    return DOCKER_HUB if is_docker_hub(text) else text.lower()


def _has_port(host: str) -> bool:
    return ":" in host.rpartition("]")[2]


def _paths(repository: str) -> Iterator[str]:
    while repository:
        yield repository
        repository = repository.rpartition("/")[0]
    yield ""
