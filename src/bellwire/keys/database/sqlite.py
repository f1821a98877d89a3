"""The SQLite file under the key store: how it is opened, written and given up.

What always holds: a transaction that was committed is on the disk (write-ahead log, synchronous
FULL); deleted content is overwritten (secure_delete), and `truncate` empties the log, which would
otherwise keep sealed copies. One process has the file at a time (exclusive locking), one thread at
a time is in a transaction. After a commit that failed the connection is closed: what the disk holds
is then unknown, and only opening the store anew tells (a failed sync must not be retried).
"""

import sqlite3
from pathlib import Path

from bellwire.base.private import own_file, own_folder
from bellwire.database.failures import Failures
from bellwire.database.sqlite import FilePurpose, SqliteFile, connect
from bellwire.keys.database.earlier import FIRST_MIGRATED, TAKEN_OVER
from bellwire.keys.database.interface import SCHEMA_VERSION
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

_PURPOSE = FilePurpose(
    what="a key store",
    owner="node",
    if_damaged="Move it away to start with an empty store.",
    failures=Failures(StoreError, StoreBusy, StoreCorrupt, StoreUnusable, StoreRefused),
)


class SqliteDatabase(SqliteFile):
    """One open key store; `open` makes one."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        super().__init__(connection, path, _PURPOSE)

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
            with database.translated():
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
        with self._lock, self.translated():
            if not self._closed:
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def sync_time(self) -> None:
        """Only the disk counts."""

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

        with self._lock, self.translated():
            try:
                migrate(
                    "sqlite",
                    self.connection,
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
