"""The SQLite file of a log: how it is opened, written and read.

What always holds: a transaction that was committed is on the disk (write-ahead log, synchronous
FULL). One process has the file for writing, by a lock file beside it; readers see the last commit
and wait for nobody. After a commit that failed the connection is closed: what the disk holds is
then unknown, and only opening the file anew tells (a failed sync must not be retried).
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from bellwire.base.lock import held
from bellwire.base.private import own_file, own_folder
from bellwire.ledger.store.errors import LogStoreDamaged, LogStoreError, LogStoreUnusable

APPLICATION_ID: Final = 0x62776C31
"""Marks the file as a log's ('bwl1')."""

VERSION: Final = 1

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -65536",
    "PRAGMA wal_autocheckpoint = 4000",
)
_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, root BLOB NOT NULL) STRICT;
CREATE TABLE entries (number INTEGER PRIMARY KEY, entry BLOB NOT NULL) STRICT;
CREATE TABLE tiles (place INTEGER PRIMARY KEY, hashes BLOB NOT NULL, middle BLOB NOT NULL) STRICT;
CREATE TABLE writers (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, epoch TEXT NOT NULL, next INTEGER NOT NULL,
    UNIQUE (name, epoch)) STRICT;
CREATE TABLE runs (
    writer INTEGER NOT NULL, first INTEGER NOT NULL, number INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (writer, first)) STRICT, WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
COMMIT;
"""  # noqa: E501

_UNUSABLE: Final = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
}
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class LogFile:
    """One open file. Writing is for one thread at a time, so is reading; both at once is fine.

    Args:
        folder: The log's own; made if it is missing.

    Raises:
        LogStoreUnusable: it cannot be written, or another process has it.
        LogStoreDamaged: the file is none of ours.
        PathUnusable, PathExposed: the folder cannot be used, or others may read it.
    """

    def __init__(self, folder: Path) -> None:
        own_folder(folder)
        self._path = folder / "log.sqlite"
        self._lock: AbstractContextManager[None] = held(folder / "log.lock")
        try:
            self._lock.__enter__()
        except BlockingIOError as error:
            raise LogStoreUnusable(
                f"expected {folder} for this log alone, got one in use by another process"
            ) from error
        self._closed = False
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        try:
            own_file(self._path)
            with self._translated():
                self._writer = self._prepare()
                self._reader = connect(self._path)
                self._reader.execute("PRAGMA query_only = ON").fetchall()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> sqlite3.Connection:
        connection = connect(self._path)
        try:
            for pragma in _PRAGMAS:
                connection.execute(pragma).fetchall()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if not tables:
                connection.executescript(_SCHEMA)
            check_marks(connection, self._path)
            _write_again(connection, self._path)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Cursor]:
        """All of the body, durably, or nothing of it.

        Raises:
            LogStoreError: SQLite failed; if that was at the end, the file must be opened anew.
        """
        with self._writing, self._translated():
            cursor = self._open(self._writer).cursor()
            try:
                cursor.execute("BEGIN IMMEDIATE")
                yield cursor
            except BaseException:
                cursor.close()
                self._roll_back()
                raise
            try:
                cursor.execute("COMMIT")
            except BaseException:
                cursor.close()
                self._abandon()
                raise
            cursor.close()

    def rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        """What the last commit says.

        Raises:
            LogStoreError: SQLite failed.
        """
        with self._reading:
            try:
                return self._open(self._reader).execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                raise translate(error, self._path) from error

    def close(self) -> None:
        """Give the file up; again is harmless."""
        with self._writing:
            self._abandon()
        with self._reading:
            if self._reader is not None:
                self._reader.close()
        self._lock.__exit__(None, None, None)

    def _open(self, connection: sqlite3.Connection | None) -> sqlite3.Connection:
        if connection is None or self._closed:
            raise LogStoreError(f"{self._path} is closed", hint="Restart the log.")
        return connection

    def _roll_back(self) -> None:
        try:
            if self._writer is not None and self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        self._closed = True
        if self._writer is not None:
            self._writer.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translate(error, self._path) from error


def connect(path: Path) -> sqlite3.Connection:
    """A connection that leaves transactions to us and may be used from any thread."""
    return sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)


def check_marks(connection: sqlite3.Connection, path: Path) -> None:
    """Let pass a log's file of this version.

    Raises:
        LogStoreDamaged: it is another's.
    """
    marks = [
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version")
    ]
    if marks != [APPLICATION_ID, VERSION]:
        raise LogStoreDamaged(f"expected a log's store of version {VERSION} in {path}, got another")


def _write_again(connection: sqlite3.Connection, path: Path) -> None:
    """Put what the write-ahead log holds into the file.

    What a failed sync left behind is there to be read, and may not be on the disk: it is written
    once more before anybody is told that it is there.
    """
    (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
    if busy:
        raise LogStoreUnusable(f"expected {path} for this log alone, got a reader in the way")


def translate(error: sqlite3.Error, path: Path) -> LogStoreError:
    """The error for one of SQLite's."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _DAMAGED:
        return LogStoreDamaged(
            f"expected a log's store in {path}, got: {error}",
            hint="The file was left as it is. Put a copy of it back; nothing else can be trusted.",
        )
    if code in _UNUSABLE:
        return LogStoreUnusable(
            f"expected to read and write {path}, got: {error}",
            hint="Choose another state folder, or mend its permissions.",
        )
    return LogStoreError(f"{path} failed: {error}", hint="Free disk space, check the disk.")
