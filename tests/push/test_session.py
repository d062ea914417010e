"""One registry through a run: signing in, trying again, and falling back to plain HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from idpbuilder.errors import PushError, RegistryFailed, TlsFailed, Unauthorized, Unreachable
from idpbuilder.image import Digest
from idpbuilder.memory import Forgetful
from idpbuilder.push.registry import Registry, RegistryOptions
from idpbuilder.push.session import RegistrySession
from idpbuilder.push.tasks import Loop, Sleep, Steps, Task, join
from idpbuilder.registry.credentials import Credentials
from idpbuilder.registry.habits import Habits, Probe
from idpbuilder.registry.lookup import has_blob
from idpbuilder.registry.retry import RetryPolicy, Setback
from idpbuilder.registry.upload import BlobUpload
from idpbuilder.registry.upload_state import State
from idpbuilder.wire import (
    BytesBody,
    Completion,
    FailureKind,
    Request,
    TransportFailure,
    Trust,
)
from tests.push.scripted import BROKEN, Answer, ScriptedEngine, in_turn, response

DIGEST = Digest.of(b"a layer")
ALICE = Credentials("a test", "alice", "s3cret")
NOT_TLS = TransportFailure(FailureKind.NOT_TLS, "it does not speak TLS")
BASIC = response(401, WWW_Authenticate="Basic realm=x")
REALM = "https://auth.example.com/token"
BEARER = response(401, WWW_Authenticate=f'Bearer realm="{REALM}",service=s')


@dataclass
class World:
    """A session, its engine, and what it noted."""

    answer: Callable[[Request], Answer]
    registry: str = "registry.example.com"
    credentials: Credentials | None = ALICE
    insecure: bool = False
    scheme: str = ""
    retries: int = 10
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = ScriptedEngine(self.answer)
        self.loop = Loop(self.engine, check=lambda: None, clock=self.engine.clock)
        policy = RetryPolicy(self.retries, chance=lambda: 0.5)
        self.shared = Registry(
            self.registry,
            RegistryOptions(policy, Trust(), self.insecure, self.scheme),
            lambda: self.credentials,
            self.loop,
            Forgetful(),
            None,
            self.engine.clock,
        )
        self.session = RegistrySession(self.shared, self.notes.append)

    def has_blob(self) -> bool:
        return self.loop.run(self.ask())

    def ask(self) -> Steps[bool]:
        inquiry = has_blob(self.shared.endpoint, "team/app", DIGEST, Trust())
        return (yield from self.session.inquire(inquiry))

    def upload(self, habits: Habits | None = None, mount_from: str | None = None) -> BlobUpload:
        machine = BlobUpload(
            self.shared.endpoint,
            "team/app",
            DIGEST,
            BytesBody(b"a layer"),
            habits=habits or Habits(probe=Probe.HONEST),
            trust=Trust(),
            mount_from=mount_from,
        )
        self.loop.run(self.session.drive(machine))
        return machine

    def headers(self) -> list[str | None]:
        return [dict(request.headers).get("Authorization") for request in self.engine.requests]


def started() -> Answer:
    return response(202, Location="/v2/team/app/blobs/uploads/1")


def test_trouble_that_passes_is_waited_out_with_growing_delays() -> None:
    world = World(in_turn(response(503), BROKEN, response(500), response(200)))
    assert world.has_blob()
    assert world.engine.now == pytest.approx(0.5 + 1 + 2)
    assert world.session.tally.retries == 3
    assert "retry 1 of 10 in 0.5 s" in "\n".join(world.notes)


def test_trouble_that_stays_ends_after_the_given_number_of_retries() -> None:
    world = World(lambda request: response(500), retries=3)
    with pytest.raises(RegistryFailed, match="answered 500"):
        world.has_blob()
    assert len(world.engine.requests) == 4


def test_no_retries_means_one_try() -> None:
    world = World(lambda request: BROKEN, retries=0)
    with pytest.raises(Unreachable):
        world.has_blob()
    assert len(world.engine.requests) == 1


def test_retry_after_is_obeyed_on_bodies_too() -> None:
    limited = response(429, Retry_After="40")
    world = World(in_turn(started(), limited, response(404), started(), response(201)))
    assert world.upload().state is State.DONE
    assert world.engine.now == 40
    assert [line.split()[0] for line in world.engine.lines] == [
        "POST",
        "PUT",
        "HEAD",
        "POST",
        "PUT",
    ]


def test_a_success_before_the_body_was_whole_is_a_broken_body() -> None:
    early = Completion(0, response(202), None, 2, False, 0.0)
    world = World(in_turn(started(), early, response(404), started(), response(201)))
    assert world.upload().state is State.DONE
    assert world.session.tally.retries == 1


def test_an_upload_that_breaks_for_ever_comes_to_an_end() -> None:
    def answer(request: Request) -> Answer:
        if request.method == "PUT":
            return BROKEN
        return response(404) if request.method == "HEAD" else started()

    world = World(answer, retries=3)
    with pytest.raises(Unreachable):
        world.upload()
    assert [item.method for item in world.engine.requests].count("PUT") == 4


def test_what_is_sent_again_is_looked_at_first() -> None:
    looked: list[Setback] = []

    def recheck(setback: Setback) -> Steps[None]:
        looked.append(setback)
        yield from ()
        raise ValueError("changed")

    world = World(in_turn(started(), BROKEN))
    machine = BlobUpload(
        world.shared.endpoint, "a", DIGEST, BytesBody(b""), habits=Habits(), trust=Trust()
    )
    with pytest.raises(ValueError, match="changed"):
        world.loop.run(world.session.drive(machine, recheck=recheck))
    assert len(looked) == 1


def test_a_basic_challenge_is_answered_and_remembered() -> None:
    world = World(in_turn(BASIC, response(200), response(200)))
    assert world.has_blob()
    assert world.has_blob()
    assert [header is not None for header in world.headers()] == [False, True, True]
    assert any(note.startswith("auth: basic with a test") for note in world.notes)


def test_a_wrong_password_is_sent_once() -> None:
    world = World(lambda request: BASIC)
    with pytest.raises(Unauthorized):
        world.has_blob()
    assert len(world.engine.requests) == 2


def bearer(request: Request) -> Answer:
    if request.url.startswith(REALM):
        return response(200, b'{"token": "T"}')
    return response(200) if "Bearer T" in dict(request.headers).values() else BEARER


def test_a_token_is_fetched_once_for_all_who_wait_for_it() -> None:
    world = World(bearer)
    tasks: list[Task[bool]] = []

    def main() -> Steps[list[bool]]:
        tasks.extend(world.loop.spawn(world.ask()) for _ in range(10))
        return (yield from join(tasks))

    assert world.loop.run(main()) == [True] * 10
    fetches = [item for item in world.engine.requests if item.url.startswith(REALM)]
    assert len(fetches) == 1


def test_a_token_that_is_refused_is_renewed_once_and_the_request_sent_again() -> None:
    answers = [
        BEARER,
        response(200, b'{"token": "old"}'),
        BEARER,
        response(200, b'{"token": "new"}'),
        response(200),
    ]
    world = World(in_turn(*answers))
    assert world.has_blob()
    assert [h for h in world.headers() if h and h.startswith("Bearer")] == [
        "Bearer old",
        "Bearer new",
    ]


def test_a_registry_that_takes_no_token_is_not_asked_for_ever() -> None:
    def answer(request: Request) -> Answer:
        return response(200, b'{"token": "T"}') if request.url.startswith(REALM) else BEARER

    world = World(answer)
    with pytest.raises(Unauthorized):
        world.has_blob()
    assert len(world.engine.requests) == 5


def test_a_401_on_a_body_costs_one_new_token_and_no_new_session() -> None:
    puts = iter([BEARER, response(201)])

    def answer(request: Request) -> Answer:
        if request.url.startswith(REALM):
            return response(200, b'{"token": "T"}')
        if request.method == "PUT":
            return next(puts)
        return started() if dict(request.headers).get("Authorization") else BEARER

    world = World(answer)
    assert world.upload().state is State.DONE
    methods = [item.method for item in world.engine.requests if "auth." not in item.url]
    assert methods == ["POST", "POST", "PUT", "PUT"]


def test_a_mount_whose_token_is_refused_is_no_failure_to_sign_in() -> None:
    def answer(request: Request) -> Answer:
        if request.url.startswith(REALM):
            refused = "team%2Fbase" in request.url
            return response(403) if refused else response(200, b'{"token": "T"}')
        if "Authorization" not in dict(request.headers):
            return BEARER
        return response(201) if request.method == "PUT" else started()

    world = World(answer)
    assert world.upload().state is State.DONE
    habits = Habits(probe=Probe.HONEST)
    assert world.upload(habits, mount_from="team/base").state is State.DONE
    assert habits.refused_sources == {"team/base"}


def test_a_401_without_a_challenge_is_asked_of_the_ping() -> None:
    world = World(in_turn(response(401), BASIC, response(200)))
    assert world.has_blob()
    assert world.engine.lines[1] == "GET /v2/"


def test_a_401_that_even_the_ping_does_not_explain_ends_the_push() -> None:
    world = World(in_turn(response(401), response(200)))
    with pytest.raises(Unauthorized):
        world.has_blob()


@pytest.mark.parametrize("registry", ["localhost:5000", "127.0.0.1:5000", "[::1]:5000"])
def test_loopback_goes_on_without_tls_when_it_speaks_none(registry: str) -> None:
    world = World(in_turn(NOT_TLS, response(200), response(200)), registry=registry)
    assert world.has_blob()
    assert world.has_blob()
    schemes = [request.url.partition(":")[0] for request in world.engine.requests]
    assert schemes == ["https", "http", "http"]


def test_another_machine_without_tls_is_an_error_with_the_way_out() -> None:
    world = World(lambda request: NOT_TLS)
    with pytest.raises(TlsFailed) as caught:
        world.has_blob()
    assert "http://registry.example.com" in caught.value.hint
    assert len(world.engine.requests) == 1


def test_insecure_allows_plain_http_only_where_tls_is_not_spoken() -> None:
    world = World(in_turn(NOT_TLS, response(200)), insecure=True)
    assert world.has_blob()
    refused = TransportFailure(FailureKind.CERTIFICATE, "self-signed")
    with pytest.raises(TlsFailed):
        World(lambda request: refused, insecure=True).has_blob()


def test_a_registry_that_spoke_tls_once_is_never_spoken_to_without() -> None:
    world = World(in_turn(response(503), NOT_TLS), insecure=True)
    with pytest.raises(TlsFailed):
        world.has_blob()


def test_a_scheme_in_the_prefix_is_the_only_one() -> None:
    world = World(in_turn(response(200)), registry="10.0.0.1:80", scheme="http")
    assert world.has_blob()
    assert world.engine.requests[0].url.startswith("http://10.0.0.1:80/")
    with pytest.raises(PushError):
        World(lambda request: NOT_TLS, registry="localhost:1", scheme="https").has_blob()


def test_no_note_holds_a_secret_or_a_query() -> None:
    world = World(bearer)
    world.has_blob()
    told = "\n".join(world.notes)
    for secret in ("s3cret", "Bearer T", "account", "scope"):
        assert secret not in told


def test_a_secret_never_follows_a_location_to_another_host() -> None:
    elsewhere = response(202, Location="https://cdn.example.com/u?sig=1")
    world = World(in_turn(BASIC, elsewhere, response(201)))
    assert world.upload().state is State.DONE
    assert [header is not None for header in world.headers()] == [False, True, False]


@pytest.mark.parametrize("status", [429, 503])
def test_when_the_registry_asks_for_quiet_nobody_asks_it_anything(status: int) -> None:
    asked: list[float] = []
    answers = iter([response(status, Retry_After="30"), response(404), response(404)])

    def answer(request: Request) -> Answer:
        asked.append(world.engine.now)
        return next(answers)

    world = World(answer, credentials=None)

    def later() -> Steps[bool]:
        yield Sleep(5.0)
        return (yield from world.ask())

    def both() -> Steps[list[bool]]:
        return (yield from join([world.loop.spawn(world.ask()), world.loop.spawn(later())]))

    assert world.loop.run(both()) == [False, False]
    assert asked == [0.0, 30.0, 30.0]


def test_one_that_is_refused_again_and_again_holds_up_nobody_for_as_long_as_itself() -> None:
    asked: list[float] = []
    answers = iter([*[response(429)] * 3, response(404), response(404)])

    def answer(request: Request) -> Answer:
        asked.append(world.engine.now)
        return next(answers)

    world = World(answer, credentials=None)

    def other() -> Steps[bool]:
        yield Sleep(1.6)
        return (yield from world.ask())

    def both() -> Steps[list[bool]]:
        return (yield from join([world.loop.spawn(world.ask()), world.loop.spawn(other())]))

    assert world.loop.run(both()) == [False, False]
    # its own waits are 0.5, 1 and 2 s; the other one waits 0.5 s after its third refusal
    assert asked == [0.0, 0.5, 1.5, 2.0, 3.5]


def test_requests_that_were_dropped_do_not_count_as_trouble() -> None:
    world = World(lambda request: None, credentials=None)

    def failing() -> Steps[None]:
        yield Sleep(1.0)
        raise Unreachable("another conversation failed", "it is a test")

    def both() -> Steps[None]:
        asked = [world.loop.spawn(world.ask()) for _ in range(4)]
        yield from join([*asked, world.loop.spawn(failing())])

    with pytest.raises(Unreachable):
        world.loop.run(both())
    assert world.engine.cancelled == [0, 1, 2, 3]
    for _ in range(100):
        assert world.shared.pace.lets_send
        world.shared.pace.sent()


def test_a_registry_without_tls_is_not_taken_for_one_in_trouble() -> None:
    world = World(in_turn(NOT_TLS, response(200)), registry="localhost:5000")
    assert world.has_blob()
    for _ in range(100):
        assert world.shared.pace.lets_send
        world.shared.pace.sent()
