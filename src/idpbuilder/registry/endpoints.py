"""The URLs of a registry, and what its Locations mean (distribution-spec 1.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urljoin, urlsplit

from idpbuilder.image import Digest, InvalidValue
from idpbuilder.image.host import may_lead_to, reach
from idpbuilder.image.reference import is_docker_hub

_DEFAULT_PORT = {"http": 80, "https": 443}
# written so that it is compiled in no time: of a class up to the last character that takes 5 ms
_UNSAFE = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A registry's API: `scheme` and `authority` (host[:port]) of every URL below `/v2/`."""

    scheme: str
    authority: str

    @classmethod
    def of(cls, scheme: str, registry: str) -> Endpoint:
        """The endpoint behind the registry's name in a reference."""
        return cls(scheme, "registry-1.docker.io" if is_docker_hub(registry) else registry)

    @property
    def base(self) -> str:
        """The URL that all others begin with, without a slash at its end."""
        return f"{self.scheme}://{self.authority}"

    def ping(self) -> str:
        """GET: the API's version, and a challenge where one is due."""
        return f"{self.base}/v2/"

    def blob(self, repository: str, digest: Digest) -> str:
        """HEAD: whether a blob is there."""
        return f"{self.base}/v2/{repository}/blobs/{digest}"

    def uploads(self, repository: str) -> str:
        """POST: open an upload session."""
        return f"{self.base}/v2/{repository}/blobs/uploads/"

    def mount(self, repository: str, digest: Digest, source: str) -> str:
        """POST: take the blob over from the repository `source`, else open an upload session."""
        query = f"mount={quote(str(digest), safe='')}&from={quote(source, safe='')}"
        return f"{self.uploads(repository)}?{query}"

    def manifest(self, repository: str, reference: str) -> str:
        """HEAD, GET, PUT: a manifest by tag or digest."""
        return f"{self.base}/v2/{repository}/manifests/{reference}"

    def referrers(self, repository: str, digest: Digest) -> str:
        """GET: the manifests whose subject is `digest`."""
        return f"{self.base}/v2/{repository}/referrers/{digest}"

    def is_origin_of(self, url: str) -> bool:
        """Whether `url` has this endpoint's scheme, host and port: its secrets go nowhere else."""
        return origin(url) == origin(self.base)

    def resolve(
        self, request_url: str, location: str, *, insecure: bool = False, peer: str = ""
    ) -> str:
        """The URL that a `Location` answered to `request_url` means.

        Relative ones are taken against the request. One that falls back to `http` on the
        registry's own host is meant for the registry: a proxy before it ended TLS without telling
        it. `peer` is the address at which the registry answered, where that is known. Raises
        InvalidValue for what no registry should send: another scheme, a way out of TLS, an address
        of this machine, its link or its network from a registry that is not there.
        """
        if _UNSAFE.search(location):
            raise InvalidValue("the Location holds characters that no URL may hold")
        try:
            url = urljoin(request_url, location).partition("#")[0]
            scheme, host, port = origin(url)
            own_scheme, own_host, own_port = origin(self.base)
        except ValueError as error:
            raise InvalidValue("the Location is no URL") from error
        if scheme not in _DEFAULT_PORT or not host or "@" in urlsplit(url).netloc:
            raise InvalidValue("the Location is no http or https URL")
        if (
            host == own_host
            and own_scheme == "https"
            and scheme == "http"
            and port in (80, own_port)
        ):
            parts = urlsplit(url)
            return parts._replace(scheme=own_scheme, netloc=self.authority).geturl()
        if own_scheme == "https" and scheme == "http" and not insecure:
            raise InvalidValue(f"the Location leads out of TLS, to {host}")
        if host != own_host and not may_lead_to(peer or own_host, host):
            raise InvalidValue(f"the Location leads to {host}, {reach(host).value}")
        return url


def with_digest(location: str, digest: Digest) -> str:
    """`location` with `digest` added to its query, which stays as it was sent."""
    separator = "&" if "?" in location else "?"
    return f"{location}{separator}digest={quote(str(digest), safe='')}"


@lru_cache(maxsize=256)
def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of `url`; the scheme's own port where none is written.

    Raises ValueError.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").rstrip("."), parts.port or _DEFAULT_PORT.get(scheme)


def host_of(url: str) -> str:
    """`host[:port]` of `url`, for messages."""
    return urlsplit(url).netloc.rpartition("@")[2]
