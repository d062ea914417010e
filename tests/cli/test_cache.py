"""The command `cache`: what it prints, removes and leaves alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from idpbuilder.cli.command import Session
from idpbuilder.cli.commands import idpbuilder
from idpbuilder.image import Digest
from idpbuilder.memory import open_memory
from tests.cli.test_process import modules_after


def call(*arguments: str, environ: Mapping[str, str]) -> Result:
    session = Session(environ=environ)
    return CliRunner().invoke(
        idpbuilder, ("cache", *arguments), obj=session, prog_name="idpbuilder"
    )


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path)}


def remember(environ: Mapping[str, str]) -> None:
    with open_memory(environ) as kept:
        kept.remember_document(Digest.of(b"x"), b"x")


def test_the_path_is_printed_whether_the_file_is_there_or_not(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    done = call("path", environ=environ)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path}/idpbuilder-push/memory.db\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["path", "clear"])
def test_without_a_place_there_is_an_error_with_a_hint(command: str) -> None:
    done = call(command, environ={})
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "Error: there is no place for a cache: "
        "neither XDG_CACHE_HOME nor HOME is an absolute path\n\n"
        "hint: set HOME, or set XDG_CACHE_HOME to a folder of yours\n"
        "see: docs/user-guide/troubleshooting.md#this-machine\n"
    )


def test_clearing_says_what_was_freed(tmp_path: Path, environ: dict[str, str]) -> None:
    remember(environ)
    path = tmp_path / "idpbuilder-push" / "memory.db"
    done = call("clear", environ=environ)
    assert (done.exit_code, done.stderr) == (0, "")
    assert re.fullmatch(rf"Cleared {re.escape(str(path))} \([0-9.]+ kB\)\n", done.stdout)
    assert not path.exists()


def test_clearing_nothing_frees_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    done = call("clear", environ=environ)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"Cleared {tmp_path}/idpbuilder-push/memory.db (0 B)\n"


def test_a_cache_in_use_is_not_cleared(environ: dict[str, str]) -> None:
    with open_memory(environ) as kept:
        kept.document(Digest.of(b"x"))
        done = call("clear", environ=environ)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "memory.db`: another `idpbuilder` is using it\n\nhint: run it again when" in done.stderr


def test_what_cannot_be_removed_is_told_with_the_systems_reason(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    (tmp_path / "idpbuilder-push" / "memory.lock").mkdir(parents=True)
    done = call("clear", environ=environ)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: cannot clear `{tmp_path}/idpbuilder-push/memory.db`: ")
    assert "is a directory\n\nhint: remove the file yourself" in done.stderr


@pytest.mark.parametrize(
    "arguments", [(), ("shrink",), ("path", "more"), ("clear", "--now")], ids=" ".join
)
def test_a_slip_is_a_usage_error(environ: dict[str, str], arguments: tuple[str, ...]) -> None:
    done = call(*arguments, environ=environ)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "\n\nhint: " in done.stderr


def test_help_lists_both_commands(environ: dict[str, str]) -> None:
    done = call("--help", environ=environ)
    assert done.exit_code == 0
    assert "  clear  " in done.stdout
    assert "  path   " in done.stdout
    assert "Forget all earlier pushes." in call("clear", "--help", environ=environ).stdout


@pytest.mark.parametrize("arguments", [("path",), ("clear",), ("--help",)], ids=" ".join)
def test_no_command_opens_the_database(
    surroundings: dict[str, str], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    surroundings["XDG_CACHE_HOME"] = str(tmp_path)
    assert modules_after(surroundings, "cache", *arguments) & {"sqlite3", "pycurl", "ssl"} == set()
