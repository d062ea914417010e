"""The program as a process: what it imports, its streams, signals and exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cli.conftest import ROOT, Spawn
from tests.cli.fakes import LAST_LINE, SEED_LINES

_LIST_MODULES = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
from idpbuilder.cli.main import main
sys.argv = ["idpbuilder", *sys.argv[1:]]
main()
"""
_HEAVY = {
    "pycurl", "tarfile", "ssl", "logging", "subprocess", "tempfile", "urllib.request", "sqlite3",
    "hashlib", "asyncio", "socket", "xxhash",
}  # fmt: skip
if sys.version_info < (3, 11):
    _HEAVY.remove("subprocess")  # what asks there for the platform has it loaded


def modules_after(surroundings: dict[str, str], *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _LIST_MODULES, *arguments],
        env=surroundings, capture_output=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [("--help",), ("push", "--help"), ("push", "--nonsense"), ()])
def test_help_and_usage_errors_load_nothing_heavy(
    surroundings: dict[str, str], arguments: tuple[str, ...]
) -> None:
    loaded = modules_after(surroundings, *arguments)
    assert "click" in loaded
    assert loaded & _HEAVY == set()
    ours = {name.split(".")[1] for name in loaded if name.startswith("idpbuilder.")}
    assert ours == {"cli", "errors", "redact"}


@pytest.mark.parametrize(
    "arguments", [("push", "i", "--timeout", "5"), ("push", "i", "--to", "A/b")]
)
def test_a_value_that_cannot_be_used_does_not_load_the_engine_room(
    surroundings: dict[str, str], arguments: tuple[str, ...]
) -> None:
    loaded = modules_after(surroundings, *arguments)
    assert loaded & {"pycurl", "tarfile", "ssl", "sqlite3", "idpbuilder.transport"} == set()
    assert "idpbuilder.push.run" not in loaded


@pytest.mark.parametrize("arguments", [("--version",), ("push", "--version")])
def test_the_version_is_told_without_click(
    surroundings: dict[str, str], arguments: tuple[str, ...]
) -> None:
    loaded = modules_after(surroundings, *arguments)
    assert "click" not in loaded
    assert "idpbuilder.push" not in loaded


@pytest.mark.parametrize(
    "arguments", [("--version",), ("push", "--version"), ("push", "-v", "--version")]
)
def test_the_version_is_one_line(spawn: Spawn, arguments: tuple[str, ...]) -> None:
    done = spawn("idpbuilder", *arguments)
    assert done.returncode == 0
    assert done.stderr == ""
    name, version, kernels, curl = done.stdout.split()
    assert (name, kernels in ("(compiled,", "(pure,")) == ("idpbuilder-push", True)
    assert version.count(".") == 2
    assert curl.startswith("libcurl/")
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "missing command"),
        (("pull",), "no such command `pull`"),
        (("--nonsense",), "there is no flag `--nonsense`"),
        (("push", "--nonsense"), "there is no flag `--nonsense`"),
    ],
)
def test_a_usage_error_of_the_group_has_our_shape_and_exit_code(
    spawn: Spawn, arguments: tuple[str, ...], message: str
) -> None:
    done = spawn("idpbuilder", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {message}\n\nhint: ")


def test_the_group_and_the_command_have_help(spawn: Spawn) -> None:
    group, command = spawn("idpbuilder", "-h"), spawn("idpbuilder", "push", "-h")
    assert (group.returncode, command.returncode) == (0, 0)
    assert "Push OCI container images" in group.stdout
    assert command.stdout.startswith("Usage: idpbuilder push [FLAGS] [IMAGE]...\n")


@contextmanager
def reader_that_went_away() -> Iterator[int]:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        yield writing
    finally:
        os.close(writing)


@contextmanager
def full_disk() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("broken", [reader_that_went_away, full_disk])
@pytest.mark.parametrize(("scenario", "code"), [("pushed", 0), ("refused", 2)])
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
def test_a_stdout_that_fails_does_not_change_the_exit_code(
    spawn: Spawn, broken: object, scenario: str, code: int
) -> None:
    with broken() as stdout:  # type: ignore[operator]
        done = spawn(
            "tests.cli.fakes", scenario, "image", "--progress", "plain",
            capture_output=False, stdout=stdout, stderr=subprocess.PIPE,
        )  # fmt: skip
    assert done.returncode == code
    assert "Exception" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("broken", [reader_that_went_away, full_disk])
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
def test_a_stderr_that_fails_does_not_change_the_result(spawn: Spawn, broken: object) -> None:
    with broken() as stderr:  # type: ignore[operator]
        done = spawn(
            "tests.cli.fakes", "pushed", "image", "--progress", "plain",
            capture_output=False, stdout=subprocess.PIPE, stderr=stderr,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, LAST_LINE)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("scenario", "code"), [("pushed", 0), ("refused", 2)])
def test_closed_streams_do_not_change_the_exit_code(
    surroundings: dict[str, str], closed: str, scenario: str, code: int
) -> None:
    done = subprocess.run(
        f'exec "{sys.executable}" -m tests.cli.fakes {scenario} image --progress plain {closed}',
        shell=True, env=surroundings, cwd=ROOT, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert b"Exception" not in done.stderr


def test_a_password_from_a_closed_standard_input_is_a_usage_error(
    surroundings: dict[str, str],
) -> None:
    done = subprocess.run(
        f'exec "{sys.executable}" -m tests.cli.fakes pushed image --password-stdin <&-',
        shell=True, env=surroundings, cwd=ROOT, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(b"Error: the password ")


@pytest.mark.parametrize(
    "environ",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_an_encoding_without_the_tick_gets_a_plus(
    spawn: Spawn, surroundings: dict[str, str], environ: dict[str, str]
) -> None:
    if "LC_ALL" in environ:
        del surroundings["PYTHONIOENCODING"]
    done = spawn("tests.cli.fakes", "pushed", "image", "--progress", "plain", environ=environ)
    assert done.stderr == SEED_LINES.replace("✓", "+")
    assert done.returncode == 0


def test_a_bug_is_told_without_its_secrets(spawn: Spawn) -> None:
    done = spawn(
        "tests.cli.fakes",
        "breaks",
        "image",
        "--password",
        "hunter2",
        environ={"IDPBUILDER_DEBUG": "1"},
    )
    assert done.returncode == 1
    assert "Error: unexpected error: RuntimeError: no answer to https://***@h/?***" in done.stderr
    assert "Traceback" in done.stderr
    assert "hunter2" not in done.stderr


@contextmanager
def running(
    surroundings: dict[str, str], scenario: str, prefix: str = ""
) -> Iterator[subprocess.Popen[str]]:
    command = f'{prefix}exec "{sys.executable}" -m tests.cli.fakes {scenario} image'
    with subprocess.Popen(
        command, shell=True, env=surroundings, cwd=ROOT, encoding="utf-8",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "waiting\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("name", "code"), [("SIGHUP", 129), ("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_stops_the_push_and_gives_its_code(
    surroundings: dict[str, str], name: str, code: int
) -> None:
    with running(surroundings, "waits") as process:
        process.send_signal(signal.Signals[name])
        _, error = process.communicate(timeout=30)
    assert process.returncode == code
    assert error == f"Error: stopped by {name}\n"


def test_a_second_ctrl_c_leaves_at_once(surroundings: dict[str, str]) -> None:
    with running(surroundings, "hangs") as process:
        assert process.stdout is not None
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "stopping\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130


_LINGERS = """
import sys, threading
from idpbuilder.cli.main import main
threading.Thread(target=threading.Event().wait).start()
sys.argv = ["idpbuilder", *sys.argv[1:]]
main()
"""


def test_the_process_waits_for_nothing_once_all_is_told(surroundings: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LINGERS, "push", "--output", "json", "--timeout", "5"],
        env=surroundings, capture_output=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("Error: `5` cannot be used")
    assert json.loads(done.stdout)["error"]["exitCode"] == 1


def test_a_hangup_that_nohup_ignores_stays_ignored(surroundings: dict[str, str]) -> None:
    with running(surroundings, "waits", prefix="trap '' HUP; ") as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 143
