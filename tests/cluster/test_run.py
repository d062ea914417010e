"""How a list is shared out and gathered, with a cluster that only pretends."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from idpbuilder.cluster import run as running
from idpbuilder.cluster.share import Share, Told
from idpbuilder.errors import Interrupted, PushError, Unreachable, UsageError
from idpbuilder.image import Descriptor, Digest, Reference
from idpbuilder.push.options import Order, PushOptions
from idpbuilder.push.result import Outcome, PushFailure, PushResult
from idpbuilder.push.stop import Stop
from tests.parts.images import ImageSpec, write_layout
from tests.push.conftest import Recorder

Work = Callable[[Share], tuple[Told, ...]]


class KilledWorker(Exception):
    """As Dask's is called."""


class FakeFuture:
    """What came of a share."""

    def __init__(self, work: Work, share: Share) -> None:
        self.status = "finished"
        try:
            self._told = work(share)
        except Exception as error:
            self.status, self._error = "error", error

    def result(self) -> tuple[Told, ...]:
        return self._told

    def exception(self) -> Exception:
        return self._error

    def add_done_callback(self, tell: Callable[[FakeFuture], None]) -> None:
        tell(self)


class FakeClient:
    """Does all work at once."""

    def __init__(self, work: Work) -> None:
        self.shares: list[Share] = []
        self.cancelled = 0
        self._work = work

    def subscribe_topic(self, topic: str, handler: object) -> None: ...

    def unsubscribe_topic(self, topic: str) -> None: ...

    def submit(self, function: object, share: Share, **how: Any) -> FakeFuture:
        self.shares.append(share)
        return FakeFuture(self._work, share)

    def cancel(self, futures: list[FakeFuture]) -> None:
        self.cancelled += len(futures)


def pushes(share: Share) -> tuple[Told, ...]:
    """Everything arrives."""
    root = Descriptor("type", Digest.of(b""), 1)
    return tuple(
        Told(share.number, (PushResult(order.image or "", to, root, 1, (), (), 0, 0, 0, 0.0),))
        for order in share.options.listed
        for to in order.to
    )


Pretend = Callable[..., tuple[FakeClient, tuple[Outcome, ...]]]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pretend:
    """Runs a list on two workers that do `work`."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def on(
        *orders: Order, work: Work = pushes, stop: Stop | None = None, **options: Any
    ) -> tuple[FakeClient, tuple[Outcome, ...]]:
        client = FakeClient(work)

        @contextmanager
        def connected(*_anything: object) -> Iterator[FakeClient]:
            yield client

        monkeypatch.setattr(running, "connected", connected)
        monkeypatch.setattr(running, "count_workers", lambda *_anything: 2)
        wanted = PushOptions(listed=orders, **options)
        return client, running.run_on("tcp://s:1")(wanted, Recorder(), stop or Stop())

    return on


def order(folder: Path, number: int, *, size: int = 1_000) -> Order:
    path = write_layout(folder / f"app{number}", [ImageSpec((size + number, 500_000))]).path
    return Order(str(path), (Reference.parse(f"127.0.0.1:1/team/app{number}:v1"),), line="line")


def test_each_worker_gets_a_share_and_what_travels_is_absolute(
    pretend: Pretend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "certs").mkdir()
    monkeypatch.chdir(tmp_path)
    orders = [order(tmp_path, number, size=1_000_000) for number in range(4)]
    client, outcomes = pretend(*orders, cert_dir="certs")
    assert [len(share.options.listed) for share in client.shares] == [2, 2]
    assert {share.options.cert_dir for share in client.shares} == {str(tmp_path / "certs")}
    assert [outcome.reference for outcome in outcomes] == [one.to[0] for one in orders]


def test_a_slip_that_shows_here_is_told_before_anything_is_shared_out(
    pretend: Pretend, tmp_path: Path
) -> None:
    one, other = order(tmp_path, 0), order(tmp_path, 1)
    same = Order(other.image, one.to, line="line 2")
    client, outcomes = pretend(one, same)
    assert client.shares == []
    (failure,) = outcomes
    assert isinstance(failure, PushFailure)
    assert isinstance(failure.error, UsageError)
    client, outcomes = pretend(one, same, keep_going=True)
    assert [len(share.options.listed) for share in client.shares] == [1]
    assert [type(outcome) for outcome in outcomes] == [PushResult, PushFailure]


def test_images_that_are_all_wrong_are_not_shared_out(pretend: Pretend, tmp_path: Path) -> None:
    path = write_layout(tmp_path / "unnamed", [ImageSpec((10,))]).path
    client, outcomes = pretend(Order(str(path)), keep_going=True)
    assert client.shares == []
    assert [type(outcome) for outcome in outcomes] == [PushFailure]


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (KilledWorker("4 workers died"), Unreachable, "were lost: 4 workers died"),
        (ValueError("bad pickle"), PushError, "unexpected error on a worker: ValueError: bad"),
    ],
)
def test_a_share_that_comes_to_nothing_fails_image_by_image_and_cancels_the_others(
    pretend: Pretend, tmp_path: Path, error: Exception, kind: type[PushError], message: str
) -> None:
    def breaks(share: Share) -> tuple[Told, ...]:
        raise error

    orders = [order(tmp_path, number, size=1_000_000) for number in range(2)]
    client, outcomes = pretend(*orders, work=breaks)
    assert client.cancelled == 1
    (failure,) = outcomes
    assert isinstance(failure, PushFailure)
    assert type(failure.error) is kind
    assert message in failure.error.message


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_signal_ends_it_and_what_was_done_is_told(
    pretend: Pretend, tmp_path: Path, when: str
) -> None:
    stop = Stop()
    if when == "before":
        stop.request(signal.SIGTERM)

    def stopped(share: Share) -> tuple[Told, ...]:
        stop.request(signal.SIGTERM)
        return pushes(share)

    client, outcomes = pretend(order(tmp_path, 0), stop=stop, work=stopped)
    assert len(client.shares) == client.cancelled == (when == "meanwhile")
    last = outcomes[-1]
    assert isinstance(last, PushFailure)
    assert isinstance(last.error, Interrupted)
