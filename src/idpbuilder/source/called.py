"""What images are called: which names are one name, and which of them are pushed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from idpbuilder.errors import ImageNotFound
from idpbuilder.image import InvalidValue, Reference
from idpbuilder.image.reference import is_docker_hub
from idpbuilder.source.model import SourceImage

_LIBRARY = "library/"


def parsed(tags: Iterable[str]) -> tuple[Reference, ...]:
    """The tags of an image that are names, in their order."""
    found = []
    for text in tags:
        try:
            name = Reference.parse(text)
        except InvalidValue:
            # engines have taken more than registries do
            continue
        if name.tag:
            found.append(name)
    return tuple(found)


def repository(name: Reference) -> tuple[str, str]:
    """Registry and repository as a user means them, whichever engine wrote them.

    podman writes `app` as `localhost/app` or `docker.io/library/app`.
    """
    registry = name.local_name_dropped().registry.lower()
    if is_docker_hub(registry) or not registry:
        return "", name.repository.removeprefix(_LIBRARY)
    return registry, name.repository


def same(one: Reference, other: Reference) -> bool:
    """Whether both are one name with one tag."""
    return one.tag == other.tag and repository(one) == repository(other)


def spellings(name: Reference) -> tuple[str, ...]:
    """All ways in which engines may write `name`, its own first."""
    registry, path = repository(name)
    if registry:
        return (str(name),)
    rest = str(name)[len(name.name) :]
    hub = path if "/" in path else _LIBRARY + path
    return tuple(dict.fromkeys([f"{name}", f"localhost/{path}{rest}", f"docker.io/{hub}{rest}"]))


def pushed(names: Iterable[Reference], registry: str | None) -> tuple[Reference, ...]:
    """Those of an image's names that it is pushed under, when it was not named by one of them.

    With a `registry` (`host[:port]`) names of another are left out, without one the unqualified
    where there are qualified ones.
    """
    found = tuple(names)
    if registry:
        return tuple(
            name
            for name in found
            if not _qualified(name) or _same_registry(name.registry, registry)
        )
    return tuple(name for name in found if _qualified(name)) or found


def in_repository(
    images: tuple[SourceImage, ...], text: str, source: str
) -> tuple[SourceImage, ...]:
    """Those of `images` that have a name in the repository `text`, with those names alone.

    Raises ImageNotFound where there is none in `source`.
    """
    try:
        wanted = repository(Reference.parse(text))
    except InvalidValue as error:
        raise ImageNotFound(
            f"no image `{text}` in `{source}`", str(error), "name a repository, without a tag"
        ) from error
    found = []
    for image in images:
        names = tuple(name for name in image.names if repository(name) == wanted)
        if names:
            found.append(replace(image, names=names, label=str(names[0])))
    if not found:
        raise ImageNotFound(
            f"no image of `{text}` in `{source}`", hint="name a repository that has tags there"
        )
    return tuple(found)


def _qualified(name: Reference) -> bool:
    if is_docker_hub(name.registry):
        return not name.repository.startswith(_LIBRARY)
    return bool(name.local_name_dropped().registry)


def _same_registry(one: str, other: str) -> bool:
    return one.lower() == other.lower() or (is_docker_hub(one) and is_docker_hub(other))
