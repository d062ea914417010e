"""A user's machine, on which `docker login` and `podman login` leave what they leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.parts.distribution import PASSWORD, USER, Distribution
from tests.parts.images import Layout
from tests.parts.programs import need
from tests.real.command import Command, Done

Running = subprocess.Popen[str]


class Machine:
    """The command, and the programs that sign a user in; all see the same home."""

    def __init__(self, command: Command, folder: Path) -> None:
        self._command = command
        self.home = command.home
        self.folder = folder
        self.variables = {
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "XDG_CONFIG_HOME": "",
            "REGISTRY_AUTH_FILE": "",
        }
        (folder / "run").mkdir(mode=0o700)

    def push(self, layout: Layout, to: str, *arguments: object, **variables: str) -> Done:
        """The command, telling what it does."""
        both = {**self.variables, **variables}
        done = self._command(layout.path, "--to", to, "--verbose", *arguments, **both)
        # for whoever wants to see it: `pytest -s`
        told = [line for line in done.err.splitlines() if line.startswith(("auth: ", "Error: "))]
        sys.stdout.write(f"\nexit {done.code}: {told[-1] if told else ''}\n")
        return done

    def start(self, layout: Layout, to: str, *arguments: object, **variables: str) -> Running:
        """The running command."""
        both = {**self.variables, **variables}
        return self._command.start(layout.path, "--to", to, *arguments, **both)

    def login(self, program: str, *arguments: object, **variables: str) -> None:
        """`docker login` or `podman login`, with nothing else of this machine's on PATH."""
        programs = self.folder / "programs"
        programs.mkdir(exist_ok=True)
        if not (programs / program).exists():
            (programs / program).symlink_to(need(program))
        environ = {"PATH": str(programs), "HOME": str(self.home), **self.variables, **variables}
        line = [program, "login", "--username", USER, "--password-stdin", *map(str, arguments)]
        done = subprocess.run(
            line,
            executable=programs / program,
            env={name: value for name, value in environ.items() if value},
            input=PASSWORD.encode(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    def helper(self, name: str, body: str) -> dict[str, str]:
        """Install `docker-credential-NAME`, a shell script; the variables that lead to it."""
        programs = self.folder / "helpers"
        programs.mkdir(exist_ok=True)
        path = programs / f"docker-credential-{name}"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return {"PATH": f"{programs}:{os.environ['PATH']}"}

    def docker_config(self, **content: object) -> Path:
        """Docker's file, with content."""
        path = self.home / ".docker" / "config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
        return path


def signed_in(done: Done, registry: Distribution, source: str) -> bool:
    """Whether it was pushed with the credentials of `source`, and says so without showing them."""
    scheme = "bearer" if registry.options.tokens else "basic"
    assert done.code == 0, done.err
    assert PASSWORD not in done.err
    return f"auth: {scheme} with {source} for {registry.host}" in done.err
