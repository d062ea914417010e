"""Writes the manual: a page for each command that has flags of its own, in roff."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

import click

from commands import NOTICE, first_sentence
from idpbuilder import __version__
from idpbuilder.cli.command import Flag, flags_by_group
from idpbuilder.cli.commands import idpbuilder
from idpbuilder.cli.exits import documented
from idpbuilder.cli.failure import DEBUG_VARIABLE
from idpbuilder.cli.push import push

_PAGES: dict[str, click.Command] = {
    "idpbuilder": idpbuilder,
    **{f"idpbuilder-{name}": command for name, command in idpbuilder.commands.items()},
}


def pages() -> dict[str, str]:
    """The text of each page by its name."""
    return {name: _page(name, command) for name, command in _PAGES.items()}


def _page(name: str, command: click.Command) -> str:
    title = f'.TH {name.upper()} 1 "" "{escaped(f"idpbuilder-push {__version__}")}" "User Commands"'
    sections = {
        "NAME": f"{escaped(name)} \\- {escaped(_short(command))}",
        "SYNOPSIS": _synopsis(name, command),
        "DESCRIPTION": _description(command),
        "COMMANDS": _commands(command),
        "OPTIONS": _options(command.params),
        "ENVIRONMENT": _environment(command.params),
        "EXIT STATUS": _exit_status() if command is push else "",
        "SEE ALSO": _see_also(name),
    }
    written = "".join(f".SH {head}\n{text}\n" for head, text in sections.items() if text)
    # a word that is cut at a line's end cannot be copied
    return f'.\\" {NOTICE}\n{title}\n.nh\n.ad l\n{written}'


def escaped(text: str) -> str:
    """`text`, in one line, so that roff prints it as it stands."""
    for sign, spelled in {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga"}.items():
        text = text.replace(sign, spelled)
    return text


def _short(command: click.Command) -> str:
    text = first_sentence(command.help or "")
    return text[:1].lower() + text[1:]


def _synopsis(name: str, command: click.Command) -> str:
    spoken = name.replace("-", " ")
    arguments = " ".join(
        parameter.metavar or "" for parameter in command.params if not isinstance(parameter, Flag)
    )
    if isinstance(command, click.Group):
        arguments = command.subcommand_metavar or ""
    programs = [spoken] if command is not push else [spoken, name]
    return "\n.br\n".join(
        f".B {escaped(program)}\n[\\fIFLAGS\\fR] {escaped(arguments)}" for program in programs
    )


def _description(command: click.Command) -> str:
    return "\n.PP\n".join(_paragraphs(command))


def _commands(command: click.Command) -> str:
    inner = command.commands if isinstance(command, click.Group) else {}
    pages = _PAGES.values()
    return "\n".join(
        f".TP\n.B {escaped(name)}\n"
        + (
            f"See\n.BR idpbuilder\\-{escaped(name)} (1)."
            if found in pages
            else "\n".join(_paragraphs(found))
        )
        for name, found in inner.items()
    )


def _options(parameters: Iterable[click.Parameter]) -> str:
    groups = flags_by_group(parameters)
    return "\n".join(
        f".SS {escaped(title)}\n" + "\n".join(_option(flag) for flag in flags)
        for title, flags in groups.items()
    )


def _option(flag: Flag) -> str:
    names = ", ".join(
        f"\\fB{escaped(name)}\\fR" for name in sorted(flag.opts, key=len, reverse=True)
    )
    value = "" if flag.is_flag else f" \\fI{escaped(flag.metavar or '')}\\fR"
    notes = [f"Default: {flag.default_text}."] if flag.default_text else []
    notes += [f"Variable: {flag.variable}."] if flag.variable else []
    return f".TP\n{names}{value}\n{_wrapped(' '.join([flag.help or '', *notes]))}"


def _environment(parameters: Iterable[click.Parameter]) -> str:
    flags = [flag for flag in parameters if isinstance(flag, Flag) and flag.variable]
    if not flags:
        return ""
    told = "\n".join(
        f".TP\n.B {flag.variable}\nStands in for \\fB{escaped(flag.long_name)}\\fR."
        for flag in flags
    )
    debug = "1 prints a traceback with an error that ends the program, without secrets."
    return (
        f"A flag wins over its variable, and a variable over the default.\n{told}\n"
        f".TP\n.B {DEBUG_VARIABLE}\n{debug}"
    )


def _exit_status() -> str:
    meanings: dict[int, list[str]] = {}
    for found in documented():
        meanings.setdefault(found.code, []).append(found.meaning)
    return "\n".join(
        f".TP\n.B {code}\n" + _wrapped(_capital("; ".join(told)) + ".")
        for code, told in meanings.items()
    )


def _see_also(name: str) -> str:
    others = [other for other in _PAGES if other != name]
    return ",\n".join(f".BR {escaped(other)} (1)" for other in others).replace("),", ") ,")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _paragraphs(command: click.Command) -> list[str]:
    return [_wrapped(paragraph) for paragraph in (command.help or "").strip().split("\n\n")]


def _wrapped(text: str) -> str:
    """`text` in lines of a readable length, with what stands between backticks in bold."""
    parts = re.split(r"`([^`]*)`", " ".join(text.split()))
    spelled = "".join(
        f"\\fB{escaped(part)}\\fR" if position % 2 else escaped(part)
        for position, part in enumerate(parts)
    )
    lines = textwrap.wrap(spelled, 79, break_long_words=False, break_on_hyphens=False)
    # a point at a line's start would make a request of it
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in lines)
