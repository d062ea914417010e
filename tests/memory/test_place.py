"""Where the memory lies, who can get at it there, and how it is removed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from idpbuilder.memory import clear, memory_path
from tests.memory.kept import NOTHING, answers, file, fill, memory, truth


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("environ", "platform", "path"),
    [
        ({"HOME": "/home/me"}, "linux", "/home/me/.cache/idpbuilder-push/memory.db"),
        ({"HOME": "/Users/me"}, "darwin", "/Users/me/Library/Caches/idpbuilder-push/memory.db"),
        (
            {"HOME": "/home/me", "XDG_CACHE_HOME": "/var/cache"},
            "linux",
            "/var/cache/idpbuilder-push/memory.db",
        ),
        ({"XDG_CACHE_HOME": "/var/cache"}, "darwin", "/var/cache/idpbuilder-push/memory.db"),
        (
            {"HOME": "/home/me", "XDG_CACHE_HOME": "cache"},
            "linux",
            "/home/me/.cache/idpbuilder-push/memory.db",
        ),
        ({"HOME": "", "XDG_CACHE_HOME": ""}, "linux", None),
        ({"HOME": "~"}, "linux", None),
        ({}, "linux", None),
    ],
)
def test_the_file_lies_in_the_users_cache_folder(
    environ: dict[str, str], platform: str, path: str | None
) -> None:
    assert memory_path(environ, platform) == path


def test_nobody_else_can_read_it_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    with memory(tmp_path / ".cache") as kept:
        fill(kept)
    assert mode(file(tmp_path / ".cache").parent) == 0o700
    assert mode(file(tmp_path / ".cache")) == 0o600
    assert mode(tmp_path / ".cache") & 0o077 == 0


def test_a_file_is_never_open_to_others_not_even_while_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    opened = os.open

    def watched(path: str, flags: int, mode: int = 0o777, **more: int) -> int:
        made.append(mode)
        return opened(path, flags, mode, **more)

    monkeypatch.setattr(os, "open", watched)
    with memory(tmp_path) as kept:
        fill(kept)
    assert set(made) == {0o600}
    assert {mode(path) for path in file(tmp_path).parent.iterdir()} == {0o600}


def test_what_an_older_umask_left_open_is_closed(tmp_path: Path) -> None:
    with memory(tmp_path) as kept:
        fill(kept)
    os.chmod(file(tmp_path).parent, 0o755)
    os.chmod(file(tmp_path), 0o644)
    with memory(tmp_path) as kept:
        assert answers(kept) == truth()
    assert (mode(file(tmp_path).parent), mode(file(tmp_path))) == (0o700, 0o600)


def test_a_folder_whose_mode_cannot_be_had_is_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file(tmp_path).parent.mkdir()
    os.chmod(file(tmp_path).parent, 0o777)
    monkeypatch.setattr(os, "chmod", lambda *_: None)
    with memory(tmp_path) as kept:
        fill(kept)
    assert list(file(tmp_path).parent.iterdir()) == []


def test_a_link_to_a_folder_of_ours_is_followed(tmp_path: Path) -> None:
    (tmp_path / "large-disk").mkdir()
    file(tmp_path).parent.symlink_to(tmp_path / "large-disk")
    with memory(tmp_path) as kept:
        fill(kept)
    assert (tmp_path / "large-disk" / "memory.db").exists()


def test_a_folder_of_another_user_is_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file(tmp_path).parent.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with memory(tmp_path) as kept:
        fill(kept)
    assert list(file(tmp_path).parent.iterdir()) == []
    with memory(tmp_path) as kept:
        assert answers(kept) == NOTHING


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    file(tmp_path).parent.mkdir()
    file(tmp_path).symlink_to(precious)
    with memory(tmp_path) as kept:
        fill(kept)
    with memory(tmp_path) as kept:
        assert answers(kept) == truth()
    assert precious.read_text() == "precious"
    assert not file(tmp_path).is_symlink()


def test_a_pipe_in_place_of_the_file_is_replaced(tmp_path: Path) -> None:
    file(tmp_path).parent.mkdir()
    os.mkfifo(file(tmp_path))
    with memory(tmp_path) as kept:
        fill(kept)
        kept.flush()
        assert answers(kept) == truth()


def test_clearing_frees_what_the_memory_took(tmp_path: Path) -> None:
    with memory(tmp_path) as kept:
        fill(kept)
    size = file(tmp_path).stat().st_size
    journal = tmp_path / "idpbuilder-push" / "memory.db-journal"
    journal.write_bytes(b"\0" * 10)
    assert clear(str(file(tmp_path))) == size + 10
    assert not file(tmp_path).exists()
    assert not journal.exists()
    with memory(tmp_path) as kept:
        assert answers(kept) == NOTHING


def test_clearing_what_is_not_there_frees_nothing_and_makes_nothing(tmp_path: Path) -> None:
    assert clear(str(file(tmp_path))) == 0
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    assert clear(str(file(tmp_path / "file"))) == 0


def test_a_memory_in_use_is_not_cleared(tmp_path: Path) -> None:
    with memory(tmp_path) as kept:
        fill(kept)
        kept.flush()
        with pytest.raises(BlockingIOError):
            clear(str(file(tmp_path)))
        assert answers(kept) == truth()
    assert clear(str(file(tmp_path))) > 0


def test_what_cannot_be_removed_is_an_error(tmp_path: Path) -> None:
    file(tmp_path).mkdir(parents=True)
    with pytest.raises(OSError, match="memory"):
        clear(str(file(tmp_path)))
