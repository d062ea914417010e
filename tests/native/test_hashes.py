"""Digests equal hashlib's; a fingerprint changes with what it samples, and has pinned values."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

OpenFile = Callable[[bytes], int]
BUFFER = 256 * 1024
SAMPLE = 16 * 1024
WHOLE = 1024 * 1024


def noise(size: int) -> bytes:
    return hashlib.shake_128(b"idpbuilder").digest(size)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("size", [0, 1, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER + 5])
def test_a_digest_is_that_of_hashlib(
    kernels: ModuleType, open_file: OpenFile, algorithm: str, size: int
) -> None:
    content = noise(size)
    fd = open_file(content)
    expected = hashlib.new(algorithm, content).hexdigest()
    assert kernels.digest_region(fd, 0, size, algorithm) == expected


def test_a_digest_covers_the_region_and_nothing_else(
    kernels: ModuleType, open_file: OpenFile
) -> None:
    fd = open_file(b"before" + b"abc" + b"after")
    assert kernels.digest_region(fd, 6, 3, "sha256") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_the_file_stays_open_and_where_it_was(kernels: ModuleType, open_file: OpenFile) -> None:
    fd = open_file(noise(100))
    os.lseek(fd, 9, os.SEEK_SET)
    kernels.digest_region(fd, 0, 100, "sha256")
    kernels.fingerprint_region(fd, 0, 100)
    assert os.lseek(fd, 0, os.SEEK_CUR) == 9


@pytest.mark.parametrize("size", [101, BUFFER + 101, WHOLE + 101])
def test_a_short_file_has_no_hash(kernels: ModuleType, open_file: OpenFile, size: int) -> None:
    fd = open_file(noise(size - 1))
    with pytest.raises(EOFError, match="before its content does"):
        kernels.digest_region(fd, 0, size, "sha256")
    with pytest.raises(EOFError, match="before its content does"):
        kernels.fingerprint_region(fd, 0, size)


def test_an_unknown_algorithm_is_refused(kernels: ModuleType, open_file: OpenFile) -> None:
    with pytest.raises(ValueError, match="crc99"):
        kernels.digest_region(open_file(b""), 0, 0, "crc99")


@pytest.mark.parametrize(("offset", "size"), [(-1, 5), (0, -5), (2**63 - 1, 1)])
def test_a_region_that_cannot_exist_has_no_hash(
    kernels: ModuleType, open_file: OpenFile, offset: int, size: int
) -> None:
    fd = open_file(b"content")
    with pytest.raises(ValueError, match="no file has a region"):
        kernels.digest_region(fd, offset, size, "sha256")
    with pytest.raises(ValueError, match="no file has a region"):
        kernels.fingerprint_region(fd, offset, size)


def test_what_cannot_be_read_gives_the_systems_error(kernels: ModuleType, tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(IsADirectoryError):
            kernels.digest_region(fd, 0, 1, "sha256")
        with pytest.raises(IsADirectoryError):
            kernels.fingerprint_region(fd, 0, 1)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("size", "value"),
    [
        (0, 0xC77B3ABB6F87ACD9),
        (5, 0x39B4B54A559B93E6),
        (WHOLE, 0x1550BBFF2AA9F2C7),
        (WHOLE + 1, 0x0423399F1FA0CC0A),
    ],
)
def test_a_fingerprint_stays_what_it_was_in_earlier_versions(
    kernels: ModuleType, open_file: OpenFile, size: int, value: int
) -> None:
    assert kernels.fingerprint_region(open_file(noise(size)), 0, size) == value


def test_a_fingerprint_depends_on_the_size(kernels: ModuleType, open_file: OpenFile) -> None:
    fd = open_file(bytes(2 * WHOLE))
    sizes = (0, 1, WHOLE, WHOLE + 1, 2 * WHOLE)
    assert len({kernels.fingerprint_region(fd, 0, size) for size in sizes}) == len(sizes)


@pytest.mark.parametrize("size", [1, SAMPLE, WHOLE, 3 * WHOLE + 7])
def test_a_changed_first_or_last_byte_changes_the_fingerprint(
    kernels: ModuleType, open_file: OpenFile, size: int
) -> None:
    content = bytearray(noise(size))
    before = kernels.fingerprint_region(open_file(bytes(content)), 0, size)
    for place in (0, size - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        assert kernels.fingerprint_region(open_file(bytes(changed)), 0, size) != before


def test_any_changed_byte_of_a_small_file_changes_the_fingerprint(
    kernels: ModuleType, open_file: OpenFile
) -> None:
    content = noise(WHOLE)
    before = kernels.fingerprint_region(open_file(content), 0, WHOLE)
    for place in range(0, WHOLE, 99_991):
        changed = bytearray(content)
        changed[place] ^= 0x80
        assert kernels.fingerprint_region(open_file(bytes(changed)), 0, WHOLE) != before


def test_a_large_file_is_sampled_at_even_distances(
    kernels: ModuleType, open_file: OpenFile
) -> None:
    size = 5 * WHOLE + 3
    content = bytearray(size)
    before = kernels.fingerprint_region(open_file(bytes(content)), 0, size)
    starts = [(size - SAMPLE) * number // 63 for number in range(64)]
    inside, between = starts[17] + SAMPLE - 1, starts[17] + SAMPLE
    assert between < starts[18]
    content[between] = 1
    assert kernels.fingerprint_region(open_file(bytes(content)), 0, size) == before
    content[inside] = 1
    assert kernels.fingerprint_region(open_file(bytes(content)), 0, size) != before


def test_a_file_of_many_gigabytes_costs_no_more_than_its_samples(
    kernels: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "sparse"
    path.touch()
    size = 2**42
    os.truncate(path, size)
    fd = os.open(path, os.O_RDWR)
    try:
        before = kernels.fingerprint_region(fd, 0, size)
        os.pwrite(fd, b"x", (size - SAMPLE) * 62 // 63)
        assert kernels.fingerprint_region(fd, 0, size) != before
    finally:
        os.close(fd)
