"""A large real image as `docker save` writes it: Debian, numpy, scipy and pandas, in raw layers.

It takes root, `debootstrap`, and a few minutes the first time; then it is kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from bench import BUILD
from bench.parts.missing import Missing

FOLDER = BUILD / "images"
NAME = "bench/science:v1"
BLOBS = 4
"""Three layers and the config."""
_SCIENCE = ("numpy", "scipy", "pandas")
_TAR = ("tar", "--sort=name", "--mtime=@1700000000", "--owner=0", "--group=0", "--numeric-owner")


def saved_image() -> Path:
    """The archive, made if it is not there. Raises Missing."""
    archive = FOLDER / "science.tar"
    if not archive.exists():
        _need("debootstrap")
        FOLDER.mkdir(parents=True, exist_ok=True)
        print("making a real image, once …", flush=True)
        layers = [_tar_of(_debian(), "debian"), _tar_of(_science(), "science"), _application()]
        partial = archive.with_suffix(".partial")
        _save(partial, layers)
        partial.rename(archive)
        for layer in layers:
            layer.unlink()
    return archive


def _need(program: str) -> None:
    if shutil.which(program) is None or os.geteuid():
        raise Missing(f"the image is made by root with `{program}`: apt-get install {program}")


def _debian() -> Path:
    root = FOLDER / "debian"
    if not (root / "etc/debian_version").exists():
        shutil.rmtree(root, ignore_errors=True)
        packages = "--include=python3,python3-venv"
        subprocess.run(
            ["debootstrap", "--variant=minbase", packages, "stable", str(root)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return root


def _science() -> Path:
    root = FOLDER / "science"
    packages = root / "usr/lib/python3/dist-packages"
    if not packages.exists():
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--target", packages, *_SCIENCE],
            check=True,
        )
    return root


def _tar_of(root: Path, name: str) -> Path:
    layer = FOLDER / f"{name}.layer"
    excluded = [f"--exclude=./{path}" for path in ("proc/*", "sys/*", "dev/*", "var/cache/apt/*")]
    subprocess.run([*_TAR, *excluded, "-C", str(root), "-cf", str(layer), "."], check=True)
    return layer


def _application() -> Path:
    layer = FOLDER / "application.layer"
    with tarfile.open(layer, "w") as tar:
        _add(tar, "app.py", b"import pandas\n")
    return layer


def _save(path: Path, layers: list[Path]) -> None:
    diff_ids = [_sha256(layer) for layer in layers]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2024-01-01T00:00:00Z",
            "config": {"Cmd": ["python3", "/app.py"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one}" for one in diff_ids]},
            "history": [{"created": "2024-01-01T00:00:00Z"} for _ in diff_ids],
        }
    ).encode()
    members = [f"{diff_id}/layer.tar" for diff_id in diff_ids]
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    entry = {"Config": config_name, "RepoTags": [NAME], "Layers": members}
    with tarfile.open(path, "w") as tar:
        for member, layer in zip(members, layers, strict=True):
            tar.add(layer, member)
        _add(tar, config_name, config)
        _add(tar, "manifest.json", json.dumps([entry]).encode())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        state = hashlib.sha256()
        while data := file.read(1 << 20):
            state.update(data)
    return state.hexdigest()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
