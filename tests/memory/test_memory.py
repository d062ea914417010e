"""What is remembered, for how long, and how often the file is written to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from idpbuilder.memory import Forgetful, LeftUpload, Memory, Packed, memory, open_memory
from idpbuilder.memory.tables import DOCUMENTS, PACKED, TABLES
from tests.memory.kept import (
    DAY,
    NOTHING,
    NOW,
    PACKER,
    REGISTRY,
    answers,
    digest,
    file,
    fill,
    packed,
    rows,
    truth,
)
from tests.memory.kept import memory as kept_in


def changes(folder: Path) -> bytes:
    return file(folder).read_bytes()


def test_an_empty_memory_knows_nothing(tmp_path: Path) -> None:
    with kept_in(tmp_path) as kept:
        assert answers(kept) == NOTHING


def test_what_is_noted_is_known_at_once(tmp_path: Path) -> None:
    with kept_in(tmp_path) as kept:
        fill(kept)
        assert answers(kept) == truth()


def test_what_is_noted_is_known_to_the_next_run(tmp_path: Path) -> None:
    with kept_in(tmp_path) as kept:
        fill(kept)
    with kept_in(tmp_path) as kept:
        assert answers(kept) == truth()
        assert answers(kept, 2) == NOTHING


def test_what_is_flushed_is_known_to_others_while_the_run_goes_on(tmp_path: Path) -> None:
    with kept_in(tmp_path) as kept, kept_in(tmp_path) as other:
        fill(kept)
        assert answers(other) == NOTHING
        kept.flush()
        assert answers(other) == truth()


def test_a_layer_packed_another_way_is_another_blob(tmp_path: Path) -> None:
    with kept_in(tmp_path) as kept:
        kept.remember_packed(digest(1), "gzip-2/1", packed(1))
        kept.remember_packed(digest(1), "zstd-3/1", packed(2))
    with kept_in(tmp_path) as kept:
        assert kept.packed(digest(1), "gzip-2/1") == packed(1)
        assert kept.packed(digest(1), "zstd-3/1") == packed(2)
        assert kept.packed(digest(1), "zstd-4/1") is None


def test_what_is_noted_last_holds(tmp_path: Path) -> None:
    for size in (1, 2):
        with kept_in(tmp_path) as kept:
            kept.remember_packed(digest(1), PACKER, Packed(digest("a"), size))
    with kept_in(tmp_path) as kept:
        assert kept.packed(digest(1), PACKER) == Packed(digest("a"), 2)
        kept.remember_packed(digest(1), PACKER, Packed(digest("b"), 3))
        assert kept.packed(digest(1), PACKER) == Packed(digest("b"), 3)


def test_a_document_that_is_not_what_its_digest_says_is_not_told(tmp_path: Path) -> None:
    with kept_in(tmp_path) as kept:
        kept.remember_document(digest(1), b"something else")
        assert kept.document(digest(1)) is None
    with kept_in(tmp_path) as kept:
        assert kept.document(digest(1)) is None
        kept.remember_document(digest(1), b"1")
    with kept_in(tmp_path) as kept:
        assert kept.document(digest(1)) == b"1"


def test_what_is_too_large_is_not_kept(tmp_path: Path) -> None:
    data = bytes(memory.LARGEST + 1)
    with kept_in(tmp_path) as kept:
        kept.remember_document(digest("x").of(data), data)
        kept.remember_table_of_contents("large", data)
        assert kept.document(digest("x").of(data)) is None
        assert kept.table_of_contents("large") is None
        kept.remember_table_of_contents("fits", data[1:])
    with kept_in(tmp_path) as kept:
        assert kept.table_of_contents("fits") == data[1:]


def test_an_identity_may_hold_what_no_encoding_says(tmp_path: Path) -> None:
    with kept_in(tmp_path) as kept:
        kept.remember_table_of_contents("/tmp/\udcff.tar", b"{}")
    with kept_in(tmp_path) as kept:
        assert kept.table_of_contents("/tmp/\udcff.tar") == b"{}"


def test_repositories_are_told_the_last_first(tmp_path: Path) -> None:
    for day, repository in enumerate(["a", "b", "c", "a"]):
        with kept_in(tmp_path, NOW + day * DAY) as kept:
            kept.remember_seen(REGISTRY, repository, [digest(1)])
    with kept_in(tmp_path, NOW + 4 * DAY) as kept:
        assert kept.seen(REGISTRY, digest(1)) == ("a", "c", "b")
        kept.remember_seen(REGISTRY, "b", [digest(1)])
        kept.remember_seen(REGISTRY, "d", [digest(1)])
        assert kept.seen(REGISTRY, digest(1)) == ("d", "b", "a", "c")


def test_repositories_noted_within_one_second_are_told_the_last_first(tmp_path: Path) -> None:
    with kept_in(tmp_path) as kept:
        for repository in "abcdefg":
            kept.remember_seen(REGISTRY, repository, [digest(1), digest(2)])
        assert kept.seen(REGISTRY, digest(1)) == ("g", "f", "e", "d")
    with kept_in(tmp_path) as kept:
        assert kept.seen(REGISTRY, digest(2)) == ("g", "f", "e", "d")


def test_what_one_registry_has_says_nothing_of_another(tmp_path: Path) -> None:
    with kept_in(tmp_path) as kept:
        kept.remember_seen(REGISTRY, "a", [digest(1)])
        assert kept.seen("localhost:5000", digest(1)) == ()
    with kept_in(tmp_path) as kept:
        assert kept.seen("localhost:5000", digest(1)) == ()


def test_a_run_like_the_last_one_writes_nothing(tmp_path: Path) -> None:
    with kept_in(tmp_path) as kept:
        fill(kept)
    before = changes(tmp_path)
    with kept_in(tmp_path, NOW + DAY - 1) as kept:
        assert answers(kept) == truth()
        fill(kept)
    assert changes(tmp_path) == before


def test_a_use_is_noted_once_a_day(tmp_path: Path) -> None:
    with kept_in(tmp_path) as kept:
        fill(kept)
    with kept_in(tmp_path, NOW + DAY) as kept:
        assert kept.packed(digest(1), PACKER) == packed(1)
    assert rows(tmp_path, "SELECT used FROM packed") == [(NOW + DAY,)]
    assert rows(tmp_path, "SELECT used FROM contents") == [(NOW,)]


def test_what_is_not_used_for_thirty_days_goes(tmp_path: Path) -> None:
    with kept_in(tmp_path) as kept:
        fill(kept, 1)
        fill(kept, 2)
    with kept_in(tmp_path, NOW + 30 * DAY) as kept:
        assert kept.packed(digest(1), PACKER) == packed(1)
    with kept_in(tmp_path, NOW + 31 * DAY) as kept:
        # rows go at the end of a run
        assert answers(kept, 2) == truth(2)
        kept.close()
    with kept_in(tmp_path, NOW + 31 * DAY) as kept:
        assert answers(kept, 1) == (packed(1), None, None, None)


def test_old_rows_are_looked_for_once_a_day(tmp_path: Path) -> None:
    with kept_in(tmp_path) as kept:
        fill(kept)
    with kept_in(tmp_path, NOW + 60) as kept:
        fill(kept, "old")
    rows(tmp_path, "UPDATE packed SET used = 7")
    for later, left in ((DAY - 1, 2), (DAY, 0)):
        with kept_in(tmp_path, NOW + later) as kept:
            assert kept.document(digest("nothing")) is None
        assert rows(tmp_path, "SELECT count(*) FROM packed") == [(left,)]


def test_of_too_many_rows_the_last_used_stay(tmp_path: Path) -> None:
    more = PACKED.most_rows + 10
    with kept_in(tmp_path) as kept:
        for number in range(more):
            kept.remember_packed(digest(number), PACKER, packed(number))
    with kept_in(tmp_path) as kept:
        assert kept.packed(digest(9), PACKER) is None
        assert kept.packed(digest(10), PACKER) == packed(10)
    assert rows(tmp_path, "SELECT count(*) FROM packed") == [(PACKED.most_rows,)]


def test_of_too_many_bytes_the_last_used_stay_and_the_file_shrinks(tmp_path: Path) -> None:
    data = bytes(memory.LARGEST)
    with kept_in(tmp_path) as kept:
        for number in range(DOCUMENTS.most_bytes // len(data) + 2):
            kept.remember_document(digest(number), data)
    (number,) = rows(tmp_path, "SELECT count(*) FROM documents")
    assert number == (DOCUMENTS.most_bytes // len(data),)
    assert file(tmp_path).stat().st_size < DOCUMENTS.most_bytes + len(data)


def test_every_table_is_bounded() -> None:
    for table in TABLES:
        assert table.most_rows > 0
        assert ("data" in table.values) == (table.most_bytes > 0)


def test_a_clock_that_was_ahead_does_not_keep_rows_for_years(tmp_path: Path) -> None:
    with kept_in(tmp_path, NOW + 1000 * DAY) as kept:
        fill(kept)
    with kept_in(tmp_path) as kept:
        assert kept.document(digest("nothing")) is None
    assert rows(tmp_path, "SELECT max(used) FROM documents") == [(NOW,)]
    with kept_in(tmp_path, NOW + 31 * DAY) as kept:
        assert kept.document(digest("nothing")) is None
    assert rows(tmp_path, "SELECT count(*) FROM documents") == [(0,)]


def test_a_closed_memory_is_forgetful(tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    fill(kept)
    kept.close()
    assert answers(kept) == NOTHING
    fill(kept)
    assert answers(kept) == NOTHING
    kept.flush()
    kept.close()


def test_a_memory_that_is_not_asked_leaves_no_trace(tmp_path: Path) -> None:
    with open_memory({"HOME": str(tmp_path)}) as kept:
        assert isinstance(kept, Memory)
    assert list(tmp_path.iterdir()) == []


def test_without_a_place_the_memory_is_forgetful() -> None:
    with open_memory({}) as kept:
        assert isinstance(kept, Forgetful)
        fill(kept)  # type: ignore[arg-type]
        kept.flush()
        assert answers(kept) == NOTHING  # type: ignore[arg-type]


def test_both_memories_are_asked_in_the_same_way() -> None:
    def names(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert names(Memory) == names(Forgetful)


def test_sqlite_is_loaded_when_the_file_is_first_needed(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom idpbuilder.image import Digest\n"
        "from idpbuilder.memory import open_memory\n"
        "kept = open_memory({'HOME': sys.argv[1]})\n"
        # the standard library's own module may be loaded by whoever measures coverage
        "name = 'idpbuilder.memory.database'; before = name in sys.modules\n"
        "kept.document(Digest.of(b'')); kept.close(); print(before, name in sys.modules)"
    )
    arguments = [sys.executable, "-c", script, str(tmp_path)]
    assert subprocess.check_output(arguments, encoding="utf-8", timeout=60) == "False True\n"


def test_a_python_without_sqlite_is_forgetful(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "idpbuilder.memory.database", None)
    with kept_in(tmp_path) as kept:
        fill(kept)
    with kept_in(tmp_path) as kept:
        assert answers(kept) == NOTHING


@pytest.mark.parametrize("owner", [2**62, -(2**62)])
def test_an_owner_that_is_no_process_is_not_at_work(
    owner: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = LeftUpload("https://registry.example.com/session", "mark")
    with kept_in(tmp_path) as memory_then:
        with monkeypatch.context() as patched:
            patched.setattr(os, "getpid", lambda: owner)
            assert memory_then.keep_upload("registry.example.com", "team/app", "blob", left)
        assert memory_then.left_upload("registry.example.com", "team/app", "blob") == left
