"""How often images are exported from an engine, and what is remembered in an export's place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from idpbuilder.errors import ImageInvalid
from idpbuilder.image import Digest, Platform
from idpbuilder.source import SourceImage
from idpbuilder.source.engines import Access, EngineQuery, find_in_engines, sources
from tests.parts.engine_api import EngineApiServer, FakeImage, archive_of
from tests.source.engines import Looker
from tests.source.opened import content

FORMS = ("classic", "oci", "containerd")
AMD64 = Platform("linux", "amd64")


@pytest.fixture
def looker(tmp_path: Path) -> Looker:
    return Looker(tmp_path)


def app(form: str = "classic") -> FakeImage:
    return FakeImage(("app:v1",), layers=("base", "app"), form=form)


def tags(count: int, form: str = "classic") -> list[FakeImage]:
    """As many images of one repository; all share their first layer."""
    return [FakeImage((f"app:v{at}",), layers=("base", str(at)), form=form) for at in range(count)]


@contextmanager
def engine(looker: Looker, *images: FakeImage, **faults: object) -> Iterator[EngineApiServer]:
    with EngineApiServer(looker.home / "s", images, **faults) as server:
        looker.variables["DOCKER_HOST"] = server.host
        yield server


def read(
    access: Access,
    text: str = "app:v1",
    platform: Platform | None = None,
    *,
    all_tags: bool = False,
) -> tuple[SourceImage, ...]:
    return sources(find_in_engines(EngineQuery(text, all_tags=all_tags), access), platform)


def one(access: Access, platform: Platform | None = None) -> SourceImage:
    (image,) = read(access, platform=platform)
    return image


def bare(image: SourceImage) -> SourceImage:
    """All of an image but where its blobs lie."""
    return replace(image, blobs={}, export=None, contents=None)


def learn(looker: Looker, platform: Platform | None = None) -> SourceImage:
    """The image as it is exported, and remembered as after a push."""
    with looker.access() as access:
        image = one(access, platform)
        looker.remember(image)
        return bare(image)


@pytest.mark.parametrize("form", FORMS)
def test_a_remembered_image_stays_in_the_engine_and_is_what_was_exported(
    form: str, looker: Looker
) -> None:
    with engine(looker, app(form)) as server:
        exported = learn(looker)
        server.requests.clear()
        with looker.access() as access:
            image = one(access)
            assert server.exports == []
            assert bare(image) == exported
            assert [content(region) for region in image.blobs.values()] == [app(form).config]
            assert image.export is not None
            whole = image.export()
            assert bare(whole) == exported
            assert whole.export is None
            assert {content(region) for region in whole.blobs.values()} == {
                app(form).config,
                *app(form).blobs,
            }


def test_a_remembered_image_is_exported_once_however_often_it_is_needed(looker: Looker) -> None:
    with engine(looker, app()) as server:
        learn(looker)
        with looker.access() as access:
            image = one(access)
            server.requests.clear()
            assert image.export is not None
            assert image.export() is image.export()
            assert server.exports == [[app().id]]


def test_a_platform_is_remembered_by_itself(looker: Looker) -> None:
    with engine(looker, app("containerd"), version="1.48") as server:
        learn(looker)
        learn(looker, AMD64)
        assert len(server.exports) == 2
        for platform in (None, AMD64):
            with looker.access() as access:
                assert one(access, platform).export is not None


def test_an_engine_that_speaks_another_version_exports_anew(looker: Looker) -> None:
    with engine(looker, app(), version="1.41"):
        learn(looker)
    with engine(looker, app("oci"), version="1.44"), looker.access() as access:
        image = one(access)
        assert image.export is None
        assert image.root.descriptor.media_type.endswith("oci.image.manifest.v1+json")


@pytest.mark.parametrize("form", FORMS)
def test_where_anything_is_forgotten_the_image_is_exported(form: str, looker: Looker) -> None:
    with engine(looker, app(form)):
        learn(looker)
        for digest in list(looker.known):
            data = looker.known.pop(digest)
            with looker.access() as access:
                assert one(access).export is None
            looker.known[digest] = data


@pytest.mark.parametrize("rubbish", [b"", b"{}", b"no json", b"[[[", b'{"images": []}'])
def test_rubbish_for_what_is_remembered_is_as_good_as_nothing(
    rubbish: bytes, looker: Looker
) -> None:
    with engine(looker, app()):
        learn(looker)
        looker.tables = dict.fromkeys(looker.tables, rubbish)
        with looker.access() as access:
            assert one(access).export is None


def test_what_is_remembered_of_another_image_is_as_good_as_nothing(looker: Looker) -> None:
    with engine(looker, FakeImage(("app:v1",), layers=("other",))):
        learn(looker)
    ((_, table),) = looker.tables.items()
    looker.tables.clear()
    with engine(looker, app()):
        learn(looker)
        looker.tables = dict.fromkeys(looker.tables, table)
        with looker.access() as access:
            assert one(access).export is None


def test_what_lies_in_the_file_of_an_export_is_not_looked_for_there_again(looker: Looker) -> None:
    with engine(looker, app()):
        learn(looker)
        ((key, table),) = looker.tables.items()
        looker.tables[key] = json.dumps({**json.loads(table), "places": {}}).encode()
        with looker.access() as access:
            assert one(access).export is None


# -- a repository


@pytest.mark.parametrize("form", FORMS)
def test_all_tags_come_in_one_export_and_one_file(form: str, looker: Looker) -> None:
    images = tags(5, form)
    with engine(looker, *images) as server, looker.access() as access:
        found = read(access, "app", all_tags=True)
        assert server.exports == [[image.id for image in images]]
        assert [image.label for image in found] == [f"app:v{at}" for at in range(5)]
        for image, there in zip(found, images, strict=True):
            assert {content(region) for region in image.blobs.values()} == {
                there.config,
                *there.blobs,
            }
        assert len({region.fd for image in found for region in image.blobs.values()}) == 1


def test_only_the_tags_that_are_new_are_exported(looker: Looker) -> None:
    images = tags(4)
    with engine(looker, *images[:3]) as server:
        with looker.access() as access:
            for image in read(access, "app", all_tags=True):
                looker.remember(image)
        server.images = images
        server.requests.clear()
        with looker.access() as access:
            found = read(access, "app", all_tags=True)
            assert [image.export is None for image in found] == [False, False, False, True]
            assert server.exports == [[images[3].id]]
            configs = {region.fd for image in found[:3] for region in image.blobs.values()}
            assert len(configs) == 1


def test_where_a_second_image_is_needed_all_the_others_come_with_it(looker: Looker) -> None:
    images = tags(4)
    with engine(looker, *images) as server:
        with looker.access() as access:
            for image in read(access, "app", all_tags=True):
                looker.remember(image)
        server.requests.clear()
        with looker.access() as access:
            for image, there in zip(read(access, "app", all_tags=True), images, strict=True):
                assert image.export is not None
                whole = image.export()
                assert bare(whole) == bare(image)
                assert Digest.parse(there.id) in whole.blobs
        ids = [image.id for image in images]
        assert server.exports == [ids[:1], ids[1:]]


def test_parts_of_images_are_exported_one_by_one(looker: Looker) -> None:
    images = tags(3, "containerd")
    with engine(looker, *images, version="1.48") as server, looker.access() as access:
        read(access, "app", AMD64, all_tags=True)
        assert server.exports == [[image.id] for image in images]


def test_an_export_that_lacks_one_of_several_images_is_refused(looker: Looker) -> None:
    images = tags(3)
    with engine(looker, *images) as server, looker.access() as access:
        server.faults.broken["/images/get"] = (200, archive_of(images[:2]))
        with pytest.raises(ImageInvalid, match="app:v2"):
            read(access, "app", all_tags=True)


def test_what_was_asked_for_alone_is_the_image_whatever_it_is_called(looker: Looker) -> None:
    with engine(looker, app()) as server, looker.access() as access:
        other = FakeImage(layers=("base", "app"), comment="of another id")
        server.faults.broken["/images/get"] = (200, other.archive())
        image = one(access)
        assert Digest.parse(other.id) in image.blobs
        looker.remember(image)
    with engine(looker, app()), looker.access() as access:
        # it cannot be told from what is remembered wrongly
        assert one(access).export is None
