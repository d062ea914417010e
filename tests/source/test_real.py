"""Layouts and archives as other programs write them."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.parts.images import ImageSpec, IndexSpec, write_layout
from tests.parts.programs import need
from tests.source.opened import blobs_of, content, documents_of, images_of, opened

Run = Callable[..., None]

pytestmark = pytest.mark.real


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a program that must succeed."""

    def run(program: str, *arguments: object) -> None:
        path = need(program)
        done = subprocess.run(
            [path, *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    return run


@pytest.fixture
def runroot() -> Iterator[str]:
    """A folder whose name is short enough for podman."""
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        yield folder


def test_a_layout_by_skopeo_is_read(tmp_path: Path, run: Run) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(real=True, ref="v1")])
    source = f"oci:{layout.path}:v1"
    run("skopeo", "--insecure-policy", "copy", source, f"oci:{tmp_path}/copy:app:v2")
    (image,) = images_of(f"oci:{tmp_path}/copy:app:v2")
    assert [str(name) for name in image.names] == ["app:v2"]
    assert blobs_of(image) == set(layout.image.blobs())
    assert all(digest.matches(content(region)) for digest, region in image.blobs.items())


def test_an_index_copied_whole_by_skopeo_is_read(tmp_path: Path, run: Run) -> None:
    images = [ImageSpec(real=True), ImageSpec(real=True, platform="linux/arm64", seed=1)]
    layout = write_layout(tmp_path / "app", [IndexSpec(images, attested=True, ref="v1")])
    source = f"oci:{layout.path}:v1"
    run("skopeo", "--insecure-policy", "copy", "--all", source, f"oci:{tmp_path}/copy:v1")
    (image,) = images_of(tmp_path / "copy")
    # older ones write the index anew, without annotations
    assert set(documents_of(image)[:-1]) == {built.digest for built in layout.image.children}


def test_an_archive_by_skopeo_is_read(tmp_path: Path, run: Run) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(real=True, ref="v1")])
    target = tmp_path / "image.tar"
    source = f"oci:{layout.path}:v1"
    run("skopeo", "--insecure-policy", "copy", source, f"oci-archive:{target}:team/app:v2")
    with opened(target) as (image,):
        assert [str(name) for name in image.names] == ["team/app:v2"]
        assert blobs_of(image) == set(layout.image.blobs())
        assert all(digest.matches(content(region)) for digest, region in image.blobs.items())


def test_a_layout_by_umoci_is_read(tmp_path: Path, run: Run) -> None:
    run("umoci", "init", "--layout", "image")
    run("umoci", "new", "--image", "image:v1")
    (tmp_path / "file").write_text("content")
    run("umoci", "insert", "--image", "image:v1", "file", "/file")
    run("umoci", "tag", "--image", "image:v1", "v2")
    (image,) = images_of(tmp_path / "image")
    assert (image.names, image.tag) == ((), "v1")
    assert len(image.blobs) == 2
    (same,) = images_of(f"oci:{tmp_path}/image:v2")
    assert documents_of(same) == documents_of(image)
    assert same.tag == "v2"


@pytest.mark.parametrize("form", ["oci", "oci-archive"])
def test_an_image_by_buildah_is_read(tmp_path: Path, run: Run, runroot: str, form: str) -> None:
    storage = build_with_buildah(tmp_path, run, runroot)
    target = f"{form}:{tmp_path}/image:team/app:v1"
    policy = tmp_path / "policy.json"
    push = ("push", "--signature-policy", policy, "localhost/team/app:v1", target)
    run("buildah", *storage, *push)
    (image,) = images_of(target)
    assert [str(name) for name in image.names] == ["team/app:v1"]
    assert len(image.blobs) == 2


@pytest.mark.parametrize("program", ["gzip", "zstd"])
def test_a_tar_by_tar_and_a_compressor_is_read(tmp_path: Path, run: Run, program: str) -> None:
    layout = write_layout(tmp_path / "app", [IndexSpec(attested=True, ref="app:v1")])
    run("tar", "-C", layout.path, "-cf", "image.tar", ".")
    run(program, "-q", "image.tar")
    (packed,) = tmp_path.glob("image.tar.*")
    with opened(packed) as (image,):
        assert documents_of(image) == list(layout.image.documents())
        assert all(digest.matches(content(region)) for digest, region in image.blobs.items())


@pytest.mark.parametrize("name", ["team/app:v2", "localhost:5000/app:v2"])
def test_a_docker_archive_by_skopeo_is_read(tmp_path: Path, run: Run, name: str) -> None:
    spec = ImageSpec(real=True, ref="v1", layers=(1000, b"same", b"same"))
    layout = write_layout(tmp_path / "app", [spec])
    target = tmp_path / "image.tar"
    source = f"oci:{layout.path}:v1"
    run("skopeo", "--insecure-policy", "copy", source, f"docker-archive:{target}:{name}")
    (image,) = images_of(f"docker-archive:{target}:{name}")
    assert str(image.names[0]).endswith(name)
    assert image.repack
    assert layout.image.config in blobs_of(image)
    assert all(digest.matches(content(region)) for digest, region in image.blobs.items())


@pytest.mark.parametrize("program", ["buildah", "podman"])
def test_a_docker_archive_by_buildah_and_podman_is_read(
    tmp_path: Path, run: Run, runroot: str, program: str
) -> None:
    target = tmp_path / "image.tar"
    storage = build_with_buildah(tmp_path, run, runroot)
    if program == "podman":
        run(program, *storage, "save", "--format", "docker-archive", "-o", target, "team/app:v1")
    else:
        push = ("push", "--signature-policy", tmp_path / "policy.json", "localhost/team/app:v1")
        run(program, *storage, *push, f"docker-archive:{target}:team/app:v1")
    (image,) = images_of(f"docker-archive:{target}:team/app")
    assert "team/app" in {name.repository for name in image.names}
    assert image.repack
    assert all(digest.matches(content(region)) for digest, region in image.blobs.items())


def build_with_buildah(tmp_path: Path, run: Run, runroot: str) -> tuple[object, ...]:
    """Build `localhost/team/app:v1`; the options that name the storage where it is."""
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "file").write_text("content")
    (tmp_path / "context" / "Containerfile").write_text("FROM scratch\nCOPY file /file\n")
    (tmp_path / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    storage = ("--root", tmp_path / "root", "--runroot", runroot, "--storage-driver", "vfs")
    build = ("build", "--isolation", "chroot", "--tag", "team/app:v1", tmp_path / "context")
    run("buildah", *storage, *build)
    return storage
