"""All that is done before the first request: sources are opened, destinations settled."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from idpbuilder.credentials import find_credentials
from idpbuilder.errors import CredentialStoreError, PushError, UsageError
from idpbuilder.image import Digest, Reference
from idpbuilder.memory import AnyMemory
from idpbuilder.packing import Packer, RawLayer
from idpbuilder.push.destination import Destination, destinations
from idpbuilder.push.events import ImageChosen, Note, Reporter
from idpbuilder.push.options import PushOptions
from idpbuilder.push.pushing import check_digest
from idpbuilder.push.result import PushFailure
from idpbuilder.push.session import RegistrySession, SessionOptions
from idpbuilder.registry.credentials import Credentials
from idpbuilder.registry.retry import RetryPolicy
from idpbuilder.source import SourceImage, Surroundings, open_source
from idpbuilder.wire import Engine, Region, Trust


@dataclass(frozen=True, slots=True)
class Tools:
    """What all pushes of a run share."""

    engine: Engine
    memory: AnyMemory
    packer: Packer


@dataclass(frozen=True, slots=True)
class Errand:
    """An image, a place to bring it to, and whom to talk to there."""

    image: SourceImage
    destination: Destination
    session: RegistrySession


class Failed(Exception):
    """A destination was not reached: nothing after it is tried."""

    def __init__(self, failure: PushFailure) -> None:
        super().__init__()
        self.failure = failure


@dataclass(frozen=True, slots=True)
class _Found:
    """What the stores hold for a destination, or why they could not be read."""

    credentials: Credentials | None
    error: CredentialStoreError | None = None

    def __call__(self) -> Credentials | None:
        if self.error is not None:
            raise self.error
        return self.credentials


class Preparation:
    """Makes of what a user asked for a list of errands. `check` may raise, to stop it."""

    def __init__(
        self,
        options: PushOptions,
        reporter: Reporter,
        check: Callable[[], None],
        tools: Tools,
    ) -> None:
        self._options = options
        self._reporter = reporter
        self._stop_check = check
        self._tools = tools
        self._taken: dict[Reference, Digest] = {}
        self._sessions: dict[tuple[object, ...], RegistrySession] = {}

    def errands(self, sources: ExitStack) -> list[Errand]:
        """What there is to do, in order; `sources` closes what was opened. Raises Failed."""
        wanted = self._options.images or (None,)
        images = [image for text in wanted for image in self._open(text, sources)]
        if self._options.to and len(images) != 1:
            error = UsageError(
                "`--to` takes exactly one image",
                f"there are {len(images)}",
                "name one image of the source, as in `oci:PATH:REF`, or use `--registry`",
            )
            raise Failed(PushFailure(wanted[0] or "", None, error))
        return [errand for image in images for errand in self._destined(image)]

    def _open(self, text: str | None, sources: ExitStack) -> tuple[SourceImage, ...]:
        try:
            source = open_source(
                text,
                self._options.platform,
                self._stop_check,
                all_tags=self._options.all_tags,
                surroundings=self._surroundings(),
            )
            return sources.enter_context(source)
        except PushError as error:
            raise Failed(PushFailure(text or "", None, error)) from error

    def _surroundings(self) -> Surroundings:
        prefix, memory = self._options.prefix, self._tools.memory
        return Surroundings(
            self._tools.engine,
            os.environ,
            self._note,
            lambda text: self._reporter.emit(ImageChosen(text)),
            memory.document,
            self._early,
            prefix.registry if prefix else None,
            memory.table_of_contents if self._options.memory else None,
            lambda key: memory.remember_table_of_contents(key, b""),
        )

    def _early(self, diff_ids: tuple[Digest, ...]) -> Callable[[Digest | None, Region], None]:
        """Packs layers while they arrive, where nothing is known of the image that they are of."""
        memory, packer = self._tools.memory, self._tools.packer
        known = any(memory.packed(one, packer.method.name) for one in diff_ids)

        def arrived(digest: Digest | None, region: Region) -> None:
            if digest is None:
                wanted = bool(diff_ids) and not known
            else:
                wanted = memory.packed(digest, packer.method.name) is None
            if wanted:
                packer.pack(RawLayer(digest, region))

        return arrived

    def _destined(self, image: SourceImage) -> list[Errand]:
        try:
            places = destinations(image, self._options.to, self._options.prefix)
            for place in places:
                self._check(image, place)
            return [Errand(image, place, self._session(place)) for place in places]
        except PushError as error:
            raise Failed(PushFailure(image.label, None, error)) from error

    def _check(self, image: SourceImage, place: Destination) -> None:
        """Raise what can be known to be wrong with a destination before anything is sent."""
        root = image.root.descriptor.digest
        if not image.repack and not self._options.all_layers:
            check_digest(image.label, place.reference, root)
        other = self._taken.setdefault(place.reference, root)
        if other != root:
            raise UsageError(
                f"two images go to `{place.reference}`",
                f"they are {other} and {root}",
                "push them under different names, or one of them alone",
            )

    def _session(self, place: Destination) -> RegistrySession:
        registry, find = place.reference.registry, self._finder(place)
        # a store may keep other credentials for other repositories of one registry
        key = (registry, place.scheme, find)
        session = self._sessions.get(key)
        if session is None:
            options, tools = self._options, self._tools
            session_options = SessionOptions(
                RetryPolicy(options.retries),
                Trust(verify=not options.insecure, cert_dir=options.cert_dir),
                options.insecure,
                place.scheme,
                options.confide,
            )
            session = RegistrySession(
                registry, session_options, find, tools.engine, self._note, tools.memory
            )
            self._sessions[key] = session
        return session

    def _finder(self, place: Destination) -> _Found:
        """How to get the credentials when a registry asks for them.

        A slip in what the user gave shows at once; a store that cannot be read matters only then.
        """
        options = self._options
        try:
            found = find_credentials(
                place.reference.registry,
                place.reference.repository,
                username=options.username,
                password=options.password,
                authfile=options.authfile,
                environ=os.environ,
            )
        except CredentialStoreError as error:
            return _Found(None, error)
        return _Found(found)

    def _note(self, text: str) -> None:
        if self._reporter.wants_notes:
            self._reporter.emit(Note(text))
