"""The SQLite file of a log: how it is opened, written and read.

What always holds: a transaction that was committed is on the disk (write-ahead log, synchronous
FULL). One process has the file for writing, by a lock file beside it; readers see the last commit
and wait for nobody.
"""

import sqlite3
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from bellwire.base.lock import held
from bellwire.base.private import own_file, own_folder
from bellwire.database.failures import Failures
from bellwire.database.layout import lay_out
from bellwire.database.sqlite import FilePurpose, SqliteFile, connect
from bellwire.ledger.store.errors import LogStoreDamaged, LogStoreError, LogStoreUnusable
from bellwire.ledger.store.layout import LAYOUT

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -65536",
    "PRAGMA wal_autocheckpoint = 4000",
)
_PURPOSE: Final = FilePurpose(
    what=LAYOUT.what,
    owner="log",
    if_damaged="Put a copy of it back; nothing else can be trusted.",
    failures=Failures(
        failed=LogStoreError,
        busy=LogStoreUnusable,
        corrupt=LogStoreDamaged,
        unusable=LogStoreUnusable,
        refused=LogStoreDamaged,
    ),
)


class LogFile:
    """One open file; see `database.Database`.

    Args:
        folder: The log's own; made if it is missing.

    Raises:
        LogStoreUnusable: it cannot be written, or another process has it.
        LogStoreDamaged: the file is none of ours.
        PathUnusable, PathExposed: the folder cannot be used, or others may read it.
    """

    def __init__(self, folder: Path) -> None:
        own_folder(folder)
        self._path = folder / LAYOUT.file
        self._lock: AbstractContextManager[None] = held(folder / "log.lock")
        try:
            self._lock.__enter__()
        except BlockingIOError as error:
            raise LogStoreUnusable(
                f"expected {folder} for this log alone, got one in use by another process"
            ) from error
        self._reading = threading.Lock()
        self._writer: SqliteFile | None = None
        self._reader: sqlite3.Connection | None = None
        try:
            own_file(self._path)
            self._writer = SqliteFile(connect(self._path), self._path, _PURPOSE)
            with self._writer.translated():
                self._prepare(self._writer)
                self._reader = connect(self._path)
                self._reader.execute("PRAGMA query_only = ON").fetchall()
        except BaseException:
            self.close()
            raise

    def _prepare(self, writer: SqliteFile) -> None:
        connection = writer.connection
        for pragma in _PRAGMAS:
            connection.execute(pragma).fetchall()
        lay_out(connection, self._path, LAYOUT, LogStoreDamaged)
        # What a failed sync left behind is there to be read, and may not be on the disk: it is
        # written once more before anybody is told that it is there.
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        if busy:
            raise LogStoreUnusable(
                f"expected {self._path} for this log alone, got a reader in the way"
            )

    def transaction(self) -> AbstractContextManager[sqlite3.Cursor]:
        """As `Database.transaction`."""
        assert self._writer is not None
        return self._writer.transaction()

    def rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        """As `Database.rows`."""
        assert self._writer is not None
        assert self._reader is not None
        with self._reading:
            self._writer.require_open()
            try:
                return self._reader.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                raise _PURPOSE.error(error, self._path) from error

    def close(self) -> None:
        """As `Database.close`."""
        if self._writer is not None:
            self._writer.close()
        with self._reading:
            if self._reader is not None:
                self._reader.close()
        self._lock.__exit__(None, None, None)
