"""Many conversations on one loop."""

from __future__ import annotations

import pytest

from idpbuilder.push.tasks import Deadline, DeadlinePassed, Loop, Sleep, Steps, Until, join, send
from idpbuilder.wire import Request
from tests.push.scripted import ScriptedEngine, response


def nothing() -> None:
    """Nobody asks to stop."""


def a_loop(engine: ScriptedEngine) -> Loop:
    return Loop(engine, check=nothing, clock=engine.clock)


def get(path: str) -> Request:
    return Request("GET", f"http://h/{path}")


def ask(path: str) -> Steps[int]:
    completion = yield from send(get(path))
    assert completion.response is not None
    return completion.response.status


def test_a_task_gets_the_answer_to_its_own_request() -> None:
    engine = ScriptedEngine(lambda request: response(int(request.url[-3:])))
    loop = a_loop(engine)

    def main() -> Steps[list[int]]:
        return (yield from join([loop.spawn(ask(path)) for path in ("200", "404", "503")]))

    assert loop.run(main()) == [200, 404, 503]
    assert engine.most_moving == 3


def test_sleepers_wake_in_the_order_of_their_times() -> None:
    engine = ScriptedEngine(lambda request: None)
    loop, woken = a_loop(engine), list[float]()

    def sleeper(seconds: float) -> Steps[None]:
        yield Sleep(seconds)
        woken.append(engine.now)

    def main() -> Steps[None]:
        yield from join([loop.spawn(sleeper(seconds)) for seconds in (3.0, 1.0, 2.0)])

    loop.run(main())
    assert woken == [1.0, 2.0, 3.0]


def test_the_first_error_ends_a_join_at_once_and_the_rest_is_dropped() -> None:
    engine = ScriptedEngine(lambda request: None)
    loop, closed = a_loop(engine), list[str]()

    def failing() -> Steps[None]:
        yield Sleep(1.0)
        raise ValueError("broken")

    def waiting() -> Steps[None]:
        try:
            yield from send(get("x"))
        finally:
            closed.append("waiting")

    def main() -> Steps[None]:
        yield from join([loop.spawn(waiting()), loop.spawn(failing())])

    with pytest.raises(ValueError, match="broken"):
        loop.run(main())
    assert closed == ["waiting"]
    assert engine.cancelled == [0]


def test_a_join_of_nothing_and_of_what_has_ended_goes_on() -> None:
    engine = ScriptedEngine(lambda request: response(200))
    loop = a_loop(engine)

    def main() -> Steps[list[int]]:
        yield from join([])
        task = loop.spawn(ask("200"))
        yield from join([task])
        return (yield from join([task, task]))

    assert loop.run(main()) == [200, 200]


def test_the_time_counts_from_the_first_request() -> None:
    engine = ScriptedEngine(lambda request: None)
    loop = a_loop(engine)

    def main() -> Steps[None]:
        yield Sleep(100.0)
        yield from send(get("x"))

    with pytest.raises(DeadlinePassed):
        loop.run(main(), Deadline(5.0))
    assert engine.now == 105.0
    assert engine.cancelled == [0]


def ask_after(seconds: float) -> Steps[None]:
    """The clock runs from the request on."""
    yield from send(get("x"))
    yield Sleep(seconds)


def test_the_time_goes_on_between_the_runs_of_one_loop() -> None:
    engine = ScriptedEngine(lambda request: response(200))
    loop = a_loop(engine)
    deadline = Deadline(5.0)
    loop.run(ask_after(3.0), deadline)
    assert deadline.left == 2.0
    with pytest.raises(DeadlinePassed):
        loop.run(ask_after(3.0), deadline)


def test_a_request_to_stop_is_seen_on_the_next_turn() -> None:
    engine = ScriptedEngine(lambda request: None)

    def check() -> None:
        if engine.now >= 3:
            raise KeyboardInterrupt

    loop = Loop(engine, check=check, clock=engine.clock)

    def main() -> Steps[None]:
        while True:
            yield Sleep(1.0)

    with pytest.raises(KeyboardInterrupt):
        loop.run(main())
    assert engine.now == 3.0


def test_ticks_come_while_tasks_run() -> None:
    engine = ScriptedEngine(lambda request: None)
    loop, ticks = a_loop(engine), list[float]()
    loop.ticks(lambda: ticks.append(engine.now), 0.5)

    def main() -> Steps[None]:
        yield Sleep(2.0)

    loop.run(main())
    assert ticks == [0.0, 0.5, 1.0, 1.5]


def test_what_is_left_of_a_scope_is_dropped_when_it_is_over_and_the_others_go_on() -> None:
    engine = ScriptedEngine(lambda request: None)
    loop, told = a_loop(engine), list[str]()

    def lingering(name: str) -> Steps[None]:
        try:
            yield from send(get(name))
        finally:
            told.append(f"{name} dropped at {engine.now:g}")

    def image(name: str, seconds: float) -> Steps[str]:
        loop.spawn(lingering(name))
        yield Sleep(seconds)
        return name

    def main() -> Steps[list[str]]:
        works = [image("first", 1.0), image("second", 2.0)]
        return (yield from join([loop.spawn(loop.scoped(one, Deadline(None))) for one in works]))

    assert loop.run(main()) == ["first", "second"]
    assert told == ["first dropped at 1", "second dropped at 2"]
    assert engine.cancelled == [0, 1]


def test_what_is_shared_outlives_the_scope_that_began_it() -> None:
    engine = ScriptedEngine(lambda request: None)
    loop, shared = a_loop(engine), list[object]()

    def fetch() -> Steps[str]:
        yield Sleep(5.0)
        return "token"

    def image(seconds: float) -> Steps[object]:
        if not shared:
            shared.append(loop.spawn(fetch(), shared=True))
        if seconds:
            yield Sleep(seconds)
            return None
        return (yield from join(shared))  # type: ignore[arg-type]

    def main() -> Steps[list[object]]:
        works = [image(1.0), image(0.0)]
        return (yield from join([loop.spawn(loop.scoped(one, Deadline(None))) for one in works]))

    assert loop.run(main()) == [None, ["token"]]


def test_a_scope_whose_time_is_over_ends_alone() -> None:
    engine = ScriptedEngine(lambda request: None)
    loop = a_loop(engine)

    def main() -> Steps[str]:
        with pytest.raises(DeadlinePassed):
            yield from loop.scoped(send(get("x")), Deadline(5.0))
        yield Sleep(1.0)
        return "went on"

    assert loop.run(main()) == "went on"
    assert engine.now == 6.0


def test_scopes_at_once_share_the_time_so_that_together_they_have_as_long_as_in_turn() -> None:
    engine = ScriptedEngine(lambda request: None)
    loop, ends = a_loop(engine), list[float]()

    def image(deadline: Deadline) -> Steps[None]:
        try:
            yield from loop.scoped(send(get("x")), deadline)
        except DeadlinePassed:
            ends.append(engine.now)

    def main() -> Steps[None]:
        yield from join([loop.spawn(image(Deadline(seconds))) for seconds in (5.0, 5.0, 6.0)])

    loop.run(main())
    assert ends == pytest.approx([15.0, 15.0, 16.0])


def test_a_task_that_cannot_yield_lets_the_others_go_on() -> None:
    engine = ScriptedEngine(lambda request: response(200))
    loop, told = a_loop(engine), list[str]()

    def other() -> Steps[None]:
        for number in range(3):
            yield Sleep(1.0)
            told.append(f"other {number}")

    def busy() -> Steps[None]:
        ticket = engine.submit(get("engine"))
        found = []
        while engine.now < 2.5:
            loop.go_on(0.5)
            found += loop.take_foreign()
        told.append("busy")
        assert [one.ticket for one in found] == [ticket]
        yield Until(lambda: True)

    def main() -> Steps[None]:
        yield from join([loop.spawn(other()), loop.spawn(busy())])

    loop.run(main())
    assert told == ["other 0", "other 1", "busy", "other 2"]


def test_who_waits_for_what_does_not_come_true_goes_on_when_his_time_is_over() -> None:
    engine = ScriptedEngine(lambda request: None)

    def main() -> Steps[None]:
        yield Until(lambda: False, 3.0)

    a_loop(engine).run(main())
    assert engine.now == 3.0
