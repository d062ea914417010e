"""Regions of files are read whole, in order, and never beyond their end."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

OpenFile = Callable[[bytes], int]
CONTENT = bytes(range(256)) * 40


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_a_region_is_read_in_order_and_then_ends(kernels: ModuleType, open_file: OpenFile) -> None:
    reader = kernels.RegionReader(open_file(CONTENT), 100, 1000)
    buffer = bytearray(300)
    parts = []
    while count := reader.readinto(buffer):
        parts.append(bytes(buffer[:count]))
    assert [len(part) for part in parts] == [300, 300, 300, 100]
    assert b"".join(parts) == CONTENT[100:1100]
    assert reader.readinto(buffer) == 0
    reader.close()


def test_what_remains_falls_with_every_read(kernels: ModuleType, open_file: OpenFile) -> None:
    reader = kernels.RegionReader(open_file(CONTENT), 0, 10)
    assert reader.remaining == 10
    reader.readinto(bytearray(4))
    assert reader.remaining == 6
    reader.readinto(bytearray(100))
    assert reader.remaining == 0
    reader.close()


def test_the_buffer_keeps_what_lies_behind_the_end_of_the_region(
    kernels: ModuleType, open_file: OpenFile
) -> None:
    reader = kernels.RegionReader(open_file(CONTENT), 0, 3)
    buffer = bytearray(b"x" * 6)
    assert reader.readinto(buffer) == 3
    assert buffer == CONTENT[:3] + b"xxx"
    reader.close()


def test_a_part_of_a_buffer_is_filled_through_a_memoryview(
    kernels: ModuleType, open_file: OpenFile
) -> None:
    reader = kernels.RegionReader(open_file(CONTENT), 65, 100)
    buffer = bytearray(b"." * 8)
    assert reader.readinto(memoryview(buffer)[2:5]) == 3
    assert buffer == b"..ABC..."
    reader.close()


def test_an_empty_buffer_takes_nothing(kernels: ModuleType, open_file: OpenFile) -> None:
    reader = kernels.RegionReader(open_file(CONTENT), 0, 10)
    assert reader.readinto(bytearray()) == 0
    assert reader.remaining == 10
    reader.close()


def test_an_empty_region_ends_at_once(kernels: ModuleType, open_file: OpenFile) -> None:
    reader = kernels.RegionReader(open_file(b""), 0, 0)
    assert reader.readinto(bytearray(1)) == 0
    reader.close()


def test_a_buffer_that_cannot_be_written_is_refused(
    kernels: ModuleType, open_file: OpenFile
) -> None:
    reader = kernels.RegionReader(open_file(CONTENT), 0, 10)
    with pytest.raises((TypeError, BufferError)):
        reader.readinto(memoryview(b"constant"))
    assert reader.remaining == 10
    reader.close()


def test_a_short_file_is_found_out(kernels: ModuleType, open_file: OpenFile) -> None:
    reader = kernels.RegionReader(open_file(b"0123456789"), 4, 10)
    assert reader.readinto(bytearray(6)) == 6
    with pytest.raises(EOFError, match="the file ends at byte 10, before its content does"):
        reader.readinto(bytearray(6))
    assert reader.remaining == 4
    reader.close()


def test_a_file_that_ends_before_the_region_begins_is_found_out(
    kernels: ModuleType, open_file: OpenFile
) -> None:
    reader = kernels.RegionReader(open_file(b"short"), 1 << 40, 1)
    with pytest.raises(EOFError, match="before its content does"):
        reader.readinto(bytearray(1))
    reader.close()


def test_a_file_that_shrinks_between_two_reads_is_found_out(
    kernels: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "layer"
    path.write_bytes(CONTENT)
    reader = kernels.RegionReader(os.open(path, os.O_RDONLY), 0, len(CONTENT))
    reader.readinto(bytearray(1000))
    os.truncate(path, 1500)
    with pytest.raises(EOFError, match="byte 1500"):
        reader.readinto(bytearray(1000))
    reader.close()


def test_the_position_of_the_file_is_left_alone(kernels: ModuleType, open_file: OpenFile) -> None:
    fd = open_file(CONTENT)
    os.lseek(fd, 7, os.SEEK_SET)
    reader = kernels.RegionReader(fd, 0, 100)
    reader.readinto(bytearray(100))
    assert os.lseek(fd, 0, os.SEEK_CUR) == 7
    reader.close()


def test_two_readers_of_one_file_do_not_disturb_each_other(
    kernels: ModuleType, open_file: OpenFile
) -> None:
    fd = open_file(CONTENT)
    first = kernels.RegionReader(os.dup(fd), 0, 100)
    second = kernels.RegionReader(fd, 50, 100)
    one, two = bytearray(10), bytearray(10)
    for number in range(3):
        first.readinto(one)
        second.readinto(two)
        assert one == CONTENT[10 * number : 10 * number + 10]
        assert two == CONTENT[50 + 10 * number : 60 + 10 * number]
    first.close()
    second.close()


def test_closing_twice_closes_the_file_once(kernels: ModuleType, open_file: OpenFile) -> None:
    fd = open_file(CONTENT)
    reader = kernels.RegionReader(fd, 0, 10)
    reader.close()
    assert not is_open(fd)
    successor = os.open(os.devnull, os.O_RDONLY)
    assert successor == fd
    reader.close()
    assert is_open(successor)


def test_reading_after_close_is_an_error(kernels: ModuleType, open_file: OpenFile) -> None:
    reader = kernels.RegionReader(open_file(CONTENT), 0, 10)
    reader.close()
    with pytest.raises(ValueError, match="the reader is closed"):
        reader.readinto(bytearray(1))


def test_a_dropped_reader_closes_its_file(kernels: ModuleType, open_file: OpenFile) -> None:
    fd = open_file(CONTENT)
    reader = kernels.RegionReader(fd, 0, 10)
    assert is_open(fd)
    del reader
    assert not is_open(fd)


@pytest.mark.parametrize(("offset", "size"), [(-1, 5), (0, -5), (2**63 - 1, 1), (0, 2**70)])
def test_a_region_that_cannot_exist_is_refused_and_the_file_closed(
    kernels: ModuleType, open_file: OpenFile, offset: int, size: int
) -> None:
    fd = open_file(CONTENT)
    with pytest.raises(ValueError, match="no file has a region"):
        kernels.RegionReader(fd, offset, size)
    assert not is_open(fd)


def test_only_regular_files_are_read_and_others_are_closed(
    kernels: ModuleType, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path(os.devnull)):
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with pytest.raises(OSError, match="not a regular file") as caught:
            kernels.RegionReader(fd, 0, 1)
        assert caught.value.errno == errno.EINVAL
        assert not is_open(fd)


def test_a_descriptor_that_is_not_open_is_refused(kernels: ModuleType) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)) as caught:
        kernels.RegionReader(-1, 0, 1)
    assert caught.value.errno == errno.EBADF


def test_a_file_that_cannot_be_read_gives_the_error_of_the_system(
    kernels: ModuleType, tmp_path: Path
) -> None:
    fd = os.open(tmp_path / "unreadable", os.O_WRONLY | os.O_CREAT)
    reader = kernels.RegionReader(fd, 0, 1)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)) as caught:
        reader.readinto(bytearray(1))
    assert caught.value.errno == errno.EBADF
    assert reader.remaining == 1
    reader.close()
