"""Entries that a writer's store holds until the log has them.

What always holds:

- An entry is put in the transaction of the fact that it tells: both are there, or neither.
- It goes when the log said that it has it, and not before: nothing is dropped, however long the log
  is away. What waits takes room in the store, about half a kilobyte for each entry.
- Numbers of an epoch are given in order, without gaps, and what a number stands for does not change
  as long as the epoch does not. So the log knows an entry that is brought again, and keeps it once.

Statements are in the SQL that SQLite and PostgreSQL share, for stores of `database.cursor`.
"""

import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias, TypedDict

from msgspec.structs import replace

from bellwire.base.clock import Clock, system_clock
from bellwire.base.secret import Secret
from bellwire.database.cursor import Cursor
from bellwire.ledger.entries.codec import decode, encode
from bellwire.ledger.entries.commitments import commit, new_salt
from bellwire.ledger.entries.fields import MAX_SAFE
from bellwire.ledger.entries.model import Entry
from bellwire.ledger.tiles import TILE_WIDTH

MOST_AT_ONCE: Final = TILE_WIDTH
"""Entries of a batch: what a log takes at once."""

MAX_PROBLEM: Final = 300

SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS outbox"
    " (number INTEGER PRIMARY KEY, at REAL NOT NULL, entry BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS outbox_state"
    " (id INTEGER PRIMARY KEY, epoch TEXT NOT NULL, base INTEGER NOT NULL,"
    " next INTEGER NOT NULL, epochs INTEGER NOT NULL, problem TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS outbox_salts (value TEXT PRIMARY KEY, salt BLOB NOT NULL)",
)
"""Tables of an outbox in SQLite."""

Transaction: TypeAlias = Callable[[], AbstractContextManager[Cursor]]
"""Of the writer's store: alone, and durable when it ended."""

Noted: TypeAlias = Callable[[Cursor, Sequence[bytes], Sequence[int]], None]
"""Called with entries that the log has, and their numbers there, as they go from the outbox."""


class Unnumbered(TypedDict):
    """What an entry has from its outbox, and not from the fact."""

    v: Literal[1]
    writer: str
    epoch: str
    sequence: int


UNNUMBERED: Final[Unnumbered] = {
    "v": 1,
    "writer": "w" * 64,
    "epoch": "0" * 16,
    "sequence": MAX_SAFE,
}
"""For `put`: as long as any can be, so that what is put fits into a log whoever brings it."""


class Waiting(NamedTuple):
    """Entries that are to be brought.

    Attributes:
        epoch: Whose numbers they have.
        last: The outbox's own number of the last.
        entries: Their bytes.
    """

    epoch: str
    last: int
    entries: list[bytes]


@dataclass(frozen=True, slots=True)
class OutboxState:
    """How an outbox is.

    Attributes:
        waiting: Entries that the log does not have yet, for all we know.
        oldest_at: When the first of them was put, seconds since the epoch; None without any.
        epochs: How many there were: more than one, if this store or the log was put back.
        problem: Why the log did not take the last batch; empty if it did.
    """

    waiting: int = 0
    oldest_at: float | None = None
    epochs: int = 1
    problem: str = ""


def put(cursor: Cursor, facts: Sequence[Entry], *, clock: Clock = system_clock) -> None:
    """Let entries wait for the log.

    Args:
        cursor: Of the transaction of what they tell.
        facts: With `UNNUMBERED`.
        clock: Seconds since the epoch.

    Raises:
        EntryMalformed: a field is out of its bounds.
    """
    if not facts:
        return
    _, _, following = _numbers(cursor)
    now = clock()
    cursor.executemany(
        "INSERT INTO outbox (number, at, entry) VALUES (?, ?, ?)",
        [(number, now, encode(fact)) for number, fact in enumerate(facts, following)],
    )
    cursor.execute("UPDATE outbox_state SET next = ?", (following + len(facts),))


class Salts:
    """What commitments of one store are made with: one salt for each value, kept beside it.

    Args:
        seal: Makes of a salt what is stored.
        unseal: And back.
    """

    def __init__(
        self,
        seal: Callable[[bytes], bytes] = bytes,
        unseal: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self._seal = seal
        self._unseal = unseal

    def commitment(self, cursor: Cursor, value: str) -> str:
        """What entries have in the place of a value; always the same for one value."""
        row = cursor.execute("SELECT salt FROM outbox_salts WHERE value = ?", (value,)).fetchone()
        if row is not None:
            return commit(Secret(self._unseal(bytes(row[0]))), value)
        salt = new_salt()
        sealed = self._seal(salt.reveal())
        cursor.execute("INSERT INTO outbox_salts (value, salt) VALUES (?, ?)", (value, sealed))
        return commit(salt, value)


class Outbox:
    """The outbox of one store, for whoever brings its entries to the log.

    Args:
        transaction: Of the store.
        writer: By which name the log knows us.
        noted: What the writer does, in that transaction, with the numbers of its entries.
    """

    def __init__(self, transaction: Transaction, writer: str, noted: Noted | None = None) -> None:
        self._transaction = transaction
        self._writer = writer
        self._noted = noted

    def __repr__(self) -> str:
        return f"Outbox({self._writer})"

    def first(self, most: int = MOST_AT_ONCE) -> Waiting:
        """The first entries that wait, at most so many."""
        with self._transaction() as cursor:
            rows = cursor.execute(
                "SELECT number, entry FROM outbox ORDER BY number LIMIT ?", (most,)
            ).fetchall()
            epoch, base, _ = _numbers(cursor) if rows else ("", 0, 0)
        entries = [
            encode(
                replace(
                    decode(bytes(entry)), writer=self._writer, epoch=epoch, sequence=number - base
                )
            )
            for number, entry in rows
        ]
        return Waiting(epoch, rows[-1][0] if rows else 0, entries)

    def taken(self, brought: Waiting, numbers: Sequence[int]) -> None:
        """The log has these, under these numbers."""
        with self._transaction() as cursor:
            cursor.execute("DELETE FROM outbox WHERE number <= ?", (brought.last,))
            if self._noted is not None:
                self._noted(cursor, brought.entries, numbers)

    def begin_epoch(self, brought: Waiting) -> None:
        """The log has other entries under our numbers, or lacks some: count anew, from 1 on."""
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE outbox_state SET epoch = ?, epochs = epochs + 1, "
                "base = (SELECT MIN(number) - 1 FROM outbox) WHERE epoch = ?",
                (_new_epoch(), brought.epoch),
            )

    def note_problem(self, problem: str) -> None:
        """Why the log did not take what was brought, for whoever asks; empty if it did."""
        with self._transaction() as cursor:
            _numbers(cursor)
            cursor.execute("UPDATE outbox_state SET problem = ?", (problem[:MAX_PROBLEM],))

    def state(self) -> OutboxState:
        """How the outbox is."""
        with self._transaction() as cursor:
            return read_state(cursor)


def read_state(cursor: Cursor) -> OutboxState:
    """How an outbox is."""
    row = cursor.execute("SELECT next, epochs, problem FROM outbox_state").fetchone()
    if row is None:
        return OutboxState()
    oldest = cursor.execute("SELECT number, at FROM outbox ORDER BY number LIMIT 1").fetchone()
    following, epochs, problem = row
    if oldest is None:
        return OutboxState(0, None, epochs, problem)
    return OutboxState(following - oldest[0], oldest[1], epochs, problem)


def _numbers(cursor: Cursor) -> tuple[str, int, int]:
    """The epoch, what is taken off the outbox's numbers in it, and the next number."""
    row = cursor.execute("SELECT epoch, base, next FROM outbox_state").fetchone()
    if row is None:
        row = _new_epoch(), 0, 1
        cursor.execute(
            "INSERT INTO outbox_state (id, epoch, base, next, epochs, problem) "
            "VALUES (1, ?, ?, ?, 1, '')",
            row,
        )
    epoch, base, following = row
    return str(epoch), int(base), int(following)


def _new_epoch() -> str:
    return secrets.token_hex(8)
