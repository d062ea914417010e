"""Where the console scripts begin. Nothing is imported here that an answer does not need."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from idpbuilder.cli.streams import Stream, occupy_closed_descriptors

_INTERRUPTED = 130


def main() -> NoReturn:
    """The console script `idpbuilder`: a group with the command `push`."""
    _enter("idpbuilder", sys.argv[1:])


def push_main() -> NoReturn:
    """The console script `idpbuilder-push`: the command `push` alone."""
    _enter("idpbuilder-push", sys.argv[1:])


def _enter(program: str, arguments: Sequence[str]) -> NoReturn:
    occupy_closed_descriptors()
    try:
        if list(arguments) in (["--version"], ["push", "--version"]):
            # answered before click is imported, which takes longer than all the rest; what
            # goes wrong here goes wrong there again, and is told there
            with suppress(Exception):
                from idpbuilder.cli.version import version_line

                Stream(sys.stdout).line(version_line())
                sys.exit(0)
        from idpbuilder.cli.push import idpbuilder, push

        command = idpbuilder if program == "idpbuilder" else push
        command.main(list(arguments), prog_name=program)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    raise AssertionError("a command ends the process itself")
