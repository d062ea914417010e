"""Where an image goes: `--to`, else the registry prefix, else the image's own name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from idpbuilder.errors import UsageError
from idpbuilder.image import InvalidValue, Reference
from idpbuilder.image.reference import (
    DEFAULT_TAG,
    DOCKER_HUB,
    check_registry,
    check_repository,
    is_docker_hub,
)

if TYPE_CHECKING:
    # to read a flag's value, no source need be loaded
    from idpbuilder.source import SourceImage

_NO_DESTINATION = (
    "name a registry with `--registry HOST[/NAMESPACE]` or IDPBUILDER_REGISTRY_URL, "
    "a full destination with `--to`, or give the image a qualified tag"
)


@dataclass(frozen=True, slots=True)
class Prefix:
    """`[http://|https://]host[:port][/namespace…]`; `scheme` is "" where none is written."""

    scheme: str
    registry: str
    namespace: str

    @classmethod
    def parse(cls, text: str) -> Prefix:
        """The prefix that `text` spells. Raises InvalidValue."""
        scheme, separator, rest = text.partition("://")
        if not separator:
            scheme, rest = "", text
        elif scheme not in ("http", "https"):
            raise InvalidValue(f"`{text}` has a scheme other than http and https")
        if rest.startswith("/"):
            raise InvalidValue("it begins with a slash")
        registry, _, namespace = rest.rstrip("/").partition("/")
        check_registry(registry)
        if namespace:
            check_repository(namespace, registry)
        return cls(scheme, registry, namespace)


@dataclass(frozen=True, slots=True)
class Destination:
    """A reference with a registry, a tag or a digest; `scheme` if the user fixed it, else ""."""

    reference: Reference
    scheme: str = ""


def destinations(
    image: SourceImage, to: Iterable[Reference], prefix: Prefix | None
) -> tuple[Destination, ...]:
    """Where `image` goes, each place once. Raises UsageError where nothing says where."""
    explicit = tuple(to)
    if explicit:
        found = [_explicit(reference, image) for reference in explicit]
    elif not image.names:
        raise UsageError(
            f"`{image.label}` has no destination",
            image.refused or "the image has no name of its own",
            "name it with `--to`",
        )
    elif prefix is not None:
        found = [_below(prefix, name) for name in image.names]
    else:
        found = [_own(name) for name in image.names]
    return tuple(dict.fromkeys(found))


def _explicit(reference: Reference, image: SourceImage) -> Destination:
    reference = _normal(reference)
    if not reference.tag and reference.digest is None:
        tags = [name.tag for name in image.names if name.tag]
        reference = replace(reference, tag=image.tag or (tags[0] if tags else DEFAULT_TAG))
    return Destination(reference)


def _below(prefix: Prefix, name: Reference) -> Destination:
    path = name.repository
    if is_docker_hub(name.registry) and path.startswith("library/"):
        path = path.removeprefix("library/")
    repository = f"{prefix.namespace}/{path}" if prefix.namespace else path
    try:
        check_repository(repository, prefix.registry)
    except InvalidValue as error:
        raise UsageError("the destination is no valid name", str(error)) from error
    reference = _normal(Reference(prefix.registry, repository, name.tag or DEFAULT_TAG))
    return Destination(reference, prefix.scheme)


def _own(name: Reference) -> Destination:
    if is_docker_hub(name.registry) and name.repository.startswith("library/"):
        # podman writes a single component this way: to its user it is still `myapp`
        name = replace(name, registry="", repository=name.repository.removeprefix("library/"))
    name = name.local_name_dropped()
    if not name.registry and "/" not in name.repository:
        raise UsageError(
            f"`{name}` has no destination", "its name has no registry", _NO_DESTINATION
        )
    return Destination(replace(_normal(name), tag=name.tag or DEFAULT_TAG))


def _normal(reference: Reference) -> Reference:
    if reference.registry and not is_docker_hub(reference.registry):
        return reference
    repository = reference.repository
    if "/" not in repository:
        repository = f"library/{repository}"
    return replace(reference, registry=DOCKER_HUB, repository=repository)
