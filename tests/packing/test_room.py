"""How much of the machine packing takes: descriptors, disk, memory; and when it gives it back."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from idpbuilder.image import Digest
from idpbuilder.packing.codec import codec_of
from idpbuilder.packing.layer import RawLayer
from idpbuilder.packing.method import Method
from idpbuilder.packing.packer import Packer
from tests.packing.synthetic import MIB, a_layer, all_of, layer_tar, open_files, packing


def test_hundreds_of_small_layers_cost_a_handful_of_descriptors(tmp_path: Path) -> None:
    raws = [layer_tar(600 + number, number) for number in range(200)]
    layers = [a_layer(tmp_path, raw) for raw in raws]
    with packing() as (packer, bell):
        before = open_files()
        jobs = [packer.pack(layer) for layer in layers]
        bell.wait_for(jobs)
        assert open_files() - before < 10
        blobs = [all_of(job.body()) for job in jobs]
    assert [hashlib.sha256(blob).hexdigest() for blob in blobs] == [
        job.packed.digest.encoded for job in jobs if job.packed
    ]


@pytest.mark.parametrize("size", [5000, 3 * MIB])
def test_what_has_arrived_gives_back_its_room_and_is_still_known(size: int, tmp_path: Path) -> None:
    layer = a_layer(tmp_path, layer_tar(size))
    with packing() as (packer, bell):
        before = open_files()
        job = packer.pack(layer)
        bell.wait_for([job])
        packed = job.packed
        assert packed is not None
        job.release()
        job.release()
        assert open_files() == before
        assert (job.packed, job.done, job.error) == (packed, True, None)
        with pytest.raises(OSError, match="arrived"):
            job.body().open()
        again = packer.pack(layer)
        assert again is not job
        bell.wait_for([again])
        assert again.packed == packed
        assert len(all_of(again.body())) == packed.size


def test_the_same_layer_raw_and_kept_are_two_jobs(tmp_path: Path) -> None:
    raw = layer_tar(5000)
    layers = [a_layer(tmp_path, raw, stored=stored) for stored in ("", "gzip", "zstd")]
    with packing() as (packer, bell):
        jobs = [packer.pack(layer) for layer in layers]
        bell.wait_for(jobs)
        assert [job.kind for job in jobs] == ["gzip", "gzip", "zstd"]
        assert len({job.packed.digest for job in jobs if job.packed}) == 3
    with packing(keep=False) as (packer, _):
        assert len({packer.pack(layer) for layer in layers}) == 1


def test_a_diff_id_of_another_algorithm_is_verified_by_it(tmp_path: Path) -> None:
    raw = layer_tar(5000)
    region = a_layer(tmp_path, raw).region
    with packing() as (packer, bell):
        right = packer.pack(RawLayer(Digest.of(raw, "sha512"), region))
        wrong = packer.pack(RawLayer(Digest.of(b"another", "sha512"), region))
        bell.wait_for([right, wrong])
        assert right.error is None
        assert right.packed is not None
        assert right.packed.digest.algorithm == "sha256"
        assert wrong.error is not None


@pytest.mark.parametrize("method", ["gzip-2", "zstd-3", "zstd-19"])
def test_there_are_no_more_threads_than_there_is_memory_for(method: str, tmp_path: Path) -> None:
    kind, _, level = method.partition("-")
    with packing(method, threads=64) as (packer, bell):
        bell.wait_for([packer.pack(a_layer(tmp_path, layer_tar(5000)))])
        taken = len(packer._threads) * codec_of(Method.choose(kind, int(level))).in_hand
        assert 0 < taken <= 50 * MIB


def test_a_packer_that_is_closed_takes_nothing_more(tmp_path: Path) -> None:
    packer = Packer(Method.choose(), wake=lambda: None)
    packer.close()
    with pytest.raises(ValueError, match="closed"):
        packer.pack(a_layer(tmp_path, layer_tar(600)))
