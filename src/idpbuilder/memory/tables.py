"""The tables of the memory, as data, and the SQL that follows from them.

Every row has, beside its keys and values, when it was last used and a seal over all it says: a
row that bad storage or another program changed is not believed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

Value = str | int | bytes
Row = tuple[Value, ...]

VERSION: Final = 2
"""Of the tables and the seal: a file of another version is replaced."""

DAY: Final = 24 * 60 * 60
"""Seconds. Uses within a day of each other are one: else every run would write to every row."""

KEPT_SECONDS: Final = 30 * DAY
"""A row that was not used for so long goes."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of `values` under `keys`.

    Of more than `most_rows`, or than `most_bytes` in a column `data`, those go first that were
    not used for longest.
    """

    name: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    most_rows: int
    most_bytes: int = 0

    @property
    def create(self) -> str:
        """Makes the table."""
        columns = ", ".join((*self.keys, *self.values, "seal", "used"))
        return f"CREATE TABLE {self.name} ({columns}, PRIMARY KEY ({', '.join(self.keys)}))"

    @property
    def find(self) -> str:
        """Selects the row of the keys: values, seal, used."""
        columns = ", ".join((*self.values, "seal", "used"))
        return f"SELECT {columns} FROM {self.name} WHERE {self._matching(self.keys)}"

    @property
    def find_latest(self) -> str:
        """Selects rows of all keys but the last: the last, values, seal, used; last used first.

        Takes these keys and how many rows.
        """
        *given, last = self.keys
        columns = ", ".join((last, *self.values, "seal", "used"))
        return (
            f"SELECT {columns} FROM {self.name} WHERE {self._matching(given)}"
            " ORDER BY used DESC, rowid DESC LIMIT ?"
        )

    @property
    def put(self) -> str:
        """Writes a row: keys, values, seal, used. One that says the same today stays untouched."""
        columns = (*self.keys, *self.values, "seal", "used")
        changed = (*self.values, "seal", "used")
        differs = "".join(f" OR {self.name}.{it} IS NOT excluded.{it}" for it in changed[:-1])
        places = ", ".join("?" * len(columns))
        return (
            f"INSERT INTO {self.name} ({', '.join(columns)}) VALUES ({places})"
            f" ON CONFLICT ({', '.join(self.keys)}) DO UPDATE SET"
            f" {', '.join(f'{it} = excluded.{it}' for it in changed)}"
            f" WHERE abs({self.name}.used - excluded.used) >= {DAY}{differs}"
        )

    @property
    def touch(self) -> str:
        """Says when a row was used: used, keys."""
        return f"UPDATE {self.name} SET used = ? WHERE {self._matching(self.keys)}"

    @property
    def drop(self) -> str:
        """Deletes a row: keys."""
        return f"DELETE FROM {self.name} WHERE {self._matching(self.keys)}"

    @property
    def clamp(self) -> str:
        """Says that rows were used now at the latest: now, now."""
        return f"UPDATE {self.name} SET used = ? WHERE used > ?"

    @property
    def drop_old(self) -> str:
        """Deletes rows that were last used before a time."""
        return f"DELETE FROM {self.name} WHERE used < ?"

    @property
    def drop_excess(self) -> str:
        """Deletes the rows that do not fit: most rows, most bytes."""
        weight = "length(data)" if "data" in self.values else "0"
        latest_first = f"SELECT rowid, row_number() OVER latest AS place, sum({weight}) OVER latest"
        return (
            f"DELETE FROM {self.name} WHERE rowid IN (SELECT rowid FROM"
            f" ({latest_first} AS total FROM {self.name}"
            " WINDOW latest AS (ORDER BY used DESC, rowid DESC))"
            " WHERE place > ? OR total > ?)"
        )

    def seal(self, key: Row, values: Row) -> bytes:
        """16 bytes that tell whether a row is as it was written."""
        made = hashlib.blake2b(self.name.encode(), digest_size=16)
        for part in (*key, *values):
            data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
            made.update(f"{type(part).__name__}{len(data)}:".encode())
            made.update(data)
        return made.digest()

    def _matching(self, keys: tuple[str, ...] | list[str]) -> str:
        return " AND ".join(f"{key} = ?" for key in keys)


_MIB = 1024 * 1024

PACKED: Final = Table("packed", ("diff_id", "packer"), ("digest", "size"), 20_000)
DOCUMENTS: Final = Table("documents", ("digest",), ("data",), 4_000, 64 * _MIB)
CONTENTS: Final = Table("contents", ("identity",), ("data",), 1_000, 64 * _MIB)
SEEN: Final = Table("seen", ("registry", "digest", "repository"), (), 50_000)
REGISTRIES: Final = Table("registries", ("registry",), ("honest", "chunk", "since"), 1_000)
UPLOADS: Final = Table(
    "uploads", ("registry", "repository", "blob"), ("url", "mark", "owner", "opened"), 1_000
)

TABLES: Final = (PACKED, DOCUMENTS, CONTENTS, SEEN, REGISTRIES, UPLOADS)

SCHEMA: Final = (
    *(table.create for table in TABLES),
    "CREATE TABLE upkeep (name PRIMARY KEY, at)",
)
"""SQLite keeps these texts as they are: by them it is seen whose file it is."""

LAST_PRUNING: Final = "SELECT at FROM upkeep WHERE name = 'pruned'"
"""Selects when rows were last taken out."""

NOTE_PRUNING: Final = "INSERT OR REPLACE INTO upkeep VALUES ('pruned', ?)"
"""Writes when they were."""
