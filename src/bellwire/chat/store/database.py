"""The SQLite file under a person's store: opened by one process, durable, sealed value by value.

Any thread may use it; one transaction runs at a time, and the others wait for it.

What always holds: a transaction that was committed is on the disk (write-ahead log, synchronous
FULL), deleted rows are overwritten (secure_delete), and every value that says anything is sealed
with AES-256-GCM under a key of its table, bound to its row. Ids, times and states are in clear.
After a commit that failed the connection is closed: what the disk holds is unknown then, and only
opening it anew tells.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bellwire.base.lock import held
from bellwire.base.private import own_file, own_folder
from bellwire.base.secret import Secret
from bellwire.chat.errors import StoreCorrupt, StoreUnusable
from bellwire.chat.store.schema import SCHEMAS
from bellwire.crypto.aead import KEY_BYTES, NONCE_BYTES, open_sealed, seal
from bellwire.crypto.errors import AuthenticationFailed
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.kek.envelope import Envelope, Wrapped
from bellwire.crypto.kek.source import KekSource
from bellwire.crypto.labels import CHAT_STORE

APPLICATION_ID: Final = 0x62776331
"""Marks the file as a person's store ('bwc1')."""

DATA_KEY_BYTES: Final = 32

DATA_KEY: Final = Wrapped(
    what="data key of the store",
    form="bellwire wrapped data key 1",
    file="key.wrapped",
    bare="key",
    setting="--key-protection",
    sizes=(DATA_KEY_BYTES, DATA_KEY_BYTES),
    make=lambda: os.urandom(DATA_KEY_BYTES),
)

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
)


class Database:
    """One open file, and the keys that its values are sealed with.

    Args:
        folder: Made if missing, 0700.
        protection: Where the key-encryption key comes from.

    Raises:
        StoreUnusable: it cannot be read or written, or another process has it open.
        StoreCorrupt: it is not what this program wrote; it is left as it is.
        KekRefused, KekUnusable, KekUnavailable: the data key does not open.
        PathUnusable, PathExposed: a file cannot be used, or others may read it.
    """

    def __init__(self, folder: Path, protection: KekSource) -> None:
        self.folder = own_folder(folder)
        self._one_at_a_time = threading.RLock()
        self._keys: dict[str, bytes] = {}  # of tables, secret
        with contextlib.ExitStack() as undo:
            try:
                undo.enter_context(held(folder / "lock"))
            except BlockingIOError as error:
                raise StoreUnusable(
                    f"expected {folder} for this process alone, got one in use by another"
                ) from error
            path = folder / "chat.sqlite"
            fresh = not path.exists()
            envelope = Envelope(folder, protection, DATA_KEY)
            self._data_key = envelope.unlock(fresh=fresh)
            envelope.settle(self._data_key)
            own_file(path)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            undo.callback(self._connection.close)
            with self._translated():
                self._prepare(path)
            self._undo = undo.pop_all()

    def _prepare(self, path: Path) -> None:
        for pragma in _PRAGMAS:
            self._connection.execute(pragma).fetchall()
        (mark,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (tables and mark != APPLICATION_ID) or version > len(SCHEMAS):
            raise StoreCorrupt(
                f"expected a person's store of version {len(SCHEMAS)} or below in {path}, "
                "got another"
            )
        for number, schema in enumerate(SCHEMAS[version:], version + 1):
            marks = f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={number};"
            self._connection.executescript(f"BEGIN IMMEDIATE;{schema}{marks}COMMIT;")

    def close(self) -> None:
        """Give the file up, and its log empty; again is harmless."""
        with self._one_at_a_time:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._undo.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Cursor]:
        """All of the body, durably, or nothing of it.

        Raises:
            StoreUnusable: SQLite failed; after a failed commit the store must be opened anew.
        """
        with self._one_at_a_time, self._translated():
            cursor = self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                self._connection.close()
                raise

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
                raise StoreCorrupt("the file of the store is damaged, or none of ours") from error
            raise StoreUnusable(f"the store cannot be used: {error}") from error

    def key_of(self, purpose: bytes) -> bytes:
        """A key of 32 bytes for one purpose. Secret."""
        return hkdf(self._data_key.reveal(), info=CHAT_STORE + b"\0" + purpose, length=KEY_BYTES)

    def _key_of_table(self, table: str) -> bytes:
        """Derived once: a message reads and writes some forty sealed rows."""
        key = self._keys.get(table)
        if key is None:
            key = self._keys[table] = self.key_of(table.encode())
        return key

    def seal(self, table: str, row: bytes, value: bytes) -> bytes:
        """`value` as it rests in that row: nonce 12 ‖ sealed."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + seal(self._key_of_table(table), nonce, value, row)

    def open(self, table: str, row: bytes, sealed: bytes) -> Secret:
        """Undo `seal`.

        Raises:
            StoreCorrupt: it is not what was sealed for that row.
        """
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return Secret(open_sealed(self._key_of_table(table), nonce, rest, row))
        except AuthenticationFailed as error:
            raise StoreCorrupt(f"a row of {table} is not what was stored there") from error
