"""What the flags and variables of `push` ask for, and what is said of those that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from idpbuilder.cli.command import Flag
from idpbuilder.cli.flags import push_flags
from idpbuilder.cli.values import duration
from idpbuilder.image import Platform, Reference
from idpbuilder.push.destination import Prefix
from idpbuilder.push.options import DEFAULT_RETRIES, DEFAULT_TIMEOUT, PushOptions
from tests.cli.conftest import Call
from tests.cli.fakes import FakeRun, result


def options_of(call: Call, *arguments: str, **attributes: object) -> PushOptions:
    run = FakeRun(result())
    answer = call("image", *arguments, run=run, **attributes)
    assert answer.exit_code == 0, answer.stderr
    assert run.options is not None
    return run.options


def refusal(call: Call, *arguments: str, **attributes: object) -> str:
    run = FakeRun(result())
    answer = call("image", *arguments, run=run, **attributes)
    assert answer.exit_code == 1
    assert answer.stdout == ""
    assert run.options is None
    return answer.stderr


def test_without_flags_every_option_has_its_default(call: Call) -> None:
    assert options_of(call) == PushOptions(images=("image",))


def test_every_flag_reaches_the_options(call: Call, tmp_path: Path) -> None:
    options = options_of(
        call,
        *(
            "--registry",
            "https://r.example.com/team",
            "--to",
            "a.example.com/x:1",
            "--to",
            "b.io/y",
        ),
        *("--username", "me", "--password", "secret", "--authfile", "auth.json"),
        *("--cert-dir", str(tmp_path), "--platform", "linux/arm/v7", "--insecure"),
        *("--timeout", "1h30m", "--retry-attempts", "0", "--jobs", "3", "--limit-rate", "500K"),
        *("--dry-run", "--verify"),
    )
    assert options == PushOptions(
        images=("image",),
        to=(Reference.parse("a.example.com/x:1"), Reference.parse("b.io/y")),
        prefix=Prefix("https", "r.example.com", "team"),
        platform=Platform("linux", "arm", "v7"),
        username="me",
        password="secret",
        authfile="auth.json",
        cert_dir=str(tmp_path),
        insecure=True,
        timeout=5400.0,
        retries=0,
        jobs=3,
        limit_rate=512_000,
        dry_run=True,
        verify=True,
    )


VARIABLES = {
    "IDPBUILDER_REGISTRY_URL": "r.example.com",
    "IDPBUILDER_REGISTRY_USER": "me",
    "IDPBUILDER_REGISTRY_PASSWORD": "secret",
    "IDPBUILDER_REGISTRY_INSECURE": "Yes",
    "IDPBUILDER_PUSH_TIMEOUT": "10m",
    "IDPBUILDER_PUSH_RETRY_ATTEMPTS": "3",
}


def test_a_variable_stands_in_for_a_missing_flag(call: Call) -> None:
    assert options_of(call, environ=VARIABLES) == PushOptions(
        images=("image",),
        prefix=Prefix("", "r.example.com", ""),
        username="me",
        password="secret",
        insecure=True,
        timeout=600.0,
        retries=3,
    )


def test_a_flag_wins_over_its_variable_even_over_one_that_cannot_be_used(call: Call) -> None:
    broken = {
        "IDPBUILDER_REGISTRY_URL": "http://",
        "IDPBUILDER_PUSH_TIMEOUT": "ages",
        "IDPBUILDER_PUSH_RETRY_ATTEMPTS": "many",
        "IDPBUILDER_REGISTRY_INSECURE": "maybe",
    }
    options = options_of(
        call,
        *("-r", "r.io", "--timeout", "0", "--retry-attempts", "20", "--insecure"),
        environ=broken,
    )
    assert (options.prefix, options.timeout, options.retries) == (Prefix("", "r.io", ""), None, 20)


def test_credentials_are_taken_field_by_field(call: Call) -> None:
    options = options_of(call, "--username", "other", environ=VARIABLES)
    assert (options.username, options.password) == ("other", "secret")


def test_an_empty_variable_counts_as_unset(call: Call) -> None:
    empty = dict.fromkeys(VARIABLES, "") | {
        "IDPBUILDER_PUSH_QUIET": "",
        "IDPBUILDER_PUSH_VERBOSE": "",
    }
    assert options_of(call, environ=empty) == PushOptions(images=("image",))


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            ("--timeout", "300"),
            "`300` cannot be used for `--timeout`: it has no unit",
            "did you mean `300s`?",
        ),
        (
            ("--timeout", "-5m"),
            "`-5m` cannot be used for `--timeout`: it is no duration",
            "write a duration as `90s`, `5m` or `1h30m`; `0` is no limit",
        ),
        (
            ("--retry-attempts", "21"),
            "`21` cannot be used for `--retry-attempts`: it is out of range",
            "write a whole number from 0 to 20",
        ),
        (
            ("--retry-attempts", "-1"),
            "`-1` cannot be used for `--retry-attempts`: it is out of range",
            "write a whole number from 0 to 20",
        ),
        (
            ("--retry-attempts", "x"),
            "`x` cannot be used for `--retry-attempts`: it is no whole number",
            "write a whole number from 0 to 20",
        ),
        (
            ("--jobs", "0"),
            "`0` cannot be used for `--jobs`: it is out of range",
            "write a whole number from 1 to 256",
        ),
        (
            ("--limit-rate", "fast"),
            "`fast` cannot be used for `--limit-rate`: it is no rate",
            "write bytes per second, as `500K` or `10M`; `0` is no limit",
        ),
        (
            ("--platform", "linux"),
            "`linux` cannot be used for `--platform`: `linux` is not of the form os/arch[/variant]",
            "write it as `linux/amd64` or `linux/arm/v7`",
        ),
        (
            ("--registry", "ftp://r.io"),
            (
                "`ftp://r.io` cannot be used for `--registry`: "
                "`ftp://r.io` has a scheme other than http and https"
            ),
            "write it as `[http://|https://]host[:port][/namespace]`",
        ),
        (
            ("--to", "r.io/Team/app"),
            "`r.io/Team/app` cannot be used for `--to`: `Team/app` must be lower case",
            "write a destination as `host[:port]/path/name[:tag]`",
        ),
        (
            ("--to", "r.io/app:-x"),
            "`r.io/app:-x` cannot be used for `--to`: `-x` is no tag",
            "write a destination as `host[:port]/path/name[:tag]`",
        ),
        (
            ("--to", "r.io:99999/app"),
            (
                "`r.io:99999/app` cannot be used for `--to`: "
                "`r.io:99999` has a port that is not between 1 and 65535"
            ),
            "write a destination as `host[:port]/path/name[:tag]`",
        ),
        (
            ("--to", "http://r.io/app"),
            "`http://r.io/app` cannot be used for `--to`: a destination has no scheme",
            "for plain HTTP use `--registry http://HOST`",
        ),
        (
            ("--to", "app:v1"),
            "`app:v1` cannot be used for `--to`: it names no registry",
            (
                "write a destination as `host[:port]/path/name[:tag]`; "
                "on Docker Hub, as `docker.io/user/name`"
            ),
        ),
        (
            ("--progress", "bars"),
            "`bars` cannot be used for `--progress`: it is not one of the choices",
            "choose one of `auto`, `tty`, `plain`, `none`",
        ),
        (
            ("--output", "xml"),
            "`xml` cannot be used for `--output`: it is not one of the choices",
            "choose one of `text`, `json`",
        ),
        (
            ("--cert-dir", "/nowhere/at/all"),
            "`/nowhere/at/all` cannot be used for `--cert-dir`: it is no directory",
            "name the folder that holds `*.crt`, `*.cert` and `*.key`",
        ),
        (
            ("--registry", "/host//"),
            "`/host//` cannot be used for `--registry`: it begins with a slash",
            "write it as `[http://|https://]host[:port][/namespace]`",
        ),
        (
            ("--username", "me:hunter2"),
            "`--username` holds a colon",
            "give the password with `--password-stdin`",
        ),
        (("--registry", ""), "`--registry` is empty", "give it a value, or leave it out"),
        (("--to", ""), "`--to` is empty", "give it a value, or leave it out"),
        (("--password", ""), "`--password` is empty", "give it a value, or leave it out"),
        (("--username", ""), "`--username` is empty", "give it a value, or leave it out"),
        (("",), "IMAGE is empty", "name a path, or leave it out"),
        (("-q", "-v"), "`--quiet` and `--verbose` contradict each other", "leave one of them out"),
        (("--timeot", "1s"), "there is no flag `--timeot`", "did you mean `--timeout`?"),
        (("--timeout",), "option `--timeout` requires an argument", "see `--help`"),
        (("--insecure=yes",), "option `--insecure` does not take a value", "see `--help`"),
    ],
)
def test_a_flag_that_cannot_be_used_is_a_usage_error(
    call: Call, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    see = "see: docs/user-guide/troubleshooting.md#the-command-line"
    assert refusal(call, *arguments) == f"Error: {message}\n\nhint: {hint}\n{see}\n"


@pytest.mark.parametrize(
    "place",
    [
        "me:hunter2@r.io/app",
        "me:hunter2@r.io",
        "https://me:hunter2@r.io/app",
        "https://me:hunter2@r.io:5000",
        "me:hun/hunter2@r.io/app",
        "hunter2@r.io/app@sha256:" + "0" * 64,
        "r.io/app?token=hunter2",
    ],
)
def test_a_place_with_a_secret_in_it_is_refused_and_not_repeated(call: Call, place: str) -> None:
    for flag in ("--registry", "--to"):
        error = refusal(call, flag, place)
        assert error.startswith(f"Error: `{flag}` holds a ")
        assert "hunter2" not in error
    error = refusal(call, environ={"IDPBUILDER_REGISTRY_URL": place})
    assert error.startswith("Error: IDPBUILDER_REGISTRY_URL holds a ")
    assert "hunter2" not in error


def test_a_destination_may_end_in_a_digest(call: Call) -> None:
    place = "r.io/app@sha256:" + "0" * 64
    assert options_of(call, "--to", place).to == (Reference.parse(place),)


def test_a_user_name_from_a_variable_has_no_colon_either(call: Call) -> None:
    error = refusal(call, environ={"IDPBUILDER_REGISTRY_USER": "me:hunter2"})
    assert error.startswith("Error: IDPBUILDER_REGISTRY_USER holds a colon\n")


def test_a_folder_with_a_certificate_and_no_key_is_found_before_the_push(
    call: Call, tmp_path: Path
) -> None:
    (tmp_path / "me.cert").touch()
    error = refusal(call, "--cert-dir", str(tmp_path))
    assert f"cannot be used for `--cert-dir`: `{tmp_path}` holds `me.cert` but no" in error


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("IDPBUILDER_REGISTRY_URL", "r.io:x", "`r.io:x` has a port that is not a number"),
        ("IDPBUILDER_REGISTRY_INSECURE", "on", "it is neither true nor false"),
        ("IDPBUILDER_PUSH_TIMEOUT", "10", "it has no unit"),
        ("IDPBUILDER_PUSH_RETRY_ATTEMPTS", "-1", "it is out of range"),
        ("IDPBUILDER_PUSH_QUIET", "quiet", "it is neither true nor false"),
        ("IDPBUILDER_PUSH_VERBOSE", "2", "it is neither true nor false"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(
    call: Call, variable: str, value: str, why: str
) -> None:
    error = refusal(call, environ={variable: value})
    assert error.startswith(f"Error: `{value}` cannot be used for {variable}: {why}\n\nhint: ")


def test_two_variables_cannot_ask_for_quiet_and_verbose(call: Call) -> None:
    both = {"IDPBUILDER_PUSH_QUIET": "1", "IDPBUILDER_PUSH_VERBOSE": "1"}
    assert "IDPBUILDER_PUSH_QUIET and IDPBUILDER_PUSH_VERBOSE contradict" in refusal(
        call, environ=both
    )
    assert call("image", "-q", environ=both).exit_code == 0


def test_the_flag_verbose_overrides_the_variable_quiet(call: Call) -> None:
    answer = call("image", "-v", environ={"IDPBUILDER_PUSH_QUIET": "1"})
    assert "auth: basic" in answer.stderr
    assert answer.stdout.startswith("Image pushed: ")


def test_the_flag_quiet_overrides_the_variable_verbose(call: Call) -> None:
    answer = call("image", "-q", environ={"IDPBUILDER_PUSH_VERBOSE": "1"})
    assert answer.stderr == ""
    assert answer.stdout.startswith("registry.example.com/repo/myimage@sha256:")


@pytest.mark.parametrize(
    ("given", "password"),
    [
        (b"secret", "secret"),
        (b"secret\n", "secret"),
        (b"secret\r\n", "secret"),
        (b"secret\n\n", "secret\n"),
        (b" se cret \n", " se cret "),
        (b"s\xc3\xa9cret", "sécret"),
    ],
)
def test_the_password_on_standard_input_loses_one_line_end(
    call: Call, given: bytes, password: str
) -> None:
    environ = {"IDPBUILDER_REGISTRY_PASSWORD": "another"}
    assert options_of(call, "--password-stdin", stdin=given, environ=environ).password == password


def test_the_password_comes_from_one_place(call: Call) -> None:
    error = refusal(call, "--password-stdin", "--password", "hunter2", stdin="x")
    assert "contradict each other" in error
    assert "hunter2" not in error


def test_an_empty_password_on_standard_input_is_refused(call: Call) -> None:
    assert "is empty" in refusal(call, "--password-stdin", stdin="\n")


def test_standard_input_is_not_both_image_and_password(call: Call) -> None:
    assert "both the image and the password" in refusal(call, "-", "--password-stdin", stdin="x")


def test_without_an_image_the_run_has_to_find_one(call: Call) -> None:
    run = FakeRun(result())
    assert call(run=run).exit_code == 0
    assert run.options is not None
    assert run.options.images == ()


@pytest.mark.parametrize(
    ("arguments", "method", "all_layers"),
    [
        ((), ("gzip", 2), False),
        (("--compression-level", "1"), ("gzip", 1), False),
        (("--compression", "gzip"), ("gzip", 2), True),
        (("--compression", "zstd"), ("zstd", 3), True),
        (("--compression=zstd", "--compression-level=19"), ("zstd", 19), True),
        (("--compression", "none"), ("none", 0), True),
    ],
)
def test_packing_is_for_raw_layers_unless_a_format_is_named(
    call: Call, arguments: tuple[str, ...], method: tuple[str, int], all_layers: bool
) -> None:
    run = FakeRun(result())
    assert call("image", *arguments, run=run).exit_code == 0
    assert run.options is not None
    assert (run.options.method.kind, run.options.method.level) == method
    assert run.options.all_layers is all_layers


@pytest.mark.parametrize(
    "arguments",
    [
        ("--compression", "brotli"),
        ("--compression-level", "9"),
        ("--compression-level", "0"),
        ("--compression=none", "--compression-level=1"),
        ("--compression=zstd", "--compression-level=20"),
    ],
)
def test_a_format_or_level_that_there_is_not_is_a_slip(
    call: Call, arguments: tuple[str, ...]
) -> None:
    answer = call("image", *arguments)
    assert answer.exit_code == 1
    assert "--compression" in answer.stderr
    assert "hint: " in answer.stderr


def test_all_tags_of_nothing_is_a_slip(call: Call) -> None:
    answer = call("--all-tags")
    assert answer.exit_code == 1
    assert "`--all-tags` needs an IMAGE" in answer.stderr


def test_the_cache_and_all_tags_are_switches(call: Call) -> None:
    run = FakeRun(result())
    call("image", run=run)
    assert run.options is not None
    assert (run.options.memory, run.options.all_tags) == (True, False)
    call("image", "--no-cache", "-a", run=run)
    assert (run.options.memory, run.options.all_tags) == (False, True)


@pytest.mark.parametrize(
    "order", [("--output", "json", "--nonsense"), ("--nonsense", "--output=json")]
)
def test_a_usage_error_is_json_where_json_was_asked_for(call: Call, order: tuple[str, ...]) -> None:
    answer = call("image", *order)
    assert answer.exit_code == 1
    assert json.loads(answer.stdout) == {
        "image": None,
        "reference": None,
        "error": {
            "exitCode": 1,
            "code": "usage",
            "message": "there is no flag `--nonsense`",
            "hint": json.loads(answer.stdout)["error"]["hint"],
        },
    }
    assert answer.stderr.startswith("Error: there is no flag `--nonsense`\n\nhint: ")


def test_what_follows_two_dashes_is_an_image(call: Call) -> None:
    run = FakeRun(result())
    assert call("--", "--output", "json", run=run).exit_code == 0
    assert run.options is not None
    assert run.options.images == ("--output", "json")


def test_the_help_tells_the_defaults_that_hold(call: Call) -> None:
    flags = {flag.long_name: flag for flag in push_flags() if isinstance(flag, Flag)}
    assert duration(flags["--timeout"].default_text) == DEFAULT_TIMEOUT
    assert int(flags["--retry-attempts"].default_text) == DEFAULT_RETRIES


def test_the_help_warns_of_a_password_on_the_command_line(call: Call) -> None:
    text = " ".join(call("-h").stdout.split())
    assert "prefer --password-stdin, for this one can be seen in the process list" in text
    assert call("--help").stdout == call("-h").stdout
