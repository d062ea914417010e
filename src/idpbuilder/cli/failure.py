"""How a failure is told: on stderr, in JSON, and in the exit code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from idpbuilder.cli.exits import exit_of
from idpbuilder.cli.redact import redacted
from idpbuilder.cli.streams import Stream
from idpbuilder.cli.values import BadValue, boolean
from idpbuilder.errors import PushError

DEBUG_VARIABLE = "IDPBUILDER_DEBUG"
_DEBUG_HINT = (
    f"run it again with {DEBUG_VARIABLE}=1 to see where it happened, and report it as a bug"
)


class UnexpectedError(PushError):
    """An exception that nobody foresaw, worded for a user."""

    @classmethod
    def of(cls, error: BaseException, secrets: Iterable[str]) -> UnexpectedError:
        """`error` without the secrets that its text may hold."""
        text = " ".join(redacted(str(error), secrets).split())
        kind = type(error).__name__
        return cls("unexpected error", f"{kind}: {text}" if text else kind, _DEBUG_HINT)


def failure_text(error: PushError) -> str:
    """What failed and why, and after a blank line what to do."""
    text = f"Error: {error.message}"
    return f"{text}\n\nhint: {error.hint}" if error.hint else text


def failure_document(
    image: str | None, reference: str | None, error: PushError
) -> dict[str, object]:
    """A destination that was not reached, as a JSON object; no image where none was known yet."""
    found = exit_of(error)
    return {
        "image": image,
        "reference": reference,
        "error": {
            "exitCode": found.code,
            "code": found.name,
            "message": error.message,
            "hint": error.hint,
        },
    }


def tell_failure(
    error: BaseException,
    *,
    as_json: bool,
    out: Stream,
    err: Stream,
    environ: Mapping[str, str],
    secrets: Sequence[str],
) -> int:
    """Print a failure that concerns no destination, and return its exit code."""
    told = error if isinstance(error, PushError) else UnexpectedError.of(error, secrets)
    if wants_traceback(environ):
        from traceback import format_exception

        err.line(redacted("".join(format_exception(error)), secrets).rstrip())
    err.line(failure_text(told))
    if as_json:
        out.line(json.dumps(failure_document(None, None, told)))
    return exit_of(told).code


def wants_traceback(environ: Mapping[str, str]) -> bool:
    """Whether IDPBUILDER_DEBUG is on. What is no Boolean is off: no failure hides another."""
    try:
        return boolean(environ.get(DEBUG_VARIABLE) or "false")
    except BadValue:
        return False


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether the arguments ask for JSON, as far as can be seen where they do not parse."""
    asked = False
    for position, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--output":
            asked = arguments[position + 1 : position + 2] == ["json"]
        elif argument.startswith("--output="):
            asked = argument == "--output=json"
    return asked
