"""Pushes that meet trouble: nothing lost, nothing half-written, and an error that helps."""

from __future__ import annotations

import base64
import json
import signal
import threading
from pathlib import Path

import pytest

from idpbuilder import errors
from idpbuilder.errors import PushError
from idpbuilder.push.events import Event, LayerEnded
from idpbuilder.registry import retry
from tests.parts.certificates import Certificates
from tests.parts.faults import (
    Action,
    Answer,
    AnswerAfterBody,
    CloseHalf,
    Garbage,
    Handled,
    Hang,
    Html,
    Reset,
)
from tests.parts.images import ImageSpec, IndexSpec, Layout, write_layout
from tests.parts.listeners import ClosesAtOnce, EmptyHttp, NeverAnswers, closed_port
from tests.parts.manners import Manners
from tests.parts.memory_registry import MemoryRegistry
from tests.parts.registry_auth import BasicAuth, BearerAuth
from tests.parts.token_service import TokenManners, TokenService
from tests.push.conftest import Pusher
from tests.push.test_pushing import holds

LARGE = 4_000_000


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once: their delays have tests of their own, on a clock."""

    def delay(self: retry.RetryPolicy, made: int, retry_after: float | None = None) -> float | None:
        return None if made >= self.retries else 0.0

    monkeypatch.setattr(retry.RetryPolicy, "delay", delay)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return write_layout(tmp_path / "image", [ImageSpec(layers=(LARGE, 5000, 6000))])


SOME_TROUBLE: list[Action] = [
    Answer(503),
    Answer(500, then="reset"),
    AnswerAfterBody(429, headers={"Retry-After": "1"}),
    AnswerAfterBody(502, "<html>bad gateway</html>"),
    Reset(),
    CloseHalf(),
    Garbage(),
    Garbage(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234"),
    Handled(Reset()),
    Handled(AnswerAfterBody(504)),
]


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT"])
@pytest.mark.parametrize("action", SOME_TROUBLE, ids=str)
def test_trouble_that_passes_costs_tries_and_nothing_else(
    action: Action, method: str, registry: MemoryRegistry, pusher: Pusher, layout: Layout
) -> None:
    for skip in (0, 1, 2):
        registry.fault(action, method=method, skip=skip)
    pusher.push(layout.path, f"{registry.host}/team/app:v1")
    assert holds(registry, "team/app", layout)


@pytest.mark.parametrize("after", [0, 1, 65536, 1_000_000, LARGE - 1])
@pytest.mark.parametrize("kind", [Reset, CloseHalf])
def test_a_body_that_breaks_anywhere_is_sent_again_whole(
    kind: type[Reset], after: int, registry: MemoryRegistry, pusher: Pusher, layout: Layout
) -> None:
    digest = layout.image.layers[0]
    registry.fault(kind(after), method="PUT", match=lambda r: r.first("digest") == digest, times=2)
    result = pusher.push(layout.path, f"{registry.host}/team/app:v1")
    assert holds(registry, "team/app", layout)
    assert result.retries >= 2


def test_a_success_in_mid_body_is_not_believed(
    registry: MemoryRegistry, pusher: Pusher, layout: Layout
) -> None:
    digest = layout.image.layers[0]
    registry.fault(Answer(201), method="PUT", match=lambda r: r.first("digest") == digest)
    pusher.push(layout.path, f"{registry.host}/team/app:v1")
    assert holds(registry, "team/app", layout)


@pytest.mark.parametrize("path", ["blobs/uploads/", "manifests/v1"])
@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (AnswerAfterBody(403, {"errors": [{"code": "DENIED"}]}), errors.Forbidden),
        (AnswerAfterBody(404, {"errors": [{"code": "NAME_UNKNOWN"}]}), errors.RepositoryNotFound),
        (AnswerAfterBody(413), errors.BodyTooLarge),
        (AnswerAfterBody(429), errors.RateLimited),
        (Html(500), errors.RegistryFailed),
        (Html(200), errors.PushError),
        (Reset(), errors.Unreachable),
    ],
    ids=str,
)
def test_trouble_that_stays_leaves_the_tag_as_it_was(
    action: Action,
    kind: type[PushError],
    path: str,
    registry: MemoryRegistry,
    pusher: Pusher,
    layout: Layout,
) -> None:
    method = "POST" if path.startswith("blobs") else "PUT"
    registry.fault(action, method=method, path=path, times=None)
    error = pusher.fails(layout.path, f"{registry.host}/team/app:v1", retries=2)
    assert isinstance(error, kind)
    assert error.hint
    assert registry.tags("team/app") == []
    assert registry.open_uploads("team/app") == 0


def test_a_body_refused_in_its_middle_is_a_clear_error(pusher: Pusher, layout: Layout) -> None:
    with MemoryRegistry(Manners(body_max=1_000_000)) as registry:
        error = pusher.fails(layout.path, f"{registry.host}/team/app:v1")
        assert isinstance(error, errors.BodyTooLarge)
        assert "413" in error.message
        assert registry.tags("team/app") == []


def test_a_failed_push_leaves_the_old_image_under_its_tag(
    registry: MemoryRegistry, pusher: Pusher, layout: Layout, tmp_path: Path
) -> None:
    old = write_layout(tmp_path / "old", [ImageSpec(seed=5)])
    pusher.push(old.path, f"{registry.host}/team/app:v1")
    registry.fault(AnswerAfterBody(403), method="POST", times=None)
    pusher.fails(layout.path, f"{registry.host}/team/app:v1")
    assert holds(registry, "team/app", old)


def test_a_blob_that_the_registry_forgets_before_the_manifest_is_sent_again(
    registry: MemoryRegistry, pusher: Pusher, layout: Layout
) -> None:
    lost = layout.image.layers[1]

    def lose(event: Event) -> None:
        if isinstance(event, LayerEnded) and event.number == 2:
            registry.repository("team/app").blobs.pop(lost, None)
            pusher.recorder.on_event = lambda event: None

    pusher.recorder.on_event = lose
    pusher.push(layout.path, f"{registry.host}/team/app:v1")
    assert holds(registry, "team/app", layout)
    assert pusher.recorder.layers == ["pushed"] * 3


def test_a_layer_that_is_not_its_digest_is_the_images_fault(
    registry: MemoryRegistry, pusher: Pusher, layout: Layout
) -> None:
    blob = layout.blob(layout.image.layers[1])
    blob.write_bytes(b"x" * blob.stat().st_size)
    error = pusher.fails(layout.path, f"{registry.host}/team/app:v1")
    assert isinstance(error, errors.ImageInvalid)
    assert layout.image.layers[1] in error.message
    assert registry.tags("team/app") == []


def test_a_registry_that_garbles_a_blob_is_told_apart_from_a_broken_image(
    registry: MemoryRegistry, pusher: Pusher, layout: Layout
) -> None:
    refused = AnswerAfterBody(400, {"errors": [{"code": "DIGEST_INVALID"}]})
    registry.fault(refused, method="PUT", path="blobs", times=None)
    error = pusher.fails(layout.path, f"{registry.host}/team/app:v1", retries=1)
    assert isinstance(error, errors.ContentRefused)
    registry.fault(refused, method="PUT", path="blobs")


def test_a_layer_that_becomes_shorter_while_it_is_sent_is_the_images_fault(
    registry: MemoryRegistry, pusher: Pusher, layout: Layout
) -> None:
    blob = layout.blob(layout.image.layers[0])

    def cut(event: Event) -> None:
        if isinstance(event, LayerEnded):
            with blob.open("rb+") as file:
                file.truncate(1000)

    pusher.recorder.on_event = cut
    error = pusher.fails(layout.path, f"{registry.host}/team/app:v1", limit_rate=8_000_000)
    assert isinstance(error, errors.ImageChanged | errors.ImageInvalid)
    assert registry.tags("team/app") == []


# -- addresses that are no registry


def test_nobody_there_is_a_network_error(pusher: Pusher, layout: Layout) -> None:
    error = pusher.fails(layout.path, f"127.0.0.1:{closed_port()}/app:v1", retries=1)
    assert isinstance(error, errors.Unreachable)


def test_a_name_that_does_not_resolve_is_a_network_error(pusher: Pusher, layout: Layout) -> None:
    error = pusher.fails(layout.path, "registry.invalid/app:v1", retries=0)
    assert isinstance(error, errors.Unreachable)
    assert "registry.invalid" in error.message


def test_a_port_that_hangs_up_is_a_network_error(pusher: Pusher, layout: Layout) -> None:
    with ClosesAtOnce() as listener:
        error = pusher.fails(layout.path, f"{listener.host}/app:v1", retries=1)
    assert isinstance(error, errors.NetworkError)


def test_a_port_that_never_answers_runs_into_the_timeout(pusher: Pusher, layout: Layout) -> None:
    with NeverAnswers() as listener:
        error = pusher.fails(layout.path, f"{listener.host}/app:v1", timeout=0.3)
    assert isinstance(error, errors.PushTimeout)
    assert "--timeout" in error.hint


def test_a_web_server_that_is_no_registry_is_a_registry_error(
    pusher: Pusher, layout: Layout
) -> None:
    with EmptyHttp() as listener:
        error = pusher.fails(layout.path, f"{listener.host}/app:v1")
    assert isinstance(error, errors.RegistryError)


def test_a_body_that_hangs_runs_into_the_timeout_which_names_the_last_trouble(
    registry: MemoryRegistry, pusher: Pusher, layout: Layout
) -> None:
    registry.fault(AnswerAfterBody(503), method="PUT")
    registry.fault(Hang(1000), method="PUT", times=None)
    error = pusher.fails(layout.path, f"{registry.host}/team/app:v1", timeout=0.5)
    assert isinstance(error, errors.PushTimeout)
    assert "503" in error.message


# -- TLS


def test_a_trusted_registry_needs_nothing(
    certificates: Certificates, pusher: Pusher, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    with MemoryRegistry(tls=certificates.server.server_context()) as registry:
        pusher.push(layout.path, f"{registry.host}/team/app:v1")
        assert holds(registry, "team/app", layout)


@pytest.mark.parametrize("which", ["expired", "wrong_host", "self_signed", "server"])
def test_a_certificate_that_is_not_trusted_is_refused_and_insecure_takes_it(
    which: str, certificates: Certificates, pusher: Pusher, layout: Layout
) -> None:
    with MemoryRegistry(tls=getattr(certificates, which).server_context()) as registry:
        error = pusher.fails(layout.path, f"{registry.host}/team/app:v1")
        assert isinstance(error, errors.TlsFailed)
        assert registry.requests == []
        pusher.push(layout.path, f"{registry.host}/team/app:v1", insecure=True)
        assert holds(registry, "team/app", layout)


def test_a_cert_dir_brings_the_ca_and_the_clients_own_certificate(
    certificates: Certificates, pusher: Pusher, layout: Layout, tmp_path: Path
) -> None:
    folder = tmp_path / "certs"
    folder.mkdir()
    (folder / "ca.crt").write_bytes(certificates.ca.read_bytes())
    (folder / "client.cert").write_bytes(certificates.client.cert.read_bytes())
    (folder / "client.key").write_bytes(certificates.client.key.read_bytes())
    context = certificates.server.server_context(client_ca=certificates.ca)
    with MemoryRegistry(tls=context) as registry:
        pusher.push(layout.path, f"{registry.host}/team/app:v1", cert_dir=str(folder))
        assert holds(registry, "team/app", layout)


def test_plain_http_where_tls_was_fixed_says_how_to_ask_without(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    named = write_layout(tmp_path / "named", [ImageSpec(name="example.com/team/app:v1")])
    (outcome,) = pusher.run(named.path, registry=f"https://{registry.host}")
    error = getattr(outcome, "error", None)
    assert isinstance(error, errors.TlsFailed)
    assert f"http://{registry.host}" in error.hint


# -- signing in


def sign_in(home: Path, host: str, user: str, password: str) -> None:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    (home / ".docker").mkdir()
    (home / ".docker/config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def test_basic_credentials_come_from_the_flags(pusher: Pusher, layout: Layout) -> None:
    with MemoryRegistry(auth=BasicAuth({"u": "p:w"})) as registry:
        pusher.push(layout.path, f"{registry.host}/team/app:v1", username="u", password="p:w")
        assert holds(registry, "team/app", layout)


def test_basic_credentials_come_from_docker_login(pusher: Pusher, layout: Layout) -> None:
    with MemoryRegistry(auth=BasicAuth({"u": "p"})) as registry:
        sign_in(pusher.home, registry.host, "u", "p")
        pusher.push(layout.path, f"{registry.host}/team/app:v1")
        assert "auth: basic" in pusher.recorder.notes


@pytest.mark.parametrize("user", [None, "u"])
def test_a_wrong_password_or_none_is_not_signed_in(
    user: str | None, pusher: Pusher, layout: Layout
) -> None:
    with MemoryRegistry(auth=BasicAuth({"u": "p"})) as registry:
        wrong = "wr0ng-s3cret" if user else None
        error = pusher.fails(
            layout.path, f"{registry.host}/team/app:v1", username=user, password=wrong
        )
        assert isinstance(error, errors.Unauthorized)
        assert "wr0ng-s3cret" not in str(error) + error.hint + pusher.recorder.notes
        assert registry.seen("POST") == []


@pytest.mark.parametrize(
    "manners",
    [
        TokenManners(),
        TokenManners(methods=("GET",)),
        TokenManners(methods=("POST",)),
        TokenManners(methods=("POST",), other_method_status=404),
        TokenManners(field="access_token", expires_in=None, issued_at=False),
    ],
    ids=str,
)
def test_a_token_is_fetched_once_for_a_whole_push(
    manners: TokenManners, pusher: Pusher, tmp_path: Path
) -> None:
    image = write_layout(tmp_path / "image", [IndexSpec(attested=True)])
    users = {"u": "p"}
    with (
        TokenService(users, manners) as tokens,
        MemoryRegistry(auth=BearerAuth(tokens)) as registry,
    ):
        pusher.push(image.path, f"{registry.host}/team/app:v1", username="u", password="p")
        assert holds(registry, "team/app", image)
        assert len([r for r in tokens.requests if r.status == 200]) == 1
        unauthorized = [request for request in registry.requests if request.status == 401]
        assert len(unauthorized) == 1


@pytest.mark.parametrize("harbor", [None, 'Basic realm="harbor"'])
def test_tokens_that_are_revoked_in_mid_push_are_renewed_and_no_blob_is_lost(
    harbor: str | None, pusher: Pusher, layout: Layout
) -> None:
    with TokenService({"u": "p"}) as tokens:
        auth = BearerAuth(tokens, after_bad_token=harbor)
        with MemoryRegistry(auth=auth) as registry:

            def revoke(event: Event) -> None:
                if isinstance(event, LayerEnded):
                    tokens.revoke_all()

            pusher.recorder.on_event = revoke
            pusher.push(
                layout.path, f"{registry.host}/team/app:v1", username="u", password="p", jobs=1
            )
            assert holds(registry, "team/app", layout)


def test_a_token_service_that_refuses_ends_the_push(pusher: Pusher, layout: Layout) -> None:
    with TokenService({"u": "p"}) as tokens, MemoryRegistry(auth=BearerAuth(tokens)) as registry:
        error = pusher.fails(
            layout.path, f"{registry.host}/team/app:v1", username="u", password="wrong"
        )
    assert isinstance(error, errors.TokenRefused)


def test_a_token_that_may_only_pull_ends_the_push_before_a_blob_is_sent(
    pusher: Pusher, layout: Layout
) -> None:
    manners = TokenManners(granted=frozenset({"pull"}))
    users = {"u": "p"}
    with TokenService(users, manners) as tokens, MemoryRegistry(auth=BearerAuth(tokens)) as there:
        to = f"{there.host}/team/app:v1"
        error = pusher.fails(layout.path, to, username="u", password="p")
        assert isinstance(error, errors.AuthError)
        assert there.seen("PUT") == []


def test_a_challenge_that_only_the_ping_gives_is_found(pusher: Pusher, layout: Layout) -> None:
    with (
        TokenService({"u": "p"}) as tokens,
        MemoryRegistry(auth=BearerAuth(tokens, ping_only=True)) as registry,
    ):
        pusher.push(layout.path, f"{registry.host}/team/app:v1", username="u", password="p")
        assert holds(registry, "team/app", layout)


def test_no_secret_reaches_another_port(pusher: Pusher, layout: Layout) -> None:
    other = "{scheme}://{other_host}/storage/{id}?signature={state}"
    manners = Manners(location=other, sessions_need_auth=False)
    with MemoryRegistry(manners, auth=BasicAuth({"u": "p"})) as registry:
        pusher.push(layout.path, f"{registry.host}/team/app:v1", username="u", password="p")
        storage = registry.seen("PUT", "/storage/")
        assert len(storage) == 4
        assert all(request.authorization is None for request in storage)
        assert "signature" not in pusher.recorder.notes


# -- stopping


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_push_at_once_and_leaves_the_tag(
    signum: signal.Signals, registry: MemoryRegistry, pusher: Pusher, layout: Layout
) -> None:
    registry.fault(Hang(1000), method="PUT", times=None)
    timer = threading.Timer(0.2, pusher.stop.request, [signum])
    timer.start()
    error = pusher.fails(layout.path, f"{registry.host}/team/app:v1")
    timer.join()
    assert isinstance(error, errors.Interrupted)
    assert error.signum == signum
    assert registry.tags("team/app") == []


def test_blobs_that_a_registry_does_not_see_for_a_while_are_looked_for_again(
    registry: MemoryRegistry, pusher: Pusher, layout: Layout
) -> None:
    missing = AnswerAfterBody(404, {"errors": [{"code": "MANIFEST_BLOB_UNKNOWN"}]})
    registry.fault(missing, method="PUT", path="manifests", times=3)
    pusher.push(layout.path, f"{registry.host}/team/app:v1")
    assert holds(registry, "team/app", layout)


def test_blobs_that_a_registry_never_sees_end_the_push(
    registry: MemoryRegistry, pusher: Pusher, layout: Layout
) -> None:
    missing = AnswerAfterBody(404, {"errors": [{"code": "MANIFEST_BLOB_UNKNOWN"}]})
    registry.fault(missing, method="PUT", path="manifests", times=None)
    error = pusher.fails(layout.path, f"{registry.host}/team/app:v1")
    assert isinstance(error, errors.BlobsMissing)
    assert len(registry.seen("PUT", "manifests")) == 5
