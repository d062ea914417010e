"""Manifests and indexes: what they say, and what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idpbuilder.image import Digest, Index, InvalidValue, Manifest, Platform, parse_document
from idpbuilder.image.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    parse_descriptor,
)

LAYER = {
    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
    "digest": str(Digest.of(b"layer")),
    "size": 5,
}
CONFIG = {
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": str(Digest.of(b"config")),
    "size": 6,
}
MANIFEST: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": OCI_MANIFEST,
    "config": CONFIG,
    "layers": [LAYER],
}
CHILD = {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(b"child")), "size": 5}
INDEX: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [CHILD]}


def parse(value: object, media_type: str = "") -> Manifest | Index:
    return parse_document(json.dumps(value).encode(), media_type)


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_a_manifest_has_a_config_and_layers(media_type: str) -> None:
    manifest = parse({**MANIFEST, "mediaType": media_type})
    assert isinstance(manifest, Manifest)
    assert manifest.media_type == media_type
    assert manifest.config.digest == Digest.of(b"config")
    assert [layer.size for layer in manifest.layers] == [5]


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_an_index_has_manifests_with_platforms(media_type: str) -> None:
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    child = {**CHILD, "platform": platform, "annotations": {"a": "b", "c": 7}}
    index = parse({**INDEX, "mediaType": media_type, "manifests": [child]})
    assert isinstance(index, Index)
    assert index.manifests[0].platform == Platform("linux", "arm64")
    assert index.manifests[0].annotation("a") == "b"
    assert index.manifests[0].annotation("c") is None


def test_without_a_media_type_of_its_own_a_document_is_what_its_descriptor_says() -> None:
    bare = {key: value for key, value in MANIFEST.items() if key != "mediaType"}
    assert parse(bare, DOCKER_MANIFEST).media_type == DOCKER_MANIFEST


def test_without_any_media_type_the_content_tells_a_manifest_from_an_index() -> None:
    assert isinstance(parse({"config": CONFIG, "layers": []}), Manifest)
    assert isinstance(parse({"manifests": []}), Index)


def test_a_document_that_is_not_what_its_descriptor_says_is_refused() -> None:
    with pytest.raises(InvalidValue, match="where it is called"):
        parse(MANIFEST, OCI_INDEX)


def test_subject_and_artifact_type_are_kept() -> None:
    manifest = parse({**MANIFEST, "subject": CHILD, "artifactType": "application/x"})
    assert manifest.subject is not None
    assert manifest.subject.digest == Digest.of(b"child")
    assert manifest.artifact_type == "application/x"


@pytest.mark.parametrize(
    "layer",
    [
        {**LAYER, "urls": ["https://layers.invalid/1"]},
        {**LAYER, "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"},
        {**LAYER, "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar"},
    ],
)
def test_a_layer_that_is_fetched_from_elsewhere_is_foreign(layer: dict[str, Any]) -> None:
    assert parse_descriptor(layer, "layer").foreign
    assert not parse_descriptor(LAYER, "layer").foreign


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"mediaType": 7}',
        b'{"mediaType": "application/vnd.docker.distribution.manifest.v1+prettyjws"}',
        b'{"mediaType": "application/octet-stream"}',
        b'{"schemaVersion": 1, "fsLayers": []}',
        b'{"config": {}}',
        b'{"manifests": {}}',
        b'{"manifests": [7]}',
        b'{"size": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidValue):
        parse_document(data)


@pytest.mark.parametrize(
    "change",
    [
        {"size": -1},
        {"size": 1.0},
        {"size": float("nan")},
        {"size": True},
        {"size": "5"},
        {"size": None},
        {"size": 2**63},
        {"digest": None},
        {"digest": "sha256:../x"},
        {"mediaType": ""},
        {"mediaType": None},
    ],
)
def test_what_is_no_descriptor_is_refused(change: dict[str, Any]) -> None:
    for broken in (
        {**MANIFEST, "config": {**CONFIG, **change}},
        {**MANIFEST, "layers": [{**LAYER, **change}]},
        {**INDEX, "manifests": [{**CHILD, **change}]},
        {**MANIFEST, "subject": {**CHILD, **change}},
    ):
        with pytest.raises(InvalidValue):
            parse(broken)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["mediaType", "config", "layers", "manifests", "size", "digest"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON | st.dictionaries(st.sampled_from(sorted(MANIFEST)), _JSON))
def test_parsing_any_json_raises_nothing_but_invalid_value(value: object) -> None:
    try:
        document = parse(value)
    except InvalidValue:
        return
    assert document.media_type


@given(st.binary(max_size=200))
def test_parsing_any_bytes_raises_nothing_but_invalid_value(data: bytes) -> None:
    with pytest.raises(InvalidValue):
        parse_document(data)


@pytest.mark.parametrize("kind", [OCI_INDEX, OCI_MANIFEST])
def test_a_document_that_is_a_manifest_and_an_index_at_once_is_neither(kind: str) -> None:
    both = {"mediaType": kind, "manifests": [], "layers": [], "config": {}}
    with pytest.raises(InvalidValue, match="at once"):
        parse_document(json.dumps(both).encode())
