"""What may lie under the name of a file of credentials."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from idpbuilder.credentials import reading
from idpbuilder.credentials.reading import FILE_LIMIT, read
from idpbuilder.credentials.unusable import Unusable
from tests.credentials.stored import write


def why(path: object) -> str:
    with pytest.raises(Unusable) as caught:
        read(str(path))
    return str(caught.value)


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    text = "x" * 300_000
    assert read(str(write(tmp_path / "f", text))) == text.encode()


def test_where_there_is_none_nothing_is_read(tmp_path: Path) -> None:
    write(tmp_path / "file", "x")
    assert read(str(tmp_path / "missing")) is None
    assert read(str(tmp_path / "file" / "below")) is None


@pytest.mark.parametrize("content", ["", " \n\t"])
def test_an_empty_file_is_told_of(tmp_path: Path, content: str) -> None:
    assert why(write(tmp_path / "f", content)) == "it is empty"


def test_the_null_device_is_meant_to_be_empty() -> None:
    assert read(os.devnull) == b""


def test_a_folder_is_told_of(tmp_path: Path) -> None:
    assert why(tmp_path) == "it cannot be read (is a directory)"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told_of(tmp_path: Path) -> None:
    path = write(tmp_path / "f", "{}")
    path.chmod(0)
    assert why(path) == "it cannot be read (permission denied)"


def test_a_loop_of_links_and_a_name_that_is_none_are_told_of(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert why(loop).startswith("it cannot be read (too many levels")
    assert why("a\0b").startswith("it cannot be read (embedded null")


def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "f", "{}")
    os.truncate(path, 1 << 40)
    assert why(path) == f"it has more than {FILE_LIMIT} bytes"
    assert why("/dev/zero") == f"it has more than {FILE_LIMIT} bytes"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o664, 0o777])
def test_a_file_that_others_may_write_to_is_told_of(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "f", "{}")
    path.chmod(mode)
    assert why(path) == f"its mode {mode:04o} lets others write to it"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_a_file_that_others_may_read_is_the_users_affair(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "f", "{}")
    path.chmod(mode)
    assert read(str(path)) == b"{}"


def test_a_pipe_is_read_to_its_end() -> None:
    ours, theirs = os.pipe()

    def slowly() -> None:
        for part in (b"{", b"}"):
            os.write(theirs, part)
        os.close(theirs)

    writer = threading.Thread(target=slowly)
    writer.start()
    try:
        assert read(f"/dev/fd/{ours}") == b"{}"
    finally:
        writer.join()
        os.close(ours)


def test_a_pipe_that_nobody_writes_to_holds_up_nobody_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_PIPE_SECONDS", 0.0)
    os.mkfifo(tmp_path / "f", 0o600)
    assert why(tmp_path / "f") in ("nothing comes out of it", "it is empty")
