"""Media types of layers."""

from __future__ import annotations

import pytest

from idpbuilder.image.layer import layer_compression, layer_type

OCI = "application/vnd.oci.image.layer.v1.tar"
DOCKER = "application/vnd.docker.image.rootfs.diff.tar"


@pytest.mark.parametrize("was", ["", "+gzip", "+zstd"])
@pytest.mark.parametrize(("kind", "ending"), [("none", ""), ("gzip", "+gzip"), ("zstd", "+zstd")])
def test_an_oci_layer_stays_one(was: str, kind: str, ending: str) -> None:
    assert layer_compression(OCI + was) == was.removeprefix("+")
    assert layer_type(OCI + was, kind) == OCI + ending


@pytest.mark.parametrize("was", ["", ".gzip", ".zstd"])
def test_a_docker_layer_stays_one_but_for_zstd(was: str) -> None:
    assert layer_compression(DOCKER + was) == was.removeprefix(".")
    assert layer_type(DOCKER + was, "none") == DOCKER
    assert layer_type(DOCKER + was, "gzip") == DOCKER + ".gzip"
    assert layer_type(DOCKER + was, "zstd") == OCI + "+zstd"


@pytest.mark.parametrize(
    "media_type",
    ["", "application/vnd.in-toto+json", "application/vnd.docker.image.rootfs.foreign.diff.tar"],
)
def test_what_is_no_layer_has_no_compression(media_type: str) -> None:
    assert layer_compression(media_type) is None
