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


def refused_because(answer: str, credentials: Credentials | None) -> tuple[str, str]:
    """Why `credentials` did not open a door that gave `answer`, and what to do about it."""
    if credentials is None:
        return f"it answered {answer} and no credentials were found", _HOW_TO_GIVE
    hint = f"check the user name and the password or token from {credentials.source}"
    return f"it answered {answer}", hint


_HOW_TO_GIVE = (
    "give them with `--username` and `--password-stdin`, with IDPBUILDER_REGISTRY_USER and "
    "IDPBUILDER_REGISTRY_PASSWORD, or sign in with `docker login`"
)
