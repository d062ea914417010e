"""Signing in, without a socket."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from idpbuilder.errors import AuthError, CredentialsWithheld, TokenRefused, Unauthorized
from idpbuilder.registry.auth import Authenticator
from idpbuilder.registry.credentials import Credentials
from idpbuilder.registry.endpoints import Endpoint
from idpbuilder.registry.scope import Scope, rights_of, split_scopes
from idpbuilder.wire import BytesBody, Request, Response, Trust
from tests.registry.exchange import ENDPOINT, answer

ALICE = Credentials("a test", "alice", "s3cret")
PUSH = (Scope.push("team/app"),)
REALM = "https://auth.example.com/token"
BEARER = f'Bearer realm="{REALM}",service="reg",scope="repository:team/app:pull"'
BASIC = "Basic " + base64.b64encode(b"alice:s3cret").decode()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def authenticator(
    credentials: Credentials | None = ALICE, clock: Clock | None = None, *, insecure: bool = False
) -> Authenticator:
    return Authenticator(lambda: credentials, Trust(), clock or Clock(), insecure=insecure)


def challenge(value: str) -> Response:
    return answer(401, WWW_Authenticate=value)


def challenged(
    value: str = BEARER, credentials: Credentials | None = ALICE, clock: Clock | None = None
) -> Authenticator:
    auth = authenticator(credentials, clock)
    assert auth.refused(challenge(value), ENDPOINT, PUSH, None)
    return auth


def token(text: str = "T", **more: object) -> Response:
    return answer(200, body=json.dumps({"token": text, **more}).encode())


def fetched(
    auth: Authenticator, *answers: Response, scopes: tuple[Scope, ...] = PUSH
) -> list[Request]:
    """The requests of a fetch that gets `answers`."""
    flow = auth.fetch(scopes)
    requests = [next(flow)]
    for given in answers:
        try:
            requests.append(flow.send(given))
        except StopIteration:
            break
    return requests


def query(request: Request) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.url).query, keep_blank_values=True)


def test_nothing_is_sent_before_the_registry_asks_for_it() -> None:
    auth = authenticator()
    assert auth.wanted(PUSH) is None
    assert auth.header(PUSH) is None


def test_a_basic_challenge_is_answered_with_the_password() -> None:
    assert challenged("BASIC realm=x").header(PUSH) == BASIC


def test_a_wrong_password_is_not_tried_twice() -> None:
    auth = challenged("Basic realm=x")
    with pytest.raises(Unauthorized, match="answered 401") as caught:
        auth.refused(challenge("Basic realm=x"), ENDPOINT, PUSH, BASIC)
    assert "a test" in caught.value.hint
    assert "s3cret" not in str(caught.value)


def test_a_basic_challenge_without_credentials_says_how_to_give_them() -> None:
    with pytest.raises(Unauthorized, match="no credentials") as caught:
        authenticator(None).refused(challenge("Basic realm=x"), ENDPOINT, PUSH, None)
    assert "--password-stdin" in caught.value.hint


def test_a_token_is_asked_for_with_get_and_the_password_in_its_header() -> None:
    auth = challenged()
    assert auth.wanted(PUSH) == rights_of(PUSH)
    (request,) = fetched(auth, token())
    assert request.method == "GET"
    assert request.url.startswith(f"{REALM}?")
    assert query(request) == {
        "service": ["reg"],
        "scope": ["repository:team/app:pull,push"],
        "client_id": ["idpbuilder-push"],
        "account": ["alice"],
    }
    assert ("Authorization", BASIC) in request.headers
    assert auth.wanted(PUSH) is None
    assert auth.header(PUSH) == "Bearer T"


def test_an_anonymous_token_is_asked_for_without_a_header() -> None:
    (request,) = fetched(challenged(credentials=None), token())
    assert request.headers == ()
    assert "account" not in query(request)


def test_a_query_in_the_realm_is_kept() -> None:
    auth = challenged(f'Bearer realm="{REALM}?tenant=7"')
    (request,) = fetched(auth, token())
    assert query(request)["tenant"] == ["7"]
    assert "service" not in query(request)


def test_a_query_in_the_realm_may_hold_what_a_host_may_not() -> None:
    (request,) = fetched(challenged(f'Bearer realm="{REALM}?for=a@b"'), token())
    assert query(request)["for"] == ["a@b"]


def test_an_identity_token_goes_by_post_first() -> None:
    auth = challenged(credentials=Credentials("x", identity_token="REFRESH"))
    (request,) = fetched(auth, token())
    assert (request.method, request.url) == ("POST", REALM)
    assert isinstance(request.body, BytesBody)
    assert parse_qs(request.body.data.decode()) == {
        "service": ["reg"],
        "client_id": ["idpbuilder-push"],
        "scope": ["repository:team/app:pull,push"],
        "grant_type": ["refresh_token"],
        "refresh_token": ["REFRESH"],
    }
    assert request.headers == (("Content-Type", "application/x-www-form-urlencoded"),)


@pytest.mark.parametrize("status", [400, 401, 404, 405])
def test_a_service_that_knows_no_post_is_asked_with_get(status: int) -> None:
    auth = challenged(credentials=Credentials("x", "alice", identity_token="REFRESH"))
    requests = fetched(auth, answer(status), token())
    assert [request.method for request in requests] == ["POST", "GET"]
    assert auth.header(PUSH) == "Bearer T"


@pytest.mark.parametrize("status", [404, 405])
def test_a_service_that_knows_no_get_is_asked_with_post(status: int) -> None:
    auth = challenged()
    requests = fetched(auth, answer(status), token())
    assert [request.method for request in requests] == ["GET", "POST"]
    assert isinstance(requests[1].body, BytesBody)
    form = parse_qs(requests[1].body.data.decode())
    assert form["grant_type"] == ["password"]
    assert (form["username"], form["password"]) == (["alice"], ["s3cret"])


def test_access_token_is_another_name_for_token() -> None:
    auth = challenged()
    fetched(auth, answer(200, body=b'{"access_token": "A"}'))
    assert auth.header(PUSH) == "Bearer A"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"token": 7}', b'{"token": "a b"}', b'{"token": "a\\r\\nX: y"}']
)
def test_an_answer_without_a_token_is_refused(body: bytes) -> None:
    with pytest.raises(TokenRefused):
        fetched(challenged(), answer(200, body=body))


def test_a_service_that_says_no_ends_the_push_with_its_reason() -> None:
    with pytest.raises(TokenRefused, match=r"401 \(UNAUTHORIZED: m\)") as caught:
        fetched(challenged(), answer(401, code="UNAUTHORIZED"))
    assert "s3cret" not in str(caught.value)
    assert caught.value.hint == "check the user name and the password or token from a test"


@pytest.mark.parametrize("status", [401, 403])
def test_a_service_that_knows_no_strangers_asks_to_sign_in(status: int) -> None:
    with pytest.raises(TokenRefused, match="and no credentials were found") as caught:
        fetched(challenged(credentials=None), answer(status))
    assert "--password-stdin" in caught.value.hint


def test_a_success_that_is_none_is_refused_with_its_reason() -> None:
    with pytest.raises(TokenRefused, match=r"its answer holds no token \(DENIED: m\)"):
        fetched(challenged(), answer(200, code="DENIED"))


def test_a_token_that_is_good_but_not_for_this_is_a_matter_of_rights() -> None:
    auth = challenged()
    fetched(auth, token())
    refused = challenge(f'{BEARER},error="insufficient_scope"')
    assert auth.unauthorized(ENDPOINT, refused).hint == (
        "check that the account from a test may push there"
    )
    assert "the password" in auth.unauthorized(ENDPOINT, challenge(BEARER)).hint


def test_a_refusal_that_asks_for_nothing_is_not_put_down_to_the_credentials() -> None:
    auth = authenticator()
    assert not auth.refused(answer(401), ENDPOINT, PUSH, None)
    error = auth.unauthorized(ENDPOINT, answer(401))
    assert error.why == "it answered 401 and does not say how to sign in"
    assert "registry's" in error.hint


@pytest.mark.parametrize(
    ("expires", "lives"),
    [
        ({}, 60),
        ({"expires_in": 5}, 60),
        ({"expires_in": 300}, 300),
        ({"expires_in": None}, 60),
        ({"expires_in": 0}, 60),
        ({"expires_in": -1}, 60),
        ({"expires_in": float("nan")}, 60),
        ({"expires_in": 86400}, 86400),
        ({"expires_in": 10**400}, 86400),
        ({"expires_in": 1e99}, 86400),
    ],
)
def test_a_token_is_renewed_before_it_runs_out(expires: dict[str, object], lives: float) -> None:
    clock = Clock()
    auth = challenged(clock=clock)
    fetched(auth, token(**expires))
    clock.now += lives - 11
    assert auth.wanted(PUSH) is None
    clock.now += 2
    assert auth.wanted(PUSH) == rights_of(PUSH)


def test_a_token_from_a_cache_is_renewed_when_its_time_is_over() -> None:
    clock = Clock()
    auth = challenged(clock=clock)
    body = json.dumps({"token": "T", "expires_in": 300, "issued_at": "2026-03-01T11:58:20Z"})
    fetched(auth, answer(200, body=body.encode(), Date="Sun, 01 Mar 2026 12:00:00 GMT"))
    clock.now += 200 - 11
    assert auth.wanted(PUSH) is None
    clock.now += 2
    assert auth.wanted(PUSH) == rights_of(PUSH)


def test_a_401_to_a_token_drops_that_token_and_no_newer_one() -> None:
    auth = challenged()
    fetched(auth, token("old"))
    fetched(auth, token("new"))
    assert auth.refused(challenge(BEARER), ENDPOINT, PUSH, "Bearer old")
    assert auth.header(PUSH) == "Bearer new"
    assert auth.refused(challenge(BEARER), ENDPOINT, PUSH, "Bearer new")
    assert auth.wanted(PUSH) == rights_of(PUSH)


def test_a_basic_challenge_after_a_bad_token_changes_nothing() -> None:
    auth = challenged()
    fetched(auth, token())
    assert auth.refused(challenge('Basic realm="harbor"'), ENDPOINT, PUSH, "Bearer T")
    assert auth.scheme == "bearer"
    assert auth.wanted(PUSH) == rights_of(PUSH)


@pytest.mark.parametrize("scope", ["aws", "*", "repository:local/team/app:pull"])
def test_a_scope_that_is_more_than_ours_is_sent_as_it_was_given(scope: str) -> None:
    auth = challenged(f'Bearer realm="{REALM}",scope="{scope}"')
    (request,) = fetched(auth, token())
    assert query(request)["scope"] == [scope]
    assert auth.header(PUSH) == "Bearer T"


def test_scopes_are_equal_in_any_order() -> None:
    assert rights_of([Scope("repository:a:push,pull")]) == rights_of([Scope.push("a")])
    both = split_scopes("repository:b:pull repository:a:pull,push")
    assert rights_of(both) == rights_of([Scope.push("a"), Scope.pull("b")])


def test_the_push_scope_comes_first_in_a_token_for_a_mount() -> None:
    scopes = (Scope.push("a"), Scope.pull("b"))
    (request,) = fetched(challenged(), token(), scopes=scopes)
    assert query(request)["scope"] == ["repository:a:pull,push", "repository:b:pull"]


def test_a_registry_token_is_sent_as_it_is() -> None:
    auth = challenged(credentials=Credentials("x", registry_token="R"))
    assert auth.wanted(PUSH) is None
    assert auth.header(PUSH) == "Bearer R"


def test_a_401_without_a_challenge_leaves_the_word_to_the_ping() -> None:
    assert authenticator().refused(answer(401), ENDPOINT, PUSH, None) is False


@pytest.mark.parametrize(
    "realm",
    [
        "",
        "token",
        "/token",
        "ftp://auth.example.com",
        "https://u@auth.example.com/",
        "http://u@registry.example.com/",
        "https://",
        "https://auth.example.com/to\tken",
        "https://auth.example.com/to ken",
        "https://auth.example.com/#token",
        "https://auth.example.com/t\u00f6ken",
        "https://auth.example.com\\@evil.example.com/",
        "https://auth.example.com:x/",
        "https://auth.example.com:99999/",
        "https://[::1/",
    ],
)
def test_a_realm_that_is_no_url_is_not_asked(realm: str) -> None:
    with pytest.raises(TokenRefused):
        challenged(f'Bearer realm="{realm}"')


def test_a_realm_without_tls_gets_nothing_from_a_registry_with_tls() -> None:
    with pytest.raises(TokenRefused, match="without TLS"):
        challenged('Bearer realm="http://auth.example.com/token"')


@pytest.mark.parametrize("written", ["registry.example.com", "REGISTRY.example.com:80"])
@pytest.mark.parametrize("authority", ["registry.example.com", "registry.example.com:8443"])
def test_a_realm_without_tls_on_the_registry_itself_is_meant_for_tls(
    written: str, authority: str
) -> None:
    auth = authenticator()
    realm = f'Bearer realm="http://{written}/service/token?a=b"'
    assert auth.refused(challenge(realm), Endpoint("https", authority), PUSH, None)
    (request,) = fetched(auth, token())
    assert request.url.startswith(f"https://{authority}/service/token?a=b&")
    assert ("Authorization", BASIC) in request.headers


def test_a_realm_without_tls_on_another_port_of_the_registry_is_another_server() -> None:
    with pytest.raises(TokenRefused, match="without TLS"):
        challenged('Bearer realm="http://registry.example.com:5001/token"')


def test_a_realm_inside_this_network_is_not_asked_for_a_registry_outside() -> None:
    with pytest.raises(TokenRefused, match="address of this link"):
        challenged('Bearer realm="https://169.254.169.254/token"')
    auth = authenticator(None)
    inside = Endpoint("http", "10.0.0.5:5000")
    with pytest.raises(TokenRefused, match="address of this machine"):
        auth.refused(challenge('Bearer realm="http://127.0.0.1/token"'), inside, PUSH, None)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("Negotiate", "`Negotiate`"),
        ('Digest realm="x", nonce="y"', "`Digest`"),
        ("NTLM, Negotiate", "`Negotiate` or `Ntlm`"),
    ],
)
def test_a_way_to_sign_in_that_is_not_spoken_here_is_named(value: str, named: str) -> None:
    auth = authenticator()
    assert not auth.refused(challenge(value), ENDPOINT, PUSH, None)
    error = auth.unauthorized(ENDPOINT, challenge(value))
    assert error.message.endswith(f"it answered 401 and asks to sign in by {named}")
    assert "Basic and Bearer" in error.hint


@pytest.mark.parametrize("text", ["\u20ac", "a b", "a\nb", "", 7])
def test_a_token_that_no_header_can_carry_is_none(text: object) -> None:
    with pytest.raises(TokenRefused, match="its answer holds no token"):
        fetched(challenged(), answer(200, body=json.dumps({"token": text}).encode()))


def test_every_secret_is_confided_before_it_is_sent() -> None:
    told: list[str] = []
    whole = Credentials("a test", "alice", "s3cret", registry_token="R")
    auth = Authenticator(lambda: whole, Trust(), Clock(), confide=told.append)
    auth.refused(challenge(BEARER), ENDPOINT, PUSH, None)
    assert told == ["s3cret", "R", "alice:s3cret"]
    identity = Credentials("a test", "alice", identity_token="I")
    auth = Authenticator(lambda: identity, Trust(), Clock(), confide=told.append)
    auth.refused(challenge(BEARER), ENDPOINT, PUSH, None)
    assert told[3:] == ["I", "alice:I"]
    fetched(auth, token("T"))
    assert told[5:] == ["T"]


@pytest.mark.parametrize("value", ["Basic realm=x", BEARER])
def test_credentials_never_go_over_plain_http_to_another_machine(value: str) -> None:
    plain = Endpoint("http", "registry.example.com")
    with pytest.raises(CredentialsWithheld) as caught:
        authenticator().refused(challenge(value), plain, PUSH, None)
    assert "--insecure" in caught.value.hint
    assert authenticator(insecure=True).refused(challenge(value), plain, PUSH, None)


def test_loopback_may_be_plain() -> None:
    plain = Endpoint("http", "127.0.0.1:5000")
    realm = 'Bearer realm="http://127.0.0.1:5001/token"'
    assert authenticator().refused(challenge("Basic realm=x"), plain, PUSH, None)
    assert authenticator().refused(challenge(realm), plain, PUSH, None)


def test_no_secret_is_in_the_repr_of_what_holds_it() -> None:
    secrets = Credentials("x", "alice", "s3cret", "REFRESH", "R3G")
    for secret in ("s3cret", "REFRESH", "R3G"):
        assert secret not in repr(secrets)


def test_a_store_that_cannot_be_read_matters_when_the_registry_asks() -> None:
    def broken() -> Credentials | None:
        raise AuthError("a store", "is broken")

    auth = Authenticator(broken, Trust(), Clock())
    with pytest.raises(AuthError, match="is broken"):
        auth.refused(challenge(BEARER), ENDPOINT, PUSH, None)


def test_a_token_whose_service_made_us_wait_is_not_stale_on_arrival() -> None:
    clock = Clock()
    auth = challenged(clock=clock)
    flow = auth.fetch(PUSH)
    next(flow)
    clock.now += 300
    with pytest.raises(StopIteration):
        flow.send(token(expires_in=1))
    assert auth.wanted(PUSH) is None
    assert auth.header(PUSH) == "Bearer T"


def test_a_password_may_be_any_bytes() -> None:
    octets = b"p\xff\xfe\xc3\xa4"
    odd = Credentials("x", "alice", octets.decode("utf-8", "surrogateescape"))
    header = challenged("Basic realm=x", odd).header(PUSH)
    assert header is not None
    assert base64.b64decode(header.removeprefix("Basic ")) == b"alice:" + octets
    requests = fetched(challenged(credentials=odd), answer(404), token())
    assert isinstance(requests[1].body, BytesBody)
    assert b"password=p%FF%FE%C3%A4" in requests[1].body.data


def test_a_user_name_may_be_any_bytes_in_a_token_request() -> None:
    odd = Credentials("x", b"al\xffce".decode("utf-8", "surrogateescape"), "s3cret")
    (request,) = fetched(challenged(credentials=odd), token())
    assert "account=al%FFce" in request.url


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_a_token_service_is_not_followed(status: int) -> None:
    elsewhere = answer(status, Location="https://evil.example.com/?state=x")
    with pytest.raises(TokenRefused, match=f"answered {status}, a redirect") as caught:
        fetched(challenged(), elsewhere)
    assert "evil" not in caught.value.message
    assert "password" not in caught.value.hint


def test_a_page_in_place_of_a_token_is_refused() -> None:
    with pytest.raises(TokenRefused, match="its answer is not JSON"):
        fetched(challenged(), answer(200, body=b"<html>sign in here</html>"))


def test_a_token_of_100_kb_is_sent_as_it_is() -> None:
    auth = challenged()
    fetched(auth, token("T" * 100_000))
    assert auth.header(PUSH) == "Bearer " + "T" * 100_000


@pytest.mark.parametrize("status", [201, 202])
def test_a_token_may_come_with_any_success(status: int) -> None:
    auth = challenged()
    fetched(auth, answer(status, body=b'{"token": "T"}'))
    assert auth.header(PUSH) == "Bearer T"


def test_a_lifetime_that_is_no_number_counts_as_nothing_said() -> None:
    clock = Clock()
    auth = challenged(clock=clock)
    fetched(auth, token(expires_in="3600"))
    clock.now += 61
    assert auth.wanted(PUSH) == rights_of(PUSH)


def test_an_identity_token_that_is_refused_without_a_user_name_ends_with_the_reason() -> None:
    auth = challenged(credentials=Credentials("x", identity_token="REFRESH"))
    with pytest.raises(TokenRefused, match="answered 401") as caught:
        fetched(auth, answer(401))
    assert "REFRESH" not in str(caught.value)


def test_what_an_identity_token_is_refused_with_otherwise_has_no_other_way() -> None:
    auth = challenged(credentials=Credentials("x", "alice", identity_token="REFRESH"))
    with pytest.raises(TokenRefused, match="answered 403"):
        fetched(auth, answer(403))


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        (f'Basic realm="x", {BEARER}', "bearer"),
        (f'{BEARER}, Basic realm="x"', "bearer"),
        (f'Bearer, Basic realm="x", {BEARER}', "bearer"),
        ('Bearer, Basic realm="x"', "basic"),
        ('Negotiate, Basic realm="x"', "basic"),
        (BEARER.replace("Bearer", "BEARER"), "bearer"),
    ],
)
def test_of_several_challenges_the_one_that_can_be_answered_counts(value: str, scheme: str) -> None:
    assert challenged(value).scheme == scheme


def test_the_push_scope_comes_first_whatever_the_challenges_order() -> None:
    scopes = "repository:local/b:pull repository:local/team/app:pull,push"
    auth = challenged(f'Bearer realm="{REALM}",scope="{scopes}"')
    (request,) = fetched(auth, token())
    assert query(request)["scope"] == scopes.split()[::-1]
