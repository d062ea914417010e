"""Pushes from Python: the command line's own, without a trace in the caller's process."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import idpbuilder
from idpbuilder import (
    Event,
    Image,
    Note,
    Progress,
    PushFailure,
    PushResult,
    PushStarted,
    RunEnded,
    RunStarted,
    UsageError,
    errors,
    push_images,
    raise_first_failure,
)
from idpbuilder.push.options import JOBS_LIMIT
from tests.parts.faults import Answer, Hang
from tests.parts.images import ImageSpec, write_archive, write_layout
from tests.parts.memory_registry import MemoryRegistry
from tests.parts.registry_auth import BasicAuth


def image(folder: Path, name: str, size: int = 5_000) -> str:
    return str(write_layout(folder / name, [ImageSpec((size,))]).path)


def named(registry: MemoryRegistry, *names: str) -> list[str]:
    return [f"{registry.host}/team/{name}:v1" for name in names]


def test_several_images_are_one_plan_and_have_their_outcomes_in_order(
    registry: MemoryRegistry, tmp_path: Path
) -> None:
    one, two = image(tmp_path, "one"), image(tmp_path, "two")
    heard: list[tuple[Event, int]] = []
    outcomes = push_images(
        [Image(one, to=named(registry, "a", "b")), Image(Path(two), to=named(registry, "c")[0])],
        on_event=lambda event, number: heard.append((event, number)),
    )
    results = raise_first_failure(outcomes)
    assert [str(result.reference) for result in results] == named(registry, "a", "b", "c")
    assert results == tuple(outcomes)
    assert heard[0] == (RunStarted(3), 0)
    ended, last = heard[-1]
    assert isinstance(ended, RunEnded)
    assert (set(ended.outcomes), last) == (set(outcomes), 0)
    assert {number for event, number in heard if isinstance(event, PushStarted)} == {1, 2, 3}
    # the one layer of both went out once
    assert sum(one.body_length for one in registry.requests) < 10_000


def test_plain_texts_and_paths_go_below_the_registry(
    registry: MemoryRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ImageSpec((2_000,), name="team/app:v2")
    write_archive(tmp_path / "app.tar", write_layout(tmp_path / "layout", [spec]))
    monkeypatch.chdir(tmp_path)
    for source in ("app.tar", Path("app.tar"), [Path("app.tar")]):
        (outcome,) = push_images(source, registry=f"http://{registry.host}/below")  # type: ignore[arg-type]
        assert isinstance(outcome, PushResult)
        assert str(outcome.reference) == f"{registry.host}/below/team/app:v2"


def test_no_images_are_no_outcomes() -> None:
    assert push_images([]) == ()


def test_an_image_of_several_platforms_can_be_pushed_for_one(
    registry: MemoryRegistry, tmp_path: Path
) -> None:
    from tests.parts.images import IndexSpec

    path = write_layout(tmp_path / "index", [IndexSpec()]).path
    (one, both) = raise_first_failure(
        push_images(
            [
                Image(path, to=named(registry, "one"), platform="linux/arm64"),
                Image(path, to=named(registry, "both")),
            ]
        )
    )
    assert one.platforms == ("linux/arm64",)
    assert len(both.platforms) == 2


def test_a_failure_is_an_outcome_and_the_others_go_on_where_they_are_to(
    registry: MemoryRegistry, tmp_path: Path
) -> None:
    wanted = [
        Image(tmp_path / "missing", to=named(registry, "a")),
        Image(image(tmp_path, "one"), to=named(registry, "b")),
    ]
    (failure,) = push_images(wanted)
    assert isinstance(failure, PushFailure)
    failure, result = push_images(wanted, keep_going=True)
    assert isinstance(result, PushResult)
    with pytest.raises(errors.ImageNotFound, match="images\\[0\\]"):
        raise_first_failure((failure, result))


def test_a_dry_run_sends_nothing(registry: MemoryRegistry, tmp_path: Path) -> None:
    (outcome,) = push_images(
        Image(image(tmp_path, "one"), to=named(registry, "a")), dry_run=True, verify=True
    )
    assert isinstance(outcome, PushResult)
    assert outcome.dry_run
    assert not registry.repository("team/a").tags


def test_notes_and_progress_come_where_they_are_asked_for(
    registry: MemoryRegistry, tmp_path: Path
) -> None:
    registry.fault(Hang(1000), path="blobs", times=None)
    heard: list[object] = []

    class Enough(Exception):
        pass

    def stands(progress: Progress) -> None:
        heard.append(progress)
        raise Enough

    with pytest.raises(Enough):
        push_images(
            Image(image(tmp_path, "one"), to=named(registry, "a")),
            verbose=True,
            on_event=lambda event, number: heard.append(event),
            on_progress=stands,
        )
    assert isinstance(heard[-1], Progress)
    assert any(isinstance(event, Note) for event in heard)


def test_what_on_event_raises_ends_the_push_and_comes_out(
    registry: MemoryRegistry, tmp_path: Path
) -> None:
    registry.fault(Hang(1000), path="blobs", times=None)

    def break_off(event: Event, number: int) -> None:
        if isinstance(event, PushStarted):
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        push_images(
            Image(image(tmp_path, "one"), to=named(registry, "a")), on_event=break_off, timeout=None
        )
    assert "idpbuilder-push" not in {thread.name for thread in threading.enumerate()}


def test_ctrl_c_ends_the_push_cleanly_and_comes_out(
    registry: MemoryRegistry, tmp_path: Path
) -> None:
    registry.fault(Hang(1000), path="blobs/uploads", times=None)
    handler = signal.getsignal(signal.SIGINT)

    def press(event: Event, number: int) -> None:
        if isinstance(event, PushStarted):
            threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()

    with pytest.raises(KeyboardInterrupt):
        push_images(
            Image(image(tmp_path, "one"), to=named(registry, "a")), on_event=press, timeout=None
        )
    assert signal.getsignal(signal.SIGINT) is handler
    assert not [one for one in threading.enumerate() if one.name == "idpbuilder-push"]


def test_several_threads_push_at_once(registry: MemoryRegistry, tmp_path: Path) -> None:
    paths = [image(tmp_path, f"{number}", 3_000 + number) for number in range(4)]
    outcomes: list[PushResult] = []

    def push(number: int) -> None:
        wanted = Image(paths[number], to=named(registry, f"app{number}"))
        outcomes.extend(raise_first_failure(push_images(wanted)))

    threads = [threading.Thread(target=push, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(str(one.reference) for one in outcomes) == named(
        registry, "app0", "app1", "app2", "app3"
    )


def test_a_password_that_a_registry_echoes_is_in_nothing_that_is_told_or_returned(
    tmp_path: Path,
) -> None:
    heard: list[Event] = []
    with MemoryRegistry(auth=BasicAuth({"alice": "hunter-2-hunter"})) as registry:
        registry.fault(
            Answer(400, b'{"errors":[{"code":"DENIED","message":"hunter-2-hunter is bad"}]}'),
            path="blobs/uploads",
            times=None,
        )
        (outcome,) = push_images(
            Image(image(tmp_path, "one"), to=named(registry, "a")),
            username="alice",
            password="hunter-2-hunter",
            insecure=True,
            verbose=True,
            on_event=lambda event, number: heard.append(event),
        )
    assert isinstance(outcome, PushFailure)
    assert "*** is bad" in str(outcome.error)
    assert outcome.error.__cause__ is None
    assert "hunter-2" not in repr(heard) + repr(outcome) + str(pickle.dumps((heard, outcome)))


def test_what_comes_back_can_be_pickled(registry: MemoryRegistry, tmp_path: Path) -> None:
    wanted = [
        Image(image(tmp_path, "one"), to=named(registry, "a")),
        Image(tmp_path / "missing", to=named(registry, "b")),
    ]
    result, failure = push_images(wanted, keep_going=True)
    copied, other = pickle.loads(pickle.dumps((result, failure)))
    assert copied == result
    assert isinstance(failure, PushFailure)
    assert type(other.error) is type(failure.error)
    assert other.error.message == failure.error.message


def _raise(*_anything: object) -> None:
    raise RuntimeError("a bug")


def test_a_bug_comes_out_as_it_is(
    registry: MemoryRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("idpbuilder.push.run.open_memory", _raise)
    with pytest.raises(RuntimeError, match="a bug"):
        push_images(Image(image(tmp_path, "one"), to=named(registry, "a")))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": ""}, r"images\[0\] is empty"),
        ({"images": ["a", "-"]}, r"images\[1\] cannot be standard input"),
        ({"images": Image("a", to="UPPER/x")}, "cannot be used for a destination of images"),
        ({"images": Image("a", to="u:p@h/x")}, "holds a user name or password"),
        ({"images": Image("a", platform="linux")}, "`linux` cannot be used for `platform`"),
        ({"platform": ""}, "`platform` is empty"),
        ({"registry": "ftp://x"}, "`ftp://x` cannot be used for `registry`"),
        ({"username": "a:b"}, "`username` holds a colon"),
        ({"password": ""}, "`password` is empty"),
        ({"cert_dir": "/nowhere"}, "`/nowhere` cannot be used for `cert_dir`"),
        ({"timeout": -1}, "`-1` cannot be used for `timeout`"),
        ({"timeout": float("nan")}, "`nan` cannot be used for `timeout`"),
        ({"retries": 21}, "`21` cannot be used for `retries`"),
        ({"jobs": 0}, "`0` cannot be used for `jobs`"),
        ({"jobs": JOBS_LIMIT + 1}, "cannot be used for `jobs`"),
        ({"limit_rate": -5}, "`-5` cannot be used for `limit_rate`"),
        ({"compression": "none", "compression_level": 1}, "there is no level"),
    ],
)
def test_an_argument_that_cannot_be_used_raises(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        push_images(**{"images": "x", **arguments})


def in_a_process(text: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_importing_it_loads_nothing() -> None:
    loaded = in_a_process(
        "import sys; before = set(sys.modules); import idpbuilder;"
        "print(sorted(set(sys.modules) - before))"
    )
    assert loaded == "['idpbuilder']\n"


@pytest.mark.parametrize("name", idpbuilder.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(idpbuilder, name) is not None
    assert name in dir(idpbuilder)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute `nonsense`"):
        idpbuilder.nonsense  # type: ignore[attr-defined]  # noqa: B018
    # what the homes import themselves is not public
    assert not hasattr(idpbuilder, "Protocol")


Check = Callable[[str], str]


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Check:
    """What mypy, strict, has to say of a script."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("checked")

    def run(text: str) -> str:
        script = folder / "script.py"
        script.write_text(text)
        return subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder), str(script)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=folder,
        ).stdout

    return run


SCRIPT = """
from pathlib import Path
import idpbuilder
from idpbuilder import Event, Image, PushResult, push_images, raise_first_failure

def hear(event: Event, number: int) -> None:
    if isinstance(event, PushResult):
        print(number, event.reference, event.root.digest)

images: list[Image | str] = [Image(Path("app.tar"), to="r.example.com/app:v1"), "oci:web"]
for result in raise_first_failure(push_images(images, timeout=60, on_event=hear)):
    reveal_type(result.bytes_sent)
try:
    idpbuilder.push_images("app.tar", compression="zstd")
except idpbuilder.errors.UsageError as error:
    print(error.hint)
"""


def test_a_script_is_type_checked_strictly(check: Check) -> None:
    said = check(SCRIPT)
    assert 'Revealed type is "int"' in said.replace("builtins.", "")
    assert "error" not in said


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import idpbuilder; idpbuilder.push_image", "attr-defined"),
        ("import idpbuilder; idpbuilder.push_images(1)", "arg-type"),
        ("import idpbuilder; idpbuilder.push_images('a', compression='xz')", "arg-type"),
        ("import idpbuilder; idpbuilder.push_images('a', timout=1)", "call-arg"),
    ],
)
def test_a_slip_is_found_by_the_type_checker(check: Check, text: str, complaint: str) -> None:
    assert f"[{complaint}]" in check(text)


def test_a_push_that_cannot_be_loaded_is_an_error_and_no_wait(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "idpbuilder.push.run", None)
    with pytest.raises(ImportError):
        push_images(tmp_path, registry="registry.example.com/team")
