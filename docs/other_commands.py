"""The pages of the commands beside `push`: what their help says."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path

import click
from tables import flags_of, table

from idpbuilder.cli.commands import idpbuilder

OTHER = """\
# idpbuilder {name}

{generated}
{about}

```text
{usage}
```

{commands}## Flags
{flags}
An error is told, and ends with an [exit code](../reference/error-codes.md), as those of
[idpbuilder push](push.md) do.
"""


def other_pages(folder: Path, generated: str) -> dict[Path, str]:
    """The text of each page, `generated` in its head."""
    return {
        folder / f"{name}.md": OTHER.format(
            name=name,
            generated=generated,
            about=_about(command),
            usage="\n".join(_usage(f"idpbuilder {name}", command)),
            commands=_commands(command),
            flags=flags_of(command),
        )
        for name, command in _others().items()
    }


def others() -> str:
    """A list of links to them, for a page beside them."""
    return "\n".join(f"- [idpbuilder {name}]({name}.md)" for name in _others())


def _others() -> Mapping[str, click.Command]:
    context = click.Context(idpbuilder)
    found = {
        name: idpbuilder.get_command(context, name) for name in idpbuilder.list_commands(context)
    }
    return {name: one for name, one in found.items() if one is not None and name != "push"}


def _about(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "")


def _usage(name: str, command: click.Command) -> list[str]:
    if isinstance(command, click.Group):
        return [
            line
            for one in command.commands
            for line in _usage(f"{name} {one}", command.commands[one])
        ]
    arguments = [str(one.metavar) for one in command.params if isinstance(one, click.Argument)]
    return [" ".join((name, "[FLAGS]", *arguments))]


def _commands(command: click.Command) -> str:
    if not isinstance(command, click.Group):
        return ""
    rows = [(f"`{name}`", " ".join(_about(one).split())) for name, one in command.commands.items()]
    return f"{table(('command', 'what it does'), rows)}\n\n"
