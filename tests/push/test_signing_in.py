"""Tokens through a long push: renewed before they run out, once, and at the cost of no blob."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from idpbuilder.errors import RegistryFailed, TokenRefused
from idpbuilder.packing.codec import Piece
from idpbuilder.packing.job import Block, PackJob
from idpbuilder.push.blobs import STREAM_FROM
from idpbuilder.push.tasks import Sleep, Steps, Task, join
from idpbuilder.wire import Request
from tests.parts.docker_archives import Saved, save
from tests.parts.exchange import Exchange, Received
from tests.parts.faults import Answer as Fault
from tests.parts.faults import Handle
from tests.parts.images import ImageSpec, write_layout
from tests.parts.memory_registry import MemoryRegistry
from tests.parts.registry_auth import BearerAuth
from tests.parts.token_service import TokenService
from tests.push.conftest import Pusher
from tests.push.scripted import Answer, response
from tests.push.test_pushing import holds
from tests.push.test_session import BEARER, REALM, World, started

USERS = {"u": "p"}
LOGIN = {"username": "u", "password": "p"}


class Tokens:
    """A token service and a registry that takes the newest token alone; `over` ends that too."""

    def __init__(self, **said: object) -> None:
        self.given = 0
        self.over = False
        self.said = said

    def __call__(self, request: Request) -> Answer:
        if request.url.startswith(REALM):
            self.given += 1
            self.over = False
            return response(200, json.dumps({"token": f"T{self.given}", **self.said}).encode())
        good = dict(request.headers).get("Authorization") == f"Bearer T{self.given}"
        return response(200) if good and not self.over else BEARER


def asked(world: World) -> list[str]:
    """`token` for a fetch, else the header's token; "" without one."""
    return [
        "token"
        if request.url.startswith(REALM)
        else dict(request.headers).get("Authorization", "").removeprefix("Bearer ")
        for request in world.engine.requests
    ]


def spread(world: World, *seconds: float) -> Steps[list[bool]]:
    """Ask, again after each of `seconds`."""
    found = [(yield from world.ask())]
    for pause in seconds:
        yield Sleep(pause)
        found.append((yield from world.ask()))
    return found


@pytest.mark.parametrize(("said", "pause"), [({"expires_in": 300}, 144.0), ({}, 24.0)])
def test_a_token_that_runs_out_in_mid_push_is_renewed_before_the_next_request(
    said: dict[str, object], pause: float
) -> None:
    world = World(Tokens(**said))
    assert world.loop.run(spread(world, pause, pause, pause)) == [True] * 4
    assert asked(world) == ["", "token", "T1", "T1", "T1", "token", "T2"]


def test_a_token_that_ran_out_is_renewed_once_for_all_who_go_on() -> None:
    world = World(Tokens(expires_in=300))

    def main() -> Steps[list[bool]]:
        yield from world.ask()
        yield Sleep(295.0)
        tasks: list[Task[bool]] = [world.loop.spawn(world.ask()) for _ in range(10)]
        return (yield from join(tasks))

    assert world.loop.run(main()) == [True] * 10
    assert asked(world) == ["", "token", "T1", "token", *["T2"] * 10]


def test_many_401s_to_one_token_cost_one_new_token() -> None:
    tokens = Tokens(expires_in=300)
    world = World(tokens)

    def main() -> Steps[list[bool]]:
        yield from world.ask()
        tokens.over = True
        tasks: list[Task[bool]] = [world.loop.spawn(world.ask()) for _ in range(10)]
        return (yield from join(tasks))

    assert world.loop.run(main()) == [True] * 10
    assert asked(world).count("token") == 2
    assert asked(world).count("T2") == 10


def test_other_scopes_have_a_token_of_their_own_and_one_alone() -> None:
    def answer(request: Request) -> Answer:
        if request.url.startswith(REALM):
            return response(200, b'{"token": "T"}')
        if "Authorization" not in dict(request.headers):
            return BEARER
        return response(201) if request.method == "PUT" else started()

    world = World(answer)
    for _ in range(3):
        world.upload(mount_from="team/base")
        world.upload()
    fetches = [request.url for request in world.engine.requests if request.url.startswith(REALM)]
    assert len(fetches) == 2
    assert "team%2Fbase" in fetches[0]
    assert "team%2Fbase" not in fetches[1]


@pytest.mark.parametrize("granted", [True, False])
def test_closing_a_session_asks_for_the_right_to_delete_and_does_without(granted: bool) -> None:
    def answer(request: Request) -> Answer:
        if "delete" in request.url and not granted:
            return response(403)
        if request.url.startswith(REALM):
            token = b"D" if "delete" in request.url else b"T"
            return response(200, b'{"token": "%s"}' % token)
        if "Authorization" not in dict(request.headers):
            return BEARER
        return response(201) if request.method == "PUT" else started()

    world = World(answer)
    world.upload()
    session = "https://registry.example.com/v2/team/app/blobs/uploads/1"
    world.loop.run(world.session.cancel(session, "team/app"))
    last = world.engine.requests[-1]
    assert last.method == "DELETE"
    assert dict(last.headers)["Authorization"] == ("Bearer D" if granted else "Bearer T")


def test_a_token_service_in_trouble_is_asked_again_and_blamed_in_the_end() -> None:
    def answer(request: Request) -> Answer:
        return response(503) if request.url.startswith(REALM) else BEARER

    world = World(answer, retries=2)
    with pytest.raises(RegistryFailed) as caught:
        world.has_blob()
    assert caught.value.message == f"the token service {REALM} could not be asked: it answered 503"
    assert asked(world) == ["", "token", "token", "token"]


def test_a_refused_token_ends_everybody_who_waited_for_it() -> None:
    def answer(request: Request) -> Answer:
        return response(403) if request.url.startswith(REALM) else BEARER

    world = World(answer)

    def main() -> Steps[list[bool]]:
        return (yield from join([world.loop.spawn(world.ask()) for _ in range(3)]))

    with pytest.raises(TokenRefused):
        world.loop.run(main())
    assert asked(world).count("token") == 1


# -- whole pushes


@dataclass(frozen=True, slots=True)
class Revoke:
    """All tokens are over when this request comes."""

    tokens: TokenService

    def apply(self, exchange: Exchange, handle: Handle) -> None:
        self.tokens.revoke_all()
        handle(exchange)


@pytest.mark.parametrize("harbor", [None, 'Basic realm="harbor"'])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "uploads"), ("PUT", "uploads"), ("PUT", "manifests")]
)
def test_a_401_in_mid_push_costs_one_token_and_no_blob(
    method: str, path: str, harbor: str | None, pusher: Pusher, tmp_path: Path
) -> None:
    image = write_layout(tmp_path / "image", [ImageSpec(layers=(3_000_000, 400_000, 5000, 6000))])
    with TokenService(USERS) as tokens:
        with MemoryRegistry(auth=BearerAuth(tokens, after_bad_token=harbor)) as registry:
            registry.fault(Revoke(tokens), method=method, path=path, match=signed_in)
            pusher.push(image.path, f"{registry.host}/team/app:v1", **LOGIN)
            assert holds(registry, "team/app", image)
            opened = [one for one in registry.seen("POST", "uploads") if one.status == 202]
            stored = [one for one in registry.seen("PUT", "uploads") if one.status == 201]
            assert (len(opened), len(stored)) == (5, 5)
            assert registry.open_uploads("team/app") == 0
        assert [request.status for request in tokens.requests] == [200, 200]


def signed_in(request: Received) -> bool:
    """Whether it is not the very first question."""
    return request.authorization is not None


def packing_waits_for(registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """No layer's second block is packed before the registry was sent some of the first."""
    pack, patience = PackJob.pack, threading.Event()

    def wait_and_pack(self: PackJob, block: Block) -> Piece | None:
        for _ in range(1000 if block.number else 0):
            if registry.seen("PATCH"):
                break
            patience.wait(0.01)
        return pack(self, block)

    monkeypatch.setattr(PackJob, "pack", wait_and_pack)


def test_a_401_to_a_layer_that_is_sent_while_it_is_packed_costs_one_token(
    pusher: Pusher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = save(tmp_path / "app.tar", [Saved(layers=(STREAM_FROM + 300_000, 3000))])
    with TokenService(USERS) as tokens, MemoryRegistry(auth=BearerAuth(tokens)) as registry:
        packing_waits_for(registry, monkeypatch)
        registry.fault(Revoke(tokens), method="PATCH")
        pusher.push(saved.path, f"{registry.host}/team/app:v1", **LOGIN)
        assert registry.tags("team/app") == ["v1"]
        assert [one.status for one in registry.seen("PATCH")] == [401, 202]
        assert [request.status for request in tokens.requests] == [200, 200]
        assert registry.open_uploads("team/app") == 0


def test_a_token_service_that_is_busy_for_a_moment_is_waited_for(
    pusher: Pusher, tmp_path: Path
) -> None:
    image = write_layout(tmp_path / "image", [ImageSpec()])
    with TokenService(USERS) as tokens, MemoryRegistry(auth=BearerAuth(tokens)) as registry:
        tokens.fault(Fault(503), times=1)
        pusher.push(image.path, f"{registry.host}/team/app:v1", **LOGIN)
        assert holds(registry, "team/app", image)
        assert [request.status for request in tokens.requests] == [503, 200]
