"""The group of all commands."""

from __future__ import annotations

import click

from idpbuilder.cli.cache import cache
from idpbuilder.cli.command import Group
from idpbuilder.cli.flags import information
from idpbuilder.cli.push import push


class _Commands(Group):
    """The commands, of which `doctor` is loaded when it is asked for: a push needs none of it."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "doctor":
            from idpbuilder.cli.doctor import doctor

            return doctor
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted((*self.commands, "doctor"))


idpbuilder = _Commands(
    "idpbuilder",
    params=information(),
    commands={"push": push, "cache": cache},
    help="Work with container images.",
    options_metavar="[FLAGS]",
    subcommand_metavar="COMMAND [ARGS]...",
    add_help_option=False,
    no_args_is_help=False,
)
