"""Who we are to a registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Confide = Callable[[str], None]
"""Is told each secret before it is sent anywhere: what comes back may hold it, and is shown."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name with its password or token, or a token alone; `source` says where they were
    found.

    `identity_token` is handed to the token service in place of a password; `registry_token` is an
    access token for the registry itself. No secret is in the repr.
    """

    source: str
    username: str = ""
    secret: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        texts = (self.secret, self.identity_token, self.registry_token)
        pairs = [f"{self.username}:{text}" for text in texts[:2] if text]
        return (*filter(None, texts), *pairs)


def confide_in_nobody(_secret: str) -> None:
    """The Confide of those who show nothing."""


def fit_for_a_header(token: str) -> bool:
    """Whether a header can carry `token`."""
    return token.isascii() and token.isprintable() and " " not in token
