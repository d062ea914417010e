"""Synthetic images: OCI layouts and archives of any shape, the same bytes for the same spec.

    layout = write_layout(tmp_path / "app", [ImageSpec(layers=(1000, 50_000), ref="v1")])
    archive = write_archive(tmp_path / "app.tar", layout, compress="gzip", prefix="./")
    layout.image.digest, layout.image.layers, layout.read(layout.image.layers[0])

Nothing here imports the code under test.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
CONTAINERD_NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"
REFERENCE_TYPE = "vnd.docker.reference.type"
REFERENCE_DIGEST = "vnd.docker.reference.digest"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """One image. A layer is a number of seeded random bytes, or its very content.

    With `real` each layer is a gzipped tar that holds one file of that many bytes, fit to be
    unpacked. `foreign` further layers are named and not stored. `name` becomes
    `io.containerd.image.name`, `ref` becomes `org.opencontainers.image.ref.name`.
    """

    layers: Sequence[int | bytes] = (1000, 2000)
    platform: str | None = "linux/amd64"
    seed: int = 0
    real: bool = False
    foreign: int = 0
    algorithm: str = "sha256"
    docker: bool = False
    name: str = ""
    ref: str = ""


@dataclass(frozen=True, slots=True)
class ArtifactSpec:
    """A manifest whose config is the empty object: something that is no container image."""

    content: bytes = b"an artifact"
    artifact_type: str = "application/vnd.example.thing"
    name: str = ""
    ref: str = ""


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """An index of images, or of further indexes.

    With `attested` each image has an attestation manifest as BuildKit writes it. Without
    `platforms` the descriptors do not say what platform they are for.
    """

    images: Sequence[ImageSpec | ArtifactSpec | IndexSpec] = (
        ImageSpec(),
        ImageSpec(platform="linux/arm64", seed=1),
    )
    attested: bool = False
    platforms: bool = True
    algorithm: str = "sha256"
    docker: bool = False
    name: str = ""
    ref: str = ""


Spec = ImageSpec | ArtifactSpec | IndexSpec


@dataclass(frozen=True, slots=True)
class Built:
    """A manifest or an index as it was written; digests are texts.

    `layers` are base first, without foreign ones; `config` is "" for an index.
    """

    descriptor: Json
    config: str = ""
    layers: tuple[str, ...] = ()
    children: tuple[Built, ...] = ()

    @property
    def digest(self) -> str:
        """The digest of the document itself."""
        return str(self.descriptor["digest"])

    def documents(self) -> Iterator[str]:
        """The digests of all manifests and indexes below, children first, this one last."""
        for child in self.children:
            yield from child.documents()
        yield self.digest

    def blobs(self) -> Iterator[str]:
        """The digests of all configs and layers below; a shared one comes again."""
        for child in self.children:
            yield from child.blobs()
        if self.config:
            yield self.config
        yield from self.layers


@dataclass(frozen=True, slots=True)
class Layout:
    """An OCI layout directory and what it holds."""

    path: Path
    images: tuple[Built, ...] = ()

    @property
    def image(self) -> Built:
        """The only image."""
        (image,) = self.images
        return image

    def blob(self, digest: str) -> Path:
        """The file of one blob."""
        return self.path.joinpath("blobs", *digest.split(":"))

    def read(self, digest: str) -> bytes:
        """The content of one blob."""
        return self.blob(digest).read_bytes()

    def put(self, data: bytes, algorithm: str = "sha256") -> str:
        """Store a blob; its digest."""
        digest = f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
        self.blob(digest).parent.mkdir(parents=True, exist_ok=True)
        self.blob(digest).write_bytes(data)
        return digest

    def put_json(self, value: object, media_type: str, algorithm: str = "sha256") -> Json:
        """Store a document; its descriptor."""
        data = json.dumps(value, separators=(",", ":")).encode()
        return {"mediaType": media_type, "digest": self.put(data, algorithm), "size": len(data)}

    def write_index(self, descriptors: Sequence[Json]) -> None:
        """(Re)write `index.json`."""
        index = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}index.v1+json",
            "manifests": list(descriptors),
        }
        (self.path / "index.json").write_text(json.dumps(index))


def write_layout(path: Path, images: Sequence[Spec] = (ImageSpec(),)) -> Layout:
    """Write an OCI layout at `path`: each of `images` is one entry of its `index.json`."""
    layout = Layout(path)
    (path / "blobs" / "sha256").mkdir(parents=True)
    (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    built = tuple(_write(layout, spec) for spec in images)
    entries = [
        _annotated(image.descriptor, {CONTAINERD_NAME: spec.name, REF_NAME: spec.ref})
        for image, spec in zip(built, images, strict=True)
    ]
    layout.write_index(entries)
    return Layout(path, built)


def write_archive(
    path: Path, layout: Layout | Path, compress: str | None = None, prefix: str = ""
) -> Path:
    """Write `layout` as a tar with `prefix` before each name; `compress`: None, "gzip", "zstd"."""
    root = layout.path if isinstance(layout, Layout) else layout
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in sorted(root.rglob("*")):
            tar.add(file, f"{prefix}{file.relative_to(root)}", recursive=False)
    path.write_bytes(compressed(buffer.getvalue(), compress))
    return path


def compressed(data: bytes, how: str | None) -> bytes:
    """`data` as it is, or by "gzip" or "zstd"."""
    if how == "gzip":
        return gzip.compress(data, 1, mtime=0)
    if how == "zstd":
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        # with a checksum, as the zstd command writes it
        return bytes(zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}))
    return data


def _write(layout: Layout, spec: Spec) -> Built:
    if isinstance(spec, ImageSpec):
        return _write_image(layout, spec)
    if isinstance(spec, ArtifactSpec):
        return _write_artifact(layout, spec)
    return _write_index(layout, spec)


def _write_image(layout: Layout, spec: ImageSpec, layer_type: str = "") -> Built:
    source = random.Random(spec.seed)
    diff_ids: list[str] = []
    layers: list[Json] = []
    for layer in spec.layers:
        data = layer if isinstance(layer, bytes) else source.randbytes(layer)
        raw = _tar_of(data) if spec.real else data
        stored = gzip.compress(raw, 1, mtime=0) if spec.real else raw
        diff_ids.append("sha256:" + hashlib.sha256(raw).hexdigest())
        digest = layout.put(stored, spec.algorithm)
        layers.append(
            {"mediaType": layer_type or _layer_type(spec), "digest": digest, "size": len(stored)}
        )
    foreign = [_foreign(number) for number in range(spec.foreign)]
    config_type = f"{DOCKER}container.image.v1+json" if spec.docker else f"{OCI}config.v1+json"
    config = layout.put_json(_config(spec, diff_ids), config_type, spec.algorithm)
    media_type = (
        f"{DOCKER}distribution.manifest.v2+json" if spec.docker else f"{OCI}manifest.v1+json"
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config,
        "layers": foreign + layers,
    }
    descriptor = layout.put_json(manifest, media_type, spec.algorithm)
    return Built(descriptor, config["digest"], tuple(layer["digest"] for layer in layers))


def _write_artifact(layout: Layout, spec: ArtifactSpec) -> Built:
    config: Json = {
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": layout.put(b"{}"),
        "size": 2,
    }
    layer: Json = {
        "mediaType": "application/octet-stream",
        "digest": layout.put(spec.content),
        "size": len(spec.content),
    }
    media_type = f"{OCI}manifest.v1+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "artifactType": spec.artifact_type,
        "config": config,
        "layers": [layer],
    }
    return Built(layout.put_json(manifest, media_type), config["digest"], (layer["digest"],))


def _write_index(layout: Layout, spec: IndexSpec) -> Built:
    children: list[Built] = []
    descriptors: list[Json] = []
    for image in spec.images:
        child = _write(layout, image)
        children.append(child)
        platform = image.platform if isinstance(image, ImageSpec) and spec.platforms else None
        described = {"platform": _platform(platform)} if platform else {}
        descriptors.append({**child.descriptor, **described})
    if spec.attested:
        for number, subject in enumerate(tuple(children)):
            statement = b'{"_type":"https://in-toto.io/Statement/v0.1","number":%d}' % number
            attestation = _write_image(
                layout,
                ImageSpec(layers=(statement,), platform="unknown/unknown"),
                "application/vnd.in-toto+json",
            )
            children.append(attestation)
            notes = {REFERENCE_TYPE: "attestation-manifest", REFERENCE_DIGEST: subject.digest}
            unknown = {**attestation.descriptor, "platform": _platform("unknown/unknown")}
            descriptors.append(_annotated(unknown, notes))
    media_type = (
        f"{DOCKER}distribution.manifest.list.v2+json" if spec.docker else f"{OCI}index.v1+json"
    )
    index = {"schemaVersion": 2, "mediaType": media_type, "manifests": descriptors}
    return Built(layout.put_json(index, media_type, spec.algorithm), children=tuple(children))


def _layer_type(spec: ImageSpec) -> str:
    return f"{DOCKER}image.rootfs.diff.tar.gzip" if spec.docker else f"{OCI}layer.v1.tar+gzip"


def _foreign(number: int) -> Json:
    return {
        "mediaType": f"{DOCKER}image.rootfs.foreign.diff.tar.gzip",
        "digest": "sha256:" + hashlib.sha256(b"foreign %d" % number).hexdigest(),
        "size": 1_000_000 + number,
        "urls": [f"https://layers.invalid/{number}"],
    }


def _config(spec: ImageSpec, diff_ids: Sequence[str]) -> Json:
    platform = _platform(spec.platform) if spec.platform else {}
    return {**platform, "config": {}, "rootfs": {"type": "layers", "diff_ids": list(diff_ids)}}


def _platform(text: str) -> Json:
    return dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))


def _annotated(descriptor: Json, annotations: dict[str, str]) -> Json:
    present = {key: value for key, value in annotations.items() if value}
    return {**descriptor, "annotations": present} if present else descriptor


def _tar_of(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(f"data-{hashlib.sha256(data).hexdigest()[:12]}")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
