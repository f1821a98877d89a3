"""The database of messages to devices: its tables, and transactions that are durable."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bellwire.base.clock import Clock
from bellwire.base.private import own_file, unusable
from bellwire.iot.errors import StoreFailed

_BUSY_S: Final = 20.0
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS queues (
    device BLOB PRIMARY KEY, queue BLOB NOT NULL, last INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    entry INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL, device BLOB NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL,
    size INTEGER NOT NULL, queued REAL NOT NULL, expires REAL NOT NULL, state TEXT NOT NULL,
    finished REAL, protections TEXT NOT NULL, data BLOB
);
CREATE INDEX IF NOT EXISTS waiting ON messages (device, number) WHERE state = 'QUEUED';
CREATE INDEX IF NOT EXISTS expiring ON messages (expires, size) WHERE state = 'QUEUED';
CREATE UNIQUE INDEX IF NOT EXISTS by_number ON messages (device, number);
CREATE UNIQUE INDEX IF NOT EXISTS by_id ON messages (id);
"""


class Database:
    """One connection, for use from several threads; other processes may have theirs.

    Args:
        path: The file, made with mode 0600 if it is missing.
        clock: Seconds since the epoch.

    Raises:
        PathUnusable, PathExposed: the file cannot be used.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        own_file(path)
        self._path = path
        self._clock = clock
        self._using = threading.Lock()
        try:
            self._database = sqlite3.connect(
                path, check_same_thread=False, isolation_level=None, timeout=_BUSY_S
            )
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("PRAGMA secure_delete = ON")
            self._database.executescript(_TABLES)
        except sqlite3.Error as error:
            raise unusable(path, OSError(None, str(error))) from error

    @contextmanager
    def writing(self) -> Iterator[tuple[sqlite3.Connection, float]]:
        """A transaction that is durable after it, and the time, s since the epoch; StoreFailed."""
        with self._using:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                try:
                    yield self._database, self._clock()
                    self._database.execute("COMMIT")
                except BaseException:
                    if self._database.in_transaction:
                        self._database.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreFailed(f"cannot use {self._path}: {error}") from error

    def read(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query; StoreFailed."""
        with self._using:
            try:
                return self._database.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise StoreFailed(f"cannot use {self._path}: {error}") from error

    def close(self) -> None:
        """Give the file back."""
        with self._using:
            self._database.close()
