"""`--trace`: what is written, and what becomes of the push where it cannot be."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from idpbuilder.cli.trace import TraceFile
from idpbuilder.errors import Forbidden, LocalError, UsageError
from idpbuilder.push.events import Reporter
from idpbuilder.push.options import PushOptions
from idpbuilder.push.result import PushResult
from idpbuilder.push.stop import Stop
from idpbuilder.push.trace import Group, Track
from idpbuilder.push.traced import TracedReporter
from idpbuilder.redact import Secrets
from tests.cli.conftest import Call, Spawn
from tests.cli.fakes import FakeRun, failure, result

CONNECTION = Track(Group.CONNECTIONS, "https://registry.test #1")
IMAGE = Track(Group.IMAGES, "#1 registry.test/app:v1")
BOTH = ("trace.json", "trace.html")


class Page(HTMLParser):
    """What a browser would find in a page: its tags, and the text of each script by its ID."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self._script: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._script = dict(attrs).get("id") or "" if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:
        self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data


def events_in(path: Path) -> list[dict[str, Any]]:
    """The events of either form."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        lines = Page(text).scripts["events"].strip().split("\n")
        return [json.loads(line) for line in lines]
    found: list[dict[str, Any]] = json.loads(text)
    return found


def written(path: Path, secrets: Secrets | None = None) -> TraceFile:
    """A trace of two images' worth of things, still open."""
    file = TraceFile(str(path), secrets or Secrets())
    began = file.trace.clock()
    phases = [("send", began + 0.1, began + 0.2), ("commit", began + 0.2, began + 0.3)]
    told: dict[str, str | int | float] = {"url": "https://registry.test/v2/", "status": 201}
    file.trace.add(CONNECTION, "PUT upload", began, began + 0.4, told, phases)
    file.trace.add(CONNECTION, "PUT upload", began + 0.2, began + 0.5, told)
    file.trace.add(IMAGE, "layer 1/1", began, began + 0.5, {"size": 4})
    return file


# -- what is in a trace


@pytest.mark.parametrize("name", BOTH)
def test_every_event_is_as_the_format_wants_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    written(path).close()
    events = events_in(path)
    assert len(events) > 6
    for event in events:
        assert isinstance(event["name"], str)
        assert event["ph"] in ("X", "M", "i")
        assert all(type(event[key]) is int for key in ("ts", "pid", "tid"))
        assert isinstance(event["args"], dict)
    lasting = [event for event in events if event["ph"] == "X"]
    assert all(type(event["dur"]) is int and event["dur"] >= 0 for event in lasting)
    assert [event["name"] for event in lasting] == [
        "PUT upload",
        "send",
        "commit",
        "PUT upload",
        "layer 1/1",
    ]


def test_every_row_has_a_name_and_a_place_before_anything_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    written(path).close()
    named: dict[tuple[int, int], str] = {}
    processes: dict[int, str] = {}
    for event in events_in(path):
        place = event["pid"], event["tid"]
        if event["name"] == "thread_name":
            named[place] = event["args"]["name"]
        elif event["name"] == "process_name":
            processes[event["pid"]] = event["args"]["name"]
        elif event["ph"] == "X":
            assert place in named
            assert event["pid"] in processes
    first, second = "https://registry.test #1", "https://registry.test #1 (2)"
    assert list(named.values()) == [first, second, IMAGE.name]
    assert sorted(processes.values()) == ["connections", "images"]


def test_a_phase_lies_within_its_request_however_moments_are_rounded(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    file = TraceFile(str(path), Secrets())
    began = file.trace.clock()
    for number in range(200):
        start = began + number * 0.0123456789
        end = start + 0.01 + number * 0.00000037
        middle = (start + end) / 2
        phases = [("send", start, middle), ("receive", middle, end)]
        file.trace.add(CONNECTION, "GET", start, end, {}, phases)
    file.close()
    lasting = [event for event in events_in(path) if event["ph"] == "X"]
    for request, send, receive in zip(lasting[::3], lasting[1::3], lasting[2::3], strict=True):
        assert request["ts"] == send["ts"]
        assert send["ts"] + send["dur"] == receive["ts"]
        assert receive["ts"] + receive["dur"] == request["ts"] + request["dur"]


@pytest.mark.parametrize("name", BOTH)
def test_what_has_not_ended_is_there_as_cut_off(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    file = written(path)
    file.trace.begin(IMAGE, "registry.test/app:v1", {})
    file.close()
    file.close()
    last = events_in(path)[-1]
    assert (last["name"], last["args"]) == (
        "registry.test/app:v1",
        {"ended by": "the end of the run"},
    )


def test_spans_beyond_the_limit_are_counted_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    file = written(path)
    file.trace.dropped = 7
    file.close()
    assert events_in(path)[-1]["args"] == {"left out": 7}


def test_what_a_killed_run_leaves_lacks_its_end_alone(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    file = written(path)
    text = path.read_text()
    assert text.endswith("}}")
    assert len(json.loads(text + "]")) > 6
    file.close()


# -- what is not in it


@pytest.mark.parametrize("name", BOTH)
def test_secrets_are_taken_out_of_every_text(tmp_path: Path, name: str) -> None:
    secrets = Secrets()
    secrets.add("s3cret-pass")
    path = tmp_path / name
    file = written(path, secrets)
    with file.trace.opening("oci:s3cret-pass/image"):
        pass
    track = Track(Group.CONNECTIONS, "https://me:other@registry.test #1")
    told: dict[str, str | int | float] = {"failure": 's3cret-pass and https://x.test/a?sig=abc"'}
    file.trace.add(track, "GET s3cret-pass", 0, 0, told)
    file.close()
    text = path.read_text()
    assert "s3cret-pass" not in text
    assert "other@" not in text
    assert "sig=abc" not in text
    assert sum("***" in json.dumps(event) for event in events_in(path)) == 3


@pytest.mark.parametrize("name", BOTH)
def test_no_text_is_taken_for_markup_or_steers_a_terminal(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    nasty = "</script><script>alert(1)</script><!-- \x1b[31m\ud800 & é"
    file = written(path)
    with file.trace.opening(nasty):
        pass
    file.close()
    text = path.read_text(encoding="utf-8")
    assert "\x1b" not in text
    assert "alert(1)</script>" not in text
    last = events_in(path)[-1]
    assert last["name"] == "</script><script>alert(1)</script><!-- [31m & é"


def test_the_page_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "trace.html"
    written(path).close()
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    tags = [tag for tag, _ in page.tags]
    assert not {"link", "img", "iframe", "object", "embed", "base", "video", "audio"} & set(tags)
    assert not [given for _, given in page.tags if {"src", "href", "srcset", "action"} & set(given)]
    policies = [
        given["content"] for tag, given in page.tags if tag == "meta" and "http-equiv" in given
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"]
    code = page.scripts[""]
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import|sendBeacon|eval)\b", code)
    assert not re.search(
        r"innerHTML|document\.write|https?://|@import|url\(",
        text.replace(page.scripts["events"], ""),
    )


# -- the flag


class TracedRun:
    """A push that tells the trace of one request, then goes on like another."""

    def __init__(self, run: FakeRun) -> None:
        self.run = run

    def __call__(self, options: PushOptions, reporter: Reporter, stop: Stop) -> tuple[object, ...]:
        assert options.trace is not None
        now = options.trace.clock()
        options.trace.add(CONNECTION, "GET", now, now, {})
        return self.run(options, TracedReporter(reporter, options.trace), stop)


@pytest.mark.parametrize("name", BOTH)
def test_a_push_that_is_traced_writes_the_file_and_says_what_it_says_without(
    call: Call, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    without = call("image", run=FakeRun(result()))
    answer = call("image", "--trace", str(path), run=TracedRun(FakeRun(result())))
    assert (answer.exit_code, answer.stdout, answer.stderr) == (0, without.stdout, without.stderr)
    names = [event["name"] for event in events_in(path) if event["ph"] == "X"]
    assert names[0] == "GET"
    assert {"layer 1/3", "layer 2/3", "layer 3/3", "manifests"} < set(names)


def test_without_the_flag_nobody_watches(call: Call) -> None:
    run = FakeRun(result())
    assert call("image", run=run).exit_code == 0
    assert run.options is not None
    assert run.options.trace is None


def test_a_push_that_fails_has_its_trace(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    run = TracedRun(FakeRun(failure(Forbidden("no"))))
    assert call("image", "--trace", str(path), run=run).exit_code == 2
    told = [event["args"].get("failure") for event in events_in(path)]
    assert "no" in told


def test_an_error_that_nobody_expected_leaves_a_whole_trace(call: Call, tmp_path: Path) -> None:
    def broken(options: PushOptions, reporter: Reporter, stop: Stop) -> tuple[PushResult, ...]:
        raise RuntimeError("oh")

    path = tmp_path / "trace.json"
    assert call("image", "--trace", str(path), run=broken).exit_code != 0
    assert len(events_in(path)) == 1


@pytest.mark.parametrize("name", ["missing/t.json", "folder.html", "x" * 300 + ".json"])
def test_a_trace_that_cannot_be_written_is_found_before_the_push(
    call: Call, tmp_path: Path, name: str
) -> None:
    (tmp_path / "folder.html").mkdir()
    run = FakeRun(result())
    answer = call("image", "--trace", f"{tmp_path}/{name}", run=run)
    assert answer.exit_code == 1
    assert "cannot be written: " in answer.stderr
    assert "choose another path for `--trace`" in answer.stderr
    assert run.options is None


@pytest.mark.parametrize("name", ["app.tar", "trace", "trace.JSON", "trace.html.gz"])
def test_a_name_that_is_no_traces_is_refused_and_the_file_left_alone(
    call: Call, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_text("an image")
    answer = call("--trace", str(path))
    assert answer.exit_code == 1
    assert "its name ends in neither `.json` nor `.html`" in answer.stderr
    assert path.read_text() == "an image"


def test_a_command_that_cannot_run_leaves_an_earlier_trace_alone(
    call: Call, tmp_path: Path
) -> None:
    path = tmp_path / "trace.json"
    path.write_text("earlier")
    assert call("image", "--trace", str(path), "--jobs", "none").exit_code == 1
    assert path.read_text() == "earlier"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_is_full_ends_no_push_and_is_told_afterwards(
    call: Call, tmp_path: Path
) -> None:
    path = tmp_path / "trace.json"
    path.symlink_to("/dev/full")
    answer = call("image", "--trace", str(path), run=TracedRun(FakeRun(result())))
    assert answer.exit_code == 1
    assert "Image pushed: " in answer.stdout
    assert "trace.json` cannot be written: no space left on device" in answer.stderr
    failed = call("image", "--trace", str(path), run=TracedRun(FakeRun(failure(Forbidden("no")))))
    assert failed.exit_code == 2


def test_a_full_disk_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.symlink_to("/dev/full")
    file = written(path)
    with pytest.raises(LocalError):
        file.close()
    file.close()


def test_a_folder_is_no_trace(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        TraceFile(str(tmp_path), Secrets())


def test_the_flag_is_in_the_help_of_the_output(call: Call) -> None:
    text = call("--help").stdout
    assert "--trace PATH" in text[text.index("Output:") :]


def test_a_push_that_is_not_traced_loads_nothing_of_it(spawn: Spawn) -> None:
    code = "import sys; sys.argv = ['x']; import idpbuilder.push.run, idpbuilder.cli.push\n"
    code += "print([name for name in sys.modules if 'trace' in name and 'idpbuilder' in name])"
    done = spawn("timeit", "-n1", "-r1", code)
    assert done.stdout.splitlines()[0] == "[]"


@pytest.mark.parametrize("name", ["index.json", "page.html"])
def test_a_file_that_is_no_trace_is_left_alone_and_a_trace_is_replaced(
    call: Call, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_text('{"schemaVersion": 2}')
    refused = call("image", "--trace", str(path))
    assert refused.exit_code == 1
    assert "it is there, and no trace" in refused.stderr
    assert path.read_text() == '{"schemaVersion": 2}'
    path.unlink()
    for _ in range(2):
        assert call("image", "--trace", str(path)).exit_code == 0


def test_the_digest_file_is_not_written_over_the_trace(call: Call, tmp_path: Path) -> None:
    path = str(tmp_path / "both.json")
    answer = call("image", "--trace", path, "--digestfile", path)
    assert answer.exit_code == 1
    assert "name the same file" in answer.stderr
