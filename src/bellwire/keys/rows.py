"""Rows of the key store, read and checked: what `sqlite` asks of the tables of `database`."""

import sqlite3
from contextlib import closing
from typing import NamedTuple, TypeVar

from bellwire.base.detections import Protocol
from bellwire.keys.carving import ReadyBlock
from bellwire.keys.errors import BlockConflict, StoreCorrupt
from bellwire.keys.model import (
    MAX_BLOCK,
    BlockRecord,
    ContactMethod,
    FirstContact,
    KeySourceKind,
)

Found = TypeVar("Found")


def marks(cursor: sqlite3.Cursor) -> tuple[int, int]:
    """The last block number burnt, and the number of the last pad set ever added."""
    row = cursor.execute("SELECT last_block, last_set FROM store").fetchone()
    last_block, last_set = there(row, "the store's marks")
    return int(last_block), int(last_set)


def fixed_keys(cursor: sqlite3.Cursor) -> bytes | None:
    """The sealed part of the pre-placed key that stays; None before it was installed."""
    (sealed,) = there(cursor.execute("SELECT fixed_keys FROM store").fetchone(), "fixed keys")
    return None if sealed is None else bytes(sealed)


def first_contact(cursor: sqlite3.Cursor) -> FirstContact | None:
    """How the authentication key was come by; None before there is one."""
    row = cursor.execute(
        "SELECT fixed_keys IS NOT NULL, contact, contact_peer, contact_exchange FROM store"
    ).fetchone()
    placed, method, peer, exchange = there(row, "first contact")
    return FirstContact(ContactMethod(method), peer, exchange) if placed else None


def block_row(cursor: sqlite3.Cursor, block: int) -> sqlite3.Row | None:
    """The row of a block, by column name; None if there is none, whatever the number."""
    if not 1 <= block <= MAX_BLOCK:
        return None
    with closing(cursor.connection.cursor()) as rows:
        rows.row_factory = sqlite3.Row
        found = rows.execute("SELECT * FROM blocks WHERE number = ?", (block,)).fetchone()
    return found if isinstance(found, sqlite3.Row) else None


def to_record(row: sqlite3.Row) -> BlockRecord:
    """The record that a row was made from."""
    return BlockRecord(
        block=row["number"],
        protocol=None if row["protocol"] is None else Protocol(row["protocol"]),
        source=KeySourceKind(row["source"]),
        secret_bits=row["secret_bits"],
        qber=row["qber"],
        chsh=row["chsh"],
        epsilon=row["epsilon"],
        decided_at=row["decided_at"],
    )


def ready_block(row: sqlite3.Row) -> ReadyBlock:
    """What became of a block that is ready."""
    return ReadyBlock(
        row["number"], row["refill_sets"], row["units"], row["dropped_bits"], row["first_unit"]
    )


class PoolMarks(NamedTuple):
    """Where a pool stands.

    Attributes:
        epoch: Counts fences.
        next_unit: Number that the next block's first unit gets.
        sequence: Counts what changed the pool; it never goes back, unless the store was put back.
        peer_sequence: The highest that the peer ever said of its own.
    """

    epoch: int
    next_unit: int
    sequence: int
    peer_sequence: int


def pool_marks(cursor: sqlite3.Cursor) -> PoolMarks:
    """Where the pool stands."""
    row = cursor.execute("SELECT epoch, next_unit, sequence, peer_sequence FROM store").fetchone()
    return PoolMarks(*there(row, "the pool's marks"))


def ready_blocks(cursor: sqlite3.Cursor) -> list[ReadyBlock]:
    """Ready blocks from the first one on of which anything is left, and the last one, ascending."""
    rows = cursor.execute(
        "SELECT number, refill_sets, units, dropped_bits, first_unit FROM blocks "
        "WHERE state = 'ready' AND units > 0 AND number >= COALESCE("
        "(SELECT block FROM marks ORDER BY first LIMIT 1), "
        "(SELECT MAX(number) FROM blocks WHERE state = 'ready' AND units > 0)) ORDER BY number"
    ).fetchall()
    return [ReadyBlock(*row) for row in rows]


def check_order(cursor: sqlite3.Cursor, block: int) -> None:
    """Let a block become ready only in ascending order, so that both sides carve alike.

    Raises:
        BlockConflict: a lower block is pending, or a higher one ready.
    """
    (lower,) = cursor.execute(
        "SELECT MIN(number) FROM blocks WHERE state = 'pending' AND number < ?", (block,)
    ).fetchone()
    if lower is not None:
        raise BlockConflict(block, f"expected all lower blocks settled, got {lower} pending")
    (higher,) = cursor.execute(
        "SELECT MAX(number) FROM blocks WHERE state = 'ready' AND number > ?", (block,)
    ).fetchone()
    if higher is not None:
        raise BlockConflict(block, f"expected no higher block ready, got {higher}")


def there(found: Found | None, what: str) -> Found:
    """Return what must be there; StoreCorrupt if it is not."""
    if found is None:
        raise StoreCorrupt(f"expected {what} in the store, got nothing")
    return found
