"""What a push prints, and where."""

from __future__ import annotations

import io
import json

import pytest

from idpbuilder.cli.report import Shown, TextReport, place, plan, size_text
from idpbuilder.cli.streams import Stream
from idpbuilder.errors import Forbidden, ImageNotFound, PushTimeout, RateLimited, Unauthorized
from idpbuilder.image import Reference
from idpbuilder.push.events import LayerEnded, ManifestEnded, Note, Reporter
from idpbuilder.push.options import PushOptions
from idpbuilder.push.result import BlobStatus, PushFailure
from idpbuilder.redact import Secrets
from tests.cli.conftest import Call
from tests.cli.fakes import (
    DIGEST_LINE,
    IMAGE,
    LAST_LINE,
    PLANNED,
    REFERENCE,
    ROOT,
    SEED_LINES,
    FakeRun,
    failure,
    result,
)

NOTE = "auth: basic, from flags\n"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (173, "173 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (2500, "2.5 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (15_300_000, "15.3 MB"),
        (1_200_000_000, "1.2 GB"),
        (40_000_000_000_000, "40.0 TB"),
    ],
)
def test_sizes_are_in_si_units(size: int, text: str) -> None:
    assert size_text(size) == text


def test_the_place_is_the_name_without_its_last_component() -> None:
    assert (
        place(Reference.parse("registry.example.com/repo/myimage:latest"))
        == "registry.example.com/repo"
    )
    assert place(Reference.parse("localhost:5000/myimage")) == "localhost:5000"


def test_off_a_terminal_there_is_no_progress(call: Call) -> None:
    answer = call("image")
    assert (answer.stdout, answer.stderr, answer.exit_code) == (LAST_LINE, "", 0)


@pytest.mark.parametrize("progress", ["plain", "tty"])
def test_plain_and_tty_print_the_lines_wherever_stderr_goes(call: Call, progress: str) -> None:
    answer = call("image", "--progress", progress)
    assert (answer.stdout, answer.stderr) == (LAST_LINE, SEED_LINES)


@pytest.mark.parametrize("progress", ["auto", "tty", "plain", "none"])
def test_quiet_prints_the_digest_reference_and_nothing_else(call: Call, progress: str) -> None:
    answer = call("image", "--quiet", "--progress", progress)
    assert (answer.stdout, answer.stderr) == (f"{DIGEST_LINE}\n", "")


@pytest.mark.parametrize("progress", ["auto", "none"])
def test_verbose_notes_need_no_progress(call: Call, progress: str) -> None:
    answer = call("image", "--verbose", "--progress", progress)
    assert (answer.stdout, answer.stderr) == (LAST_LINE, NOTE)


def test_verbose_notes_stand_between_the_lines(call: Call) -> None:
    answer = call("image", "-v", "--progress", "plain")
    first, _, rest = SEED_LINES.partition("\n")
    assert answer.stderr == f"{first}\n{NOTE}{rest}"


def test_a_manifest_that_is_there_already_is_said_to_exist() -> None:
    err = io.StringIO()
    TextReport(Stream(None), Utf8(err), Shown(progress=True), Secrets()).emit(
        ManifestEnded(BlobStatus.EXISTS)
    )
    assert err.getvalue() == "✓ Manifest exists\n"


class Utf8(Stream):
    def __init__(self, stream: io.StringIO) -> None:
        super().__init__(stream)
        self._encoding = "utf-8"


def test_where_the_tick_cannot_be_said_a_plus_stands_for_it() -> None:
    data = io.BytesIO()
    stream = Stream(io.TextIOWrapper(data, encoding="ascii"))
    TextReport(stream, stream, Shown(progress=True), Secrets()).emit(LayerEnded(1, 1, PLANNED[1]))
    assert data.getvalue() == b"+ Layer 1/1 exists (15.3 MB)\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_name_is_too_strange_to_print(encoding: str) -> None:
    data = io.BytesIO()
    text = io.TextIOWrapper(data, encoding=encoding)
    Stream(text).line("a\udcff\u2713\x1b[2J\rb")
    assert b"\x1b" not in data.getvalue()
    assert b"\r" not in data.getvalue()
    assert data.getvalue().startswith(b"a\\udcff")


def test_a_dry_run_prints_its_plan_as_the_result(call: Call) -> None:
    run = FakeRun(result(ended=PLANNED, dry_run=True))
    answer = call("image", "--dry-run", "--progress", "plain", run=run)
    assert answer.stdout == (
        "- Layer 1/3 would be pushed (2.5 MB)\n"
        "- Layer 2/3 exists (15.3 MB)\n"
        "- Layer 3/3 would be mounted from team/base (1.2 MB)\n"
        "- Manifest would be pushed\n"
        "Would push: registry.example.com/repo/myimage:latest (1 of 3 layers, 2.5 MB)\n"
    )
    assert answer.stderr.startswith(
        "Checking image myimage:latest against registry.example.com/repo...\n"
    )


def test_a_dry_run_of_what_is_there_says_so() -> None:
    lines = plan(result(dry_run=True), BlobStatus.EXISTS)
    assert lines[-2:] == ["- Manifest exists", f"Nothing to push: {REFERENCE}"]


def test_a_failure_is_told_with_its_hint_also_with_quiet(call: Call) -> None:
    error = Unauthorized("cannot push to `r.io/app`", "the registry answered 401", "sign in first")
    answer = call("image", "--quiet", run=FakeRun(failure(error)))
    assert answer.exit_code == 2
    assert answer.stdout == ""
    assert answer.stderr == (
        "Error: cannot push to `r.io/app`: the registry answered 401\n\nhint: sign in first\n"
        "see: docs/user-guide/troubleshooting.md#credentials\n"
    )


def test_the_exit_code_is_that_of_the_first_failure_in_the_order_given(call: Call) -> None:
    outcomes = (result(), failure(RateLimited("slow down")), failure(PushTimeout("too late")))
    assert call("a", "b", "c", run=FakeRun(*outcomes)).exit_code == 5


def test_a_push_error_without_a_destination_has_its_exit_code(call: Call) -> None:
    def run(*_: object) -> object:
        raise ImageNotFound("no such image")

    answer = call("image", "--output", "json", run=run)
    assert answer.exit_code == 4
    assert json.loads(answer.stdout)["error"]["code"] == "source"
    assert answer.stderr == "Error: no such image\n"


def test_json_is_one_object_per_destination_on_a_line_each(call: Call) -> None:
    run = FakeRun(result(), failure(PushTimeout("too late", "5m passed", "run it again")))
    answer = call("image", "--output", "json", "--progress", "plain", run=run)
    first, second = map(json.loads, answer.stdout.splitlines())
    assert list(first) == [
        "image", "reference", "digest", "mediaType", "size", "platforms",
        "layers", "bytesSent", "requests", "retries", "seconds",
    ]  # fmt: skip
    assert first["image"] == IMAGE
    assert first["reference"] == str(REFERENCE)
    assert first["digest"] == str(ROOT.digest)
    assert first["platforms"] == ["linux/amd64"]
    assert [layer["status"] for layer in first["layers"]] == ["pushed", "exists", "mounted"]
    assert second == {
        "image": IMAGE,
        "reference": str(REFERENCE),
        "error": {
            "exitCode": 6,
            "code": "timeout",
            "message": "too late: 5m passed",
            "hint": "run it again",
        },
    }
    assert answer.stderr.startswith(SEED_LINES)
    assert f"Error: `{IMAGE}` to `{REFERENCE}`: too late: 5m passed\n" in answer.stderr
    assert answer.exit_code == 6


def test_json_stays_json_with_quiet(call: Call) -> None:
    answer = call("image", "--output", "json", "--quiet")
    assert json.loads(answer.stdout)["digest"] == str(ROOT.digest)
    assert answer.stderr == ""


def test_json_of_a_dry_run_says_what_would_be(call: Call) -> None:
    answer = call("i", "--output", "json", run=FakeRun(result(ended=PLANNED, dry_run=True)))
    statuses = [layer["status"] for layer in json.loads(answer.stdout)["layers"]]
    assert statuses == ["would-push", "exists", "would-mount"]


def test_a_password_does_not_come_out_with_an_unexpected_error(call: Call) -> None:
    def run(*_: object) -> object:
        raise KeyError("me:p%40ss, cDpAc3M= Bearer abc.def https://u:x@h/p?sig=1 p@ss")

    answer = call("image", "--password", "p@ss", run=run, environ={"IDPBUILDER_DEBUG": "1"})
    assert answer.exit_code == 1
    assert "Error: unexpected error: KeyError: " in answer.stderr
    assert "hint: run it again with IDPBUILDER_DEBUG=1" in answer.stderr
    assert "Traceback" in answer.stderr
    for secret in ("p@ss", "p%40ss", "abc.def", "u:x", "sig=1"):
        assert secret not in answer.stderr


def test_there_is_no_traceback_unless_it_is_asked_for(call: Call) -> None:
    def run(*_: object) -> object:
        raise RuntimeError

    answer = call("image", run=run)
    assert answer.stderr.startswith("Error: unexpected error: RuntimeError\n\nhint: ")
    assert "Traceback" not in answer.stderr


ECHO = "password hunter2secret, dTpodW50ZXIyc2VjcmV0, https://s3.example/x?sig=abc"


def echoing(options: object, reporter: Reporter, stop: object) -> tuple[PushFailure, ...]:
    """A push to a registry that tells what it was sent."""
    outcome = failure(Forbidden("it failed", ECHO, ECHO))
    reporter.emit(Note(ECHO))
    reporter.emit(outcome)
    return (outcome,)


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_secret_that_comes_back_is_shown_nowhere(call: Call, output: str) -> None:
    answer = call(
        "image", "-v", "--output", output, "--username", "u", "--password", "hunter2secret",
        run=echoing,
    )  # fmt: skip
    assert answer.exit_code == 2
    assert "password ***, ***, https://s3.example/x?***" in answer.stderr
    if output == "json":
        message = json.loads(answer.stdout)["error"]["message"]
        assert message == "it failed: password ***, ***, https://s3.example/x?***"
    for secret in ("hunter2", "dTpodW50", "sig=abc"):
        assert secret not in answer.output


def test_a_secret_that_turns_up_during_the_push_is_not_shown_either(call: Call) -> None:
    def run(options: PushOptions, reporter: Reporter, stop: object) -> object:
        options.confide("eyJtoken")
        reporter.emit(Note("token eyJtoken, and cut eyJto…"))
        return ()

    assert call("image", "-v", run=run).stderr == "token ***, and cut ***…\n"


def test_a_line_break_in_a_name_makes_no_line(call: Call) -> None:
    evil = "a\nError: b\r\x1b[2J\u2028c"
    bad = PushFailure(evil, None, ImageNotFound(f"no `{evil}`", evil, evil))
    answer = call("image", run=FakeRun(bad), environ={})
    told = r"a\nError: b\r\x1b[2J\u2028c"
    assert answer.stderr.startswith(f"Error: no `{told}`: {told}\n\nhint: {told}\n")
    document = json.loads(call("image", "--output", "json", run=FakeRun(bad)).stdout)
    assert document["error"]["hint"] == r"a\nError: b\r" + "\x1b[2J" + r"\u2028c"
