"""The images that a source lists: their names, and which of them are asked for."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from idpbuilder.errors import ImageInvalid, ImageNotFound
from idpbuilder.image import Descriptor, Index, InvalidValue, Reference
from idpbuilder.image.manifest import REFERENCE_TYPE
from idpbuilder.image.reference import DEFAULT_TAG, check_tag
from idpbuilder.source.called import repository, same
from idpbuilder.source.files import invalid, listed, shown

CONTAINERD_NAME = "io.containerd.image.name"
_REF_NAME = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class Called:
    """What one image of a source is called.

    `spellings` are its names as they are written there. `name` is its full name with a tag, `tag`
    a bare tag without a name; `refused` says why what it is called can be used as neither.
    """

    spellings: tuple[str, ...] = ()
    name: Reference | None = None
    tag: str = ""
    refused: str = ""

    @classmethod
    def of(cls, full: str, called: str = "") -> Called:
        """By its `full` name and by what it is `called`, which may be a name or a bare tag."""
        spellings = tuple(text for text in (full, called) if text)
        bare = called if not _is_name(called) else ""
        try:
            if full or _is_name(called):
                return cls(spellings, _name(full or called, bare))
            if bare:
                check_tag(bare)
            return cls(spellings, tag=bare)
        except InvalidValue as error:
            return cls(spellings, refused=str(error))

    @classmethod
    def by_annotations(cls, descriptor: Descriptor) -> Called:
        """By the annotations of its entry in `index.json`."""
        full, called = (descriptor.annotation(key) or "" for key in (CONTAINERD_NAME, _REF_NAME))
        return cls.of(full, called)

    def has_tag(self, tag: str) -> bool:
        """Whether `tag` is its tag, with a name or without."""
        return tag == (self.name.tag if self.name else self.tag)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image that may be pushed: a descriptor, and all its names."""

    descriptor: Descriptor
    names: tuple[Reference, ...]
    tag: str
    refused: str = ""

    @property
    def nameless(self) -> bool:
        """Whether nothing tells it from its neighbours."""
        return not self.names and not self.tag


def candidates(index: Index, path: str, ref: str) -> tuple[Candidate, ...]:
    """The images of `index`, each digest once; with `ref`, the one it names.

    Raises ImageNotFound, or ImageInvalid where `ref` is ambiguous or no name to push under.
    """
    # at the top level an attestation is nobody's image: the index of its image names it again
    listed_there = [one for one in index.manifests if one.annotation(REFERENCE_TYPE) is None]
    entries = [(one, Called.by_annotations(one)) for one in listed_there]
    if ref:
        names, keys = [called for _, called in entries], [one.digest for one, _ in entries]
        entries = [entries[number] for number in picked(names, keys, path, ref)]
    found: dict[str, Candidate] = {}
    for descriptor, called in entries:
        key = str(descriptor.digest)
        names_here = (called.name,) if called.name else ()
        known = found.get(key)
        if known is None:
            found[key] = Candidate(descriptor, names_here, called.tag, called.refused)
            continue
        _check_size(known.descriptor, descriptor, path)
        merged = tuple(dict.fromkeys(known.names + names_here))
        found[key] = Candidate(
            known.descriptor, merged, known.tag or called.tag, known.refused or called.refused
        )
    if not found:
        raise invalid(path, "its `index.json` lists no image")
    return tuple(found.values())


def picked(
    entries: Sequence[Called], keys: Sequence[Hashable], path: str, ref: str
) -> tuple[int, ...]:
    """Which of `entries` are the image that `ref` names: their places.

    `keys` tell for each entry whose name it is. `ref` is a name as it is written there, a tag, a
    name that means the same (`app:v1` for `docker.io/library/app:v1`), a name whose tag is left
    out, or `@N` for the N-th image, from 0. Raises ImageNotFound, or ImageInvalid where `ref` is
    ambiguous or no name to push under.
    """
    there = [text for entry in entries for text in entry.spellings]
    found = _matching(entries, keys, ref)
    if not found:
        hint = f"there is {listed(there)}" if there else "no image in it has a name"
        raise ImageNotFound(f"no image `{ref}` in {shown(path)}", hint=hint)
    if len({keys[number] for number in found}) > 1:
        hint = f"there is {listed(there)}"
        raise ImageInvalid(f"{shown(path)} has several images `{ref}`", hint=hint)
    for number in found:
        # by its place an image can be had whatever it is called
        if entries[number].refused and not ref.startswith("@"):
            raise ImageInvalid(
                f"`{ref}` in {shown(path)} has no name to push under",
                entries[number].refused,
                "give the image another name in its source",
            )
    return found


def _matching(entries: Sequence[Called], keys: Sequence[Hashable], ref: str) -> tuple[int, ...]:
    found = tuple(place for place, entry in enumerate(entries) if ref in entry.spellings)
    found = found or tuple(place for place, entry in enumerate(entries) if entry.has_tag(ref))
    return found or _with_name(entries, ref) or _at_place(keys, ref)


def _with_name(entries: Sequence[Called], ref: str) -> tuple[int, ...]:
    try:
        asked = Reference.parse(ref)
    except InvalidValue:
        return ()
    whole = replace(asked, tag=asked.tag or DEFAULT_TAG)
    names = [(place, entry.name) for place, entry in enumerate(entries) if entry.name]
    found = tuple(place for place, name in names if same(name, whole))
    if not found and not asked.tag:
        found = tuple(place for place, name in names if repository(name) == repository(asked))
    return found


def _at_place(keys: Sequence[Hashable], ref: str) -> tuple[int, ...]:
    number = ref.removeprefix("@")
    images = tuple(dict.fromkeys(keys))
    if number == ref or not (number.isascii() and number.isdigit() and len(number) < 10):
        return ()
    if int(number) >= len(images):
        return ()
    return tuple(place for place, key in enumerate(keys) if key == images[int(number)])


def _check_size(one: Descriptor, other: Descriptor, path: str) -> None:
    if one.size != other.size:
        why = f"{one.digest} is announced with {one.size} and {other.size} bytes"
        raise invalid(path, why)


def _is_name(text: str) -> bool:
    return ":" in text or "/" in text


def _name(text: str, tag: str) -> Reference | None:
    # containerd writes the tag a second time, alone; a name by digest has no tag to push under
    reference = Reference.parse(text)
    if not reference.tag and reference.digest is not None:
        return None
    if not reference.tag and tag:
        check_tag(tag)
    return replace(reference, tag=reference.tag or tag or DEFAULT_TAG, digest=None)
