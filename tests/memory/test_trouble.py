"""A file that is broken, foreign, locked or out of reach costs what it held, and nothing else."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from idpbuilder.memory import Memory, database
from idpbuilder.memory.place import Lock
from tests.memory.kept import (
    NOTHING,
    NOW,
    PACKER,
    answers,
    digest,
    file,
    fill,
    memory,
    packed,
    rows,
    truth,
)

NOBODY = 65534


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0)
    monkeypatch.setattr(database, "_PAUSE_SECONDS", 0)


@pytest.fixture
def powerless() -> Iterator[Path]:
    """A folder of a user who is not root, as whom the test then runs."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve() / "home"
        folder.mkdir()
        if os.geteuid() != 0:
            yield folder
        else:
            os.chmod(made, 0o711)
            os.chown(folder, NOBODY, -1)
            os.seteuid(NOBODY)
            try:
                yield folder
            finally:
                os.seteuid(0)
        for path in (folder, *folder.rglob("*")):
            os.chmod(path, 0o700)


def foreign_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE cookies (host, value)")
    connection.commit()
    connection.close()


def our_version_of_other_tables(path: Path) -> None:
    foreign_database(path)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {database.VERSION}")
    connection.close()


def another_version(path: Path) -> None:
    with memory(path.parent.parent) as kept:
        fill(kept)
    rows(path.parent.parent, "PRAGMA user_version = 7")


def one_table_too_many(path: Path) -> None:
    with memory(path.parent.parent) as kept:
        fill(kept)
    rows(path.parent.parent, "CREATE TRIGGER more AFTER DELETE ON seen BEGIN SELECT 1; END")


def cut_short(path: Path) -> None:
    with memory(path.parent.parent) as kept:
        fill(kept)
    path.write_bytes(path.read_bytes()[:5000])


def rubbish_after_a_good_beginning(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)


def written_by_a_newer_sqlite(path: Path) -> None:
    with memory(path.parent.parent) as kept:
        fill(kept)
    data = bytearray(path.read_bytes())
    # the schema format number, of which 4 is the highest
    data[44:48] = b"\0\0\0\x09"
    path.write_bytes(data)


@pytest.mark.parametrize(
    "broken",
    [
        lambda path: path.write_bytes(b"rubbish"),
        lambda path: path.write_bytes(b"rubbish " * 10_000),
        lambda path: path.write_bytes(bytes(8192)),
        foreign_database,
        our_version_of_other_tables,
        another_version,
        one_table_too_many,
        cut_short,
        rubbish_after_a_good_beginning,
        written_by_a_newer_sqlite,
    ],
)
def test_a_file_that_is_not_ours_is_replaced(
    tmp_path: Path, broken: Callable[[Path], object]
) -> None:
    file(tmp_path).parent.mkdir()
    broken(file(tmp_path))
    # where the damage is seen late, this run loses its notes as well
    for _ in range(2):
        with memory(tmp_path) as kept:
            assert answers(kept) in (NOTHING, truth())
            fill(kept)
    with memory(tmp_path) as kept:
        assert answers(kept) == truth()
    assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]


def test_an_empty_file_is_used(tmp_path: Path) -> None:
    file(tmp_path).parent.mkdir()
    file(tmp_path).touch()
    with memory(tmp_path) as kept:
        fill(kept)
        kept.flush()
        assert answers(kept) == truth()


def test_a_journal_of_rubbish_does_no_harm(tmp_path: Path) -> None:
    with memory(tmp_path) as kept:
        fill(kept)
    (file(tmp_path).parent / "memory.db-journal").write_bytes(b"rubbish " * 1000)
    with memory(tmp_path) as kept:
        assert answers(kept) == truth()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("sound")
    with memory(folder) as kept:
        fill(kept)
    return file(folder).read_bytes()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2**16), st.integers(0, 255)), min_size=1))
@example([(False, 18, 3)])
def test_changed_bytes_never_change_an_answer_and_the_file_heals(
    sound: bytes,
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[bool, int, int]],
) -> None:
    changed = bytearray(sound)
    full = [index for index, byte in enumerate(sound) if byte]
    for is_full, index, byte in changes:
        changed[full[index % len(full)] if is_full else index % len(sound)] = byte
    folder = tmp_path_factory.mktemp("changed")
    file(folder).parent.mkdir()
    file(folder).write_bytes(changed)
    # damage may be seen late, at the latest where it is in the way
    for number in (2, 3, 4):
        with memory(folder) as kept:
            for found, right in zip(answers(kept), truth(), strict=True):
                assert found in (None, right)
            fill(kept, number)
    with memory(folder) as kept:
        assert answers(kept, 4) == truth(4)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE packed SET size = size + 1",
        "UPDATE packed SET size = 'large'",
        "UPDATE packed SET digest = 'sha256:00'",
        "UPDATE packed SET used = 'lately'",
        "UPDATE packed SET seal = x'00'",
        "UPDATE packed SET seal = NULL",
        f"UPDATE packed SET diff_id = '{digest(2)}'",
    ],
)
def test_a_row_that_others_changed_is_not_believed_and_is_written_anew(
    tmp_path: Path, change: str
) -> None:
    with memory(tmp_path) as kept:
        fill(kept)
    rows(tmp_path, change)
    with memory(tmp_path) as kept:
        assert kept.packed(digest(1), PACKER) is None
        assert kept.packed(digest(2), PACKER) is None
        fill(kept)
    with memory(tmp_path) as kept:
        assert answers(kept) == truth()


def test_damage_that_is_seen_late_costs_this_run_and_no_other(tmp_path: Path) -> None:
    with memory(tmp_path) as kept:
        for number in range(200):
            fill(kept, number)
    with memory(tmp_path) as kept:
        assert answers(kept) == truth()
        size = file(tmp_path).stat().st_size
        with open(file(tmp_path), "r+b") as broken:
            # all but the first page, which has the schema
            broken.seek(24)
            broken.write(b"\xff\xff\xff\xff")
            broken.seek(4096)
            broken.write(b"\xff" * (size - 4096))
        assert answers(kept, 7) == NOTHING
        assert not file(tmp_path).exists()
        fill(kept)
        kept.flush()
        assert answers(kept) == NOTHING
    with memory(tmp_path) as kept:
        fill(kept)
    with memory(tmp_path) as kept:
        assert answers(kept) == truth()


def test_a_file_that_another_process_uses_is_not_replaced(tmp_path: Path) -> None:
    with memory(tmp_path) as older:
        fill(older)
        older.flush()
        rows(tmp_path, "PRAGMA user_version = 7")
        with memory(tmp_path) as kept:
            fill(kept, 2)
            kept.flush()
            assert answers(kept, 2) == NOTHING
        assert answers(older) == truth()
    with memory(tmp_path) as kept:
        assert answers(kept) == NOTHING
        fill(kept)
        kept.flush()
        assert answers(kept) == truth()


def test_while_another_process_replaces_the_file_the_memory_is_forgetful(tmp_path: Path) -> None:
    with memory(tmp_path) as kept:
        fill(kept)
    with Lock(str(file(tmp_path))) as lock:
        assert lock.exclusive()
        with memory(tmp_path) as kept:
            assert answers(kept) == NOTHING
    with memory(tmp_path) as kept:
        assert answers(kept) == truth()


def test_what_cannot_be_written_for_another_writer_is_forgotten(tmp_path: Path) -> None:
    with memory(tmp_path) as kept:
        fill(kept)
    other = sqlite3.connect(file(tmp_path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with memory(tmp_path) as kept:
            assert answers(kept) == truth()
            fill(kept, 2)
    finally:
        other.close()
    with memory(tmp_path) as kept:
        assert answers(kept) == truth()
        assert answers(kept, 2) == NOTHING


def test_what_cannot_be_read_for_another_writer_is_not_known(tmp_path: Path) -> None:
    with memory(tmp_path) as kept:
        fill(kept)
    with memory(tmp_path) as kept:
        assert answers(kept) == truth()
        other = sqlite3.connect(file(tmp_path), isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        try:
            assert answers(kept) == NOTHING
        finally:
            other.close()
        assert answers(kept) == truth()


def test_a_full_disk_costs_the_notes_alone(tmp_path: Path) -> None:
    with memory(tmp_path) as kept:
        fill(kept)
    with memory(tmp_path) as kept:
        assert answers(kept) == truth()
        assert kept._database is not None
        assert kept._database._connection is not None
        kept._database._connection.execute("PRAGMA max_page_count = 1")
        kept.remember_document(digest("large"), bytes(1024 * 1024))
        kept.flush()
        assert answers(kept) == truth()
    with memory(tmp_path) as kept:
        assert answers(kept) == truth()


def test_a_note_that_breaks_off_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        stopped = False

        def __call__(self) -> float:
            if self.stopped:
                raise KeyboardInterrupt
            return NOW

    clock = Clock()
    kept = Memory(str(file(tmp_path)), clock)
    fill(kept)
    kept.flush()
    fill(kept, 2)
    clock.stopped = True
    with pytest.raises(KeyboardInterrupt):
        kept.close()
    clock.stopped = False
    kept.close()
    with memory(tmp_path) as kept:
        assert answers(kept) == truth()


def test_a_slip_about_threads_does_not_cost_the_file(tmp_path: Path) -> None:
    with memory(tmp_path) as kept:
        fill(kept)
        kept.flush()
        found: list[object] = []
        thread = threading.Thread(target=lambda: found.append(answers(kept)))
        thread.start()
        thread.join()
        assert found == [NOTHING]
        assert answers(kept) == truth()


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_where_no_folder_can_be_made_the_memory_is_forgetful(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with memory(tmp_path / place) as kept:
        fill(kept)
        kept.flush()
        assert answers(kept) == NOTHING


@pytest.mark.parametrize("name", ["memory.db", "memory.lock"])
def test_a_folder_in_place_of_a_file_makes_the_memory_forgetful(tmp_path: Path, name: str) -> None:
    (file(tmp_path).parent / name).mkdir(parents=True)
    with memory(tmp_path) as kept:
        fill(kept)
        kept.flush()
        assert answers(kept) == NOTHING


def test_in_a_home_that_cannot_be_written_the_memory_is_forgetful(powerless: Path) -> None:
    os.chmod(powerless, 0o500)
    with memory(powerless) as kept:
        fill(kept)
        kept.flush()
        assert answers(kept) == NOTHING


def test_a_memory_that_became_read_only_is_forgetful(
    powerless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with memory(powerless) as kept:
        fill(kept)
    os.unlink(file(powerless).parent / "memory.lock")
    os.chmod(file(powerless).parent, 0o500)
    # a read-only file system takes no mode either
    monkeypatch.setattr(os, "chmod", lambda *_: None)
    try:
        with memory(powerless) as kept:
            fill(kept, 2)
            kept.flush()
            assert answers(kept) == NOTHING
    finally:
        monkeypatch.undo()


def test_notes_are_written_before_they_are_too_many(tmp_path: Path) -> None:
    with memory(tmp_path) as kept:
        for number in range(1500):
            kept.remember_packed(digest(number), PACKER, packed(number))
        for number in range(3):
            kept.remember_table_of_contents(f"archive {number}", bytes(4 * 1024 * 1024))
        assert rows(tmp_path, "SELECT count(*) FROM contents") == [(3,)]
        assert rows(tmp_path, "SELECT count(*) FROM packed") == [(1500,)]
