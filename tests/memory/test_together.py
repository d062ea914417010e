"""Several processes with one file: right answers, a sound file, and no process that fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.memory.kept import NOTHING, answers, file, memory, rows, truth

PROCESSES = 6
ROUNDS = 15

_PUSH = """
import sys
from pathlib import Path
from tests.memory.kept import answers, fill, memory, truth

folder, own, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sys.stdin.read()
for round in range(rounds):
    with memory(folder) as kept:
        for number in (own, "shared", round):
            for found, right in zip(answers(kept, number), truth(number), strict=True):
                assert found in (None, right), found
            fill(kept, number)
            kept.flush()
"""


def push_together(folder: Path) -> None:
    """Let processes start, and then all of them write at once."""
    pushes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _PUSH, str(folder), f"own {number}", str(ROUNDS)],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
            cwd=Path(__file__).parents[2],
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    for push in pushes:
        assert push.stdin is not None
        push.stdin.close()
        push.stdin = None
    for push in pushes:
        _, errors = push.communicate(timeout=120)
        assert (push.returncode, errors) == (0, "")


@pytest.mark.parametrize("before", [None, b"", b"rubbish " * 5000], ids=["none", "empty", "broken"])
def test_pushes_at_once_lose_no_correctness(tmp_path: Path, before: bytes | None) -> None:
    if before is not None:
        file(tmp_path).parent.mkdir()
        file(tmp_path).write_bytes(before)
    push_together(tmp_path)
    assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]
    with memory(tmp_path) as kept:
        assert answers(kept, "shared") == truth("shared")
        for number in range(PROCESSES):
            assert answers(kept, f"own {number}") in (truth(f"own {number}"), NOTHING)
    assert sorted(path.name for path in file(tmp_path).parent.iterdir()) == [
        "memory.db",
        "memory.lock",
    ]
