"""The programs that push, each a plug-in: what it is called, and how it is told to push what."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bench.parts.corpus import LIST, TAG, Source
from bench.parts.installed import PROGRAM
from bench.parts.tools import find, version

US = "idpbuilder"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an image goes, or below what many go; `plain` is HTTP without TLS."""

    host: str
    repository: str
    plain: bool

    @property
    def reference(self) -> str:
        """With host and tag."""
        return f"{self.host}/{self.repository}:{TAG}"


Command = Callable[[str, Source, Destination], list[str]]
"""The program's path, what it is to push, and where to."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that pushes, and a command for each kind of source that it can push."""

    name: str
    commands: Mapping[str, Command]
    version: tuple[str, ...] = ("--version",)
    package: str = ""

    @property
    def ours(self) -> bool:
        """Whether it is what all others are compared with."""
        return self.name == US

    def program(self) -> str:
        """Its path. Raises Missing."""
        return str(PROGRAM) if self.ours else find(self.name.split()[0], package=self.package)

    def says(self) -> str:
        """Its version. Raises Missing."""
        return version(self.program(), self.version)


def _ours(program: str, source: Source, to: Destination) -> list[str]:
    transport = {"layout": "oci:", "archive": "docker-archive:", "engine": "docker-daemon:"}
    return [program, "push", transport[source.kind] + source.where, "--to", to.reference]


def _listed(program: str, source: Source, to: Destination) -> list[str]:
    below = f"{to.host}/{to.repository}"
    return [program, "push", "--from-file", f"{source.where}/{LIST}", "--registry", below]


def _each(push: Command) -> Command:
    """A loop of the shell's around a program that pushes one image."""

    def command(program: str, source: Source, to: Destination) -> list[str]:
        one = replace(source, kind="layout", where=f"{source.where}/{{}}")
        line = push(program, one, replace(to, repository=f"{to.repository}/{{}}"))
        # what has a brace in it is quoted
        body = shlex.join(line).replace("{}", "'\"$image\"'")
        return ["sh", "-ec", f"for image; do {body}; done", "sh", *source.images]

    return command


def _crane(program: str, source: Source, to: Destination) -> list[str]:
    plain = ["--insecure"] if to.plain else []
    return [program, "push", *plain, source.where, to.reference]


def _skopeo(program: str, source: Source, to: Destination) -> list[str]:
    where, options = {
        # else skopeo may write another manifest than it was given
        "layout": (f"oci:{source.where}:{TAG}", ["--all", "--preserve-digests"]),
        "archive": (f"docker-archive:{source.where}", []),
        "engine": (f"docker-daemon:{source.where}", [f"--src-daemon-host={source.engine}"]),
    }[source.kind]
    plain = ["--dest-tls-verify=false"] if to.plain else []
    return [program, "--insecure-policy", "copy", "-q", *options, *plain, where,
            f"docker://{to.reference}"]  # fmt: skip


def _oras(program: str, source: Source, to: Destination) -> list[str]:
    plain = ["--to-plain-http"] if to.plain else []
    return [program, "cp", "--no-tty", *plain, "--from-oci-layout", f"{source.where}:{TAG}",
            to.reference]  # fmt: skip


def _docker_save(program: str, source: Source, to: Destination) -> list[str]:
    del to
    return ["sh", "-c", 'exec "$0" save "$1" >/dev/null', program, source.where]


def _docker(program: str, source: Source, to: Destination) -> list[str]:
    # a tag is what tells docker where to
    tag_and_push = 'exec 2>&1; "$0" tag "$1" "$2" && exec "$0" push --quiet "$2"'
    return ["sh", "-c", tag_and_push, program, source.where, to.reference]


PEERS = (
    Peer(US, {"layout": _ours, "many": _listed, "archive": _ours, "engine": _ours}),
    Peer(
        "crane",
        {"layout": _crane, "many": _each(_crane), "archive": _crane},
        ("version",),
        "github.com/google/go-containerregistry/cmd/crane@latest",
    ),
    Peer(
        "skopeo",
        {"layout": _skopeo, "many": _each(_skopeo), "archive": _skopeo, "engine": _skopeo},
    ),
    Peer("oras", {"layout": _oras}, ("version",), "oras.land/oras/cmd/oras@latest"),
    Peer("docker", {"engine": _docker}),
    # pushes nothing: whoever has an engine export an image cannot be faster
    Peer("docker save", {"engine": _docker_save}),
)
