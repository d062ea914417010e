"""A blob's bytes depend on the layer and the method, and on nothing else."""

from __future__ import annotations

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from idpbuilder.image import Digest
from idpbuilder.packing import layer as layers
from tests.packing.synthetic import MIB, a_layer, layer_tar, pack_all, zstd

GOLDEN = {
    "gzip-1": "sha256:391f96e36e1a1480d4283c35626a6072ef9d036496eb0a86723e4aa93a15c585",
    "gzip-2": "sha256:ae63789a88ebb66c9f54ceea1b5438ac9e41133292feaf7b65b3486c63190441",
}
METHODS = ["gzip-1", "gzip-2", "zstd-3", "none"]
SIZES = st.integers(512, 4 * MIB) | st.sampled_from(
    [MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB, 3 * MIB + 1]
)


@contextmanager
def reading_at_most(size: int) -> Iterator[None]:
    """The stored bytes come in pieces of at most `size` bytes, as from a slow pipe."""
    whole = layers._StoredBytes.readinto

    def readinto(self: layers._StoredBytes, buffer: memoryview) -> int:
        return whole(self, memoryview(buffer)[:size])

    with mock.patch.object(layers._StoredBytes, "readinto", readinto):
        yield


def unpacked(blob: bytes, method: str) -> bytes:
    if method.startswith("gzip"):
        return gzip.decompress(blob)
    return zstd.decompress(blob) if method.startswith("zstd") else blob


@pytest.mark.parametrize("method", GOLDEN)
def test_the_bytes_are_those_of_every_other_machine_and_day(tmp_path: Path, method: str) -> None:
    # another digest here means that every layer of every user will be packed and sent again
    raw = layer_tar(3 * MIB + 12345)
    expected = "sha256:66c25fa3c5e6d19500da235316e15e1cac89916b7ebfe4b15585a76f57c3ef7e"
    assert str(Digest.of(raw)) == expected
    (blob,) = pack_all([a_layer(tmp_path, raw)], method)
    assert str(Digest.of(blob)) == GOLDEN[method]


@settings(max_examples=12)
@given(size=SIZES, seed=st.integers(0, 9), method=st.sampled_from(METHODS))
def test_one_two_and_seven_threads_make_the_same_bytes(size: int, seed: int, method: str) -> None:
    raw = layer_tar(size, seed)
    with tempfile.TemporaryDirectory() as folder:
        layer = a_layer(Path(folder), raw)
        blobs = [pack_all([layer], method, threads=threads)[0] for threads in (1, 2, 7)]
    assert unpacked(blobs[0], method) == raw
    assert blobs[1:] == blobs[:1] * 2


@settings(max_examples=12)
@given(
    size=SIZES,
    method=st.sampled_from(METHODS),
    stored=st.sampled_from(["", "gzip", "zstd"]),
    at_most=st.integers(1000, 300_000),
)
@example(size=2 * MIB, method="gzip-2", stored="gzip", at_most=4099)
@example(size=8 * MIB, method="zstd-3", stored="gzip", at_most=65_537)
def test_how_a_layer_is_stored_and_read_leaves_no_trace(
    size: int, method: str, stored: str, at_most: int
) -> None:
    raw = layer_tar(size)
    with tempfile.TemporaryDirectory() as folder:
        (expected,) = pack_all([a_layer(Path(folder), raw)], method)
        with reading_at_most(at_most):
            layer = a_layer(Path(folder), raw, stored=stored)
            (blob,) = pack_all([layer], method, keep=False)
    assert blob == expected


@pytest.mark.parametrize("method", METHODS)
def test_layers_packed_together_are_as_if_each_were_alone(tmp_path: Path, method: str) -> None:
    raws = [layer_tar(size, seed) for seed, size in enumerate([600, 3 * MIB, 5 * MIB + 1, MIB])]
    together = [a_layer(tmp_path, raw) for raw in raws]
    alone = [pack_all([layer], method, threads=1)[0] for layer in together]
    assert pack_all(together, method, threads=7) == alone


@pytest.mark.parametrize("raw", [b"", bytes(512), bytes(10240), bytes(MIB), bytes(4 * MIB)])
@pytest.mark.parametrize("method", METHODS)
def test_layers_with_nothing_in_them_are_packed_too(
    tmp_path: Path, method: str, raw: bytes
) -> None:
    stored = "gzip" if raw else ""
    plain, other = pack_all(
        [a_layer(tmp_path, raw), a_layer(tmp_path, raw, stored=stored, knows=False)],
        method,
        keep=False,
    )
    assert unpacked(plain, method) == raw
    assert other == plain


@pytest.mark.parametrize("size", [512, MIB, 2 * MIB + 5])
def test_a_gzip_blob_is_one_member_without_name_and_time(tmp_path: Path, size: int) -> None:
    raw = layer_tar(size)
    (blob,) = pack_all([a_layer(tmp_path, raw)])
    inflate = zlib.decompressobj(wbits=31)
    assert inflate.decompress(blob) == raw
    assert inflate.eof
    assert inflate.unused_data == b""
    assert blob[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def test_a_zstd_blob_is_a_frame_for_each_two_mebibytes(tmp_path: Path) -> None:
    raw = layer_tar(2 * MIB + 1000)
    (blob,) = pack_all([a_layer(tmp_path, raw)], "zstd-3")
    size = zstd.get_frame_size(blob)
    assert zstd.decompress(blob[:size]) == raw[: 2 * MIB]
    assert zstd.get_frame_info(blob).decompressed_size == 2 * MIB
    assert zstd.decompress(blob[size:]) == raw[2 * MIB :]


@pytest.mark.parametrize("level", [6, 7, 13, 19])
def test_high_levels_with_bounded_tables_pack_always_the_same(tmp_path: Path, level: int) -> None:
    raw = layer_tar(2 * MIB + 700_000)
    layer, other = a_layer(tmp_path, raw), layer_tar(MIB)
    (one,) = pack_all([layer], f"zstd-{level}", threads=1)
    three = pack_all([a_layer(tmp_path, other), layer], f"zstd-{level}", threads=3)
    assert three[1] == one
    assert zstd.decompress(one[: zstd.get_frame_size(one)]) == raw[: 2 * MIB]
    assert zstd.decompress(one[zstd.get_frame_size(one) :]) == raw[2 * MIB :]


def test_data_that_does_not_compress_hardly_grows(tmp_path: Path) -> None:
    import random

    raw = layer_tar(512) + random.Random(1).randbytes(2 * MIB)
    for method in METHODS:
        (blob,) = pack_all([a_layer(tmp_path, raw)], method)
        assert unpacked(blob, method) == raw
        assert len(blob) < len(raw) * 1.001
