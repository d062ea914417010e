"""All that is done before the first request: sources are opened, destinations settled."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from idpbuilder.credentials import CredentialStores, Given
from idpbuilder.credentials import Surroundings as CredentialSurroundings
from idpbuilder.errors import PushError, UsageError
from idpbuilder.image import Digest, Reference
from idpbuilder.push.destination import Destination, destinations
from idpbuilder.push.errand import Errand
from idpbuilder.push.events import Chosen, Reporter, Teller, Warned
from idpbuilder.push.opened import Opened
from idpbuilder.push.options import Order, PushOptions
from idpbuilder.push.patience import Patience, PatientEngine
from idpbuilder.push.pushing import check_digest
from idpbuilder.push.registry import Registry, RegistryOptions
from idpbuilder.push.result import PushFailure
from idpbuilder.push.tasks import Loop
from idpbuilder.push.tools import Tools
from idpbuilder.registry.retry import RetryPolicy
from idpbuilder.source import SourceImage, Surroundings, open_source
from idpbuilder.transport.insecure import InsecureRegistries
from idpbuilder.transport.proxy import secrets_in
from idpbuilder.transport.trust import certs_d, complaints, folder_for
from idpbuilder.wire import Region, Trust

if TYPE_CHECKING:
    from idpbuilder.packing.job import PackJob


class PutOff(Exception):
    """An order comes to something only once its image is unpacked or exported."""


def put_it_off() -> None:
    """Raise PutOff."""
    raise PutOff


def do_it_now() -> None:
    """Nothing."""


class Failed(Exception):
    """A destination was not reached."""

    def __init__(self, failure: PushFailure) -> None:
        super().__init__()
        self.failure = failure

    @classmethod
    def of(cls, order: Order, error: PushError) -> Failed:
        """An order of which no destination is known yet."""
        return cls(PushFailure(order.image or "", None, error))


class Preparation:
    """Makes of what a user asked for errands. `patience` is who takes time for it."""

    def __init__(
        self,
        options: PushOptions,
        reporter: Reporter,
        patience: Patience,
        tools: Tools,
        loop: Loop,
    ) -> None:
        self.registries: dict[tuple[object, ...], Registry] = {}
        self._options = options
        self._reporter = reporter
        self._teller = Teller(reporter)
        self._patience = patience
        self._tools = tools
        self._loop = loop
        self._taken: dict[Reference, Digest] = {}
        self._insecure = InsecureRegistries(os.environ, self._teller.note, self._warn)
        self._folders: dict[str, str | None] = {}
        self._complaints = complaints(os.environ)
        for secret in secrets_in(os.environ):
            options.confide(secret)
        self._stores = CredentialStores(
            Given(options.username, options.password, options.authfile),
            CredentialSurroundings(
                os.environ,
                self._warn,
                options.confide,
                patience.check_alone,
                note=self._teller.note,
            ),
        )

    def open(
        self, order: Order, *, at_length: Callable[[], None] = do_it_now, again: bool = False
    ) -> Opened:
        """What `order` comes to. `at_length` is called before what takes long, and may raise;
        `again`: it was opened before, and its destinations are its own.

        Raises Failed, or what `at_length` does.
        """
        early: list[PackJob] = []
        opening = [at_length]

        def takes_long() -> None:
            # a layer that turns out to be needed later is brought whatever it takes
            for ask in opening:
                ask()

        stack = ExitStack()
        try:
            errands = self._errands_of(order, stack, takes_long, early, again=again)
        except BaseException:
            Opened((), stack, early, self._tools.packer).close()
            raise
        opening.clear()
        return Opened(errands, stack, early, self._tools.packer)

    def _errands_of(
        self,
        order: Order,
        stack: ExitStack,
        at_length: Callable[[], None],
        early: list[PackJob],
        *,
        again: bool,
    ) -> list[Errand]:
        try:
            images = self._images_of(order, stack, at_length, early)
            if order.to and len(images) != 1:
                raise Failed.of(order, too_many(len(images), order.line))
            return [one for image in images for one in self._destined(image, order, again)]
        except Failed as failed:
            error = failed.failure.error
            if order.line and not error.what.startswith(order.line):
                error.what = f"{order.line}: {error.what}"
            raise

    def _images_of(
        self,
        order: Order,
        stack: ExitStack,
        at_length: Callable[[], None],
        early: list[PackJob],
    ) -> tuple[SourceImage, ...]:
        try:
            source = open_source(
                order.image,
                order.platform,
                self._patience.check,
                all_tags=self._options.all_tags,
                surroundings=self._surroundings(at_length, early),
            )
            return stack.enter_context(source)
        except PushError as error:
            raise Failed.of(order, error) from error

    def _surroundings(self, at_length: Callable[[], None], early: list[PackJob]) -> Surroundings:
        prefix, memory = self._options.prefix, self._tools.memory
        return Surroundings(
            PatientEngine(self._tools.engine, self._loop),
            os.environ,
            self._teller.note,
            lambda text: self._reporter.emit(Chosen(text)),
            memory.document,
            partial(self._arriving, early),
            prefix.registry if prefix else None,
            memory.table_of_contents if self._options.memory else None,
            lambda key: memory.remember_table_of_contents(key, b""),
            at_length,
            self._patience.idle,
        )

    def _arriving(
        self, early: list[PackJob], diff_ids: tuple[Digest, ...]
    ) -> Callable[[Digest | None, Region], None]:
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

                early.append(packer.pack(RawLayer(digest, region)))

        return arrived

    def _destined(self, image: SourceImage, order: Order, again: bool) -> list[Errand]:
        try:
            places = destinations(image, order.to, self._options.prefix)
            for place in places:
                self._check(image, place, again)
            return [Errand(image, place, self._registry(place)) for place in places]
        except PushError as error:
            raise Failed(PushFailure(image.label, None, error)) from error

    def _check(self, image: SourceImage, place: Destination, again: bool) -> None:
        """Raise what can be known to be wrong with a destination before anything is sent."""
        root = image.root.descriptor.digest
        if not image.repack and not self._options.all_layers:
            check_digest(image.label, place.reference, root)
        other = root if again else self._taken.setdefault(place.reference, root)
        if other != root:
            raise UsageError(
                f"two images go to `{place.reference}`",
                f"they are {other} and {root}",
                "push them under different names, or one of them alone",
            )

    def _registry(self, place: Destination) -> Registry:
        name = place.reference.registry
        # a slip in what the user gave shows here; helpers are asked when the registry asks
        find = self._stores.lookup(name, place.reference.repository)
        trust, insecure = self._trust(place.reference)
        if trust.verify and place.scheme != "http":
            # they are told once: what has been told is gone
            for text in self._complaints:
                self._warn(text)
        # a store may keep other credentials for other repositories of one registry
        key = (name, place.scheme, find, insecure)
        registry = self.registries.get(key)
        if registry is None:
            options, tools = self._options, self._tools
            registry = self.registries[key] = Registry(
                name,
                RegistryOptions(
                    RetryPolicy(options.retries),
                    trust,
                    insecure,
                    place.scheme,
                    options.confide,
                    options.jobs,
                ),
                find,
                self._loop,
                tools.memory,
                tools.journal,
            )
        return registry

    def _trust(self, reference: Reference) -> tuple[Trust, bool]:
        """Whom to believe at a destination; whether it counts as `--insecure`."""
        registry, options = reference.registry, self._options
        insecure = options.insecure
        if not insecure:
            path = self._insecure.said_by(registry, reference.repository)
            insecure = path is not None
            if insecure:
                self._teller.note(f"trust: {registry} counts as `--insecure`, by `{path}`")
        if registry not in self._folders:
            places = certs_d(os.environ)
            self._folders[registry] = options.cert_dir or folder_for(
                registry, places, self._teller.note, self._warn
            )
        return Trust(verify=not insecure, cert_dir=self._folders[registry]), insecure

    def _warn(self, text: str) -> None:
        self._reporter.emit(Warned(text))


def too_many(count: int, line: str = "") -> UsageError:
    """The error for a destination that is given for several images."""
    return UsageError(
        f"{line}: a destination takes exactly one image"
        if line
        else "`--to` takes exactly one image",
        f"there are {count}",
        "name one image of the source, as in `oci:PATH:REF`, or use `--registry`",
    )
