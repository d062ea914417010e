"""What is wrong with `--dask` before anything is shared out, and what never travels."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from idpbuilder import __version__
from idpbuilder.cli.command import Session
from idpbuilder.cli.push import push
from idpbuilder.cluster import connection
from idpbuilder.cluster.connection import count_workers
from idpbuilder.cluster.share import Share, for_worker
from idpbuilder.cluster.sources import look, reachable
from idpbuilder.errors import UsageError
from idpbuilder.image import Reference
from idpbuilder.push.options import Order, PushOptions, Shard
from idpbuilder.push.stop import Stop
from tests.parts.images import ImageSpec, write_layout

Call = Callable[..., Result]


@pytest.fixture
def call() -> Call:
    """`push` in this process, its cluster at an address where nobody listens."""

    def invoke(*words: str, **variables: str) -> Result:
        session = Session(environ=variables)
        arguments = [*words, "--dask", "tcp://127.0.0.1:1"]
        return CliRunner().invoke(push, arguments, obj=session, prog_name="push", input="secret")

    return invoke


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (("--username", "me"), {}),
        (("--password", "hunter2"), {}),
        (("--password-stdin",), {}),
        (("--authfile", "auth.json"), {}),
        ((), {"IDPBUILDER_REGISTRY_USER": "me"}),
        ((), {"IDPBUILDER_REGISTRY_PASSWORD": "hunter2"}),
    ],
)
def test_credentials_cannot_be_given(
    call: Call, words: tuple[str, ...], variables: dict[str, str]
) -> None:
    done = call("./app.tar", *words, **variables)
    assert done.exit_code == 1
    assert "credentials cannot be given with `--dask`" in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize("words", [("--shard", "1/2"), ("--trace", "trace.json")])
def test_what_is_of_one_machine_contradicts_it(call: Call, words: tuple[str, ...]) -> None:
    done = call("./app.tar", *words)
    assert done.exit_code == 1
    assert f"`--dask` and `{words[0]}` contradict each other" in done.stderr


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("-", "standard input is this machine's"),
        ("myapp:v1", "what an engine has is on one machine alone"),
        ("docker-daemon:myapp:v1", "what an engine has is on one machine alone"),
        ("podman:myapp:v1", "what an engine has is on one machine alone"),
    ],
)
def test_an_image_that_workers_cannot_read_is_refused(call: Call, image: str, why: str) -> None:
    done = call(image)
    assert done.exit_code == 1
    assert f"`{image}` cannot be used with `--dask`: " in done.stderr
    assert why in done.stderr


def test_without_an_image_it_is_refused(call: Call) -> None:
    done = call()
    assert done.exit_code == 1
    assert "`--dask` needs images" in done.stderr


def test_without_the_extra_it_is_named(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = call("./app.tar")
    assert done.exit_code == 1
    assert "run `pip install 'idpbuilder-push[dask]'`" in done.stderr


def test_a_scheduler_that_is_not_there_is_unreachable(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_SECONDS", 0.3)
    done = call("./app.tar")
    assert done.exit_code == 3
    assert done.stderr.startswith("Error: no Dask scheduler answers at `tcp://127.0.0.1:1`: ")
    assert "distributed" not in done.stderr


def test_a_scheduler_that_never_says_a_word_is_unreachable(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(connection, "_SECONDS", 0.1)
    monkeypatch.setattr(connection, "_GRACE", 0)
    monkeypatch.setattr(connection, "_connect", lambda *_anything: over.wait())
    done = call("./app.tar")
    over.set()
    assert done.exit_code == 3
    assert "no answer in 0.1 s" in done.stderr


def test_an_address_that_is_none_is_refused() -> None:
    words = ["./app.tar", "--dask", "ftp://nowhere:1"]
    done = CliRunner().invoke(push, words, obj=Session(environ={}), prog_name="push")
    assert done.exit_code == 1
    assert "`ftp://nowhere:1` cannot be used for `--dask`: " in done.stderr


def workers(*versions: object) -> SimpleNamespace:
    found = {f"tcp://10.0.0.{number}:1": one for number, one in enumerate(versions)}
    return SimpleNamespace(run=lambda function, on_error: found)


def test_workers_must_run_what_runs_here() -> None:
    assert count_workers(workers(__version__, __version__), "tcp://s:1", lambda: None) == 2
    with pytest.raises(UsageError) as caught:
        count_workers(
            workers(__version__, "0.0.9", None, "0.0.9", OSError()), "tcp://s:1", lambda: None
        )
    assert (
        caught.value.why == "of 5 there are 2 with 0.0.9, 1 with none, 1 with no answer (OSError)"
    )
    assert f"do not run idpbuilder-push {__version__}" in caught.value.what


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app.tar").touch()
    monkeypatch.chdir(tmp_path)
    images = ("app.tar", "./lists/./other.tar", "../up.tar", "/a/b.tar", "oci:web:v1")
    found = [order.image for order in reachable(PushOptions(images))]
    assert found == [
        f"{tmp_path}/app.tar",
        f"{tmp_path}/lists/other.tar",
        f"{tmp_path}/../up.tar",
        "/a/b.tar",
        f"oci:{tmp_path}/web:v1",
    ]


def test_nothing_secret_and_nothing_of_this_machine_is_in_what_travels() -> None:
    confided: list[str] = []
    options = PushOptions(
        listed=(Order("/a"),),
        username="alice-the-user",
        password="hunter2-password",
        authfile="/home/alice/auth.json",
        limit_rate=1_000,
        shard=Shard(1, 2),
        confide=confided.append,
    )
    share = Share("run", 0, for_worker(options, 3), notes=False)
    data = pickle.dumps(share)
    assert not [one for one in (b"alice", b"hunter2") if one in data]
    travelled = pickle.loads(data)
    assert travelled == share
    assert travelled.options.limit_rate == 333
    assert travelled.options.shard is None


def test_two_images_for_one_place_are_found_before_anything_is_sent(tmp_path: Path) -> None:
    to = (Reference.parse("127.0.0.1:1/team/app:v1"),)
    orders = tuple(
        Order(str(write_layout(tmp_path / f"{size}", [ImageSpec((size,))]).path), to)
        for size in (100, 200)
    )
    first, second = look(orders, PushOptions(), Stop())
    assert first.references == to
    assert sum(first.blobs.values()) > 100
    assert second.failure is not None
    assert "two images go to" in second.failure.error.what


def test_what_cannot_be_read_here_is_left_to_the_workers() -> None:
    (seen,) = look((Order("/nowhere/app.tar"),), PushOptions(), Stop())
    assert seen.failure is None
    assert seen.pushes == 1
