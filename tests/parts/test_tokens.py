from __future__ import annotations

import base64
import http.client
import json
import ssl
from urllib.parse import urlencode

import pytest

from tests.parts.certificates import Certificates, KeyPair, SigningKey
from tests.parts.listeners import EmptyHttp
from tests.parts.memory_registry import MemoryRegistry
from tests.parts.registry_auth import BearerAuth
from tests.parts.token_service import Access, TokenManners, TokenService

Token = tuple[int, dict[str, str]]
USERS = {"pusher": "correct-horse"}
PUSH = "repository:app:pull,push"
BASIC = {"Authorization": f"Basic {base64.b64encode(b'pusher:correct-horse').decode()}"}


def ask(
    host: str, method: str, target: str, headers: dict[str, str], body: str | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()
    finally:
        connection.close()


def get_token(tokens: TokenService, headers: dict[str, str], **more: str) -> Token:
    query = urlencode({"service": tokens.service, "scope": PUSH, **more})
    status, _, body = ask(tokens.host, "GET", f"/token?{query}", headers)
    return status, json.loads(body)


def post_token(tokens: TokenService, **form: str) -> Token:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode({"service": tokens.service, "scope": PUSH, **form})
    status, _, answer = ask(tokens.host, "POST", "/token", headers, body)
    return status, json.loads(answer)


def test_a_user_gets_a_token_that_opens_the_registry(tokens: TokenService) -> None:
    with MemoryRegistry(auth=BearerAuth(tokens)) as registry:
        start = ("POST", "/v2/app/blobs/uploads/")
        refused, headers, _ = ask(registry.host, *start, {})
        _, answer = get_token(tokens, BASIC)
        opened, _, _ = ask(registry.host, *start, {"Authorization": f"Bearer {answer['token']}"})
        tokens.revoke_all()
        revoked, _, _ = ask(registry.host, *start, {"Authorization": f"Bearer {answer['token']}"})

    assert (refused, opened, revoked) == (401, 202, 401)
    assert f'realm="{tokens.realm}"' in headers["WWW-Authenticate"]
    assert f'scope="{PUSH}"' in headers["WWW-Authenticate"]


def test_a_mount_needs_both_repositories(tokens: TokenService) -> None:
    with MemoryRegistry(auth=BearerAuth(tokens)) as registry:
        token = tokens.token("pusher", [Access.parse(PUSH)])
        mount = f"/v2/app/blobs/uploads/?mount=sha256:{'0' * 64}&from=base"
        status, headers, _ = ask(registry.host, "POST", mount, {"Authorization": f"Bearer {token}"})

    assert status == 401
    assert f'scope="{PUSH} repository:base:pull"' in headers["WWW-Authenticate"]


def test_a_bad_token_can_be_answered_as_harbor_does(tokens: TokenService) -> None:
    with MemoryRegistry(
        auth=BearerAuth(tokens, after_bad_token='Basic realm="harbor"')
    ) as registry:
        _, first, _ = ask(registry.host, "GET", "/v2/", {})
        _, second, _ = ask(registry.host, "GET", "/v2/", {"Authorization": "Bearer old"})

    assert first["WWW-Authenticate"].startswith("Bearer ")
    assert second["WWW-Authenticate"] == 'Basic realm="harbor"'


def test_strangers_and_wrong_passwords_are_refused(tokens: TokenService) -> None:
    assert get_token(tokens, {})[0] == 401
    assert get_token(tokens, {"Authorization": "Basic cHVzaGVyOndyb25n"})[0] == 401
    assert post_token(tokens, grant_type="password", username="pusher", password="")[0] == 401


def test_a_refresh_token_is_as_good_as_a_password(tokens: TokenService) -> None:
    _, first = get_token(tokens, BASIC, offline_token="true")
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    status, second = post_token(tokens, **form)

    assert (status, "access_token" in second, "refresh_token" in second) == (200, True, False)
    assert tokens.requests[-1].form["grant_type"] == ["refresh_token"]


def test_a_service_may_know_one_method_one_field_and_no_expiry() -> None:
    ways = TokenManners(methods=("GET",), field="access_token", expires_in=None, issued_at=False)
    with TokenService(USERS, ways) as tokens:
        assert post_token(tokens, grant_type="password")[0] == 405
        assert set(get_token(tokens, BASIC)[1]) == {"access_token"}


def test_a_token_may_grant_less_than_was_asked_for() -> None:
    with TokenService(USERS, TokenManners(granted=frozenset({"pull"}))) as tokens:
        status, answer = get_token(tokens, BASIC)
        granted = tokens.access_of(answer["token"])

    assert status == 200
    assert granted is not None
    assert granted.access == (Access("app", ("pull",)),)


def test_a_signed_token_has_three_parts_and_its_claims(signing_key: SigningKey) -> None:
    with TokenService(USERS, key=signing_key) as tokens:
        header, claims, signature = tokens.token("pusher", [Access.parse(PUSH)]).split(".")

    assert json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "RS256"
    read = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert read["access"] == [{"type": "repository", "name": "app", "actions": ["pull", "push"]}]
    assert len(base64.urlsafe_b64decode(signature + "==")) == 256


def connect(server: EmptyHttp, host: str, context: ssl.SSLContext) -> int:
    connection = http.client.HTTPSConnection(host, server.port, context=context, timeout=10)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_good_certificate_is_believed_under_every_name(certificates: Certificates) -> None:
    with EmptyHttp(tls=certificates.server.server_context()) as server:
        for host in ("127.0.0.1", "localhost"):
            assert connect(server, host, certificates.client_context()) == 404


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("expired", "has expired"),
        ("wrong_host", "IP address mismatch"),
        ("self_signed", "self-signed certificate|self signed certificate"),
    ],
)
def test_a_bad_certificate_is_refused_for_its_own_reason(
    certificates: Certificates, name: str, reason: str
) -> None:
    pair: KeyPair = getattr(certificates, name)
    with (
        EmptyHttp(tls=pair.server_context()) as server,
        pytest.raises(ssl.SSLCertVerificationError, match=reason),
    ):
        connect(server, "127.0.0.1", certificates.client_context())


def test_a_client_certificate_can_be_demanded(certificates: Certificates) -> None:
    context = certificates.client_context()
    with EmptyHttp(tls=certificates.server.server_context(certificates.ca)) as server:
        with pytest.raises(OSError, match=r"certificate required|alert|reset"):
            connect(server, "127.0.0.1", context)
        context.load_cert_chain(certificates.client.cert, certificates.client.key)
        assert connect(server, "127.0.0.1", context) == 404
