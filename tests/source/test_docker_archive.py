"""`docker save` archives: every maker's shape is read in place, and none that lies is believed."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idpbuilder.errors import ImageInvalid, ImageNotFound, PlatformNotFound, SourceError
from idpbuilder.image import Digest, Manifest
from idpbuilder.source import SourceImage, docker_archive, open_source
from idpbuilder.source.archive import read_archive
from idpbuilder.source.images import read_archive_images
from tests.parts.docker_archives import (
    SHAPES,
    Link,
    Members,
    Saved,
    digest_of,
    members_of,
    save,
    tar_with,
    write_tar,
)
from tests.parts.images import ImageSpec, compressed, write_archive, write_layout
from tests.source.opened import content, ignore, images_of, opened

OLD_SHAPES = tuple(shape for shape in SHAPES if shape != "hybrid")


def manifest_of(image: SourceImage) -> Manifest:
    assert isinstance(image.root.content, Manifest)
    return image.root.content


def bad(tmp_path: Path, members: Members) -> Path:
    return write_tar(tmp_path / "bad.tar", members)


def with_items(change: Callable[[dict[str, Any]], None], *images: Saved) -> Members:
    """A classic archive whose items in `manifest.json` were changed."""
    members = members_of(images or [Saved(tags=("app:v1",))])
    listed = members["manifest.json"]
    assert isinstance(listed, bytes)
    items = json.loads(listed)
    for item in items:
        change(item)
    members["manifest.json"] = json.dumps(items).encode()
    return members


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("compress", [None, "gzip", "zstd"])
def test_every_shape_is_read(tmp_path: Path, shape: str, compress: str | None) -> None:
    spec = Saved(layers=(1000, 70_000, 5), tags=("registry.example.com/team/app:v1",))
    archive = save(tmp_path / "image", [spec], shape, compress)
    with opened(archive.path) as (image,):
        assert image.repack
        assert image.export is None
        assert image.label == str(archive.path)
        assert [str(name) for name in image.names] == list(spec.tags)
        assert [str(one) for one in image.platforms] == ["linux/amd64"]
        manifest = manifest_of(image)
        assert str(manifest.config.digest) == spec.config
        assert [str(layer.digest) for layer in manifest.layers] == spec.diff_ids
        assert {str(digest) for digest in image.blobs} == {spec.config, *spec.diff_ids}
        for digest, region in image.blobs.items():
            stored = image.stored.get(digest)
            assert content(region) == compressed(archive.content(str(digest)), stored)


@pytest.mark.parametrize("shape", OLD_SHAPES)
def test_the_manifest_is_dockers_schema_two_and_says_what_it_holds(
    tmp_path: Path, shape: str
) -> None:
    archive = save(tmp_path / "image.tar", [Saved()], shape)
    (image,) = images_of(archive.path)
    document, manifest = image.root, manifest_of(image)
    assert document.descriptor.digest.matches(document.data)
    assert document.descriptor.size == len(document.data)
    assert json.loads(document.data)["schemaVersion"] == 2
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    assert (document.descriptor.media_type, manifest.media_type) == (kind, kind)
    assert manifest.config.media_type == "application/vnd.docker.container.image.v1+json"
    for layer in manifest.layers:
        assert layer.media_type == "application/vnd.docker.image.rootfs.diff.tar"
        assert layer.size == image.blobs[layer.digest].size


@pytest.mark.parametrize(
    ("shape", "stored"),
    [("classic", [None, None]), ("kaniko", ["gzip", "gzip"]), ("bazel", [None, "gzip"])],
)
def test_what_a_layers_file_is_packed_by_is_seen_by_its_content(
    tmp_path: Path, shape: str, stored: list[str | None]
) -> None:
    archive = save(tmp_path / "image.tar", [Saved()], shape)
    (image,) = images_of(archive.path)
    assert [image.stored.get(one.digest) for one in manifest_of(image).layers] == stored


def test_a_zstd_layer_is_seen_too(tmp_path: Path) -> None:
    spec = Saved(layers=(500,))
    members = members_of([spec])
    members = {
        name: compressed(data, "zstd") if name.endswith("layer.tar") else data
        for name, data in members.items()
        if isinstance(data, bytes)
    }
    (image,) = images_of(bad(tmp_path, members))
    assert list(image.stored.values()) == ["zstd"]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_layer_that_comes_again_is_one_blob(tmp_path: Path, shape: str) -> None:
    layer = tar_with(b"the same")
    spec = Saved(layers=(layer, 1000, layer, layer))
    (image,) = images_of(save(tmp_path / "image.tar", [spec], shape).path)
    assert [str(one.digest) for one in manifest_of(image).layers] == spec.diff_ids
    assert len(image.blobs) == 3


@pytest.mark.parametrize("shape", SHAPES)
def test_images_share_the_files_of_their_layers(tmp_path: Path, shape: str) -> None:
    layer = tar_with(b"the same")
    specs = [
        Saved(layers=(layer, 10), tags=("h.example/a:v1", "h.example/a:v2")),
        Saved(layers=(layer, 20), tags=("h.example/b:v1",), seed=1),
    ]
    one, other = images_of(save(tmp_path / "image.tar", specs, shape).path)
    assert (one.label, other.label) == ("h.example/a:v1", "h.example/b:v1")
    assert [str(name) for name in one.names] == ["h.example/a:v1", "h.example/a:v2"]
    digest = Digest.parse(digest_of(layer))
    assert one.blobs[digest] == other.blobs[digest]
    assert [str(layer.digest) for layer in manifest_of(other).layers] == specs[1].diff_ids


def test_a_plain_archive_is_never_extracted(tmp_path: Path) -> None:
    path = save(tmp_path / "image.tar", [Saved()]).path
    (image,) = images_of(path)
    assert {(region.path, region.fd) for region in image.blobs.values()} == {(str(path), None)}


def test_an_image_without_layers_is_an_image(tmp_path: Path) -> None:
    members = members_of([Saved(layers=())])
    (image,) = images_of(bad(tmp_path, members))
    assert manifest_of(image).layers == ()
    (image,) = images_of(bad(tmp_path, with_items(lambda i: i.pop("Layers"), Saved(layers=()))))
    assert len(image.blobs) == 1


@pytest.mark.parametrize("tags", [None, []])
def test_an_image_without_tags_has_no_names(tmp_path: Path, tags: list[str] | None) -> None:
    path = bad(tmp_path, with_items(lambda item: item.update(RepoTags=tags)))
    (image,) = images_of(path)
    assert (image.names, image.tag) == ((), "")


@pytest.mark.parametrize("tag", ["<none>:<none>", "UPPER:v1", "a:b:c", "", "app@sha256:00"])
def test_a_tag_that_is_no_name_is_none(tmp_path: Path, tag: str) -> None:
    (image,) = images_of(save(tmp_path / "image.tar", [Saved(tags=(tag,))]).path)
    assert image.names == ()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("ref", "number"),
    [
        ("app:v1", 0),
        ("docker.io/library/app:v1", 0),
        ("v1", 0),
        ("app:v2", 1),
        ("h.example/db:v3", 2),
        ("h.example/db", 2),
        ("@0", 0),
        ("@3", 3),
    ],
)
def test_ref_picks_an_image(tmp_path: Path, shape: str, ref: str, number: int) -> None:
    tags = [("app:v1",), ("app:v2",), ("h.example/db:v3",), ()]
    specs = [Saved(tags=tag, seed=seed) for seed, tag in enumerate(tags)]
    path = save(tmp_path / "image.tar", specs, shape).path
    (image,) = images_of(f"docker-archive:{path}:{ref}")
    assert str(manifest_of(image).config.digest) == specs[number].config
    assert image.label == f"docker-archive:{path}:{ref}"
    assert len(images_of(f"docker-archive:{path}")) == 4


def test_ref_leaves_the_other_names_of_its_image_out(tmp_path: Path) -> None:
    path = save(tmp_path / "image.tar", [Saved(tags=("app:v1", "app:v2"))]).path
    (image,) = images_of(f"docker-archive:{path}:app:v2")
    assert [str(name) for name in image.names] == ["app:v2"]
    (image,) = images_of(f"docker-archive:{path}:app")
    assert [str(name) for name in image.names] == ["app:v1", "app:v2"]


def test_ref_needs_no_other_image_to_be_whole(tmp_path: Path) -> None:
    specs = [Saved(tags=("app:v1",)), Saved(tags=("app:v2",), seed=1)]
    members = members_of(specs)
    del members[f"{specs[0].config.partition(':')[2]}.json"]
    path = bad(tmp_path, members)
    (image,) = images_of(f"docker-archive:{path}:app:v2")
    assert str(manifest_of(image).config.digest) == specs[1].config
    with pytest.raises(ImageInvalid, match="is missing"):
        images_of(path)


@pytest.mark.parametrize("ref", ["app:v2", "v2", "@1", "other"])
def test_a_ref_that_nothing_has_lists_what_there_is(tmp_path: Path, ref: str) -> None:
    path = save(tmp_path / "image.tar", [Saved(tags=("app:v1",))]).path
    with pytest.raises(ImageNotFound, match=f"no image `{ref}`") as caught:
        images_of(f"docker-archive:{path}:{ref}")
    assert caught.value.hint == "there is `app:v1`"


def test_two_images_of_one_name_cannot_be_told_apart_by_it(tmp_path: Path) -> None:
    specs = [Saved(tags=("app:v1",)), Saved(tags=("app:v1",), seed=1)]
    path = save(tmp_path / "image.tar", specs).path
    with pytest.raises(ImageInvalid, match="several images `app:v1`"):
        images_of(f"docker-archive:{path}:app:v1")
    assert len(images_of(f"docker-archive:{path}:@1")) == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_the_platform_must_be_the_images_own(tmp_path: Path, shape: str) -> None:
    spec = Saved(platform="linux/arm64", tags=("h.example/app:v1",))
    path = save(tmp_path / "image.tar", [spec], shape).path
    (image,) = images_of(path, "linux/arm64/v8")
    assert [str(one) for one in image.platforms] == ["linux/arm64"]
    with pytest.raises(PlatformNotFound, match="no image for `linux/amd64`") as caught:
        images_of(path, "linux/amd64")
    assert caught.value.hint == "there is `linux/arm64`"


def test_a_thousand_images_are_read(tmp_path: Path) -> None:
    layer = tar_with(b"the same")
    specs = [
        Saved(layers=(layer,), tags=(f"h.example/app:v{number}",), options={"n": number})
        for number in range(1000)
    ]
    path = save(tmp_path / "image.tar", specs, "kaniko").path
    assert len(images_of(path)) == 1000
    (image,) = images_of(f"docker-archive:{path}:v777")
    assert str(manifest_of(image).config.digest) == specs[777].config


def test_more_layers_than_any_images_have_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_archive, "_LAYERS_LIMIT", 3)
    path = save(tmp_path / "image.tar", [Saved(seed=1), Saved(seed=2)]).path
    with pytest.raises(ImageInvalid, match="more than 3 layers"):
        images_of(path)


@pytest.mark.parametrize(
    "text",
    [
        *[b"", b"[", b"{}", b"null", b"7", b'"x"', b"[7]", b"[null]", b"[[]]", b"[{}]", b"\xff"],
        *[b'[{"Config":7}]', b'[{"Config":""}]', b"[" * 100_000, b"9" * 5000],
    ],
)
def test_a_list_of_another_shape_is_refused(tmp_path: Path, text: bytes) -> None:
    members = members_of([Saved()])
    members["manifest.json"] = text
    with pytest.raises(ImageInvalid, match=r"manifest\.json"):
        images_of(bad(tmp_path, members))


def test_a_list_of_no_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageInvalid, match="lists no image"):
        images_of(bad(tmp_path, {"manifest.json": b"[]"}))


@pytest.mark.parametrize("key", ["Layers", "RepoTags"])
@pytest.mark.parametrize("value", [7, "text", [7], {"a": 1}, [None]])
def test_a_list_with_wrong_types_is_refused(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(ImageInvalid, match=f"no list of texts at `{key}`"):
        images_of(bad(tmp_path, with_items(lambda item: item.update({key: value}))))


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_layers_than_in_the_config_is_refused(tmp_path: Path, count: int) -> None:
    def change(item: dict[str, Any]) -> None:
        item["Layers"] = (item["Layers"] * 2)[:count]

    with pytest.raises(ImageInvalid, match=f"lists {count} layers of an image, and its config 2"):
        images_of(bad(tmp_path, with_items(change)))


@pytest.mark.parametrize("missing", [".json", "layer.tar"])
def test_a_member_that_is_named_and_missing_is_refused(tmp_path: Path, missing: str) -> None:
    members = members_of([Saved()])
    name = next(one for one in members if one.endswith(missing))
    del members[name]
    with pytest.raises(ImageInvalid, match=f"`{name}` is missing"):
        images_of(bad(tmp_path, members))


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "..", "./../x"])
@pytest.mark.parametrize("key", ["Config", "Layers"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, key: str, name: str) -> None:
    value = name if key == "Config" else [name, name]
    members = with_items(lambda item: item.update({key: value}))
    members["x"] = members["etc/passwd"] = b"{}"
    with pytest.raises(ImageInvalid, match="leads out of the archive"):
        images_of(bad(tmp_path, members))


def linked(link: Link, name: str = "layer") -> Members:
    """An archive whose only layer is a link."""
    spec = Saved(layers=(100,))
    members = members_of([spec])
    first = next(one for one in members if one.endswith("layer.tar"))
    members["real"] = members.pop(first)
    members[name] = link
    items = [{"Config": spec.config.partition(":")[2] + ".json", "Layers": [name]}]
    members["manifest.json"] = json.dumps(items).encode()
    return members


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("layer", Link("real")),
        ("layer", Link("./a/../real")),
        ("layer", Link("real", hard=True)),
        ("a/layer", Link("../real")),
        ("a/b/layer", Link("../../real")),
        ("a/layer", Link("real", hard=True)),
    ],
)
def test_a_link_leads_to_a_member(tmp_path: Path, name: str, link: Link) -> None:
    (image,) = images_of(bad(tmp_path, linked(link, name)))
    (layer,) = manifest_of(image).layers
    assert layer.digest.matches(content(image.blobs[layer.digest]))


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("target", ["/etc/passwd", "../etc/passwd", "a/../../real", "/real"])
def test_a_link_that_leads_out_is_refused(tmp_path: Path, target: str, hard: bool) -> None:
    with pytest.raises(ImageInvalid, match="leads out of the archive"):
        images_of(bad(tmp_path, linked(Link(target, hard))))


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageInvalid, match="round in a circle"):
        images_of(bad(tmp_path, linked(Link("layer"))))
    members = linked(Link("other"))
    members["other"] = Link("layer", hard=True)
    with pytest.raises(ImageInvalid, match="round in a circle"):
        images_of(bad(tmp_path, members))


def test_a_link_to_nothing_is_a_missing_member(tmp_path: Path) -> None:
    with pytest.raises(ImageInvalid, match="`layer` is missing"):
        images_of(bad(tmp_path, linked(Link("nothing"))))


def test_a_device_in_the_place_of_a_layer_is_refused(tmp_path: Path) -> None:
    path = bad(tmp_path, linked(Link("device")))
    with tarfile.open(path, "a") as tar:
        device = tarfile.TarInfo("device")
        device.type = tarfile.CHRTYPE
        tar.addfile(device)
    with pytest.raises(ImageInvalid, match="`device` is no plain file"):
        images_of(path)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (b"", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"[" * 100_000, "is not JSON"),
        (b"{}", "its config 0"),
        (b'{"rootfs":7}', "its config 0"),
        (b'{"rootfs":{"diff_ids":7}}', "no list"),
        (b'{"rootfs":{"diff_ids":[7,8]}}', "must be a string"),
        (b'{"rootfs":{"diff_ids":["sha256:../../x","x"]}}', "lower-case hex"),
    ],
)
def test_a_config_of_another_shape_is_refused(tmp_path: Path, config: bytes, why: str) -> None:
    members = with_items(lambda item: item.update(Config="config.json"))
    members["config.json"] = config
    with pytest.raises(ImageInvalid, match=why):
        images_of(bad(tmp_path, members))


def test_a_config_of_any_name_is_read(tmp_path: Path) -> None:
    members = with_items(lambda item: item.update(Config="config.json"))
    members["config.json"] = Saved().config_bytes()
    (image,) = images_of(bad(tmp_path, members))
    assert str(manifest_of(image).config.digest) == Saved().config


@pytest.mark.parametrize("shape", OLD_SHAPES)
def test_a_config_that_is_not_what_its_name_says_is_refused(tmp_path: Path, shape: str) -> None:
    members = members_of([Saved()], shape)
    digits = Saved().config.partition(":")[2]
    (name,) = [one for one in members if digits in one]
    members[name] = Saved(options={"User": "root"}).config_bytes()
    with pytest.raises(ImageInvalid, match="has another digest"):
        images_of(bad(tmp_path, members))


def test_a_config_above_eight_mebibytes_is_never_read(tmp_path: Path) -> None:
    members = with_items(lambda item: item.update(Config="config.json"))
    members["config.json"] = b"{" + b" " * (8 * 1024 * 1024)
    with pytest.raises(ImageInvalid, match="never read"):
        images_of(bad(tmp_path, members))


def test_a_list_above_four_mebibytes_is_never_read(tmp_path: Path) -> None:
    members = members_of([Saved()])
    members["manifest.json"] = b"[" + b" " * (4 * 1024 * 1024)
    with pytest.raises(ImageInvalid, match="never read"):
        images_of(bad(tmp_path, members))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("compress", [None, "gzip", "zstd"])
def test_an_archive_cut_anywhere_is_invalid(
    tmp_path: Path, shape: str, compress: str | None
) -> None:
    path = save(tmp_path / "good.tar", [Saved(tags=("app:v1",))], shape, compress).path
    data = path.read_bytes()
    # the list comes last: whatever is cut off is missed
    end = data.rindex(b"]") if compress is None else len(data) - 1
    for cut in (3, 511, 512, 700, 1024, end // 2, end // 2 // 512 * 512, end):
        (tmp_path / "cut.tar").write_bytes(data[:cut])
        with pytest.raises(ImageInvalid):
            images_of(tmp_path / "cut.tar")


def test_a_docker_archive_that_is_called_an_oci_one_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "image.tar", [Saved()]).path
    with pytest.raises(ImageInvalid, match=r"no `index\.json`") as caught:
        images_of(f"oci-archive:{path}")
    assert caught.value.hint == f"name it as `docker-archive:{path}`"


def test_members_that_nothing_names_are_ignored(tmp_path: Path) -> None:
    members = members_of([Saved()])
    members |= {"latest": Link("/etc/passwd"), "round": Link("round"), "x" * 5000: b"x"}
    assert len(images_of(bad(tmp_path, members))) == 1


class Stopped(Exception):
    pass


def test_reading_many_images_can_be_stopped(tmp_path: Path) -> None:
    path = save(tmp_path / "image.tar", [Saved(seed=seed) for seed in range(20)], "kaniko").path
    left = len(members_of([Saved(seed=seed) for seed in range(20)], "kaniko")) + 5

    def check() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Stopped

    with pytest.raises(Stopped), open_source(str(path), None, check):
        pytest.fail("the source was opened")


def open_spooled(file: IO[bytes], ref: str) -> tuple[SourceImage, ...]:
    archive = read_archive(file, "app:v1", file.fileno(), ignore)
    return read_archive_images(archive, "app:v1", ref, None, ignore)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_spooled_archive_is_read_through_its_descriptor(tmp_path: Path, shape: str) -> None:
    spec = Saved(tags=("h.example/app:v1",))
    archive = save(tmp_path / "image.tar", [spec], shape)
    with archive.path.open("rb") as file:
        archive.path.unlink()
        file.seek(0, io.SEEK_END)
        (image,) = open_spooled(file, "")
        assert image.label == "app:v1"
        assert {region.fd for region in image.blobs.values()} == {file.fileno()}
        for digest, region in image.blobs.items():
            stored = compressed(archive.content(str(digest)), image.stored.get(digest))
            assert content(region) == stored


def test_a_spooled_oci_archive_is_read_as_it_is(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(ref="v1")])
    with write_archive(tmp_path / "image.tar", layout).open("rb") as file:
        (image,) = open_spooled(file, "v1")
        assert not image.repack
        with pytest.raises(ImageNotFound, match="no image `v2` in `app:v1`"):
            open_spooled(file, "v2")


def test_an_empty_spool_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with (
        (tmp_path / "empty").open("rb") as file,
        pytest.raises(ImageInvalid, match="it is empty"),
    ):
        open_spooled(file, "")


@given(place=st.integers(0, 20_000), value=st.integers(0, 255), shape=st.sampled_from(SHAPES))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_an_archive_with_one_wrong_byte_opens_or_is_refused(
    tmp_path: Path, place: int, value: int, shape: str
) -> None:
    path = save(tmp_path / "good.tar", [Saved(layers=(10, 20))], shape).path
    data = bytearray(path.read_bytes())
    data[place % len(data)] = value
    path.write_bytes(bytes(data))
    with contextlib.suppress(SourceError), opened(path) as images:
        assert images


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Config", "Layers", "RepoTags"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(value=JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_any_list_ends_in_a_source_error(tmp_path: Path, value: object) -> None:
    path = bad(tmp_path, {"manifest.json": json.dumps(value).encode()})
    with pytest.raises(SourceError):
        images_of(path)
