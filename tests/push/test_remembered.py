"""Archives that were pushed before, against a registry in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from idpbuilder.errors import ImageInvalid
from idpbuilder.packing.method import Method
from idpbuilder.push.events import Event, LayerEnded
from tests.parts.docker_archives import SHAPES, Saved, save
from tests.parts.faults import AnswerAfterBody
from tests.parts.images import ArtifactSpec, ImageSpec, IndexSpec, Spec, write_archive, write_layout
from tests.parts.memory_registry import MemoryRegistry
from tests.push.conftest import Pusher
from tests.push.test_pushing import holds
from tests.push.test_saved import TWO, unpacked

Forbid = Callable[[], None]


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> Forbid:
    """From when it is called on, no archive may be read or unpacked, and no layer packed."""

    def forbid() -> None:
        monkeypatch.setattr("idpbuilder.source.remembered.open_archive", None)
        monkeypatch.setattr("idpbuilder.packing.packer.Packer.pack", None)

    return forbid


def lose_layers(registry: MemoryRegistry, repository: str) -> None:
    registry.repository(repository).blobs.clear()


@pytest.mark.parametrize("compress", [None, "gzip", "zstd"])
@pytest.mark.parametrize("spec", [ImageSpec(foreign=1), IndexSpec(attested=True), ArtifactSpec()])
def test_an_unchanged_archive_goes_under_another_tag_without_being_read(
    spec: Spec,
    compress: str | None,
    registry: MemoryRegistry,
    pusher: Pusher,
    no_reading: Forbid,
    tmp_path: Path,
) -> None:
    layout = write_layout(tmp_path / "layout", [spec])
    archive = write_archive(tmp_path / "app.tar", layout, compress)
    first = pusher.push(archive, f"{registry.host}/team/app:v1")
    registry.requests.clear()
    no_reading()
    second = pusher.push(archive, f"{registry.host}/team/app:v2", verify=True)
    assert holds(registry, "team/app", layout, "v2")
    assert (second.root, second.size, second.platforms) == (first.root, first.size, first.platforms)
    assert [request.path for request in registry.seen("PUT")] == ["/v2/team/app/manifests/v2"]


@pytest.mark.parametrize("compress", [None, "gzip", "zstd"])
@pytest.mark.parametrize("shape", SHAPES)
def test_an_unchanged_archive_of_docker_save_is_neither_read_nor_packed_again(
    shape: str,
    compress: str | None,
    registry: MemoryRegistry,
    pusher: Pusher,
    no_reading: Forbid,
    tmp_path: Path,
) -> None:
    saved = save(tmp_path / "app.tar", [TWO], shape, compress)
    first = pusher.push(saved.path, f"{registry.host}/team/app:v1")
    no_reading()
    again = pusher.push(saved.path, f"{registry.host}/team/app:v1")
    other = pusher.push(saved.path, f"{registry.host}/team/app:v2")
    by_digest = f"{registry.host}/team/app@{first.root.digest}"
    assert pusher.push(saved.path, by_digest).root == first.root
    assert again.root == other.root == first.root
    assert unpacked(registry, "team/app", "v2") == TWO.raw()


@pytest.mark.parametrize("docker", [False, True])
def test_a_layer_that_the_registry_lost_has_the_archive_unpacked(
    docker: bool, registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    archive = tmp_path / "app.tar.gz"
    if docker:
        save(archive, [TWO], compress="gzip")
    else:
        write_archive(archive, write_layout(tmp_path / "layout", [ImageSpec()]), "gzip")
    first = pusher.push(archive, f"{registry.host}/team/app:v1")
    kept = dict(registry.repository("team/app").blobs)
    lose_layers(registry, "team/app")
    second = pusher.push(archive, f"{registry.host}/team/app:v2")
    assert "is known" in pusher.recorder.notes
    assert second.root == first.root
    assert registry.repository("team/app").blobs == kept


def test_a_layer_that_is_lost_before_the_manifest_comes_has_the_archive_unpacked(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "layout", [ImageSpec()])
    archive = write_archive(tmp_path / "app.tar.gz", layout, "gzip")
    pusher.push(archive, f"{registry.host}/team/app:v1")

    def lose(event: Event) -> None:
        if isinstance(event, LayerEnded):
            registry.repository("team/app").blobs.pop(layout.image.layers[0], None)
            pusher.recorder.on_event = lambda event: None

    pusher.recorder.on_event = lose
    pusher.push(archive, f"{registry.host}/team/app:v2")
    assert holds(registry, "team/app", layout, "v2")


def test_several_destinations_unpack_once(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from idpbuilder.source import remembered

    layout = write_layout(tmp_path / "layout", [ImageSpec()])
    archive = write_archive(tmp_path / "app.tar.gz", layout, "gzip")
    pusher.push(archive, f"{registry.host}/team/app:v1")
    opened: list[str] = []
    really = remembered.open_archive

    def counted(path: str, *others: Callable[[], None]) -> Any:
        opened.append(path)
        return really(path, *others)

    monkeypatch.setattr(remembered, "open_archive", counted)
    with MemoryRegistry() as other:
        places = (f"{other.host}/one/app:v1", f"{other.host}/two/app:v1")
        pusher.run(archive, to=places)
        assert holds(other, "one/app", layout)
        assert holds(other, "two/app", layout)
    assert opened == [str(archive)]


def test_a_dry_run_tells_what_would_be_sent_without_unpacking(
    registry: MemoryRegistry, pusher: Pusher, no_reading: Forbid, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar.gz", [TWO], compress="gzip")
    first = pusher.push(saved.path, f"{registry.host}/team/app:v1")
    no_reading()
    pusher.recorder.events.clear()
    with MemoryRegistry() as other:
        result = pusher.push(saved.path, f"{other.host}/team/app:v1", dry_run=True)
    assert pusher.recorder.layers == ["would-push", "would-push"]
    assert (result.root, result.size) == (first.root, first.size)


def test_a_dry_run_remembers_nothing(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar.gz", [TWO], compress="gzip")
    pusher.push(saved.path, f"{registry.host}/team/app:v1", dry_run=True)
    pusher.push(saved.path, f"{registry.host}/team/app:v1")
    assert "is known" not in pusher.recorder.notes


def test_a_digest_that_the_known_archive_has_not_is_refused(
    registry: MemoryRegistry, pusher: Pusher, no_reading: Forbid, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar.gz", [TWO], compress="gzip")
    pusher.push(saved.path, f"{registry.host}/team/app:v1")
    no_reading()
    wrong = f"{registry.host}/team/app@sha256:{'0' * 64}"
    assert isinstance(pusher.fails(saved.path, wrong), ImageInvalid)


def test_packed_layers_that_are_packed_anew_are_so_once(
    registry: MemoryRegistry, pusher: Pusher, no_reading: Forbid, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "layout", [ImageSpec(real=True)])
    archive = write_archive(tmp_path / "app.tar.gz", layout, "gzip")
    pusher.push(archive, f"{registry.host}/team/app:v1")
    anew: dict[str, Any] = {"method": Method.choose("zstd"), "all_layers": True}
    first = pusher.push(archive, f"{registry.host}/team/app:v2", **anew)
    assert "is known" in pusher.recorder.notes
    no_reading()
    second = pusher.push(archive, f"{registry.host}/team/app:v3", **anew)
    assert second.root == first.root
    assert b"tar+zstd" in registry.manifest("team/app", "v3").data


def test_without_the_cache_an_archive_is_neither_remembered_nor_recalled(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar.gz", [TWO], compress="gzip")
    pusher.push(saved.path, f"{registry.host}/team/app:v1", memory=False, resume=False)
    assert list(pusher.home.rglob("memory.db")) == []
    pusher.push(saved.path, f"{registry.host}/team/app:v1")
    pusher.push(saved.path, f"{registry.host}/team/app:v1", memory=False)
    assert "is known" not in pusher.recorder.notes


def test_a_push_that_fails_leaves_no_table(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "layout", [ImageSpec()])
    archive = write_archive(tmp_path / "app.tar.gz", layout, "gzip")
    registry.fault(AnswerAfterBody(403), method="PUT", path="manifests")
    pusher.fails(archive, f"{registry.host}/team/app:v1")
    pusher.push(archive, f"{registry.host}/team/app:v1")
    assert "is known" not in pusher.recorder.notes


@pytest.mark.parametrize("compress", [None, "gzip"])
def test_an_archive_that_was_made_anew_is_pushed_as_it_is_now(
    compress: str | None, registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    save(tmp_path / "app.tar", [TWO], compress=compress)
    pusher.push(tmp_path / "app.tar", f"{registry.host}/team/app:v1")
    new = Saved(layers=TWO.layers, tags=TWO.tags, seed=7)
    save(tmp_path / "app.tar", [new], compress=compress)
    pusher.push(tmp_path / "app.tar", f"{registry.host}/team/app:v1")
    assert unpacked(registry, "team/app") == new.raw()


def test_every_image_of_a_known_archive_goes_where_its_name_says(
    registry: MemoryRegistry, pusher: Pusher, no_reading: Forbid, tmp_path: Path
) -> None:
    images = [Saved(tags=("a:v1", "a:v2")), Saved(tags=("b:v1",), seed=1)]
    saved = save(tmp_path / "app.tar.gz", images, compress="gzip")
    first = pusher.run(saved.path, registry=f"{registry.host}/team")
    no_reading()
    second = pusher.run(saved.path, registry=f"{registry.host}/team")
    assert [str(one.reference) for one in second] == [str(one.reference) for one in first]
    assert len(second) == 3
    assert unpacked(registry, "team/b") == images[1].raw()


def test_a_config_too_large_to_be_kept_costs_reading_the_archive_again(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("idpbuilder.push.repack.CONFIG_LIMIT", 10)
    layout = write_layout(tmp_path / "layout", [ImageSpec()])
    archive = write_archive(tmp_path / "app.tar.gz", layout, "gzip")
    pusher.push(archive, f"{registry.host}/team/app:v1")
    pusher.push(archive, f"{registry.host}/team/app:v2")
    assert "is known" not in pusher.recorder.notes
    assert holds(registry, "team/app", layout, "v2")
