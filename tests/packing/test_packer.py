"""Jobs are worked in order by threads that always come to an end."""

from __future__ import annotations

import errno
import gzip
import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from idpbuilder.errors import ImageInvalid, LocalError
from idpbuilder.image import Digest
from idpbuilder.packing.codec import Piece
from idpbuilder.packing.job import Block, PackJob
from idpbuilder.packing.layer import RawLayer
from idpbuilder.packing.method import Method
from idpbuilder.packing.packer import Packer
from idpbuilder.wire import Region, RegionBody
from tests.packing.synthetic import (
    HANGS,
    MIB,
    Bell,
    a_layer,
    all_of,
    layer_tar,
    open_files,
    packing,
    packing_threads,
    stored_as,
)

RAW = layer_tar(3 * MIB + 7)


class Gate:
    """Holds up whoever comes through, and says when somebody waits."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._opened = threading.Event()

    def __call__(self) -> None:
        self._reached.set()
        assert self._opened.wait(HANGS)

    def wait(self) -> None:
        assert self._reached.wait(HANGS)

    def open(self) -> None:
        self._opened.set()


def before(monkeypatch: pytest.MonkeyPatch, stage: str, do: Callable[[PackJob], None]) -> None:
    """Have `do` called with the job before each run of one of its stages."""
    whole = getattr(PackJob, stage)

    def run(self: PackJob, *args: object, **options: object) -> object:
        do(self)
        return whole(self, *args, **options)

    monkeypatch.setattr(PackJob, stage, run)


def test_a_job_tells_how_far_it_is_and_what_came_of_it(tmp_path: Path) -> None:
    with packing() as (packer, bell):
        layer = a_layer(tmp_path, RAW)
        job = packer.pack(layer)
        assert job.raw_size == len(RAW)
        bell.wait_for([job])
        assert job.raw_read == len(RAW)
        assert job.diff_id == job.raw_digest == Digest.of(RAW)
        assert job.packed is not None
        assert job.spool.size == job.packed.size
        assert (job.kind, job.kept, job.error) == ("gzip", False, None)


def test_a_layer_without_a_diff_id_gets_one(tmp_path: Path) -> None:
    with packing() as (packer, bell):
        job = packer.pack(a_layer(tmp_path, RAW, stored="gzip", knows=False))
        bell.wait_for([job])
        assert job.diff_id == Digest.of(RAW)
        assert job.raw_size == len(RAW)


def test_a_blob_is_read_while_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    before(monkeypatch, "commit", lambda job: gate() if job.spool.size else None)
    with packing() as (packer, bell):
        job = packer.pack(a_layer(tmp_path, RAW))
        reader = job.body().open()
        gate.wait()
        buffer = memoryview(bytearray(100 * MIB))
        found = b""
        count = reader.readinto(buffer)
        assert count
        found += buffer[:count]
        assert reader.readinto(buffer) is None
        assert job.body().size is None
        gate.open()
        bell.wait_for([job])
        while count := reader.readinto(buffer):
            found += buffer[:count]
        assert count == 0
        assert job.packed is not None
        assert Digest.of(found) == job.packed.digest
        assert all_of(job.body()) == found
        reader.close()


def test_the_same_layer_again_is_the_same_job(tmp_path: Path) -> None:
    with packing() as (packer, bell):
        layer = a_layer(tmp_path, RAW)
        job = packer.pack(layer)
        assert packer.pack(layer) is job
        assert packer.pack(replace(layer, region=replace(layer.region, size=1))) is job
        unknown = replace(layer, diff_id=None)
        other = packer.pack(unknown)
        assert other is not job
        assert packer.pack(unknown) is other
        bell.wait_for([job, other])
        assert packer.pack(layer) is job


def test_a_layer_kept_as_another_tool_packed_it_is_a_job_of_its_own(tmp_path: Path) -> None:
    plain, zipped, other = (
        a_layer(tmp_path, RAW, stored=stored) for stored in ("", "zstd", "gzip")
    )
    for order in ((plain, zipped, other), (other, zipped, plain)):
        with packing() as (packer, bell):
            jobs = [packer.pack(layer) for layer in order]
            bell.wait_for(jobs)
            assert [job.kind for job in jobs] == [layer.stored or "gzip" for layer in order]
            for job in jobs:
                assert job.packed is not None
                assert Digest.of(all_of(job.body())) == job.packed.digest
            assert [packer.pack(layer) for layer in order] == jobs


def test_layers_that_two_tools_zipped_differently_are_both_kept(tmp_path: Path) -> None:
    first = a_layer(tmp_path, RAW, stored="gzip")
    path = tmp_path / "other"
    path.write_bytes(gzip.compress(RAW, 1, mtime=0))
    second = RawLayer(first.diff_id, Region(str(path), 0, path.stat().st_size), "gzip")
    with packing() as (packer, bell):
        jobs = [packer.pack(layer) for layer in (first, second)]
        bell.wait_for(jobs)
        assert all_of(jobs[0].body()) == stored_as(RAW, "gzip")
        assert all_of(jobs[1].body()) == path.read_bytes()


def test_where_all_is_packed_anew_it_does_not_matter_how_a_layer_is_stored(tmp_path: Path) -> None:
    with packing(keep=False) as (packer, _):
        job = packer.pack(a_layer(tmp_path, RAW, stored="zstd"))
        assert packer.pack(a_layer(tmp_path, RAW)) is job


@pytest.mark.parametrize("stored", ["", "gzip"])
def test_a_layer_begun_early_is_found_by_its_place(tmp_path: Path, stored: str) -> None:
    layer = a_layer(tmp_path, RAW, stored=stored)
    with packing() as (packer, _):
        early = packer.pack(replace(layer, diff_id=None))
        assert packer.pack(layer) is early
        assert packer.pack(replace(layer, diff_id=Digest.of(RAW, "sha512"))) is not early


def test_one_thread_works_layer_after_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[Digest | None] = []
    gate = Gate()

    def note(job: PackJob) -> None:
        gate()
        order.append(job.layer.diff_id)

    before(monkeypatch, "read", note)
    layers = [a_layer(tmp_path, layer_tar(2 * MIB, seed)) for seed in range(3)]
    with packing(threads=1) as (packer, bell):
        jobs = [packer.pack(layer) for layer in layers]
        gate.open()
        bell.wait_for(jobs)
    assert order == [layer.diff_id for layer in layers for _ in range(2)]


def test_a_layer_that_is_slow_to_read_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = (a_layer(tmp_path, layer_tar(2 * MIB, seed)) for seed in range(2))
    gate = Gate()
    before(monkeypatch, "read", lambda job: gate() if job.layer is slow else None)
    with packing(threads=2) as (packer, bell):
        jobs = [packer.pack(slow), packer.pack(quick)]
        bell.wait_for(jobs[1:])
        assert not jobs[0].done
        gate.open()
        bell.wait_for(jobs)


@pytest.mark.parametrize("threads", [2, 3])
def test_no_more_than_a_few_blocks_are_about_when_one_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    gate, lock = Gate(), threading.Lock()
    about, most = 0, 0
    whole = PackJob.pack

    def counted(job: PackJob) -> None:
        nonlocal about, most
        with lock:
            about += 1
            most = max(most, about)
            if about == threads + 3:
                gate.open()

    def committed(job: PackJob) -> None:
        nonlocal about
        with lock:
            about -= 1

    def pack(self: PackJob, block: Block) -> Piece | None:
        if block.number == 0:
            gate()
        return whole(self, block)

    before(monkeypatch, "read", counted)
    before(monkeypatch, "commit", committed)
    monkeypatch.setattr(PackJob, "pack", pack)
    with packing(threads=threads) as (packer, bell):
        job = packer.pack(a_layer(tmp_path, layer_tar(20 * MIB)))
        bell.wait_for([job])
        assert job.error is None
    assert most == threads + 3


def test_the_loop_is_woken_once_for_each_block_and_at_the_end(tmp_path: Path) -> None:
    with packing() as (packer, bell):
        job = packer.pack(a_layer(tmp_path, RAW))
        bell.wait_for([job])
        packer.close()
        assert bell.rung == 4


@pytest.mark.parametrize("stored", ["gzip", "zstd"])
def test_a_layer_stored_compressed_is_kept_and_verified(tmp_path: Path, stored: str) -> None:
    with packing("gzip-2") as (packer, bell):
        layer = a_layer(tmp_path, RAW, stored=stored)
        job = packer.pack(layer)
        assert isinstance(job.body(), RegionBody)
        bell.wait_for([job])
        assert job.packed is not None
        assert (job.kind, job.kept) == (stored, True)
        assert all_of(job.body()) == stored_as(RAW, stored)
        assert job.packed.digest == Digest.of(stored_as(RAW, stored))
        assert job.packed.size == layer.region.size
        assert job.raw_digest == Digest.of(RAW)


def test_a_kept_layer_that_lies_is_refused(tmp_path: Path) -> None:
    with packing() as (packer, bell):
        layer = replace(a_layer(tmp_path, RAW, stored="gzip"), diff_id=Digest.of(b"other"))
        job = packer.pack(layer)
        bell.wait_for([job])
        assert isinstance(job.error, ImageInvalid)
        assert job.packed is None


def test_a_raw_layer_that_stays_raw_is_sent_from_where_it_lies(tmp_path: Path) -> None:
    with packing("none") as (packer, bell):
        job = packer.pack(a_layer(tmp_path, RAW))
        bell.wait_for([job])
        assert isinstance(job.body(), RegionBody)
        assert job.packed is not None
        assert job.packed.digest == Digest.of(RAW)


def test_kept_layers_and_large_blocks_share_no_buffer(tmp_path: Path) -> None:
    raws = [layer_tar(9 * MIB, seed) for seed in range(4)]
    with packing("zstd-1", threads=1) as (packer, bell):
        layers = [
            a_layer(tmp_path, raw, stored="" if number % 2 else "gzip")
            for number, raw in enumerate(raws)
        ]
        jobs = [packer.pack(layer) for layer in layers]
        bell.wait_for(jobs)
        mixed = [all_of(job.body()) for job in jobs]
    with packing("zstd-1", threads=1) as (packer, bell):
        alone = [packer.pack(layers[number]) for number in (1, 3)]
        bell.wait_for(alone)
        assert [all_of(job.body()) for job in alone] == mixed[1::2]


def test_a_lying_layer_never_ends_as_if_it_were_whole(tmp_path: Path) -> None:
    with packing() as (packer, bell):
        job = packer.pack(replace(a_layer(tmp_path, RAW), diff_id=Digest.of(b"other")))
        reader = job.body().open()
        bell.wait_for([job])
        assert isinstance(job.error, ImageInvalid)
        assert job.packed is None
        with pytest.raises(OSError, match="it could not be packed: layer sha256:"):
            reader.readinto(memoryview(bytearray(100)))
        with pytest.raises(OSError, match="it could not be packed"):
            job.body().open()
        reader.close()


def test_a_failure_ends_its_own_job_and_no_other(tmp_path: Path) -> None:
    with packing() as (packer, bell):
        bad = packer.pack(a_layer(tmp_path, b"no tar"))
        good = packer.pack(a_layer(tmp_path, RAW))
        bell.wait_for([bad, good])
        assert isinstance(bad.error, ImageInvalid)
        assert good.error is None


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "make room, or point TMPDIR at a larger disk"),
        (errno.EROFS, "point TMPDIR at a directory that can be written"),
    ],
)
def test_a_disk_that_takes_no_more_is_this_machines_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str
) -> None:
    def full(fd: int, data: object, at: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwrite", full)
    with packing() as (packer, bell):
        job = packer.pack(a_layer(tmp_path, RAW))
        bell.wait_for([job])
        assert isinstance(job.error, LocalError)
        assert job.error.why == os.strerror(number).lower()
        assert job.error.hint == hint


def test_a_folder_for_spools_that_is_not_there_is_told(tmp_path: Path) -> None:
    with packing(folder=tmp_path / "missing") as (packer, bell):
        job = packer.pack(a_layer(tmp_path, RAW))
        bell.wait_for([job])
        assert isinstance(job.error, LocalError)


@pytest.mark.parametrize("stage", ["read", "pack", "commit"])
def test_what_nobody_thought_of_ends_the_job_and_not_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    bad, good = a_layer(tmp_path, RAW), a_layer(tmp_path, layer_tar(2 * MIB, 1))

    def break_down(job: PackJob) -> None:
        if job.layer is bad:
            raise RuntimeError("out of order")

    before(monkeypatch, stage, break_down)
    with packing(threads=1) as (packer, bell):
        jobs = [packer.pack(bad), packer.pack(good)]
        bell.wait_for(jobs)
        error = jobs[0].error
        assert isinstance(error, LocalError)
        assert error.message == f"layer {bad.diff_id} cannot be packed: RuntimeError: out of order"
        assert isinstance(error.__cause__, RuntimeError)
        assert jobs[1].error is None


def test_a_bell_that_breaks_leaves_the_threads_alive(tmp_path: Path) -> None:
    bell = Bell()
    broken = True

    def wake() -> None:
        bell.ring()
        if broken:
            raise OSError("the loop is gone")

    packer = Packer(Method.choose(), wake=wake, threads=1)
    first = packer.pack(a_layer(tmp_path, RAW))
    bell.wait_for([first])
    assert isinstance(first.error, LocalError)
    broken = False
    second = packer.pack(a_layer(tmp_path, layer_tar(MIB, 1)))
    bell.wait_for([second])
    assert second.error is None
    packer.close()


def test_closing_in_the_middle_leaves_no_thread_and_no_spool(tmp_path: Path) -> None:
    with packing(threads=7) as (packer, _bell):
        jobs = [packer.pack(a_layer(tmp_path, layer_tar(9 * MIB, seed))) for seed in range(3)]
        assert len(packing_threads()) == 7
        packer.close()
        assert packing_threads() == []
        for job in jobs:
            assert job.done
            assert job.error is None
            with pytest.raises(OSError, match="its packing was stopped"):
                job.body().open()
        packer.close()
        with pytest.raises(ValueError, match="the packer is closed"):
            packer.pack(a_layer(tmp_path, RAW))


def test_closing_gives_back_every_file(tmp_path: Path) -> None:
    before_all = open_files()
    with packing() as (packer, bell):
        jobs = [packer.pack(a_layer(tmp_path, layer_tar(MIB, seed))) for seed in range(3)]
        bell.wait_for(jobs)
        packer.pack(a_layer(tmp_path, layer_tar(30 * MIB), stored="gzip"))
    assert open_files() == before_all


def test_nobody_is_woken_once_closing_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    before(monkeypatch, "pack", lambda job: gate())
    with packing(threads=1) as (packer, bell):
        packer.pack(a_layer(tmp_path, RAW))
        gate.wait()
        packer._ready.acquire()
        packer._closing = True
        packer._ready.release()
        gate.open()
        packer.close()
        assert bell.rung == 0


def test_there_are_no_threads_before_there_is_work(tmp_path: Path) -> None:
    with packing() as (packer, _):
        assert packing_threads() == []
        packer.pack(a_layer(tmp_path, RAW))
        assert len(packing_threads()) == 2


def test_a_machine_that_gives_no_thread_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with packing() as (packer, _), pytest.raises(LocalError, match="no thread can be started"):
        packer.pack(a_layer(tmp_path, RAW))


def test_a_cancelled_job_stops_and_can_be_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    layer = a_layer(tmp_path, RAW)
    before(monkeypatch, "read", lambda job: gate())
    with packing(threads=1) as (packer, bell):
        job = packer.pack(layer)
        gate.wait()
        job.cancel()
        job.cancel()
        assert job.done
        assert job.error is None
        assert job.packed is None
        again = packer.pack(layer)
        assert again is not job
        gate.open()
        bell.wait_for([again])
        assert again.error is None


def test_cancelling_what_is_packed_gives_back_its_room(tmp_path: Path) -> None:
    with packing() as (packer, bell):
        job = packer.pack(a_layer(tmp_path, RAW))
        bell.wait_for([job])
        job.cancel()
        assert job.packed is not None
        with pytest.raises(OSError, match="its packing was stopped"):
            job.body().open()


@pytest.mark.parametrize("size", [600, 5 * MIB])
def test_a_released_job_gives_back_its_room_and_keeps_what_it_knows(
    tmp_path: Path, size: int
) -> None:
    layer = a_layer(tmp_path, layer_tar(size))
    before_all = open_files()
    with packing() as (packer, bell):
        job = packer.pack(layer)
        bell.wait_for([job])
        packed, blob_size = job.packed, job.spool.size
        assert open_files() == before_all + 1
        job.release()
        job.release()
        assert open_files() == before_all
        assert (job.packed, job.raw_digest, job.spool.size) == (packed, layer.diff_id, blob_size)
        assert (job.done, job.error) == (True, None)
        with pytest.raises(OSError, match="it was given up, having arrived"):
            job.body().open()


def test_a_released_layer_is_packed_anew_for_whoever_asks_again(tmp_path: Path) -> None:
    layer = a_layer(tmp_path, RAW)
    with packing() as (packer, bell):
        job = packer.pack(layer)
        bell.wait_for([job])
        job.release()
        again = packer.pack(layer)
        assert again is not job
        bell.wait_for([again])
        job.release()
        assert again.packed == job.packed
        assert packer.pack(layer) is again
        assert len(all_of(again.body())) == again.spool.size


def test_a_job_that_is_not_done_cannot_be_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    before(monkeypatch, "commit", lambda job: gate())
    with packing() as (packer, bell):
        job = packer.pack(a_layer(tmp_path, RAW))
        gate.wait()
        job.release()
        gate.open()
        bell.wait_for([job])
        assert job.packed is not None
        assert Digest.of(all_of(job.body())) == job.packed.digest


def test_hundreds_of_small_layers_take_one_file(tmp_path: Path) -> None:
    layers = [a_layer(tmp_path, layer_tar(600 + number)) for number in range(300)]
    before_all = open_files()
    with packing() as (packer, bell):
        jobs = [packer.pack(layer) for layer in layers]
        bell.wait_for(jobs)
        assert open_files() == before_all + 1
        for job in jobs:
            assert job.packed is not None
            assert Digest.of(all_of(job.body())) == job.packed.digest
        for job in jobs:
            job.release()
        assert open_files() == before_all


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_spool_for_which_there_is_no_descriptor_does_not_blame_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with packing() as (packer, bell):
        job = packer.pack(a_layer(tmp_path, RAW))
        bell.wait_for([job])
        assert isinstance(job.error, LocalError)
        assert job.error.why == "too many files are open"
        assert job.error.hint == "raise the limit on them (`ulimit -n`)"


@pytest.mark.parametrize(
    ("method", "most"), [("gzip-2", 8), ("zstd-1", 3), ("zstd-19", 3), ("none", 16)]
)
def test_no_more_threads_work_than_there_is_memory_for(
    tmp_path: Path, method: str, most: int
) -> None:
    with packing(method, threads=16) as (packer, _):
        packer.pack(a_layer(tmp_path, RAW))
        assert len(packing_threads()) == most


def test_few_threads_unpack_zstd_for_each_keeps_a_window(tmp_path: Path) -> None:
    with packing(threads=16) as (packer, _):
        packer.pack(a_layer(tmp_path, RAW, stored="zstd"))
        assert len(packing_threads()) == 3


@pytest.mark.parametrize(
    ("method", "keep"), [("gzip-2", True), ("gzip-2", False), ("zstd-1", False)]
)
def test_what_is_about_stays_within_the_memory_and_is_all_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, keep: bool
) -> None:
    most = 0
    layers = [a_layer(tmp_path, layer_tar(3 * MIB, seed), stored="zstd") for seed in range(12)]
    with packing(method, threads=16, keep=keep) as (packer, bell):

        def look(job: PackJob) -> None:
            nonlocal most
            with packer._ready:
                most = max(most, packer._memory)

        before(monkeypatch, "read", look)
        jobs = [packer.pack(layer) for layer in layers]
        bell.wait_for(jobs)
        assert [job.error for job in jobs] == [None] * 12
        packer.close()
        assert packer._memory == packer._busy == packer._waiting == 0
    # a block that was just packed counts twice, until its thread is done with it
    assert 0 < most <= 56 * MIB


def test_a_region_without_a_name_is_packed(tmp_path: Path) -> None:
    layer = a_layer(tmp_path, RAW)
    fd = os.open(layer.region.path, os.O_RDONLY)
    os.unlink(layer.region.path)
    with packing() as (packer, bell):
        job = packer.pack(RawLayer(layer.diff_id, replace(layer.region, fd=fd)))
        bell.wait_for([job])
        assert job.error is None
    os.close(fd)
