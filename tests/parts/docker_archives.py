"""Synthetic archives of `docker save`, in the shape of whoever writes such archives.

    saved = save(tmp_path / "app.tar", [Saved(tags=("app:v1",))], "classic")
    saved.images[0].config, saved.images[0].diff_ids, saved.content(saved.images[0].diff_ids[0])

    members = members_of([Saved()], "podman")     # to be spoiled, and then
    write_tar(tmp_path / "bad.tar", members)

Nothing here imports the code under test.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.parts.images import CONTAINERD_NAME, OCI, REF_NAME, compressed

SHAPES = ("classic", "hybrid", "podman", "kaniko", "bazel")
"""Docker before 25; Docker since 25; podman, buildah and skopeo; kaniko; bazel."""


@dataclass(frozen=True, slots=True)
class Link:
    """A member that stands for another."""

    target: str
    hard: bool = False


Members = dict[str, "bytes | Link"]


@dataclass(frozen=True, slots=True)
class Saved:
    """One image. A layer is a tar with one file of that many seeded bytes, or its very content."""

    layers: Sequence[int | bytes] = (1000, 2000)
    tags: Sequence[str] = ()
    platform: str = "linux/amd64"
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def raw(self) -> list[bytes]:
        """The layers, uncompressed, base first."""
        source = random.Random(self.seed)
        return [
            layer if isinstance(layer, bytes) else tar_with(source.randbytes(layer))
            for layer in self.layers
        ]

    @property
    def diff_ids(self) -> list[str]:
        """The digests of the uncompressed layers, base first."""
        return [digest_of(data) for data in self.raw()]

    def config_bytes(self) -> bytes:
        """The image config."""
        system, _, architecture = self.platform.partition("/")
        value = {
            "architecture": architecture,
            "os": system,
            "config": dict(self.options),
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
        }
        return json.dumps(value).encode()

    @property
    def config(self) -> str:
        """The digest of the image config: the image ID."""
        return digest_of(self.config_bytes())


@dataclass(frozen=True, slots=True)
class SavedArchive:
    """An archive and what was put into it."""

    path: Path
    images: tuple[Saved, ...]

    def content(self, digest: str) -> bytes:
        """The config or the uncompressed layer of this digest."""
        known = {image.config: image.config_bytes() for image in self.images}
        known |= {digest_of(data): data for image in self.images for data in image.raw()}
        return known[digest]


def save(
    path: Path, images: Sequence[Saved], shape: str = "classic", compress: str | None = None
) -> SavedArchive:
    """Write `images` as an archive of one of `SHAPES`; `compress`: None, "gzip", "zstd"."""
    write_tar(path, members_of(images, shape), compress)
    return SavedArchive(path, tuple(images))


def members_of(images: Sequence[Saved], shape: str = "classic") -> Members:
    """The members of such an archive by their names, in order."""
    members: Members = {}
    listed = [_SHAPES[shape](image, members) for image in images]
    if shape == "hybrid":
        members["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
        members["index.json"] = _index(images)
    prefix = "./" if shape == "bazel" else ""
    members[f"{prefix}manifest.json"] = json.dumps(listed).encode()
    return members


def write_tar(path: Path, members: Members, compress: str | None = None) -> Path:
    """Write `members` as a tar; `compress`: None, "gzip", "zstd"."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, Link):
                member.type = tarfile.LNKTYPE if content.hard else tarfile.SYMTYPE
                member.linkname = content.target
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    path.write_bytes(compressed(buffer.getvalue(), compress))
    return path


def digest_of(data: bytes) -> str:
    """The sha256 digest of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar_with(data: bytes) -> bytes:
    """A tar that holds one file of this content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("file")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _item(config: str, image: Saved, layers: Sequence[str]) -> dict[str, Any]:
    return {"Config": config, "RepoTags": list(image.tags) or None, "Layers": list(layers)}


def _classic(image: Saved, members: Members) -> dict[str, Any]:
    names: list[str] = []
    for number, data in enumerate(image.raw()):
        chain = _hex(b"%d %s" % (number, "".join(image.diff_ids[: number + 1]).encode()))
        name = f"{chain}/layer.tar"
        same = [one for one, content in members.items() if content == data and one != name]
        members[f"{chain}/VERSION"] = b"1.0"
        members[f"{chain}/json"] = b"{}"
        members[name] = Link(f"../{same[0]}") if same else data
        names.append(name)
    config = f"{_hex(image.config_bytes())}.json"
    members[config] = image.config_bytes()
    return _item(config, image, names)


def _podman(image: Saved, members: Members) -> dict[str, Any]:
    names: list[str] = []
    for number, data in enumerate(image.raw()):
        name = f"{_hex(data)}.tar"
        members[name] = data
        folder = _hex(b"%d %s" % (number, name.encode()))
        members[f"{folder}/layer.tar"] = Link(f"../{name}")
        members[f"{folder}/VERSION"] = b"1.0"
        names.append(name)
    config = f"{_hex(image.config_bytes())}.json"
    members[config] = image.config_bytes()
    return _item(config, image, names)


def _kaniko(image: Saved, members: Members) -> dict[str, Any]:
    config = image.config
    members[config] = image.config_bytes()
    names: list[str] = []
    for data in image.raw():
        packed = compressed(data, "gzip")
        name = f"{_hex(packed)}.tar.gz"
        members[name] = packed
        names.append(name)
    return _item(config, image, names)


def _bazel(image: Saved, members: Members) -> dict[str, Any]:
    # names tell nothing of the compression, and what repeats is a hard link
    config = f"{_hex(image.config_bytes())}.json"
    members[f"./{config}"] = image.config_bytes()
    names: list[str] = []
    for number, data in enumerate(image.raw()):
        packed = compressed(data, "gzip" if number % 2 else None)
        name = f"{_hex(b'%d %s' % (number, packed))}/layer.tar"
        same = [one for one, content in members.items() if content == packed]
        members.setdefault(f"./{name}", Link(same[0], hard=True) if same else packed)
        names.append(name)
    return _item(config, image, names)


def _hybrid(image: Saved, members: Members) -> dict[str, Any]:
    for data in (*image.raw(), image.config_bytes(), _oci_manifest(image)):
        members[_blob(data)] = data
    return _item(_blob(image.config_bytes()), image, [_blob(data) for data in image.raw()])


def _oci_manifest(image: Saved) -> bytes:
    value = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}manifest.v1+json",
        "config": _descriptor(f"{OCI}config.v1+json", image.config_bytes()),
        "layers": [_descriptor(f"{OCI}layer.v1.tar", data) for data in image.raw()],
    }
    return json.dumps(value).encode()


def _index(images: Sequence[Saved]) -> bytes:
    entries: list[dict[str, Any]] = []
    for image in images:
        entry = _descriptor(f"{OCI}manifest.v1+json", _oci_manifest(image))
        for tag in image.tags:
            full = tag if "/" in tag else f"docker.io/library/{tag}"
            names = {CONTAINERD_NAME: full, REF_NAME: tag.rpartition(":")[2]}
            entries.append({**entry, "annotations": names})
        if not image.tags:
            entries.append(entry)
    return json.dumps({"schemaVersion": 2, "manifests": entries}).encode()


def _descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def _blob(data: bytes) -> str:
    return f"blobs/sha256/{_hex(data)}"


def _hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


_SHAPES = {
    "classic": _classic,
    "hybrid": _hybrid,
    "podman": _podman,
    "kaniko": _kaniko,
    "bazel": _bazel,
}
