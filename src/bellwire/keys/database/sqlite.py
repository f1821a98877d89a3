"""The SQLite file under the key store: how it is opened, written and given up.

What always holds: a transaction that was committed is on the disk (write-ahead log, synchronous
FULL); deleted content is overwritten (secure_delete), and `truncate` empties the log, which would
otherwise keep sealed copies. One process has the file at a time (exclusive locking), one thread at
a time is in a transaction. After a commit that failed the connection is closed: what the disk holds
is then unknown, and only opening the store anew tells (a failed sync must not be retried).
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bellwire.base.private import own_file, own_folder
from bellwire.keys.database.earlier import FIRST_MIGRATED, TAKEN_OVER
from bellwire.keys.database.interface import BUSY_TIMEOUT_S, SCHEMA_VERSION
from bellwire.keys.errors import StoreBusy, StoreCorrupt, StoreError, StoreRefused, StoreUnusable

APPLICATION_ID = 0x62776B31
"""Marks the file as a key store of bellwire ('bwk1')."""

_PRAGMAS = (
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
)

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNUSABLE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}


class SqliteDatabase:
    """One open file; `transaction` is the way in."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._lock = threading.RLock()
        self._closed = False

    @classmethod
    def open(cls, path: Path) -> "SqliteDatabase":
        """Open `path`, making an empty database of our schema where there is none.

        Raises:
            PathUnusable, StoreUnusable: folder or file cannot be made, read or written.
            PathExposed: others may read folder or file.
            StoreRefused: the file belongs to another program.
            StoreCorrupt: it is no SQLite file, or a damaged one; it is left as it is.
            StoreBusy: another process has it open.
        """
        own_folder(path.parent)
        own_file(path)
        connection = connect(path)
        database = cls(connection, path)
        try:
            with database._translated():
                for pragma in _PRAGMAS:
                    connection.execute(pragma).fetchall()
            with database.transaction() as cursor:
                version = database._take_over(cursor)
            if version != SCHEMA_VERSION:
                database._migrate(version)
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Cursor]:
        """All of the body, durably, or nothing of it.

        Raises:
            StoreError: SQLite failed; see `errors` for what the kinds mean.
        """
        with self._lock, self._translated():
            if self._closed:
                raise StoreError(f"{self._path} is closed", hint="Restart the node.")
            # Closed at each end: a cursor kept by a traceback would keep the file locked.
            cursor = self._connection.cursor()
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

    @property
    def idle(self) -> bool:
        """Whether no other thread is in a transaction; it may be a moment later."""
        if not self._lock.acquire(blocking=False):
            return False
        self._lock.release()
        return True

    @property
    def shareable(self) -> bool:
        """A file has one process."""
        return False

    def truncate(self) -> None:
        """Move the write-ahead log into the file and empty it, so that nothing deleted stays."""
        with self._lock, self._translated():
            if not self._closed:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def sync_time(self) -> None:
        """Only the disk counts."""

    def close(self) -> None:
        """Give the file up; again is harmless."""
        with self._lock:
            self._abandon()

    def _take_over(self, cursor: sqlite3.Cursor) -> int:
        """Let pass what is ours, and bring early versions to where migrations begin.

        Returns:
            The version that there is now; 0 for an empty file.
        """
        (application,) = cursor.execute("PRAGMA application_id").fetchone()
        (version,) = cursor.execute("PRAGMA user_version").fetchone()
        (tables,) = cursor.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
        if tables == 0 and application == 0:
            return 0
        if application != APPLICATION_ID:
            raise StoreRefused(f"expected a key store in {self._path}, got another's database")
        if not 1 <= version <= SCHEMA_VERSION:
            raise StoreRefused(
                f"expected schema version {SCHEMA_VERSION} in {self._path}, got {version}",
                hint="Use the version of bellwire that wrote it.",
            )
        if version in TAKEN_OVER:
            for statement in TAKEN_OVER[version]:
                cursor.execute(statement)
            version = FIRST_MIGRATED
            cursor.execute(f"PRAGMA user_version = {version}")
        return int(version)

    def _migrate(self, version: int) -> None:
        from sqlalchemy import exc  # noqa: PLC0415 - slow, and seldom needed

        from bellwire.keys.database.migrate import migrate  # noqa: PLC0415

        with self._lock, self._translated():
            try:
                migrate(
                    "sqlite",
                    self._connection,
                    version,
                    begin=["BEGIN IMMEDIATE"],
                    end=[
                        f"PRAGMA application_id = {APPLICATION_ID}",
                        f"PRAGMA user_version = {SCHEMA_VERSION}",
                    ],
                )
            except exc.DBAPIError as error:
                self._roll_back()
                if isinstance(error.orig, sqlite3.Error):
                    raise error.orig from error
                raise
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        if not self._closed:
            self._closed = True
            self._connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._translate(error) from error

    def _translate(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _BUSY:
            return StoreBusy(
                f"expected to be the only user of {self._path}, got another",
                hint="Stop the other node, or choose another state folder.",
            )
        if code in _CORRUPT:
            return StoreCorrupt(
                f"expected a key store in {self._path}, got: {error}",
                hint="The file was left as it is; move it away to start with an empty store.",
            )
        if code in _UNUSABLE:
            return StoreUnusable(
                f"expected to read and write {self._path}, got: {error}",
                hint="Choose another state folder, or mend its permissions.",
            )
        return StoreError(f"{self._path} failed: {error}", hint="Free disk space, check the disk.")


def connect(path: Path) -> sqlite3.Connection:
    """A connection that leaves transactions to us and may be used from any thread."""
    return sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
