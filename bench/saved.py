"""Images as they are built here, beside the peers: an archive of `docker save`, and dockerd.

    bench/saved.py [ARCHIVE.tar]

The archive is that of `bench/parts/image.py` unless one is named. `crane` takes part if it is on
PATH, or where CRANE says it is; a newer skopeo than the system's takes part as SKOPEO.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.parts.cost import Make, compare, measure
from bench.parts.distance import at_a_distance
from bench.parts.home import Home
from bench.parts.image import saved_image
from tests.parts.distribution import Distribution
from tests.parts.dockerd import Dockerd

ROUND_TRIP = 0.05
ROUNDS = 5


class Bench:
    """The commands, over a home that no other work uses."""

    def __init__(self, archive: Path, home: Home) -> None:
        self.archive = archive
        self.home = home

    def ours(self, source: str, host: str, *, repository: str = "") -> Make:
        """Ours, as it is installed beside the interpreter; a repository of its own each round."""
        program = str(Path(sys.executable).with_name("idpbuilder"))
        return lambda number: [
            program, "push", source, "--to", f"{host}/{repository or f'ours-{number}'}/app:v1"
        ]  # fmt: skip

    def archivers(self, host: str, repository: str = "") -> dict[str, Make]:
        """All that push an archive of `docker save`, ours first."""
        found = {"idpbuilder": self.ours(str(self.archive), host, repository=repository)}
        for name, program in {
            "skopeo": "skopeo",
            "skopeo (SKOPEO)": os.environ.get("SKOPEO", ""),
        }.items():
            if program and shutil.which(program):
                found[name] = self._skopeo(program, host, repository)
        crane = os.environ.get("CRANE", "crane")
        if shutil.which(crane):
            found["crane"] = lambda number: [
                crane, "push", "--insecure", str(self.archive),
                f"{host}/{repository or f'crane-{number}'}/app:v1",
            ]  # fmt: skip
        return found

    def _skopeo(self, program: str, host: str, repository: str) -> Make:
        label = "new-skopeo" if program == os.environ.get("SKOPEO") else "skopeo"
        return lambda number: [
            program, "--insecure-policy", "copy", "-q", "--dest-tls-verify=false",
            f"docker-archive:{self.archive}",
            f"docker://{host}/{repository or f'{label}-{number}'}/app:v1",
        ]  # fmt: skip


def first_push(bench: Bench, registry: Distribution) -> None:
    """Nothing is remembered, and the registry has none of it."""
    commands = bench.archivers(registry.host)
    compare(
        "archive, first push",
        commands,
        bench.home.environ(),
        rounds=ROUNDS,
        before=bench.home.forget,
    )
    print("    bytes in the registry beside ours: " + _sizes(registry, commands, ROUNDS))


def _sizes(registry: Distribution, commands: dict[str, Make], last: int) -> str:
    sizes = {}
    for name, make in commands.items():
        place = make(last)[-1].removeprefix("docker://")
        repository = place.partition("/")[2].removesuffix(":v1")
        manifest = json.loads(registry.manifest(repository, "v1").data)
        sizes[name] = sum(layer["size"] for layer in manifest["layers"])
    ours = sizes["idpbuilder"]
    return ", ".join(f"{name} {size / ours:.3f}" for name, size in sizes.items())


def unchanged(bench: Bench, registry: Distribution) -> None:
    """The same again, at a distance."""
    with at_a_distance(registry.port, ROUND_TRIP) as port:
        host = f"127.0.0.1:{port}"
        commands: dict[str, Make] = {}
        for name, make in bench.archivers(host).items():
            commands[name] = lambda _number, make=make: make(0)  # type: ignore[misc]
        compare("unchanged, RTT 50 ms", commands, bench.home.environ(), rounds=ROUNDS)


def from_dockerd(bench: Bench, registry: Distribution) -> None:
    """Out of the engine; `docker save` alone is what nobody can be faster than."""
    with Dockerd() as engine, ExitStack() as stack:
        engine.docker("load", "--input", bench.archive)
        name = _tag_of(bench.archive)
        environ = bench.home.environ(DOCKER_HOST=engine.host)

        def docker_push(_number: int) -> list[str]:
            # dockerd remembers where it pushed to, and mounts from there: only a new registry
            # has it push anew
            to = f"{stack.enter_context(Distribution()).host}/docker/app:v1"
            engine.docker("tag", name, to)
            return ["docker", "push", "--quiet", to]

        commands: dict[str, Make] = {
            "idpbuilder": bench.ours(name, registry.host),
            "docker save": lambda _number: ["sh", "-c", f"docker save {name} | cat >/dev/null"],
            "docker push": docker_push,
        }
        compare("dockerd, first push", commands, environ, rounds=3, before=bench.home.forget)
        again = docker_push(0)
        measure(again, environ)
        commands = {
            "idpbuilder": bench.ours(name, registry.host, repository="ours-3"),
            "docker push": lambda _number: again,
        }
        compare("dockerd, unchanged", commands, environ, rounds=ROUNDS)


def _tag_of(archive: Path) -> str:
    with tarfile.open(archive) as tar:
        member = tar.extractfile("manifest.json")
        assert member is not None
        return str(json.load(member)[0]["RepoTags"][0])


def main() -> None:
    for program in ("docker-registry", "skopeo"):
        if shutil.which(program) is None:
            raise SystemExit(f"`{program}` is not installed: sh tests/real/install.sh")
    archive = Path(sys.argv[1]).resolve() if sys.argv[1:] else saved_image()
    print(f"{archive.name}: {archive.stat().st_size / 1e6:.0f} MB")
    with tempfile.TemporaryDirectory(prefix="idpbuilder-bench-") as home:
        bench = Bench(archive, Home(Path(home)))
        with Distribution() as registry:
            first_push(bench, registry)
            unchanged(bench, registry)
        if shutil.which("dockerd") and os.geteuid() == 0:
            with Distribution() as registry:
                from_dockerd(bench, registry)


if __name__ == "__main__":
    main()
