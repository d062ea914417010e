"""Images out of `docker save`, packed on their way, against a registry in memory."""

from __future__ import annotations

import gzip
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from idpbuilder.errors import ContentRefused, ImageInvalid
from idpbuilder.image import Digest
from idpbuilder.memory import Packed, open_memory
from idpbuilder.packing.codec import Piece
from idpbuilder.packing.job import Block, PackJob
from idpbuilder.packing.method import Method
from idpbuilder.push.blobs import STREAM_FROM
from idpbuilder.push.result import PushResult
from tests.parts.docker_archives import SHAPES, Saved, digest_of, members_of, save, write_tar
from tests.parts.faults import AnswerAfterBody, Reset
from tests.parts.images import ImageSpec, IndexSpec, compressed, write_layout
from tests.parts.memory_registry import MemoryRegistry
from tests.push.conftest import Pusher

LARGE = STREAM_FROM + 300_000
TWO = Saved(layers=(LARGE, 2000), tags=("app:v1",))


def manifest(registry: MemoryRegistry, repository: str, tag: str = "v1") -> dict[str, Any]:
    value: dict[str, Any] = json.loads(registry.manifest(repository, tag).data)
    return value


def unpacked(registry: MemoryRegistry, repository: str, tag: str = "v1") -> list[bytes]:
    """The layers of a pushed image, as they were before they were packed."""
    blobs = registry.repository(repository).blobs
    layers = [
        blobs[layer["digest"]].data for layer in manifest(registry, repository, tag)["layers"]
    ]
    return [gzip.decompress(data or b"") for data in layers]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_arrives_with_its_config_and_its_layers(
    shape: str, registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar", [TWO], shape)
    result = pusher.push(saved.path, f"{registry.host}/team/app:v1")
    assert unpacked(registry, "team/app") == TWO.raw()
    value = manifest(registry, "team/app")
    assert value["config"]["digest"] == TWO.config
    assert registry.repository("team/app").blobs[TWO.config].data == TWO.config_bytes()
    assert result.root.digest == Digest.parse(registry.manifest("team/app", "v1").digest)
    assert pusher.recorder.layers == ["pushed", "pushed"]


@pytest.fixture
def _packing_waits_for_the_registry(
    registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No layer's second block is packed before the registry was sent some of the first."""
    pack, patience = PackJob.pack, threading.Event()

    def wait_and_pack(self: PackJob, block: Block) -> Piece | None:
        for _ in range(1000 if block.number else 0):
            # what is sent while it is packed has no digest yet to be asked for by
            if any("mount" not in request.query for request in registry.seen("POST")):
                break
            patience.wait(0.01)
        return pack(self, block)

    monkeypatch.setattr(PackJob, "pack", wait_and_pack)


@pytest.mark.usefixtures("_packing_waits_for_the_registry")
def test_a_large_layer_is_sent_while_it_is_packed_and_a_small_one_is_asked_for_first(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar", [TWO])
    pusher.push(saved.path, f"{registry.host}/team/app:v1")
    assert len(registry.seen("PATCH")) == 1
    assert not registry.open_uploads("team/app")


@pytest.mark.usefixtures("_packing_waits_for_the_registry")
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_whatever_breaks_while_it_is_packed_the_layer_arrives_once_it_is(
    method: str, registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    image = Saved(layers=(LARGE,))
    saved = save(tmp_path / "app.tar", [image])
    action = Reset(1000) if method == "PATCH" else AnswerAfterBody(500)
    registry.fault(action, method=method, path="uploads", times=1)
    result = pusher.push(saved.path, f"{registry.host}/team/app:v1", retries=3)
    assert unpacked(registry, "team/app") == image.raw()
    assert isinstance(result, PushResult)
    assert not registry.open_uploads("team/app"), "what was given up is closed"


def test_an_unchanged_image_costs_no_packing_and_one_request(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar", [TWO])
    first = pusher.push(saved.path, f"{registry.host}/team/app:v1")
    registry.requests.clear()
    second = pusher.push(saved.path, f"{registry.host}/team/app:v1")
    assert second.root == first.root
    assert (second.bytes_sent, len(registry.requests)) == (0, 1)
    assert pusher.recorder.manifests == ["pushed", "exists"]


def test_another_tag_of_it_sends_a_manifest_and_no_layer(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar", [TWO])
    pusher.push(saved.path, f"{registry.host}/team/app:v1")
    registry.requests.clear()
    pusher.push(saved.path, f"{registry.host}/team/app:v2")
    assert not registry.seen("PATCH")
    assert [request.path for request in registry.seen("PUT")] == ["/v2/team/app/manifests/v2"]


def test_what_the_memory_knows_is_packed_again_where_the_registry_lost_it(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar", [TWO])
    first = pusher.push(saved.path, f"{registry.host}/team/app:v1")
    with MemoryRegistry() as other:
        second = pusher.push(saved.path, f"{other.host}/team/app:v1")
        assert unpacked(other, "team/app") == TWO.raw()
    assert second.root == first.root


def test_another_repository_of_the_registry_has_it_mounted_unpacked(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = save(tmp_path / "app.tar", [TWO])
    pusher.push(saved.path, f"{registry.host}/team/app:v1")
    monkeypatch.setattr(PackJob, "pack", None)
    result = pusher.push(saved.path, f"{registry.host}/other/app:v1")
    assert [layer.mounted_from for layer in result.layers] == ["team/app", "team/app"]
    assert unpacked(registry, "other/app") == TWO.raw()


@pytest.mark.parametrize("size", [5, 50_000_000])
def test_a_memory_that_is_wrong_costs_time_and_nothing_else(
    size: int, registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar", [TWO])
    wrong = Packed(Digest.of(b"something else"), size)
    with open_memory({"HOME": str(pusher.home)}) as memory:
        for diff_id in TWO.diff_ids:
            memory.remember_packed(Digest.parse(diff_id), Method.choose().name, wrong)
    pusher.push(saved.path, f"{registry.host}/team/app:v1", retries=0)
    assert unpacked(registry, "team/app") == TWO.raw()


def test_one_layer_that_lies_raw_here_and_packed_there_is_two(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    raw = save(tmp_path / "raw.tar", [Saved(layers=(LARGE,), tags=("raw:v1",))])
    members = members_of([Saved(layers=(LARGE,), tags=("packed:v1",))], "kaniko")
    for name, data in members.items():
        if name.endswith(".gz"):
            assert isinstance(data, bytes)
            members[name] = compressed(gzip.decompress(data), "zstd")
    packed = write_tar(tmp_path / "packed.tar", members)
    for images in ((raw.path, packed), (packed, raw.path)):
        with MemoryRegistry() as other:
            pusher.run(*images, registry=f"{other.host}/x", memory=False)
            for repository, magic in (("x/raw", b"\x1f\x8b"), ("x/packed", b"\x28\xb5")):
                (layer,) = manifest(other, repository)["layers"]
                data = other.repository(repository).blobs[layer["digest"]].data
                assert data is not None
                assert data[:2] == magic
                assert layer["mediaType"].endswith("gzip" if magic == b"\x1f\x8b" else "zstd")


def test_a_second_image_with_the_same_layer_packs_nothing_even_without_the_cache(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    one = save(tmp_path / "one.tar", [Saved(layers=(LARGE,), tags=("one:v1",))])
    two = save(tmp_path / "two.tar", [Saved(layers=(LARGE, 500), tags=("two:v1",))])
    pusher.run(one.path, two.path, registry=f"{registry.host}/x", memory=False)
    assert len(registry.seen("PATCH")) <= 1
    assert pusher.recorder.layers.count("mounted") == 1


def test_without_the_cache_nothing_is_remembered(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar", [TWO])
    pusher.push(saved.path, f"{registry.host}/team/app:v1", memory=False, resume=False)
    assert list(pusher.home.rglob("memory.db")) == []
    registry.requests.clear()
    pusher.push(saved.path, f"{registry.host}/team/app:v2", memory=False)
    assert registry.seen("POST"), "what was not remembered is packed, and then asked for"


def test_several_destinations_pack_once(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar", [TWO])
    host = registry.host
    outcomes = pusher.run(saved.path, to=(f"{host}/one/app:v1", f"{host}/two/app:v1"))
    assert [type(outcome) for outcome in outcomes] == [PushResult, PushResult]
    assert pusher.recorder.layers == ["pushed", "mounted", "pushed", "mounted"]


def test_a_layer_that_is_stored_packed_goes_out_as_it_is(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar", [TWO], "kaniko")
    pusher.push(saved.path, f"{registry.host}/team/app:v1")
    members = members_of([TWO], "kaniko")
    stored = {digest_of(data) for name, data in members.items() if name.endswith(".gz")}  # type: ignore[arg-type]
    assert {layer["digest"] for layer in manifest(registry, "team/app")["layers"]} == stored


def test_an_archive_that_lies_about_a_layer_is_found_out_before_its_manifest_goes_out(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    members = members_of([TWO])
    (name,) = (name for name, data in members.items() if len(data) > LARGE)  # type: ignore[arg-type]
    content = members[name]
    assert isinstance(content, bytes)
    members[name] = content[:-5000] + b"x" + content[-4999:]
    archive = write_tar(tmp_path / "bad.tar", members)
    error = pusher.fails(archive, f"{registry.host}/team/app:v1")
    assert isinstance(error, ImageInvalid)
    assert TWO.diff_ids[0] in error.message
    assert registry.tags("team/app") == []


def test_a_digest_destination_is_compared_before_anything_is_sent(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar", [TWO])
    wrong = Digest.of(b"something else")
    error = pusher.fails(saved.path, f"{registry.host}/team/app@{wrong}")
    assert isinstance(error, ImageInvalid)
    assert registry.requests == []
    right = pusher.push(saved.path, f"{registry.host}/team/app:v1").root.digest
    assert pusher.push(saved.path, f"{registry.host}/team/app@{right}").root.digest == right


def test_a_rehearsal_packs_and_sends_nothing(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar", [TWO])
    planned = pusher.push(saved.path, f"{registry.host}/team/app:v1", dry_run=True)
    assert {request.method for request in registry.requests} <= {"HEAD", "GET"}
    assert pusher.recorder.layers == ["would-push", "would-push"]
    pushed = pusher.push(saved.path, f"{registry.host}/team/app:v1")
    assert planned.root == pushed.root


def test_zstd_makes_the_manifest_oci(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(real=True, docker=True)])
    to = f"{registry.host}/team/app:v1"
    pusher.push(layout.path, to, method=Method.choose("zstd"), all_layers=True, verify=True)
    value = manifest(registry, "team/app")
    assert value["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    types = {layer["mediaType"] for layer in value["layers"]}
    assert types == {"application/vnd.oci.image.layer.v1.tar+zstd"}


def test_an_index_is_rewritten_from_its_leaves_to_its_root(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    spec = IndexSpec(
        (ImageSpec(real=True), ImageSpec(real=True, platform="linux/arm64", seed=1)), attested=True
    )
    layout = write_layout(tmp_path / "image", [spec])
    to = f"{registry.host}/team/app:v1"
    pusher.push(layout.path, to, method=Method.choose("gzip", 1), all_layers=True, verify=True)
    index = manifest(registry, "team/app")
    assert len(index["manifests"]) == 4
    for entry in index["manifests"]:
        assert registry.manifest("team/app", entry["digest"]).media_type == entry["mediaType"]


def test_a_registry_that_refuses_the_manifest_leaves_the_tag_as_it_was(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    saved = save(tmp_path / "app.tar", [TWO])
    registry.fault(AnswerAfterBody(400), method="PUT", path="manifests", times=None)
    error = pusher.fails(saved.path, f"{registry.host}/team/app:v1")
    assert isinstance(error, ContentRefused)
    assert registry.tags("team/app") == []
