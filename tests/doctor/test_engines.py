"""Container engines: those that answer, those that do not, and those that are not there."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from idpbuilder.cli.exits import exit_of
from idpbuilder.doctor.engines import engines
from idpbuilder.doctor.finding import Finding, State
from idpbuilder.source.engines import places
from idpbuilder.transport.curl import CurlEngine
from tests.parts.engine_api import EngineApiServer


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places in the user's folders alone: this machine may run engines of its own."""
    found = places.places

    def homely(environ: dict[str, str]) -> tuple[places.Place, ...]:
        return tuple(one for one in found(environ) if not one.socket.startswith(("/var", "/run")))

    monkeypatch.setattr("idpbuilder.doctor.engines.places", homely)


def look(engine: CurlEngine, environ: dict[str, str]) -> list[Finding]:
    return list(engines(environ, engine, lambda: None))


def podman(environ: dict[str, str], script: str) -> None:
    path = Path(environ["PATH"], "podman")
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_without_any_engine_there_is_a_warning_that_says_where_was_looked(
    engine: CurlEngine, variables: dict[str, str]
) -> None:
    (found,) = look(engine, variables)
    assert found.state is State.WARNING
    assert f"{variables['XDG_RUNTIME_DIR']}/docker.sock" in found.detail
    assert "the `podman` command" in found.detail


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ({"Version": "27.1", "Components": [{"Name": "Engine"}]}, "Docker Engine 27.1, API 1.41"),
        ({"Version": "5.2", "Components": [{"Name": "Podman Engine"}]}, "Podman Engine 5.2, "),
        ({"Version": "1"}, "Docker Engine 1"),
        ([], "an engine that does not say its version, API 1.41"),
    ],
)
def test_an_engine_that_answers_is_told_with_its_version(
    engine: CurlEngine, variables: dict[str, str], tmp_path: Path, version: object, told: str
) -> None:
    broken = {"/version": (200, json.dumps(version).encode())}
    with EngineApiServer(
        tmp_path / "s", version="1.41", version_in_header=True, broken=broken
    ) as api:
        (found,) = look(engine, {**variables, "DOCKER_HOST": api.host})
    assert found.state is State.OK
    assert told in found.detail
    assert str(tmp_path / "s") in found.detail


def test_a_socket_at_which_nobody_listens_is_a_warning(
    engine: CurlEngine, variables: dict[str, str]
) -> None:
    path = Path(variables["XDG_RUNTIME_DIR"], "docker.sock")
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    (found,) = look(engine, variables)
    assert found.state is State.WARNING
    assert "refused" in found.detail


@pytest.mark.parametrize("host", ["unix:///nowhere", "ssh://me@host", "tcp://"])
def test_an_engine_that_a_variable_names_and_that_is_not_there_is_a_failure(
    engine: CurlEngine, variables: dict[str, str], host: str
) -> None:
    (found,) = look(engine, {**variables, "DOCKER_HOST": host})
    assert found.state is State.FAILURE
    assert found.error is not None
    assert exit_of(found.error).code == 4


def test_a_docker_configuration_that_is_broken_is_a_failure(
    engine: CurlEngine, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{")
    (found,) = look(engine, {**variables, "DOCKER_CONFIG": str(tmp_path)})
    assert found.state is State.FAILURE


def test_the_podman_command_tells_its_version(
    engine: CurlEngine, variables: dict[str, str]
) -> None:
    podman(variables, "echo podman version 5.2.1")
    (found,) = look(engine, variables)
    assert found.detail == "the `podman` command: podman version 5.2.1"


def test_a_podman_command_that_fails_is_a_warning(
    engine: CurlEngine, variables: dict[str, str]
) -> None:
    podman(variables, "exit 3")
    (found,) = look(engine, variables)
    assert found.state is State.WARNING
    assert "exit code 3" in found.detail
