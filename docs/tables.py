"""Tables of flags as the generated pages show them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

from idpbuilder.cli.command import Flag, flags_by_group

# a bar would end a cell; this form of it is read in code as well as in text, on GitHub as in MkDocs
BAR = "&#124;"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table with a line for each of `rows`."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', BAR) for cell in line)} |" for line in lines)


def flags_of(command: click.Command) -> str:
    """A heading and a table for each group of a command's flags."""
    text = ""
    for title, flags in flags_by_group(command.params).items():
        rows = [(_spelled(flag), meaning(flag), code(flag.default_text)) for flag in flags]
        text += f"\n### {title} Flags\n\n{table(('flag', 'meaning', 'default'), rows)}\n"
    return text


def meaning(flag: Flag) -> str:
    """What a flag is for, other flags in it as code."""
    text = (flag.help or "").replace("*", r"\*")
    return re.sub(r"(?<!\S)--[a-z][a-z-]*", r"`\g<0>`", text)


def code(text: str) -> str:
    """`text` as code, unless it is words."""
    return f"`{text}`" if text and " " not in text else text


def _spelled(flag: Flag) -> str:
    names = ", ".join(f"`{name}`" for name in sorted(flag.opts, key=len, reverse=True))
    if flag.is_flag:
        return names
    # between backticks the other form of a bar would be shown as it is written
    value = f"<code>{flag.metavar}</code>" if "|" in str(flag.metavar) else f"`{flag.metavar}`"
    return f"{names} {value}"
