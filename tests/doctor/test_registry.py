"""What a visit to a registry, or to what is none, tells."""

from __future__ import annotations

import base64
import json
import socket
from pathlib import Path

import pytest

from idpbuilder.cli.exits import exit_of
from idpbuilder.doctor.finding import State
from idpbuilder.errors import Interrupted
from tests.doctor.conftest import Visitor
from tests.parts.certificates import ANY_ADDRESS, Certificates
from tests.parts.faults import Answer, Garbage, Hang
from tests.parts.fixtures import USERS
from tests.parts.listeners import EmptyHttp, NeverAnswers, closed_port
from tests.parts.memory_registry import MemoryRegistry
from tests.parts.registry_auth import BasicAuth, BearerAuth
from tests.parts.server import Server
from tests.parts.token_service import TokenService

ME = {"username": "pusher", "password": "correct-horse"}
WRONG = {"username": "pusher", "password": "wrong-horse"}


class Ssh(Server):
    """Speaks first, and no HTTP."""

    def serve(self, connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        connection.recv(1 << 16)


def code(finding: object) -> int:
    return exit_of(finding.error).code  # type: ignore[attr-defined]


def test_a_registry_that_is_open_to_all_is_well(registry: MemoryRegistry, visit: Visitor) -> None:
    seen = visit(registry.host)
    assert seen.ends_well
    assert seen["connection"].facts["scheme"] == "http"
    assert seen["connection"].facts["http"] == ("HTTP/1.1",)
    assert seen["sign-in"].facts == {"scheme": None}
    assert seen["round trip"].facts["seconds"] > 0  # type: ignore[operator]
    assert seen["proxy"].detail == "none on the way"


def test_without_write_nothing_is_written(registry: MemoryRegistry, visit: Visitor) -> None:
    assert visit(registry.host, "team/app").ends_well
    assert {request.method for request in registry.requests} == {"GET", "HEAD"}


@pytest.mark.parametrize("repository", ["", "team/app"])
def test_a_password_that_is_taken_is_told_with_its_source(
    visit: Visitor, variables: dict[str, str], repository: str
) -> None:
    with MemoryRegistry(auth=BasicAuth(USERS)) as registry:
        entry = base64.b64encode(b"pusher:correct-horse").decode()
        path = Path(variables["HOME"], ".docker", "config.json")
        path.parent.mkdir()
        path.write_text(json.dumps({"auths": {registry.host: {"auth": entry}}}))
        path.chmod(0o600)
        seen = visit(registry.host, repository)
        said = f"for {registry.host}: user `pusher`, from ~/.docker/config.json"
    assert seen.ends_well
    assert seen["credentials"].detail == said
    assert seen["sign-in"].facts == {"scheme": "basic", "source": "~/.docker/config.json"}
    assert "correct-horse" in visit.confided
    assert "correct-horse" not in repr(seen)


@pytest.mark.parametrize("repository", ["", "team/app"])
def test_a_wrong_password_is_one_failure(visit: Visitor, repository: str) -> None:
    with MemoryRegistry(auth=BasicAuth(USERS)) as registry:
        failure = visit(registry.host, repository, **WRONG).failure
    assert (failure.what, code(failure)) == ("sign-in", 2)
    assert "it answered 401" in failure.detail
    assert "flags or variables" in failure.hint


def test_a_registry_that_asks_where_nobody_can_answer_is_a_failure(visit: Visitor) -> None:
    with MemoryRegistry(auth=BasicAuth(USERS)) as registry:
        failure = visit(registry.host).failure
    assert code(failure) == 2
    assert "no credentials were found" in failure.detail


def test_a_password_that_would_go_in_the_open_is_not_sent(visit: Visitor) -> None:
    with MemoryRegistry(auth=BasicAuth(USERS)) as registry:
        seen = visit(f"{ANY_ADDRESS}:{registry.port}", scheme="http", **ME)
        assert all(request.authorization is None for request in registry.requests)
    assert seen["connection"].state is State.WARNING
    assert code(seen.failure) == 2
    assert "without TLS" in seen.failure.detail


def test_a_token_is_asked_for_only_where_a_repository_is_named(
    tokens: TokenService, visit: Visitor
) -> None:
    with MemoryRegistry(auth=BearerAuth(tokens)) as registry:
        seen = visit(registry.host)
        assert "name a repository" in seen["sign-in"].detail
        assert tokens.requests == []
        named = visit(registry.host, "team/app", **ME)
    assert named["token"].facts["realm"] == tokens.realm
    assert "`team/app`" in named["token"].detail
    assert [request.first("scope") for request in tokens.requests] == [
        "repository:team/app:pull,push"
    ]


@pytest.mark.parametrize("repository", ["", "team/app"])
def test_a_token_service_that_refuses_is_a_failure(
    tokens: TokenService, visit: Visitor, repository: str
) -> None:
    with MemoryRegistry(auth=BearerAuth(tokens)) as registry:
        failure = visit(registry.host, repository, **WRONG).failure
    assert (failure.what, code(failure)) == ("sign-in", 2)
    assert failure.detail.startswith(f"no access token from {tokens.realm}")


def test_half_of_what_is_needed_to_sign_in_is_a_failure(visit: Visitor) -> None:
    failure = visit("registry.example.com", username="pusher").failure
    assert (failure.what, code(failure)) == ("credentials", 1)


def test_tls_is_told_with_its_versions_and_its_certificate(
    certificates: Certificates, visit: Visitor, tmp_path: Path
) -> None:
    (tmp_path / "ca.crt").write_bytes(certificates.ca.read_bytes())
    with MemoryRegistry(tls=certificates.server.server_context()) as registry:
        seen = visit(registry.host, cert_dir=str(tmp_path))
        blind = visit(registry.host, insecure=True)
    facts = seen["connection"].facts
    assert (facts["scheme"], facts["tls"], facts["http"]) == ("https", "TLS 1.3", ("HTTP/1.1",))
    assert facts["issuer"] == "idpbuilder test CA"
    assert seen["connection"].state is State.OK
    assert seen["trust"].facts == {"folder": str(tmp_path), "insecure": False}
    assert blind["trust"].facts == {"folder": None, "insecure": True}
    assert blind["connection"].facts["issuer"] is None


def test_a_server_that_speaks_http_2_is_asked_for_http_1_1_too(
    certificates: Certificates, visit: Visitor
) -> None:
    context = certificates.server.server_context()
    with MemoryRegistry(tls=context) as registry:
        # what the handshake after the first request agrees to is never spoken
        context.set_alpn_protocols(["h2", "http/1.1"])
        from idpbuilder.doctor.versions import agree

        agreed = agree("127.0.0.1", registry.port, None, lambda: 5.0)
    assert agreed is not None
    assert agreed.http == ("HTTP/2", "HTTP/1.1")


def test_a_certificate_that_ends_soon_is_a_warning(
    certificates: Certificates, engine: object, variables: dict[str, str], tmp_path: Path
) -> None:
    from idpbuilder.doctor.options import DoctorOptions
    from idpbuilder.doctor.registry import Visit

    (tmp_path / "ca.crt").write_bytes(certificates.ca.read_bytes())
    with MemoryRegistry(tls=certificates.server.server_context()) as registry:
        options = DoctorOptions(registry.host, cert_dir=str(tmp_path))
        # decades after the certificate's end
        visit = Visit(options, variables, engine, lambda: None, lambda: 4e9)  # type: ignore[arg-type]
        (found,) = (one for one in visit.findings() if one.what == "connection")
    assert found.state is State.WARNING
    assert "renew" in found.hint


def test_a_certificate_of_an_unknown_authority_is_a_failure(
    certificates: Certificates, visit: Visitor
) -> None:
    with MemoryRegistry(tls=certificates.server.server_context()) as registry:
        failure = visit(registry.host).failure
    assert (failure.what, code(failure)) == ("connection", 3)
    assert "signed by an unknown authority" in failure.detail
    assert "--cert-dir" in failure.hint


def test_a_folder_of_certificates_that_cannot_be_used_is_a_failure(
    visit: Visitor, tmp_path: Path
) -> None:
    (tmp_path / "me.cert").touch()
    failure = visit("registry.example.com", cert_dir=str(tmp_path)).failure
    assert (failure.what, code(failure)) == ("trust", 3)


def test_a_web_server_is_no_registry(visit: Visitor) -> None:
    with EmptyHttp() as server:
        failure = visit(server.host).failure
    assert (failure.what, code(failure)) == ("registry", 5)
    assert " is no registry: it answered 404 to `/v2/`" in failure.detail


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(200, "<html>welcome</html>"), "it answered 200"),
        (Answer(200, "welcome"), "it answered 200"),
        (Answer(301, "", {"Location": "https://x.example/y?z=1"}), "https://x.example/y"),
        (Answer(403, "no"), "403"),
    ],
    ids=["page", "text", "redirect", "forbidden"],
)
def test_answers_that_no_registry_gives_are_told(visit: Visitor, answer: Answer, why: str) -> None:
    with EmptyHttp() as server:
        server.fault(answer, times=None)
        failure = visit(server.host).failure
    assert failure.what == "registry"
    assert why in failure.detail
    assert "z=1" not in failure.detail


def test_a_web_server_behind_a_password_is_no_registry(visit: Visitor) -> None:
    with EmptyHttp() as server:
        challenge = {"WWW-Authenticate": 'Basic realm="x"'}
        server.fault(
            Answer(401, "", challenge), match=lambda one: not one.authorization, times=None
        )
        failure = visit(server.host, **ME).failure
    assert "is no registry: it answered 404" in failure.detail


def test_plain_http_at_a_port_for_tls_is_told(visit: Visitor) -> None:
    with EmptyHttp() as server:
        server.fault(Answer(400, "Client sent an HTTP request to an HTTPS server."), times=None)
        failure = visit(server.host, scheme="http").failure
    assert failure.hint == "it speaks TLS: leave out `http://`"


@pytest.mark.parametrize(
    ("scheme", "why"), [("", "not proper HTTP"), ("https", "does not speak TLS")]
)
def test_an_ssh_port_is_told_in_one_line(visit: Visitor, scheme: str, why: str) -> None:
    with Ssh() as server:
        failure = visit(server.host, scheme=scheme).failure
    assert (failure.what, code(failure)) == ("connection", 3)
    assert why in failure.detail
    assert "--registry" not in failure.hint


def test_a_closed_port_is_told_in_one_line(visit: Visitor) -> None:
    failure = visit(f"127.0.0.1:{closed_port()}").failure
    assert code(failure) == 3
    assert failure.detail.endswith("the connection was refused")


def test_a_name_without_an_address_is_told_in_one_line(visit: Visitor) -> None:
    failure = visit("registry.invalid").failure
    assert code(failure) == 3
    assert failure.detail.endswith("the host name has no address")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_hangs_takes_no_longer_than_the_timeout(visit: Visitor, scheme: str) -> None:
    with NeverAnswers() as server:
        failure = visit(server.host, scheme=scheme, timeout=0.3).failure
    assert (failure.what, code(failure)) == ("connection", 6)
    assert "the timeout of 0.3 s passed" in failure.detail


def test_a_registry_that_hangs_later_takes_no_longer_than_the_timeout(
    registry: MemoryRegistry, visit: Visitor
) -> None:
    registry.fault(Hang(), method="HEAD", times=None)
    failure = visit(registry.host, "team/app", timeout=1.0).failure
    assert code(failure) == 6


def test_a_registry_in_trouble_is_a_failure(registry: MemoryRegistry, visit: Visitor) -> None:
    registry.fault(Answer(503, "busy"), times=None)
    failure = visit(registry.host).failure
    assert code(failure) == 5
    assert "503" in failure.detail


def test_gibberish_is_a_failure(registry: MemoryRegistry, visit: Visitor) -> None:
    registry.fault(Garbage(), times=None)
    assert code(visit(registry.host, scheme="http").failure) == 3


def test_the_proxy_on_the_way_is_told_without_its_password(
    visit: Visitor, variables: dict[str, str]
) -> None:
    variables["HTTPS_PROXY"] = "http://me:secret-word@proxy.invalid:3128"
    seen = visit("registry.invalid")
    assert seen["proxy"].facts == {"proxy": "http://proxy.invalid:3128"}
    assert "secret-word" not in repr(seen)


def test_the_proxy_for_plain_http_is_told_where_it_comes_to_that(
    registry: MemoryRegistry, visit: Visitor, variables: dict[str, str]
) -> None:
    # the engine goes by the variables of the process, and finds the registry without a proxy
    variables["HTTP_PROXY"] = "http://proxy.invalid:3128"
    seen = visit(f"{ANY_ADDRESS}:{registry.port}", insecure=True)
    told = [one.detail for one in seen.findings if one.what == "proxy"]
    assert told == ["none on the way", "http://proxy.invalid:3128"]
    assert seen["connection"].detail == "plain HTTP, by way of the proxy"


def test_a_proxy_that_is_none_is_a_failure(visit: Visitor, variables: dict[str, str]) -> None:
    variables["HTTPS_PROXY"] = "ftp://me:secret-word@proxy.invalid"
    failure = visit("registry.invalid").failure
    assert (failure.what, code(failure)) == ("proxy", 3)
    assert "HTTPS_PROXY" in failure.detail
    assert "secret-word" not in repr(failure)


def test_settings_that_cannot_be_used_are_warnings(
    registry: MemoryRegistry, visit: Visitor, variables: dict[str, str]
) -> None:
    path = Path(variables["HOME"], ".config", "docker", "daemon.json")
    path.parent.mkdir(parents=True)
    path.write_text("{insecure")
    seen = visit(registry.host)
    assert seen.ends_well
    assert seen["trust"].state is State.WARNING
    assert f"`{path}` counts as empty" in seen["trust"].detail


def test_who_asks_to_stop_is_heard(registry: MemoryRegistry, visit: Visitor) -> None:
    def check() -> None:
        if registry.requests:
            raise Interrupted("stopped by SIGINT", 2)

    visit.check = check
    with pytest.raises(Interrupted):
        visit(registry.host, "team/app")
