from __future__ import annotations

import signal

import pytest

from idpbuilder import errors
from idpbuilder.cli.exits import INTERNAL, documented, exit_of
from idpbuilder.errors import Interrupted, PushError

CODES = {
    errors.UsageError: (1, "usage"),
    errors.LocalError: (1, "internal"),
    errors.AuthError: (2, "auth"),
    errors.NetworkError: (3, "network"),
    errors.SourceError: (4, "source"),
    errors.RegistryError: (5, "registry"),
    errors.PushTimeout: (6, "timeout"),
}


def leaves(kind: type[PushError]) -> list[type[PushError]]:
    children = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return [leaf for child in children for leaf in leaves(child)] if children else [kind]


@pytest.mark.parametrize(
    "leaf",
    [leaf for leaf in leaves(PushError) if leaf is not Interrupted],
    ids=lambda leaf: leaf.__name__,
)
def test_every_leaf_of_the_error_tree_has_an_exit_code(leaf: type[PushError]) -> None:
    found = exit_of(leaf("it failed"))
    expected = next(code for kind, code in CODES.items() if issubclass(leaf, kind))
    assert (found.code, found.name) == expected
    assert found is not INTERNAL


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_signal_gives_the_code_that_a_shell_would(number: signal.Signals, code: int) -> None:
    found = exit_of(Interrupted("stopped", number))
    assert (found.code, found.name) == (code, "interrupted")


def test_what_is_no_push_error_is_internal() -> None:
    assert exit_of(ValueError("oops")) is INTERNAL


def test_the_documented_codes_are_those_of_the_contract() -> None:
    assert [found.code for found in documented()] == [0, 1, 1, 2, 3, 4, 5, 6, 1, 129, 130, 143]
