"""A whole run: one engine, one loop, one memory, and the course of all pushes over them."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress

from idpbuilder.errors import Interrupted, PushError
from idpbuilder.memory import Forgetful, open_memory
from idpbuilder.push.course import Course
from idpbuilder.push.errand import CLEAN_UP_SECONDS
from idpbuilder.push.events import Reporter, RunEnded
from idpbuilder.push.late import LatePacker
from idpbuilder.push.options import PushOptions
from idpbuilder.push.patience import Patience
from idpbuilder.push.prepare import Failed
from idpbuilder.push.result import Outcome, PushFailure
from idpbuilder.push.stop import Stop
from idpbuilder.push.tasks import Deadline, DeadlinePassed, Loop
from idpbuilder.push.tools import Tools
from idpbuilder.transport.curl import CurlEngine
from idpbuilder.transport.settings import EngineSettings
from idpbuilder.wire import Engine


def run(options: PushOptions, reporter: Reporter, stop: Stop) -> tuple[Outcome, ...]:
    """Push every image of `options` to its destinations, many at once.

    What becomes of each is emitted when it is known, and all of it returned, in the order in which
    it was asked for. The first failure ends the others, unless they are to go on; what was under
    way then has no outcome. What can be known to be wrong is found before anything is sent.
    """
    began = time.monotonic()
    trace = options.trace
    settings = EngineSettings(
        connections=options.jobs, limit_rate=options.limit_rate, timed=trace is not None
    )
    with ExitStack() as sources, ExitStack() as stack:
        engine: Engine = CurlEngine(settings)
        if trace is not None:
            from idpbuilder.push.traced import TracedEngine, TracedReporter

            engine, reporter = TracedEngine(engine, trace), TracedReporter(reporter, trace)
        stack.callback(engine.close)
        kept = open_memory(os.environ)
        stack.callback(kept.close)
        memory = kept if options.memory else Forgetful()
        journal = kept if options.resume else None
        packer = LatePacker(
            options.method,
            wake=engine.wake,
            keep=not options.all_layers,
            stage=trace.packing if trace else None,
        )
        tools = Tools(engine, memory, journal, packer, {})
        stack.callback(stop.wakes, None)
        stop.wakes(engine.wake)
        loop = Loop(engine, check=stop.check)
        course = Course(options, reporter, tools, loop, Patience(stop, loop))
        # what packs and sends reads from the sources: it ends before they are closed
        sources.callback(course.close)
        stack.callback(packer.close)
        outcomes = _carry_out(course, reporter, loop, engine)
    if course.began_several:
        reached = [one for one in outcomes if not _is_interruption(one)]
        left = course.total - len(reached)
        reporter.emit(RunEnded(tuple(reached), time.monotonic() - began, left))
    return outcomes


def _carry_out(
    course: Course, reporter: Reporter, loop: Loop, engine: Engine
) -> tuple[Outcome, ...]:
    stopped: list[Outcome] = []
    try:
        course.look()
        loop.run(course.steps())
    except Failed as failed:
        if failed.failure not in course.outcomes.values():
            reporter.emit(failed.failure)
            stopped.append(failed.failure)
    except Interrupted as error:
        if not course.is_told:
            stopped.append(course.interrupted(error))
            reporter.emit(stopped[0])
    course.remember()
    # on a loop that nothing stops but its short time
    cleaning = Loop(engine, check=lambda: None)
    with suppress(PushError, DeadlinePassed):
        cleaning.run(course.clean_up(cleaning), Deadline(CLEAN_UP_SECONDS))
    return (*(course.outcomes[place] for place in sorted(course.outcomes)), *stopped)


def _is_interruption(outcome: Outcome) -> bool:
    return isinstance(outcome, PushFailure) and isinstance(outcome.error, Interrupted)
