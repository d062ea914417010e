"""How many times a push waits for the registry, one answer after the other: its round trips."""

from __future__ import annotations

from pathlib import Path

import pytest

from idpbuilder.image import Reference
from idpbuilder.memory import Forgetful
from idpbuilder.packing.method import Method
from idpbuilder.push.destination import Destination
from idpbuilder.push.events import Teller
from idpbuilder.push.late import LatePacker
from idpbuilder.push.layers import Layers
from idpbuilder.push.pushing import ImagePush
from idpbuilder.push.registry import Registry, RegistryOptions
from idpbuilder.push.session import RegistrySession
from idpbuilder.push.tasks import Loop
from idpbuilder.registry.habits import Habits, Probe
from idpbuilder.registry.retry import RetryPolicy
from idpbuilder.source import open_source
from idpbuilder.wire import Completion, Request, Trust
from tests.parts.images import ImageSpec, write_layout
from tests.push.conftest import Recorder
from tests.push.scripted import Answer, ScriptedEngine, response

MIB = 1024 * 1024


class RoundsEngine(ScriptedEngine):
    """Everything that was asked by then is answered at once, a round trip later."""

    rounds = 0

    def poll(self, timeout: float | None) -> list[Completion]:
        assert self._done, "nothing was asked"
        self.rounds += 1
        done = list(self._done)
        self._done.clear()
        return done


def an_empty_registry(request: Request) -> Answer:
    if request.method == "HEAD":
        return response(404)
    if request.method == "POST":
        return response(202, Location="/v2/team/app/blobs/uploads/1")
    return response(201)


def rounds(folder: Path, layers: tuple[int, ...], habits: Habits) -> int:
    """The rounds of a push into an empty registry."""
    layout = write_layout(folder / "image", [ImageSpec(layers)])
    engine = RoundsEngine(an_empty_registry)
    loop = Loop(engine, check=lambda: None, clock=engine.clock)
    registry = Registry(
        "registry.example.com",
        RegistryOptions(RetryPolicy(0), Trust()),
        lambda: None,
        loop,
        Forgetful(),
        None,
        engine.clock,
    )
    registry.habits = habits
    session = RegistrySession(registry, lambda text: None)
    packer = LatePacker(Method.choose(), wake=engine.wake)
    with open_source(f"oci:{layout.path}", None, lambda: None) as (image,):
        known = Layers(image, packer, Forgetful(), {}, all_layers=False)
        place = Destination(Reference.parse("registry.example.com/team/app:v1"))
        push = ImagePush(image, place, session, loop, Teller(Recorder()), known)
        loop.run(push.push(verify=False))
    packer.close()
    return engine.rounds


@pytest.mark.parametrize(
    ("layers", "probe", "expected"),
    [
        # the root, every session, every body, the manifest
        pytest.param((1_000,) * 60, Probe.UNKNOWN, 4, id="many small layers"),
        pytest.param((MIB,) * 3, Probe.HONEST, 4, id="large layers where probes are honest"),
        # every blob is asked for before its body goes out
        pytest.param((MIB,) * 3, Probe.UNKNOWN, 5, id="large layers where they may not be"),
        pytest.param((1_000,) * 65, Probe.UNKNOWN, 6, id="more than are begun at once"),
    ],
)
def test_a_push_takes_so_many_round_trips(
    layers: tuple[int, ...], probe: Probe, expected: int, tmp_path: Path
) -> None:
    assert rounds(tmp_path, layers, Habits(probe=probe)) == expected
