"""A memory with something in it, and what may come out of it again."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from idpbuilder.image import Digest
from idpbuilder.memory import Memory, Packed

DAY = 24 * 60 * 60
NOW = 20_000 * DAY
PACKER = "gzip-2/1"
REGISTRY = "registry.example.com"


def digest(number: object) -> Digest:
    return Digest.of(str(number).encode())


def packed(number: object) -> Packed:
    """What the layer `digest(number)` always becomes."""
    return Packed(digest(f"{number} packed"), len(str(number)))


def memory(folder: Path, now: float = NOW) -> Memory:
    """The memory in `folder`, on a clock that stands still."""
    return Memory(str(file(folder)), lambda: now)


def file(folder: Path) -> Path:
    return folder / "idpbuilder-push" / "memory.db"


def fill(kept: Memory, number: object = 1) -> None:
    """Note one thing of each kind."""
    kept.remember_packed(digest(number), PACKER, packed(number))
    kept.remember_document(digest(number), str(number).encode())
    kept.remember_table_of_contents(f"archive {number}", f"contents {number}".encode())
    kept.remember_seen(REGISTRY, f"team/{number}", [digest(number)])


def answers(kept: Memory, number: object = 1) -> tuple[object, ...]:
    """What is remembered of each kind."""
    return (
        kept.packed(digest(number), PACKER),
        kept.document(digest(number)),
        kept.table_of_contents(f"archive {number}"),
        kept.seen(REGISTRY, digest(number)) or None,
    )


def truth(number: object = 1) -> tuple[object, ...]:
    """What the answers are if nothing was lost."""
    return (
        packed(number),
        str(number).encode(),
        f"contents {number}".encode(),
        (f"team/{number}",),
    )


NOTHING = (None, None, None, None)


def rows(folder: Path, statement: str, *arguments: object) -> list[tuple[object, ...]]:
    """What SQLite says of the file, from outside; changes are kept."""
    connection = sqlite3.connect(file(folder))
    try:
        found = connection.execute(statement, arguments).fetchall()
        connection.commit()
        return found
    finally:
        connection.close()
