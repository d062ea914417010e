"""Programs that keep secrets: those that docker and podman run without being told, and bad ones."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.distribution import PASSWORD, USER, Distribution
from tests.parts.images import ImageSpec, Layout, write_layout
from tests.parts.pass_store import PassStore
from tests.parts.programs import need
from tests.real.command import Command
from tests.real.machine import Machine, Running, signed_in

HELPERS = "golang-docker-credential-helpers"
ANSWER = json.dumps({"Username": USER, "Secret": PASSWORD})


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return write_layout(tmp_path / "image", [ImageSpec()])


@pytest.fixture
def machine(command: Command, tmp_path: Path) -> Machine:
    """A user who has signed in nowhere."""
    return Machine(command, tmp_path)


@pytest.fixture
def registry(htpasswd_distribution: Distribution) -> Distribution:
    """Lets in USER alone, by Basic."""
    return htpasswd_distribution


@pytest.fixture
def pass_store() -> Iterator[PassStore]:
    """Debian's `pass`, nothing in it yet, and the helper that is run for it."""
    need("docker-credential-pass", HELPERS)
    with PassStore(
        program=need("pass"), gpg=need("gpg", "gnupg"), gpgconf=need("gpgconf")
    ) as store:
        yield store


def log_in(machine: Machine, program: str, *arguments: str, **variables: str) -> None:
    """`docker login` or `podman login`, with all programs of this machine."""
    subprocess.run(
        [need(program), "login", "--username", USER, "--password-stdin", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(machine.home), **variables},
        input=PASSWORD.encode(),
        capture_output=True,
        check=True,
    )


# -- nobody named them


def test_dockers_default_store_is_asked_where_its_file_is_gone(
    machine: Machine, layout: Layout, registry: Distribution, pass_store: PassStore
) -> None:
    log_in(machine, "docker", registry.host, **pass_store.variables)
    config = machine.home / ".docker/config.json"
    assert json.loads(config.read_text())["credsStore"] == "pass"
    config.unlink()
    done = machine.push(layout, f"{registry.host}/default/app:v1", **pass_store.variables)
    assert signed_in(done, registry, "docker-credential-pass of docker's default store")


def test_what_podman_login_gave_to_the_helper_of_its_list_is_asked_of_it(
    machine: Machine, layout: Layout, registry: Distribution, pass_store: PassStore
) -> None:
    conf = machine.home / ".config/containers/registries.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text('credential-helpers = ["pass"]\n')
    here = {**machine.variables, **pass_store.variables}
    del here["XDG_CONFIG_HOME"], here["REGISTRY_AUTH_FILE"]
    log_in(machine, "podman", "--tls-verify=false", registry.host, **here)
    assert not (machine.folder / "run/containers/auth.json").exists()
    done = machine.push(layout, f"{registry.host}/listed/app:v1", **pass_store.variables)
    assert signed_in(done, registry, f"docker-credential-pass of {conf}")


def test_podmans_files_have_their_place_in_its_list(
    machine: Machine, layout: Layout, registry: Distribution
) -> None:
    machine.login("podman", "--tls-verify=false", registry.host)
    found = machine.helper("empty", "echo credentials not found in native keychain; exit 1")
    conf = machine.folder / "registries.conf"
    conf.write_text('credential-helpers = ["empty", "containers-auth.json"]\n')
    variables = {**found, "CONTAINERS_REGISTRIES_CONF": str(conf)}
    done = machine.push(layout, f"{registry.host}/placed/app:v1", **variables)
    assert signed_in(done, registry, f"{machine.folder}/run/containers/auth.json")


def test_what_skopeo_finds_in_dockers_old_file_is_found(
    machine: Machine, layout: Layout, registry: Distribution
) -> None:
    machine.login("docker", registry.host)
    config = machine.home / ".docker/config.json"
    auths = json.loads(config.read_text())["auths"]
    config.unlink()
    old = machine.home / ".dockercfg"
    old.write_text(json.dumps({f"https://{registry.host}/v1/": auths[registry.host]}))
    asked = subprocess.run(
        [need("skopeo"), "list-tags", "--tls-verify=false", f"docker://{registry.host}/old/none"],
        env={"PATH": os.environ["PATH"], "HOME": str(machine.home)},
        capture_output=True,
        check=False,
    )
    # it is let in, and finds nothing
    assert b"404" in asked.stderr
    done = machine.push(layout, f"{registry.host}/old/app:v1")
    assert signed_in(done, registry, "~/.dockercfg")


@pytest.mark.parametrize("trouble", ["is not on PATH", "exit code 1"])
def test_a_helper_in_trouble_gives_way_to_what_is_known_elsewhere(
    machine: Machine, layout: Layout, registry: Distribution, trouble: str
) -> None:
    machine.login("podman", "--tls-verify=false", registry.host)
    machine.docker_config(credHelpers={registry.host: "locked"})
    variables = {} if "PATH" in trouble else machine.helper("locked", "echo is locked; exit 1")
    done = machine.push(layout, f"{registry.host}/trouble/app:v1", **variables)
    assert signed_in(done, registry, f"{machine.folder}/run/containers/auth.json")
    assert f"Warning: no credentials for `{registry.host}` from the credential helper" in done.err
    assert trouble in done.err


# -- they take their time


def hanging(machine: Machine, registry: Distribution) -> dict[str, str]:
    """The variables of a machine whose helper never answers, nor the child that holds its pipe."""
    machine.docker_config(credsStore="hangs")
    pids = machine.folder / "pids"
    body = f"sleep 600 & echo $! $$ >{pids}.new; mv {pids}.new {pids}; wait"
    return machine.helper("hangs", body)


def pids(machine: Machine) -> list[int]:
    """The helper's processes, once they run."""
    path = machine.folder / "pids"
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    return [int(pid) for pid in path.read_text().split()]


def are_gone(numbers: list[int]) -> bool:
    """Whether none of the processes runs any more; zombies do not."""
    states = [Path(f"/proc/{pid}/stat") for pid in numbers]
    until = time.monotonic() + 30
    while time.monotonic() < until:
        texts = [path.read_text() for path in states if path.exists()]
        if all(") Z " in text for text in texts):
            return True
        time.sleep(0.02)
    return False


def ended(process: Running) -> tuple[int, str]:
    """The exit code of the command, and what it said on stderr."""
    _, err = process.communicate(timeout=30)
    return process.returncode, err


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_a_push_whose_helper_hangs(
    machine: Machine, layout: Layout, registry: Distribution, signum: signal.Signals, code: int
) -> None:
    variables = hanging(machine, registry)
    process = machine.start(layout, f"{registry.host}/hanging/app:v1", **variables)
    running = pids(machine)
    begun = time.monotonic()
    process.send_signal(signum)
    assert ended(process)[0] == code
    # far from the minute that a helper has
    assert time.monotonic() - begun < 20
    assert are_gone(running)


def test_the_timeout_ends_a_push_whose_helper_hangs(
    machine: Machine, layout: Layout, registry: Distribution
) -> None:
    variables = hanging(machine, registry)
    to = f"{registry.host}/hanging/app:v1"
    process = machine.start(layout, to, "--timeout", "500ms", **variables)
    running = pids(machine)
    code, err = ended(process)
    assert code == 6
    assert "the timeout of 0.5 s passed" in err
    assert are_gone(running)


# -- they ask


class Terminal:
    """The command on a terminal of its own, whose other end we hold."""

    def __init__(self, *arguments: object, **environ: str) -> None:
        self._ours, theirs = pty.openpty()
        name = os.ttyname(theirs)
        # the first terminal that a session's leader opens becomes its own
        script = f'exec "$@" <{name} >{name} 2>{name}'
        self._process = subprocess.Popen(
            ["sh", "-c", script, "sh", sys.executable, "-m", "idpbuilder", *map(str, arguments)],
            env={**os.environ, "TERM": "dumb", **environ},
            start_new_session=True,
        )
        self.shown = b""
        self._read_until(b"Passphrase: ")
        os.close(theirs)

    def types(self, keys: bytes) -> int:
        """Type them; the exit code that the command then comes to."""
        os.write(self._ours, keys)
        self._read_until(None)
        os.close(self._ours)
        return self._process.wait(30)

    def _read_until(self, text: bytes | None) -> None:
        while text is None or text not in self.shown:
            try:
                data = os.read(self._ours, 65536)
            except OSError:  # the other side is closed
                data = b""
            if not data:
                assert text is None, self.shown.decode()
                return
            self.shown += data


@pytest.fixture
def asked(machine: Machine, layout: Layout, registry: Distribution) -> Terminal:
    """A push that waits for a passphrase."""
    machine.docker_config(credsStore="asks")
    body = (
        "cat >/dev/null; printf 'Passphrase: ' >/dev/tty; read -r answer </dev/tty || exit 9\n"
        f"""[ "$answer" = sesame ] && echo '{ANSWER}'"""
    )
    variables = {**machine.variables, **machine.helper("asks", body), "HOME": str(machine.home)}
    to = f"{registry.host}/asked/app:v1"
    return Terminal("push", layout.path, "--to", to, **variables)


def test_a_helper_may_ask_on_the_terminal(asked: Terminal) -> None:
    assert asked.types(b"sesame\n") == 0
    assert PASSWORD.encode() not in asked.shown


def test_a_wrong_passphrase_is_the_helpers_failure(asked: Terminal) -> None:
    assert asked.types(b"mellon\n") == 2
    assert b"it ended with exit code 1" in asked.shown


def test_ctrl_c_in_front_of_a_helpers_question_ends_the_push(asked: Terminal) -> None:
    assert asked.types(b"\x03") == 130
    assert b"stopped by SIGINT" in asked.shown
