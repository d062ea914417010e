"""podman's command where it runs as it should not: a script stands in for it."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from idpbuilder.errors import ImageUnreadable, Interrupted
from idpbuilder.image import Digest
from idpbuilder.source.engines import EngineQuery, FoundImage, detect, find_in_engines
from idpbuilder.source.engines.engine import EngineTrouble
from idpbuilder.source.engines.podman import PodmanCommand
from tests.parts.engine_api import FakeImage
from tests.source.engines import Looker

APP = FakeImage(("localhost/app:v1",), layers=("base", "app"))


@pytest.fixture
def looker(tmp_path: Path) -> Looker:
    return Looker(tmp_path, {"PATH": str(tmp_path / "bin")})


def write_podman(home: Path, **commands: str) -> Path:
    """A podman for `images`, `image` (inspect) and `save`: the shell's commands for each."""
    shown = [{**APP.inspection(), "Id": APP.id[7:]}]
    (home / "list").write_text(
        json.dumps([{"Id": APP.id[7:], "RepoTags": None, "Names": list(APP.tags)}] * 2)
    )
    (home / "shown").write_text(json.dumps(shown))
    (home / "saved").write_bytes(APP.archive())
    cases = {
        "images": f"/bin/cat {home}/list",
        "image": f"/bin/cat {home}/shown",
        "save": f"/bin/cat {home}/saved",
        **commands,
    }
    lines = "\n".join(f"{name}) {command};;" for name, command in cases.items())
    program = home / "bin" / "podman"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >>{home}/asked\ncase $1 in\n{lines}\nesac\n')
    program.chmod(0o755)
    return program


def found(looker: Looker) -> FoundImage:
    with looker.access() as access:
        (image,) = find_in_engines(EngineQuery("app:v1"), access)
        return image


def test_an_image_is_found_and_saved_by_its_id(looker: Looker) -> None:
    write_podman(looker.home)
    with looker.access() as access:
        (image,) = find_in_engines(EngineQuery("app:v1"), access)
        source = image.source(None)
    assert str(image.image_id) == APP.id
    assert [str(name) for name in source.names] == ["app:v1"]
    asked = (looker.home / "asked").read_text().splitlines()
    assert asked == [
        "image inspect -- app:v1",
        f"save --quiet --format docker-archive {APP.id[7:]}",
    ]


def test_several_images_are_saved_by_one_command(looker: Looker) -> None:
    write_podman(looker.home)
    podman = PodmanCommand({"PATH": str(looker.home / "bin")}, lambda: None).connect()
    stream = io.BytesIO()
    podman.export([Digest.parse(APP.id)] * 2, None, stream)
    assert stream.getvalue() == APP.archive()
    options = "--quiet --format docker-archive --multi-image-archive"
    asked = (looker.home / "asked").read_text().splitlines()
    assert asked == [f"save {options} {APP.id[7:]} {APP.id[7:]}"]


def test_detection_asks_the_command_last(looker: Looker) -> None:
    write_podman(looker.home)
    with looker.access() as access:
        assert detect(access).label == "localhost/app:v1"


def test_an_image_that_is_listed_twice_is_one(looker: Looker) -> None:
    write_podman(looker.home)
    environ = {"PATH": str(looker.home / "bin")}
    assert len(PodmanCommand(environ, lambda: None).connect().images()) == 1


def test_a_save_that_fails_is_quoted(looker: Looker) -> None:
    fails = "echo >&2; echo Error: disk on fire. >&2; exit 125"
    write_podman(looker.home, save=f"/usr/bin/head -c 700 {looker.home}/saved; {fails}")
    with looker.access() as access, pytest.raises(ImageUnreadable) as caught:
        find_in_engines(EngineQuery("app:v1"), access)[0].source(None)
    assert caught.value.why == "`podman save` ended early: disk on fire"


@pytest.mark.parametrize(
    ("commands", "why"),
    [
        ({"images": "exit 3"}, "`podman images` failed: it does not say why"),
        ({"images": "echo '<html>'"}, "its answer is not JSON"),
        ({"images": "echo '{}'"}, "its list of images is no list"),
        ({"image": "echo no space >&2; exit 1"}, "`podman image inspect` failed: no space"),
    ],
)
def test_a_podman_that_cannot_tell_is_passed_by(
    commands: dict[str, str], why: str, looker: Looker
) -> None:
    write_podman(looker.home, **commands)
    with looker.access() as access, pytest.raises(Exception, match="no image to push"):
        detect(access)
    assert looker.notes[-1] == f"the `podman` command: {why}"


def test_no_image_of_that_name_is_no_failure(looker: Looker) -> None:
    write_podman(looker.home, image="echo '[]'; echo Error: no such image >&2; exit 125")
    podman = PodmanCommand({"PATH": str(looker.home / "bin")}, lambda: None).connect()
    assert podman.inspect("nope") is None


def test_a_program_that_cannot_be_run(looker: Looker) -> None:
    write_podman(looker.home).write_bytes(b"\x7fELF and nothing more")
    podman = PodmanCommand({"PATH": str(looker.home / "bin")}, lambda: None).connect()
    with pytest.raises(EngineTrouble, match="cannot be run"):
        podman.images()


def test_a_podman_that_hangs_is_given_up_and_ended(looker: Looker) -> None:
    pid = looker.home / "pid"
    write_podman(looker.home, images=f"echo $$ >{pid}; exec /bin/sleep 1000")
    times = iter(range(0, 10_000, 20))
    environ = {"PATH": str(looker.home / "bin")}
    podman = PodmanCommand(environ, lambda: None, lambda: float(next(times))).connect()
    with pytest.raises(EngineTrouble, match="did not answer within 60 s"):
        podman.images()


def test_a_signal_ends_podman(looker: Looker) -> None:
    pid = looker.home / "pid"
    write_podman(looker.home, save=f"echo $$ >{pid}; exec /bin/sleep 1000")

    def stop() -> None:
        if pid.exists() and pid.read_text().strip():
            raise Interrupted("stopped by SIGINT", 2)

    looker.check = stop
    with looker.access() as access, pytest.raises(Interrupted):
        find_in_engines(EngineQuery("app:v1"), access)[0].source(None)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
