"""The command `doctor`: its flags, its lines, its document and its exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest
from click.testing import CliRunner, Result

from idpbuilder.cli.command import Flag, Session
from idpbuilder.cli.commands import idpbuilder
from idpbuilder.cli.doctor import doctor
from idpbuilder.cli.flags import push_flags
from idpbuilder.doctor.finding import Finding, Part, failure, ok, warning
from idpbuilder.doctor.options import DoctorOptions
from idpbuilder.errors import Interrupted, LocalError, Unauthorized
from idpbuilder.push.stop import Stop
from tests.cli.test_process import modules_after

WELL = (Part.HERE, ok("cache", "/a/b (nothing yet)", {"path": "/a/b", "bytes": 0}))
SO_SO = (Part.HERE, warning("TMPDIR", "/tmp (1 B free)", "make room"))
REFUSED = (
    Part.REGISTRY,
    failure("sign-in", Unauthorized("not signed in", "it\nanswered 401", "check the password")),
)
FULL = (Part.REGISTRY, failure("upload rate", LocalError("no room", "", "make room")))


class FakeExamination:
    """Gives `findings`, in place of a look at anything; keeps the options that it was given."""

    def __init__(self, *findings: tuple[Part, Finding]) -> None:
        self.findings = findings
        self.options = DoctorOptions()

    def __call__(
        self, options: DoctorOptions, environ: Mapping[str, str], stop: Stop
    ) -> Iterator[tuple[Part, Finding]]:
        self.options = options
        options.confide("s3cret-word")
        yield from self.findings


@pytest.fixture
def examination(monkeypatch: pytest.MonkeyPatch) -> FakeExamination:
    fake = FakeExamination(WELL)
    monkeypatch.setattr("idpbuilder.doctor.run.examine", fake)
    return fake


def call(*arguments: str, stdin: str = "", **environ: str) -> Result:
    return CliRunner().invoke(
        idpbuilder,
        ("doctor", *arguments),
        obj=Session(environ=environ),
        prog_name="idpbuilder",
        input=stdin,
    )


def test_each_finding_is_a_line_below_where_it_was_made(examination: FakeExamination) -> None:
    examination.findings = (WELL, SO_SO, REFUSED)
    done = call("registry.test/team/app")
    assert done.stderr == ""
    assert done.stdout == (
        "This machine\n"
        "  ok       cache            /a/b (nothing yet)\n"
        "  warning  TMPDIR           /tmp (1 B free)\n"
        "                            hint: make room\n"
        "\n"
        "registry.test/team/app\n"
        "  failure  sign-in          not signed in: it\\nanswered 401\n"
        "                            hint: check the password\n"
    )


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize(
    ("findings", "code"),
    [((WELL, SO_SO), 0), ((WELL, REFUSED, FULL), 2), ((FULL, REFUSED), 1)],
    ids=["none", "auth", "local"],
)
def test_the_exit_code_is_that_of_the_first_failure(
    examination: FakeExamination, findings: tuple[tuple[Part, Finding], ...], code: int, output: str
) -> None:
    examination.findings = findings
    assert call("--output", output).exit_code == code


def test_json_is_one_document(examination: FakeExamination) -> None:
    examination.findings = (WELL, REFUSED)
    done = call("registry.test", "--output", "json")
    assert done.stdout.count("\n") == 1
    assert json.loads(done.stdout) == {
        "registry": "registry.test",
        "repository": None,
        "exitCode": 2,
        "findings": [
            {
                "part": "here",
                "what": "cache",
                "state": "ok",
                "detail": "/a/b (nothing yet)",
                "hint": "",
                "facts": {"path": "/a/b", "bytes": 0},
            },
            {
                "part": "registry",
                "what": "sign-in",
                "state": "failure",
                "detail": "not signed in: it\\nanswered 401",
                "hint": "check the password",
                "facts": {},
            },
        ],
    }


@pytest.mark.parametrize("output", ["text", "json"])
def test_no_secret_is_shown(examination: FakeExamination, output: str) -> None:
    told = "it said s3cret-word and my-password"
    facts = {"told": told, "names": (told,)}
    examination.findings = ((Part.HERE, ok("cache", told, facts)),)
    done = call("--username", "me", "--password", "my-password", "--output", output)
    assert done.exit_code == 0
    assert "s3cret" not in done.output
    assert "my-password" not in done.output


def test_the_flags_become_options(examination: FakeExamination, tmp_path: object) -> None:
    arguments = ("http://registry.test:5000/team/app", "--insecure", "--write", "--timeout", "90s")
    files = ("--authfile", "a.json", "--cert-dir", str(tmp_path))
    done = call(*arguments, *files, "--username", "me", "--password-stdin", stdin="word\n")
    assert done.exit_code == 0
    found = examination.options
    assert (found.registry, found.repository, found.scheme) == (
        "registry.test:5000", "team/app", "http",
    )  # fmt: skip
    assert (found.username, found.password, found.authfile) == ("me", "word", "a.json")
    assert (found.cert_dir, found.timeout) == (str(tmp_path), 90.0)
    assert (found.insecure, found.write) == (True, True)


def test_variables_stand_in_for_flags_but_for_the_timeout(examination: FakeExamination) -> None:
    done = call(
        "registry.test",
        IDPBUILDER_REGISTRY_USER="me",
        IDPBUILDER_REGISTRY_PASSWORD="word",
        IDPBUILDER_REGISTRY_INSECURE="true",
        IDPBUILDER_PUSH_TIMEOUT="1h",
    )
    assert done.exit_code == 0
    found = examination.options
    assert (found.username, found.password, found.insecure) == ("me", "word", True)
    assert (found.timeout, found.write) == (30.0, False)


def test_the_flags_of_push_are_the_same_here() -> None:
    pushs = {flag.name: flag for flag in push_flags() if isinstance(flag, Flag)}
    shared = [flag for flag in doctor.params if isinstance(flag, Flag) and flag.name in pushs]
    assert [flag.opts for flag in shared] == [pushs[flag.name].opts for flag in shared]
    assert {flag.name for flag in shared} >= {"username", "insecure", "timeout", "output"}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("Registry.test/UPPER",), "`Registry.test/UPPER` cannot be used for REGISTRY"),
        (("ftp://registry.test",), "cannot be used for REGISTRY"),
        (("me:word@registry.test",), "REGISTRY holds a user name or password"),
        (("registry.test", "--write"), "`--write` needs a repository"),
        (("--write",), "`--write` needs a repository"),
        (("registry.test", "--timeout", "5"), "`--timeout`"),
        (("registry.test", "--output", "yaml"), "`--output`"),
        (("registry.test", "other.test"), "unexpected extra argument"),
        (("registry.test", "--jobs", "5"), "there is no flag `--jobs`"),
        (("--cert-dir", "/nowhere"), "`--cert-dir`"),
        (("--username", "a:b"), "`--username` holds a colon"),
        (("--password", "x", "--password-stdin"), "contradict"),
    ],
)
def test_a_slip_is_a_usage_error(
    examination: FakeExamination, arguments: tuple[str, ...], why: str
) -> None:
    done = call(*arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert why in done.stderr
    assert "\n\nhint: " in done.stderr


def test_an_interrupt_ends_it_with_the_signals_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def examine(*_anything: object) -> Iterator[tuple[Part, Finding]]:
        yield WELL
        raise Interrupted("stopped by SIGTERM", 15)

    monkeypatch.setattr("idpbuilder.doctor.run.examine", examine)
    done = call()
    assert done.exit_code == 143
    assert "cache" in done.stdout
    assert "stopped by SIGTERM" in done.stderr


def test_help_lists_the_command_and_its_flags() -> None:
    done = CliRunner().invoke(idpbuilder, ["--help"], obj=Session(environ={}))
    assert "\n  doctor  " in done.stdout
    assert "--write" in call("--help").stdout


def test_a_push_imports_nothing_of_it(surroundings: dict[str, str]) -> None:
    loaded = modules_after(surroundings, "push", "--help")
    assert "idpbuilder.cli.doctor" not in loaded
    assert not any(name.startswith("idpbuilder.doctor") for name in loaded)


def test_its_help_loads_nothing_heavy(surroundings: dict[str, str]) -> None:
    loaded = modules_after(surroundings, "doctor", "--help")
    assert loaded & {"pycurl", "ssl", "sqlite3"} == set()
    assert not any(name.startswith("idpbuilder.doctor") for name in loaded)
