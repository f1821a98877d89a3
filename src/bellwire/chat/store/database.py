"""The SQLite file under a person's store: opened by one process, durable, sealed value by value.

Any thread may use it; one transaction runs at a time, and the others wait for it.

What always holds: a transaction that was committed is on the disk (write-ahead log, synchronous
FULL), deleted rows are overwritten (secure_delete), and every value that says anything is sealed
with AES-256-GCM under a key of its table, bound to its row. Ids, times and states are in clear.
What is freed goes back to the file system by `shrink`; whatever lies in the blocks that the file
system takes back was deleted and overwritten, or is a former place of something sealed.
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

MAX_LOG_BYTES: Final = 4 << 20
"""What a large transaction leaves of the write-ahead log."""

KEPT_FREE_PAGES: Final = 256
"""Of 4 KiB: pages that are free for what comes next, and not worth giving back."""

PAGES_AT_ONCE: Final = 2048
"""Given back by one `shrink`, during which the store does nothing else: some 10 to 50 ms."""

WORTH_REWRITING: Final = 1024
"""Free pages for which a file of an earlier version, which cannot shrink, is written anew."""

MAX_REWRITTEN: Final = 16_384
"""Pages that such a file has in use at most: they are in memory meanwhile."""

_INCREMENTAL: Final = 2

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    f"PRAGMA journal_size_limit = {MAX_LOG_BYTES}",
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
        self._fault: sqlite3.Error | None = None  # of a commit; whatever is asked after it fails
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
        if not self._number("page_count"):  # a file that has begun cannot take it any more
            self._connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}").fetchall()
        for pragma in _PRAGMAS:
            self._connection.execute(pragma).fetchall()
        mark, version = self._number("application_id"), self._number("user_version")
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (tables and mark != APPLICATION_ID) or version > len(SCHEMAS):
            raise StoreCorrupt(
                f"expected a person's store of version {len(SCHEMAS)} or below in {path}, "
                "got another"
            )
        for number, schema in enumerate(SCHEMAS[version:], version + 1):
            marks = f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={number};"
            self._connection.executescript(f"BEGIN IMMEDIATE;{schema}{marks}COMMIT;")
        self._make_shrinkable()

    def _make_shrinkable(self) -> None:
        """Write a file anew that cannot shrink, once that is worth it."""
        if self._number("auto_vacuum") == _INCREMENTAL:
            return
        free = self._number("freelist_count")
        used = self._number("page_count") - free
        if free >= max(WORTH_REWRITING, used) and used <= MAX_REWRITTEN:
            self._connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}").fetchall()
            self._connection.execute("VACUUM").fetchall()
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _number(self, pragma: str) -> int:
        (number,) = self._connection.execute(f"PRAGMA {pragma}").fetchone()
        return int(number)

    def shrink(self) -> bool:
        """Give some of the pages back that nothing is in any more; whether there are more.

        Raises:
            StoreUnusable: SQLite failed.
        """
        with self._one_at_a_time, self._translated():
            if self._number("auto_vacuum") != _INCREMENTAL:
                return False
            free = self._number("freelist_count") - KEPT_FREE_PAGES
            if free <= 0:
                return False
            pages = min(free, PAGES_AT_ONCE)
            # As a script: it has a step for each page, and `execute` takes one alone.
            self._connection.executescript(f"PRAGMA incremental_vacuum({pages});")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return free > pages

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
            except sqlite3.Error as error:
                self._fault = error
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
            raise StoreUnusable(
                f"the store cannot be used: {self._fault or error}",
                hint="Nothing was lost that it had taken. Open it again once that is mended.",
            ) from error

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
