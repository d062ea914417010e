"""What the images of a source are called, and which of them REF picks."""

from __future__ import annotations

from pathlib import Path

import pytest

from idpbuilder.errors import ImageInvalid, ImageNotFound
from tests.parts.images import (
    CONTAINERD_NAME,
    REF_NAME,
    REFERENCE_TYPE,
    ImageSpec,
    IndexSpec,
    write_layout,
)
from tests.source.opened import documents_of, images_of


def named(tmp_path: Path, name: str = "", ref: str = "") -> tuple[list[str], str]:
    layout = write_layout(tmp_path / "app", [ImageSpec(name=name, ref=ref)])
    (image,) = images_of(layout.path)
    return [str(reference) for reference in image.names], image.tag


@pytest.mark.parametrize(
    ("name", "ref", "full"),
    [
        ("docker.io/library/app:v1", "v1", "docker.io/library/app:v1"),
        ("docker.io/library/app:v1", "", "docker.io/library/app:v1"),
        ("h.example:5000/app:v1", "other:v2", "h.example:5000/app:v1"),
        ("", "app:v1", "app:v1"),
        ("", "localhost/app:v1", "localhost/app:v1"),
        ("", "h.example/app", "h.example/app:latest"),
        ("docker.io/library/app", "v7", "docker.io/library/app:v7"),
        ("docker.io/library/app", "", "docker.io/library/app:latest"),
        ("h.example/app:v1@sha256:" + "0" * 64, "", "h.example/app:v1"),
    ],
)
def test_an_image_has_the_name_of_its_annotations(
    tmp_path: Path, name: str, ref: str, full: str
) -> None:
    assert named(tmp_path, name, ref) == ([full], "")


def test_a_ref_name_without_colon_or_slash_is_a_tag_and_no_name(tmp_path: Path) -> None:
    assert named(tmp_path, ref="v1") == ([], "v1")


@pytest.mark.parametrize(
    ("name", "ref"),
    [
        ("", ""),
        ("", "Not A:Name"),
        ("", "1.0+build"),
        ("", "/"),
        ("NO NAME", "v1"),
        ("h.example/app@sha256:" + "0" * 64, ""),
    ],
)
def test_what_names_nothing_is_ignored(tmp_path: Path, name: str, ref: str) -> None:
    assert named(tmp_path, name, ref) == ([], "")


def test_entries_of_one_digest_are_one_image_with_several_names(tmp_path: Path) -> None:
    layout = write_layout(
        tmp_path / "app",
        [ImageSpec(ref="app:v1"), ImageSpec(ref="app:v2"), ImageSpec(ref="app:v1")],
    )
    (image,) = images_of(layout.path)
    assert [str(name) for name in image.names] == ["app:v1", "app:v2"]
    assert image.label == str(layout.path)


def test_several_images_have_labels_of_their_own(tmp_path: Path) -> None:
    specs = [ImageSpec(ref="app:v1"), ImageSpec(ref="v2", seed=2), ImageSpec(seed=3)]
    layout = write_layout(tmp_path / "app", specs)
    labels = [image.label for image in images_of(layout.path)]
    digest = layout.images[2].digest
    assert labels == ["app:v1", f"{layout.path}:v2", f"{layout.path}@{digest}"]


def test_an_attestation_beside_its_image_is_no_image(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(), ImageSpec(seed=2)])
    image, other = (built.descriptor for built in layout.images)
    notes = {REFERENCE_TYPE: "attestation-manifest"}
    layout.write_index([image, {**other, "annotations": notes}])
    (found,) = images_of(layout.path)
    assert str(found.root.descriptor.digest) == image["digest"]


def test_attestations_alone_are_no_image(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    notes = {REFERENCE_TYPE: "attestation-manifest"}
    layout.write_index([{**layout.image.descriptor, "annotations": notes}])
    with pytest.raises(ImageInvalid, match="lists no image"):
        images_of(layout.path)


@pytest.mark.parametrize(
    ("ref", "number"),
    [
        ("v1", 0),
        ("registry.example.com:5000/team/app:v2", 1),
        ("v2", 1),
        ("docker.io/library/db:v3", 2),
        ("3", 2),
        ("v3", 2),
    ],
)
def test_ref_picks_an_image_by_name_or_tag(tmp_path: Path, ref: str, number: int) -> None:
    layout = write_layout(
        tmp_path / "app",
        [
            ImageSpec(ref="v1"),
            ImageSpec(ref="registry.example.com:5000/team/app:v2", seed=1),
            ImageSpec(name="docker.io/library/db:v3", ref="3", seed=2),
        ],
    )
    (image,) = images_of(f"oci:{layout.path}:{ref}")
    assert documents_of(image) == [layout.images[number].digest]
    assert image.label == f"oci:{layout.path}:{ref}"


def test_ref_leaves_the_other_names_of_its_image_out(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(ref="app:v1"), ImageSpec(ref="app:v2")])
    (image,) = images_of(f"oci:{layout.path}:app:v2")
    assert [str(name) for name in image.names] == ["app:v2"]


def test_an_exact_ref_comes_before_the_tag_of_another_name(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(ref="app:v1"), ImageSpec(ref="v1", seed=1)])
    (image,) = images_of(f"oci:{layout.path}:v1")
    assert documents_of(image) == [layout.images[1].digest]


def test_a_ref_that_nothing_has_lists_what_there_is(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(ref="app:v1"), ImageSpec(ref="v2", seed=1)])
    with pytest.raises(ImageNotFound, match="no image `v3`") as caught:
        images_of(f"oci:{layout.path}:v3")
    assert caught.value.hint == "there is `app:v1`, `v2`"


def test_a_ref_where_nothing_has_a_name_says_so(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    with pytest.raises(ImageNotFound) as caught:
        images_of(f"oci:{layout.path}:v3")
    assert caught.value.hint == "no image in it has a name"


def test_images_are_counted_from_zero_each_once(tmp_path: Path) -> None:
    specs = [ImageSpec(ref="app:v1"), ImageSpec(ref="app:v2"), ImageSpec(ref="b:v1", seed=1)]
    layout = write_layout(tmp_path / "app", specs)
    (image,) = images_of(f"oci:{layout.path}:@0")
    assert [str(name) for name in image.names] == ["app:v1", "app:v2"]
    (image,) = images_of(f"oci:{layout.path}:@1")
    assert documents_of(image) == [layout.images[2].digest]
    for ref in ("@2", "@-1", "@", "@x", "@9999999999", "@²"):
        with pytest.raises(ImageNotFound, match=f"no image `{ref}`"):
            images_of(f"oci:{layout.path}:{ref}")


@pytest.mark.parametrize("full", ["docker.io/library/app:v1", "localhost/app:v1", "app:v1"])
@pytest.mark.parametrize("ref", ["app:v1", "docker.io/library/app:v1", "localhost/app:v1", "app"])
def test_a_short_name_is_the_same_in_every_spelling(tmp_path: Path, full: str, ref: str) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(name=full), ImageSpec(ref="b:v2", seed=1)])
    (image,) = images_of(f"oci:{layout.path}:{ref}")
    assert [str(name) for name in image.names] == [full]


def test_a_name_without_tag_means_latest_where_there_is_one(tmp_path: Path) -> None:
    specs = [ImageSpec(ref="h.example/app:v1"), ImageSpec(ref="h.example/app:latest", seed=1)]
    layout = write_layout(tmp_path / "app", specs)
    (image,) = images_of(f"oci:{layout.path}:h.example/app")
    assert documents_of(image) == [layout.images[1].digest]


def test_a_name_without_tag_that_two_images_have_is_refused(tmp_path: Path) -> None:
    specs = [ImageSpec(ref="h.example/app:v1"), ImageSpec(ref="h.example/app:v2", seed=1)]
    layout = write_layout(tmp_path / "app", specs)
    with pytest.raises(ImageInvalid, match=r"several images `h\.example/app`"):
        images_of(f"oci:{layout.path}:h.example/app")


def test_a_list_of_thousands_of_names_is_cut(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    descriptor = layout.image.descriptor
    layout.write_index(
        [{**descriptor, "annotations": {REF_NAME: f"v{number}"}} for number in range(2000)]
    )
    with pytest.raises(ImageNotFound) as caught:
        images_of(f"oci:{layout.path}:none")
    assert caught.value.hint.endswith("and 1980 more")


def test_a_ref_of_two_different_images_is_refused(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(ref="v1"), ImageSpec(ref="v1", seed=1)])
    with pytest.raises(ImageInvalid, match="several images `v1`"):
        images_of(f"oci:{layout.path}:v1")


def test_a_ref_that_is_no_name_to_push_under_is_refused(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(ref="Not:A Name")])
    with pytest.raises(ImageInvalid, match="has no name to push under"):
        images_of(f"oci:{layout.path}:Not:A Name")


def test_annotations_that_are_no_strings_are_ignored(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app")
    notes = {CONTAINERD_NAME: 7, REF_NAME: ["v1"]}
    layout.write_index([{**layout.image.descriptor, "annotations": notes}])
    (image,) = images_of(layout.path)
    assert (image.names, image.tag) == ((), "")


def test_the_path_before_a_ref_may_hold_colons(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "a:b", [ImageSpec(ref="app:v1")])
    assert len(images_of(f"oci:{layout.path}")) == 1
    assert len(images_of(f"oci:{layout.path}:app:v1")) == 1


def test_a_platforms_set_without_names_is_a_set_of_images(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(), ImageSpec(platform="linux/arm64")])
    assert len(images_of(layout.path)) == 2


def test_an_index_has_the_name_of_its_entry(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [IndexSpec(ref="app:v1")])
    (image,) = images_of(f"oci:{layout.path}:app:v1")
    assert documents_of(image) == list(layout.image.documents())
