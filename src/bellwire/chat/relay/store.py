"""What a relay keeps: accounts, mailboxes, and payloads that have not been fetched.

Work is done in batches, each one transaction with one sync: what it reports as done is on the disk.
Statements take many rows at once: each gives Python's lock away, and a busy event loop is slow to
give it back. Numbers of payloads only grow, over restarts too, so that each mailbox stays in order.
Nothing here says who talks to whom: a mailbox has one owner, and whoever drops shows only the right
to.
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from bellwire.base.lock import held
from bellwire.base.private import own_file, own_folder
from bellwire.chat.errors import StoreCorrupt, StoreUnusable
from bellwire.chat.relay.frames import RELAY_ID_BYTES, Reason
from bellwire.chat.relay.jobs import (
    CloseMailbox,
    Expire,
    Fetch,
    Job,
    Mailboxes,
    OpenMailbox,
    Outcome,
    Parcel,
    State,
    Was,
)

APPLICATION_ID: Final = 0x62777231
"""Marks the file as a relay's ('bwr1')."""

ROWS: Final = 512
"""Rows of one statement at most."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",
)
_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE relay (relay_id BLOB NOT NULL, numbers INTEGER NOT NULL);
CREATE TABLE mailboxes (
    mailbox BLOB PRIMARY KEY, right_hash BLOB NOT NULL UNIQUE, account BLOB NOT NULL,
    stored INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX mailboxes_of ON mailboxes (account);
CREATE TABLE payloads (
    number INTEGER PRIMARY KEY, account BLOB NOT NULL, mailbox BLOB NOT NULL,
    token BLOB NOT NULL, gone_at INTEGER NOT NULL, payload BLOB NOT NULL,
    UNIQUE (token, mailbox));
CREATE INDEX payloads_of ON payloads (account, number);
CREATE INDEX payloads_gone ON payloads (gone_at);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = 2;
COMMIT;
"""

_FROM_VERSION_1: Final = """
BEGIN IMMEDIATE;
ALTER TABLE relay ADD COLUMN numbers INTEGER NOT NULL DEFAULT 0;
UPDATE relay SET numbers = coalesce((SELECT max(seq) FROM sqlite_sequence), 0);
ALTER TABLE payloads RENAME TO earlier;
DROP INDEX payloads_of;
DROP INDEX payloads_gone;
CREATE TABLE payloads (
    number INTEGER PRIMARY KEY, account BLOB NOT NULL, mailbox BLOB NOT NULL,
    token BLOB NOT NULL, gone_at INTEGER NOT NULL, payload BLOB NOT NULL,
    UNIQUE (token, mailbox));
CREATE INDEX payloads_of ON payloads (account, number);
CREATE INDEX payloads_gone ON payloads (gone_at);
INSERT INTO payloads SELECT number, account, mailbox, token, gone_at, payload FROM earlier;
DROP TABLE earlier;
PRAGMA user_version = 2;
COMMIT;
"""
"""Version 1 left the numbers to SQLite. A statement of history: it does not change any more."""


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """What one account may have.

    Attributes:
        mailboxes: How many.
        mailbox_bytes: Payloads that wait in one mailbox, in bytes.
    """

    mailboxes: int = 1000
    mailbox_bytes: int = 16 << 20


class RelayStore:
    """One relay's file; not for use by two threads at once.

    Args:
        folder: The relay's own.
        limits: Of each account.

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
        if marks == [APPLICATION_ID, 1]:
            self._connection.executescript(_FROM_VERSION_1)
        elif marks != [APPLICATION_ID, 2]:
            raise StoreCorrupt(f"expected a relay's store of version 2 in {path}, got another")
        row = self._connection.execute("SELECT relay_id FROM relay").fetchone()
        if row is None:
            row = (os.urandom(RELAY_ID_BYTES),)
            self._connection.execute("INSERT INTO relay VALUES (?, 0)", row)
        return bytes(row[0])

    def take_id(self, relay_id: bytes) -> None:
        """Be known by this id from now on; mailboxes do not depend on it, accounts do.

        Raises:
            StoreUnusable: SQLite failed.
        """
        if relay_id == self.relay_id:
            return
        try:
            self._connection.execute("UPDATE relay SET relay_id = ?", (relay_id,))
        except sqlite3.Error as error:
            raise StoreUnusable(f"the relay's store cannot be used: {error}") from error
        self.relay_id = relay_id

    def close(self) -> None:
        """Give the file up; again is harmless."""
        self._connection.close()
        self._lock.__exit__(None, None, None)

    def run(self, jobs: Sequence[Job], forget: Sequence[int] = ()) -> list[Outcome]:
        """Forget payloads that are safe, then do jobs in order, in one transaction.

        All of it is durable, or nothing was done.

        Raises:
            StoreUnusable: SQLite failed.
        """
        try:
            cursor = self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._forget(cursor, forget)
                outcomes = list(self._do(cursor, jobs))
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise StoreUnusable(f"the relay's store cannot be used: {error}") from error
        return outcomes

    def _do(self, cursor: sqlite3.Cursor, jobs: Sequence[Job]) -> Iterator[Outcome]:
        parcels: list[Parcel] = []
        for job in jobs:
            if isinstance(job, Parcel):
                parcels.append(job)
                continue
            yield from self._put(cursor, parcels)
            parcels = []
            yield self._one(cursor, job)
        yield from self._put(cursor, parcels)

    def _one(
        self,
        cursor: sqlite3.Cursor,
        job: OpenMailbox | CloseMailbox | Fetch | Mailboxes | Expire,
    ) -> Outcome:
        match job:
            case Fetch(account, flying, limit):
                return self._fetch(cursor, account, [each.number for each in flying], limit)
            case Mailboxes(account):
                return cursor.execute(
                    "SELECT mailbox, right_hash FROM mailboxes WHERE account = ?", (account,)
                ).fetchall()
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
                gone = cursor.execute(
                    "DELETE FROM payloads WHERE gone_at <= ? RETURNING mailbox, length(payload)",
                    (now,),
                ).fetchall()
                self._count(cursor, gone, -1)
        return Was.DONE

    def _put(self, cursor: sqlite3.Cursor, parcels: Sequence[Parcel]) -> list[Outcome]:
        boxes = {
            right_hash: (mailbox, account, stored)
            for right_hash, mailbox, account, stored in _select(
                cursor,
                "SELECT right_hash, mailbox, account, stored FROM mailboxes WHERE right_hash IN",
                {each.right_hash for each in parcels},
            )
        }
        there = {
            (mailbox, token)
            for mailbox, token in _select(
                cursor,
                "SELECT mailbox, token FROM payloads WHERE token IN",
                {each.token for each in parcels},
            )
        }
        outcomes: list[Outcome] = []
        new: list[Parcel] = []
        more: Counter[bytes] = Counter()
        for each in parcels:
            box = boxes.get(each.right_hash)
            if box is None:
                outcomes.append(Reason.NO_MAILBOX)
                continue
            each.mailbox, each.account, stored = box
            size = len(each.payload)
            if (each.mailbox, each.token) in there:
                outcomes.append(Was.THERE)
            elif stored + more[each.mailbox] + size > self._limits.mailbox_bytes:
                outcomes.append(Reason.FULL)
            else:
                there.add((each.mailbox, each.token))
                more[each.mailbox] += size
                new.append(each)
                outcomes.append(Was.DONE)
        self._insert(cursor, new)
        self._count(cursor, more.items(), 1)
        return outcomes

    @staticmethod
    def _insert(cursor: sqlite3.Cursor, parcels: Sequence[Parcel]) -> None:
        if not parcels:
            return
        (last,) = cursor.execute(
            "UPDATE relay SET numbers = numbers + ? RETURNING numbers", (len(parcels),)
        ).fetchone()
        for number, each in enumerate(parcels, last - len(parcels) + 1):
            each.number = number
        for some in _cut(parcels):
            cursor.execute(
                f"INSERT INTO payloads VALUES {_marks(len(some), 6)}",  # noqa: S608 - of '?' alone
                [
                    value
                    for each in some
                    for value in (
                        each.number,
                        each.account,
                        each.mailbox,
                        each.token,
                        each.gone_at,
                        each.payload,
                    )
                ],
            )

    @staticmethod
    def _fetch(
        cursor: sqlite3.Cursor, account: bytes, flying: Sequence[int], limit: int
    ) -> list[Parcel]:
        rows = cursor.execute(
            "SELECT number, mailbox, token, gone_at, payload FROM payloads"  # noqa: S608
            f" WHERE account = ? AND number NOT IN {_marks(1, len(flying) + 1)}"
            " ORDER BY number LIMIT ?",
            (account, 0, *flying, limit),
        ).fetchall()
        return [
            Parcel(b"", token, gone_at, payload, [], mailbox, account, number, State.STORED)
            for number, mailbox, token, gone_at, payload in rows
        ]

    def _open(
        self, cursor: sqlite3.Cursor, account: bytes, mailbox: bytes, right_hash: bytes
    ) -> Outcome:
        row = cursor.execute(
            "SELECT account, right_hash FROM mailboxes WHERE mailbox = ?", (mailbox,)
        ).fetchone()
        if row is not None:
            return Was.THERE if row == (account, right_hash) else Reason.TAKEN
        (count,) = cursor.execute(
            "SELECT count(*) FROM mailboxes WHERE account = ?", (account,)
        ).fetchone()
        if count >= self._limits.mailboxes:
            return Reason.FULL
        cursor.execute(
            "INSERT INTO mailboxes VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING",
            (mailbox, right_hash, account),
        )
        return Was.DONE if cursor.rowcount else Reason.TAKEN

    def _forget(self, cursor: sqlite3.Cursor, numbers: Sequence[int]) -> None:
        gone: list[tuple[bytes, int]] = []
        for some in _cut(numbers):
            gone += cursor.execute(
                f"DELETE FROM payloads WHERE number IN {_marks(1, len(some))}"  # noqa: S608
                " RETURNING mailbox, length(payload)",
                some,
            ).fetchall()
        self._count(cursor, gone, -1)

    @staticmethod
    def _count(cursor: sqlite3.Cursor, sizes: Iterable[tuple[bytes, int]], sign: int) -> None:
        total: Counter[bytes] = Counter()
        for mailbox, size in sizes:
            total[mailbox] += sign * size
        for some in _cut(list(total.items())):
            cursor.execute(
                "UPDATE mailboxes SET stored = stored + more.column2"  # noqa: S608 - of '?' alone
                f" FROM (VALUES {_marks(len(some), 2)}) AS more"
                " WHERE mailbox = more.column1",
                list(chain.from_iterable(some)),
            )


def _select(cursor: sqlite3.Cursor, which: str, values: Iterable[bytes]) -> Iterator[Any]:
    for some in _cut(list(values)):
        yield from cursor.execute(f"{which} {_marks(1, len(some))}", some).fetchall()


def _cut(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for at in range(0, len(rows), ROWS):
        yield rows[at : at + ROWS]


def _marks(rows: int, columns: int) -> str:
    row = "(" + ", ".join("?" * columns) + ")"
    return ", ".join([row] * rows)
