"""What the tests of this folder put on a machine, and how they ask for it."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from idpbuilder.credentials import Credentials, CredentialStores, Given, Lookup, Surroundings

HOST = "registry.example.com"


def basic(username: str, password: str) -> dict[str, str]:
    """An entry of `auths`."""
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


def write(path: Path, content: object) -> Path:
    """A file of credentials, as `login` leaves it; a text is written as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(0o600)
    return path


def config(path: Path, auths: Mapping[str, object], **more: object) -> Path:
    """A file of credentials with `auths`."""
    return write(path, {"auths": auths, **more})


@dataclass
class Machine:
    """A home, its variables, its helper programs, and what its user was told."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    patience: float = 60.0

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.home.mkdir(exist_ok=True)
        self.programs = self.folder / "programs"
        self.programs.mkdir(exist_ok=True)

    def environ(self) -> dict[str, str]:
        """What a process here sees; nothing of the machine that the tests run on."""
        ours = {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "PATH": str(self.programs),
        }
        return {**ours, **self.variables}

    def check(self) -> None:
        """Called while a helper runs."""

    def docker(self, auths: Mapping[str, object], **more: object) -> Path:
        """What `docker login` wrote."""
        return config(self.home / ".docker" / "config.json", auths, **more)

    def podman(self, auths: Mapping[str, object], **more: object) -> Path:
        """What `podman login` wrote."""
        return config(self.folder / "run" / "containers" / "auth.json", auths, **more)

    def registries_conf(self, text: str, name: str = "registries.conf") -> Path:
        """What the system's administrator told podman."""
        return write(self.folder / "etc" / "containers" / name, text)

    def helper(self, name: str, body: str) -> Path:
        """Install `docker-credential-NAME`, in Python: `server` is what it was asked for."""
        path = self.programs / f"docker-credential-{name}"
        lines = (
            f"#!{sys.executable} -S",
            "import json, os, sys, time",
            "assert sys.argv[1:] == ['get'], sys.argv",
            "server = sys.stdin.read()",
            f"with open({str(self.calls_file)!r}, 'a') as calls: calls.write(server + '\\n')",
            body,
        )
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o755)
        return path

    def keeps(self, name: str, username: str, secret: str) -> Path:
        """Install a helper that always answers the same."""
        return self.helper(name, f"print(json.dumps({{'Username': {username!r}, "
                                 f"'Secret': {secret!r}, 'ServerURL': server}}))")  # fmt: skip

    @property
    def calls_file(self) -> Path:
        """A line for each time that a helper ran."""
        return self.folder / "calls"

    @property
    def calls(self) -> list[str]:
        """What helpers were asked for."""
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    def stores(
        self,
        *,
        username: str | None = None,
        password: str | None = None,
        authfile: str | os.PathLike[str] | None = None,
    ) -> CredentialStores:
        """All stores, with what the user gave."""
        given = Given(username, password, os.fspath(authfile) if authfile else None)
        surroundings = Surroundings(
            self.environ(),
            self.warnings.append,
            self.secrets.append,
            self.check,
            self.patience,
            str(self.folder / "etc"),
            self.notes.append,
        )
        return CredentialStores(given, surroundings)

    def lookup(self, registry: str = HOST, repository: str = "team/app", **given: str) -> Lookup:
        """How to get the credentials for a repository."""
        return self.stores(**given).lookup(registry, repository)

    def find(
        self,
        registry: str = HOST,
        repository: str = "team/app",
        *,
        username: str | None = None,
        password: str | None = None,
        authfile: str | os.PathLike[str] | None = None,
    ) -> Credentials | None:
        """The credentials for a repository."""
        stores = self.stores(username=username, password=password, authfile=authfile)
        return stores.lookup(registry, repository)()

    def user(self, registry: str = HOST, repository: str = "team/app") -> str | None:
        """The user name that is found."""
        found = self.find(registry, repository)
        return found.username if found else None
