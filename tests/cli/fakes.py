"""Pushes that never happen: outcomes to report, and a `run` that reports them.

Run as a module it is the command line with such a push inside: `python -m tests.cli.fakes
SCENARIO ARGUMENT...`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

from idpbuilder.cli.command import Session
from idpbuilder.cli.push import push
from idpbuilder.cli.streams import occupy_closed_descriptors
from idpbuilder.errors import Interrupted, PushError, Unauthorized
from idpbuilder.image import Descriptor, Digest, Reference
from idpbuilder.image.manifest import OCI_MANIFEST
from idpbuilder.push.events import (
    Event,
    LayerEnded,
    ManifestEnded,
    Note,
    Progress,
    PushStarted,
    Reporter,
    RunStarted,
    Standing,
)
from idpbuilder.push.options import PushOptions
from idpbuilder.push.result import BlobStatus, LayerResult, PushFailure, PushResult
from idpbuilder.push.stop import Stop

IMAGE = "myimage:latest"
REFERENCE = Reference.parse("registry.example.com/repo/myimage:latest")
ROOT = Descriptor(OCI_MANIFEST, Digest.of(b"manifest"), 600)
DIGEST_LINE = f"registry.example.com/repo/myimage@{ROOT.digest}"
SIZES = (2_500_000, 15_300_000, 1_200_000)
SEED_LINES = """\
Pushing image myimage:latest to registry.example.com/repo...
✓ Layer 1/3 pushed (2.5 MB)
✓ Layer 2/3 exists (15.3 MB)
✓ Layer 3/3 mounted from team/base (1.2 MB)
✓ Manifest pushed successfully
"""
LAST_LINE = "Image pushed: registry.example.com/repo/myimage:latest\n"


def layers(*statuses: BlobStatus) -> tuple[LayerResult, ...]:
    """A layer of each size and status; what is mounted comes from `team/base`."""
    mounts = (BlobStatus.MOUNTED, BlobStatus.WOULD_MOUNT)
    return tuple(
        LayerResult(
            Digest.of(str(number).encode()),
            size,
            status,
            0.5,
            "team/base" if status in mounts else "",
        )
        for number, (size, status) in enumerate(zip(SIZES, statuses, strict=True))
    )


PUSHED = layers(BlobStatus.PUSHED, BlobStatus.EXISTS, BlobStatus.MOUNTED)
PLANNED = layers(BlobStatus.WOULD_PUSH, BlobStatus.EXISTS, BlobStatus.WOULD_MOUNT)


def result(
    reference: Reference = REFERENCE, ended: tuple[LayerResult, ...] = PUSHED, dry_run: bool = False
) -> PushResult:
    """An image that was pushed."""
    return PushResult(
        IMAGE, reference, ROOT, 19_000_600, ("linux/amd64",), ended, 2_500_600, 7, 1, 2.5, dry_run
    )


def failure(error: PushError, reference: Reference | None = REFERENCE) -> PushFailure:
    """An image that was not."""
    return PushFailure(IMAGE, reference, error)


def events_of(outcome: PushResult | PushFailure) -> list[Event]:
    """What a push tells on the way to `outcome`."""
    started = PushStarted(IMAGE, outcome.reference or REFERENCE, SIZES)
    if isinstance(outcome, PushFailure):
        return [started, Note("auth: basic, from flags"), outcome]
    if outcome.dry_run:
        started = PushStarted(IMAGE, outcome.reference, SIZES, dry_run=True)
    ended = [LayerEnded(n, len(outcome.layers), layer) for n, layer in enumerate(outcome.layers, 1)]
    status = BlobStatus.WOULD_PUSH if outcome.dry_run else BlobStatus.PUSHED
    return [started, Note("auth: basic, from flags"), *ended, ManifestEnded(status), outcome]


def at(sent: tuple[int, ...], seconds: float) -> Progress:
    """Where the only push stands."""
    return Progress({1: Standing(sent)}, seconds, sum(sent))


class FakeRun:
    """Reports `outcomes`, in place of a push; keeps the options that it was given."""

    def __init__(self, *outcomes: PushResult | PushFailure) -> None:
        self.outcomes = outcomes
        self.options: PushOptions | None = None

    def __call__(
        self, options: PushOptions, reporter: Reporter, stop: Stop
    ) -> tuple[PushResult | PushFailure, ...]:
        self.options = options
        if len(self.outcomes) > 1:
            reporter.emit(RunStarted(len(self.outcomes)))
        for number, outcome in enumerate(self.outcomes, 1):
            for event in events_of(outcome):
                if not isinstance(event, Note) or reporter.wants_notes:
                    reporter.emit(event, number)
        return self.outcomes


def draws_bars(options: PushOptions, reporter: Reporter, stop: Stop) -> tuple[PushResult, ...]:
    """A push with progress between its events."""
    started, _, *rest = events_of(result())
    reporter.emit(started, 1)
    reporter.progress(at((500_000, 0, 0), 0.5))
    reporter.progress(at((1_250_000, 0, 300_000), 1.0))
    for event in rest:
        reporter.emit(event, 1)
        reporter.progress(at((2_500_000, 0, 600_000), 1.5))
    return (result(),)


def waits(options: PushOptions, reporter: Reporter, stop: Stop) -> tuple[PushFailure, ...]:
    """A push that goes on until it is asked to stop."""
    _say("waiting")
    while not stop.requested:
        time.sleep(0.01)
    try:
        stop.check()
    except Interrupted as error:
        outcome = failure(error)
        reporter.emit(outcome, 1)
        return (outcome,)
    raise AssertionError


def hangs(options: PushOptions, reporter: Reporter, stop: Stop) -> tuple[PushFailure, ...]:
    """A push that cannot stop any more."""
    _say("waiting")
    while not stop.requested:
        time.sleep(0.01)
    _say("stopping")
    while True:
        signal.pause()


def breaks(options: PushOptions, reporter: Reporter, stop: Stop) -> tuple[PushResult, ...]:
    """A push with a bug in it, whose exception holds what it should not."""
    raise RuntimeError(f"no answer to https://me:{options.password}@h/?token={options.password}")


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


SCENARIOS: dict[str, Callable[..., Sequence[PushResult | PushFailure]]] = {
    "pushed": FakeRun(result()),
    "refused": FakeRun(failure(Unauthorized("cannot push", "401", "sign in"))),
    "bars": draws_bars,
    "waits": waits,
    "hangs": hangs,
    "breaks": breaks,
}


def main() -> None:
    """The command `push` with the scenario that the first argument names."""
    occupy_closed_descriptors()
    run = SCENARIOS[sys.argv[1]]
    push.main(sys.argv[2:], prog_name="idpbuilder push", obj=Session(run=run, environ=os.environ))


if __name__ == "__main__":
    main()
