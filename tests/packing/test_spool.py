"""A spool is read while it grows, by as many as want to."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from idpbuilder.packing import spool as spools
from idpbuilder.packing.spool import GrowingBody, Shelf, Spool
from idpbuilder.wire import BodyReader
from tests.packing.synthetic import open_files


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A spool that no test has to close."""
    made = Spool(str(tmp_path))
    yield made
    made.fail("the test is over")


def take(reader: BodyReader, size: int = 100) -> bytes | None:
    """What a read gives; None where nothing is there yet."""
    buffer = bytearray(size)
    count = reader.readinto(memoryview(buffer))
    return None if count is None else bytes(buffer[:count])


def test_a_reader_gets_what_is_there_and_then_waits(spool: Spool) -> None:
    reader = spool.open()
    assert take(reader) is None
    spool.append(b"one")
    spool.append(b"two")
    assert take(reader, 4) == b"onet"
    assert take(reader) == b"wo"
    assert take(reader) is None
    spool.append(b"three")
    assert take(reader) == b"three"
    spool.finish()
    assert take(reader) == b""
    reader.close()


def test_readers_begin_at_any_time_and_do_not_disturb_each_other(spool: Spool) -> None:
    spool.append(b"0123456789")
    first, second = spool.open(), spool.open()
    assert take(first, 6) == b"012345"
    assert take(second, 2) == b"01"
    spool.finish()
    late = spool.open()
    assert take(late) == b"0123456789"
    assert take(late) == b""
    assert take(first) == b"6789"
    assert take(second) == b"23456789"
    for reader in (first, second, late):
        reader.close()
        reader.close()


def test_a_body_has_a_size_once_it_is_whole(spool: Spool) -> None:
    body = GrowingBody(spool)
    spool.append(b"12345")
    assert body.size is None
    spool.finish()
    assert body.size == 5
    reader = body.open()
    assert take(reader) == b"12345"
    reader.close()


def test_an_empty_spool_ends_at_once(spool: Spool) -> None:
    spool.finish()
    assert spool.size == 0
    assert take(spool.open()) == b""


def test_readers_of_a_failed_spool_raise_and_never_end_as_if_all_was_well(spool: Spool) -> None:
    spool.append(b"12345")
    early, reader = spool.open(), spool.open()
    take(reader)
    spool.fail("it is no use")
    spool.fail("said later")
    for one in (early, reader):
        with pytest.raises(OSError, match="it is no use") as caught:
            take(one)
        assert caught.value.errno == errno.ECANCELED
        one.close()
    with pytest.raises(OSError, match="it is no use"):
        spool.open()
    with pytest.raises(OSError, match="it is no use"):
        spool.append(b"more")


def test_its_file_has_no_name_and_goes_when_it_fails(tmp_path: Path, spool: Spool) -> None:
    before = open_files()
    spool.append(b"12345")
    assert list(tmp_path.iterdir()) == []
    spool.fail("stopped")
    assert open_files() == before


def test_a_folder_that_is_not_there_is_found_out_by_the_first_byte(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "missing"))
    with pytest.raises(FileNotFoundError):
        spool.append(b"1")


def test_a_dropped_reader_gives_back_its_file(spool: Spool) -> None:
    spool.append(b"12345")
    before = open_files()
    reader = spool.open()
    take(reader)
    assert open_files() == before + 1
    del reader
    assert open_files() == before


def shelved(shelf: Shelf, data: bytes) -> Spool:
    """A small blob that is whole."""
    made = Spool(shelf=shelf)
    made.append(data)
    made.finish()
    return made


def test_small_blobs_lie_side_by_side_and_each_is_read_as_its_own() -> None:
    shelf, before = Shelf(), open_files()
    blobs = [b"%d" % number * number for number in range(1, 50)]
    made = [shelved(shelf, blob) for blob in blobs]
    assert open_files() == before + 1
    for one, blob in zip(made, blobs, strict=True):
        reader = one.open()
        assert take(reader, 2000) == blob
        assert take(reader) == b""
        reader.close()
        one.fail("given back")
    assert open_files() == before


def test_who_began_before_a_blob_went_to_the_shelf_reads_on() -> None:
    shelf = Shelf()
    first, made = shelved(shelf, b"another blob"), Spool(shelf=shelf)
    made.append(b"012345")
    early, idle = made.open(), made.open()
    assert take(early, 2) == b"01"
    made.append(b"6789")
    made.finish()
    assert take(early) == b"23456789"
    assert take(early) == b""
    assert take(idle) == b"0123456789"
    for one in (first, made):
        one.fail("given back")


def test_a_large_blob_keeps_its_file_and_gives_it_back_at_once() -> None:
    shelf, before = Shelf(), open_files()
    small, large = shelved(shelf, b"small"), shelved(shelf, bytes(1024 * 1024))
    assert open_files() == before + 2
    large.fail("given back")
    assert open_files() == before + 1
    small.fail("given back")
    assert open_files() == before


def test_a_full_file_of_the_shelf_is_given_back_with_its_last_blob(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spools, "_FULL", 10)
    shelf, before = Shelf(), open_files()
    first, second, third = (shelved(shelf, b"123456") for _ in range(3))
    assert open_files() == before + 2
    first.fail("given back")
    assert open_files() == before + 2
    second.fail("given back")
    assert open_files() == before + 1
    reader = third.open()
    assert take(reader) == b"123456"
    reader.close()
    third.fail("given back")
    assert open_files() == before


def test_a_shelf_without_room_takes_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, before = Shelf(), open_files()
    made = Spool(shelf=shelf)
    made.append(b"12345")

    def full(fd: int, data: object, at: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        made.finish()
    assert not made.finished
    made.fail("no room")
    assert open_files() == before


def test_an_empty_blob_needs_no_shelf() -> None:
    before = open_files()
    made = Spool(shelf=Shelf())
    made.finish()
    assert take(made.open()) == b""
    assert open_files() == before
