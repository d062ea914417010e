"""Who may do what in a registry in memory: Basic, and Bearer with a token service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.parts.exchange import Received
from tests.parts.token_service import Access, TokenService


class Auth(Protocol):
    """Decides on a request."""

    def challenges(self, request: Received, needed: Sequence[Access]) -> list[str] | None:
        """The values of WWW-Authenticate that refuse it, or None: it may pass."""


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """Users and passwords; `challenge` is what a stranger is told."""

    users: Mapping[str, str]
    challenge: str = 'Basic realm="test"'

    def challenges(self, request: Received, needed: Sequence[Access]) -> list[str] | None:
        if request.basic and self.users.get(request.basic[0]) == request.basic[1]:
            return None
        return [self.challenge]


@dataclass(frozen=True, slots=True)
class BearerAuth:
    """Tokens of a token service.

    `after_bad_token` replaces the challenge when a token was sent that is not valid: Harbor's is
    `Basic realm="harbor"`. `scope` replaces the scope that is asked for. `ping_only` leaves the
    challenge out of all answers but that to `/v2/`.
    """

    tokens: TokenService
    after_bad_token: str | None = None
    scope: str | None = None
    ping_only: bool = False
    further: Sequence[str] = field(default=())

    def challenges(self, request: Received, needed: Sequence[Access]) -> list[str] | None:
        scheme, _, token = (request.authorization or "").partition(" ")
        granted = self.tokens.access_of(token) if scheme.lower() == "bearer" else None
        if granted is not None and all(granted.allow(access) for access in needed):
            return None
        if self.ping_only and request.path != "/v2/":
            return []
        if scheme and self.after_bad_token is not None:
            return [self.after_bad_token]
        return [self._challenge(needed, bad=bool(scheme)), *self.further]

    def _challenge(self, needed: Sequence[Access], bad: bool) -> str:
        scope = " ".join(str(access) for access in needed) if self.scope is None else self.scope
        fields = [f'realm="{self.tokens.realm}"', f'service="{self.tokens.service}"']
        fields += [f'scope="{scope}"'] if scope else []
        fields += ['error="invalid_token"'] if bad else []
        return "Bearer " + ",".join(fields)
