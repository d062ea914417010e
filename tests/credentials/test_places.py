"""Where docker and podman keep their files."""

from __future__ import annotations

import os
import pwd
import sys

import pytest

from idpbuilder.credentials.places import Place, dockers, podmans


def places(environ: dict[str, str]) -> list[Place]:
    docker = dockers(environ)
    return [*([docker] if docker else []), *podmans(environ)]


def shown(**environ: str) -> list[str]:
    return [place.shown for place in places(environ)]


@pytest.fixture(autouse=True)
def linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "access", lambda path, mode: True)


def test_docker_then_podmans_file_of_this_session_then_its_lasting_one_then_the_old_one() -> None:
    assert shown(HOME="/h", XDG_RUNTIME_DIR="/run/user/7") == [
        "~/.docker/config.json",
        "/run/user/7/containers/auth.json",
        "~/.config/containers/auth.json",
        "~/.dockercfg",
    ]


def test_variables_move_the_files() -> None:
    moved = {"DOCKER_CONFIG": "/d", "XDG_RUNTIME_DIR": "/r", "XDG_CONFIG_HOME": "/c"}
    assert shown(HOME="/h", **moved) == [
        "/d/config.json",
        "/r/containers/auth.json",
        "/c/containers/auth.json",
        "~/.dockercfg",
    ]


def test_without_a_runtime_folder_podman_takes_one_of_its_own() -> None:
    assert f"/run/containers/{os.getuid()}/auth.json" in shown(HOME="/h")


def test_a_runtime_folder_that_is_not_ours_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert shown(HOME="/h") == [
        "~/.docker/config.json",
        "~/.config/containers/auth.json",
        "~/.dockercfg",
    ]


def test_macos_has_no_runtime_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert shown(HOME="/h", XDG_RUNTIME_DIR="/r") == [
        "~/.docker/config.json",
        "~/.config/containers/auth.json",
        "~/.dockercfg",
    ]


def test_without_home_the_system_knows_it() -> None:
    found = places({})[0]
    assert found.path == os.path.join(pwd.getpwuid(os.getuid()).pw_dir, ".docker/config.json")


def test_a_user_whom_the_system_does_not_know_has_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert shown(XDG_RUNTIME_DIR="/r") == ["/r/containers/auth.json"]
