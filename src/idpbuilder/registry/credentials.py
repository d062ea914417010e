"""Who we are to a registry."""

from __future__ import annotations

from dataclasses import dataclass, field


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
