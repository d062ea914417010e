"""Which layers are packed on the way, and the documents that name the packed ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from idpbuilder.image import Digest
from idpbuilder.push.repack import PackedLayer, layers_to_pack, packable, rewritten
from idpbuilder.source import SourceImage, open_source
from tests.parts.images import ImageSpec, IndexSpec, Layout, Spec, write_layout

RAW = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": (
        "application/vnd.docker.image.rootfs.diff.tar"
    ),
    "application/vnd.oci.image.layer.v1.tar+gzip": "application/vnd.oci.image.layer.v1.tar",
}


def opened(path: Path, spec: Spec, *, raw: bool = True) -> tuple[Layout, SourceImage]:
    """An image as `docker save` writes it: layers that are no gzip, and say so."""
    layout = write_layout(path / "image", [spec])
    if raw:
        _call_layers_raw(layout)
    with open_source(str(layout.path), None, lambda: None) as (image,):
        return layout, replace(image, repack=raw)


def _call_layers_raw(layout: Layout) -> None:
    index = json.loads((layout.path / "index.json").read_text())
    index["manifests"] = [_raw(layout, entry) for entry in index["manifests"]]
    (layout.path / "index.json").write_text(json.dumps(index))


def _raw(layout: Layout, entry: dict[str, Any]) -> dict[str, Any]:
    value = json.loads(layout.read(entry["digest"]))
    for layer in value.get("layers", ()):
        layer["mediaType"] = RAW.get(layer["mediaType"], layer["mediaType"])
    renamed = {}
    for number, child in enumerate(value.get("manifests", ())):
        value["manifests"][number] = _raw(layout, child)
        renamed[child["digest"]] = value["manifests"][number]["digest"]
    for child in value.get("manifests", ()):
        notes = child.get("annotations", {})
        if "vnd.docker.reference.digest" in notes:
            old = notes["vnd.docker.reference.digest"]
            notes["vnd.docker.reference.digest"] = renamed[old]
    return {**entry, **layout.put_json(value, entry["mediaType"])}


def packed(image: SourceImage, kind: str = "gzip") -> dict[Digest, PackedLayer]:
    return {
        digest: PackedLayer(kind, Digest.of(str(digest).encode()), 7)
        for digest in packable(image, all_layers=False)
    }


def root(image: SourceImage, kind: str = "gzip") -> dict[str, Any]:
    value: dict[str, Any] = json.loads(rewritten(image, packed(image, kind))[-1].data)
    return value


def test_a_plain_layout_is_never_repacked_unless_that_is_asked_for(tmp_path: Path) -> None:
    _, image = opened(tmp_path, ImageSpec(real=True), raw=False)
    assert layers_to_pack(image, all_layers=False) == {}
    layers = layers_to_pack(image, all_layers=True)
    assert [layer.stored for layer in layers.values()] == ["gzip", "gzip"]
    config = json.loads(Path(image.blobs[image.root.content.config.digest].path).read_bytes())  # type: ignore[union-attr]
    assert [str(layer.diff_id) for layer in layers.values()] == config["rootfs"]["diff_ids"]


def test_the_layers_of_docker_save_are_packed_and_what_is_no_layer_is_not(tmp_path: Path) -> None:
    _, image = opened(tmp_path, IndexSpec((ImageSpec(foreign=1),), attested=True))
    layers = layers_to_pack(image, all_layers=False)
    assert len(layers) == 2, "neither the foreign layer nor the attestation's statement"
    assert all(layer.diff_id == digest for digest, layer in layers.items())


@pytest.mark.parametrize(
    ("docker", "kind", "manifest", "layer"),
    [
        (True, "gzip", "docker.distribution.manifest.v2+json", "docker.image.rootfs.diff.tar.gzip"),
        (False, "gzip", "oci.image.manifest.v1+json", "oci.image.layer.v1.tar+gzip"),
        (True, "zstd", "oci.image.manifest.v1+json", "oci.image.layer.v1.tar+zstd"),
        (False, "zstd", "oci.image.manifest.v1+json", "oci.image.layer.v1.tar+zstd"),
        (True, "none", "docker.distribution.manifest.v2+json",
         "docker.image.rootfs.diff.tar"),
    ],
)  # fmt: skip
def test_media_types_follow_the_format(
    docker: bool, kind: str, manifest: str, layer: str, tmp_path: Path
) -> None:
    _, image = opened(tmp_path, ImageSpec(docker=docker))
    value = root(image, kind)
    assert value["mediaType"] == f"application/vnd.{manifest}"
    assert {entry["mediaType"] for entry in value["layers"]} == {f"application/vnd.{layer}"}
    config = value["config"]["mediaType"]
    assert config.startswith("application/vnd." + manifest.partition(".")[0])


def test_a_manifest_names_the_packed_layers_and_keeps_all_else(tmp_path: Path) -> None:
    layout, image = opened(tmp_path, ImageSpec())
    value = root(image)
    layers = list(packed(image).values())
    assert [entry["digest"] for entry in value["layers"]] == [str(one.digest) for one in layers]
    assert [entry["size"] for entry in value["layers"]] == [7, 7]
    assert value["config"]["digest"] == layout.image.config


def test_an_index_and_its_attestations_name_the_new_manifests(tmp_path: Path) -> None:
    _, image = opened(tmp_path, IndexSpec(attested=True))
    documents = rewritten(image, packed(image))
    digests = [str(document.descriptor.digest) for document in documents]
    value = json.loads(documents[-1].data)
    assert [entry["digest"] for entry in value["manifests"]] == digests[:-1]
    assert [entry["size"] for entry in value["manifests"]] == [
        len(document.data) for document in documents[:-1]
    ]
    subjects = [
        entry["annotations"]["vnd.docker.reference.digest"] for entry in value["manifests"][2:]
    ]
    assert subjects == digests[:2]


def test_what_was_said_of_the_old_bytes_goes_with_them(tmp_path: Path) -> None:
    layout, image = opened(tmp_path, ImageSpec())
    value = json.loads(image.root.data)
    kept, stale = "org.example.kept", "io.github.containers.zstd-chunked.manifest-position"
    value["layers"][0] |= {"data": "AAAA", "annotations": {kept: "\ud800", stale: "1:2"}}
    entry = layout.put_json(value, value["mediaType"])
    layout.write_index([entry])
    with open_source(str(layout.path), None, lambda: None) as (image,):
        layer = root(replace(image, repack=True))["layers"][0]
    assert "data" not in layer
    assert layer["annotations"] == {kept: "\ud800"}


def test_what_names_nothing_that_changed_stays_byte_for_byte(tmp_path: Path) -> None:
    _, image = opened(tmp_path, IndexSpec(attested=True))
    documents = rewritten(image, {})
    assert documents == image.documents
    attested = rewritten(image, packed(image))[2:4]
    assert attested == image.documents[2:4]
