"""What podman's registries.conf and docker's daemon.json say of registries."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from idpbuilder.transport import insecure
from idpbuilder.transport.insecure import LIMIT, InsecureRegistries, addresses_of


class Machine:
    """A home and an `/etc` of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"HOME": str(folder / "home")}
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.names: dict[str, list[str]] = {}

    def write(self, place: str, content: str | bytes) -> str:
        """A file below `home` or `etc`; its path."""
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o644)
        return str(path)

    def said_by(self, registry: str, repository: str = "team/app") -> str | None:
        found = InsecureRegistries(
            self.environ,
            self.notes.append,
            self.warnings.append,
            system=str(self.folder / "etc"),
            resolve=lambda host: self.names.get(host, []),
        )
        return found.said_by(registry, repository)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


USER_CONF = "home/.config/containers/registries.conf"
SYSTEM_CONF = "etc/containers/registries.conf"
DAEMON = "etc/docker/daemon.json"


def table(location: str, insecure: str = "true", key: str = "location") -> str:
    return f'[[registry]]\n{key} = "{location}"\ninsecure = {insecure}\n'


def test_where_there_are_no_files_nothing_is_insecure(machine: Machine) -> None:
    assert machine.said_by("registry.test") is None
    assert machine.notes == machine.warnings == []


def test_where_there_is_no_variable_the_system_knows_the_home(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = machine.write(USER_CONF, table("registry.test"))
    home = machine.environ.pop("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda _uid: SimpleNamespace(pw_dir=home))
    assert machine.said_by("registry.test") == path

    def nobody(_uid: int) -> object:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert machine.said_by("registry.test") is None


def test_podmans_file_names_a_registry(machine: Machine) -> None:
    path = machine.write(USER_CONF, table("registry.test:5000"))
    assert machine.said_by("registry.test:5000") == path
    assert machine.said_by("registry.test") is None
    assert machine.said_by("registry.test:500") is None


def test_a_prefix_counts_and_not_the_location_behind_it(machine: Machine) -> None:
    text = '[[registry]]\nprefix = "a.test"\nlocation = "b.test"\ninsecure = true\n'
    path = machine.write(USER_CONF, text)
    assert machine.said_by("a.test") == path
    assert machine.said_by("b.test") is None


def test_the_most_specific_prefix_decides(machine: Machine) -> None:
    path = machine.write(USER_CONF, table("a.test") + table("a.test/team", "false"))
    assert machine.said_by("a.test", "other/app") == path
    assert machine.said_by("a.test", "team/app") is None
    assert machine.said_by("a.test", "teams/app") == path


@pytest.mark.parametrize(
    ("prefix", "registry", "means"),
    [
        ("*.a.test", "x.a.test", True),
        ("*.a.test", "x.y.a.test:5000", True),
        ("*.a.test", "a.test", False),
        ("*.a.test", "xa.test", False),
        # podman takes neither a port nor a path after a wildcard
        ("*.a.test:5000", "x.a.test:5000", False),
        ("*.a.test/team", "x.a.test", False),
        ("a.test", "a.test:5000", True),
        ("a.test", "a.test.evil", False),
        ("a.test/team/app", "a.test", True),
        ("a.test/team/app", "a.test:5000", False),
        ("a.test/", "a.test", True),
    ],
)
def test_a_prefix_means_hosts_ports_and_repositories(
    machine: Machine, prefix: str, registry: str, means: bool
) -> None:
    text = f'[[registry]]\nprefix = "{prefix}"\nlocation = "b.test"\ninsecure = true\n'
    path = machine.write(USER_CONF, text)
    assert machine.said_by(registry) == (path if means else None)


def test_of_prefixes_of_one_length_the_first_by_its_letters_decides(machine: Machine) -> None:
    path = machine.write(USER_CONF, table("x.a.test", "false") + table("*.a.test", key="prefix"))
    assert machine.said_by("x.a.test") == path


@pytest.mark.parametrize("order", [("true", "false"), ("false", "true")])
def test_what_a_file_calls_both_is_not_insecure(machine: Machine, order: tuple[str, str]) -> None:
    machine.write(USER_CONF, "".join(table("a.test", insecure) for insecure in order))
    assert machine.said_by("a.test") is None


def test_podmans_older_form_is_read(machine: Machine) -> None:
    path = machine.write(SYSTEM_CONF, '[registries.insecure]\nregistries = ["a.test:5000"]\n')
    assert machine.said_by("a.test:5000") == path


def test_the_users_file_takes_the_place_of_the_systems(machine: Machine) -> None:
    machine.write(SYSTEM_CONF, table("a.test"))
    assert machine.said_by("a.test") is not None
    own = machine.write(USER_CONF, table("b.test"))
    assert machine.said_by("a.test") is None
    assert machine.said_by("b.test") == own
    named = machine.write("named", table("c.test"))
    for variable in ("REGISTRIES_CONFIG_PATH", "CONTAINERS_REGISTRIES_CONF"):
        machine.environ[variable] = named
        assert machine.said_by("b.test") is None
        assert machine.said_by("c.test") == named
        machine.environ[variable] = "/dev/null"
        assert machine.said_by("b.test") is None


def test_who_has_a_main_file_has_put_aside_all_of_the_systems(machine: Machine) -> None:
    path = machine.write("etc/containers/registries.conf.d/a.conf", table("a.test"))
    assert machine.said_by("a.test") == path
    own = machine.write("home/.config/containers/registries.conf.d/b.conf", table("b.test"))
    assert machine.said_by("a.test") == path
    machine.write(USER_CONF, "")
    assert machine.said_by("a.test") is None
    assert machine.said_by("b.test") == own
    # a file that is named for the occasion has not
    machine.environ["CONTAINERS_REGISTRIES_CONF"] = machine.write("named", "")
    assert machine.said_by("a.test") == path


def test_files_beside_the_main_one_are_read_in_order_and_the_last_word_counts(
    machine: Machine,
) -> None:
    machine.write(SYSTEM_CONF, table("a.test"))
    machine.write("etc/containers/registries.conf.d/10-a.conf", table("a.test", "false"))
    assert machine.said_by("a.test") is None
    last = machine.write("etc/containers/registries.conf.d/20-a.conf", table("a.test"))
    assert machine.said_by("a.test") == last
    machine.write("etc/containers/registries.conf.d/30-a.txt", table("a.test", "false"))
    assert machine.said_by("a.test") == last
    # a file that does not speak of it takes it back
    machine.write(
        "home/.config/containers/registries.conf.d/a.conf", '[[registry]]\nlocation = "a.test"\n'
    )
    assert machine.said_by("a.test") is None


@pytest.mark.parametrize(
    "place", [DAEMON, "home/.config/docker/daemon.json", "home/.docker/daemon.json"]
)
def test_dockers_file_names_a_registry(machine: Machine, place: str) -> None:
    path = machine.write(place, '{"insecure-registries": ["a.test:5000", "http://b.test/"]}')
    assert machine.said_by("a.test:5000") == path
    assert machine.said_by("b.test") == path
    assert machine.said_by("a.test") is None
    assert machine.said_by("b.test:5000") is None


def test_dockers_file_names_a_network(machine: Machine) -> None:
    machine.names = {"in.test": ["192.0.2.1", "10.1.2.3"], "out.test": ["192.0.2.1", "fe80::1%lo"]}
    path = machine.write(DAEMON, '{"insecure-registries": ["10.0.0.0/8", "fd00::/8"]}')
    assert machine.said_by("10.200.0.1:5000") == path
    assert machine.said_by("[fd00::1]:5000") == path
    assert machine.said_by("in.test:5000") == path
    assert machine.said_by("11.0.0.1") is None
    assert machine.said_by("out.test") is None
    assert machine.said_by("nowhere.test") is None


def test_docker_hub_is_never_insecure_by_dockers_file(machine: Machine) -> None:
    machine.write(DAEMON, '{"insecure-registries": ["docker.io", "0.0.0.0/0"]}')
    machine.names = {"docker.io": ["192.0.2.1"]}
    assert machine.said_by("docker.io") is None


def test_either_engines_word_is_enough(machine: Machine) -> None:
    machine.write(USER_CONF, table("a.test", "false"))
    path = machine.write(DAEMON, '{"insecure-registries": ["a.test"]}')
    assert machine.said_by("a.test") == path


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('insecure = "', "it is not TOML"),
        (b"insecure = '\xff'", "it is not TOML"),
        ("insecure = " + "[" * 100_000, "it is not TOML"),
        ("registry = 'insecure'", "another type"),
        ("registry = ['insecure']", "another type"),
        (table("a.test", '"true"'), "another type"),
        (table("a.test", "1"), "another type"),
        ("[[registry]]\nlocation = 5\ninsecure = true", "another type"),
        ("registries = 'insecure'", "another type"),
        ("[registries]\ninsecure = ['a.test']", "another type"),
        ("[registries.insecure]\nregistries = 'a.test'", "another type"),
        ("[registries.insecure]\nregistries = [1]", "another type"),
        (table("a.test", key="prefix"), "a registry in it has no location"),
        (table("a.test") + "#" * LIMIT, "it has more than"),
    ],
)
def test_a_file_of_podmans_that_cannot_be_used_is_told_and_counts_as_empty(
    machine: Machine, content: str | bytes, reason: str
) -> None:
    path = machine.write(USER_CONF, content)
    other = machine.write(
        "home/.config/containers/registries.conf.d/b.conf", table("b.test")
    )  # fmt: skip
    assert machine.said_by("a.test") is None
    assert machine.said_by("b.test") == other
    assert machine.warnings[0].startswith(f"`{path}` counts as empty: ")
    assert reason in machine.warnings[0]
    assert machine.notes == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "it is not JSON"),
        (b"\xff", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "another type"),
        ('{"insecure-registries": "a.test"}', "another type"),
        ('{"insecure-registries": ["a.test", 5]}', "another type"),
        ('{"insecure-registries": {"a.test": true}}', "another type"),
        (b" " * LIMIT + b"{}", "it has more than"),
    ],
)
def test_a_file_of_dockers_that_cannot_be_used_is_told_and_counts_as_empty(
    machine: Machine, content: str | bytes, reason: str
) -> None:
    path = machine.write(DAEMON, content)
    assert machine.said_by("a.test") is None
    (warning,) = machine.warnings
    assert warning.startswith(f"`{path}` counts as empty: ")
    assert reason in warning


@pytest.mark.parametrize("content", ["", "{}", '{"insecure-registries": null}'])
def test_a_file_of_dockers_that_says_nothing_is_no_matter(machine: Machine, content: str) -> None:
    machine.write(DAEMON, content)
    assert machine.said_by("a.test") is None
    assert machine.notes == machine.warnings == []


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o646])
def test_a_file_that_others_may_write_counts_as_empty(machine: Machine, mode: int) -> None:
    for place, content in (
        (USER_CONF, table("a.test")),
        (DAEMON, '{"insecure-registries": ["a.test"]}'),
    ):
        os.chmod(machine.write(place, content), mode)
    assert machine.said_by("a.test") is None
    reason = f"its mode {mode:04o} lets others write to it"
    assert [warning.rpartition(": ")[2] for warning in machine.warnings] == [reason] * 2


def test_a_file_that_others_may_write_is_no_matter_where_it_makes_nothing_insecure(
    machine: Machine,
) -> None:
    for place, content in ((USER_CONF, 'short-name-mode = "enforcing"'), (DAEMON, "{}")):
        os.chmod(machine.write(place, content), 0o666)
    assert machine.said_by("a.test") is None
    assert machine.warnings == []


def test_a_file_of_the_systems_that_may_not_be_read_is_noted_alone(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # root may read everything
    def refuse(_path: str, _flags: int) -> int:
        raise PermissionError(13, "Permission denied")

    path = machine.write(DAEMON, '{"insecure-registries": ["a.test"]}')
    monkeypatch.setattr(insecure, "_without_waiting", refuse)
    assert machine.said_by("a.test") is None
    assert f"trust: `{path}` is passed over: Permission denied" in machine.notes
    own = machine.write(USER_CONF, table("a.test"))
    machine.notes.clear()
    machine.warnings.clear()
    assert machine.said_by("a.test") is None
    assert f"`{own}` counts as empty: Permission denied" in machine.warnings
    assert not any(str(machine.folder / "etc") in warning for warning in machine.warnings)


def test_what_is_no_file_is_neither_read_nor_waited_for(machine: Machine) -> None:
    (machine.folder / DAEMON).mkdir(parents=True)
    pipe = machine.folder / "home/.docker/daemon.json"
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    machine.environ["CONTAINERS_REGISTRIES_CONF"] = "/dev/zero"
    assert machine.said_by("a.test") is None
    daemon = machine.folder / DAEMON
    assert machine.notes == [f"trust: `{daemon}` is passed over: Is a directory"]
    assert machine.warnings == [f"`{pipe}` counts as empty: it is no regular file"]


def test_a_named_file_that_is_missing_is_told(machine: Machine) -> None:
    machine.environ["CONTAINERS_REGISTRIES_CONF"] = "/no/such"
    assert machine.said_by("a.test") is None
    assert machine.warnings == ["`/no/such` counts as empty: there is no such file"]


def test_the_files_are_read_once(machine: Machine) -> None:
    machine.write(DAEMON, "{")
    found = InsecureRegistries(
        machine.environ,
        machine.notes.append,
        machine.warnings.append,
        system=str(machine.folder / "etc"),
    )
    for _ in range(3):
        assert found.said_by("a.test", "app") is None
    assert len(machine.warnings) == 1


def test_a_resolver_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = threading.Event()

    def hang(*_arguments: object) -> list[object]:
        ended.wait()
        raise socket.gaierror("gone")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(insecure, "_RESOLVE_SECONDS", 0.01)
    try:
        assert addresses_of("registry.test") == []
    finally:
        ended.set()


def test_a_name_has_addresses_or_none() -> None:
    assert addresses_of("127.0.0.1") == ["127.0.0.1"] * len(addresses_of("127.0.0.1"))
    assert addresses_of("nowhere.invalid") == []
    assert addresses_of("a" * 300) == []
