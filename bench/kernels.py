"""Each kernel beside the plain code it replaces: rounds in turn, medians of the rounds' ratios.

A ratio below 1 says that the kernel takes less time than its counterpart in the same round.
The page cache is warm: what is measured is what the kernel costs, not the disk.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable

import xxhash

from idpbuilder import native
from idpbuilder.native import _reference

SIZE = 128 * 1024 * 1024
SMALL = 4096
UPLOAD = 512 * 1024
SAMPLE = 16 * 1024
ROUNDS = 15
Run = Callable[[], object]


def read_with(reader: type[native.RegionReader], fd: int, size: int, view: memoryview) -> Run:
    """Read a region to its end into one buffer."""

    def run() -> None:
        source = reader(os.dup(fd), 0, size)
        while source.readinto(view):
            pass
        source.close()

    return run


def read_with_pread(fd: int, size: int, chunk: int) -> Run:
    """The loop of a read callback that returns new bytes."""

    def run() -> None:
        position = 0
        while position < size:
            position += len(os.pread(fd, min(chunk, size - position), position))

    return run


def read_with_preadv(fd: int, size: int, view: memoryview) -> Run:
    """The loop of a read callback that fills a buffer."""

    def run() -> None:
        position = 0
        while position < size:
            position += os.preadv(fd, [view[: size - position]], position)

    return run


def digest_plainly(fd: int, size: int, repeat: int = 1, chunk: int = 1024 * 1024) -> Run:
    """hashlib over os.pread."""

    def run() -> None:
        for _ in range(repeat):
            state = hashlib.sha256()
            position = 0
            while data := os.pread(fd, min(chunk, size - position), position):
                state.update(data)
                position += len(data)
            state.hexdigest()

    return run


def fingerprint_plainly(fd: int, size: int, repeat: int) -> Run:
    """xxhash over os.pread, of the same samples."""

    def run() -> None:
        for _ in range(repeat):
            state = xxhash.xxh3_64(size.to_bytes(8, "little"))
            for number in range(64):
                state.update(os.pread(fd, SAMPLE, (size - SAMPLE) * number // 63))
            state.intdigest()

    return run


def repeated(times: int, call: Callable[..., object], *arguments: object) -> Run:
    """`call` with `arguments`, several times."""

    def run() -> None:
        for _ in range(times):
            call(*arguments)

    return run


def seconds(run: Run) -> float:
    """How long one run takes."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def compare(title: str, kernel: Run, rivals: dict[str, Run]) -> None:
    """Print how the kernel does beside each rival."""
    ratios: dict[str, list[float]] = {name: [] for name in rivals}
    times = []
    for _ in range(ROUNDS):
        own = seconds(kernel)
        times.append(own)
        for name, rival in rivals.items():
            ratios[name].append(own / seconds(rival))
    print(f"{title:<34} {statistics.median(times) * 1e3:9.2f} ms")
    for name, values in ratios.items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"    / {name:<30} {middle:7.3f}     quartiles {low:.3f} to {high:.3f}")


def main() -> None:
    """Measure every kernel."""
    print(f"kernels: {'compiled' if native.COMPILED else 'plain twins'}, {ROUNDS} rounds")
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(SIZE // (1024 * 1024)):
            file.write(os.urandom(1024 * 1024))
        file.flush()
        fd, plain = file.fileno(), _reference
        # one for all: where a buffer lies in its page is worth a tenth of a read
        buffer = memoryview(bytearray(UPLOAD))
        for chunk in (64 * 1024, UPLOAD):
            compare(
                f"RegionReader, {chunk // 1024} KiB a read",
                read_with(native.RegionReader, fd, SIZE, buffer[:chunk]),
                {
                    "os.pread": read_with_pread(fd, SIZE, chunk),
                    "os.preadv": read_with_preadv(fd, SIZE, buffer[:chunk]),
                    "its plain twin": read_with(plain.RegionReader, fd, SIZE, buffer[:chunk]),
                },
            )
        compare(
            "digest_region, 128 MiB",
            repeated(1, native.digest_region, fd, 0, SIZE, "sha256"),
            {
                "hashlib over os.pread, 1 MiB": digest_plainly(fd, SIZE),
                "hashlib over os.pread, 256 KiB": digest_plainly(fd, SIZE, chunk=256 * 1024),
                "its plain twin": repeated(1, plain.digest_region, fd, 0, SIZE, "sha256"),
            },
        )
        compare(
            "digest_region, 4 KiB, 2000 times",
            repeated(2000, native.digest_region, fd, 0, SMALL, "sha256"),
            {
                "hashlib over os.pread": digest_plainly(fd, SMALL, 2000),
                "its plain twin": repeated(2000, plain.digest_region, fd, 0, SMALL, "sha256"),
            },
        )
        compare(
            "fingerprint_region, 100 times",
            repeated(100, native.fingerprint_region, fd, 0, SIZE),
            {
                "xxhash over os.pread": fingerprint_plainly(fd, SIZE, 100),
                "its plain twin": repeated(100, plain.fingerprint_region, fd, 0, SIZE),
            },
        )


if __name__ == "__main__":
    main()
