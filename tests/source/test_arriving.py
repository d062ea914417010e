"""Layers that are told of while the archive that they are in is still being written."""

from __future__ import annotations

import gzip
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idpbuilder.image import Digest
from idpbuilder.source.arriving import Arriving
from idpbuilder.wire import Region
from tests.parts.docker_archives import Link, Members, Saved, members_of, tar_with, write_tar

RAW = tar_with(os.urandom(100_000))
NAMED = "ab" * 32


class Watched:
    """What was told of an archive that came in pieces of `step` bytes."""

    def __init__(self, archive: Path, step: int) -> None:
        self.told: list[tuple[Digest | None, Region]] = []
        self.at: list[int] = []
        data = archive.read_bytes()
        copy = archive.with_suffix(".growing")
        fd = os.open(copy, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self.size = 0
        try:
            arriving = Arriving(fd, "it", self._arrived)
            for start in range(0, len(data), step):
                os.write(fd, data[start : start + step])
                self.size = min(start + step, len(data))
                arriving.grown(self.size)
            self.contents = [os.pread(fd, one.size, one.offset) for _, one in self.told]
        finally:
            os.close(fd)

    def _arrived(self, digest: Digest | None, region: Region) -> None:
        assert region.offset + region.size <= self.size, "it is told only when it is whole"
        self.told.append((digest, region))


def archive(path: Path, members: Members) -> Path:
    return write_tar(path / "it.tar", members)


@pytest.mark.parametrize("shape", ["classic", "hybrid", "podman"])
def test_the_raw_layers_of_every_shape_are_told(shape: str, tmp_path: Path) -> None:
    members = members_of([Saved(layers=(100_000, 200_000, 10))], shape)
    watched = Watched(archive(tmp_path, members), 4096)
    sizes = sorted(region.size for _, region in watched.told)
    assert len(sizes) == 2, "what is small is packed in no time later"
    assert all(content[257:262] == b"ustar" for content in watched.contents)


def test_a_name_that_is_a_digest_is_told_and_another_is_not(tmp_path: Path) -> None:
    members: Members = {f"blobs/sha256/{NAMED}": RAW, "x/layer.tar": RAW, "y.tar": RAW}
    watched = Watched(archive(tmp_path, members), 10_000)
    assert [digest for digest, _ in watched.told] == [Digest("sha256", NAMED), None]


def test_what_is_packed_already_or_no_layer_or_a_link_is_passed_over(tmp_path: Path) -> None:
    members: Members = {
        f"blobs/sha256/{NAMED}": gzip.compress(RAW, 1),
        "a/layer.tar": b"no tar at all" * 10_000,
        "b/layer.tar": Link("../c/layer.tar"),
        "manifest.json": b" " * 100_000,
    }
    assert Watched(archive(tmp_path, members), 1000).told == []


@given(step=st.integers(1, 200_000))
def test_how_the_archive_comes_makes_no_difference(
    step: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("pieces")
    members: Members = {"a/layer.tar": RAW, "b/layer.tar": RAW, "repositories": b"{}"}
    watched = Watched(archive(path, members), max(step, 500))
    assert watched.contents == [RAW, RAW]


@given(data=st.binary(max_size=3000))
def test_nothing_that_is_no_archive_is_more_than_passed_over(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("rubbish") / "it"
    path.write_bytes(data)
    assert Watched(path, 512).told == []


def header(size: int, *, extended: bool = False) -> bytes:
    """A member's header with a size as GNU's tar writes what octal digits cannot say."""
    member = tarfile.TarInfo("x/layer.tar")
    member.type, member.size = tarfile.XHDTYPE if extended else tarfile.REGTYPE, size
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("size", [-512, -1, -(1 << 62)])
def test_a_member_of_a_negative_size_ends_the_watch(size: int, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "it", {"a/layer.tar": RAW})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(RAW) + 512] + header(size) + whole)
    assert len(Watched(path, 10_000).told) == 1


@pytest.mark.parametrize("value", [b"9" * 4979, b"9" * 20, b"-512", b"1_0", b" 7", b""])
def test_an_extended_header_with_a_size_of_no_file_ends_the_watch(
    value: bytes, tmp_path: Path
) -> None:
    path = write_tar(tmp_path / "it", {"a/layer.tar": RAW})
    record = b"%d size=%b\n" % (len(value) + 11, value)
    padded = record.ljust(-(-len(record) // 512) * 512, b"\0")
    path.write_bytes(header(len(record), extended=True) + padded + path.read_bytes())
    assert Watched(path, 10_000).told == []


def test_an_extended_header_has_the_last_word_about_the_size(tmp_path: Path) -> None:
    record = b"%d size=%d\n" % (15, len(RAW))
    padded = record.ljust(512, b"\0")
    path = tmp_path / "it"
    path.write_bytes(header(len(record), extended=True) + padded + header(0) + RAW)
    assert Watched(path, 10_000).contents == [RAW]
