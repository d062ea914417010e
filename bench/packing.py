"""What packing layers costs: time, bytes beside zlib's level 6, and what is not bulk work.

    bench/packing.py [LAYER.tar | FOLDER] ...

A folder becomes a layer first; without arguments that is Python's own library. A method's rounds
alternate with the others'; the medians are printed. The page cache is warm.

The last table answers whether a compiled packing block would pay: the same reads, digests, CRCs
and deflates in one plain loop on one thread, with the CPU time spent inside these calls, beside
the CPU time of the packer on one thread. What is left over is all that a kernel could save.
"""

from __future__ import annotations

import hashlib
import os
import resource
import statistics
import sys
import sysconfig
import tarfile
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from isal import isal_zlib

from idpbuilder.native import RegionReader
from idpbuilder.packing.codec import GzipCodec
from idpbuilder.packing.layer import RawLayer
from idpbuilder.packing.method import Method
from idpbuilder.packing.packer import Packer
from idpbuilder.wire import Region

MB = 1_000_000
ROUNDS = 5
METHODS = [("gzip", 1), ("gzip", 2), ("zstd", 1), ("zstd", 3), ("none", None)]
THREADS = sorted({1, 2, os.cpu_count() or 1})
BLOCK = 1024 * 1024
WINDOW = 32 * 1024


@contextmanager
def layers(arguments: Sequence[str]) -> Iterator[list[RawLayer]]:
    """The layers to pack."""
    with tempfile.TemporaryDirectory(prefix="idpbuilder-bench-") as folder:
        found = []
        for number, argument in enumerate(arguments or [sysconfig.get_path("stdlib")]):
            path = argument
            if os.path.isdir(argument):
                path = str(Path(folder, f"{number}.tar"))
                with tarfile.open(path, "w") as archive:
                    archive.add(argument, arcname=Path(argument).name)
            found.append(RawLayer(None, Region(path, 0, os.path.getsize(path))))
        yield found


def pack(found: Sequence[RawLayer], method: Method, threads: int) -> tuple[float, float, int]:
    """Seconds on the wall, of CPU, and the bytes of the blobs."""
    woken = threading.Event()
    began, cpu = time.perf_counter(), time.process_time()
    packer = Packer(method, wake=woken.set, threads=threads)
    jobs = [packer.pack(layer) for layer in found]
    while not all(job.done for job in jobs):
        woken.wait()
        woken.clear()
    took = time.perf_counter() - began, time.process_time() - cpu
    sizes = [job.packed.size for job in jobs if job.packed is not None]
    packer.close()
    if len(sizes) < len(jobs):
        raise SystemExit(f"failed: {[str(job.error) for job in jobs if job.error]}")
    return *took, sum(sizes)


def zlib_bytes(found: Sequence[RawLayer]) -> int:
    """What zlib makes of the layers at level 6."""
    total = 0
    for layer in found:
        deflate = zlib.compressobj(6)
        with open(layer.region.path, "rb") as file:
            while data := file.read(BLOCK):
                total += len(deflate.compress(data))
        total += len(deflate.flush())
    return total


class Meter:
    """CPU seconds spent inside calls."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, call: Callable[..., object], *arguments: object) -> object:
        began = time.thread_time_ns()
        result = call(*arguments)
        spent = (time.thread_time_ns() - began) / 1e9
        self.seconds[name] = self.seconds.get(name, 0.0) + spent
        return result


def bulk_work(found: Sequence[RawLayer], level: int) -> dict[str, float]:
    """CPU seconds of each kind of bulk work for gzip, one block after the other."""
    meter = Meter()
    buffer = memoryview(bytearray(BLOCK))
    for layer in found:
        raw, packed, before = hashlib.sha256(), hashlib.sha256(), b""
        reader = RegionReader(layer.region.open_fd(), 0, layer.region.size)
        with tempfile.TemporaryFile(buffering=0) as spool:
            at = 0
            while count := meter("reading", reader.readinto, buffer):
                assert isinstance(count, int)
                block = buffer[:count]
                meter("SHA-256", raw.update, block)
                deflate = isal_zlib.compressobj(
                    level, wbits=-15, memLevel=GzipCodec.MEMORY_LEVEL, zdict=before
                )
                meter("ISA-L", isal_zlib.crc32, block)
                data = meter("ISA-L", deflate.compress, block)
                end = meter("ISA-L", deflate.flush, isal_zlib.Z_SYNC_FLUSH)
                assert isinstance(data, bytes)
                assert isinstance(end, bytes)
                meter("SHA-256", packed.update, data + end)
                meter("writing", os.pwrite, spool.fileno(), data + end, at)
                at += len(data) + len(end)
                before = bytes(block[-WINDOW:])
        reader.close()
    return meter.seconds


def compare_methods(found: Sequence[RawLayer]) -> None:
    """Print time and bytes of each method."""
    raw = sum(layer.region.size for layer in found)
    reference = zlib_bytes(found)
    print(f"{len(found)} layers, {raw / MB:.0f} MB; zlib 6: ratio {reference / raw:.4f}")
    results: dict[tuple[str, int], list[tuple[float, float, int]]] = {}
    for _ in range(ROUNDS):
        for kind, level in METHODS:
            for threads in THREADS:
                method = Method.choose(kind, level)
                key = (f"{kind}-{method.level}", threads)
                results.setdefault(key, []).append(pack(found, method, threads))
    for (name, threads), rounds in results.items():
        wall, cpu = (statistics.median(one[column] for one in rounds) for column in (0, 1))
        size = rounds[0][2]
        print(
            f"{name:8}{threads:3} threads {wall:7.3f} s {cpu:7.3f} CPU s"
            f" {raw / MB / wall:6.0f} MB/s"
            f"   ratio {size / raw:.4f}, {size / reference:.3f} of zlib 6"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of all: {peak:.0f} MiB")


def compare_with_bulk_work(found: Sequence[RawLayer], level: int) -> None:
    """Print which share of the packer's CPU time is no bulk work."""
    rounds, totals = [], []
    for _ in range(ROUNDS):
        rounds.append(bulk_work(found, level))
        totals.append(pack(found, Method.choose("gzip", level), 1)[1])
    total = min(totals)
    print(f"gzip-{level}, 1 thread: {total:.3f} CPU s")
    for name in rounds[0]:
        print(f"    {name:10} {min(one[name] for one in rounds) / total:6.1%}")
    rest = total - min(sum(one.values()) for one in rounds)
    print(f"    {'all else':10} {rest / total:6.1%}   (what a compiled block could save at most)")


def main() -> None:
    """Measure all of it."""
    with layers(sys.argv[1:]) as found:
        compare_methods(found)
        for level in (1, 2):
            compare_with_bulk_work(found, level)


if __name__ == "__main__":
    main()
