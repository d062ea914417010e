"""`-`: an archive on standard input."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from idpbuilder.errors import ImageInvalid, ImageUnreadable, LocalError
from idpbuilder.source import SourceImage, open_source, standard_input
from idpbuilder.source import spool as spool_module
from tests.parts.docker_archives import SHAPES, Saved, SavedArchive, save
from tests.parts.images import ImageSpec, compressed, write_archive, write_layout
from tests.source.opened import content, documents_of, ignore, images_of, opened

Feed = Callable[..., None]
SPEC = Saved(layers=(1000, 300_000), tags=("app:v1",))


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    """Pipes data into standard input, in pieces of `step` bytes; the pipe then ends."""
    with contextlib.ExitStack() as stack:

        def feed(data: bytes, step: int = 65536) -> None:
            reading, writing = os.pipe()
            thread = threading.Thread(target=written, args=(writing, data, step))
            stack.callback(thread.join)
            # closed first: a writer whose reader is gone ends by itself
            monkeypatch.setattr("sys.stdin", stack.enter_context(os.fdopen(reading, "rb")))
            thread.start()

        yield feed


def written(fd: int, data: bytes, step: int) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(fd, "wb", buffering=0) as pipe:
        for start in range(0, len(data), step):
            pipe.write(data[start : start + step])


def stdin(monkeypatch: pytest.MonkeyPatch, file: IO[bytes]) -> None:
    monkeypatch.setattr("sys.stdin", file)


@pytest.fixture
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "spools"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def open_descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def check_content(archive: SavedArchive, image: SourceImage) -> None:
    for digest, region in image.blobs.items():
        stored = compressed(archive.content(str(digest)), image.stored.get(digest))
        assert content(region) == stored


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("compress", [None, "gzip", "zstd"])
def test_an_archive_is_read_from_a_pipe(
    tmp_path: Path, feed: Feed, spools: Path, shape: str, compress: str | None
) -> None:
    archive = save(tmp_path / "image", [SPEC], shape, compress)
    feed(archive.path.read_bytes())
    with opened("-") as (image,):
        assert image.label == "-"
        assert image.repack
        assert list(spools.iterdir()) == []
        check_content(archive, image)


@pytest.mark.parametrize("compress", [None, "gzip", "zstd"])
def test_an_oci_archive_is_read_from_a_pipe(
    tmp_path: Path, feed: Feed, compress: str | None
) -> None:
    layout = write_layout(tmp_path / "app", [ImageSpec(ref="app:v1")])
    feed(write_archive(tmp_path / "image", layout, compress).read_bytes())
    with opened("-", "linux/amd64") as (image,):
        assert documents_of(image) == [layout.image.digest]
        assert not image.repack


@pytest.mark.parametrize("compress", [None, "gzip"])
def test_a_pipe_may_give_single_bytes(tmp_path: Path, feed: Feed, compress: str | None) -> None:
    archive = save(tmp_path / "image", [Saved(layers=(10,))], "classic", compress)
    feed(archive.path.read_bytes(), step=1)
    with opened("-") as (image,):
        check_content(archive, image)


def test_a_file_as_standard_input_is_read_in_place(
    tmp_path: Path, spools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = save(tmp_path / "image.tar", [SPEC])
    monkeypatch.setattr("tempfile.tempdir", str(spools / "missing"))
    with archive.path.open("rb") as file:
        stdin(monkeypatch, file)
        with opened("-") as (image,):
            check_content(archive, image)


@pytest.mark.parametrize("compress", ["gzip", "zstd"])
def test_a_compressed_file_as_standard_input_is_spooled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compress: str
) -> None:
    archive = save(tmp_path / "image", [SPEC], "classic", compress)
    with archive.path.open("rb") as file:
        stdin(monkeypatch, file)
        with opened("-") as (image,):
            check_content(archive, image)


@pytest.mark.parametrize("compress", [None, "gzip"])
def test_a_file_that_was_read_from_is_taken_from_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compress: str | None
) -> None:
    archive = save(tmp_path / "image", [SPEC], "classic", compress)
    data = archive.path.read_bytes()
    archive.path.write_bytes(b"a line\n" + data)
    with open(archive.path, "rb", buffering=0) as file:
        file.read(7)
        monkeypatch.setattr("sys.stdin", file)
        with opened("-") as (image,):
            check_content(archive, image)


def test_nothing_stays_open(tmp_path: Path, feed: Feed) -> None:
    archive = save(tmp_path / "image", [SPEC])
    feed(archive.path.read_bytes())
    with opened("-"):
        pass
    # the writer has come to its end
    before = open_descriptors()
    feed(archive.path.read_bytes())
    with opened("-"):
        pass
    assert open_descriptors() == before + 1


def test_an_empty_standard_input_is_told(feed: Feed) -> None:
    feed(b"")
    with pytest.raises(ImageUnreadable, match="cannot read standard input: it is empty") as caught:
        images_of("-")
    assert "docker save app:v1 | idpbuilder push -" in caught.value.hint


def test_the_null_device_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull, "rb") as file:
        stdin(monkeypatch, file)
        with pytest.raises(ImageUnreadable, match="it is empty"):
            images_of("-")


def test_a_closed_standard_input_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ImageUnreadable, match="it is closed"):
        images_of("-")
    stdin(monkeypatch, io.BytesIO(b"no descriptor"))
    with pytest.raises(ImageUnreadable, match="it is closed"):
        images_of("-")


def test_a_terminal_is_told_to_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    master, terminal = os.openpty()
    with os.fdopen(terminal, "rb") as file:
        stdin(monkeypatch, file)
        with pytest.raises(ImageUnreadable, match="it is a terminal") as caught:
            images_of("-")
    os.close(master)
    assert caught.value.hint.startswith("pipe an archive into it")


def test_a_directory_as_standard_input_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)

    class Input:
        def fileno(self) -> int:
            return fd

    monkeypatch.setattr("sys.stdin", Input())
    with pytest.raises(ImageUnreadable, match="cannot read standard input: is a directory"):
        images_of("-")
    os.close(fd)


@pytest.mark.parametrize("data", [b"x", b"no archive" * 1000, compressed(b"no tar", "gzip")])
def test_what_is_no_archive_is_called_standard_input(feed: Feed, data: bytes) -> None:
    feed(data)
    with pytest.raises(ImageInvalid, match=r"^standard input is no image: it is no tar archive"):
        images_of("-")


@pytest.mark.parametrize("compress", [None, "gzip", "zstd"])
def test_a_stream_cut_short_is_invalid(tmp_path: Path, feed: Feed, compress: str | None) -> None:
    data = save(tmp_path / "image", [SPEC], "classic", compress).path.read_bytes()
    feed(data[: len(data) // 2])
    with pytest.raises(ImageInvalid, match=r"standard input .* cut short or broken"):
        images_of("-")


@pytest.mark.parametrize("compress", [None, "gzip", "zstd"])
def test_a_stream_without_end_is_stopped(
    tmp_path: Path, feed: Feed, monkeypatch: pytest.MonkeyPatch, compress: str | None
) -> None:
    monkeypatch.setattr(spool_module, "_LIMIT", 10_000)
    feed(save(tmp_path / "image", [SPEC], "classic", compress).path.read_bytes())
    with pytest.raises(ImageInvalid, match="more than 10000 bytes"):
        images_of("-")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is always full")
def test_a_full_disk_is_a_local_error_that_names_tmpdir(
    tmp_path: Path, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(save(tmp_path / "image", [SPEC]).path.read_bytes())
    monkeypatch.setattr("tempfile.TemporaryFile", functools.partial(open, "/dev/full", "wb"))
    with pytest.raises(LocalError, match=r"standard input .* no space left") as caught:
        images_of("-")
    assert "TMPDIR" in caught.value.hint


class Stopped(Exception):
    pass


@pytest.mark.parametrize("start", [b"", b"\x1f\x8b\x08", b"x" * 100_000])
def test_waiting_for_input_can_be_stopped(monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr(standard_input, "_WAIT", 5)
    reading, writing = os.pipe()
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise Stopped

    thread = threading.Thread(target=os.write, args=(writing, start))
    thread.start()
    with os.fdopen(reading, "rb") as file:
        stdin(monkeypatch, file)
        before = open_descriptors()
        with pytest.raises(Stopped), open_source("-", None, check):
            pytest.fail("the source was opened")
        assert open_descriptors() == before
    thread.join()
    os.close(writing)


def test_a_pipe_that_does_not_block_is_waited_for(
    tmp_path: Path, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = save(tmp_path / "image", [SPEC])
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    thread = threading.Thread(target=written, args=(writing, archive.path.read_bytes(), 1000))
    with os.fdopen(reading, "rb") as file:
        stdin(monkeypatch, file)
        thread.start()
        with open_source("-", None, ignore) as (image,):
            check_content(archive, image)
        thread.join()
