"""Which manifest of an image serves the platform that was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from idpbuilder.errors import PlatformNotFound
from idpbuilder.image import Descriptor, Digest, Index, InvalidValue, Manifest, Platform
from idpbuilder.image.manifest import (
    CONFIG_LIMIT,
    INDEX_TYPES,
    MANIFEST_TYPES,
    REFERENCE_TYPE,
    parse_object,
)
from idpbuilder.source.files import listed, shown
from idpbuilder.source.tree import Tree

_DEPTH_LIMIT = 8


def choose(tree: Tree, roots: Iterable[Descriptor], platform: Platform) -> Descriptor:
    """The manifest at or below one of `roots` that serves `platform` best, the first among equals.

    Manifests of other platforms may be missing. Raises PlatformNotFound, which lists what there
    is, and ImageInvalid.
    """
    seen: set[Digest] = set()
    offered = [one for root in roots for one in _offered(tree, root, 0, seen)]
    best = max(offered, key=lambda one: platform.offered_by(one[1]), default=None)
    if best is None or not platform.offered_by(best[1]):
        there = [str(other) for _, other in offered if other is not None]
        raise PlatformNotFound(
            f"{shown(tree.path)} has no image for `{platform}`",
            hint=f"there is {listed(there)}" if there else "it names no platform",
        )
    return best[0]


def platforms(tree: Tree, root: Descriptor) -> tuple[Platform, ...]:
    """The platforms at and below `root`, in the order in which it names them, each once."""
    offered = [platform for _, platform in _offered(tree, root, 0, set())]
    known = [one for one in offered if one is not None and one.os != "unknown"]
    return tuple(dict.fromkeys(known))


def _offered(
    tree: Tree, descriptor: Descriptor, depth: int, seen: set[Digest]
) -> Iterator[tuple[Descriptor, Platform | None]]:
    if descriptor.digest in seen:
        # an index that names others a thousand times, eight deep, would be searched for ever
        return
    seen.add(descriptor.digest)
    document = tree.document(descriptor)
    if document is None:
        return
    if isinstance(document.content, Manifest):
        yield descriptor, _platform(tree, document.content)
        return
    for child in document.content.manifests:
        if child.annotation(REFERENCE_TYPE) is not None:
            continue
        if child.media_type in INDEX_TYPES and depth < _DEPTH_LIMIT:
            yield from _offered(tree, child, depth + 1, seen)
        elif child.media_type in MANIFEST_TYPES:
            yield child, child.platform or _platform_below(tree, child)


def _platform_below(tree: Tree, descriptor: Descriptor) -> Platform | None:
    document = tree.document(descriptor)
    if document is None or isinstance(document.content, Index):
        return None
    return _platform(tree, document.content)


def _platform(tree: Tree, manifest: Manifest) -> Platform | None:
    if manifest.config.size > CONFIG_LIMIT:
        return None
    config = tree.content(manifest.config, CONFIG_LIMIT)
    try:
        return Platform.of(parse_object(config)) if config is not None else None
    except InvalidValue:
        # the config of an artifact may be anything
        return None
