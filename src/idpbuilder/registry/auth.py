"""Signing in to one registry: which header a request carries, and what a 401 means. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from idpbuilder.errors import Unauthorized
from idpbuilder.image.host import is_loopback
from idpbuilder.registry.challenge import Challenge, parse_challenges
from idpbuilder.registry.credentials import (
    Confide,
    Credentials,
    confide_in_nobody,
    refused_because,
)
from idpbuilder.registry.endpoints import Endpoint, origin
from idpbuilder.registry.failure import diagnose
from idpbuilder.registry.scope import Rights, Scope, rights_of, split_scopes
from idpbuilder.registry.token import TokenService, basic, token_service, withheld
from idpbuilder.wire import Request, Response, Trust

RENEW_EARLY = 10.0
"""Seconds before its end at which a token is renewed."""


@dataclass(frozen=True, slots=True)
class _Held:
    text: str
    until: float


class Authenticator:
    """Knows one registry's challenge and holds the tokens that answer it.

    `find` looks up the credentials, once, when a challenge first asks for them; it may raise
    AuthError, or UsageError where what the user gave is not enough. `clock` gives monotonic
    seconds; `confide` is told every secret before it is sent.
    """

    def __init__(
        self,
        find: Callable[[], Credentials | None],
        trust: Trust,
        clock: Callable[[], float],
        *,
        insecure: bool = False,
        confide: Confide = confide_in_nobody,
    ) -> None:
        self._find = find
        self._confide = confide
        self._trust = trust
        self._clock = clock
        self._insecure = insecure
        self._credentials: Credentials | None = None
        self._looked_up = False
        self._basic = False
        self._service: TokenService | None = None
        self._tokens: dict[Rights, _Held] = {}
        self._spelled: dict[Rights, tuple[Scope, ...]] = {}

    @property
    def scheme(self) -> str:
        """The scheme in use, for notes: `anonymous`, `basic` or `bearer`."""
        if self._service:
            return "bearer"
        return "basic" if self._basic else "anonymous"

    @property
    def source(self) -> str:
        """Where the credentials in use came from, for notes."""
        return self._credentials.source if self._credentials else "no credentials"

    def wanted(self, scopes: tuple[Scope, ...]) -> Rights | None:
        """The rights whose token must be fetched before a request with `scopes`; None: none."""
        if self._service is None or (self._credentials and self._credentials.registry_token):
            return None
        rights = rights_of(scopes)
        held = self._tokens.get(rights)
        return None if held and self._clock() < held.until else rights

    def header(self, scopes: tuple[Scope, ...]) -> str | None:
        """The value of `Authorization` for a request with `scopes`; None: it goes without."""
        found = self._credentials
        if self._service is not None:
            if found and found.registry_token:
                return f"Bearer {found.registry_token}"
            held = self._tokens.get(rights_of(scopes))
            return f"Bearer {held.text}" if held else None
        return basic(found.username, found.secret) if self._basic and found else None

    def fetch(self, scopes: tuple[Scope, ...]) -> Generator[Request, Response, None]:
        """Fetches and holds the token for `scopes`: yields requests, takes answers.

        Raises TokenRefused.
        """
        assert self._service is not None
        rights = rights_of(scopes)
        spelled = self._spelled.get(rights, scopes)
        token = yield from self._service.fetch(spelled, self._credentials)
        self._confide(token.text)
        early = min(RENEW_EARLY, token.lifetime / 4)
        # from now: back-offs may have taken longer than the token lives
        self._tokens[rights] = _Held(token.text, self._clock() + token.lifetime - early)

    def refused(
        self, response: Response, endpoint: Endpoint, scopes: tuple[Scope, ...], sent: str | None
    ) -> bool:
        """Learns from a 401 to a request that carried the header `sent`.

        True: with what was learnt the request is worth sending again. False: the registry gave no
        challenge, and its ping may. Raises AuthError where nothing is left to try.
        """
        challenges = parse_challenges(response.headers)
        bearer = _bearer(challenges)
        if self._service is not None:
            # a Basic challenge now only means that the token was bad: the first one holds
            return self._renew(response, scopes, bearer, sent)
        if self._basic:
            if sent is None:
                return True
            raise self.unauthorized(endpoint, response)
        if bearer is not None:
            self._look_up(endpoint)
            self._service = token_service(
                bearer,
                endpoint,
                self._trust,
                secret=self._credentials is not None,
                insecure=self._insecure,
            )
            self._spell(scopes, bearer)
            return True
        if any(found.scheme == "basic" for found in challenges):
            self._sign_in_basic(endpoint, response)
            return True
        return False

    def _sign_in_basic(self, endpoint: Endpoint, response: Response) -> None:
        self._look_up(endpoint)
        if self._credentials is None or not self._credentials.username:
            raise self.unauthorized(endpoint, response)
        self._basic = True

    def _look_up(self, endpoint: Endpoint) -> None:
        self._credentials = self._find()
        self._looked_up = True
        for secret in self._credentials.secrets if self._credentials else ():
            self._confide(secret)
        host = origin(endpoint.base)[1]
        in_the_open = endpoint.scheme == "http" and not self._insecure and not is_loopback(host)
        if self._credentials and in_the_open:
            raise withheld(host)

    def _renew(
        self,
        response: Response,
        scopes: tuple[Scope, ...],
        bearer: Challenge | None,
        sent: str | None,
    ) -> bool:
        held = self._tokens.get(rights_of(scopes))
        if held and sent == f"Bearer {held.text}":
            # others may have renewed it meanwhile: then theirs is tried and nothing thrown away
            del self._tokens[rights_of(scopes)]
        if bearer is not None:
            self._spell(scopes, bearer)
        return True

    def _spell(self, scopes: tuple[Scope, ...], bearer: Challenge) -> None:
        """Keeps the challenge's own spelling of what is needed, where it is more than ours."""
        asked = split_scopes(bearer.parameters.get("scope", ""))
        ours = rights_of(scopes)
        if not rights_of(asked) <= ours:
            before = self._spelled.get(ours, ())
            both = dict.fromkeys((*asked, *before))
            # some services read the first scope alone
            self._spelled[ours] = tuple(sorted(both, key=_only_reads))

    def unauthorized(self, endpoint: Endpoint, response: Response) -> Unauthorized:
        """The error of a 401 after which there is nothing left to try."""
        said = diagnose(response).text
        answer = f"401 ({said})" if said else "401"
        what = f"not signed in to {endpoint.authority}"
        if strange := _strange_schemes(response):
            why = f"it answered {answer} and asks to sign in by {strange}"
            return Unauthorized(what, why, _STRANGE_SCHEME)
        if not self._looked_up:
            why = f"it answered {answer} and does not say how to sign in"
            return Unauthorized(what, why, _NO_CHALLENGE)
        why, hint = refused_because(answer, self._credentials)
        bearer = _bearer(parse_challenges(response.headers))
        if self._credentials and bearer and bearer.parameters.get("error") == _TOO_LITTLE:
            hint = f"check that the account from {self._credentials.source} may push there"
        return Unauthorized(what, why, hint)


def _only_reads(scope: Scope) -> bool:
    return all(action != "push" for _, action in scope.rights)


def _bearer(challenges: tuple[Challenge, ...]) -> Challenge | None:
    """The Bearer challenge to answer: one that names its service, where there is a choice."""
    bearers = [found for found in challenges if found.scheme == "bearer"]
    named = [found for found in bearers if found.parameters.get("realm")]
    if named or any(found.scheme == "basic" for found in challenges):
        return named[0] if named else None
    return bearers[0] if bearers else None


def _strange_schemes(response: Response) -> str:
    """The schemes of a challenge none of which is ours; "" where there is one, or no challenge."""
    schemes = {found.scheme[:_SCHEME_SHOWN] for found in parse_challenges(response.headers)}
    if not schemes or schemes & {"basic", "bearer"}:
        return ""
    return " or ".join(f"`{scheme.title()}`" for scheme in sorted(schemes)[:3])


_SCHEME_SHOWN = 30
_STRANGE_SCHEME = (
    "only Basic and Bearer are spoken here: use an address of the registry that takes a password "
    "or a token"
)
_NO_CHALLENGE = "check that the address is a registry's; `--verbose` shows each request"
_TOO_LITTLE = "insufficient_scope"
"""What a registry says of a token that is good, but not for this (RFC 6750, 3.1)."""
