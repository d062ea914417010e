"""Media types of layers (OCI image specification, layer.md; Docker's image manifest, schema 2)."""

from __future__ import annotations

_OCI = "application/vnd.oci.image.layer.v1.tar"
_DOCKER = "application/vnd.docker.image.rootfs.diff.tar"
_COMPRESSIONS = {
    _OCI: "",
    f"{_OCI}+gzip": "gzip",
    f"{_OCI}+zstd": "zstd",
    _DOCKER: "",
    f"{_DOCKER}.gzip": "gzip",
    f"{_DOCKER}.zstd": "zstd",
}
RAW_DOCKER_LAYER = _DOCKER


def layer_compression(media_type: str) -> str | None:
    """How a layer of this type is compressed: `gzip`, `zstd` or "" for not at all.

    None where the type is no layer's that is uploaded: of an attestation, an artifact, or foreign.
    """
    return _COMPRESSIONS.get(media_type)


def layer_type(media_type: str, compression: str) -> str:
    """The type of the same layer, compressed by `compression`: `gzip`, `zstd`, else not at all.

    What is Docker's stays Docker's as long as Docker has a name for it: it has none for zstd.
    """
    if media_type.startswith(_DOCKER) and compression != "zstd":
        return f"{_DOCKER}.gzip" if compression == "gzip" else _DOCKER
    return f"{_OCI}+{compression}" if compression in ("gzip", "zstd") else _OCI
