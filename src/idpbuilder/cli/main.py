"""Where the console scripts begin. Nothing is imported here that an answer does not need."""

from __future__ import annotations

import atexit
import os
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
                _leave(0)
        from idpbuilder.cli.commands import idpbuilder
        from idpbuilder.cli.push import push

        command = idpbuilder if program == "idpbuilder" else push
        command.main(list(arguments), prog_name=program)
    except KeyboardInterrupt:
        _leave(_INTERRUPTED)
    except SystemExit as ending:
        _leave(ending.code if isinstance(ending.code, int) else 0)
    raise AssertionError("a command ends the process itself")


def _leave(code: int) -> NoReturn:
    """End the process at once. All is told and closed by now, and every line was flushed when it
    was written: taking the interpreter apart would cost a tenth of a small push, and would wait for
    threads that wait for a name server.
    """
    # what others registered for the end: a debugger, the measuring of coverage
    atexit._run_exitfuncs()  # noqa: SLF001
    os._exit(code)
