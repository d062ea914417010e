"""Archives that were pushed before: what is told of them without reading them again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from idpbuilder.errors import ImageChanged, ImageInvalid, ImageNotFound, PlatformNotFound
from idpbuilder.image import Digest, Manifest, Platform
from idpbuilder.source import SourceImage, Surroundings, open_source
from idpbuilder.source.archive import identify
from tests.parts.docker_archives import SHAPES, Saved, save
from tests.parts.images import ArtifactSpec, ImageSpec, IndexSpec, Spec, write_archive, write_layout
from tests.source.opened import content, ignore

COMPRESSIONS = (None, "gzip", "zstd")
SPECS: tuple[Spec, ...] = (
    ImageSpec(name="registry.example.com/team/app:v1"),
    ImageSpec(layers=(10,), foreign=2, ref="v1"),
    ImageSpec(algorithm="sha512"),
    ImageSpec(layers=()),
    IndexSpec(attested=True, ref="v1"),
    IndexSpec((IndexSpec(), ImageSpec(seed=9, platform="linux/arm/v7")), platforms=False),
    ArtifactSpec(),
)


@dataclass(slots=True)
class Memory:
    """What a memory would keep: a push is what `remember` stands for."""

    tables: dict[str, bytes] = field(default_factory=dict)
    documents: dict[Digest, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def opened(
        self, text: object, platform: str = "", *, all_tags: bool = False
    ) -> Iterator[tuple[SourceImage, ...]]:
        """The images of the IMAGE argument `text`."""
        surroundings = Surroundings(
            cast(Any, None),
            {},
            self.notes.append,
            self.notes.append,
            self.documents.get,
            lambda diff_ids: None,
            None,
            self.tables.get,
            lambda key: self.tables.update({key: b""}),
        )
        asked = Platform.parse(platform) if platform else None
        with open_source(
            str(text), asked, ignore, all_tags=all_tags, surroundings=surroundings
        ) as images:
            yield images

    def remember(self, images: tuple[SourceImage, ...]) -> None:
        """As after they were pushed."""
        for image in images:
            assert image.contents is not None
            self.tables.update([image.contents])
            for document in image.documents:
                self.documents[document.descriptor.digest] = document.data
                if isinstance(document.content, Manifest):
                    config = document.content.config.digest
                    self.documents[config] = content(image.blobs[config])

    def read(self, text: object, *options: str, **more: bool) -> tuple[SourceImage, ...]:
        """The images as they are read, and remembered."""
        with self.opened(text, *options, **more) as images:
            self.remember(images)
            return images

    @property
    def known(self) -> bool:
        """Whether the last archive was not read."""
        return "is known" in self.notes[-1]


def without_contents(images: tuple[SourceImage, ...]) -> tuple[SourceImage, ...]:
    return tuple(replace(image, contents=None) for image in images)


def bare(image: SourceImage) -> SourceImage:
    """All of an image but where its blobs lie."""
    return replace(image, blobs={}, export=None, contents=None)


def bytes_of(image: SourceImage) -> dict[Digest, bytes]:
    return {digest: content(region) for digest, region in image.blobs.items()}


def assert_known_as_read(text: object, *options: str, **more: bool) -> None:
    memory = Memory()
    with memory.opened(text, *options, **more) as read:
        memory.remember(read)
        blobs = [bytes_of(image) for image in read]
    with memory.opened(text, *options, **more) as known:
        assert memory.known
        assert list(map(bare, known)) == list(map(bare, read))
        for image, whole in zip(known, blobs, strict=True):
            there = bytes_of(image)
            assert there.items() <= whole.items()
            if image.export is None:
                assert there == whole
                continue
            exported = image.export()
            assert bare(exported) == bare(image)
            assert bytes_of(exported) == whole
            assert exported.export is None


@pytest.mark.parametrize("compress", COMPRESSIONS)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_known_archive_gives_the_image_that_reading_it_gives(
    spec: Spec, compress: str | None, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "layout", [spec])
    assert_known_as_read(write_archive(tmp_path / "app.tar", layout, compress, "./"))


@pytest.mark.parametrize("compress", COMPRESSIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_known_archive_of_docker_save_gives_the_images_that_reading_it_gives(
    shape: str, compress: str | None, tmp_path: Path
) -> None:
    images = [Saved(tags=("app:v1", "team/app:v2")), Saved((1000, 50), seed=4)]
    save(tmp_path / "app.tar", images, shape, compress)
    assert_known_as_read(tmp_path / "app.tar")


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_a_platform_a_name_and_all_tags_are_answered_from_memory(
    compress: str | None, tmp_path: Path
) -> None:
    specs = [IndexSpec(ref="v1"), ImageSpec(name="example.com/app:v2", seed=8)]
    layout = write_layout(tmp_path / "layout", specs)
    archive = write_archive(tmp_path / "app.tar", layout, compress)
    assert_known_as_read(f"oci-archive:{archive}:v1", "linux/arm64")
    assert_known_as_read(f"oci-archive:{archive}:example.com/app", all_tags=True)


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_a_known_archive_is_opened_for_its_identity_alone(
    compress: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = write_layout(tmp_path / "layout", [IndexSpec(attested=True)])
    archive = write_archive(tmp_path / "app.tar", layout, compress)
    memory = Memory()
    memory.read(archive)
    monkeypatch.setattr("idpbuilder.source.remembered.open_archive", None)
    with memory.opened(archive) as (image,):
        assert (image.export is None) is (compress is None)


def test_the_layers_of_a_compressed_archive_have_no_place_until_it_is_unpacked(
    tmp_path: Path,
) -> None:
    layout = write_layout(tmp_path / "layout", [ImageSpec()])
    archive = write_archive(tmp_path / "app.tar.gz", layout, "gzip")
    memory = Memory()
    memory.read(archive)
    with memory.opened(archive) as (image,):
        assert [str(digest) for digest in image.blobs] == [layout.image.config]


def test_what_is_in_an_archive_is_remembered_however_the_user_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = write_layout(tmp_path / "layout", [ImageSpec(ref="v1"), ImageSpec(ref="v2", seed=1)])
    write_archive(tmp_path / "app.tar", layout, "gzip")
    monkeypatch.chdir(tmp_path)
    memory = Memory()
    memory.read("./app.tar")
    with memory.opened("app.tar") as images:
        assert memory.known
        assert [image.label for image in images] == ["app.tar:v1", "app.tar:v2"]


def test_another_question_is_not_answered_from_memory(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "layout", [IndexSpec(ref="v1")])
    archive = write_archive(tmp_path / "app.tar.gz", layout, "gzip")
    memory = Memory()
    memory.read(archive)
    with memory.opened(f"oci-archive:{archive}:v1"):
        assert not memory.known
    with memory.opened(archive, "linux/arm64"):
        assert not memory.known
    with pytest.raises(ImageInvalid), memory.opened(f"docker-archive:{archive}"):
        pass
    with pytest.raises(ImageNotFound), memory.opened(f"oci-archive:{archive}:v2"):
        pass
    with pytest.raises(PlatformNotFound), memory.opened(archive, "windows/amd64"):
        pass


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_a_changed_archive_is_read_again(compress: str | None, tmp_path: Path) -> None:
    memory = Memory()
    old = write_layout(tmp_path / "old", [ImageSpec()])
    archive = write_archive(tmp_path / "app.tar", old, compress)
    memory.read(archive)
    new = write_layout(tmp_path / "new", [ImageSpec(seed=1)])
    write_archive(archive, new, compress)
    with memory.opened(archive) as (image,):
        assert not memory.known
        assert str(image.root.descriptor.digest) == new.image.digest


def test_a_change_of_one_byte_that_keeps_size_and_date_makes_another_identity(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(3_000_000))
    before, found = identify(str(path)), os.stat(path)
    with path.open("r+b") as file:
        # between the samples
        file.seek(20_000)
        file.write(b"x")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    after = identify(str(path))
    assert before is not None
    assert after is not None
    assert after != before
    assert replace(after, changed=0) == replace(before, changed=0)


def test_a_copy_is_another_archive(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "layout", [ImageSpec()])
    archive = write_archive(tmp_path / "app.tar.gz", layout, "gzip")
    memory = Memory()
    memory.read(archive)
    shutil.copy2(archive, tmp_path / "copy.tar.gz")
    with memory.opened(tmp_path / "copy.tar.gz"):
        assert not memory.known


@pytest.mark.parametrize("what", ["root", "child", "config"])
def test_a_compressed_archive_of_which_anything_is_forgotten_is_read(
    what: str, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "layout", [IndexSpec()])
    archive = write_archive(tmp_path / "app.tar.gz", layout, "gzip")
    memory = Memory()
    memory.read(archive)
    image = layout.image
    first = image.children[0]
    lost = {"root": image.digest, "child": first.digest, "config": first.config}[what]
    del memory.documents[Digest.parse(lost)]
    with memory.opened(archive) as (image_read,):
        assert not memory.known
        assert image_read.export is None


def test_a_plain_archive_needs_no_other_documents_than_its_own(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "layout", [IndexSpec()])
    archive = write_archive(tmp_path / "app.tar", layout)
    memory = Memory()
    memory.read(archive)
    memory.documents.clear()
    with memory.opened(archive):
        assert memory.known


def _moved(table: dict[str, Any]) -> None:
    table["places"] = {digest: [at + 1, size] for digest, (at, size) in table["places"].items()}


def _outside(table: dict[str, Any]) -> None:
    table["places"] = {digest: [10**9, size] for digest, (_, size) in table["places"].items()}


def _longer(table: dict[str, Any]) -> None:
    table["places"] = {digest: [at, size + 1] for digest, (at, size) in table["places"].items()}


def _nowhere(table: dict[str, Any]) -> None:
    table["places"] = {digest: [float("inf"), -1] for digest in table["places"]}


def _without_layers(table: dict[str, Any]) -> None:
    table["places"] = {}


def _named_badly(table: dict[str, Any]) -> None:
    table["images"][0]["names"] = ["UPPER//case"]


def _with_a_tag_of_no_text(table: dict[str, Any]) -> None:
    table["images"][0]["tag"] = 7


def _of_another_root(table: dict[str, Any]) -> None:
    table["images"][0]["root"]["digest"] = "sha256:" + "0" * 64


def _of_another_size(table: dict[str, Any]) -> None:
    table["images"][0]["root"]["size"] += 1


def _stored_strangely(table: dict[str, Any]) -> None:
    table["images"][0]["stored"] = {"sha256:" + "0" * 64: "rar"}


@pytest.mark.parametrize(
    "damage",
    [
        _moved,
        _outside,
        _longer,
        _nowhere,
        _without_layers,
        _named_badly,
        _with_a_tag_of_no_text,
        _of_another_root,
        _of_another_size,
        _stored_strangely,
    ],
)
def test_a_table_that_lies_is_as_good_as_none(
    damage: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "layout", [ImageSpec(ref="v1")])
    archive = write_archive(tmp_path / "app.tar", layout)
    memory = Memory()
    read = memory.read(archive)
    ((key, data),) = memory.tables.items()
    table = json.loads(data)
    damage(table)
    memory.tables[key] = json.dumps(table).encode()
    with memory.opened(archive) as images:
        assert not memory.known
        assert images[0].blobs == read[0].blobs


@pytest.mark.parametrize(
    "rubbish",
    [b"", b"{", b"[]", b"null", b"7", b'{"repack":true,"places":{},"images":[]}', b"[" * 100_000],
)
@pytest.mark.parametrize("compress", [None, "gzip"])
def test_rubbish_for_a_table_is_as_good_as_none(
    rubbish: bytes, compress: str | None, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "layout", [ImageSpec()])
    archive = write_archive(tmp_path / "app.tar", layout, compress)
    memory = Memory()
    memory.read(archive)
    memory.tables = dict.fromkeys(memory.tables, rubbish)
    with memory.opened(archive):
        assert not memory.known


def test_an_archive_that_changes_before_it_is_unpacked_is_an_error_and_forgotten(
    tmp_path: Path,
) -> None:
    layout = write_layout(tmp_path / "layout", [ImageSpec()])
    archive = write_archive(tmp_path / "app.tar.gz", layout, "gzip")
    memory = Memory()
    memory.read(archive)
    with memory.opened(archive) as (image,):
        write_archive(archive, write_layout(tmp_path / "new", [ImageSpec(seed=1)]), "gzip")
        assert image.export is not None
        with pytest.raises(ImageChanged, match="changed while it was pushed"):
            image.export()
    assert set(memory.tables.values()) == {b""}


def test_an_archive_of_several_images_is_unpacked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "app.tar.gz"
    save(archive, [Saved(tags=("a:v1",)), Saved(tags=("b:v1",), seed=1)], compress="gzip")
    memory = Memory()
    memory.read(archive)
    with memory.opened(archive) as images:
        assert len({image.blobs[next(iter(image.blobs))].fd for image in images}) == 1
        exported = [image.export() for image in images if image.export]
        fds = {region.fd for image in exported for region in image.blobs.values()}
        assert len(exported) == 2
        assert len(fds) == 1


def test_no_room_for_a_config_is_a_local_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    from idpbuilder.errors import LocalError

    layout = write_layout(tmp_path / "layout", [ImageSpec()])
    archive = write_archive(tmp_path / "app.tar.gz", layout, "gzip")
    memory = Memory()
    memory.read(archive)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    error = pytest.raises(LocalError, match=r"cannot put the configs of .*app.tar.gz")
    with error, memory.opened(archive):
        pass


def test_where_nothing_may_be_remembered_there_is_nothing_to_remember(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "layout", [ImageSpec()])
    archive = write_archive(tmp_path / "app.tar.gz", layout, "gzip")
    with open_source(str(archive), None, ignore) as (image,):
        assert image.contents is None
