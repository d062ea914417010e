"""Fetching an access token from the service that a Bearer challenge names."""

from __future__ import annotations

import base64
import re
from collections.abc import Generator
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from idpbuilder.errors import CredentialsWithheld, TokenRefused
from idpbuilder.image import InvalidValue
from idpbuilder.image.host import is_loopback, may_lead_to, reach
from idpbuilder.image.manifest import parse_object
from idpbuilder.registry.challenge import Challenge
from idpbuilder.registry.credentials import Credentials, fit_for_a_header, refused_because
from idpbuilder.registry.endpoints import Endpoint, origin
from idpbuilder.registry.failure import bare, diagnose
from idpbuilder.registry.lifetime import lifetime
from idpbuilder.registry.scope import Scope
from idpbuilder.wire import BytesBody, Request, Response, Trust

CLIENT_ID = "idpbuilder-push"
_ANSWER_LIMIT = 1024 * 1024
_OTHER_WAY = frozenset({400, 401, 404, 405})
_UNSAFE = re.compile(r"[^\x21\x22\x24-\x7e]")
# what came from variables or standard input need not be UTF-8, and must arrive as it came
_ANY_BYTES = "surrogateescape"


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and the seconds it lives from when it came."""

    text: str = field(repr=False)
    lifetime: float


@dataclass(frozen=True, slots=True)
class TokenService:
    """A Bearer challenge that was looked at and may be answered."""

    realm: str
    service: str
    trust: Trust

    def fetch(
        self, scopes: tuple[Scope, ...], credentials: Credentials | None
    ) -> Generator[Request, Response, Token]:
        """Yields the requests to send in turn, takes their answers, returns the token.

        An identity token goes first by POST, a password by GET; where the service knows only the
        other way, that one. Raises TokenRefused.
        """
        if credentials and credentials.identity_token:
            response = yield self._post(scopes, credentials)
            if response.status in _OTHER_WAY and credentials.username:
                response = yield self._get(scopes, credentials, credentials.identity_token)
        else:
            secret = credentials.secret if credentials else ""
            response = yield self._get(scopes, credentials, secret)
            if response.status in (404, 405) and credentials:
                response = yield self._post(scopes, credentials)
        return self._token(response, credentials)

    def _get(
        self, scopes: tuple[Scope, ...], credentials: Credentials | None, secret: str
    ) -> Request:
        query = [("service", self.service)] if self.service else []
        query += [("scope", scope.text) for scope in scopes]
        query.append(("client_id", CLIENT_ID))
        headers: tuple[tuple[str, str], ...] = ()
        if credentials:
            query.append(("account", credentials.username))
            headers = (("Authorization", basic(credentials.username, secret)),)
        separator = "&" if "?" in self.realm else "?"
        url = f"{self.realm}{separator}{_encoded(query)}"
        return Request("GET", url, headers, trust=self.trust, answer_limit=_ANSWER_LIMIT)

    def _post(self, scopes: tuple[Scope, ...], credentials: Credentials) -> Request:
        form = [
            ("service", self.service),
            ("client_id", CLIENT_ID),
            ("scope", " ".join(scope.text for scope in scopes)),
        ]
        if credentials.identity_token:
            form.append(("grant_type", "refresh_token"))
            form.append(("refresh_token", credentials.identity_token))
        else:
            form.append(("grant_type", "password"))
            form.append(("username", credentials.username))
            form.append(("password", credentials.secret))
        return Request(
            "POST",
            self.realm,
            (("Content-Type", "application/x-www-form-urlencoded"),),
            BytesBody(_encoded(form).encode()),
            self.trust,
            _ANSWER_LIMIT,
        )

    def _token(self, response: Response, credentials: Credentials | None) -> Token:
        what = f"no access token from {bare(self.realm)}"
        if 300 <= response.status < 400:
            # what follows is a secret's way out of our hands
            why = f"it answered {response.status}, a redirect, which is not followed"
            raise TokenRefused(what, why, "use an address of the registry that names its service")
        said = diagnose(response).text
        aside = f" ({said})" if said else ""
        if not 200 <= response.status < 300:
            raise TokenRefused(what, *refused_because(f"{response.status}{aside}", credentials))
        try:
            answer = parse_object(response.body)
        except InvalidValue as error:
            raise TokenRefused(what, f"its answer {error}", _SERVICE_HINT) from error
        text = answer.get("token") or answer.get("access_token")
        if not isinstance(text, str) or not text or not fit_for_a_header(text):
            raise TokenRefused(what, f"its answer holds no token{aside}", _SERVICE_HINT)
        return Token(text, lifetime(answer, response.headers))


_SERVICE_HINT = "run again with `--verbose` to see each request"


def token_service(
    challenge: Challenge, endpoint: Endpoint, trust: Trust, *, secret: bool, insecure: bool
) -> TokenService:
    """The service that a Bearer `challenge` of `endpoint` names.

    `secret` says that we would send it one. Raises TokenRefused where the realm is no place to ask,
    CredentialsWithheld where the secret would go over plain HTTP.
    """
    realm = challenge.parameters.get("realm", "")
    what = "the registry's sign-in cannot be used"
    strange = _UNSAFE.search(realm) or "@" in realm.partition("?")[0]
    try:
        realm = _behind_the_same_proxy(realm, endpoint)
        scheme, host, _ = origin(realm)
    except ValueError:
        scheme, host = "", ""
    if scheme not in ("http", "https") or not host or strange:
        raise TokenRefused(what, "its challenge names no token service", _SERVICE_HINT)
    registry_host = origin(endpoint.base)[1]
    if not may_lead_to(registry_host, host):
        raise TokenRefused(what, f"its token service {host} is {reach(host).value}")
    if scheme == "http" and endpoint.scheme == "https" and not insecure:
        raise TokenRefused(
            what, f"its token service {host} is reached without TLS", "allow it with `--insecure`"
        )
    if scheme == "http" and secret and not insecure and not is_loopback(host):
        raise withheld(host)
    return TokenService(realm, challenge.parameters.get("service", ""), trust)


def _behind_the_same_proxy(realm: str, endpoint: Endpoint) -> str:
    """`realm` as it is meant by a registry whose proxy ended TLS without telling it.

    Raises ValueError.
    """
    scheme, host, port = origin(realm)
    own_scheme, own_host, own_port = origin(endpoint.base)
    if (scheme, own_scheme) == ("http", "https") and host == own_host and port in (80, own_port):
        return urlsplit(realm)._replace(scheme="https", netloc=endpoint.authority).geturl()
    return realm


def withheld(host: str) -> CredentialsWithheld:
    """The error of a secret that was asked for over plain HTTP."""
    return CredentialsWithheld(
        f"the credentials were not sent to {host}",
        "it is reached without TLS, where others can read them",
        "reach it over https, or allow it with `--insecure`",
    )


def basic(username: str, secret: str) -> str:
    """The value of an `Authorization` header of the Basic scheme (RFC 7617)."""
    octets = f"{username}:{secret}".encode("utf-8", _ANY_BYTES)
    return "Basic " + base64.b64encode(octets).decode()


def _encoded(fields: list[tuple[str, str]]) -> str:
    return urlencode(fields, encoding="utf-8", errors=_ANY_BYTES)
