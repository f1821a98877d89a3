"""What a relay keeps: accounts, mailboxes, and payloads that have not been fetched.

Work is done in batches, each one transaction with one sync: what it reports as done is on the disk.
Statements take many rows at once: each gives Python's lock away, and a busy event loop is slow to
give it back. Numbers of payloads only grow, over restarts and over all relays of one store, and are
given out in transactions that run one after the other, so that each mailbox stays in order. Nothing
here says who talks to whom: a mailbox has one owner, and whoever drops shows only the right to.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from bellwire.base.lock import held
from bellwire.base.private import own_folder
from bellwire.chat.errors import StoreUnusable
from bellwire.chat.relay.claims import Claims
from bellwire.chat.relay.databases import Place, open_database
from bellwire.chat.relay.frames import RELAY_ID_BYTES, Reason
from bellwire.chat.relay.jobs import (
    Claim,
    CloseMailbox,
    Expire,
    Fetch,
    Job,
    Look,
    Mailboxes,
    OpenMailbox,
    Outcome,
    Parcel,
    Release,
    State,
    Was,
)
from bellwire.chat.relay.rows import cut, marks
from bellwire.database.cursor import Cursor
from bellwire.database.layout import Layout

APPLICATION_ID: Final = 0x62777231
"""Marks the file as a relay's ('bwr1')."""

INSTANCE_BYTES: Final = 16

_LAYOUT: Final = Layout(
    what="a relay's store",
    file="relay.sqlite",
    mark=APPLICATION_ID,
    in_sqlite=(
        """
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
""",
        # Version 1 left the numbers to SQLite.
        """
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
""",
    ),
    in_postgres=(
        # Payloads look like noise: compressing them costs time and gains nothing.
        """
CREATE TABLE relay (relay_id BYTEA NOT NULL, numbers BIGINT NOT NULL);
CREATE TABLE mailboxes (
    mailbox BYTEA PRIMARY KEY, right_hash BYTEA NOT NULL UNIQUE, account BYTEA NOT NULL,
    stored BIGINT NOT NULL);
CREATE INDEX mailboxes_of ON mailboxes (account);
CREATE TABLE payloads (
    number BIGINT PRIMARY KEY, account BYTEA NOT NULL, mailbox BYTEA NOT NULL,
    token BYTEA NOT NULL, gone_at BIGINT NOT NULL, payload BYTEA NOT NULL,
    UNIQUE (token, mailbox));
ALTER TABLE payloads ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE INDEX payloads_of ON payloads (account, number);
CREATE INDEX payloads_gone ON payloads (gone_at);
CREATE TABLE listeners (
    account BYTEA PRIMARY KEY, relay BYTEA NOT NULL, claim BIGINT NOT NULL,
    last BIGINT NOT NULL, seen BIGINT NOT NULL);
CREATE INDEX listeners_at ON listeners (relay);
""",
    ),
)


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
    """A relay's file, or the schema that it shares with others; not for use by two threads at once.

    Args:
        place: The relay's own folder, or a schema.
        limits: Of each account.

    Attributes:
        relay_id: By which clients know the relay, or all relays of the schema.
        instance: What this relay is called among those that share a schema, new at each start;
            empty: it has a file for itself.

    Raises:
        StoreUnusable: it cannot be read or written, or another relay has the folder.
        StoreCorrupt: it is none of ours.
        PathUnusable, PathExposed: the folder cannot be used, or others may read it.
    """

    def __init__(self, place: Place, limits: StoreLimits | None = None) -> None:
        self._limits = limits or StoreLimits()
        with contextlib.ExitStack() as undo:
            if isinstance(place, Path):
                undo.enter_context(alone_in(place))
                self.instance = b""
            else:
                self.instance = os.urandom(INSTANCE_BYTES)
            self._database = open_database(place, _LAYOUT)
            undo.callback(self._database.close)
            self._claims = Claims(self.instance) if self.instance else None
            with self._database.transaction() as cursor:
                row = cursor.execute("SELECT relay_id FROM relay").fetchone()
                if row is None:
                    row = (os.urandom(RELAY_ID_BYTES),)
                    cursor.execute("INSERT INTO relay (relay_id, numbers) VALUES (?, 0)", row)
            self.relay_id = bytes(row[0])
            self._undo = undo.pop_all()

    def take_id(self, relay_id: bytes) -> None:
        """Be known by this id from now on; mailboxes do not depend on it, accounts do.

        Raises:
            StoreUnusable: the database failed.
        """
        if relay_id == self.relay_id:
            return
        with self._database.transaction() as cursor:
            cursor.execute("UPDATE relay SET relay_id = ?", (relay_id,))
        self.relay_id = relay_id

    def close(self) -> None:
        """Give it up; again is harmless."""
        self._undo.close()

    def run(self, jobs: Sequence[Job], forget: Sequence[int] = ()) -> list[Outcome]:
        """Forget payloads that are safe, then do jobs in order, in one transaction.

        All of it is durable, or nothing was done.

        Raises:
            StoreUnusable: the database failed. If that was at the end, all may have been done all
                the same: the same jobs again do no harm.
        """
        with self._database.transaction() as cursor:
            self._forget(cursor, forget)
            return list(self._do(cursor, jobs))

    def _do(self, cursor: Cursor, jobs: Sequence[Job]) -> Iterator[Outcome]:
        parcels: list[Parcel] = []
        for job in jobs:
            if isinstance(job, Parcel):
                parcels.append(job)
                continue
            yield from self._put(cursor, parcels)
            parcels = []
            yield self._one(cursor, job)
        yield from self._put(cursor, parcels)

    def _one(  # noqa: PLR0911 - a line for each
        self,
        cursor: Cursor,
        job: OpenMailbox | CloseMailbox | Fetch | Mailboxes | Expire | Claim | Release | Look,
    ) -> Outcome:
        match job:
            case Fetch(account, flying, limit, claim):
                if self._claims and not self._claims.counts(cursor, account, claim):
                    return Reason.ELSEWHERE
                return self._fetch(cursor, account, [each.number for each in flying], limit)
            case Claim() | Release() | Look():
                assert self._claims is not None  # who shares nothing does not ask
                return self._claims.do(cursor, job)
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
                if self._claims:
                    self._claims.expire(cursor, now)
        return Was.DONE

    def _put(self, cursor: Cursor, parcels: Sequence[Parcel]) -> list[Outcome]:
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
        if self._claims:
            self._claims.note(cursor, parcels)
        return outcomes

    @staticmethod
    def _insert(cursor: Cursor, parcels: Sequence[Parcel]) -> None:
        if not parcels:
            return
        (last,) = cursor.execute(
            "UPDATE relay SET numbers = numbers + ? RETURNING numbers", (len(parcels),)
        ).fetchone()
        for number, each in enumerate(parcels, last - len(parcels) + 1):
            each.number = number
        for some in cut(parcels):
            cursor.execute(
                f"INSERT INTO payloads VALUES {marks(len(some), 6)}",  # noqa: S608 - of '?' alone
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
    def _fetch(cursor: Cursor, account: bytes, flying: Sequence[int], limit: int) -> list[Parcel]:
        rows = cursor.execute(
            "SELECT number, mailbox, token, gone_at, payload FROM payloads"  # noqa: S608 - of '?' alone
            f" WHERE account = ? AND number NOT IN {marks(1, len(flying) + 1)}"
            " ORDER BY number LIMIT ?",
            (account, 0, *flying, limit),
        ).fetchall()
        parcels = []
        for number, mailbox, token, gone_at, payload in rows:
            parcel = Parcel(b"", token, gone_at, payload)
            parcel.account, parcel.mailbox = account, mailbox
            parcel.number, parcel.state = number, State.STORED
            parcels.append(parcel)
        return parcels

    def _open(self, cursor: Cursor, account: bytes, mailbox: bytes, right_hash: bytes) -> Outcome:
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

    def _forget(self, cursor: Cursor, numbers: Sequence[int]) -> None:
        gone: list[tuple[bytes, int]] = []
        for some in cut(numbers):
            gone += cursor.execute(
                f"DELETE FROM payloads WHERE number IN {marks(1, len(some))}"  # noqa: S608 - of '?' alone
                " RETURNING mailbox, length(payload)",
                some,
            ).fetchall()
        self._count(cursor, gone, -1)

    @staticmethod
    def _count(cursor: Cursor, sizes: Iterable[tuple[bytes, int]], sign: int) -> None:
        total: Counter[bytes] = Counter()
        for mailbox, size in sizes:
            total[mailbox] += sign * size
        for some in cut(list(total.items())):
            cursor.execute(
                "UPDATE mailboxes SET stored = stored + more.column2"  # noqa: S608 - of '?' alone
                f" FROM (VALUES {marks(len(some), 2)}) AS more"
                " WHERE mailbox = more.column1",
                list(chain.from_iterable(some)),
            )


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Have a folder for this relay alone.

    Raises:
        StoreUnusable: another relay has it.
        PathUnusable, PathExposed: it cannot be used, or others may read it.
    """
    lock = held(own_folder(folder) / "lock")
    try:
        lock.__enter__()
    except BlockingIOError as error:
        raise StoreUnusable(
            f"expected {folder} for this relay alone, got one in use by another"
        ) from error
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def _select(cursor: Cursor, which: str, values: Iterable[bytes]) -> Iterator[Any]:
    for some in cut(list(values)):
        yield from cursor.execute(f"{which} {marks(1, len(some))}", some).fetchall()
