"""What the shells and the manual tell of a command: click's own objects, as plain data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

import click

from idpbuilder.cli.command import Flag
from idpbuilder.cli.commands import idpbuilder
from idpbuilder.cli.push import push

NOTICE = "Written by packaging/generate.py: change the flags, or that folder."
PROGRAMS: dict[str, click.Command] = {"idpbuilder": idpbuilder, "idpbuilder-push": push}

_CHOICES = re.compile(r"[a-z]+(\|[a-z]+)+")
# what the metavars of cli/flags.py stand for
_FILES = {"PATH", "LIST"}
_FOLDERS = {"DIR"}


class Value(Enum):
    """What follows a flag."""

    NOTHING = auto()
    CHOICE = auto()
    FILE = auto()
    FOLDER = auto()
    TEXT = auto()


@dataclass(frozen=True, slots=True)
class Spelling:
    """A flag as it is typed: its names, longest first, and what follows it."""

    names: tuple[str, ...]
    value: Value
    choices: tuple[str, ...]
    metavar: str
    repeatable: bool
    ends: bool
    help: str


@dataclass(frozen=True, slots=True)
class Place:
    """A command by the words that lead to it, and what may be typed there."""

    words: tuple[str, ...]
    commands: dict[str, str]
    flags: tuple[Spelling, ...]
    takes_images: bool

    @property
    def name(self) -> str:
        """The words as they are typed."""
        return " ".join(self.words)


def places(program: str) -> tuple[Place, ...]:
    """Every command that `program` has, the outermost first."""
    return tuple(_places((program,), PROGRAMS[program]))


def below(found: tuple[Place, ...]) -> list[str]:
    """The names of all places but the outermost."""
    return [place.name for place in found[1:]]


def first_sentence(text: str) -> str:
    """As much of a help text as fits beside a word on a line."""
    return re.split(r"[.;](?:\s|$)", " ".join(text.split()), maxsplit=1)[0]


def _places(words: tuple[str, ...], command: click.Command) -> Iterator[Place]:
    inner = command.commands if isinstance(command, click.Group) else {}
    yield Place(
        words,
        {name: first_sentence(found.help or "") for name, found in inner.items()},
        tuple(_spelling(flag) for flag in command.params if isinstance(flag, Flag)),
        any("IMAGE" in (parameter.metavar or "") for parameter in _arguments(command)),
    )
    for name, found in inner.items():
        yield from _places((*words, name), found)


def _arguments(command: click.Command) -> Iterator[click.Argument]:
    return (parameter for parameter in command.params if isinstance(parameter, click.Argument))


def _spelling(flag: Flag) -> Spelling:
    metavar = flag.metavar or ""
    return Spelling(
        tuple(sorted(flag.opts, key=len, reverse=True)),
        _value(flag, metavar),
        tuple(metavar.split("|")) if _CHOICES.fullmatch(metavar) else (),
        metavar,
        flag.multiple,
        flag.is_eager,
        first_sentence(flag.help or ""),
    )


def _value(flag: Flag, metavar: str) -> Value:
    if flag.is_flag:
        return Value.NOTHING
    if _CHOICES.fullmatch(metavar):
        return Value.CHOICE
    if metavar in _FILES:
        return Value.FILE
    return Value.FOLDER if metavar in _FOLDERS else Value.TEXT
