"""All that is done before the first request: sources are opened, destinations settled."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from idpbuilder.credentials import CredentialStores, Given
from idpbuilder.credentials import Surroundings as CredentialSurroundings
from idpbuilder.errors import Interrupted, PushError, UsageError
from idpbuilder.image import Digest, Reference
from idpbuilder.memory import AnyMemory
from idpbuilder.push.destination import Destination, destinations
from idpbuilder.push.events import ImageChosen, Note, Reporter, Warned
from idpbuilder.push.late import LatePacker
from idpbuilder.push.layers import Recent
from idpbuilder.push.options import Order, PushOptions
from idpbuilder.push.pushing import check_digest
from idpbuilder.push.result import PushFailure
from idpbuilder.push.session import RegistrySession, SessionOptions
from idpbuilder.registry.retry import RetryPolicy
from idpbuilder.source import SourceImage, Surroundings, open_source
from idpbuilder.transport.insecure import InsecureRegistries
from idpbuilder.transport.proxy import secrets_in
from idpbuilder.transport.trust import certs_d, complaints, folder_for
from idpbuilder.wire import Engine, Region, Trust


@dataclass(frozen=True, slots=True)
class Tools:
    """What all pushes of a run share."""

    engine: Engine
    memory: AnyMemory
    journal: AnyMemory | None
    packer: LatePacker
    recent: Recent


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
        self._insecure = InsecureRegistries(os.environ, self._note, self._warn)
        self._folders: dict[str, str | None] = {}
        self._complaints = complaints(os.environ)
        for secret in secrets_in(os.environ):
            options.confide(secret)
        self._sessions: dict[tuple[object, ...], RegistrySession] = {}
        self._stores = CredentialStores(
            Given(options.username, options.password, options.authfile),
            CredentialSurroundings(os.environ, self._warn, options.confide, check, note=self._note),
        )

    def errands(self, sources: ExitStack) -> list[Errand | PushFailure]:
        """What there is to do, in order, and what failed already; `sources` closes what was opened.

        Raises Failed for the first failure, unless the others are to go on.
        """
        found: list[Errand | PushFailure] = []
        orders = self._options.orders
        if self._options.to and len(self._options.images) > 1:
            # before anything is opened: an export may take minutes
            raise Failed(PushFailure(orders[0].image or "", None, _too_many(len(orders))))
        for order in orders:
            try:
                found += self._errands_of(order, sources)
            except Failed as failed:
                error = failed.failure.error
                if order.line and not error.what.startswith(order.line):
                    error.what = f"{order.line}: {error.what}"
                if not self._options.keep_going or isinstance(error, Interrupted):
                    raise
                found.append(failed.failure)
        return found

    def _errands_of(self, order: Order, sources: ExitStack) -> list[Errand]:
        images = self._open(order, sources)
        if order.to and len(images) != 1:
            raise Failed(PushFailure(order.image or "", None, _too_many(len(images), order.line)))
        return [errand for image in images for errand in self._destined(image, order)]

    def _open(self, order: Order, sources: ExitStack) -> tuple[SourceImage, ...]:
        text = order.image
        try:
            source = open_source(
                text,
                order.platform,
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
                from idpbuilder.packing.layer import RawLayer

                packer.pack(RawLayer(digest, region))

        return arrived

    def _destined(self, image: SourceImage, order: Order) -> list[Errand]:
        try:
            places = destinations(image, order.to, self._options.prefix)
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
        registry = place.reference.registry
        # a slip in what the user gave shows here; helpers are asked when the registry asks
        find = self._stores.lookup(registry, place.reference.repository)
        trust, insecure = self._trust(place.reference)
        if trust.verify and place.scheme != "http":
            # they are told once: what has been told is gone
            for text in self._complaints:
                self._warn(text)
        # a store may keep other credentials for other repositories of one registry
        key = (registry, place.scheme, find, insecure)
        session = self._sessions.get(key)
        if session is None:
            options, tools = self._options, self._tools
            session_options = SessionOptions(
                RetryPolicy(options.retries),
                trust,
                insecure,
                place.scheme,
                options.confide,
                options.jobs,
            )
            session = RegistrySession(
                registry,
                session_options,
                find,
                tools.engine,
                self._note,
                tools.memory,
                tools.journal,
            )
            self._sessions[key] = session
        return session

    def _trust(self, reference: Reference) -> tuple[Trust, bool]:
        """Whom to believe at a destination; whether it counts as `--insecure`."""
        registry, options = reference.registry, self._options
        insecure = options.insecure
        if not insecure:
            path = self._insecure.said_by(registry, reference.repository)
            insecure = path is not None
            if insecure:
                self._note(f"trust: {registry} counts as `--insecure`, by `{path}`")
        if registry not in self._folders:
            places = certs_d(os.environ)
            self._folders[registry] = options.cert_dir or folder_for(
                registry, places, self._note, self._warn
            )
        return Trust(verify=not insecure, cert_dir=self._folders[registry]), insecure

    def _note(self, text: str) -> None:
        if self._reporter.wants_notes:
            self._reporter.emit(Note(text))

    def _warn(self, text: str) -> None:
        self._reporter.emit(Warned(text))


def _too_many(count: int, line: str = "") -> UsageError:
    return UsageError(
        f"{line}: a destination takes exactly one image"
        if line
        else "`--to` takes exactly one image",
        f"there are {count}",
        "name one image of the source, as in `oci:PATH:REF`, or use `--registry`",
    )
