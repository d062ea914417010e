"""The images that are pushed: made once, then kept in `build/bench/images`."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import BUILD
from bench.parts.image import BLOBS, NAME, saved_image
from bench.parts.missing import Missing
from tests.parts.dockerd import Dockerd
from tests.parts.images import OCI, REF_NAME, ImageSpec, Json, Layout, write_layout

TAG = "v1"
"""The one tag in each layout."""
LIST = "images.txt"
"""What the list beside many layouts is called."""
MB = 1_000_000
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """What programs are given: a `layout`, an `archive` of `docker save`, an image of an `engine`,
    or `many` layouts.

    `where` is a path, or the name in the engine that listens at `engine`; `size` is bytes, `blobs`
    how many there are, each once. `images` are the layouts of `many`, by their folders in `where`.
    """

    kind: str
    where: str
    size: int
    blobs: int
    engine: str = ""
    images: tuple[str, ...] = ()

    def warm(self) -> None:
        """Bring its files into the page cache."""
        buffer = memoryview(bytearray(_CHUNK))
        for file in self._files():
            with file.open("rb", buffering=0) as opened:
                while opened.readinto(buffer):
                    pass

    def evict(self) -> None:
        """Take its files out of the page cache."""
        for file in self._files():
            with file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def _files(self) -> list[Path]:
        if self.kind == "engine":
            return []
        path = Path(self.where)
        return [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]


@dataclass(frozen=True, slots=True)
class Synthetic:
    """An OCI layout of seeded random layers, each of so many bytes.

    `sparse` layers are zeros after their first chunk, and take no room on the disk.
    """

    name: str
    layers: Sequence[int]
    sparse: bool = False

    @contextmanager
    def opened(self) -> Iterator[Source]:
        """The image, made if it is not there."""
        path = _kept(self.name, self._write)
        yield Source("layout", str(path), sum(self.layers), len(self.layers) + 1)

    def _write(self, path: Path) -> None:
        layout = Layout(path)
        (path / "blobs" / "sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        layers = [self._layer(layout, number, size) for number, size in enumerate(self.layers)]
        rootfs = {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]}
        config = {"os": "linux", "architecture": "amd64", "config": {}, "rootfs": rootfs}
        media_type = f"{OCI}manifest.v1+json"
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": layout.put_json(config, f"{OCI}config.v1+json"),
            "layers": layers,
        }
        entry = {**layout.put_json(manifest, media_type), "annotations": {REF_NAME: TAG}}
        layout.write_index([entry])

    def _layer(self, layout: Layout, number: int, size: int) -> Json:
        state = hashlib.sha256()
        partial = layout.path / "layer"
        with partial.open("wb") as file:
            for chunk in self._content(number, size):
                state.update(chunk)
                if self.sparse and file.tell():
                    file.seek(len(chunk), 1)
                else:
                    file.write(chunk)
            file.truncate(size)
        digest = f"sha256:{state.hexdigest()}"
        partial.rename(layout.blob(digest))
        return {"mediaType": f"{OCI}layer.v1.tar+gzip", "digest": digest, "size": size}

    def _content(self, number: int, size: int) -> Iterator[bytes]:
        source = random.Random(f"{self.name} {number}")
        zeros = bytes(_CHUNK)
        for position in range(0, size, _CHUNK):
            count = min(_CHUNK, size - position)
            yield zeros[:count] if self.sparse and position else source.randbytes(count)


@dataclass(frozen=True, slots=True)
class Many:
    """So many layouts, each with `layers` of its own on top of those that all have, and a list."""

    name: str
    count: int
    layers: Sequence[int]
    shared: Sequence[int] = ()

    @contextmanager
    def opened(self) -> Iterator[Source]:
        """The images, made if they are not there."""
        path = _kept(self.name, self._write)
        size = sum(self.shared) + self.count * sum(self.layers)
        blobs = len(self.shared) + self.count * (len(self.layers) + 1)
        yield Source("many", str(path), size, blobs, images=self._images())

    def _images(self) -> tuple[str, ...]:
        return tuple(f"app-{number:04}" for number in range(self.count))

    def _write(self, path: Path) -> None:
        shared = [random.Random(f"{self.name} {size}").randbytes(size) for size in self.shared]
        first: Layout | None = None
        for number, image in enumerate(self._images()):
            spec = ImageSpec((*shared, *self.layers), seed=number, name=f"{image}:{TAG}", ref=TAG)
            layout = write_layout(path / image, [spec])
            first = first or layout
            if layout is not first:
                for digest in layout.image.layers[: len(shared)]:
                    layout.blob(digest).unlink()
                    layout.blob(digest).hardlink_to(first.blob(digest))
        (path / LIST).write_text("".join(f"oci:{image}\n" for image in self._images()))


@dataclass(frozen=True, slots=True)
class Saved:
    """The archive of a real image, of Debian packages and wheels; see `image.py`."""

    @contextmanager
    def opened(self) -> Iterator[Source]:
        """The archive, made if it is not there. Raises Missing."""
        archive = saved_image()
        yield Source("archive", str(archive), archive.stat().st_size, BLOBS)


@dataclass(frozen=True, slots=True)
class InEngine:
    """The same image in an engine of Docker's that runs for the row alone."""

    @contextmanager
    def opened(self) -> Iterator[Source]:
        """What it is called there. Raises Missing."""
        if shutil.which("dockerd") is None or os.geteuid():
            raise Missing("`dockerd` is not on PATH, or this is not root")
        archive = saved_image()
        with Dockerd() as engine:
            engine.docker("load", "--input", archive)
            yield Source("engine", NAME, archive.stat().st_size, BLOBS, engine.host)


def _kept(name: str, write: Callable[[Path], None]) -> Path:
    """The folder of images of this name, written if it is not there."""
    path = BUILD / "images" / name
    if not path.exists():
        partial = path.with_name(f"{name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        write(partial)
        partial.rename(path)
    return path


Corpus = Synthetic | Many | Saved | InEngine

SMALL = Synthetic("small", (100_000,) * 60)
LARGE = Synthetic("large", (100 * MB, 40 * MB, 2 * MB))
BULK = Synthetic("bulk", (800 * MB, 600 * MB, 200 * MB))
LAYERS = {count: Synthetic(f"{count}-layers", (20_000,) * count) for count in (10, 100, 1000)}
SIZES = {
    gigabytes: Synthetic(f"{gigabytes}-gb", (int(gigabytes * 250) * MB,) * 4, sparse=True)
    for gigabytes in (0.1, 0.5, 1, 10)
}
ALIKE = Many("alike", 30, (200_000,), shared=(60 * MB, 40 * MB))
IMAGES = {count: Many(f"{count}-images", count, (40_000, 10_000)) for count in (10, 100, 300, 1000)}
