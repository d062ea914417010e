"""What podman's registries.conf and docker's daemon.json say of registries."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from idpbuilder.transport import insecure
from idpbuilder.transport.insecure import LIMIT, InsecureRegistries, addresses_of


class Machine:
    """A home and an `/etc` of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"HOME": str(folder / "home")}
        self.notes: list[str] = []
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
    machine.environ.clear()
    assert machine.said_by("registry.test") is None
    assert machine.notes == []


@pytest.mark.parametrize("key", ["location", "prefix"])
def test_podmans_file_names_a_registry(machine: Machine, key: str) -> None:
    path = machine.write(USER_CONF, table("registry.test:5000", key=key))
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
        ("*.a.test:5000", "x.a.test:5000", True),
        ("*.a.test:5000", "x.a.test", False),
        ("*.a.test/team", "x.a.test", True),
        ("*.a.test/tea", "x.a.test", False),
        # podman means it, by a slip of which its source says that nobody should rely on it
        ("a.test", "a.test:5000", False),
        ("a.test/team/app", "a.test", True),
        ("a.test/", "a.test", True),
    ],
)
def test_a_prefix_means_hosts_ports_and_repositories(
    machine: Machine, prefix: str, registry: str, means: bool
) -> None:
    path = machine.write(USER_CONF, table(prefix, key="prefix"))
    assert machine.said_by(registry) == (path if means else None)


def test_podmans_older_form_is_read(machine: Machine) -> None:
    path = machine.write(SYSTEM_CONF, '[registries.insecure]\nregistries = ["a.test:5000"]\n')
    assert machine.said_by("a.test:5000") == path


def test_the_users_file_takes_the_place_of_the_systems(machine: Machine) -> None:
    machine.write(SYSTEM_CONF, table("a.test"))
    assert machine.said_by("a.test") is not None
    own = machine.write(USER_CONF, table("b.test"))
    assert machine.said_by("a.test") is None
    assert machine.said_by("b.test") == own
    machine.environ["CONTAINERS_REGISTRIES_CONF"] = machine.write("named", table("c.test"))
    assert machine.said_by("b.test") is None
    assert machine.said_by("c.test") == f"{machine.folder}/named"


def test_files_beside_the_main_one_are_read_in_order_and_the_last_word_counts(
    machine: Machine,
) -> None:
    machine.write(USER_CONF, table("a.test"))
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
        (table("a.test") + "#" * LIMIT, "larger than"),
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
    assert machine.notes[0].startswith(f"trust: `{path}` is passed over: ")
    assert reason in machine.notes[0]


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
        (b" " * LIMIT + b"{}", "larger than"),
    ],
)
def test_a_file_of_dockers_that_cannot_be_used_is_told_and_counts_as_empty(
    machine: Machine, content: str | bytes, reason: str
) -> None:
    path = machine.write(DAEMON, content)
    assert machine.said_by("a.test") is None
    (note,) = machine.notes
    assert note.startswith(f"trust: `{path}` is passed over: ")
    assert reason in note


@pytest.mark.parametrize("content", ["", "{}", '{"insecure-registries": null}'])
def test_a_file_of_dockers_that_says_nothing_is_no_matter(machine: Machine, content: str) -> None:
    machine.write(DAEMON, content)
    assert machine.said_by("a.test") is None
    assert machine.notes == []


def test_a_file_that_everybody_may_write_counts_as_empty(machine: Machine) -> None:
    for place, content in (
        (USER_CONF, table("a.test")),
        (DAEMON, '{"insecure-registries": ["a.test"]}'),
    ):
        os.chmod(machine.write(place, content), 0o666)
    assert machine.said_by("a.test") is None
    assert [note.rpartition(": ")[2] for note in machine.notes] == ["everybody may write to it"] * 2


def test_what_is_no_file_is_neither_read_nor_waited_for(machine: Machine) -> None:
    (machine.folder / DAEMON).mkdir(parents=True)
    pipe = machine.folder / "home/.docker/daemon.json"
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    machine.environ["CONTAINERS_REGISTRIES_CONF"] = "/dev/zero"
    assert machine.said_by("a.test") is None
    assert [note.rpartition(": ")[2] for note in machine.notes] == [
        "it is no regular file",
        "Is a directory",
        "it is no regular file",
    ]


def test_a_named_file_that_is_missing_is_told(machine: Machine) -> None:
    machine.environ["CONTAINERS_REGISTRIES_CONF"] = "/no/such"
    assert machine.said_by("a.test") is None
    assert machine.notes == ["trust: `/no/such` is passed over: there is no such file"]


def test_the_files_are_read_once(machine: Machine) -> None:
    machine.write(DAEMON, "{")
    found = InsecureRegistries(
        machine.environ, machine.notes.append, system=str(machine.folder / "etc")
    )
    for _ in range(3):
        assert found.said_by("a.test", "app") is None
    assert len(machine.notes) == 1


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
