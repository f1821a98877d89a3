"""What a relay keeps of accounts: names, public keys, sessions by hash, prekeys to hand out.

One SQLite file beside the relay's own, so that whoever drops payloads never waits for it. Each call
is one transaction with one sync: what it reports as done is on the disk. A name that was ever taken
stays taken, by itself and for all that look like it, though nothing else of a deleted account does.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bellwire.base.private import own_file, own_folder
from bellwire.base.secret import Secret
from bellwire.chat.accounts.ledger import Ledger
from bellwire.chat.errors import StoreCorrupt, StoreUnusable
from bellwire.chat.identity import SEED_BYTES

APPLICATION_ID: Final = 0x62776131
"""Marks the file as that of accounts ('bwa1')."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
)
_SCHEMAS: Final = (
    """
CREATE TABLE relay (seed BLOB NOT NULL);
CREATE TABLE names (skeleton TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE accounts (
    handle TEXT PRIMARY KEY, identity BLOB NOT NULL, verifier BLOB NOT NULL,
    since INTEGER NOT NULL, visibility INTEGER NOT NULL, publisher BLOB, lasting BLOB,
    lasting_until INTEGER NOT NULL, card BLOB, claim BLOB);
CREATE INDEX accounts_listed ON accounts (visibility, handle);
CREATE TABLE devices (
    number INTEGER PRIMARY KEY AUTOINCREMENT, token_hash BLOB NOT NULL UNIQUE,
    device BLOB NOT NULL,
    handle TEXT NOT NULL REFERENCES accounts (handle) ON DELETE CASCADE, name TEXT NOT NULL,
    since INTEGER NOT NULL, used INTEGER NOT NULL, expires INTEGER NOT NULL);
CREATE INDEX devices_of ON devices (handle, number);
CREATE TABLE prekeys (
    handle TEXT NOT NULL REFERENCES accounts (handle) ON DELETE CASCADE, prekey_id BLOB NOT NULL,
    not_after INTEGER NOT NULL, prekey BLOB, PRIMARY KEY (handle, prekey_id)) WITHOUT ROWID;
CREATE INDEX prekeys_gone ON prekeys (not_after);
""",
    "CREATE TABLE invitations (code_hash BLOB PRIMARY KEY) WITHOUT ROWID;",
)
"""What each version adds to the one before; `PRAGMA user_version` counts them."""


class AccountStore:
    """The file of one relay's accounts; not for use by two threads at once.

    Args:
        folder: The relay's own, whose lock the caller holds.

    Raises:
        StoreUnusable: it cannot be read or written.
        StoreCorrupt: it is none of ours, or of a later version.
        PathUnusable, PathExposed: the folder cannot be used, or others may read it.
    """

    def __init__(self, folder: Path) -> None:
        path = own_folder(folder) / "accounts.sqlite"
        own_file(path)
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            with _translated():
                self._prepare(path)
                self.relay_seed = Secret(self._relay_seed())
        except BaseException:
            self.close()
            raise

    def _prepare(self, path: Path) -> None:
        for pragma in _PRAGMAS:
            self._connection.execute(pragma).fetchall()
        mark, version, tables = (
            self._connection.execute(question).fetchone()[0]
            for question in (
                "PRAGMA application_id",
                "PRAGMA user_version",
                "SELECT count(*) FROM sqlite_master",
            )
        )
        if (tables and mark != APPLICATION_ID) or version > len(_SCHEMAS):
            raise StoreCorrupt(
                f"expected accounts of version {len(_SCHEMAS)} or below in {path}, got another"
            )
        for number, schema in enumerate(_SCHEMAS[version:], version + 1):
            marks = f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={number};"
            self._connection.executescript(f"BEGIN IMMEDIATE;{schema}{marks}COMMIT;")

    def _relay_seed(self) -> bytes:
        """What the relay's identity comes from, drawn once."""
        row = self._connection.execute("SELECT seed FROM relay").fetchone()
        if row is None:
            row = (os.urandom(SEED_BYTES),)
            with self.transaction() as ledger:
                ledger.begin(row[0])
        return bytes(row[0])

    def close(self) -> None:
        """Give the file up; again is harmless."""
        self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Ledger]:
        """All of the body, durably, or nothing of it.

        Raises:
            StoreUnusable: SQLite failed.
        """
        with _translated():
            cursor = self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield Ledger(cursor)
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnusable(f"the store of accounts cannot be used: {error}") from error
