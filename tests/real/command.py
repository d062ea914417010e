"""The command as users run it: a process of its own, in a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Done:
    """What the command came to."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Command:
    """`idpbuilder push`, with no settings of this machine but the proxy's."""

    home: Path

    def start(self, *arguments: object, **variables: str) -> subprocess.Popen[str]:
        """The running process, its output piped, away from the terminal that the tests run on."""
        return subprocess.Popen(
            self._line(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment(variables),
            start_new_session=True,
        )

    def __call__(self, *arguments: object, stdin: str = "", **variables: str) -> Done:
        done = subprocess.run(
            self._line(arguments),
            input=stdin,
            capture_output=True,
            text=True,
            env=self._environment(variables),
            timeout=60,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def _line(self, arguments: tuple[object, ...]) -> list[str]:
        return [sys.executable, "-m", "idpbuilder", "push", *map(str, arguments)]

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        ours = ("IDPBUILDER_", "SSL_CERT", "DOCKER_", "REGISTRY_AUTH_FILE", "NO_COLOR")
        # whoever runs the tests may keep secrets of his own
        theirs = ("DBUS_SESSION_BUS_", "PASSWORD_STORE_", "GNUPGHOME")
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith((*ours, *theirs))
        }
        return {**inherited, "HOME": str(self.home), **variables}
