"""The pages are typed: every block that is marked, and every pipeline, against Distribution.

Hosts of examples become those of registries that run here; nothing else of a block is changed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, SHELLS, Block, blocks
from tests.docs.pipelines import pipelines, scripts
from tests.parts.certificates import Certificates
from tests.parts.distribution import PASSWORD, USER, Distribution, DistributionOptions
from tests.parts.docker_archives import Saved, save
from tests.parts.dockerd import Dockerd
from tests.parts.images import ImageSpec, IndexSpec, write_archive, write_layout
from tests.parts.programs import need
from tests.real.conftest import Start

BLOCKS = [
    block for page in PAGES for block in blocks(page) if block.language in SHELLS and block.runnable
]
# those of the pages that stand for the one registry which a block is run against
HOSTS = ("registry.example.com", "registry.example.org", "backup.example.com", "localhost:5000")
PLATFORM = "linux/arm64"
_PUSHED = re.compile(r"^Image pushed: [^/]+/(\S+):(\S+)$", re.MULTILINE)
# what a pipeline's runner fills in before the shell sees it
FILLED_IN = {
    r"\$\{\{ github\.sha \}\}": "4a1c",
    r"\$\{\{ github\.repository_owner \}\}": "team",
    r"\$\{\{ github\.actor \}\}|\$\(registryUser\)|\$CI_REGISTRY_USER": USER,
    r"\$\{\{ secrets\.GITHUB_TOKEN \}\}|\$\(registryPassword\)|\$CI_REGISTRY_PASSWORD": PASSWORD,
    r"\$\{\{ matrix\.part \}\}|\$\(System\.JobPositionInPhase\)": "1",
    r"\$\(System\.TotalJobsInPhase\)": "4",
    r"\$\(Build\.BuildId\)": "7",
    r"\$\(params\.image\)": "registry.example.com/team/app:v1",
    r"\$\(results\.digest\.path\)": "digest",
    r"\$\(workspaces\.dockerconfig\.path\)": "docker",
    r"ghcr\.io": "registry.example.com",
}
# what it puts into every step's environment
RUNNER = {
    "BUILD_NUMBER": "7",
    "CI_COMMIT_SHORT_SHA": "4a1c",
    "CI_NODE_INDEX": "1",
    "CI_NODE_TOTAL": "4",
    "CI_REGISTRY_IMAGE": "registry.example.com/team/app",
    "CIRCLE_NODE_INDEX": "0",
    "CIRCLE_NODE_TOTAL": "4",
    "CIRCLE_SHA1": "4a1c",
    "GITHUB_OUTPUT": "outputs",
    "REGISTRY_PSW": PASSWORD,
    "REGISTRY_USR": USER,
}
# what CircleCI keeps apart from the pipeline
CONTEXT = {"IDPBUILDER_REGISTRY_USER": USER, "IDPBUILDER_REGISTRY_PASSWORD": PASSWORD}


@dataclass(frozen=True, slots=True)
class Desk:
    """A folder with everything that the pages push, a home, and the registries' addresses."""

    folder: Path
    variables: Mapping[str, str]
    registry: Distribution
    hosts: Mapping[str, str]

    def type(self, text: str, variables: Mapping[str, str] | None = None) -> str:
        """What a script prints on stdout. Raises AssertionError where it fails."""
        done = subprocess.run(
            ["sh", "-eu", "-c", self.here(text)],
            cwd=self.folder,
            env={**self.variables, **{k: self.here(v) for k, v in (variables or {}).items()}},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{self.here(text)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def here(self, text: str) -> str:
        """`text` with the hosts of this machine."""
        for host, ours in self.hosts.items():
            text = text.replace(host, ours)
        return text


@pytest.fixture
def desk(
    request: pytest.FixtureRequest, tmp_path: Path, tls_distribution: Distribution
) -> Iterator[Desk]:
    """For the block, or the pipeline, that the test is about."""
    block: Block = request.getfixturevalue("block")
    pipeline = not block.runnable
    signing_in = pipeline or "signing in" in block.mark
    kind = "private_distribution" if signing_in else "distribution"
    registry: Distribution = request.getfixturevalue(kind)
    hosts = {**dict.fromkeys(HOSTS, registry.host), "registry.internal:5000": tls_distribution.host}
    variables = _variables(tmp_path)
    folder = tmp_path / "desk"
    _put_images(folder, registry.host, request.getfixturevalue("certificates"))
    if signing_in:
        variables["SSL_CERT_FILE"] = str(registry.ca)
    if "with docker" in block.mark or "docker build" in block.text:
        engine: Dockerd = request.getfixturevalue("engine")
        variables |= {"DOCKER_HOST": engine.host, "DOCKER_BUILDKIT": "0"}
        engine.build("app:v1", f"{registry.host}/team/app:v1", files={"hello": b"1" * 300_000})
        yield Desk(folder, variables, registry, hosts)
        engine.docker("image", "prune", "--all", "--force")
    else:
        yield Desk(folder, variables, registry, hosts)


@pytest.fixture(scope="module")
def private_distribution(
    start_distribution: Start, certificates: Certificates
) -> Iterator[Distribution]:
    """It wants a password, and speaks TLS: programs that sign in take nothing else."""
    options = DistributionOptions(tls=certificates.server, ca=certificates.ca, basic=True)
    with start_distribution(options) as registry:
        yield registry


@pytest.fixture(scope="module")
def engine() -> Iterator[Dockerd]:
    if os.geteuid():
        pytest.skip("an engine of one's own takes root")
    with Dockerd(program=need("dockerd", "docker.io"), client=need("docker", "docker.io")) as one:
        yield one


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_of_a_page_does_what_it_says(
    block: Block, desk: Desk, tls_distribution: Distribution
) -> None:
    for program in ("buildah", "podman", "jq"):
        if re.search(rf"^{program} |\| {program} ", block.text, re.MULTILINE):
            need(program)
    out = desk.type(block.text)
    for name, tag in _PUSHED.findall(out):
        assert any(tag in registry.tags(name) for registry in (tls_distribution, desk.registry)), (
            name
        )


@pytest.mark.parametrize("block", pipelines(), ids=str)
def test_a_pipeline_pushes_what_it_says(block: Block, desk: Desk) -> None:
    digests = desk.folder / "digest.txt"
    runner = RUNNER | (CONTEXT if "context: registry" in block.text else {})
    for script in scripts(block):
        digests.unlink(missing_ok=True)
        filled = {name: _filled_in(value) for name, value in script.variables.items()}
        desk.type(_filled_in(script.text), runner | filled)
        if "--digestfile" in script.text:
            name, _, digest = digests.read_text().strip().partition("@")
            repository = name.removeprefix(f"{desk.registry.host}/")
            assert desk.registry.manifest(repository, digest).digest == digest


def _filled_in(text: str) -> str:
    for pattern, value in FILLED_IN.items():
        text = re.sub(pattern, value, text)
    return text


def _variables(place: Path) -> dict[str, str]:
    """A user who has signed in nowhere, and has the command on PATH before all others."""
    programs, home, run = place / "programs", place / "home", place / "run"
    for folder in (programs, home, run):
        folder.mkdir(mode=0o700)
    # what is installed is here already
    for installer in ("pip", "pipx"):
        (programs / installer).write_text("#!/bin/sh\n")
        (programs / installer).chmod(0o755)
    storage = place / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{place / "root"}"\nrunroot = "{run}"\n'
    )
    inherited = ("PYTHON", "COVERAGE_", "TMPDIR", "LANG", "LC_")
    return {
        **{name: value for name, value in os.environ.items() if name.startswith(inherited)},
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONWARNINGS": "error",
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(run),
        "CONTAINERS_STORAGE_CONF": str(storage),
        "TOKEN": PASSWORD,
    }


def _put_images(folder: Path, host: str, certificates: Certificates) -> None:
    """All files that the pages name."""
    folder.mkdir()
    layers = (40_000, 12_000)
    one = ImageSpec(layers=layers, real=True, name="app:v1")
    several = (one, ImageSpec(layers=layers, real=True, seed=1, platform=PLATFORM))
    layout = write_layout(folder / "image", [IndexSpec(several, name="app:v1")])
    write_archive(folder / "image.tar", layout)
    write_layout(
        folder / "images",
        [ImageSpec(real=True, ref="v1"), ImageSpec(real=True, seed=2, ref="v2")],
    )
    save(folder / "app.tar", [Saved(tags=("app:v1",))])
    (folder / "images.txt").write_text(
        f"app.tar {host}/team/app:v1\n./image {host}/team/base:v1 {host}/other/base:v1\n"
    )
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY hello /hello\n")
    (folder / "hello").write_bytes(b"1" * 300_000)
    (folder / "certs").mkdir()
    shutil.copy(certificates.ca, folder / "certs" / "ca.crt")
    (folder / "docker").mkdir()
    login = subprocess.check_output(["base64"], input=f"{USER}:{PASSWORD}".encode()).decode()
    (folder / "docker" / "config.json").write_text(
        f'{{"auths": {{"{host}": {{"auth": "{login.strip()}"}}}}}}'
    )
