"""Where an image goes."""

from __future__ import annotations

import pytest

from idpbuilder.errors import UsageError
from idpbuilder.image import Descriptor, Digest, Index, InvalidValue, Reference
from idpbuilder.image.manifest import OCI_INDEX
from idpbuilder.push.destination import Destination, Prefix, destinations
from idpbuilder.source import Document, SourceImage

ROOT = Document(Descriptor(OCI_INDEX, Digest.of(b"{}"), 2), b"{}", Index(OCI_INDEX, ()))


def image(*names: str, tag: str = "") -> SourceImage:
    return SourceImage("./app.tar", tuple(map(Reference.parse, names)), tag, (ROOT,), {}, ())


def goes(source: SourceImage, *, to: tuple[str, ...] = (), prefix: str = "") -> list[str]:
    found = destinations(source, map(Reference.parse, to), Prefix.parse(prefix) if prefix else None)
    return [str(place.reference) for place in found]


def test_the_seeds_example_goes_below_its_prefix() -> None:
    found = goes(image("myimage:latest"), prefix="registry.example.com/repo")
    assert found == ["registry.example.com/repo/myimage:latest"]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("ghcr.io/team/app:v1", "r.example.com/ns/team/app:v1"),
        ("docker.io/library/app:v1", "r.example.com/ns/app:v1"),
        ("docker.io/team/app:v1", "r.example.com/ns/team/app:v1"),
        ("localhost/app:v1", "r.example.com/ns/app:v1"),
        ("localhost:5000/app:v1", "r.example.com/ns/app:v1"),
    ],
)
def test_an_images_own_host_gives_way_to_the_prefix(name: str, place: str) -> None:
    assert goes(image(name), prefix="r.example.com/ns") == [place]


@pytest.mark.parametrize("text", ["/host", "//host/ns", "http:///host", "/"])
def test_a_prefix_does_not_begin_with_a_slash(text: str) -> None:
    with pytest.raises(InvalidValue, match="begins with a slash"):
        Prefix.parse(text)


def test_a_prefix_may_name_its_scheme() -> None:
    (place,) = destinations(image("a:1"), (), Prefix.parse("http://[::1]:5000/ns/"))
    assert place == Destination(Reference("[::1]:5000", "ns/a", "1"), "http")


def test_to_is_exactly_there_and_takes_the_images_tag() -> None:
    source = image("team/app:v1")
    assert goes(source, to=("r.example.com/x:other",)) == ["r.example.com/x:other"]
    assert goes(source, to=("r.example.com/x",)) == ["r.example.com/x:v1"]
    assert goes(image(tag="v2"), to=("r.example.com/x",)) == ["r.example.com/x:v2"]
    assert goes(image(), to=("r.example.com/x",)) == ["r.example.com/x:latest"]


def test_to_wins_over_a_prefix_and_counts_each_place_once() -> None:
    found = goes(image("a:1"), to=("r.io/x:1", "r.io/y:1", "r.io/x:1"), prefix="p.io")
    assert found == ["r.io/x:1", "r.io/y:1"]


def test_to_without_a_registry_is_docker_hub() -> None:
    assert goes(image("a:1"), to=("team/app:2", "app:3")) == [
        "docker.io/team/app:2",
        "docker.io/library/app:3",
    ]


def test_to_a_digest_needs_no_tag() -> None:
    digest = Digest.of(b"{}")
    assert goes(image("a:1"), to=(f"r.io/x@{digest}",)) == [f"r.io/x@{digest}"]


def test_without_anything_an_image_goes_where_its_name_says() -> None:
    assert goes(image("ghcr.io/team/app:v1")) == ["ghcr.io/team/app:v1"]
    assert goes(image("team/app:v1")) == ["docker.io/team/app:v1"]
    assert goes(image("localhost/team/app:v1")) == ["docker.io/team/app:v1"]


@pytest.mark.parametrize("name", ["app:v1", "localhost/app:v1", "docker.io/library/app:v1"])
def test_a_single_component_can_be_pushed_nowhere(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        goes(image(name))
    assert "--registry" in caught.value.hint
    assert "IDPBUILDER_REGISTRY_URL" in caught.value.hint


@pytest.mark.parametrize("prefix", ["", "r.example.com"])
def test_an_image_without_a_name_needs_to(prefix: str) -> None:
    with pytest.raises(UsageError) as caught:
        goes(image(tag="v1"), prefix=prefix)
    assert "--to" in caught.value.hint


def test_several_names_are_several_destinations() -> None:
    found = goes(image("a:1", "a:2", "b:1"), prefix="r.io")
    assert found == ["r.io/a:1", "r.io/a:2", "r.io/b:1"]


@pytest.mark.parametrize(
    "text", ["", "ftp://r.io", "r.io:port", "r.io:99999", "r.io/UPPER", "r.io/a//b", "[::1", "a b"]
)
def test_what_is_no_prefix_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        Prefix.parse(text)
