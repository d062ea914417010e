"""One registry through a whole run: what all images that go there share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from idpbuilder.errors import PushError
from idpbuilder.image import Digest
from idpbuilder.image.host import is_loopback
from idpbuilder.image.reference import split_host_port
from idpbuilder.memory import AnyMemory, KnownRegistry
from idpbuilder.push.known import Known
from idpbuilder.push.pace import Pace
from idpbuilder.push.tasks import Loop, Task
from idpbuilder.registry.auth import Authenticator
from idpbuilder.registry.credentials import Confide, Credentials, confide_in_nobody
from idpbuilder.registry.endpoints import Endpoint, origin
from idpbuilder.registry.habits import Habits, Probe
from idpbuilder.registry.retry import RetryPolicy
from idpbuilder.registry.scope import Rights
from idpbuilder.wire import FailureKind, Request, TransportFailure, Trust


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """How to talk to a registry. `scheme` is "" where the user fixed none; `confide` is told every
    secret before it is sent; `jobs` blobs at once, None for as many as pay.
    """

    policy: RetryPolicy
    trust: Trust
    insecure: bool = False
    scheme: str = ""
    confide: Confide = confide_in_nobody
    jobs: int | None = None


class Registry:
    """The registry `name`: where it answers, how it is signed in to, what is known of it."""

    def __init__(
        self,
        name: str,
        options: RegistryOptions,
        find_credentials: Callable[[], Credentials | None],
        loop: Loop,
        memory: AnyMemory,
        journal: AnyMemory | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.options = options
        self.loop = loop
        self.clock = clock
        self.journal = journal
        self.pace = Pace(options.jobs)
        self.known = Known()
        self._schemes = _schemes(name, options)
        self.endpoint = Endpoint.of(self._schemes.pop(0), name)
        self.auth = Authenticator(
            find_credentials,
            options.trust,
            clock,
            insecure=options.insecure,
            confide=options.confide,
        )
        self.fetching: dict[Rights, Task[None]] = {}
        self.peer = ""
        """The address at which it answered last."""
        self.has_answered = False
        self.asked_by: object = None
        """Who asks it first, and so finds out how it wants to be asked: the others wait."""
        self.given_up: PushError | None = None
        """Why nothing was to be had of it any more, until it answers again."""
        self._memory = memory

    @property
    def is_unsure(self) -> bool:
        """Whether it is not known that the registry answers."""
        return not self.has_answered or self.given_up is not None

    @cached_property
    def habits(self) -> Habits:
        """What is known of the registry's ways. An image that is there needs none of it: the memory
        is not opened before the first blob is asked for.
        """
        return _habits(self._memory.registry(self.name))

    def remember(self) -> None:
        """Keep for the next run what this one learnt of the registry, where it came to blobs."""
        if "habits" not in vars(self):
            return
        known = KnownRegistry(self.habits.probe is Probe.HONEST, self.habits.chunk)
        if known != KnownRegistry():
            self._memory.remember_registry(self.name, known)

    def mount_source(self, digest: Digest, repository: str) -> str | None:
        """Another repository of this registry to take the blob from, None where none is known.

        What an earlier run saw is a hint: where it is wrong the blob is sent.
        """
        place = self.known.elsewhere(digest, repository)
        if place is not None:
            return place
        seen = self._memory.seen(self.name, digest)
        return None if repository in seen else next(iter(seen), None)

    def ready(self, request: Request, header: str | None) -> Request:
        """The request as it goes out: signed, or with word of who led us to another host."""
        host = origin(self.endpoint.base)[1]
        if origin(request.url)[1] != host:
            return replace(request, led_by=self.peer or host)
        return _signed(request, header)

    # -- which scheme

    def lets_try_plain(self, failure: TransportFailure) -> bool:
        """Whether the registry turned out not to speak TLS, and may be asked without."""
        if self.has_answered or not self._schemes:
            return False
        portless = split_host_port(self.name)[1] is None
        plain = failure.kind in (FailureKind.NOT_TLS, FailureKind.NO_TUNNEL) or (
            portless and failure.kind is FailureKind.CONNECT
        )
        if plain:
            self.endpoint = Endpoint.of(self._schemes.pop(0), self.name)
            self.pace.forget()
        return plain

    def rebased(self, request: Request) -> Request:
        """The request at today's scheme, where its URL was made before the scheme was known."""
        old = Endpoint.of("https", self.name).base
        if self.endpoint.scheme == "http" and request.url.startswith(f"{old}/"):
            return replace(request, url=self.endpoint.base + request.url.removeprefix(old))
        return request


def _habits(known: KnownRegistry | None) -> Habits:
    if known is None:
        return Habits()
    return Habits(Probe.HONEST if known.honest else Probe.UNKNOWN, chunk=known.chunk)


def _schemes(registry: str, options: RegistryOptions) -> list[str]:
    if options.scheme:
        return [options.scheme]
    host = split_host_port(registry)[0]
    return ["https", "http"] if options.insecure or is_loopback(host) else ["https"]


def _signed(request: Request, header: str | None) -> Request:
    if header is None:
        return request
    return replace(request, headers=(*request.headers, ("Authorization", header)))
