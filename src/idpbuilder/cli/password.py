"""What comes in on standard input: a password, or the list of images."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from idpbuilder.errors import UsageError

if TYPE_CHECKING:
    from idpbuilder.cli.command import Session
    from idpbuilder.cli.given import Given

_LIMIT: Final = 64 * 1024 * 1024


def password_of(given: Given, session: Session) -> str | None:
    """The password that a user gave, confided; None where he gave none. Raises UsageError."""
    if given.has("password_stdin"):
        if given.is_set("password"):
            raise UsageError(
                "`--password` and `--password-stdin` contradict each other",
                hint="leave one of them out",
            )
        password: str | None = _read(stdin_of("the password")())
    else:
        password = given.secret("password")
    if password:
        from idpbuilder.push.asked import user

        username = given.value("username", user, "")
        for secret in (password, f"{username}:{password}"):
            session.secrets.add(secret)
    return password


def stdin_of(what: str) -> Callable[[], bytes]:
    """Reads standard input, which is `what`. Raises UsageError."""

    def read() -> bytes:
        try:
            return sys.stdin.buffer.read(_LIMIT)
        # closed before the program began, standard input is None
        except (OSError, ValueError, AttributeError) as error:
            raise UsageError(
                f"{what} cannot be read", "standard input is closed", f"pipe {what} in"
            ) from error

    return read


def _read(data: bytes) -> str:
    # the one line end that `echo` adds, and no more: a password may end in another
    text = os.fsdecode(data)
    text = text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")
    if not text:
        raise UsageError("the password on standard input is empty", hint="pipe the password in")
    return text
