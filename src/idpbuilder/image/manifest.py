"""Descriptors, manifests and indexes, OCI and Docker schema 2 (OCI image specification 1.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from idpbuilder.image.digest import Digest
from idpbuilder.image.invalid import InvalidValue
from idpbuilder.image.platform import Platform

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFEST_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
DOCUMENT_LIMIT = 4 * 1024 * 1024
"""Bytes of the largest manifest or index that is read or sent: what every registry must take."""
CONFIG_LIMIT = 8 * 1024 * 1024
"""Bytes of the largest image config that is read."""
REFERENCE_TYPE = "vnd.docker.reference.type"
"""The annotation of what stands in an index beside its images and is none: an attestation."""
_SIZE_LIMIT = 2**63
"""Sizes are int64 (OCI image specification, descriptor.md, Properties)."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A typed pointer at content: what it is, its digest and its size in bytes."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    urls: tuple[str, ...] = ()

    def annotation(self, key: str) -> str | None:
        """The value of one annotation."""
        return dict(self.annotations).get(key)

    @property
    def foreign(self) -> bool:
        """Whether the content is fetched from elsewhere and not uploaded."""
        return (
            bool(self.urls)
            or ".foreign." in self.media_type
            or ".nondistributable." in self.media_type
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image: its config and its layers, base first."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Index:
    """A list of manifests, or of further indexes."""

    media_type: str
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: tuple[tuple[str, str], ...] = ()


def parse_object(data: bytes) -> dict[str, object]:
    """`data` as one JSON object. Raises InvalidValue."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidValue("is not JSON") from error
    if not isinstance(value, dict):
        raise InvalidValue("is not a JSON object")
    return value


def parse_document(data: bytes, media_type: str = "") -> Manifest | Index:
    """The manifest or index in `data`.

    `media_type` is what the descriptor calls it; the document's own `mediaType` must be the
    same where both are given. Raises InvalidValue.
    """
    value = parse_object(data)
    own = value.get("mediaType", "")
    if not isinstance(own, str):
        raise InvalidValue("has a `mediaType` that is not a string")
    if own and media_type and own != media_type:
        raise InvalidValue(f"says it is `{own}` where it is called `{media_type}`")
    if "manifests" in value and ("layers" in value or "config" in value):
        # one reader's index would be another's image, under one digest (CVE-2021-41190)
        raise InvalidValue("is a manifest and an index at once")
    kind = own or media_type or _guess(value)
    if kind in INDEX_TYPES:
        return Index(
            kind,
            _descriptors(value, "manifests"),
            _subject(value),
            _text(value, "artifactType"),
            _annotations(value),
        )
    if kind in MANIFEST_TYPES:
        return Manifest(
            kind,
            parse_descriptor(value.get("config"), "config"),
            _descriptors(value, "layers"),
            _subject(value),
            _text(value, "artifactType"),
            _annotations(value),
        )
    raise InvalidValue(f"is of type `{kind}`, which is neither an image manifest nor an index")


def parse_descriptor(value: object, where: str) -> Descriptor:
    """The descriptor in a decoded JSON `value`; `where` names it in errors. Raises InvalidValue."""
    if not isinstance(value, dict):
        raise InvalidValue(f"has no descriptor at `{where}`")
    media_type, size = value.get("mediaType"), value.get("size")
    if not isinstance(media_type, str) or not media_type:
        raise InvalidValue(f"has no `mediaType` at `{where}`")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < _SIZE_LIMIT:
        raise InvalidValue(f"has no valid `size` at `{where}`")
    try:
        digest = Digest.parse(value.get("digest"))
    except InvalidValue as error:
        raise InvalidValue(f"has no valid `digest` at `{where}`: {error}") from error
    platform, urls = value.get("platform"), value.get("urls")
    return Descriptor(
        media_type,
        digest,
        size,
        Platform.of(platform) if isinstance(platform, dict) else None,
        _annotations(value),
        tuple(url for url in urls if isinstance(url, str)) if isinstance(urls, list) else (),
    )


def _guess(value: Mapping[str, object]) -> str:
    # `mediaType` is optional in OCI documents; what the document holds tells them apart
    if "manifests" in value:
        return OCI_INDEX
    if "config" in value:
        return OCI_MANIFEST
    return ""


def _descriptors(value: Mapping[str, object], key: str) -> tuple[Descriptor, ...]:
    items = value.get(key)
    if not isinstance(items, list):
        raise InvalidValue(f"has no list of `{key}`")
    return tuple(parse_descriptor(item, f"{key}[{number}]") for number, item in enumerate(items))


def _subject(value: Mapping[str, object]) -> Descriptor | None:
    subject = value.get("subject")
    return None if subject is None else parse_descriptor(subject, "subject")


def _text(value: Mapping[str, object], key: str) -> str:
    text = value.get(key)
    return text if isinstance(text, str) else ""


def _annotations(value: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    annotations = value.get("annotations")
    if not isinstance(annotations, dict):
        return ()
    return tuple((key, text) for key, text in annotations.items() if isinstance(text, str))
