"""A token service (distribution, Token Authentication Specification and its OAuth 2 form)."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal
from urllib.parse import parse_qs

from tests.parts.certificates import SigningKey
from tests.parts.exchange import Exchange, Received
from tests.parts.faults import errors
from tests.parts.http_server import HttpServer


@dataclass(frozen=True, slots=True)
class Access:
    """Actions on one repository; as text `repository:name:pull,push`."""

    name: str
    actions: tuple[str, ...]
    kind: str = "repository"

    @classmethod
    def parse(cls, text: str) -> Access:
        """The scope that `text` spells. Raises ValueError."""
        kind, _, rest = text.partition(":")
        name, colon, actions = rest.rpartition(":")
        if not colon:
            raise ValueError(f"no scope: {text}")
        return cls(name, tuple(actions.split(",")), kind)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}:{','.join(self.actions)}"


@dataclass(frozen=True, slots=True)
class Granted:
    """What a token is good for."""

    access: tuple[Access, ...]

    def allow(self, wanted: Access) -> bool:
        """Whether every action of `wanted` is granted."""
        return any(
            (one.kind, one.name) == (wanted.kind, wanted.name)
            and ("*" in one.actions or set(wanted.actions) <= set(one.actions))
            for one in self.access
        )


@dataclass(frozen=True, slots=True)
class TokenManners:
    """One token service's ways.

    `expires_in` is what it says (None: nothing), in seconds, `lifetime` what a registry that reads
    the token finds: a negative one is over at once. `granted` bounds what a token allows, whatever
    was asked for; `anonymous` is what strangers get, None a refusal.
    """

    methods: tuple[str, ...] = ("GET", "POST")
    other_method_status: int = 405
    field: Literal["token", "access_token", "both"] = "both"
    expires_in: int | None = 300
    issued_at: bool = True
    lifetime: int = 300
    refresh_tokens: bool = True
    granted: frozenset[str] = frozenset({"pull", "push", "delete", "*"})
    anonymous: frozenset[str] | None = None
    denied_repositories: frozenset[str] = frozenset()
    first_scope_only: bool = False


class TokenService(HttpServer):
    """Gives tokens to `users`: signed ones with a `key`, for a real registry, else opaque ones.

    A refusal is a fault: `tokens.fault(Answer(403, errors("DENIED")))`.
    """

    def __init__(
        self,
        users: Mapping[str, str] | None = None,
        manners: TokenManners | None = None,
        *,
        key: SigningKey | None = None,
        service: str = "test registry",
        issuer: str = "test issuer",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(tls=tls)
        self.users = dict(users or {})
        self.manners = manners or TokenManners()
        self.key = key
        self.service = service
        self.issuer = issuer
        self.refresh_tokens: dict[str, str] = {}
        self._issued: dict[str, Granted] = {}

    @property
    def realm(self) -> str:
        """The address that challenges name."""
        return f"{self.url}/token"

    def access_of(self, token: str) -> Granted | None:
        """What a token of this service is good for; None for one that is not, or not any more."""
        with self._lock:
            return self._issued.get(token)

    def revoke_all(self) -> None:
        """All tokens given so far are over, for a registry in memory; refresh tokens stay."""
        with self._lock:
            self._issued.clear()

    def identity_token(self, user: str) -> str:
        """A new refresh token of `user`."""
        token = f"refresh-{secrets.token_hex(16)}"
        with self._lock:
            self.refresh_tokens[token] = user
        return token

    def token(self, user: str, access: Iterable[Access]) -> str:
        """A new token for `user`, past all rules."""
        granted = Granted(tuple(access))
        token = self._signed(user, granted) if self.key else secrets.token_hex(24)
        with self._lock:
            self._issued[token] = granted
        return token

    def handle(self, exchange: Exchange) -> None:
        request = exchange.request
        body = exchange.body()
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            request.form = parse_qs(body.decode(), keep_blank_values=True)
        if request.path != "/token":
            exchange.answer(404, "not found")
        elif request.method not in self.manners.methods:
            exchange.answer(self.manners.other_method_status, errors("UNSUPPORTED"))
        elif request.method == "POST":
            self._post(exchange)
        else:
            self._get(exchange)

    def _get(self, exchange: Exchange) -> None:
        request = exchange.request
        if request.first("service") != self.service:
            exchange.answer(400, errors("UNSUPPORTED", "unknown service"))
        elif request.authorization is None:
            self._give_anonymous(exchange)
        elif request.basic and self.users.get(request.basic[0]) == request.basic[1]:
            offline = request.first("offline_token") == "true"
            self._give(exchange, request.basic[0], self.manners.granted, refresh=offline)
        else:
            exchange.answer(401, errors("UNAUTHORIZED", "incorrect username or password"))

    def _post(self, exchange: Exchange) -> None:
        form = {name: values[0] for name, values in exchange.request.form.items()}
        if form.get("service") != self.service:
            exchange.answer(400, {"error": "invalid_request", "error_description": "service"})
            return
        user: str | None = None
        if form.get("grant_type") == "refresh_token":
            user = self.refresh_tokens.get(form.get("refresh_token", ""))
        elif form.get("grant_type") == "password":
            name = form.get("username", "")
            user = name if name and self.users.get(name) == form.get("password") else None
        if user is None:
            exchange.answer(401, {"error": "invalid_grant"})
        else:
            offline = form.get("access_type") == "offline"
            self._give(exchange, user, self.manners.granted, refresh=offline)

    def _give_anonymous(self, exchange: Exchange) -> None:
        if self.manners.anonymous is None:
            exchange.answer(401, errors("UNAUTHORIZED", "sign in first"))
        else:
            self._give(exchange, "", self.manners.anonymous, refresh=False)

    def _give(self, exchange: Exchange, user: str, most: frozenset[str], refresh: bool) -> None:
        try:
            token = self.token(user, self._allowed(exchange.request, most))
        except ValueError as error:
            exchange.answer(400, errors("DENIED", str(error)))
            return
        ways = self.manners
        names = ("token", "access_token") if ways.field == "both" else (ways.field,)
        answer: dict[str, object] = dict.fromkeys(names, token)
        if ways.expires_in is not None:
            answer["expires_in"] = ways.expires_in
        if ways.issued_at:
            answer["issued_at"] = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
        if refresh and ways.refresh_tokens:
            answer["refresh_token"] = self.identity_token(user)
        exchange.answer(200, answer)

    def _allowed(self, request: Received, most: frozenset[str]) -> list[Access]:
        given = [*request.query.get("scope", []), *request.form.get("scope", [])]
        wanted = [Access.parse(scope) for scopes in given for scope in scopes.split()]
        if self.manners.first_scope_only:
            wanted = wanted[:1]
        return [
            Access(one.name, tuple(a for a in one.actions if a in most), one.kind)
            for one in wanted
            if one.name not in self.manners.denied_repositories
        ]

    def _signed(self, user: str, granted: Granted) -> str:
        assert self.key is not None
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": user,
            "aud": self.service,
            "iat": now,
            # a clock that the registry reads a moment earlier must not refuse
            "nbf": now - 300,
            "exp": now + self.manners.lifetime,
            "jti": secrets.token_hex(8),
            "access": [
                {"type": one.kind, "name": one.name, "actions": list(one.actions)}
                for one in granted.access
            ],
        }
        header = {"typ": "JWT", "alg": "RS256", "x5c": [self.key.x5c]}
        payload = f"{_encoded(header)}.{_encoded(claims)}"
        return f"{payload}.{_base64(self.key.sign(payload.encode()))}"


def _encoded(value: object) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
