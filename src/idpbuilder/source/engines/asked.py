"""What the user asks an engine for: a name, an ID, a digest, a repository with all its tags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from idpbuilder.errors import ImageNotFound, UsageError
from idpbuilder.image import Digest, InvalidValue, Reference
from idpbuilder.image.reference import DEFAULT_TAG
from idpbuilder.source.called import parsed, pushed, repository, same, spellings
from idpbuilder.source.engines.engine import ContainerEngine, Details, Listed
from idpbuilder.source.files import listed

_ID = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})\Z")


@dataclass(frozen=True, slots=True)
class EngineQuery:
    """An image that is asked for: `text` is IMAGE as typed, its `transport` (`docker-daemon`,
    `podman` or "") taken off.

    `all_tags`: every tag of the repository `text`.
    """

    text: str
    transport: str = ""
    all_tags: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """An image that is what was asked for, and the names that it is pushed under."""

    label: str
    names: tuple[Reference, ...]
    details: Details


class Question:
    """A query, understood.

    `registry` (`host[:port]`) is where the image will go, None where that is its own name's; it
    matters only to an image that is named by its ID. Raises ImageNotFound for what can be no
    image's name, UsageError for a tag beside `all_tags`.
    """

    def __init__(self, query: EngineQuery, registry: str | None) -> None:
        self._query = query
        self._registry = registry
        self._id = _ID.match(query.text)
        self._name = self._parsed()
        self.near: tuple[str, ...] = ()
        """Tags that were met and differ from what was asked for in the repository's front part."""

    def matches(self, engine: ContainerEngine) -> tuple[Match, ...]:
        """The images of `engine` that are meant. Raises EngineTrouble, and ImageNotFound where an
        ID is the beginning of several.
        """
        if self._query.all_tags:
            return self._whole_repository(engine)
        found = self._directly(engine) or self._by_the_list(engine)
        if found is None:
            return ()
        return (Match(self._query.text, self._names(found), found),)

    def _parsed(self) -> Reference | None:
        text = self._query.text
        try:
            name = Reference.parse(text)
        except InvalidValue as error:
            if self._id:
                return None
            raise ImageNotFound(
                f"no such image `{text}`", str(error), "name an image, or a path as `./PATH`"
            ) from error
        if self._query.all_tags:
            if name.tag or name.digest:
                raise UsageError(
                    f"`{text}` and `--all-tags` exclude each other",
                    "all tags of a repository are pushed",
                    f"name the repository alone: `{name.name}`",
                )
            return name
        return name if name.digest else replace(name, tag=name.tag or DEFAULT_TAG)

    # -- one image

    def _directly(self, engine: ContainerEngine) -> Details | None:
        # podman takes `app` for `registry.example.com/team/app`, too: every answer is looked at
        texts: Iterable[str] = (self._query.text,)
        if self._name is not None and self._name.digest:
            texts = spellings(self._name)
        for text in texts:
            found = engine.inspect(text)
            if found is not None and self._is_meant(found):
                return found
        return None

    def _is_meant(self, found: Details) -> bool:
        if self._name is not None and self._has_name(found, self._name):
            return True
        return bool(self._id and found.id.encoded.startswith(self._id[1]))

    def _has_name(self, found: Details, name: Reference) -> bool:
        tags = parsed(found.tags)
        if name.digest is None:
            return any(same(tag, name) for tag in tags)
        if found.id == name.digest:
            return any(repository(tag) == repository(name) for tag in tags)
        return any(
            one is not None and one.digest == name.digest and repository(one) == repository(name)
            for one in map(_reference, found.digests)
        )

    def _by_the_list(self, engine: ContainerEngine) -> Details | None:
        """The image by the whole list, for names in the engine's own spelling and ambiguous IDs."""
        if self._name is not None and self._name.digest:
            return None
        images = engine.images()
        by_name = [one for one in images if self._is_called(one)]
        by_id = [one for one in images if self._id and one.id.encoded.startswith(self._id[1])]
        ids = list(dict.fromkeys(one.id for one in by_name or by_id))
        if len(ids) > 1:
            raise self._ambiguous(ids)
        if not ids:
            self.near += self._nearly(images)
            return None
        found = engine.inspect_all(ids)
        return found[0] if found else None

    def _is_called(self, image: Listed) -> bool:
        name = self._name
        return name is not None and any(same(tag, name) for tag in parsed(image.tags))

    def _nearly(self, images: Sequence[Listed]) -> tuple[str, ...]:
        if self._name is None:
            return ()
        last = self._name.repository.rpartition("/")[2]
        tags = [tag for image in images for tag in parsed(image.tags)]
        return tuple(str(tag) for tag in tags if tag.repository.rpartition("/")[2] == last)

    def _ambiguous(self, ids: Sequence[Digest]) -> ImageNotFound:
        return ImageNotFound(
            f"`{self._query.text}` is ambiguous",
            "the engine has several such images",
            f"name one of them by its whole ID: {listed(str(one) for one in ids)}",
        )

    def _names(self, found: Details) -> tuple[Reference, ...]:
        name = self._name
        if name is not None and self._has_name(found, name):
            if name.digest is None:
                return (name,)
            # a digest is no tag to push under, but the image may have one in that repository
            return tuple(tag for tag in parsed(found.tags) if repository(tag) == repository(name))
        return pushed(parsed(found.tags), self._registry)

    # -- a repository

    def _whole_repository(self, engine: ContainerEngine) -> tuple[Match, ...]:
        name = self._name
        if name is None:
            return ()
        by_id: dict[Digest, list[Reference]] = {}
        for image in engine.images():
            tags = [tag for tag in parsed(image.tags) if repository(tag) == repository(name)]
            if tags:
                by_id.setdefault(image.id, []).extend(tags)
        images = engine.inspect_all(list(by_id))
        return tuple(
            Match(str(by_id[one.id][0]), tuple(dict.fromkeys(by_id[one.id])), one)
            for one in images
            if one.id in by_id
        )


def _reference(text: str) -> Reference | None:
    try:
        return Reference.parse(text)
    except InvalidValue:
        return None
