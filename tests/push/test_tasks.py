"""Many conversations on one loop."""

from __future__ import annotations

import pytest

from idpbuilder.push.tasks import DeadlinePassed, Loop, Sleep, Steps, join, send
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
        loop.run(main(), timeout=5.0)
    assert engine.now == 105.0
    assert engine.cancelled == [0]


def test_the_time_goes_on_between_the_runs_of_one_loop() -> None:
    engine = ScriptedEngine(lambda request: response(200))
    loop = a_loop(engine)
    loop.run(send(get("x")), timeout=5.0)
    loop.check_deadline()
    engine.now += 6.0
    with pytest.raises(DeadlinePassed):
        loop.check_deadline()
    with pytest.raises(DeadlinePassed):
        loop.run(send(get("y")), timeout=5.0)


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
