"""The helpers that podman asks for every registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from idpbuilder.credentials import Credentials
from idpbuilder.errors import CredentialHelperFailed
from tests.credentials.stored import HOST, Machine, basic, write

NOT_FOUND = "print('credentials not found in native keychain'); sys.exit(1)"


def lists(*names: str) -> str:
    return f"credential-helpers = {list(names)!r}\n"


def own(machine: Machine, text: str, name: str = "registries.conf") -> Path:
    """What the user told podman."""
    return write(machine.home / ".config/containers" / name, text)


def test_a_helper_of_the_list_is_asked(machine: Machine) -> None:
    path = machine.registries_conf(lists("x"))
    machine.keeps("x", "alice", "s3cret")
    assert machine.find() == Credentials(f"docker-credential-x of {path}", "alice", "s3cret")
    assert machine.calls == [HOST]


def test_helpers_are_asked_in_the_order_of_the_list_and_podmans_files_have_a_place_in_it(
    machine: Machine,
) -> None:
    machine.podman({HOST: basic("file", "f")})
    machine.helper("empty", NOT_FOUND)
    machine.keeps("full", "helper", "h")
    machine.registries_conf(lists("empty", "containers-auth.json", "full"))
    assert machine.user() == "file"
    machine.registries_conf(lists("full", "containers-auth.json"))
    assert machine.user() == "helper"


def test_podmans_files_are_not_read_where_the_list_does_not_name_them(machine: Machine) -> None:
    machine.podman({HOST: basic("file", "f")})
    machine.helper("x", NOT_FOUND)
    machine.registries_conf(lists("x"))
    assert machine.find() is None


def test_dockers_file_comes_first_whatever_podman_asks(machine: Machine) -> None:
    machine.docker({HOST: basic("docker", "d")})
    machine.keeps("x", "alice", "s3cret")
    machine.registries_conf(lists("x"))
    assert machine.user() == "docker"
    assert machine.calls == []


def test_an_authfile_is_the_only_store(machine: Machine, tmp_path: Path) -> None:
    machine.keeps("x", "alice", "s3cret")
    machine.registries_conf(lists("x"))
    assert machine.find(authfile=write(tmp_path / "auth.json", "{}")) is None
    assert machine.calls == []


@pytest.mark.parametrize(
    "text", [lists(), "", "# credential-helpers\n", "[[registry]]\n" + lists("x")]
)
def test_without_a_list_podmans_files_are_read(machine: Machine, text: str) -> None:
    machine.podman({HOST: basic("file", "f")})
    machine.registries_conf(text)
    assert machine.user() == "file"
    assert machine.warnings == []


def test_the_last_list_counts(machine: Machine) -> None:
    for name in ("main", "first", "last", "other"):
        machine.keeps(name, name, "s")
    machine.registries_conf(lists("main"))
    machine.registries_conf(lists("last"), "registries.conf.d/2.conf")
    machine.registries_conf(lists("first"), "registries.conf.d/1.conf")
    machine.registries_conf(lists("other"), "registries.conf.d/3.conf.bak")
    machine.registries_conf("short-name-mode = 'enforcing'", "registries.conf.d/4.conf")
    assert machine.user() == "last"
    own(machine, lists("main"), "registries.conf.d/0.conf")
    assert machine.user() == "main"


def test_a_users_own_file_takes_the_place_of_the_systems(machine: Machine) -> None:
    machine.keeps("system", "system", "s")
    machine.keeps("own", "own", "s")
    machine.registries_conf(lists("system"))
    machine.registries_conf(lists("system"), "registries.conf.d/1.conf")
    own(machine, lists("own"))
    assert machine.user() == "own"


def test_settings_in_the_working_directory_are_nobodys(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "here/containers/registries.conf", lists("x"))
    machine.keeps("x", "alice", "s3cret")
    monkeypatch.chdir(tmp_path)
    machine.variables["XDG_CONFIG_HOME"] = "here"
    assert machine.find() is None
    machine.variables["XDG_CONFIG_HOME"] = str(tmp_path / "here")
    assert machine.user() == "alice"


def test_a_variable_names_the_file(machine: Machine, tmp_path: Path) -> None:
    machine.keeps("system", "system", "s")
    machine.keeps("named", "named", "s")
    machine.registries_conf(lists("system"))
    path = write(tmp_path / "named.conf", lists("named"))
    machine.variables["CONTAINERS_REGISTRIES_CONF"] = str(path)
    assert machine.user() == "named"
    machine.variables["CONTAINERS_REGISTRIES_CONF"] = str(tmp_path / "missing.conf")
    machine.podman({HOST: basic("file", "f")})
    assert machine.user() == "file"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("credential-helpers = [", "it is not TOML"),
        ("credential-helpers = 'x'", "its `credential-helpers` is no list"),
        ("credential-helpers = [7]", "its `credential-helpers` names what is no helper"),
        (lists("../x"), "its `credential-helpers` names what is no helper"),
        (lists("--x"), "its `credential-helpers` names what is no helper"),
        (lists("/bin/sh"), "its `credential-helpers` names what is no helper"),
    ],
)
def test_a_broken_list_is_a_warning_and_counts_as_none(
    machine: Machine, text: str, why: str
) -> None:
    path = machine.registries_conf(text)
    machine.podman({HOST: basic("file", "f")})
    assert machine.user() == "file"
    assert machine.warnings == [f"`{path}` is not used for credentials: {why}"]


def test_what_everybody_may_write_to_names_no_program(machine: Machine) -> None:
    path = machine.registries_conf(lists("x"))
    machine.keeps("x", "alice", "s3cret")
    path.chmod(0o664)
    assert machine.user() == "alice"
    path.chmod(0o666)
    assert machine.find() is None
    assert machine.warnings == [
        f"`{path}` is not used for credentials: its mode 0666 lets others write to it"
    ]


@pytest.mark.parametrize("trouble", ["missing", "failing"])
def test_a_helper_in_trouble_matters_where_no_other_store_knows(
    machine: Machine, trouble: str
) -> None:
    if trouble == "failing":
        machine.helper("x", "sys.exit(1)")
    machine.keeps("y", "alice", "s3cret")
    machine.registries_conf(lists("x"))
    with pytest.raises(CredentialHelperFailed, match="docker-credential-x"):
        machine.find()
    machine.registries_conf(lists("x", "y"))
    assert machine.user() == "alice"
    assert len(machine.warnings) == 1
