"""The keys under which stores keep credentials: a host, a URL of old, or a repository's path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from idpbuilder.image.reference import DOCKER_HUB, is_docker_hub

_HUB_KEY = "https://index.docker.io/v1/"
_HTTPS = "https://"
_HTTPS_PORT = ":443"


def server_key(registry: str) -> str:
    """What docker calls `registry` (`host[:port]`) where it asks a helper for its credentials."""
    return _HUB_KEY if is_docker_hub(registry) else registry


def keys_for(keys: Iterable[str], registry: str, repository: str) -> Iterator[str]:
    """Those of `keys` that speak of `repository` in `registry`, the most specific first.

    Among equals the key that Docker itself writes comes first, then the order of `keys`.
    """
    host = _host(registry)
    usual = _HUB_KEY if host == DOCKER_HUB else host
    known = [(key, *_parts(key)) for key in keys]
    known.sort(key=lambda one: one[0] != usual)
    for path in _paths(repository):
        for key, hosts, key_path in known:
            if host in hosts and key_path == path:
                yield key


def _parts(key: str) -> tuple[tuple[str, ...], str]:
    secure = key.startswith(_HTTPS)
    rest = key.removeprefix(_HTTPS).removeprefix("http://").rstrip("/")
    for version in ("/v1", "/v2"):
        rest = rest.removesuffix(version)
    written, _, path = rest.partition("/")
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
