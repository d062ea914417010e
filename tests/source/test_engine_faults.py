"""Engines that refuse, lie, die or speak another language: a fake one, over the real transport."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from idpbuilder.errors import Interrupted, LocalError, PlatformNotFound, PushError, SourceError
from idpbuilder.image import Manifest, Platform
from idpbuilder.source.engines import Access, EngineQuery, FoundImage, detect, find_in_engines
from tests.parts.engine_api import EngineApiServer, FakeImage
from tests.source.engines import Looker

APP = FakeImage(("app:v1",), layers=("base", "app"))


@pytest.fixture
def looker(tmp_path: Path) -> Looker:
    return Looker(tmp_path)


def find(access: Access, text: str = "app:v1") -> FoundImage:
    (found,) = find_in_engines(EngineQuery(text), access)
    return found


def trouble(looker: Looker, server: EngineApiServer) -> SourceError:
    """What a named engine is reported with."""
    with looker.access(DOCKER_HOST=server.host) as access, pytest.raises(SourceError) as caught:
        find(access).source(None)
    return caught.value


def test_an_image_is_exported_whole(looker: Looker, tmp_path: Path) -> None:
    with (
        EngineApiServer(tmp_path / "s", [APP]) as server,
        looker.access(DOCKER_HOST=server.host) as access,
    ):
        image = find(access).source(None)
        assert [str(name) for name in image.names] == ["app:v1"]
        assert image.repack
        assert image.export is None
        content = image.root.content
        assert isinstance(content, Manifest)
        assert [str(layer.digest) for layer in content.layers] == APP.diff_ids
        config = image.blobs[content.config.digest]
        assert config.fd is not None
        assert os.pread(config.fd, config.size, config.offset) == APP.config


def test_an_engine_that_dies_in_mid_export(looker: Looker, tmp_path: Path) -> None:
    with EngineApiServer(tmp_path / "s", [APP], dies_after=700) as server:
        assert "ended the export early" in trouble(looker, server).why


def test_an_engine_that_writes_its_error_into_the_export(looker: Looker, tmp_path: Path) -> None:
    with EngineApiServer(tmp_path / "s", [APP], fails_after=700) as server:
        assert trouble(looker, server).why == "the engine ended the export early: disk on fire"


@pytest.mark.parametrize("length", [0, 700, 1024])
def test_an_export_without_an_end(length: int, looker: Looker, tmp_path: Path) -> None:
    with EngineApiServer(tmp_path / "s", [APP]) as server:
        server.faults.broken["/images/get"] = (200, APP.archive()[:length])
        assert trouble(looker, server).why == "the engine ended the export early"


def test_an_engine_that_refuses_the_export_is_quoted(looker: Looker, tmp_path: Path) -> None:
    with EngineApiServer(tmp_path / "s", [APP]) as server:
        server.faults.broken["/images/get"] = (500, b'{"message": "no space left."}')
        assert trouble(looker, server).why == "it answers 500: no space left"


def test_an_old_api_is_named(looker: Looker, tmp_path: Path) -> None:
    with EngineApiServer(tmp_path / "s", [APP], version="1.23") as server:
        error = trouble(looker, server)
    assert "speaks version 1.23" in error.why
    assert "1.24 is the oldest" in error.why


@pytest.mark.parametrize(("theirs", "ours"), [("1.24", "/v1.24/"), ("1.99", "/v1.53/")])
def test_the_older_of_two_versions_is_spoken(
    theirs: str, ours: str, looker: Looker, tmp_path: Path
) -> None:
    with (
        EngineApiServer(tmp_path / "s", [APP], version=theirs) as server,
        looker.access(DOCKER_HOST=server.host) as access,
    ):
        find(access)
    assert server.requests == ["/_ping", f"{ours}images/app:v1/json"]


def test_an_engine_without_the_header_is_asked_for_its_version(
    looker: Looker, tmp_path: Path
) -> None:
    with (
        EngineApiServer(tmp_path / "s", [APP], version_in_header=False, version="1.30") as server,
        looker.access(DOCKER_HOST=server.host) as access,
    ):
        find(access)
    assert server.requests == ["/_ping", "/version", "/v1.30/images/app:v1/json"]


@pytest.mark.parametrize(
    ("path", "answer", "why"),
    [
        ("/_ping", (503, b"starting up"), "it answers 503: starting up"),
        ("/images/json", (500, b'{"message":"sick"}'), "it answers 500: sick"),
        ("/images/json", (200, b"<html>"), "its answer is not JSON"),
        ("/images/json", (200, b"{}"), "its list of images is no list"),
    ],
)
def test_an_engine_that_cannot_tell_what_it_has(
    path: str, answer: tuple[int, bytes], why: str, looker: Looker, tmp_path: Path
) -> None:
    with (
        EngineApiServer(tmp_path / "s", [APP]) as server,
        looker.access(DOCKER_HOST=server.host) as access,
    ):
        server.faults.broken[path] = answer
        with pytest.raises(SourceError) as caught:
            detect(access)
    assert caught.value.why == why


def test_a_platform_is_handed_on_to_an_engine_that_knows_them(
    looker: Looker, tmp_path: Path
) -> None:
    with (
        EngineApiServer(tmp_path / "s", [APP], version="1.48") as server,
        looker.access(DOCKER_HOST=server.host) as access,
    ):
        find(access).source(Platform("linux", "amd64"))
    assert "platform=%7B%22os%22%3A+%22linux%22%2C" in server.requests[-1]


def test_another_platform_is_refused_before_anything_is_exported(
    looker: Looker, tmp_path: Path
) -> None:
    with (
        EngineApiServer(tmp_path / "s", [APP]) as server,
        looker.access(DOCKER_HOST=server.host) as access,
    ):
        with pytest.raises(PlatformNotFound) as caught:
            find(access).source(Platform("linux", "arm64"))
        assert caught.value.hint == "there is `linux/amd64`"
        assert not any("/images/get" in path for path in server.requests)


def test_a_platform_that_the_engine_does_not_have_is_its_own_error(
    looker: Looker, tmp_path: Path
) -> None:
    body = b'{"message": "image was found but does not provide the specified platform"}'
    with (
        EngineApiServer(tmp_path / "s", [APP], version="1.48") as server,
        looker.access(DOCKER_HOST=server.host) as access,
    ):
        server.faults.broken["/images/get"] = (404, body)
        with pytest.raises(PlatformNotFound):
            find(access).source(Platform("linux", "arm64"))


def test_a_socket_without_permission_names_the_group(
    looker: Looker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # root may do everything, so the system's answer is made up
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with EngineApiServer(tmp_path / "s", [APP]) as server:
        error = trouble(looker, server)
    assert error.why == "permission denied"
    assert "group" in error.hint


def test_a_path_that_is_no_socket(looker: Looker, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        looker.access(DOCKER_HOST=f"unix://{tmp_path / 'file'}") as access,
        pytest.raises(SourceError) as caught,
    ):
        find(access)
    assert caught.value.why == "it is no socket"


def test_a_socket_at_which_nobody_listens(looker: Looker, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))
    with (
        looker.access(DOCKER_HOST=f"unix://{tmp_path / 's'}") as access,
        pytest.raises(SourceError) as caught,
    ):
        find(access)
    assert "refused" in caught.value.why


def test_a_full_disk_is_told_with_the_way_out(
    looker: Looker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("idpbuilder.source.engines.fetched._LIMIT", 1000)
    with (
        EngineApiServer(tmp_path / "s", [APP]) as server,
        looker.access(DOCKER_HOST=server.host) as access,
    ):
        found = find(access)
        with pytest.raises(LocalError) as caught:
            found.source(None)
    assert "TMPDIR" in caught.value.hint


def test_a_signal_ends_the_search(looker: Looker, tmp_path: Path) -> None:
    def stop() -> None:
        raise Interrupted("stopped by SIGINT", 2)

    looker.check = stop
    with (
        EngineApiServer(tmp_path / "s", [APP]) as server,
        looker.access(DOCKER_HOST=server.host) as access,
        pytest.raises(PushError, match="SIGINT"),
    ):
        find(access)
