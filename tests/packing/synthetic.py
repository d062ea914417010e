"""Layers made for the tests of this room, and packing them to the end."""

from __future__ import annotations

import contextlib
import gc
import gzip
import hashlib
import io
import os
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from idpbuilder.image import Digest
from idpbuilder.packing.job import PackJob
from idpbuilder.packing.layer import RawLayer
from idpbuilder.packing.method import Method
from idpbuilder.packing.packer import Packer
from idpbuilder.wire import Body, Region

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = [
    "HANGS",
    "MIB",
    "Bell",
    "a_layer",
    "all_of",
    "content",
    "layer_tar",
    "open_files",
    "pack_all",
    "packing",
    "packing_threads",
    "stored_as",
    "zstd",
]

MIB = 1024 * 1024
HANGS = 60
"""Seconds after which a test gives up: nothing here takes one."""


def content(size: int, seed: int = 0) -> bytes:
    """`size` bytes that compress by about a half, the same ones everywhere and always."""
    noise = hashlib.shake_128(b"%d" % seed).digest(size // 2 + 1)
    return b"".join(
        noise[at : at + 100] + b"what all files have in common, again and again ... " * 2
        for at in range(0, len(noise), 100)
    )[:size]


def layer_tar(size: int, seed: int = 0) -> bytes:
    """A layer of exactly `size` bytes, which are at least 512: one file, and no end of archive."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo("usr/lib/data")
        info.size = size - 512
        archive.addfile(info, io.BytesIO(content(info.size, seed)))
    return target.getvalue()[:size]


def stored_as(raw: bytes, stored: str) -> bytes:
    """`raw` as another tool would have packed it."""
    if stored == "gzip":
        return gzip.compress(raw, 6, mtime=0)
    return zstd.compress(raw, 1) if stored == "zstd" else raw


def a_layer(folder: Path, raw: bytes, *, stored: str = "", knows: bool = True) -> RawLayer:
    """A layer in a file of its own, with something before and behind it."""
    data = stored_as(raw, stored)
    fd, path = tempfile.mkstemp(dir=folder)
    with open(fd, "wb") as file:
        file.write(b"head" + data + b"tail")
    return RawLayer(Digest.of(raw) if knows else None, Region(path, 4, len(data)), stored)


class Bell:
    """What a packer wakes: counts, and lets a test wait."""

    def __init__(self) -> None:
        self.rung = 0
        self._condition = threading.Condition()

    def ring(self) -> None:
        with self._condition:
            self.rung += 1
            self._condition.notify_all()

    def wait_for(self, jobs: Sequence[PackJob]) -> None:
        """Until all jobs have ended. They ring when they do."""
        with self._condition:
            ended = self._condition.wait_for(lambda: all(job.done for job in jobs), HANGS)
        assert ended, "packing hangs"


@contextmanager
def packing(
    method: str = "gzip-2", *, threads: int = 2, keep: bool = True, folder: Path | None = None
) -> Iterator[tuple[Packer, Bell]]:
    """A packer, and the bell that it rings."""
    kind, _, level = method.partition("-")
    bell = Bell()
    packer = Packer(
        Method.choose(kind, int(level) if level else None),
        wake=bell.ring,
        keep=keep,
        threads=threads,
        folder=str(folder) if folder else None,
    )
    try:
        yield packer, bell
    finally:
        packer.close()


def all_of(body: Body) -> bytes:
    """All bytes of a body that is whole."""
    found = bytearray()
    buffer = memoryview(bytearray(100_000))
    reader = body.open()
    while count := reader.readinto(buffer):
        found += buffer[:count]
    assert count == 0
    reader.close()
    return bytes(found)


def pack_all(
    layers: Sequence[RawLayer], method: str = "gzip-2", *, threads: int = 2, keep: bool = True
) -> list[bytes]:
    """The blobs of `layers`, packed at the same time; each has the digest that its job says."""
    with packing(method, threads=threads, keep=keep) as (packer, bell):
        jobs = [packer.pack(layer) for layer in layers]
        bell.wait_for(jobs)
        blobs = []
        for job in jobs:
            assert job.error is None
            assert job.packed is not None
            blobs.append(all_of(job.body()))
            assert job.packed.digest == Digest.of(blobs[-1])
            assert job.packed.size == len(blobs[-1]) == job.body().size
        return blobs


def packing_threads() -> list[str]:
    """The names of the packing threads that run."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("packing-")]


def open_files() -> int:
    """How many files this process has open, once nobody lets one go any more."""
    gc.collect()
    count = 0
    for fd in range(512):
        with contextlib.suppress(OSError):
            os.fstat(fd)
            count += 1
    return count
