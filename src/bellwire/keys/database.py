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
from bellwire.keys.errors import StoreBusy, StoreCorrupt, StoreError, StoreRefused, StoreUnusable

APPLICATION_ID = 0x62776B31
"""Marks the file as a key store of bellwire ('bwk1')."""

SCHEMA_VERSION = 5

BUSY_TIMEOUT_S = 1.0
"""How long to wait for a predecessor that is just ending."""

_BLOCKS = """CREATE TABLE blocks (
        number INTEGER PRIMARY KEY,
        state TEXT NOT NULL CHECK (state IN ('pending', 'ready')),
        protocol TEXT, source TEXT NOT NULL, secret_bits INTEGER NOT NULL,
        qber REAL, chsh REAL, epsilon REAL, decided_at REAL NOT NULL,
        refill_sets INTEGER NOT NULL DEFAULT 0, first_unit INTEGER NOT NULL DEFAULT 0,
        units INTEGER NOT NULL DEFAULT 0, dropped_bits INTEGER NOT NULL DEFAULT 0
    ) STRICT"""

_POOL = (
    # Small rows that change, apart from large ones that do not.
    """CREATE TABLE marks (
        first INTEGER PRIMARY KEY, units INTEGER NOT NULL,
        block INTEGER NOT NULL REFERENCES blocks (number),
        outgoing INTEGER NOT NULL, taken INTEGER NOT NULL DEFAULT 0, gone BLOB NOT NULL,
        dirty INTEGER NOT NULL DEFAULT 0, offered INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    "CREATE INDEX marks_dirty ON marks (first) WHERE dirty = 1",
    "CREATE INDEX marks_offered ON marks (first) WHERE offered = 1",
    "CREATE INDEX marks_to_take ON marks (first) WHERE outgoing = 1 AND taken < units",
    """CREATE TABLE segments (
        first INTEGER PRIMARY KEY REFERENCES marks (first), sealed BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE issued (
        first INTEGER PRIMARY KEY, stop INTEGER NOT NULL, at REAL NOT NULL
    ) STRICT""",
    """CREATE TABLE grants (
        own INTEGER NOT NULL, number INTEGER NOT NULL, master TEXT NOT NULL, slaves TEXT NOT NULL,
        agreed INTEGER NOT NULL, keys INTEGER NOT NULL DEFAULT 0, bits INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (own, number)
    ) STRICT""",
    """CREATE TABLE copies (
        id BLOB PRIMARY KEY, master TEXT NOT NULL, slaves TEXT NOT NULL, waiting TEXT NOT NULL,
        linked INTEGER NOT NULL, sealed BLOB NOT NULL, at REAL NOT NULL
    ) STRICT""",
    """CREATE TABLE handed (
        first INTEGER NOT NULL, slave TEXT NOT NULL, PRIMARY KEY (first, slave)
    ) STRICT""",
)
"""What `segments` and its neighbours keep."""

SCHEMA = (
    """CREATE TABLE store (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        store_id BLOB NOT NULL, side TEXT NOT NULL, kek_check BLOB NOT NULL,
        last_block INTEGER NOT NULL, last_set INTEGER NOT NULL, fixed_keys BLOB,
        contact TEXT NOT NULL DEFAULT 'pre-placed key',
        contact_peer BLOB NOT NULL DEFAULT x'', contact_exchange BLOB NOT NULL DEFAULT x'',
        epoch INTEGER NOT NULL DEFAULT 0, next_unit INTEGER NOT NULL DEFAULT 0,
        sequence INTEGER NOT NULL DEFAULT 0, peer_sequence INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    _BLOCKS,
    "CREATE INDEX blocks_pending ON blocks (number) WHERE state = 'pending'",
    """CREATE TABLE pending_bits (
        block INTEGER PRIMARY KEY REFERENCES blocks (number), sealed BLOB NOT NULL
    ) STRICT""",
    "CREATE TABLE pad_sets (number INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT",
    *_POOL,
)

_FROM_VERSION_1 = tuple(
    statement
    for column, kind in (("protocol", "TEXT"), ("qber", "REAL"), ("epsilon", "REAL"))
    for statement in (
        f"ALTER TABLE blocks ADD COLUMN new_{column} {kind}",
        f"UPDATE blocks SET new_{column} = {column}",  # noqa: S608 - of the names above
        f"ALTER TABLE blocks DROP COLUMN {column}",
        f"ALTER TABLE blocks RENAME COLUMN new_{column} TO {column}",
    )
)
"""Version 1 had these NOT NULL; keys of a vendor's box have none of them."""

_FROM_VERSION_2 = (
    "ALTER TABLE store ADD COLUMN contact TEXT NOT NULL DEFAULT 'pre-placed key'",
    "ALTER TABLE store ADD COLUMN contact_peer BLOB NOT NULL DEFAULT x''",
    "ALTER TABLE store ADD COLUMN contact_exchange BLOB NOT NULL DEFAULT x''",
)
"""Up to version 2 every authentication key was brought by hand."""

_FROM_VERSION_4 = (
    "DROP TABLE IF EXISTS pages",
    "DROP TABLE units",
    "DROP INDEX blocks_with_own_units",
    "ALTER TABLE blocks DROP COLUMN own_next",
    "ALTER TABLE blocks DROP COLUMN own_end",
    "ALTER TABLE blocks DROP COLUMN peer_left",
    "ALTER TABLE blocks ADD COLUMN first_unit INTEGER NOT NULL DEFAULT 0",
    "UPDATE blocks SET units = 0",
    *(
        f"ALTER TABLE store ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0"
        for column in ("epoch", "next_unit", "sequence", "peer_sequence")
    ),
    *_POOL,
)
"""Up to version 4 bits lay in units of 256. What no key was made of is given up, at both sides: the
link makes new key, and ids of that time cannot be read any more."""

_TAKEN_OVER = {
    1: _FROM_VERSION_1 + _FROM_VERSION_2 + _FROM_VERSION_4,
    2: _FROM_VERSION_2 + _FROM_VERSION_4,
    3: _FROM_VERSION_4,
    4: _FROM_VERSION_4,
}
"""What makes a store of an earlier version one of ours."""

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


Cursor = sqlite3.Cursor
"""What a transaction is written with."""


class Database:
    """One open file; `transaction` is the way in."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._lock = threading.RLock()
        self._closed = False

    @classmethod
    def open(cls, path: Path) -> "Database":
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
                database._check_schema(cursor)
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

    def truncate(self) -> None:
        """Move the write-ahead log into the file and empty it, so that nothing deleted stays."""
        with self._lock, self._translated():
            if not self._closed:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Give the file up; again is harmless."""
        with self._lock:
            self._abandon()

    def _check_schema(self, cursor: sqlite3.Cursor) -> None:
        (application,) = cursor.execute("PRAGMA application_id").fetchone()
        (version,) = cursor.execute("PRAGMA user_version").fetchone()
        (tables,) = cursor.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
        if tables == 0 and application == 0:
            for statement in SCHEMA:
                cursor.execute(statement)
            cursor.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            cursor.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif application != APPLICATION_ID:
            raise StoreRefused(f"expected a key store in {self._path}, got another's database")
        elif version in _TAKEN_OVER:
            for statement in _TAKEN_OVER[version]:
                cursor.execute(statement)
            cursor.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise StoreRefused(
                f"expected schema version {SCHEMA_VERSION} in {self._path}, got {version}",
                hint="Use the version of bellwire that wrote it.",
            )

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
