"""The SQLite file: opened, replaced where it is not ours, read, written and pruned.

Nothing that SQLite raises leaves this module. It is imported when the file is first needed, for
sqlite3 takes longer to load than a command line that fails may.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from typing import Any, Final

from idpbuilder.memory.place import Lock, prepare_file, prepare_folder, remove
from idpbuilder.memory.tables import (
    DAY,
    KEPT_SECONDS,
    LAST_PRUNING,
    NOTE_PRUNING,
    SCHEMA,
    TABLES,
    VERSION,
    Row,
    Table,
    Value,
)

Step = tuple[str, Row]

_BUSY_SECONDS: Final = 2.0
_TRIES: Final = 10
_PAUSE_SECONDS: Final = 0.02

_PASSING: Final = (
    "database is locked",
    "database table is locked",
    "database schema is locked",
    "locking protocol",
    "unable to open",
    "disk i/o error",
    "database or disk is full",
    "access permission denied",
    "interrupted",
)
"""How errors begin that say nothing against the file; before Python 3.11 they have no codes."""

_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError, MemoryError)
"""What broken files make sqlite3 raise: a text that cannot be decoded may be in its own message."""


class Database:
    """The open file. For one thread; nothing it does raises."""

    def __init__(self, path: str, lock: Lock, connection: sqlite3.Connection) -> None:
        self._path = path
        self._lock = lock
        self._connection: sqlite3.Connection | None = connection

    @classmethod
    def open(cls, path: str) -> Database | None:
        """The file at `path`, made or replaced where need be; None where that cannot be."""
        try:
            prepare_folder(path)
            lock = Lock(path)
        except OSError:
            return None
        try:
            connection = _connect(path, lock)
        except (OSError, *_ERRORS):
            connection = None
        if connection is None:
            lock.close()
            return None
        return cls(path, lock, connection)

    def find(self, table: Table, key: Row) -> tuple[Row, int] | None:
        """The values under `key`, and when they were last used (seconds since 1970)."""
        for *values, seal, used in self._select(table.find, key):
            if _holds(table, key, values, seal, used):
                return tuple(values), used
        return None

    def latest(self, table: Table, key: Row, limit: int) -> list[Value]:
        """The last keys of the rows with `key` as their other keys, the last used first."""
        return [
            last
            for last, *values, seal, used in self._select(table.find_latest, (*key, limit))
            if _holds(table, (*key, last), values, seal, used)
        ]

    def write(
        self,
        rows: Iterable[tuple[Table, Row, Row]],
        used: Iterable[tuple[Table, Row]],
        now: int,
        gone: Iterable[tuple[Table, Row]] = (),
    ) -> bool:
        """Write rows (table, key, values), that others were used, and that some are `gone`, in one
        transaction; whether that could be done.
        """
        return self._carry_out(
            chain(
                (
                    (table.put, (*key, *values, table.seal(key, values), now))
                    for table, key, values in rows
                ),
                ((table.touch, (now, *key)) for table, key in used),
                ((table.drop, key) for table, key in gone),
            )
        )

    def prune(self, now: int) -> None:
        """Take out what is old or too much, unless that was done within a day."""
        if not self._prune_is_due(now):
            return
        steps: list[Step] = [(NOTE_PRUNING, (now,))]
        for table in TABLES:
            # a clock that was once ahead must not keep a row for years
            steps.append((table.clamp, (now, now)))
            steps.append((table.drop_old, (now - KEPT_SECONDS,)))
            steps.append((table.drop_excess, (table.most_rows, table.most_bytes)))
        self._carry_out(steps)
        if self._connection is not None:
            try:
                # one step of it frees one page, and `execute` takes one step
                self._connection.executescript("PRAGMA incremental_vacuum")
            except _ERRORS as error:
                self._failed(error)

    def close(self) -> None:
        """Close the file. More than once is fine."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        self._lock.close()

    def _prune_is_due(self, now: int) -> bool:
        rows = self._select(LAST_PRUNING, ())
        return self._connection is not None and not any(
            isinstance(at, int) and abs(now - at) < DAY for (at,) in rows
        )

    def _select(self, statement: str, arguments: Row) -> list[tuple[Any, ...]]:
        if self._connection is None:
            return []
        try:
            return self._connection.execute(statement, arguments).fetchall()
        except _ERRORS as error:
            self._failed(error)
            return []

    def _carry_out(self, steps: Iterable[Step]) -> bool:
        """Run statements as one transaction; where one fails, none of them happened, and False."""
        connection = self._connection
        if connection is None:
            return False
        try:
            connection.execute("BEGIN IMMEDIATE")
            for statement, arguments in steps:
                connection.execute(statement, arguments)
            connection.execute("COMMIT")
        except _ERRORS as error:
            self._failed(error)
            return False
        except BaseException:
            connection.rollback()
            raise
        return True

    def _failed(self, error: Exception) -> None:
        """Undo what was begun; a file that is broken is removed, so that the next run has one."""
        connection = self._connection
        if connection is None:
            return
        with suppress(sqlite3.Error):
            connection.rollback()
        if _tells_of_damage(error):
            with suppress(sqlite3.Error):
                connection.close()
            self._connection = None
            with suppress(OSError):
                if self._lock.exclusive():
                    remove(self._path)
            self._lock.close()


def _connect(path: str, lock: Lock) -> sqlite3.Connection | None:
    """A connection to a file that is ours, with the lock shared; None where others are in the way.

    Raises OSError and what SQLite raises for what says nothing against the file.
    """
    for _ in range(_TRIES):
        if lock.shared():
            connection = _connect_to_ours(path)
            if connection is not None:
                return connection
        if lock.exclusive():
            # another process may have replaced it meanwhile
            connection = _connect_to_ours(path)
            if connection is None:
                remove(path)
                connection = _connect_to_ours(path)
            if connection is not None and not lock.shared():
                connection.close()
                return None
            return connection
        # whoever replaces the file is quick; whoever uses it is not waited for
        time.sleep(_PAUSE_SECONDS)
    return None


def _connect_to_ours(path: str) -> sqlite3.Connection | None:
    """A connection to the file at `path`, made where there is none; None if it is to be replaced.

    Raises OSError and what SQLite raises for what says nothing against the file.
    """
    if not prepare_file(path):
        return None
    # no implicit transactions
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        # what a power cut spoils is replaced: no push waits for the disk
        connection.execute("PRAGMA synchronous = OFF")
        if _has_our_tables(connection):
            return connection
    except _ERRORS as error:
        connection.close()
        if _tells_of_damage(error):
            return None
        raise
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def _has_our_tables(connection: sqlite3.Connection) -> bool:
    """Whether the file has our tables and nothing else; an empty one is given them."""
    if _schema(connection) == _EMPTY:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("BEGIN IMMEDIATE")
        # another process may have been first
        if _schema(connection) == _EMPTY:
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    return _schema(connection) == (VERSION, frozenset(SCHEMA))


_EMPTY: Final = (0, frozenset[str]())


def _schema(connection: sqlite3.Connection) -> tuple[int, frozenset[str]]:
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return version, frozenset(sql for (sql,) in rows)


def _holds(table: Table, key: Row, values: list[Value], seal: object, used: object) -> bool:
    return isinstance(used, int) and seal == table.seal(key, tuple(values))


def _tells_of_damage(error: Exception) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return not str(error).lower().startswith(_PASSING)
    # other kinds are slips of ours
    return type(error) in (sqlite3.DatabaseError, sqlite3.DataError, UnicodeDecodeError)
