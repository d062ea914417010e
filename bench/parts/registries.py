"""Registries to push to: CNCF Distribution, the one that keeps nothing; near, and far away."""

from __future__ import annotations

import json
import os
import shutil
import ssl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from bench.parts.corpus import TAG
from bench.parts.cost import Sample
from bench.parts.served import Served
from bench.parts.tools import find
from tests.parts.certificates import Certificates, make_certificates
from tests.parts.distribution import Distribution, DistributionOptions

DISTRIBUTION = "github.com/distribution/distribution/v3/cmd/registry@latest"

ROOM = 6_000_000_000
"""Bytes that the largest row has a registry keep, while it takes and once it has taken them."""


def distribution_program() -> str:
    """Version 3 where it can be had, else the distribution's own. Raises Missing."""
    return find("registry", package=DISTRIBUTION, last="docker-registry")


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry while it runs: `host` is where clients reach it."""

    host: str
    plain: bool
    null: Served | None = None
    proxy: Served | None = None
    distribution: Distribution | None = None

    def stored(self, repositories: Sequence[str]) -> Sample:
        """`stored` bytes of the layers of what is there now, if it keeps anything."""
        if self.distribution is None:
            return {}
        try:
            kept = [self.distribution.manifest(one, TAG).data for one in repositories]
        except KeyError:
            return {}
        return {"stored": sum(one["size"] for data in kept for one in json.loads(data)["layers"])}

    def reset(self) -> None:
        """Count anew."""
        for server in (self.null, self.proxy):
            if server is not None:
                server.reset()

    def counts(self) -> Sample:
        """Since it was reset: `requests`, `connections`, `bytes`, methods; `round_trips`, `span`.

        `span` is seconds from the first connection to the last answer, as the client saw it where
        there is a distance; `round_trips` is that beside one. `server_cpu` and `proxy_cpu` are
        seconds. What a registry that is not ours cannot tell is not there.
        """
        counted: Sample = {}
        for name, server in (("server", self.null), ("proxy", self.proxy)):
            if server is not None:
                counts = server.counts()
                counted.update(counts)
                counted[f"{name}_cpu"] = counted.pop("cpu")
        if "seconds" in counted:
            counted["span"] = counted.pop("seconds")
        return counted


class Trust:
    """Certificates for loopback, and a file with them and all that the system trusts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def certificates(self) -> Certificates:
        """The CA and what it signed."""
        return make_certificates(self._folder)

    @cached_property
    def bundle(self) -> Path:
        """For SSL_CERT_FILE: as many authorities to read as every user has."""
        bundle = self._folder / "trusted.pem"
        system = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
        known = Path(system).read_bytes() if os.path.exists(system) else b""
        bundle.write_bytes(known + self.certificates.ca.read_bytes())
        return bundle


@contextmanager
def running(
    kind: str, trust: Trust, round_trip: float = 0.0, bandwidth: int = 0
) -> Iterator[Registry]:
    """`distribution` or `null`, with `-plain` for HTTP without TLS.

    `round_trip` is in seconds, `bandwidth` in bytes per second. Raises Missing.
    """
    name, _, how = kind.partition("-")
    plain = how == "plain"
    with ExitStack() as stack:
        if name == "null":
            pair = trust.certificates.server
            null = stack.enter_context(
                Served("nullregistry", "-cert", str(pair.cert), "-key", str(pair.key))
            )
            port = null.ports["plain" if plain else "tls"]
            registry = Registry(f"127.0.0.1:{port}", plain, null=null)
        else:
            distribution = stack.enter_context(_distribution(trust, plain))
            registry = Registry(distribution.host, plain, distribution=distribution)
        if round_trip or bandwidth:
            options = ["-rtt", f"{round_trip:f}s", "-bandwidth", str(bandwidth)]
            proxy = stack.enter_context(Served("distance", "-to", registry.host, *options))
            registry = replace(registry, host=f"127.0.0.1:{proxy.ports['proxy']}", proxy=proxy)
        yield registry


def _distribution(trust: Trust, plain: bool) -> Distribution:
    # version 3 looks for a collector of traces otherwise
    os.environ["OTEL_TRACES_EXPORTER"] = "none"
    options = DistributionOptions()
    if not plain:
        certificates = trust.certificates
        options = DistributionOptions(tls=certificates.server, ca=certificates.ca)
    return Distribution(options, program=distribution_program(), within=_in_memory())


def _in_memory() -> Path | None:
    """A folder in memory: a disk that is slow to write would be all that is measured."""
    folder = Path("/dev/shm")
    roomy = folder.is_dir() and shutil.disk_usage(folder).free > ROOM
    return folder if roomy and os.access(folder, os.W_OK) else None
