"""Which image is meant: by what was typed, or by what was built last."""

from __future__ import annotations

from pathlib import Path

import pytest

from idpbuilder.errors import ImageNotFound, ImageUnreadable, UsageError
from idpbuilder.image import Digest, Reference
from idpbuilder.source.called import pushed, spellings
from idpbuilder.source.engines import EngineQuery, FoundImage, detect, find_in_engines
from tests.parts.engine_api import SECOND, EngineApiServer, FakeImage
from tests.source.engines import Looker

DIGEST = "sha256:" + "a" * 64
OTHER_DIGEST = "sha256:" + "b" * 64
LONG_AGO = "1970-01-01T00:00:00Z"


@pytest.fixture
def looker(tmp_path: Path) -> Looker:
    return Looker(tmp_path)


def built(*tags: str, at: int = 1, **rest: object) -> FakeImage:
    """An image that was built here, tagged at this second."""
    return FakeImage(tags, tagged=SECOND.format(at), comment=tags[0], **rest)  # type: ignore[arg-type]


def pulled(*tags: str, at: int = 9, **rest: object) -> FakeImage:
    digests = tuple(f"{Reference.parse(tag).name}@{DIGEST}" for tag in tags)
    return built(*tags, at=at, digests=digests, **rest)


def undated(*tags: str, created: str = LONG_AGO, **rest: object) -> FakeImage:
    """An image of which nobody knows when it was tagged."""
    return FakeImage(tags, created=created, comment=tags[0], **rest)  # type: ignore[arg-type]


def detected(looker: Looker, *images: FakeImage, registry: str | None = None) -> FoundImage:
    with (
        EngineApiServer(looker.home / "s", images) as server,
        looker.access(registry, DOCKER_HOST=server.host) as access,
    ):
        return detect(access)


def asked(looker: Looker, query: EngineQuery | str, *images: FakeImage) -> tuple[FoundImage, ...]:
    query = EngineQuery(query) if isinstance(query, str) else query
    with (
        EngineApiServer(looker.home / "s", images) as server,
        looker.access(DOCKER_HOST=server.host) as access,
    ):
        return find_in_engines(query, access)


def names(found: FoundImage) -> list[str]:
    return [str(name) for name in found.names]


# -- no IMAGE given


def test_the_only_tagged_image_is_chosen(looker: Looker) -> None:
    found = detected(looker, FakeImage(("<none>:<none>",)), FakeImage(), built("app:v1"))
    assert (found.label, names(found)) == ("app:v1", ["app:v1"])


def test_the_image_that_was_tagged_last_is_chosen(looker: Looker) -> None:
    found = detected(looker, built("old:v1", at=1), built("new:v1", at=3), built("mid:v1", at=2))
    assert found.label == "new:v1"
    assert "latest of 3 images" in found.reason
    assert any("`new:v1` is chosen" in note for note in looker.notes)


def test_what_was_pulled_ranks_behind_what_was_built(looker: Looker) -> None:
    assert detected(looker, pulled("debian:12"), built("app:v1")).label == "app:v1"


def test_what_was_pushed_before_ranks_behind_what_was_not(looker: Looker) -> None:
    assert detected(looker, pulled("reg.example.com/app:v1"), built("new:v1")).label == "new:v1"


def test_a_pulled_image_under_a_name_of_ones_own_counts_as_built(looker: Looker) -> None:
    mirror = built("reg.example.com/debian:12", at=5, digests=(f"debian@{DIGEST}",))
    assert detected(looker, mirror, built("app:v1")).label == "reg.example.com/debian:12"


def test_where_all_was_pulled_the_latest_is_chosen(looker: Looker) -> None:
    assert detected(looker, pulled("a:v1", at=1), pulled("b:v1", at=2)).label == "b:v1"


def test_a_digest_that_an_engine_has_for_everything_tells_nothing(looker: Looker) -> None:
    # podman's list: what was built has its own digest there, what was pulled that of its index, too
    own = (f"localhost/app@{DIGEST}",)
    both = (f"docker.io/library/debian@{DIGEST}", f"docker.io/library/debian@{OTHER_DIGEST}")
    app = undated("localhost/app:v1", created=SECOND.format(1), digests=own, own_digest=DIGEST)
    debian = undated(
        "docker.io/library/debian:12", created=SECOND.format(5), digests=both, own_digest=DIGEST
    )
    assert detected(looker, debian, app).label == "localhost/app:v1"


def kept(*tags: str, at: int, **rest: object) -> FakeImage:
    """What podman tells of an image that was built there, or pulled for one platform."""
    digests = tuple(f"{Reference.parse(tag).name}@{DIGEST}" for tag in tags)
    return undated(*tags, created=SECOND.format(at), digests=digests, own_digest=DIGEST, **rest)


def test_what_may_have_been_pulled_does_not_win_over_what_was_built(looker: Looker) -> None:
    app = kept("localhost/app:v1", at=1, layers=("app",))
    other = kept("reg.example.com/other:1", at=2, layers=("other",))
    with pytest.raises(ImageNotFound) as caught:
        detected(looker, app, other)
    assert "built or pulled" in caught.value.why
    assert caught.value.hint == "name one of them: `localhost/app:v1`, `reg.example.com/other:1`"


def test_what_was_built_after_what_may_have_been_pulled_is_chosen(looker: Looker) -> None:
    app = kept("localhost/app:v1", at=2, layers=("app",))
    other = kept("reg.example.com/other:1", at=1, layers=("other",))
    assert detected(looker, app, other).label == "localhost/app:v1"


def test_where_nothing_is_known_to_be_built_the_latest_is_chosen(looker: Looker) -> None:
    old = kept("reg.example.com/app:1", at=1, layers=("old",))
    new = kept("reg.example.com/app:2", at=2, layers=("new",))
    assert detected(looker, old, new).label == "reg.example.com/app:2"


def test_nothing_is_pulled_from_a_name_below_localhost(looker: Looker) -> None:
    digests = tuple(f"localhost/mine@{digest}" for digest in (DIGEST, OTHER_DIGEST))
    mine = undated("localhost/mine:1", created=SECOND.format(2), digests=digests, own_digest=DIGEST)
    app = kept("localhost/app:v1", at=1, layers=("app",))
    assert detected(looker, mine, app).label == "localhost/mine:1"


def test_what_was_built_on_a_base_that_may_have_been_pulled_is_chosen(looker: Looker) -> None:
    base = kept("reg.example.com/base:1", at=5, layers=("base",))
    app = kept("localhost/app:v1", at=1, layers=("base", "app"))
    assert detected(looker, base, app).label == "localhost/app:v1"


def test_an_engine_that_tells_what_it_pulled_is_believed(looker: Looker) -> None:
    app = pulled("app:v1", at=1, pulls=())
    debian = pulled("debian:12", at=2, pulls=("docker.io/library/debian",))
    assert detected(looker, app, debian).label == "app:v1"


def test_the_creation_date_stands_in_for_the_moment_of_tagging(looker: Looker) -> None:
    old = undated("old:v1", created=SECOND.format(1))
    new = undated("new:v1", created=SECOND.format(2))
    assert detected(looker, new, old).label == "new:v1"


def test_a_base_is_never_taken_for_what_was_built_on_it(looker: Looker) -> None:
    base = undated("reg.example.com/base:1", layers=("base",), created=SECOND.format(5))
    app = undated("reg.example.com/app:1", layers=("base", "app"))
    assert detected(looker, base, app).label == "reg.example.com/app:1"


@pytest.mark.parametrize("created", [LONG_AGO, "1980-01-01T00:00:01Z", "0001-01-01T00:00:00Z", ""])
def test_without_a_usable_date_nothing_is_chosen(created: str, looker: Looker) -> None:
    images = undated("a:v1", created=created), built("b:v1")
    with pytest.raises(ImageNotFound) as caught:
        detected(looker, *images)
    assert "no telling when" in caught.value.why
    assert "`a:v1`, `b:v1`" in caught.value.hint


def test_one_image_needs_no_date(looker: Looker) -> None:
    assert detected(looker, undated("a:v1"), pulled("b:v1")).label == "a:v1"


def test_a_tie_lists_the_candidates(looker: Looker) -> None:
    with pytest.raises(ImageNotFound) as caught:
        detected(looker, built("a:v1", at=2), built("b:v1", at=2), built("c:v1", at=1))
    assert caught.value.hint == "name one of them: `a:v1`, `b:v1`"


def test_qualified_tags_are_preferred_where_no_registry_is_given(looker: Looker) -> None:
    app = built("app:v1", "localhost/app:v1", "docker.io/library/app:v1", "reg.example.com/app:v1")
    assert names(detected(looker, app)) == ["reg.example.com/app:v1"]


def test_tags_of_another_registry_are_left_out_where_one_is_given(looker: Looker) -> None:
    app = built("app:v1", "other.example.com/app:v1", "REG.example.com:1/app:v2")
    found = detected(looker, app, registry="reg.example.com:1")
    assert names(found) == ["app:v1", "REG.example.com:1/app:v2"]


def test_an_image_of_another_registry_alone_is_not_pushed_by_chance(looker: Looker) -> None:
    images = built("other.example.com/app:v1", at=2), built("reg.example.com/app:v1", at=1)
    with pytest.raises(ImageNotFound, match=r"no tag for `reg\.example\.com`"):
        detected(looker, *images, registry="reg.example.com")


def test_nothing_found_names_every_place(looker: Looker) -> None:
    with (
        EngineApiServer(looker.home / "s", [FakeImage()]) as server,
        looker.access(CONTAINER_HOST=server.host) as access,
        pytest.raises(ImageNotFound) as caught,
    ):
        detect(access)
    why = caught.value.why
    assert f"CONTAINER_HOST (`{server.host}`) (no tagged image)" in why
    for place in ("run/docker.sock", "run/podman/podman.sock", "desktop/docker.sock"):
        assert f"{looker.home}/{place}" in why.replace("/.docker/", "/")
    assert "the `podman` command (it is not on PATH)" in why


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "CONTAINER_HOST"])
def test_a_named_engine_that_does_not_answer_ends_the_search(variable: str, looker: Looker) -> None:
    (looker.home / "run").mkdir()
    with EngineApiServer(looker.home / "run" / "docker.sock", [built("app:v1")]):
        variables = {variable: f"unix://{looker.home}/gone.sock"}
        with looker.access(**variables) as access, pytest.raises(ImageUnreadable) as caught:
            detect(access)
    assert variable in caught.value.what


def test_an_engine_that_nobody_named_is_passed_by_when_it_is_ill(looker: Looker) -> None:
    (looker.home / "run" / "podman").mkdir(parents=True)
    sick = EngineApiServer(looker.home / "run" / "docker.sock", [built("app:v1")], version="1.1")
    well = EngineApiServer(looker.home / "run" / "podman" / "podman.sock", [built("app:v2")])
    with sick, well, looker.access() as access:
        assert detect(access).label == "app:v2"


# -- by name


def test_a_name_without_a_tag_means_latest(looker: Looker) -> None:
    (found,) = asked(looker, "app", built("app:v1"), built("app:latest"))
    assert (found.label, names(found)) == ("app", ["app:latest"])


@pytest.mark.parametrize("typed", ["app:v1", "localhost/app:v1", "docker.io/library/app:v1"])
@pytest.mark.parametrize("there", ["app:v1", "localhost/app:v1", "docker.io/library/app:v1"])
def test_podmans_spellings_are_one_name(typed: str, there: str, looker: Looker) -> None:
    (found,) = asked(looker, typed, built(there))
    assert names(found) == [typed]


def test_an_image_has_the_name_that_was_typed_whatever_else_it_is_called(looker: Looker) -> None:
    (found,) = asked(looker, "app:v1", built("app:v1", "reg.example.com/app:v1"))
    assert names(found) == ["app:v1"]


def test_an_engine_that_takes_a_part_for_the_whole_is_not_followed(looker: Looker) -> None:
    image = built("reg.example.com/team/app:v1")
    with (
        EngineApiServer(looker.home / "s", [image]) as server,
        looker.access(DOCKER_HOST=server.host) as access,
    ):
        server.find = lambda name: image  # type: ignore[method-assign]
        with pytest.raises(ImageNotFound) as caught:
            find_in_engines(EngineQuery("app:v1"), access)
    assert caught.value.hint == "there is `reg.example.com/team/app:v1`"


@pytest.mark.parametrize("prefix", ["", "sha256:"])
def test_an_id_stands_for_the_image_with_its_tags(prefix: str, looker: Looker) -> None:
    app = built("app:v1", "app:v2")
    (found,) = asked(looker, prefix + app.id[7:20], app, built("other:v1"))
    assert names(found) == ["app:v1", "app:v2"]
    assert str(found.image_id) == app.id


def test_an_id_without_tags_is_nameless(looker: Looker) -> None:
    app = FakeImage()
    (found,) = asked(looker, app.id, app)
    assert names(found) == []


def test_an_ambiguous_id_lists_what_it_may_mean(looker: Looker) -> None:
    images = [FakeImage(comment=str(number)) for number in range(17)]
    first = {image.id[7] for image in images}
    letter = next(one for one in first if sum(image.id[7] == one for image in images) > 1)
    with pytest.raises(ImageNotFound, match="is ambiguous") as caught:
        asked(looker, letter, *images)
    assert all(image.id in caught.value.hint for image in images if image.id[7] == letter)


def test_a_name_that_looks_like_an_id_is_a_name_first(looker: Looker) -> None:
    app = built("cafe:latest")
    (found,) = asked(looker, "cafe", app)
    assert names(found) == ["cafe:latest"]


def test_a_digest_gives_the_image_with_its_tags_in_that_repository(looker: Looker) -> None:
    image = pulled("reg.example.com/app:v1")
    with (
        EngineApiServer(looker.home / "s", [image]) as server,
        looker.access(DOCKER_HOST=server.host) as access,
    ):
        server.find = lambda name: image  # type: ignore[method-assign]
        (found,) = find_in_engines(EngineQuery(f"reg.example.com/app@{DIGEST}"), access)
        assert names(found) == ["reg.example.com/app:v1"]
        with pytest.raises(ImageNotFound):
            find_in_engines(EngineQuery(f"reg.example.com/app@{OTHER_DIGEST}"), access)


def test_all_tags_are_every_tag_of_the_repository(looker: Looker) -> None:
    images = built("app:v1", "app:v2", "other:v1"), built("localhost/app:v3"), built("team/app:v1")
    found = asked(looker, EngineQuery("app", all_tags=True), *images)
    assert [names(one) for one in found] == [["app:v1", "app:v2"], ["localhost/app:v3"]]
    assert [one.label for one in found] == ["app:v1", "localhost/app:v3"]


def test_all_tags_and_a_tag_exclude_each_other(looker: Looker) -> None:
    with pytest.raises(UsageError):
        asked(looker, EngineQuery("app:v1", all_tags=True), built("app:v1"))


def test_docker_is_asked_before_podman_and_a_transport_asks_one_alone(looker: Looker) -> None:
    (looker.home / "run").mkdir()
    docker, podman = built("app:v1", layers=("docker",)), built("app:v1", layers=("podman",))
    with (
        EngineApiServer(looker.home / "run" / "docker.sock", [docker]),
        EngineApiServer(looker.home / "s", [podman]) as server,
        looker.access(CONTAINER_HOST=server.host) as access,
    ):

        def found(transport: str) -> str:
            (one,) = find_in_engines(EngineQuery("app:v1", transport), access)
            return str(one.image_id)

        assert found("") == found("docker-daemon") == docker.id
        assert found("podman") == podman.id
        with pytest.raises(ImageNotFound):
            find_in_engines(EngineQuery(podman.id, "docker-daemon"), access)


def test_what_can_be_no_name_is_not_looked_for(looker: Looker) -> None:
    with looker.access() as access, pytest.raises(ImageNotFound, match="lower case"):
        find_in_engines(EngineQuery("Archive.tar"), access)


# -- names


def test_a_digest_is_spelled_in_all_ways() -> None:
    name = Reference("", "app", digest=Digest.parse(DIGEST))
    assert spellings(name) == (
        f"app@{DIGEST}",
        f"localhost/app@{DIGEST}",
        f"docker.io/library/app@{DIGEST}",
    )
    assert spellings(Reference.parse("reg.example.com/app:v1")) == ("reg.example.com/app:v1",)


@pytest.mark.parametrize(
    ("registry", "left"),
    [(None, ["docker.io/team/app:v1"]), ("index.docker.io", ["app:v1", "docker.io/team/app:v1"])],
)
def test_docker_hub_is_a_registry_like_others(registry: str | None, left: list[str]) -> None:
    tags = [Reference.parse("app:v1"), Reference.parse("docker.io/team/app:v1")]
    assert [str(name) for name in pushed(tags, registry)] == left
