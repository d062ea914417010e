"""What a repository holds already: questions without side effects, by HEAD or else GET."""

from __future__ import annotations

from collections.abc import Generator

from idpbuilder.image import Digest, InvalidValue
from idpbuilder.registry.call import Call
from idpbuilder.registry.endpoints import Endpoint
from idpbuilder.registry.failure import refusal
from idpbuilder.registry.manifest_put import ACCEPT
from idpbuilder.registry.scope import Scope
from idpbuilder.wire import Request, Response, Trust

HEAD_REFUSED = frozenset({403, 405})
"""Statuses of a HEAD that a GET may better: it is not allowed, or has no body to say why."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Inquiry = Generator[Call, Response, Digest | None]


def find_manifest(
    endpoint: Endpoint, repository: str, reference: str, trust: Trust, algorithm: str = "sha256"
) -> Inquiry:
    """The digest of the manifest that `reference` (a tag or a digest) names; None where there is
    none.

    A registry that forbids or does not know HEAD, or names no digest, is asked with GET: only its
    answer says why. Yields calls, takes their answers. Raises PushError.
    """
    scopes = (Scope.push(repository),)
    url = endpoint.manifest(repository, reference)
    accept = (("Accept", ACCEPT),)
    response = yield Call(Request("HEAD", url, accept, trust=trust), scopes)
    if response.status == 404:
        return None
    if response.status == 200:
        named = _named_digest(response)
        if named is not None and named.algorithm == algorithm:
            return named
    return (yield from read_manifest(endpoint, repository, reference, trust, algorithm))


def read_manifest(
    endpoint: Endpoint, repository: str, reference: str, trust: Trust, algorithm: str = "sha256"
) -> Inquiry:
    """The digest of a manifest's bytes as GET answers them, hashed here; None: it is not there."""
    url = endpoint.manifest(repository, reference)
    request = Request("GET", url, (("Accept", ACCEPT),), trust=trust)
    response = yield Call(request, (Scope.push(repository),))
    if response.status == 404:
        return None
    if response.status != 200:
        raise refusal(response, f"`{repository}:{reference}` could not be read")
    return Digest.of(response.body, algorithm)


def has_blob(
    endpoint: Endpoint, repository: str, digest: Digest, trust: Trust
) -> Generator[Call, Response, bool]:
    """Whether `repository` has the blob `digest`.

    Yields calls, takes their answers. Raises PushError.
    """
    response = yield blob_call(endpoint, repository, digest, trust)
    if response.status in HEAD_REFUSED:
        response = yield blob_call(endpoint, repository, digest, trust, head=False)
    found = blob_presence(response)
    if found is None:
        raise refusal(response, f"blob {digest} could not be looked for")
    return found


def blob_call(
    endpoint: Endpoint, repository: str, digest: Digest, trust: Trust, *, head: bool = True
) -> Call:
    """The question whether a blob is there; without `head` as a GET of one byte, for registries
    that answered HEAD with one of HEAD_REFUSED.
    """
    url, scopes = endpoint.blob(repository, digest), (Scope.push(repository),)
    if head:
        return Call(Request("HEAD", url, trust=trust), scopes)
    return Call(Request("GET", url, (("Range", "bytes=0-0"),), trust=trust), scopes)


def blob_presence(response: Response) -> bool | None:
    """What the answer to `blob_call` says: there, not there, or None for neither.

    A redirect says that it is there: Distribution and others send whoever asks on to their storage.
    """
    if response.status in (200, 206) or response.status in _REDIRECTS:
        return True
    return False if response.status == 404 else None


def _named_digest(response: Response) -> Digest | None:
    try:
        return Digest.parse(response.headers.get("Docker-Content-Digest"))
    except InvalidValue:
        return None
