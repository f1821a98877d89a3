"""Rows of the key store, read and checked."""

from typing import NamedTuple, TypeVar

from bellwire.base.detections import Protocol
from bellwire.database.cursor import Cursor
from bellwire.keys.carving import ReadyBlock
from bellwire.keys.errors import BlockConflict, StoreCorrupt
from bellwire.keys.model import (
    MAX_BLOCK,
    BlockRecord,
    BlockState,
    ContactMethod,
    FirstContact,
    KeySourceKind,
)

Found = TypeVar("Found")


def marks(cursor: Cursor) -> tuple[int, int]:
    """The last block number burnt, and the number of the last pad set ever added."""
    row = cursor.execute("SELECT last_block, last_set FROM store").fetchone()
    last_block, last_set = there(row, "the store's marks")
    return int(last_block), int(last_set)


def fixed_keys(cursor: Cursor) -> bytes | None:
    """The sealed part of the pre-placed key that stays; None before it was installed."""
    (sealed,) = there(cursor.execute("SELECT fixed_keys FROM store").fetchone(), "fixed keys")
    return None if sealed is None else bytes(sealed)


def first_contact(cursor: Cursor) -> FirstContact | None:
    """How the authentication key was come by; None before there is one."""
    row = cursor.execute(
        "SELECT fixed_keys IS NOT NULL, contact, contact_peer, contact_exchange FROM store"
    ).fetchone()
    placed, method, peer, exchange = there(row, "first contact")
    return FirstContact(ContactMethod(method), peer, exchange) if placed else None


class BlockRow(NamedTuple):
    """The row of a block: its fields are those of `BlockRecord` and `ReadyBlock`."""

    number: int
    state: BlockState
    protocol: str | None
    source: str
    secret_bits: int
    qber: float | None
    chsh: float | None
    epsilon: float | None
    decided_at: float
    refill_sets: int
    first_unit: int
    units: int
    dropped_bits: int

    @property
    def record(self) -> BlockRecord:
        """The record that it was made from."""
        return BlockRecord(
            block=self.number,
            protocol=None if self.protocol is None else Protocol(self.protocol),
            source=KeySourceKind(self.source),
            secret_bits=self.secret_bits,
            qber=self.qber,
            chsh=self.chsh,
            epsilon=self.epsilon,
            decided_at=self.decided_at,
        )

    @property
    def ready(self) -> ReadyBlock:
        """What became of it, if it is ready."""
        return ReadyBlock(
            self.number, self.refill_sets, self.units, self.dropped_bits, self.first_unit
        )


_BLOCK = f"SELECT {', '.join(BlockRow._fields)} FROM blocks WHERE number = ?"  # noqa: S608 - names of ours


def block_row(cursor: Cursor, block: int) -> BlockRow | None:
    """The row of a block; None if there is none, whatever the number."""
    if not 1 <= block <= MAX_BLOCK:
        return None
    found = cursor.execute(_BLOCK, (block,)).fetchone()
    if found is None:
        return None
    row = BlockRow(*found)
    return row._replace(state=BlockState(row.state))


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


def pool_marks(cursor: Cursor) -> PoolMarks:
    """Where the pool stands."""
    row = cursor.execute("SELECT epoch, next_unit, sequence, peer_sequence FROM store").fetchone()
    return PoolMarks(*there(row, "the pool's marks"))


def count_up(cursor: Cursor) -> None:
    """The pool has changed: other processes, and the peer, are to notice."""
    cursor.execute("UPDATE store SET sequence = sequence + 1")


_READY = (
    "SELECT number, refill_sets, units, dropped_bits, first_unit FROM blocks "
    "WHERE state = 'ready' AND units > 0 AND number"
)


def ready_blocks(cursor: Cursor) -> list[ReadyBlock]:
    """Ready blocks from the first one on of which anything is left, and the last one, ascending."""
    rows = cursor.execute(
        _READY + " >= COALESCE((SELECT block FROM marks ORDER BY first LIMIT 1), "  # noqa: S608 - a constant of ours
        "(SELECT MAX(number) FROM blocks WHERE state = 'ready' AND units > 0)) ORDER BY number"
    ).fetchall()
    return [ReadyBlock(*row) for row in rows]


def ready_blocks_after(cursor: Cursor, number: int) -> list[ReadyBlock]:
    """Ready blocks of higher numbers, ascending."""
    rows = cursor.execute(_READY + " > ? ORDER BY number", (number,)).fetchall()
    return [ReadyBlock(*row) for row in rows]


def check_order(cursor: Cursor, block: int) -> None:
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
