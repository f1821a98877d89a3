"""What a relay keeps: accounts, mailboxes, and payloads that have not been fetched.

Work is done in batches, each one transaction with one sync: what it reports as done is on the disk.
Numbers of payloads only grow, over restarts too, so that each mailbox stays in order. Nothing here
says who talks to whom: a mailbox has one owner, and whoever drops shows only the right to.
"""

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bellwire.base.lock import held
from bellwire.base.private import own_file, own_folder
from bellwire.chat.errors import StoreCorrupt, StoreUnusable
from bellwire.chat.relay.frames import RELAY_ID_BYTES, Reason

APPLICATION_ID: Final = 0x62777231
"""Marks the file as a relay's ('bwr1')."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",
)
_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE relay (relay_id BLOB NOT NULL);
CREATE TABLE mailboxes (
    mailbox BLOB PRIMARY KEY, right_hash BLOB NOT NULL UNIQUE, account BLOB NOT NULL,
    stored INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX mailboxes_of ON mailboxes (account);
CREATE TABLE payloads (
    number INTEGER PRIMARY KEY AUTOINCREMENT, account BLOB NOT NULL, mailbox BLOB NOT NULL,
    token BLOB NOT NULL, gone_at INTEGER NOT NULL, payload BLOB NOT NULL,
    UNIQUE (mailbox, token));
CREATE INDEX payloads_of ON payloads (account, number);
CREATE INDEX payloads_gone ON payloads (gone_at);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = 1;
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """What one account may have.

    Attributes:
        mailboxes: How many.
        mailbox_bytes: Payloads that wait in one mailbox, in bytes.
    """

    mailboxes: int = 1000
    mailbox_bytes: int = 16 << 20


@dataclass(frozen=True, slots=True)
class OpenMailbox:
    """Give an account a mailbox."""

    account: bytes
    mailbox: bytes
    right_hash: bytes


@dataclass(frozen=True, slots=True)
class CloseMailbox:
    """Take a mailbox of an account away, with what is in it."""

    account: bytes
    mailbox: bytes


@dataclass(frozen=True, slots=True)
class Put:
    """Keep a payload for the owner of a mailbox until `gone_at`, in seconds since the epoch."""

    right: bytes
    token: bytes
    gone_at: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Forget:
    """The owner has a payload."""

    account: bytes
    number: int


@dataclass(frozen=True, slots=True)
class Fetch:
    """The next payloads of an account after a number, at most `limit`."""

    account: bytes
    after: int
    limit: int


@dataclass(frozen=True, slots=True)
class Expire:
    """Forget what is due at `now`, in seconds since the epoch."""

    now: int


Job = OpenMailbox | CloseMailbox | Put | Forget | Fetch | Expire


@dataclass(frozen=True, slots=True)
class Waiting:
    """A payload that is kept for an account."""

    account: bytes
    number: int
    mailbox: bytes
    payload: bytes


Outcome = Reason | Waiting | list[Waiting] | None
"""A refusal; what was put; what was fetched; or nothing to say."""


class RelayStore:
    """One relay's file; not for use by two threads at once.

    Raises:
        StoreUnusable: it cannot be read or written, or another relay has it open.
        StoreCorrupt: it is none of ours.
        PathUnusable, PathExposed: the folder cannot be used, or others may read it.
    """

    def __init__(self, folder: Path, limits: StoreLimits | None = None) -> None:
        self._limits = limits or StoreLimits()
        own_folder(folder)
        self._lock = held(folder / "lock")
        try:
            self._lock.__enter__()
        except BlockingIOError as error:
            raise StoreUnusable(
                f"expected {folder} for this relay alone, got one in use by another"
            ) from error
        path = folder / "relay.sqlite"
        own_file(path)
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self.relay_id = self._prepare(path)
        except sqlite3.Error as error:
            self.close()
            raise StoreUnusable(f"the relay's store cannot be used: {error}") from error
        except BaseException:
            self.close()
            raise

    def _prepare(self, path: Path) -> bytes:
        for pragma in _PRAGMAS:
            self._connection.execute(pragma).fetchall()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            self._connection.executescript(_SCHEMA)
        marks = [
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version")
        ]
        if marks != [APPLICATION_ID, 1]:
            raise StoreCorrupt(f"expected a relay's store of version 1 in {path}, got another")
        row = self._connection.execute("SELECT relay_id FROM relay").fetchone()
        if row is None:
            row = (os.urandom(RELAY_ID_BYTES),)
            self._connection.execute("INSERT INTO relay VALUES (?)", row)
        return bytes(row[0])

    def close(self) -> None:
        """Give the file up; again is harmless."""
        self._connection.close()
        self._lock.__exit__(None, None, None)

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Do jobs in order, in one transaction: all of them are durable, or none was done.

        Raises:
            StoreUnusable: SQLite failed.
        """
        try:
            cursor = self._connection.execute("BEGIN IMMEDIATE")
            try:
                outcomes = [self._do(cursor, job) for job in jobs]
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise StoreUnusable(f"the relay's store cannot be used: {error}") from error
        return outcomes

    def _do(self, cursor: sqlite3.Cursor, job: Job) -> Outcome:
        match job:
            case Put():
                return self._put(cursor, job)
            case Forget(account, number):
                self._delete(cursor, "number = ? AND account = ?", (number, account))
            case Fetch(account, after, limit):
                rows = cursor.execute(
                    "SELECT number, mailbox, payload FROM payloads"
                    " WHERE account = ? AND number > ? ORDER BY number LIMIT ?",
                    (account, after, limit),
                ).fetchall()
                return [Waiting(account, *row) for row in rows]
            case OpenMailbox(account, mailbox, right_hash):
                return self._open(cursor, account, mailbox, right_hash)
            case CloseMailbox(account, mailbox):
                cursor.execute(
                    "DELETE FROM mailboxes WHERE mailbox = ? AND account = ?", (mailbox, account)
                )
                if not cursor.rowcount:
                    return Reason.NO_MAILBOX
                cursor.execute("DELETE FROM payloads WHERE mailbox = ?", (mailbox,))
            case Expire(now):
                self._delete(cursor, "gone_at <= ?", (now,))
        return None

    def _put(self, cursor: sqlite3.Cursor, job: Put) -> Outcome:
        row = cursor.execute(
            "SELECT mailbox, account, stored FROM mailboxes WHERE right_hash = ?",
            (hashlib.sha256(job.right).digest(),),
        ).fetchone()
        if row is None:
            return Reason.NO_MAILBOX
        mailbox, account, stored = row
        there = cursor.execute(
            "SELECT 1 FROM payloads WHERE mailbox = ? AND token = ?", (mailbox, job.token)
        ).fetchone()
        if there:
            return None  # it was put before, and the word that it was got lost
        size = len(job.payload)
        if stored + size > self._limits.mailbox_bytes:
            return Reason.FULL
        cursor.execute(
            "INSERT INTO payloads (account, mailbox, token, gone_at, payload)"
            " VALUES (?, ?, ?, ?, ?)",
            (account, mailbox, job.token, job.gone_at, job.payload),
        )
        number = cursor.lastrowid
        assert number is not None  # SQLite numbers each row
        cursor.execute(
            "UPDATE mailboxes SET stored = stored + ? WHERE mailbox = ?", (size, mailbox)
        )
        return Waiting(account, number, mailbox, job.payload)

    def _open(
        self, cursor: sqlite3.Cursor, account: bytes, mailbox: bytes, right_hash: bytes
    ) -> Outcome:
        row = cursor.execute(
            "SELECT account, right_hash FROM mailboxes WHERE mailbox = ?", (mailbox,)
        ).fetchone()
        if row is not None:
            return None if row == (account, right_hash) else Reason.TAKEN
        (count,) = cursor.execute(
            "SELECT count(*) FROM mailboxes WHERE account = ?", (account,)
        ).fetchone()
        if count >= self._limits.mailboxes:
            return Reason.FULL
        cursor.execute(
            "INSERT OR IGNORE INTO mailboxes VALUES (?, ?, ?, 0)", (mailbox, right_hash, account)
        )
        return None if cursor.rowcount else Reason.TAKEN

    @staticmethod
    def _delete(cursor: sqlite3.Cursor, which: str, values: tuple[object, ...]) -> None:
        gone = cursor.execute(
            f"DELETE FROM payloads WHERE {which} RETURNING mailbox, length(payload)",  # noqa: S608
            values,
        ).fetchall()
        cursor.executemany(
            "UPDATE mailboxes SET stored = stored - ? WHERE mailbox = ?",
            [(size, mailbox) for mailbox, size in gone],
        )
