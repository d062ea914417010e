"""Images out of a real dockerd and a real podman, pushed as a user would, and read back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.parts.distribution import Distribution
from tests.parts.dockerd import Dockerd
from tests.parts.podman_service import Podman
from tests.parts.programs import need
from tests.real.command import Command

FILES = {"one": b"1" * 300_000, "two": os.urandom(1 << 20)}
BUILT_LATER = b"FROM scratch\nLABEL built=later\n"


@pytest.fixture(scope="module")
def _root() -> None:
    if os.geteuid():
        pytest.skip("engines of one's own take root")


@pytest.fixture(scope="module")
def dockerd(_root: None) -> Iterator[Dockerd]:
    with Dockerd(program=need("dockerd", "docker.io"), client=need("docker", "docker.io")) as one:
        yield one


@pytest.fixture(scope="module")
def podman(_root: None) -> Iterator[Podman]:
    with Podman(program=need("podman")) as one:
        yield one


@pytest.fixture
def docker(dockerd: Dockerd) -> Iterator[Dockerd]:
    """An engine without images."""
    yield dockerd
    dockerd.docker("image", "prune", "--all", "--force")


@pytest.fixture
def pod(podman: Podman) -> Iterator[Podman]:
    """A podman without images."""
    yield podman
    podman.podman("rmi", "--all", "--force")


def config_in(distribution: Distribution, repository: str, tag: str) -> dict[str, Any]:
    """The config of a pushed image, all of whose blobs are there."""
    manifest = json.loads(distribution.manifest(repository, tag).data)
    for layer in manifest["layers"]:
        assert distribution.has_blob(repository, layer["digest"])
    data = distribution.blob(repository, manifest["config"]["digest"])
    value: dict[str, Any] = {**json.loads(data), "id": f"sha256:{sha256(data).hexdigest()}"}
    return value


def test_what_docker_built_is_found_and_pushed(
    docker: Dockerd, distribution: Distribution, command: Command
) -> None:
    name = f"{distribution.host}/found/app"
    built = docker.build(f"{name}:v1", files=FILES)
    done = command(DOCKER_HOST=docker.host)
    assert done.code == 0, done.err
    assert done.out == f"Image pushed: {name}:v1\n"
    assert config_in(distribution, "found/app", "v1")["id"] == built


def test_what_was_pushed_can_be_pulled_and_is_the_same_image(
    docker: Dockerd, distribution: Distribution, command: Command
) -> None:
    name = f"{distribution.host}/pulled/app:v1"
    built = docker.build(name, files=FILES)
    assert command(name, DOCKER_HOST=docker.host).code == 0
    docker.docker("rmi", "--force", built)
    docker.docker("pull", "--quiet", name)
    assert docker.docker("inspect", "--format", "{{.Id}}", name) == built


def test_a_name_goes_below_the_registry_that_is_given(
    docker: Dockerd, distribution: Distribution, command: Command
) -> None:
    built = docker.build("app:v1", "app:v2", files=FILES)
    done = command("app:v1", "--registry", f"{distribution.host}/team", DOCKER_HOST=docker.host)
    assert done.code == 0, done.err
    assert config_in(distribution, "team/app", "v1")["id"] == built
    assert distribution.tags("team/app") == ["v1"]


def test_a_pulled_base_is_not_what_is_meant(
    docker: Dockerd, distribution: Distribution, command: Command
) -> None:
    base = f"{distribution.host}/base/image:1"
    docker.build(base, files={"one": b"1"})
    docker.docker("push", "--quiet", base)
    docker.docker("rmi", "--force", base)
    docker.docker("pull", "--quiet", base)
    built = docker.build("built:v1", files={"two": b"2"}, base=base)
    done = command("--registry", f"{distribution.host}/beside", DOCKER_HOST=docker.host)
    assert done.code == 0, done.err
    assert config_in(distribution, "beside/built", "v1")["id"] == built


def test_an_unchanged_image_is_neither_exported_nor_sent_again(
    docker: Dockerd, distribution: Distribution, command: Command
) -> None:
    name = f"{distribution.host}/again/app:v1"
    docker.build(name, files=FILES)
    assert command(name, DOCKER_HOST=docker.host).code == 0
    done = command(name, "--verbose", DOCKER_HOST=docker.host)
    assert done.code == 0, done.err
    assert "exporting" not in done.err


def test_another_place_in_the_registry_has_its_layers_mounted_without_an_export(
    docker: Dockerd, distribution: Distribution, command: Command
) -> None:
    docker.build("moved:v1", files=FILES)
    places = [f"{distribution.host}/{folder}" for folder in ("moved-from", "moved-to")]
    first, second = (
        command("moved:v1", "--registry", place, "--verbose", DOCKER_HOST=docker.host)
        for place in places
    )
    assert (first.code, second.code) == (0, 0), second.err
    assert "exporting" in first.err
    assert "exporting" not in second.err
    assert "mounted from moved-from/moved" in second.err
    config_in(distribution, "moved-to/moved", "v1")


def test_what_podman_built_is_found_and_pushed(
    pod: Podman, distribution: Distribution, command: Command
) -> None:
    built = pod.build("app:v1", files=FILES)
    done = command("--registry", f"{distribution.host}/pod", CONTAINER_HOST=pod.host)
    assert done.code == 0, done.err
    assert config_in(distribution, "pod/app", "v1")["id"] == f"sha256:{built}"


def test_podman_needs_no_service(pod: Podman, distribution: Distribution, command: Command) -> None:
    built = pod.build(f"{distribution.host}/alone/app:v1", files=FILES)
    done = command(f"podman:{distribution.host}/alone/app:v1", **pod.variables)
    assert done.code == 0, done.err
    assert config_in(distribution, "alone/app", "v1")["id"] == f"sha256:{built}"


def test_every_tag_of_a_repository(
    docker: Dockerd, distribution: Distribution, command: Command
) -> None:
    for tag in ("v1", "v2"):
        docker.build(f"many:{tag}", files={"tag": tag.encode()})
    place = f"{distribution.host}/all"
    done = command("many", "--all-tags", "--registry", place, DOCKER_HOST=docker.host)
    assert done.code == 0, done.err
    assert distribution.tags("all/many") == ["v1", "v2"]


def test_every_tag_in_docker_comes_in_one_export_and_is_not_exported_again(
    docker: Dockerd, distribution: Distribution, command: Command
) -> None:
    ids = [docker.build(f"once:v{at}", files={"tag": b"%d" % at, **FILES}) for at in range(3)]
    place = f"{distribution.host}/once"
    options = ("once", "--all-tags", "--registry", place, "--verbose")
    first, again = (command(*options, DOCKER_HOST=docker.host) for _ in range(2))
    assert (first.code, again.code) == (0, 0), first.err + again.err
    assert (first.err.count("exporting"), again.err.count("exporting")) == (1, 0)
    pushed = [config_in(distribution, "once/once", f"v{at}")["id"] for at in range(3)]
    assert pushed == ids


@pytest.mark.parametrize("service", [True, False])
def test_every_tag_in_podman_comes_in_one_export(
    service: bool, pod: Podman, distribution: Distribution, command: Command
) -> None:
    ids = [pod.build(f"some:v{at}", files={"tag": b"%d" % at, **FILES}) for at in range(3)]
    folder = f"some-{service}".lower()
    options = ("--all-tags", "--registry", f"{distribution.host}/{folder}", "--verbose")
    variables = {"CONTAINER_HOST": pod.host} if service else pod.variables
    done = command("some", *options, **variables)
    assert done.code == 0, done.err
    assert done.err.count("exporting") == 1
    pushed = [config_in(distribution, f"{folder}/some", f"v{at}")["id"] for at in range(3)]
    assert pushed == [f"sha256:{one}" for one in ids]


def test_an_unchanged_image_of_podman_is_not_exported_again(
    pod: Podman, distribution: Distribution, command: Command
) -> None:
    pod.build("known:v1", files=FILES)
    options = ("known:v1", "--registry", f"{distribution.host}/known", "--verbose")
    first, again = (command(*options, CONTAINER_HOST=pod.host) for _ in range(2))
    assert (first.code, again.code) == (0, 0), first.err + again.err
    assert (first.err.count("exporting"), again.err.count("exporting")) == (1, 0)


def test_what_podman_pulled_is_not_taken_for_what_it_built(
    pod: Podman, distribution: Distribution, command: Command
) -> None:
    pod.build("app:v1", files={"one": b"1"})
    other = f"{distribution.host}/other/image:1"
    pod.build(other, files={"two": b"2"})
    pod.podman("push", "--tls-verify=false", other)
    pod.podman("rmi", other)
    pod.podman("pull", "--quiet", "--tls-verify=false", other)
    place = f"{distribution.host}/chosen"
    done = command("--registry", place, CONTAINER_HOST=pod.host)
    assert done.code == 4, done.err
    assert f"name one of them: `{other}`, `localhost/app:v1`" in done.err
    pod.podman("build", "--quiet", "--pull=never", "-t", "new:v1", "-", stdin=BUILT_LATER)
    done = command("--registry", place, CONTAINER_HOST=pod.host)
    assert done.code == 0, done.err
    assert distribution.tags("chosen/new") == ["v1"]


def test_no_such_image_is_exit_4_and_names_where_was_looked(
    docker: Dockerd, command: Command
) -> None:
    done = command("nothing:v1", "--registry", "127.0.0.1:1", DOCKER_HOST=docker.host)
    assert done.code == 4
    assert f"DOCKER_HOST (`{docker.host}`) (no such image)" in done.err


def test_an_engine_that_does_not_answer_is_exit_4(command: Command, tmp_path: Path) -> None:
    done = command(DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert done.code == 4
    assert "no socket there" in done.err
