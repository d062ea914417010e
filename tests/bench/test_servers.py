"""The registry that keeps nothing answers as a registry, and the distance is as long as it says."""

from __future__ import annotations

import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.parts.registries import Registry, Trust, running
from bench.parts.served import Served

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="`go` is not on PATH")
DIGEST = "sha256:" + "0" * 64
ROUND_TRIP = 0.02


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("trust"))


@pytest.fixture
def registry(trust: Trust) -> Iterator[Registry]:
    with running("null-plain", trust) as registry:
        yield registry


def ask(registry: Registry, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
    """The status, and the Location if there is one."""
    request = urllib.request.Request(f"http://{registry.host}{path}", data=body, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status, answer.headers.get("Location", "")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def test_a_blob_is_unknown_until_it_was_sent(registry: Registry) -> None:
    blob = f"/v2/app/blobs/{DIGEST}"
    assert ask(registry, "HEAD", blob)[0] == 404
    status, session = ask(registry, "POST", "/v2/app/blobs/uploads/", b"")
    assert status == 202
    assert ask(registry, "PUT", f"{session}?digest={DIGEST}", b"12345") == (201, blob)
    assert ask(registry, "HEAD", blob)[0] == 200


def test_a_mount_of_what_is_nowhere_is_a_session(registry: Registry) -> None:
    mount = f"/v2/app/blobs/uploads/?mount={DIGEST}&from=app"
    status, session = ask(registry, "POST", mount, b"")
    assert (status, session[:22]) == (202, "/v2/app/blobs/uploads/")
    ask(registry, "PUT", f"{session}?digest={DIGEST}", b"")
    assert ask(registry, "POST", mount, b"")[0] == 201


def test_a_manifest_is_there_under_its_tag_and_its_digest(registry: Registry) -> None:
    status, place = ask(registry, "PUT", "/v2/app/manifests/v1", b"{}")
    assert status == 201
    assert ask(registry, "GET", place)[0] == 200
    assert ask(registry, "HEAD", "/v2/app/manifests/v1")[0] == 200
    assert ask(registry, "HEAD", "/v2/app/manifests/v2")[0] == 404


def test_requests_connections_and_bodies_are_counted_anew(registry: Registry) -> None:
    ask(registry, "GET", "/v2/")
    registry.reset()
    ask(registry, "POST", "/v2/app/blobs/uploads/", b"")
    ask(registry, "PUT", f"/v2/app/blobs/uploads/1?digest={DIGEST}", b"12345")
    counts = registry.counts()
    assert (
        counts.items() >= {"requests": 2, "connections": 2, "bytes": 5, "POST": 1, "PUT": 1}.items()
    )
    assert counts["span"] > 0


def test_a_plain_request_takes_two_round_trips_and_not_much_less_than_they_last(
    trust: Trust,
) -> None:
    with running("null-plain", trust, ROUND_TRIP) as registry:
        registry.reset()
        assert ask(registry, "GET", "/v2/")[0] == 200
        counts = registry.counts()
    assert counts["connections"] == 1
    # one for the handshake, one for the request; sleeps may end a little early
    assert counts["round_trips"] > 1.5


def test_what_is_said_to_a_client_that_has_hung_up_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        hung_up = threading.Event()

        def serve() -> None:
            near, _ = server.accept()
            with near:
                while near.recv(100):
                    pass
                hung_up.set()
                near.sendall(b"good bye")

        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        with Served("distance", "-to", f"127.0.0.1:{port}", "-rtt", "10ms") as proxy:
            with socket.create_connection(("127.0.0.1", proxy.ports["proxy"])) as client:
                client.sendall(b"hello")
            assert hung_up.wait(10)
            thread.join()
            assert proxy.counts()["down"] == 0


def test_a_bandwidth_bounds_all_connections_together(trust: Trust) -> None:
    body, per_second = bytes(100_000), 1_000_000
    with running("null-plain", trust, 0.001, per_second) as registry:
        path = f"/v2/app/blobs/uploads/1?digest={DIGEST}"
        senders = [
            threading.Thread(target=ask, args=(registry, "PUT", path, body)) for _ in range(2)
        ]
        began = time.perf_counter()
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert time.perf_counter() - began >= 2 * len(body) / per_second


def test_certificates_are_trusted_beside_those_of_the_system(trust: Trust) -> None:
    assert trust.certificates.ca.read_bytes() in Path(trust.bundle).read_bytes()
