"""Which manifest `--platform` selects."""

from __future__ import annotations

from pathlib import Path

import pytest

from idpbuilder.errors import ImageInvalid, PlatformNotFound
from tests.parts.images import ArtifactSpec, ImageSpec, IndexSpec, Spec, write_layout
from tests.source.opened import documents_of, images_of


def images(*platforms: str) -> list[ImageSpec]:
    return [ImageSpec(platform=platform, seed=seed) for seed, platform in enumerate(platforms)]


@pytest.mark.parametrize("platforms", [True, False])
@pytest.mark.parametrize("docker", [True, False])
def test_the_platforms_manifest_alone_is_the_root(
    tmp_path: Path, platforms: bool, docker: bool
) -> None:
    spec = IndexSpec(attested=True, platforms=platforms, docker=docker)
    layout = write_layout(tmp_path / "app", [spec])
    (image,) = images_of(layout.path, "linux/arm64/v8")
    assert documents_of(image) == [layout.image.children[1].digest]
    assert {str(digest) for digest in image.blobs} == set(layout.image.children[1].blobs())


@pytest.mark.parametrize(
    ("there", "asked", "number"),
    [
        (("linux/arm/v6", "linux/arm/v7"), "linux/arm", 1),
        (("linux/arm/v7", "linux/arm/v6"), "linux/arm/v6", 1),
        (("linux/amd64", "linux/amd64"), "linux/amd64", 0),
        (("linux/amd64/v3", "linux/amd64"), "linux/amd64", 1),
        (("windows/amd64", "linux/amd64"), "linux/amd64", 1),
        (("linux/aarch64", "linux/amd64"), "linux/arm64", 0),
    ],
)
def test_the_best_offer_wins_and_the_first_among_equals(
    tmp_path: Path, there: tuple[str, ...], asked: str, number: int
) -> None:
    layout = write_layout(tmp_path / "app", [IndexSpec(images(*there))])
    (image,) = images_of(layout.path, asked)
    assert documents_of(image) == [layout.image.children[number].digest]


def test_a_nested_index_is_searched(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [IndexSpec([IndexSpec(), ArtifactSpec()])])
    (image,) = images_of(layout.path, "linux/arm64")
    assert documents_of(image) == [layout.image.children[0].children[1].digest]


def test_an_index_that_is_named_over_and_over_is_searched_once(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    descriptor = layout.image.descriptor
    for _ in range(8):
        index = {"schemaVersion": 2, "manifests": [descriptor] * 1000}
        descriptor = layout.put_json(index, "application/vnd.oci.image.index.v1+json")
    layout.write_index([descriptor])
    (image,) = images_of(layout.path, "linux/amd64")
    assert documents_of(image) == [layout.image.digest]


def test_no_such_platform_lists_what_there_is(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [IndexSpec(attested=True)])
    with pytest.raises(PlatformNotFound, match="no image for `linux/s390x`") as caught:
        images_of(layout.path, "linux/s390x")
    assert caught.value.hint == "there is `linux/amd64`, `linux/arm64`"


def test_an_attestation_is_never_chosen(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [IndexSpec(attested=True)])
    with pytest.raises(PlatformNotFound):
        images_of(layout.path, "unknown/unknown")


def test_a_single_image_must_be_of_the_platform(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", images("linux/arm64"))
    (image,) = images_of(layout.path, "linux/arm64")
    assert documents_of(image) == [layout.image.digest]
    with pytest.raises(PlatformNotFound) as caught:
        images_of(layout.path, "linux/amd64")
    assert caught.value.hint == "there is `linux/arm64`"


@pytest.mark.parametrize("spec", [ArtifactSpec(), ImageSpec(platform=None)])
def test_what_names_no_platform_has_none(tmp_path: Path, spec: ArtifactSpec | ImageSpec) -> None:
    layout = write_layout(tmp_path / "app", [spec])
    with pytest.raises(PlatformNotFound) as caught:
        images_of(layout.path, "linux/amd64")
    assert caught.value.hint == "it names no platform"


@pytest.mark.parametrize("platforms", [True, False])
def test_other_platforms_may_be_missing(tmp_path: Path, platforms: bool) -> None:
    layout = write_layout(tmp_path / "app", [IndexSpec(platforms=platforms)])
    layout.blob(layout.image.children[0].digest).unlink()
    (image,) = images_of(layout.path, "linux/arm64")
    assert documents_of(image) == [layout.image.children[1].digest]


def test_the_chosen_platform_must_be_whole(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [IndexSpec()])
    layout.blob(layout.image.children[1].layers[0]).unlink()
    with pytest.raises(ImageInvalid, match="incomplete"):
        images_of(layout.path, "linux/arm64")


def test_images_without_names_are_one_images_platforms(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", images("linux/arm/v6", "linux/arm/v7", "linux/amd64"))
    (image,) = images_of(layout.path, "linux/arm")
    assert documents_of(image) == [layout.images[1].digest]
    assert image.label == str(layout.path)
    with pytest.raises(PlatformNotFound) as caught:
        images_of(layout.path, "linux/arm64")
    assert caught.value.hint == "there is `linux/amd64`, `linux/arm/v6`, `linux/arm/v7`"


def test_of_several_named_images_each_must_have_the_platform(tmp_path: Path) -> None:
    specs: list[Spec] = [IndexSpec(ref="app:v1"), ImageSpec(ref="db:v1", seed=7)]
    layout = write_layout(tmp_path / "app", specs)
    app, db = images_of(layout.path, "linux/amd64")
    assert (app.label, db.label) == ("app:v1", "db:v1")
    with pytest.raises(PlatformNotFound):
        images_of(layout.path, "linux/arm64")


def test_a_config_above_eight_mebibytes_is_never_read(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    config = layout.put_json("x" * (8 * 1024 * 1024), "application/vnd.oci.image.config.v1+json")
    manifest_type = layout.image.descriptor["mediaType"]
    manifest = {"schemaVersion": 2, "config": config, "layers": []}
    layout.write_index([layout.put_json(manifest, manifest_type)])
    assert len(images_of(layout.path)) == 1
    with pytest.raises(PlatformNotFound):
        images_of(layout.path, "linux/amd64")


def test_a_nested_index_that_is_missing_is_passed_over(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [IndexSpec([IndexSpec([]), ImageSpec()])])
    layout.blob(layout.image.children[0].digest).unlink()
    (image,) = images_of(layout.path, "linux/amd64")
    assert documents_of(image) == [layout.image.children[1].digest]


def test_a_config_that_is_no_json_names_no_platform(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    config = {
        "mediaType": "application/vnd.example.config",
        "digest": layout.put(b"key = value"),
        "size": 11,
    }
    manifest = {"schemaVersion": 2, "config": config, "layers": []}
    layout.write_index([layout.put_json(manifest, layout.image.descriptor["mediaType"])])
    with pytest.raises(PlatformNotFound):
        images_of(layout.path, "linux/amd64")


def test_a_nameless_image_of_another_platform_is_left_out_beside_named_ones(
    tmp_path: Path,
) -> None:
    specs = [ImageSpec(ref="app:v1"), ImageSpec(platform="linux/arm64", seed=1)]
    layout = write_layout(tmp_path / "app", specs)
    (image,) = images_of(layout.path, "linux/amd64")
    assert [str(name) for name in image.names] == ["app:v1"]
