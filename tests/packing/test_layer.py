"""A layer is read whole and must be what it says it is."""

from __future__ import annotations

import errno
import gzip
import os
from dataclasses import replace
from pathlib import Path

import pytest

from idpbuilder.errors import (
    ImageChanged,
    ImageInvalid,
    ImageUnreadable,
    LocalError,
    PushError,
)
from idpbuilder.image import Digest
from idpbuilder.packing import layer as layers
from idpbuilder.packing.layer import LayerReader, RawLayer
from idpbuilder.wire import Region
from tests.packing.synthetic import MIB, a_layer, layer_tar, open_files, stored_as, zstd

RAW = layer_tar(2 * MIB + 100)


def read_all(layer: RawLayer) -> LayerReader:
    reader = LayerReader(layer)
    buffer = memoryview(bytearray(MIB))
    while not reader.read(buffer)[1]:
        pass
    return reader


def failure(layer: RawLayer) -> PushError:
    with pytest.raises(PushError) as caught:
        read_all(layer)
    return caught.value


def test_the_digest_of_a_layer_of_which_nothing_is_known_is_found(tmp_path: Path) -> None:
    reader = read_all(a_layer(tmp_path, RAW, knows=False))
    assert reader.raw_digest == Digest.of(RAW)
    assert reader.raw_read == len(RAW)


@pytest.mark.parametrize("stored", ["", "gzip", "zstd"])
def test_a_layer_that_is_not_what_the_image_says_is_refused(tmp_path: Path, stored: str) -> None:
    other = Digest.of(b"another layer")
    layer = replace(a_layer(tmp_path, RAW, stored=stored), diff_id=other)
    error = failure(layer)
    assert isinstance(error, ImageInvalid)
    path = layer.region.path
    assert error.message == (
        f"layer {other} is broken: `{path}` holds {Digest.of(RAW)} in its place"
    )


def test_a_layer_that_was_overwritten_meanwhile_has_changed_and_is_no_lie(tmp_path: Path) -> None:
    layer = a_layer(tmp_path, RAW)
    reader = LayerReader(layer)
    buffer = memoryview(bytearray(MIB))
    reader.read(buffer)
    status = os.stat(layer.region.path)
    Path(layer.region.path).write_bytes(bytes(4 + len(RAW) + 4))
    os.utime(layer.region.path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    reader.read(buffer)
    with pytest.raises(ImageChanged, match="changed while it was packed"):
        reader.read(buffer)
    reader.close()


def test_a_layer_that_was_replaced_or_removed_has_changed(tmp_path: Path) -> None:
    for replacement in (b"other", None):
        layer = replace(a_layer(tmp_path, RAW), diff_id=Digest.of(b"x"))
        reader = LayerReader(layer)
        buffer = memoryview(bytearray(MIB))
        reader.read(buffer)
        os.unlink(layer.region.path)
        if replacement:
            Path(layer.region.path).write_bytes(replacement)
        reader.read(buffer)
        with pytest.raises(ImageChanged):
            reader.read(buffer)


@pytest.mark.parametrize("stored", ["", "gzip", "zstd"])
def test_a_file_that_is_shorter_than_it_was_has_changed(tmp_path: Path, stored: str) -> None:
    layer = a_layer(tmp_path, RAW, stored=stored)
    os.truncate(layer.region.path, layer.region.size // 2)
    assert isinstance(failure(layer), ImageChanged)


def test_a_file_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    layer = RawLayer(Digest.of(RAW), Region(str(tmp_path / "missing"), 0, 10))
    error = failure(layer)
    assert isinstance(error, ImageUnreadable)
    assert error.why.endswith("missing`: No such file or directory")


@pytest.mark.parametrize("stored", ["gzip", "zstd"])
@pytest.mark.parametrize(
    "harm",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"garbage, and nothing else" * 9,
        lambda data: data[:-30] + bytes(30),
        lambda data: data + b"garbage",
    ],
    ids=["cut", "empty", "garbage", "broken end", "something behind"],
)
def test_broken_compressed_data_is_refused(tmp_path: Path, stored: str, harm: object) -> None:
    assert callable(harm)
    data = harm(stored_as(RAW, stored))
    path = tmp_path / "layer"
    path.write_bytes(data)
    error = failure(RawLayer(Digest.of(RAW), Region(str(path), 0, len(data)), stored))
    assert isinstance(error, ImageInvalid)


def test_gzip_of_several_members_and_zstd_of_several_frames_are_read_whole(tmp_path: Path) -> None:
    half = len(RAW) // 2
    for stored, pack in (("gzip", gzip.compress), ("zstd", zstd.compress)):
        data = pack(RAW[:half]) + pack(RAW[half:])
        path = tmp_path / stored
        path.write_bytes(data)
        read_all(RawLayer(Digest.of(RAW), Region(str(path), 0, len(data)), stored))


def test_a_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "_LIMIT", 3 * MIB)
    error = failure(a_layer(tmp_path, bytes(20 * MIB), stored="gzip"))
    assert isinstance(error, ImageInvalid)
    assert error.why == f"it unpacks to more than {3 * MIB} bytes"


@pytest.mark.parametrize(
    "raw",
    [
        b"#!/bin/sh\n",
        b"x" * 600,
        layer_tar(512)[:511],
        b"y" + layer_tar(512)[1:],
        layer_tar(512)[:148] + b"rubbish!" + layer_tar(512)[156:],
    ],
    ids=["text", "longer", "cut", "another name", "checksum"],
)
def test_what_is_no_tar_archive_is_no_layer(tmp_path: Path, raw: bytes) -> None:
    error = failure(a_layer(tmp_path, raw))
    assert isinstance(error, ImageInvalid)
    assert error.message == f"layer {Digest.of(raw)} is broken: it is no tar archive"


def test_a_layer_without_a_name_yet_is_named_by_its_file(tmp_path: Path) -> None:
    layer = a_layer(tmp_path, b"no tar", knows=False)
    assert failure(layer).what == f"a layer in `{layer.region.path}` is broken"


@pytest.mark.parametrize("stored", ["", "gzip", "zstd"])
def test_a_diff_id_is_verified_by_its_own_algorithm(tmp_path: Path, stored: str) -> None:
    layer = replace(a_layer(tmp_path, RAW, stored=stored), diff_id=Digest.of(RAW, "sha512"))
    assert read_all(layer).raw_digest == layer.diff_id
    error = failure(replace(layer, diff_id=Digest.of(b"another layer", "sha512")))
    assert isinstance(error, ImageInvalid)
    assert error.why.endswith(f"holds {Digest.of(RAW, 'sha512')} in its place")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_layer_for_which_there_is_no_descriptor_is_not_at_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(self: Region) -> int:
        raise OSError(number, os.strerror(number))

    layer = a_layer(tmp_path, RAW)
    monkeypatch.setattr(Region, "open_fd", refuse)
    error = failure(layer)
    assert isinstance(error, LocalError)
    assert error.hint == "raise the limit on them (`ulimit -n`)"


def test_a_lack_of_descriptors_at_the_end_does_not_make_a_lie_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = LayerReader(replace(a_layer(tmp_path, RAW), diff_id=Digest.of(b"x")))
    buffer = memoryview(bytearray(MIB))
    for _ in range(2):
        reader.read(buffer)

    def refuse(self: Region) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Region, "open_fd", refuse)
    with pytest.raises(LocalError, match="too many files are open"):
        reader.read(buffer)


def test_the_checksums_of_old_archivers_are_known(tmp_path: Path) -> None:
    header = bytearray(layer_tar(512))
    header[:2] = b"\xc3\xa4"
    header[148:156] = b" " * 8
    signed = sum(byte - 256 if byte > 127 else byte for byte in header)
    header[148:156] = b"%06o\0 " % signed
    read_all(a_layer(tmp_path, bytes(header)))


@pytest.mark.parametrize("stored", ["", "gzip", "zstd"])
def test_the_file_is_closed_at_the_end(tmp_path: Path, stored: str) -> None:
    before = open_files()
    read_all(a_layer(tmp_path, RAW, stored=stored))
    assert open_files() == before
