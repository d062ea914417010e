"""What was looked at, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from idpbuilder.errors import PushError

Fact = str | int | float | bool | None | tuple[str, ...]
Facts = Mapping[str, Fact]


class State(Enum):
    """How it stands with what was looked at."""

    OK = "ok"
    WARNING = "warning"  # pushes go on, slower or not everywhere
    FAILURE = "failure"  # pushes that need it end here


class Part(Enum):
    """Where it was looked."""

    HERE = "here"
    REGISTRY = "registry"


@dataclass(frozen=True, slots=True)
class Finding:
    """`detail` says on one line how it stands with `what`, `hint` what to do unless it is OK.

    `facts` are the numbers and names in `detail`, for machines; sizes in bytes, times in seconds.
    `error` is how a push would end, of a FAILURE alone. No secret is in any of it.
    """

    what: str
    state: State
    detail: str
    hint: str = ""
    facts: Facts = field(default_factory=dict)
    error: PushError | None = None


def ok(what: str, detail: str, facts: Facts | None = None) -> Finding:
    """Nothing is to be done."""
    return Finding(what, State.OK, detail, facts=facts or {})


def warning(what: str, detail: str, hint: str, facts: Facts | None = None) -> Finding:
    """Something could be better."""
    return Finding(what, State.WARNING, detail, hint, facts or {})


def failure(what: str, error: PushError, hint: str = "") -> Finding:
    """A push would end with `error`; `hint` takes the place of its own."""
    # they speak of flags of push's
    own = error.hint.partition("; `--verbose`")[0].replace("`--registry http://", "`http://")
    own = "" if own.startswith("run again with `--verbose`") else own
    return Finding(what, State.FAILURE, error.message, hint or own or _NO_HINT, {}, error)


_NO_HINT = "run `idpbuilder push --dry-run --verbose` with an image to see each request"
