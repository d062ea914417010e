"""How a failure is told: on stderr, in JSON, and in the exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from idpbuilder.cli.exits import exit_of
from idpbuilder.cli.streams import Stream, one_line
from idpbuilder.cli.values import boolean
from idpbuilder.errors import BadValue, PushError
from idpbuilder.redact import Secrets

DEBUG_VARIABLE = "IDPBUILDER_DEBUG"
_DEBUG_HINT = (
    f"run it again with {DEBUG_VARIABLE}=1 to see where it happened, and report it as a bug"
)


class UnexpectedError(PushError):
    """An exception that nobody foresaw, worded for a user."""

    @classmethod
    def of(cls, error: BaseException, secrets: Secrets) -> UnexpectedError:
        """`error` without the secrets that its text may hold."""
        text = " ".join(secrets.scrub(str(error)).split())
        kind = type(error).__name__
        return cls("unexpected error", f"{kind}: {text}" if text else kind, _DEBUG_HINT)


def told(text: str, secrets: Secrets) -> str:
    """`text`, in which there may be words of a registry's or of a source's, as it may be shown:
    without secrets, and on one line.
    """
    return one_line(secrets.hide(text))


def failure_text(error: PushError, secrets: Secrets) -> str:
    """What failed and why, and after a blank line what to do and where to read on."""
    text = f"Error: {told(error.message, secrets)}"
    if not error.hint:
        return text
    from idpbuilder.cli.sections import section

    text += f"\n\nhint: {told(error.hint, secrets)}"
    where = section(error)
    return f"{text}\nsee: {where}" if where else text


def failure_document(
    image: str | None, reference: str | None, error: PushError, secrets: Secrets
) -> dict[str, object]:
    """A destination that was not reached, as a JSON object; no image where none was known yet."""
    found = exit_of(error)
    return {
        "image": image,
        "reference": reference,
        "error": {
            "exitCode": found.code,
            "code": found.name,
            "message": told(error.message, secrets),
            "hint": told(error.hint, secrets),
        },
    }


def tell_failure(
    error: BaseException,
    *,
    as_json: bool,
    out: Stream,
    err: Stream,
    environ: Mapping[str, str],
    secrets: Secrets,
) -> int:
    """Print a failure that concerns no destination, and return its exit code."""
    known = error if isinstance(error, PushError) else UnexpectedError.of(error, secrets)
    if wants_traceback(environ):
        from traceback import format_exception

        err.line(secrets.scrub("".join(format_exception(error))).rstrip())
    err.line(failure_text(known, secrets))
    if as_json:
        out.line(json.dumps(failure_document(None, None, known, secrets)))
    return exit_of(known).code


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
