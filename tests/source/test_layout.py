"""Layout directories: what is read, and what is found out before anything is sent."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from idpbuilder.errors import ImageInvalid, ImageNotFound, ImageUnreadable
from tests.parts.images import ArtifactSpec, ImageSpec, IndexSpec, Json, Layout, write_layout
from tests.source.opened import blobs_of, content, documents_of, images_of


def rewritten(layout: Layout, change: dict[str, Any]) -> None:
    """Let the only image be its manifest with `change` applied."""
    manifest = {**json.loads(layout.read(layout.image.digest)), **change}
    media_type = str(manifest["mediaType"])
    layout.write_index([layout.put_json(manifest, media_type)])


def layer_of(layout: Layout) -> Json:
    return dict(json.loads(layout.read(layout.image.digest))["layers"][0])


def test_an_image_has_its_manifest_and_a_region_for_config_and_layers(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(layers=(1000, 2000))])
    (image,) = images_of(layout.path)
    assert image.label == str(layout.path)
    assert documents_of(image) == [layout.image.digest]
    assert image.root.data == layout.read(layout.image.digest)
    assert blobs_of(image) == set(layout.image.blobs())
    for digest, region in image.blobs.items():
        assert digest.matches(content(region))


def test_an_index_comes_after_all_its_children(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [IndexSpec(attested=True)])
    (image,) = images_of(layout.path)
    assert documents_of(image) == list(layout.image.documents())
    assert blobs_of(image) == set(layout.image.blobs())


def test_a_nested_index_is_read_whole(tmp_path: Path) -> None:
    inner = IndexSpec([ImageSpec(seed=5)])
    layout = write_layout(tmp_path / "app", [IndexSpec([inner, ImageSpec(seed=6), inner])])
    (image,) = images_of(layout.path)
    assert documents_of(image) == list(dict.fromkeys(layout.image.documents()))
    assert image.root.descriptor.digest == image.documents[-1].descriptor.digest


def test_shared_layers_have_one_region(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(layers=(b"same", b"same", b"other"))])
    (image,) = images_of(layout.path)
    assert len(image.blobs) == 3


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_both_algorithms_are_known(tmp_path: Path, algorithm: str) -> None:
    layout = write_layout(tmp_path / "app", [IndexSpec([ImageSpec(algorithm=algorithm)])])
    (image,) = images_of(layout.path)
    assert blobs_of(image) == set(layout.image.blobs())


def test_docker_media_types_are_kept(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [IndexSpec([ImageSpec(docker=True)], docker=True)])
    (image,) = images_of(layout.path)
    assert image.root.descriptor.media_type == layout.image.descriptor["mediaType"]


def test_foreign_layers_are_left_out(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(foreign=2)])
    (image,) = images_of(layout.path)
    assert blobs_of(image) == set(layout.image.blobs())


def test_an_artifact_is_an_image_too(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [ArtifactSpec()])
    (image,) = images_of(layout.path)
    assert blobs_of(image) == set(layout.image.blobs())


def test_an_image_may_have_no_layers_and_an_empty_one(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(layers=()), ImageSpec(layers=(b"",))])
    none, empty = images_of(layout.path)
    assert len(none.blobs) == 1
    assert min(region.size for region in empty.blobs.values()) == 0


def test_a_blob_may_be_a_link_to_a_regular_file(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    blob = layout.blob(layout.image.layers[0])
    blob.rename(tmp_path / "pool")
    blob.symlink_to(tmp_path / "pool")
    (image,) = images_of(layout.path)
    assert blobs_of(image) == set(layout.image.blobs())


def test_the_subject_of_a_manifest_need_not_be_there(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    subject = {**layout.image.descriptor, "digest": "sha256:" + "0" * 64}
    rewritten(layout, {"subject": subject})
    (image,) = images_of(layout.path)
    assert len(image.documents) == 1


def test_blobs_are_not_hashed(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(layers=(b"right",))])
    layout.blob(layout.image.layers[0]).write_bytes(b"wrong")
    assert len(images_of(layout.path)) == 1


@pytest.mark.parametrize("size", [0, 999, 1001])
def test_a_size_that_lies_is_found_out(tmp_path: Path, size: int) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(layers=(1000,))])
    digest = layout.image.layers[0]
    os.truncate(layout.blob(digest), size)
    with pytest.raises(ImageInvalid, match=f"{digest} has {size} bytes where 1000 are announced"):
        images_of(layout.path)


def test_a_manifest_with_other_content_is_found_out(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    blob = layout.blob(layout.image.digest)
    blob.write_bytes(blob.read_bytes().replace(b'"schemaVersion":2', b'"schemaVersion":3'))
    with pytest.raises(ImageInvalid, match="has another digest"):
        images_of(layout.path)


def test_a_missing_blob_makes_an_image_incomplete(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    layout.blob(layout.image.config).unlink()
    with pytest.raises(ImageInvalid, match=f"incomplete: {layout.image.config} is missing"):
        images_of(layout.path)


@pytest.mark.parametrize("missing", ["manifest", "layer"])
def test_an_incomplete_index_says_which_platforms_are_whole(tmp_path: Path, missing: str) -> None:
    layout = write_layout(tmp_path / "app", [IndexSpec(attested=True)])
    amd64 = layout.image.children[0]
    layout.blob(amd64.digest if missing == "manifest" else amd64.layers[0]).unlink()
    with pytest.raises(ImageInvalid, match="incomplete") as caught:
        images_of(layout.path)
    assert "--platform" in caught.value.hint
    assert "linux/arm64" in caught.value.hint
    assert "linux/amd64" not in caught.value.hint
    assert len(images_of(layout.path, "linux/arm64")) == 1


def test_two_sizes_for_one_blob_are_a_lie(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    layer = layer_of(layout)
    rewritten(layout, {"layers": [layer, {**layer, "size": layer["size"] + 1}]})
    with pytest.raises(ImageInvalid, match="is announced with 1000 and 1001 bytes"):
        images_of(layout.path)


def test_two_sizes_for_one_manifest_are_a_lie(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    one = layout.image.descriptor
    layout.write_index([one, {**one, "size": one["size"] + 1}])
    with pytest.raises(ImageInvalid, match="is announced with"):
        images_of(layout.path)


def test_a_blob_that_is_a_directory_is_refused(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    blob = layout.blob(layout.image.layers[0])
    blob.unlink()
    blob.mkdir()
    with pytest.raises(ImageInvalid, match="is no regular file"):
        images_of(layout.path)


def test_a_blob_that_is_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    blob = layout.blob(layout.image.layers[0])
    blob.unlink()
    os.mkfifo(blob)
    with pytest.raises(ImageInvalid, match="is no regular file"):
        images_of(layout.path)


def test_a_blob_that_links_to_itself_cannot_be_read(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    blob = layout.blob(layout.image.layers[0])
    blob.unlink()
    blob.symlink_to(blob)
    with pytest.raises(ImageUnreadable) as caught:
        images_of(layout.path)
    assert caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_blob_without_permission_is_found_out_at_once(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    layout.blob(layout.image.layers[0]).chmod(0)
    with pytest.raises(ImageUnreadable, match="permission denied"):
        images_of(layout.path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"imageLayoutVersion": 1}',
        '{"imageLayoutVersion": "2.0.0"}',
        '{"imageLayoutVersion": "10.0.0"}',
        "[" * 60_000,
        " " * 70_000,
    ],
)
def test_an_oci_layout_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    layout = write_layout(tmp_path / "app")
    (layout.path / "oci-layout").write_text(text)
    with pytest.raises(ImageInvalid, match="oci-layout"):
        images_of(layout.path)


def test_a_later_version_one_of_the_layout_is_read(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    (layout.path / "oci-layout").write_text('{"imageLayoutVersion": "1.1.0", "more": 1}')
    assert len(images_of(layout.path)) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff",
        b'{"manifests": []}',
        b'{"manifests": 7}',
        b'{"manifests": [null]}',
        b'{"manifests": [{"mediaType": "x", "digest": "sha256:..", "size": 1}]}',
        b'{"config": {}}',
        b"[" * 200_000,
        b'{"manifests": [{"size": NaN}]}',
        b'{"manifests": [{"size": ' + b"9" * 5000 + b"}]}",
        b" " * (4 * 1024 * 1024 + 1),
    ],
)
def test_a_broken_index_file_is_refused(tmp_path: Path, data: bytes) -> None:
    layout = write_layout(tmp_path / "app")
    (layout.path / "index.json").write_bytes(data)
    with pytest.raises(ImageInvalid, match=r"index\.json"):
        images_of(layout.path)


def test_an_index_file_that_is_a_manifest_is_refused(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    (layout.path / "index.json").write_bytes(layout.read(layout.image.digest))
    with pytest.raises(ImageInvalid, match="is a manifest and no index"):
        images_of(layout.path)


def test_a_layout_without_index_file_is_refused(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    (layout.path / "index.json").unlink()
    with pytest.raises(ImageInvalid, match=r"holds no `index\.json`"):
        images_of(layout.path)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/octet-stream",
    ],
)
def test_other_media_types_are_refused(tmp_path: Path, media_type: str) -> None:
    layout = write_layout(tmp_path / "app")
    rewritten(layout, {"mediaType": media_type})
    with pytest.raises(ImageInvalid, match="neither an image manifest nor an index"):
        images_of(layout.path)


def test_a_manifest_that_calls_itself_something_else_is_refused(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    index_type = "application/vnd.oci.image.index.v1+json"
    layout.write_index([{**layout.image.descriptor, "mediaType": index_type}])
    with pytest.raises(ImageInvalid, match="where it is called"):
        images_of(layout.path)


def test_a_manifest_above_four_mebibytes_is_refused(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    rewritten(layout, {"annotations": {"big": "x" * (4 * 1024 * 1024)}})
    with pytest.raises(ImageInvalid, match="more than 4194304 are never read"):
        images_of(layout.path)


def nested(layout: Layout, depth: int) -> None:
    descriptor = layout.image.descriptor
    for _ in range(depth):
        index = {"schemaVersion": 2, "manifests": [descriptor]}
        descriptor = layout.put_json(index, "application/vnd.oci.image.index.v1+json")
    layout.write_index([descriptor])


def test_indexes_nested_eight_deep_are_read(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    nested(layout, 8)
    (image,) = images_of(layout.path)
    assert len(image.documents) == 9
    (chosen,) = images_of(layout.path, "linux/amd64")
    assert documents_of(chosen) == [layout.image.digest]


def test_indexes_nested_deeper_are_refused(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    nested(layout, 9)
    with pytest.raises(ImageInvalid, match="nested more than 8 deep"):
        images_of(layout.path)


def test_an_index_that_contains_itself_has_an_end(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    index_type = "application/vnd.oci.image.index.v1+json"
    digest = "sha256:" + "0" * 64
    loop = {"mediaType": index_type, "digest": digest, "size": 172}
    data = json.dumps({"manifests": [loop]}).encode().ljust(172)
    assert len(data) == 172
    layout.blob(digest).write_bytes(data)
    layout.write_index([loop])
    with pytest.raises(ImageInvalid, match="has another digest"):
        images_of(layout.path)
    with pytest.raises(ImageInvalid, match="has another digest"):
        images_of(layout.path, "linux/amd64")


def test_more_than_ten_thousand_descriptors_are_refused(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    index = {"manifests": [layout.image.descriptor] * 10_001}
    layout.write_index([layout.put_json(index, "application/vnd.oci.image.index.v1+json")])
    with pytest.raises(ImageInvalid, match="more than 10000 descriptors"):
        images_of(layout.path)


def test_a_path_that_does_not_exist_is_an_image_not_found(tmp_path: Path) -> None:
    for text in (tmp_path / "no", f"oci:{tmp_path}/no", f"oci:{tmp_path}/no:v1", "./no", "oci:"):
        with pytest.raises(ImageNotFound, match="no such file or directory"):
            images_of(text)


def test_a_directory_without_layout_is_no_image(tmp_path: Path) -> None:
    for text in (tmp_path, f"oci:{tmp_path}"):
        with pytest.raises(ImageInvalid, match="holds no `oci-layout` file") as caught:
            images_of(text)
        assert "OCI layout directory" in caught.value.hint


def test_oci_wants_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImageInvalid, match="is no directory"):
        images_of(f"oci:{tmp_path}/file")
