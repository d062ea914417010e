"""The command `cache`: where the memory of earlier pushes lies, and how it is emptied."""

from __future__ import annotations

import sys

import click

from idpbuilder.cli.command import Group, PushCommand, Session
from idpbuilder.cli.exits import OK
from idpbuilder.cli.flags import information
from idpbuilder.cli.streams import Stream
from idpbuilder.errors import LocalError


def _file() -> str:
    from idpbuilder.memory import memory_path

    session = click.get_current_context().ensure_object(Session)
    path = memory_path(session.environ, sys.platform)
    if path is None:
        raise LocalError(
            "there is no place for a cache",
            "neither XDG_CACHE_HOME nor HOME is an absolute path",
            "set HOME, or set XDG_CACHE_HOME to a folder of yours",
        )
    return path


def _path() -> int:
    """Print the path of the file that remembers earlier pushes."""
    Stream(sys.stdout).line(_file())
    return OK


def _clear() -> int:
    """Forget all earlier pushes.

    The next push of an image takes longer, and does the same.
    """
    from idpbuilder.cli.report import size_text
    from idpbuilder.memory import clear

    path = _file()
    try:
        freed = clear(path)
    except BlockingIOError as error:
        raise LocalError(
            f"cannot clear `{path}`",
            "another `idpbuilder` is using it",
            "run it again when no push is running",
        ) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LocalError(
            f"cannot clear `{path}`", reason, "remove the file yourself, or push with `--no-cache`"
        ) from error
    Stream(sys.stdout).line(f"Cleared {path} ({size_text(freed)})")
    return OK


cache = Group(
    "cache",
    params=information(),
    commands={
        name: PushCommand(
            name,
            params=information(),
            callback=callback,
            help=callback.__doc__,
            options_metavar="[FLAGS]",
            add_help_option=False,
        )
        for name, callback in (("path", _path), ("clear", _clear))
    },
    help="Show or empty the cache of earlier pushes.",
    options_metavar="[FLAGS]",
    subcommand_metavar="COMMAND [ARGS]...",
    add_help_option=False,
    no_args_is_help=False,
)
