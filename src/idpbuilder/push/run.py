"""A whole run: sources are opened, and every destination is pushed to over one engine."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress

from idpbuilder.errors import Interrupted, PushError, PushTimeout
from idpbuilder.memory import Forgetful, open_memory
from idpbuilder.push.events import Reporter, RunEnded
from idpbuilder.push.late import LatePacker
from idpbuilder.push.layers import Layers, LayersElsewhere
from idpbuilder.push.options import PushOptions
from idpbuilder.push.prepare import Errand, Failed, Preparation, Tools
from idpbuilder.push.pushing import ImagePush
from idpbuilder.push.result import PushFailure, PushResult
from idpbuilder.push.stop import Stop
from idpbuilder.push.tasks import DeadlinePassed, Loop
from idpbuilder.transport.curl import CurlEngine
from idpbuilder.transport.settings import EngineSettings
from idpbuilder.wire import Engine

_CLEAN_UP_SECONDS = 0.5

Outcome = PushResult | PushFailure


def run(options: PushOptions, reporter: Reporter, stop: Stop) -> tuple[Outcome, ...]:
    """Push every image of `options` to its destinations, one after the other.

    What becomes of each is emitted and returned, in order; the first failure is the last outcome,
    unless the others are to go on.
    All sources are opened and all destinations settled before anything is sent.
    """
    began = time.monotonic()
    settings = EngineSettings(connections=options.jobs, limit_rate=options.limit_rate)
    outcomes: list[Outcome] = []
    # what packs and sends reads from the sources: it ends before they are closed
    with ExitStack() as sources, ExitStack() as stack:
        engine = CurlEngine(settings)
        stack.callback(engine.close)
        kept = open_memory(os.environ)
        stack.callback(kept.close)
        memory = kept if options.memory else Forgetful()
        journal = kept if options.resume else None
        packer = LatePacker(options.method, wake=engine.wake, keep=not options.all_layers)
        stack.callback(packer.close)
        tools = Tools(engine, memory, journal, packer, {})
        stack.callback(stop.wakes, None)
        stop.wakes(engine.wake)
        try:
            patience = _Patience(stop)
            errands = Preparation(options, reporter, patience.check, tools).errands(sources)
            for number, errand in enumerate(errands):
                last = not any(_is_of(errand, other) for other in errands[number + 1 :])
                outcome = _outcome(errand, options, reporter, patience, tools, last=last)
                outcomes.append(outcome)
                reporter.emit(outcome)
        except Failed as failed:
            outcomes.append(failed.failure)
            reporter.emit(failed.failure)
    if len(outcomes) > 1:
        reporter.emit(RunEnded(tuple(outcomes), time.monotonic() - began))
    return tuple(outcomes)


def _is_of(errand: Errand | PushFailure, other: Errand | PushFailure) -> bool:
    """Whether both need the packed layers of one image."""
    both = isinstance(errand, Errand) and isinstance(other, Errand)
    return both and errand.image is other.image


def _outcome(
    errand: Errand | PushFailure,
    options: PushOptions,
    reporter: Reporter,
    patience: _Patience,
    tools: Tools,
    *,
    last: bool,
) -> Outcome:
    """What became of one errand. Raises Failed for a failure after which the others stop."""
    if isinstance(errand, PushFailure):
        return errand
    try:
        return _push(errand, options, reporter, patience, tools, last=last)
    except Failed as failed:
        if not options.keep_going or isinstance(failed.failure.error, Interrupted):
            raise
        return failed.failure


class _Patience:
    """Ends long work outside of a loop, too: when someone asks to stop, or the time is over."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop
        self.loop: Loop | None = None

    def check(self) -> None:
        """Raise Interrupted or DeadlinePassed."""
        self.stop.check()
        if self.loop is not None:
            self.loop.check_deadline()


def _push(
    errand: Errand,
    options: PushOptions,
    reporter: Reporter,
    patience: _Patience,
    tools: Tools,
    *,
    last: bool,
) -> PushResult:
    session = errand.session
    loop = patience.loop = Loop(session.engine, check=patience.stop.check)
    session.begin_image(loop)
    image, push = errand.image, None
    try:
        while True:
            layers = Layers(
                image, tools.packer, tools.memory, tools.recent, all_layers=options.all_layers
            )
            push = ImagePush(image, errand.destination, session, loop, reporter, layers, push)
            loop.ticks(push.tick, reporter.interval)
            steps = push.rehearse() if options.dry_run else push.push(verify=options.verify)
            try:
                result = loop.run(steps, options.timeout)
                # the image is there: what the cleaning up comes to is no matter any more
                _clean_up(push, session.engine)
                session.remember()
                if last:
                    layers.release()
                return result
            except LayersElsewhere:
                _clean_up(push, session.engine)
                assert image.export is not None
                image = image.export()
    except DeadlinePassed:
        error: PushError = _timed_out(errand, options)
    except PushError as failure:
        error = failure
    if push is not None:
        _clean_up(push, session.engine)
    session.remember()
    raise Failed(PushFailure(errand.image.label, errand.destination.reference, error)) from error


def _clean_up(push: ImagePush, engine: Engine) -> None:
    """Close the upload sessions that are left, on a loop that nothing stops but its short time.

    The push's own end is what counts; a session that stays open is purged by the registry.
    """
    loop = Loop(engine, check=lambda: None)
    with suppress(PushError, DeadlinePassed):
        loop.run(push.clean_up(loop), _CLEAN_UP_SECONDS)


def _timed_out(errand: Errand, options: PushOptions) -> PushTimeout:
    trouble = errand.session.last_trouble
    passed = f"the timeout of {options.timeout:g} s passed"
    return PushTimeout(
        f"`{errand.destination.reference}` was not pushed in time",
        f"{passed}; the last trouble was: {trouble}" if trouble else passed,
        "give it longer with `--timeout`; running the command again goes on where it stopped",
    )
