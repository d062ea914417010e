"""Credential helpers, good and bad: real programs, each a few lines of Python."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from idpbuilder.credentials import Credentials, program
from idpbuilder.errors import CredentialHelperFailed, Interrupted
from idpbuilder.redact import Secrets
from tests.credentials.stored import HOST, Machine, basic

NOT_FOUND = "print('credentials not found in native keychain'); sys.exit(1)"


@pytest.fixture
def helped(machine: Machine) -> Machine:
    """A machine whose docker keeps all its secrets with the helper `x`, not installed yet."""
    machine.docker({HOST: {}}, credsStore="x")
    return machine


def failure(machine: Machine) -> CredentialHelperFailed:
    with pytest.raises(CredentialHelperFailed, match="docker-credential-x") as caught:
        machine.find()
    assert machine.warnings == []
    assert "--password-stdin" in caught.value.hint
    return caught.value


def ends(pid: int) -> bool:
    """Whether a process is gone soon; a killed orphan may stay a zombie until somebody reaps it."""
    for _ in range(500):
        try:
            state = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        if ") Z " in state:
            return True
        time.sleep(0.02)
    return False


def test_a_helper_is_asked_for_the_registry_on_its_standard_input(helped: Machine) -> None:
    helped.keeps("x", "alice", "s3cret")
    found = helped.find(repository="team/app")
    source = "docker-credential-x of ~/.docker/config.json"
    assert found == Credentials(source, "alice", "s3cret")
    assert helped.calls == [HOST]
    assert helped.secrets == ["s3cret"]
    assert helped.warnings == []


def test_docker_hub_has_dockers_name(helped: Machine) -> None:
    helped.keeps("x", "alice", "s3cret")
    helped.find("docker.io")
    assert helped.calls == ["https://index.docker.io/v1/"]


def test_docker_hub_has_podmans_name_where_dockers_is_not_known(helped: Machine) -> None:
    helped.helper("x", "if server == 'docker.io': print(json.dumps("
                       "{'Username': 'alice', 'Secret': 's'}))\n"
                       f"else: {NOT_FOUND}")  # fmt: skip
    assert helped.user("docker.io") == "alice"
    assert helped.calls == ["https://index.docker.io/v1/", "docker.io"]


def test_the_names_in_an_answer_come_in_any_case_and_words_may_follow_it(helped: Machine) -> None:
    helped.helper("x", 'print(\'{"username": "alice", "SECRET": "s"} bye\')')
    assert helped.find() == Credentials(
        "docker-credential-x of ~/.docker/config.json", "alice", "s"
    )


def test_a_helper_runs_only_when_it_is_needed(helped: Machine) -> None:
    helped.keeps("x", "alice", "s3cret")
    helped.lookup()
    helped.find(username="bob", password="given")
    assert helped.calls == []


def test_the_user_name_token_makes_an_identity_token_of_the_secret(helped: Machine) -> None:
    helped.keeps("x", "<token>", "idt")
    found = helped.find()
    assert found is not None
    assert (found.username, found.secret, found.identity_token) == ("", "", "idt")


@pytest.mark.parametrize("body", [NOT_FOUND, 'print(\'{"Username": "", "Secret": ""}\')'])
def test_a_helper_that_has_nothing_gives_way(helped: Machine, body: str) -> None:
    helped.helper("x", body)
    helped.podman({HOST: basic("pod", "p")})
    assert helped.user() == "pod"
    assert helped.warnings == []


def test_a_helper_for_the_registry_alone_is_found_in_podmans_file_too(machine: Machine) -> None:
    machine.podman({}, credHelpers={HOST: "x"})
    machine.keeps("x", "alice", "s3cret")
    assert machine.user() == "alice"


def test_a_missing_helper_for_all_is_a_warning_and_the_search_goes_on(helped: Machine) -> None:
    helped.podman({HOST: basic("pod", "p")})
    assert helped.user() == "pod"
    (warning,) = helped.warnings
    assert "`docker-credential-x` of `~/.docker/config.json` is not on PATH" in warning


@pytest.mark.parametrize("trouble", ["missing", "failing"])
@pytest.mark.parametrize("where", ["the same file", "podman's file"])
def test_what_a_helper_in_trouble_does_not_say_may_be_known_elsewhere(
    machine: Machine, trouble: str, where: str
) -> None:
    auths = {HOST: basic("alice", "pw")}
    machine.docker(auths if where == "the same file" else {}, credHelpers={HOST: "x"})
    machine.podman(auths)
    if trouble == "failing":
        machine.helper("x", "sys.exit(7)")
    assert machine.user() == "alice"
    (warning,) = machine.warnings
    assert warning.startswith(f"no credentials for `{HOST}` from the credential helper")
    assert warning.endswith(
        "it is not on PATH" if trouble == "missing" else "it ended with exit code 7"
    )


def test_a_helper_is_asked_once_however_many_stores_name_it(machine: Machine) -> None:
    machine.docker({}, credsStore="x")
    machine.podman({}, credsStore="x", credHelpers={HOST: "x"})
    machine.registries_conf('credential-helpers = ["x", "containers-auth.json"]')
    machine.helper("x", NOT_FOUND)
    assert machine.find() is None
    assert machine.calls == [HOST]


def test_a_missing_helper_for_the_registry_is_an_error_with_a_way_out(machine: Machine) -> None:
    machine.docker({}, credHelpers={HOST: "x"})
    error = failure(machine)
    assert error.why == "it is not on PATH"
    assert "install it" in error.hint


def test_a_program_in_the_working_directory_is_no_helper(
    helped: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    helped.keeps("x", "evil", "s3cret")
    monkeypatch.chdir(helped.programs)
    helped.variables["PATH"] = os.pathsep.join(["", ".", "programs"])
    assert helped.find() is None
    assert helped.calls == []


def test_a_file_that_is_no_program_is_an_error(helped: Machine) -> None:
    path = helped.programs / "docker-credential-x"
    path.write_bytes(b"\x7fELF no more")
    path.chmod(0o755)
    assert "it cannot be started" in failure(helped).why


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("print('rubbish')", "its answer is not JSON"),
        ("print('[]')", "its answer is not a JSON object"),
        ("pass", "its answer is not JSON"),
        ("sys.stdout.buffer.write(b'\\xff\\x00\\xfe')", "its answer is not JSON"),
        ("print('{}')", "its answer has no `Username` and `Secret`"),
        ("print(json.dumps({'Username': 7, 'Secret': 's3cret'}))", "has no `Username`"),
        ("print(json.dumps({'Username': 'a:b', 'Secret': 's3cret'}))", "holds a colon"),
        ("print('pass is not set up'); sys.exit(1)", "exit code 1 (pass is not set up)"),
        ("sys.stderr.write('gpg:\\n no key'); sys.exit(3)", "exit code 3 (gpg: no key)"),
        ("os.kill(os.getpid(), 9)", "it ended with signal 9"),
        ("sys.exit(7)", "it ended with exit code 7"),
    ],
)
def test_a_helper_that_fails_is_an_error_that_says_how(
    helped: Machine, body: str, why: str
) -> None:
    helped.helper("x", body)
    error = failure(helped)
    assert why in error.why
    assert "s3cret" not in error.message + error.hint


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_helper_that_never_stops_talking_is_stopped(helped: Machine, stream: str) -> None:
    helped.patience = 0.3 if stream == "stderr" else 60.0
    helped.helper("x", f"while True: sys.{stream}.write('x' * 65536)")
    expected = "more than 1048576 bytes" if stream == "stdout" else "within 0.3 s"
    assert expected in failure(helped).why


def test_megabytes_on_stderr_do_not_matter_where_the_answer_is_good(helped: Machine) -> None:
    answer = "print(json.dumps({'Username': 'alice', 'Secret': 's3cret'}))"
    helped.helper("x", f"sys.stderr.write('x' * 3_000_000); {answer}")
    assert helped.user() == "alice"
    assert len(helped.warnings[0]) < 400


def test_what_a_helper_says_is_shown_without_its_secret(helped: Machine) -> None:
    answer = "print(json.dumps({'Username': 'alice', 'Secret': 's3\\ncret\"'}))"
    helped.helper("x", f"sys.stderr.write('I keep s3\\ncret\" for you'); {answer}")
    assert helped.user() == "alice"
    assert helped.warnings == ["`docker-credential-x` says: I keep *** for you"]


@pytest.mark.parametrize("where", ["stdout", "stderr"])
def test_what_a_helper_says_when_it_fails_is_shown_without_its_secret(
    helped: Machine, where: str
) -> None:
    body = 'print(\'{"Username": "alice", "Secret": "s3cret"\'); '
    if where == "stderr":
        body += "sys.stderr.write('I had s3cret'); "
    helped.helper("x", body + "sys.exit(2)")
    error = failure(helped)
    assert error.why == "it ended with exit code 2" + (" (I had ***)" if where == "stderr" else "")
    assert "s3cret" in helped.secrets


@pytest.mark.parametrize("out", ["s3cret", "{'secret': 's3cret', 'username': 'alice'}"])
def test_what_may_be_a_secret_in_an_odd_form_is_not_shown(helped: Machine, out: str) -> None:
    helped.helper("x", f"print({out!r}); sys.exit(1)")
    assert failure(helped).why == "it ended with exit code 1"


def test_the_beginning_of_a_secret_is_known_to_be_cut(helped: Machine) -> None:
    answer = "print(json.dumps({'Username': 'alice', 'Secret': 's3cret' * 1000}))"
    helped.helper("x", f"sys.stderr.write(' ' * 4080 + 's3cret' * 1000); {answer}")
    assert helped.user() == "alice"
    secrets = Secrets()
    for secret in helped.secrets:
        secrets.add(secret)
    assert secrets.hide(helped.warnings[0]) == "`docker-credential-x` says: ***…"


def test_a_helper_that_hangs_is_killed_with_all_that_it_started(
    helped: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_in_the_foreground", lambda: False)
    pids = helped.folder / "pids"
    helped.helper("x", f"child = os.fork(); open({str(pids)!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
                       "while True: time.sleep(60)")  # fmt: skip

    def check() -> None:
        # both have started
        if pids.exists() and len(pids.read_text().split()) == 2:
            helped.patience = 0
            raise Interrupted("stopped", signal.SIGINT)

    helped.check = check  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        helped.find()
    assert all(ends(int(pid)) for pid in pids.read_text().split())


def test_a_helper_that_may_ask_on_the_terminal_is_killed_alone(
    helped: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_in_the_foreground", lambda: True)
    pid = helped.folder / "pid"
    helped.helper("x", f"open({str(pid)!r}, 'w').write(f'{{os.getpid()}} {{os.getpgrp()}} .')\n"
                       "time.sleep(600)")  # fmt: skip

    def check() -> None:
        if pid.exists() and pid.read_text().endswith("."):
            raise Interrupted("stopped", signal.SIGINT)

    helped.check = check  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        helped.find()
    number, group = map(int, pid.read_text().split()[:2])
    assert group == os.getpgrp()
    assert ends(number)


def test_whoever_asked_us_to_stop_is_heard_also_when_the_helper_ended(helped: Machine) -> None:
    def check() -> None:
        if helped.calls:
            raise Interrupted("stopped", signal.SIGINT)

    helped.check = check  # type: ignore[method-assign]
    helped.helper("x", "os.kill(os.getpid(), 2)")
    with pytest.raises(Interrupted):
        helped.find()


def test_a_helper_that_takes_too_long_is_an_error(helped: Machine) -> None:
    helped.patience = 0.0
    helped.helper("x", "time.sleep(600)")
    assert failure(helped).why == "it did not answer within 0 s"


def test_a_helper_is_not_waited_for_by_what_it_leaves_behind(helped: Machine) -> None:
    answer = "print(json.dumps({'Username': 'alice', 'Secret': 's'}), flush=True); os._exit(0)"
    pid = helped.folder / "pid"
    helped.helper("x", f"child = os.fork()\nif child == 0: time.sleep(600)\n"
                       f"open({str(pid)!r}, 'w').write(str(child))\n{answer}")  # fmt: skip
    try:
        assert helped.user() == "alice"
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_a_helper_that_does_not_read_its_input_may_answer(helped: Machine) -> None:
    path = helped.programs / "docker-credential-x"
    path.write_text('#!/bin/sh\nexec <&-\necho \'{"Username": "alice", "Secret": "s"}\'\n')
    path.chmod(0o755)
    assert helped.user() == "alice"


def test_our_own_password_is_not_lent_to_helpers(helped: Machine) -> None:
    helped.variables["IDPBUILDER_REGISTRY_PASSWORD"] = "ours"
    helped.variables["OTHER"] = "seen"
    helped.helper("x", "print(json.dumps({'Username': os.environ['OTHER'], 'Secret': "
                       "os.environ.get('IDPBUILDER_REGISTRY_PASSWORD', 'none')}))")  # fmt: skip
    found = helped.find()
    assert found is not None
    assert (found.username, found.secret) == ("seen", "none")


def test_no_shell_reads_what_a_helper_is_asked_for(helped: Machine) -> None:
    helped.keeps("x", "alice", "s")
    marker = helped.folder / "marker"
    helped.find(f"$(touch {marker});`touch {marker}`")
    assert helped.calls == [f"$(touch {marker});`touch {marker}`"]
    assert not marker.exists()
