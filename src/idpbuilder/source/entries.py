"""The images that an `index.json` lists: their names, and which of them are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from idpbuilder.errors import ImageInvalid, ImageNotFound
from idpbuilder.image import Descriptor, Index, InvalidValue, Reference
from idpbuilder.image.reference import check_tag
from idpbuilder.source.files import invalid, listed

_CONTAINERD_NAME = "io.containerd.image.name"
_REF_NAME = "org.opencontainers.image.ref.name"
_REFERENCE_TYPE = "vnd.docker.reference.type"
_DEFAULT_TAG = "latest"


@dataclass(frozen=True, slots=True)
class Entry:
    """One descriptor of `index.json`.

    `name` is its full name with a tag, `tag` a bare tag without a name; `refused` says why what
    it is called can be used as neither.
    """

    descriptor: Descriptor
    name: Reference | None = None
    tag: str = ""
    refused: str = ""

    @classmethod
    def of(cls, descriptor: Descriptor) -> Entry:
        """The entry with the name that its annotations give it."""
        called = descriptor.annotation(_REF_NAME) or ""
        full = descriptor.annotation(_CONTAINERD_NAME) or ""
        bare = called if not _is_name(called) else ""
        try:
            if full or _is_name(called):
                return cls(descriptor, _name(full or called, bare))
            if bare:
                check_tag(bare)
            return cls(descriptor, tag=bare)
        except InvalidValue as error:
            return cls(descriptor, refused=str(error))

    @property
    def spellings(self) -> tuple[str, ...]:
        """What it is called, as it is written in its annotations."""
        keys = (_CONTAINERD_NAME, _REF_NAME)
        return tuple(text for key in keys if (text := self.descriptor.annotation(key)))

    def has_tag(self, tag: str) -> bool:
        """Whether `tag` is its tag, with a name or without."""
        return tag == (self.name.tag if self.name else self.tag)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image that may be pushed: a descriptor, and all its names."""

    descriptor: Descriptor
    names: tuple[Reference, ...]
    tag: str

    @property
    def nameless(self) -> bool:
        """Whether nothing tells it from its neighbours."""
        return not self.names and not self.tag


def candidates(index: Index, path: str, ref: str) -> tuple[Candidate, ...]:
    """The images of `index`, each digest once; with `ref`, the one it names.

    Raises ImageNotFound, or ImageInvalid where `ref` is ambiguous or no name to push under.
    """
    # at the top level an attestation is nobody's image: the index of its image names it again
    entries = [Entry.of(one) for one in index.manifests if one.annotation(_REFERENCE_TYPE) is None]
    if ref:
        entries = _picked(entries, path, ref)
    found: dict[str, Candidate] = {}
    for entry in entries:
        key = str(entry.descriptor.digest)
        names = (entry.name,) if entry.name else ()
        known = found.get(key)
        if known is None:
            found[key] = Candidate(entry.descriptor, names, entry.tag)
            continue
        _check_size(known.descriptor, entry.descriptor, path)
        merged = tuple(dict.fromkeys(known.names + names))
        found[key] = Candidate(known.descriptor, merged, known.tag or entry.tag)
    if not found:
        raise invalid(path, "its `index.json` lists no image")
    return tuple(found.values())


def _picked(entries: Sequence[Entry], path: str, ref: str) -> list[Entry]:
    picked = [entry for entry in entries if ref in entry.spellings]
    picked = picked or [entry for entry in entries if entry.has_tag(ref)]
    there = [text for entry in entries for text in entry.spellings]
    if not picked:
        hint = f"there is {listed(there)}" if there else "no image in it has a name"
        raise ImageNotFound(f"no image `{ref}` in `{path}`", hint=hint)
    if len({entry.descriptor.digest for entry in picked}) > 1:
        hint = f"there is {listed(there)}"
        raise ImageInvalid(f"`{path}` has several images `{ref}`", hint=hint)
    for entry in picked:
        if entry.refused:
            raise ImageInvalid(
                f"`{ref}` in `{path}` has no name to push under",
                entry.refused,
                "give the image another name in its source",
            )
    return picked


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
    return replace(reference, tag=reference.tag or tag or _DEFAULT_TAG, digest=None)
