"""One image on its way to one destination, with all that it takes to get it there or give it up."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial

from idpbuilder.errors import Interrupted, PushError, PushTimeout
from idpbuilder.push.destination import Destination
from idpbuilder.push.events import Standing, Teller
from idpbuilder.push.layers import Layers, LayersElsewhere
from idpbuilder.push.options import PushOptions
from idpbuilder.push.patience import Patience
from idpbuilder.push.plan import plan_image
from idpbuilder.push.pushing import ImagePush
from idpbuilder.push.registry import Registry
from idpbuilder.push.result import Outcome, PushFailure, PushResult
from idpbuilder.push.session import RegistrySession, unwatched
from idpbuilder.push.tasks import Deadline, DeadlinePassed, Loop, Steps
from idpbuilder.push.tools import Tools
from idpbuilder.source import SourceImage

CLEAN_UP_SECONDS = 0.5
"""How long closing upload sessions may take. The push's own end is what counts; a session that
stays open is purged by the registry.
"""


@dataclass(frozen=True, slots=True)
class Errand:
    """An image, a place to bring it to, and whom to talk to there."""

    image: SourceImage
    destination: Destination
    registry: Registry

    def failed(self, error: PushError) -> PushFailure:
        """What came of it: nothing, because of `error`."""
        return PushFailure(self.image.label, self.destination.reference, error)


class Carrying:
    """Carries out an errand, and tells `teller` of it."""

    def __init__(
        self,
        errand: Errand,
        options: PushOptions,
        tools: Tools,
        loop: Loop,
        patience: Patience,
        teller: Teller,
    ) -> None:
        self.errand = errand
        trace = options.trace
        watch = partial(trace.waiting, teller.number) if trace else unwatched
        self.session = RegistrySession(errand.registry, teller.note, watch)
        self.layers: list[Layers] = []
        """What was packed for it, which is the image's to keep."""
        self._options = options
        self._tools = tools
        self._loop = loop
        self._patience = patience
        self._teller = teller
        self._deadline = Deadline(options.timeout)
        self._push: ImagePush | None = None

    def steps(self) -> Steps[Outcome]:
        """What becomes of it. Raises Interrupted alone."""
        try:
            result = yield from self._attempts()
        except Interrupted:
            raise
        except DeadlinePassed:
            outcome: Outcome = self.errand.failed(self._timed_out())
        except PushError as error:
            outcome = self.errand.failed(error)
        else:
            outcome = result
        finally:
            self.session.close()
        return outcome

    def clean_up(self, loop: Loop) -> Steps[None]:
        """Close the upload sessions that nobody will go on with."""
        if self._push is not None:
            yield from self._push.clean_up(loop)

    def standing(self) -> Standing:
        """Where the push stands."""
        return self._push.standing() if self._push else Standing(())

    def _attempts(self) -> Steps[PushResult]:
        image, options, tools = self.errand.image, self._options, self._tools
        while True:
            layers = Layers(
                image, tools.packer, tools.memory, tools.recent, all_layers=options.all_layers
            )
            self.layers.append(layers)
            push = self._push = ImagePush(
                image,
                self.errand.destination,
                self.session,
                self._loop,
                self._teller,
                layers,
                self._push,
            )
            steps = push.rehearse() if options.dry_run else push.push(verify=options.verify)
            try:
                return (yield from self._loop.scoped(steps, self._deadline))
            except LayersElsewhere:
                yield from self.tidy_up()
                assert image.export is not None
                image = yield from self._brought(image.export)

    def tidy_up(self) -> Steps[None]:
        """Close the upload sessions that nobody will go on with, where that is quick."""
        # what it comes to is no matter any more
        with suppress(PushError, DeadlinePassed):
            yield from self._loop.scoped(
                self.clean_up(self._loop), Deadline(CLEAN_UP_SECONDS, alone=True)
            )

    def _brought(self, export: Callable[[], SourceImage]) -> Steps[SourceImage]:
        """The image with the layers that were not at hand."""
        yield from self._patience.take_turn()
        trace = self._options.trace
        opening = trace.opening(self.errand.image.label) if trace else nullcontext()
        with self._patience.until(self._deadline), opening:
            return export()

    def _timed_out(self) -> PushTimeout:
        trouble = self.session.last_trouble
        passed = f"the timeout of {self._options.timeout:g} s passed"
        return PushTimeout(
            f"`{self.errand.destination.reference}` was not pushed in time",
            f"{passed}; the last trouble was: {trouble}" if trouble else passed,
            "give it longer with `--timeout`; running the command again goes on where it stopped",
        )


def blobs_of(errands: Iterable[Errand]) -> Iterator[tuple[Hashable, int]]:
    """The blobs that errands bring, by where they go and what they are, and their sizes."""
    for errand in errands:
        registry = errand.destination.reference.registry
        for blob in plan_image(errand.image).blobs:
            yield (registry, blob.digest), blob.size
