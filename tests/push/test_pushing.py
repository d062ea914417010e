"""Whole pushes into a registry in memory, over the real engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from idpbuilder.errors import ImageInvalid, UsageError
from idpbuilder.image import Digest
from idpbuilder.push.result import PushFailure, PushResult
from tests.parts.images import (
    ArtifactSpec,
    ImageSpec,
    IndexSpec,
    Layout,
    Spec,
    write_archive,
    write_layout,
)
from tests.parts.manners import ARTIFACTORY, GITEA, QUAY, ZOT, Manners
from tests.parts.memory_registry import MemoryRegistry
from tests.push.conftest import Pusher


def holds(registry: MemoryRegistry, repository: str, layout: Layout, tag: str = "v1") -> bool:
    """Whether `repository` has the layout's one image under `tag`, whole and to the byte."""
    stored = registry.repository(repository)
    image = layout.image
    below = [digest for digest in image.documents() if digest != image.digest]
    return (
        registry.manifest(repository, tag).data == layout.read(image.digest)
        and all(stored.manifests[digest].data == layout.read(digest) for digest in below)
        and all(stored.blobs[digest].data == layout.read(digest) for digest in image.blobs())
    )


@pytest.mark.parametrize(
    "spec",
    [
        ImageSpec(),
        ImageSpec(layers=()),
        ImageSpec(layers=(b"", 5, 70_000), docker=True),
        ImageSpec(algorithm="sha512"),
        ImageSpec(layers=(10,), foreign=2),
        IndexSpec(attested=True),
        IndexSpec(docker=True),
        IndexSpec((IndexSpec(), ImageSpec(seed=9))),
        ArtifactSpec(),
    ],
    ids=str,
)
def test_what_is_pushed_is_there_to_the_byte(
    spec: Spec, registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [spec])
    result = pusher.push(layout.path, f"{registry.host}/team/app:v1")
    assert holds(registry, "team/app", layout)
    assert str(result.root.digest) == layout.image.digest
    assert set(pusher.recorder.layers) <= {"pushed"}
    assert pusher.recorder.manifests == ["pushed"]
    assert registry.open_uploads("team/app") == 0


@pytest.mark.parametrize("compress", [None, "gzip", "zstd"])
def test_an_archive_is_pushed_as_its_layout_would_be(
    compress: str | None, registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [IndexSpec()])
    archive = write_archive(tmp_path / "image.tar", layout, compress, prefix="./")
    pusher.push(archive, f"{registry.host}/team/app:v1")
    assert holds(registry, "team/app", layout)


@pytest.mark.parametrize(
    "manners",
    [
        *(ARTIFACTORY, GITEA, QUAY, ZOT),
        *(Manners(mount=mount) for mount in ("always-202", "400", "403", "405")),
        Manners(location="{scheme}://{host}/v2/{repo}/blobs/uploads/{id}"),
        Manners(location="/v2/{repo}/blobs/uploads/{id}?_state={state}"),
        Manners(location="{scheme}://{other_host}/storage/{id}?signature={state}"),
        *(Manners(blob_put_status=status) for status in (200, 202, 204)),
        *(Manners(head_status=status) for status in (403, 405)),
        Manners(content_digest="absent"),
    ],
    ids=str,
)
def test_a_registrys_manners_do_not_matter(
    manners: Manners, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [IndexSpec()])
    with MemoryRegistry(manners) as registry:
        if "other_host" in manners.location:
            registry.manners = Manners(location=manners.location, sessions_need_auth=False)
        pusher.push(layout.path, f"{registry.host}/team/app:v1")
        assert holds(registry, "team/app", layout)


def test_a_tag_that_is_there_ends_the_push_after_one_request(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [IndexSpec()])
    pusher.push(layout.path, f"{registry.host}/team/app:v1")
    before = len(registry.requests)
    result = pusher.push(layout.path, f"{registry.host}/team/app:v1")
    assert [request.method for request in registry.requests[before:]] == ["HEAD"]
    assert {layer.status.value for layer in result.layers} == {"exists"}
    assert (result.bytes_sent, result.requests) == (0, 2), "one of them asked for TLS"
    assert pusher.recorder.manifests == ["pushed", "exists"]


def test_blobs_that_are_there_are_not_sent_under_another_tag(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    old = write_layout(tmp_path / "old", [ImageSpec(layers=(b"a" * 9000, b"b" * 9000))])
    new = write_layout(tmp_path / "new", [ImageSpec(layers=(b"a" * 9000, b"c" * 9000))])
    pusher.push(old.path, f"{registry.host}/team/app:v1")
    result = pusher.push(new.path, f"{registry.host}/team/app:v2")
    assert [layer.status.value for layer in result.layers] == ["exists", "pushed"]
    assert result.bytes_sent < 9000 + 2000


def test_a_digest_is_sent_once_to_a_repository_however_many_destinations_it_has(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(layers=(5000, 6000))])
    to = [f"{registry.host}/team/app:{tag}" for tag in ("v1", "v2", "latest")]
    outcomes = pusher.run(layout.path, to=to)
    assert all(isinstance(outcome, PushResult) for outcome in outcomes)
    assert registry.tags("team/app") == ["latest", "v1", "v2"]
    assert len(registry.seen("PUT", "/blobs/")) == 3


def test_another_repository_of_the_registry_is_mounted_from(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(layers=(5000, 6000))])
    to = [f"{registry.host}/team/base:v1", f"{registry.host}/team/app:v1"]
    _, second = pusher.run(layout.path, to=to)
    assert isinstance(second, PushResult)
    assert {layer.status.value for layer in second.layers} == {"mounted"}
    assert {layer.mounted_from for layer in second.layers} == {"team/base"}
    assert holds(registry, "team/app", layout)


def test_a_mount_that_does_not_work_costs_no_more_than_the_blobs(
    pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(layers=(5000, 6000))])
    with MemoryRegistry(Manners(mount="405")) as registry:
        to = [f"{registry.host}/team/base:v1", f"{registry.host}/team/app:v1"]
        _, second = pusher.run(layout.path, to=to, jobs=1)
        assert isinstance(second, PushResult)
        assert {layer.status.value for layer in second.layers} == {"pushed"}
        assert len(registry.seen("POST", "app/blobs")) == 1 + 3


def test_manifests_go_after_blobs_indexes_after_manifests_and_the_tag_last(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [IndexSpec((IndexSpec(), ImageSpec(seed=9)))])
    pusher.push(layout.path, f"{registry.host}/team/app:v1")
    puts = [request.path for request in registry.seen("PUT")]
    manifests = [path for path in puts if "/manifests/" in path]
    assert puts[-len(manifests) :] == manifests
    inner = layout.image.children[0]
    assert puts[-2].endswith(inner.digest)
    assert puts[-1].endswith("/v1")


def test_a_digest_as_destination_is_put_under_itself(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image")
    digest = layout.image.digest
    pusher.push(layout.path, f"{registry.host}/team/app@{digest}")
    assert holds(registry, "team/app", layout, tag=digest)
    assert registry.tags("team/app") == []


def test_another_digest_as_destination_is_refused_before_anything_is_sent(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image")
    other = Digest.of(b"another")
    error = pusher.fails(layout.path, f"{registry.host}/team/app@{other}")
    assert isinstance(error, ImageInvalid)
    assert registry.requests == []


@pytest.mark.parametrize("native", [True, False])
def test_a_manifest_with_a_subject_is_listed_among_its_referrers(
    native: bool, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [ArtifactSpec()])
    manifest = json.loads(layout.read(layout.image.digest))
    subject = {"mediaType": manifest["mediaType"], "digest": str(Digest.of(b"s")), "size": 1}
    layout.write_index([layout.put_json({**manifest, "subject": subject}, manifest["mediaType"])])
    with MemoryRegistry(Manners(subject=native, referrers=native)) as registry:
        result = pusher.push(layout.path, f"{registry.host}/team/app:v1")
        fallback = str(Digest.of(b"s")).replace(":", "-")
        if native:
            assert fallback not in registry.tags("team/app")
        else:
            listed = json.loads(registry.manifest("team/app", fallback).data)
            (entry,) = listed["manifests"]
            assert entry["digest"] == str(result.root.digest)
            assert entry["artifactType"] == manifest["artifactType"]


def test_a_dry_run_asks_and_changes_nothing(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(layers=(b"there", 4000))])
    registry.add_blob("team/app", b"there")
    result = pusher.push(layout.path, f"{registry.host}/team/app:v1", dry_run=True)
    assert [layer.status.value for layer in result.layers] == ["exists", "would-push"]
    assert {request.method for request in registry.requests} == {"HEAD"}
    assert result.dry_run
    assert result.bytes_sent == 0


def test_verify_reads_the_manifest_and_asks_for_every_blob(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [IndexSpec()])
    pusher.push(layout.path, f"{registry.host}/team/app:v1", verify=True)
    asked = {request.path.rpartition("/")[2] for request in registry.seen("HEAD", "/blobs/")}
    assert set(layout.image.blobs()) <= asked
    assert registry.seen("GET", "/manifests/v1")


def test_verify_finds_out_a_registry_that_lost_a_blob(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image")
    pusher.push(layout.path, f"{registry.host}/team/app:v1")
    del registry.repository("team/app").blobs[layout.image.layers[0]]
    error = pusher.fails(layout.path, f"{registry.host}/team/app:v1", verify=True)
    assert layout.image.layers[0] in error.message


def test_several_images_of_a_layout_go_under_their_own_names(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    specs = [
        ImageSpec(seed=number, name=f"docker.io/library/app{number}:v{number}")
        for number in range(3)
    ]
    layout = write_layout(tmp_path / "image", specs)
    outcomes = pusher.run(layout.path, registry=f"{registry.host}/ns")
    assert all(isinstance(outcome, PushResult) for outcome in outcomes)
    for number in range(3):
        stored = registry.manifest(f"ns/app{number}", f"v{number}")
        assert stored.digest == layout.images[number].digest


def test_to_with_several_images_is_refused_before_anything_is_sent(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    one, two = write_layout(tmp_path / "one"), write_layout(tmp_path / "two")
    (outcome,) = pusher.run(one.path, two.path, to=f"{registry.host}/team/app:v1")
    assert isinstance(outcome, PushFailure)
    assert isinstance(outcome.error, UsageError)
    assert registry.requests == []


def test_a_source_that_is_missing_stops_all_before_anything_is_sent(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "one", [ImageSpec(name="example.com/team/app:v1")])
    outcomes = pusher.run(layout.path, tmp_path / "missing", registry=registry.host)
    assert [type(outcome) for outcome in outcomes] == [PushFailure]
    assert registry.requests == []


def test_as_many_blobs_move_at_once_as_jobs_allow(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(layers=[300] * 1 + list(range(301, 330)))])
    pusher.push(layout.path, f"{registry.host}/team/app:v1", jobs=3)
    assert holds(registry, "team/app", layout)
    assert registry.most_at_once <= 3


def test_progress_never_runs_backwards_and_ends_whole(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(layers=(3_000_000, 2_000_000))])
    pusher.push(layout.path, f"{registry.host}/team/app:v1", limit_rate=20_000_000)
    told = [progress.pushes[1].sent for progress in pusher.recorder.progresses if progress.pushes]
    assert len(told) > 2
    for layer in range(2):
        sent = [each[layer] for each in told]
        assert sent == sorted(sent)
    assert 0 < max(sum(each) for each in told) <= 5_000_000


def test_the_result_counts_what_the_push_cost(
    registry: MemoryRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "image", [ImageSpec(layers=(3000, 2000))])
    result = pusher.push(layout.path, f"{registry.host}/team/app:v1")
    assert result.requests == len(registry.requests) + 1, "the first one asked for TLS"
    assert result.bytes_sent == sum(request.body_length for request in registry.requests)
    assert result.size == result.bytes_sent
    assert result.retries == 0
    assert result.platforms == ("linux/amd64",)
