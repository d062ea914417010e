"""Which error gives which exit code: the only place that knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from idpbuilder import errors
from idpbuilder.errors import Interrupted, PushError

OK: Final = 0
GENERAL: Final = 1
_SIGNAL_BASE: Final = 128
SIGNAL_CODES: Final = {"SIGHUP": 129, "SIGINT": 130, "SIGTERM": 143}


@dataclass(frozen=True, slots=True)
class Exit:
    """An exit code, what JSON output calls it, and what it means to a user."""

    code: int
    name: str
    meaning: str


_TABLE: Final[tuple[tuple[type[PushError], Exit], ...]] = (
    (
        errors.UsageError,
        Exit(GENERAL, "usage", "a flag, variable, name or destination that cannot be used"),
    ),
    (
        errors.LocalError,
        Exit(GENERAL, "internal", "this machine: a full disk, a file that cannot be written"),
    ),
    (
        errors.AuthError,
        Exit(
            2,
            "auth",
            "the registry or its token service refuses (401, 403), a credential helper fails, or a "
            "password would have gone over plain HTTP",
        ),
    ),
    (
        errors.NetworkError,
        Exit(
            3,
            "network",
            "no address, no connection, a connection that breaks, TLS or a proxy, after the "
            "retries are spent",
        ),
    ),
    (
        errors.SourceError,
        Exit(
            4,
            "source",
            "no such image or platform, or an image that is unreadable, broken or incomplete",
        ),
    ),
    (
        errors.RegistryError,
        Exit(
            5,
            "registry",
            "the registry answers 404 on the repository, 413, 429 or 5xx after the retries, "
            "refuses the content, or does not speak the protocol",
        ),
    ),
    (errors.PushTimeout, Exit(6, "timeout", "`--timeout` passed")),
)
INTERNAL: Final = Exit(GENERAL, "internal", "an unexpected error: a bug in this program")


def exit_of(error: BaseException) -> Exit:
    """The exit of a failure; what is no PushError is a bug of ours."""
    if isinstance(error, Interrupted):
        return Exit(_SIGNAL_BASE + error.signum, "interrupted", "a signal")
    for kind, found in _TABLE:
        if isinstance(error, kind):
            return found
    return INTERNAL


def documented() -> tuple[Exit, ...]:
    """Every exit in the order of its code, for the reference pages."""
    signals = tuple(Exit(code, "interrupted", name) for name, code in SIGNAL_CODES.items())
    success = Exit(OK, "", "every image is in the registry under its reference")
    return (success, *(found for _, found in _TABLE), INTERNAL, *signals)
