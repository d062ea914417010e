"""`--trace` of pushes to real registries: it is whole, it is true, and it holds no secret."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.parts.certificates import Certificates
from tests.parts.distribution import USER, Distribution, DistributionOptions
from tests.parts.docker_archives import Saved, save
from tests.parts.faults import Answer, Wait
from tests.parts.images import ImageSpec, Layout, write_layout
from tests.parts.manners import Manners
from tests.parts.memory_registry import MemoryRegistry
from tests.parts.registry_auth import BearerAuth
from tests.parts.token_service import TokenService
from tests.real.command import Command
from tests.real.conftest import Start
from tests.real.test_leaks import TROUBLE, WAYS, Scene, by_flag, by_registry_token, scene

__all__ = ["scene"]

Event = dict[str, Any]
FORMS = ("trace.json", "trace.html")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    spec = ImageSpec(layers=(300_000, 2_000_000), name="example.test/traced/app:v1")
    return write_layout(tmp_path / "image", [spec])


def events_in(path: Path) -> list[Event]:
    """The events of either form."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        script = text.partition('<script type="application/json" id="events">')[2]
        text = "[" + ",".join(script.partition("</script>")[0].strip().split("\n")) + "]"
    found: list[Event] = json.loads(text)
    return found


def tracks(events: list[Event]) -> dict[str, list[Event]]:
    """What lasted, by the name of its row."""
    names = {one["tid"]: one["args"]["name"] for one in events if one["name"] == "thread_name"}
    found: dict[str, list[Event]] = {}
    for event in events:
        if event["ph"] == "X":
            found.setdefault(names[event["tid"]], []).append(event)
    return found


def in_category(events: list[Event], category: str) -> list[Event]:
    return [event for event in events if event.get("cat") == category]


def rows_nest(events: list[Event]) -> bool:
    """Whether in each row one lies within the other, or they do not meet: viewers take no other."""
    for row in tracks(events).values():
        ends: list[int] = []
        for event in sorted(row, key=lambda one: (one["ts"], -one["dur"])):
            while ends and ends[-1] <= event["ts"]:
                ends.pop()
            assert not ends or event["ts"] + event["dur"] <= ends[-1], event
            ends.append(event["ts"] + event["dur"])
    return bool(events)


# -- a real push


def test_a_push_to_distribution_is_traced_from_end_to_end(
    command: Command, layout: Layout, distribution: Distribution, tmp_path: Path
) -> None:
    trace = tmp_path / "trace.json"
    place = f"{distribution.host}/traced/app:v1"
    done = command(layout.path, "--to", place, "--trace", trace, "--output", "json", "--no-cache")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    events = events_in(trace)
    assert rows_nest(events)
    requests = in_category(events, "connections")
    assert len(requests) == result["requests"]
    assert {one["args"]["HTTP"] for one in requests if "HTTP" in one["args"]} == {"1.1"}
    assert sum(one["args"]["connection"] == "new" for one in requests if "HTTP" in one["args"]) >= 1
    sent = [one for one in requests if one["args"].get("sent", 0) >= 300_000]
    assert sorted(one["args"]["sent"] for one in sent) == [300_000, 2_000_000]
    of_images = Counter(one["name"] for one in in_category(events, "images"))
    assert of_images == Counter([place, "layer 1/2", "layer 2/2", "config", "manifests"])
    assert [one["name"] for one in in_category(events, "sources")] == [str(layout.path)]
    assert {"connect", "send", "commit", "receive"} <= {
        one["name"] for one in in_category(events, "phase")
    }


def test_requests_that_share_a_connection_have_rows_of_their_own_under_its_name(
    command: Command, start_distribution: Start, certificates: Certificates, tmp_path: Path
) -> None:
    small = ImageSpec(layers=[2000 + number for number in range(30)])
    layout = write_layout(tmp_path / "small", [small])
    trace = tmp_path / "trace.json"
    options = DistributionOptions(tls=certificates.server, ca=certificates.ca)
    with start_distribution(options) as registry:
        words = ("--to", f"{registry.host}/traced/small:v1", "--trace", trace)
        done = command(layout.path, *words, SSL_CERT_FILE=str(certificates.ca))
    assert done.code == 0, done.err
    events = events_in(trace)
    assert rows_nest(events)
    shared = {name for name in tracks(events) if re.fullmatch(r".* #1( \(\d+\))?", name)}
    assert f"https://{registry.host} #1" in shared
    assert len(shared) > 1
    versions = Counter(one["args"].get("HTTP") for one in in_category(events, "connections"))
    assert versions["2"] > 30
    (tls, *_) = (one for one in in_category(events, "phase") if one["name"] == "TLS")
    assert tls["dur"] > 0


def test_packing_is_traced_thread_by_thread(
    command: Command, distribution: Distribution, tmp_path: Path
) -> None:
    archive = save(tmp_path / "app.tar", [Saved(layers=(5_000_000,), tags=("app:v1",))])
    trace = tmp_path / "trace.json"
    words = ("--to", f"{distribution.host}/traced/packed:v1", "--trace", trace, "--no-cache")
    done = command(archive.path, *words)
    assert done.code == 0, done.err
    events = events_in(trace)
    assert rows_nest(events)
    threads = {name for name in tracks(events) if name.startswith("packing-")}
    assert threads
    stages = Counter(one["name"] for one in in_category(events, "packing"))
    assert stages["read"] == stages["pack"] == stages["write"] >= 5


def test_trouble_and_what_was_waited_for_are_told(
    command: Command, layout: Layout, tmp_path: Path
) -> None:
    trace = tmp_path / "trace.json"
    with MemoryRegistry() as registry:
        busy = Answer(503, headers={"Retry-After": "1"})
        registry.fault(busy, method="POST", path="blobs", times=1)
        done = command(layout.path, "--to", f"{registry.host}/traced/app:v1", "--trace", trace)
    assert done.code == 0, done.err
    events = events_in(trace)
    assert rows_nest(events)
    (waited,) = (one for one in in_category(events, "images") if one["name"] == "back-off")
    assert waited["dur"] >= 900_000
    assert "answered 503" in waited["args"]["why"]
    assert [
        one["name"]
        for one in in_category(events, "connections")
        if one["args"].get("status") == 503
    ] == ["POST upload"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_push_that_is_stopped_leaves_a_whole_trace(
    signum: int, code: int, form: str, command: Command, layout: Layout, tmp_path: Path
) -> None:
    trace, gate = tmp_path / form, threading.Event()
    with MemoryRegistry() as registry:
        registry.fault(Wait(gate), method="PUT", times=None)
        place = f"{registry.host}/traced/app:v1"
        with command.start(layout.path, "--to", place, "--trace", trace) as process:
            while not registry.seen("PUT"):
                assert process.poll() is None
            process.send_signal(signum)
            _, err = process.communicate(timeout=30)
            gate.set()
    assert process.returncode == code, err
    events = events_in(trace)
    assert rows_nest(events)
    cut = [one for one in events if "ended by" in one["args"]]
    assert {"PUT upload", place} <= {one["name"] for one in cut}


def test_of_a_push_that_is_killed_the_trace_lacks_its_end_alone(
    command: Command, layout: Layout, tmp_path: Path
) -> None:
    trace, gate = tmp_path / "trace.json", threading.Event()
    with MemoryRegistry() as registry:
        registry.fault(Wait(gate), method="PUT", times=None)
        place = f"{registry.host}/traced/app:v1"
        with command.start(layout.path, "--to", place, "--trace", trace) as process:
            while not registry.seen("PUT"):
                assert process.poll() is None
            process.kill()
            process.communicate(timeout=30)
            gate.set()
    events = json.loads(trace.read_text() + "]")
    assert rows_nest(events)
    assert "POST upload" in {one["name"] for one in in_category(events, "connections")}


def test_a_trace_that_cannot_be_written_ends_the_push_before_anything_is_sent(
    command: Command, layout: Layout, tmp_path: Path
) -> None:
    with MemoryRegistry() as registry:
        place = f"{registry.host}/traced/app:v1"
        done = command(layout.path, "--to", place, "--trace", tmp_path / "no" / "trace.json")
        assert registry.requests == []
    assert done.code == 1
    assert "trace.json` cannot be written: no such file or directory" in done.err


# -- secrets


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "way", [way for way in WAYS if way is not by_registry_token], ids=lambda way: way.__name__
)
def test_no_secret_is_in_a_trace(way: Any, form: str, scene: Scene) -> None:
    place = f"/v2/{{repo}}/blobs/uploads/{{id}}?_state={scene.marks.state}&n={{state}}"
    troubles = TROUBLE if way is by_flag else ("none", "403", "502 page")
    trace = scene.folder / "written" / form
    for trouble in (TROUBLE[name] for name in troubles):
        with ExitStack() as stack:
            tokens = stack.enter_context(TokenService({USER: scene.marks.password}))
            tokens.refresh_tokens[scene.marks.password] = USER
            registry = stack.enter_context(
                MemoryRegistry(Manners(location=place), auth=BearerAuth(tokens))
            )
            for action, method, path in trouble:
                registry.fault(action, method=method, path=path, times=None)
            words, variables = way(scene, registry.host)
            # it looks for the password and the state in all that was written
            done = scene.push(
                registry.host, "--retry-attempts", "1", "--trace", trace, *words, **variables
            )
            requests = in_category(events_in(trace), "connections")
            assert any("/token" in one["args"]["url"] for one in requests), done.err
            scene.marks.further += tokens._issued
        # again, now that the tokens are known
        assert scene.marks.found_in(scene.written(done)) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_signed_location_is_in_no_trace(form: str, scene: Scene) -> None:
    place = f"http://{{other_host}}/storage/{{id}}?X-Amz-Signature={scene.marks.state}"
    trace = scene.folder / "written" / form
    with MemoryRegistry(Manners(location=place, sessions_need_auth=False)) as registry:
        done = scene.push(registry.host, "--trace", trace)
        assert done.code == 0, done.err
    urls = [one["args"]["url"] for one in in_category(events_in(trace), "connections")]
    assert any("/storage/" in url for url in urls)


# -- the page


def chromium() -> str:
    """A browser. It is large, and not among what these tests need: where it is, it is used."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("`chromium` is not on PATH; on Debian `apt-get install chromium`")
    return found


def drawn(page: Path, folder: Path) -> str:
    """What the page has become in a browser."""
    browser = [chromium(), "--headless=new", "--disable-gpu", "--no-first-run"]
    # a container has no room for its own sandbox, and the page is ours
    browser += ["--no-sandbox", f"--user-data-dir={folder}", "--virtual-time-budget=3000"]
    done = subprocess.run(
        [*browser, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_a_browser_draws_every_span_of_a_page(
    command: Command, distribution: Distribution, tmp_path: Path
) -> None:
    specs = [ImageSpec(layers=(3000,), seed=seed, name=f"x.test/i{seed}:v1") for seed in range(20)]
    layout = write_layout(tmp_path / "many", specs)
    page = tmp_path / "trace.html"
    words = ("--registry", f"{distribution.host}/traced/many", "--trace", page)
    images = (f"oci:{layout.path}:x.test/i{seed}:v1" for seed in range(20))
    done = command(*images, *words)
    assert done.code == 0, done.err
    spans = [one for one in events_in(page) if one["ph"] == "X" and one["cat"] != "phase"]
    dom = drawn(page, tmp_path / "browser")
    assert f'data-drawn="{len(spans)}"' in dom
    assert '<h1 id="title">20 images</h1>' in dom
    requests = len(in_category(events_in(page), "connections"))
    assert f"{requests} requests" in dom
    assert re.search(r">send [\d.]+ (µs|ms|s)</button>", dom)


def test_a_browser_draws_a_page_that_was_cut_off(
    command: Command, distribution: Distribution, layout: Layout, tmp_path: Path
) -> None:
    page = tmp_path / "trace.html"
    done = command(layout.path, "--to", f"{distribution.host}/traced/cut:v1", "--trace", page)
    assert done.code == 0, done.err
    text = page.read_text(encoding="utf-8")
    page.write_text(text[: text.rindex('"cat"')], encoding="utf-8")
    found = re.search(r'data-drawn="(\d+)"', drawn(page, tmp_path / "browser"))
    assert found
    assert int(found[1]) > 5
