"""Pads of sessions in the key store: a block whose key is one pad, for one master and one slave.

Until both sides are known to have the block, a row beside it says whose pad it is, so that a crash
in between ends as for any block. When it becomes ready, its bits pay pad sets like any other's, and
the rest is the pad: the slave's side keeps it among the keys that wait (`copies`), where it is
fetched once by its id; the master's side keeps nothing. No bit of a session is ever in the pool.
"""

from dataclasses import dataclass

from bellwire.database.cursor import Cursor
from bellwire.keys import copies
from bellwire.keys.carving import ReadyBlock
from bellwire.keys.errors import BlockConflict
from bellwire.keys.reserve import SET_BYTES, TARGET_SETS
from bellwire.keys.sealing import Sealer

MAX_WAITING_PADS = 10_000
"""Keys that may wait at a site for the pad of a further session to wait with them."""


@dataclass(frozen=True, slots=True)
class PadFor:
    """Whose pad a session gives.

    Attributes:
        key_id: 16 bytes, the session's id and the pad's.
        bits: Its length, whole bytes.
        master: SAE id.
        slave: SAE id.
        waits: Whether the slave is of this site, so that the pad waits here.
    """

    key_id: bytes
    bits: int
    master: str
    slave: str
    waits: bool


def put(cursor: Cursor, block: int, pad: PadFor) -> None:
    """Note whose pad a pending block gives.

    Raises:
        BlockConflict: there is a key under that id, or too much waits already.
    """
    if copies.is_here(cursor, pad.key_id):
        raise BlockConflict(block, "expected a session of a new id, got one whose pad waits")
    (waiting,) = cursor.execute(
        "SELECT COUNT(*) FROM (SELECT 1 FROM copies LIMIT ?) AS some", (MAX_WAITING_PADS,)
    ).fetchone()
    if pad.waits and waiting >= MAX_WAITING_PADS:
        raise BlockConflict(block, f"expected fewer than {MAX_WAITING_PADS} keys that wait")
    cursor.execute(
        "INSERT INTO sessions (block, id, bits, master, slave, waits) VALUES (?, ?, ?, ?, ?, ?)",
        (block, pad.key_id, pad.bits, pad.master, pad.slave, int(pad.waits)),
    )


def find(cursor: Cursor, block: int) -> PadFor | None:
    """Whose pad a pending block gives; None if it is no session's."""
    row = cursor.execute(
        "SELECT id, bits, master, slave, waits FROM sessions WHERE block = ?", (block,)
    ).fetchone()
    if row is None:
        return None
    key_id, bits, master, slave, waits = row
    return PadFor(bytes(key_id), bits, master, slave, bool(waits))


def discard(cursor: Cursor, block: int) -> None:
    """Forget whose it was."""
    cursor.execute("DELETE FROM sessions WHERE block = ?", (block,))


def plan(block: int, sets_ahead: int) -> ReadyBlock:
    """How a session's block is carved: pad sets as `reserve.refill_sets` has them, and no units.

    Every session has bits for two sets, so that sessions alone make up for those that failed.
    """
    return ReadyBlock(block, 2 if sets_ahead < TARGET_SETS else 1, 0, 0)


def keep(cursor: Cursor, sealer: Sealer, pad: PadFor, data: bytes, now: float) -> None:
    """Let the pad of a block that became ready wait for its slave, if that is here.

    Args:
        cursor: Of the transaction in which it becomes ready.
        sealer: Of the store.
        pad: Whose it is.
        data: The block's bits, packed. Secret.
        now: Seconds since the epoch.
    """
    if pad.waits:
        keys = [(pad.key_id, cut(data, pad.bits))]
        copies.put(cursor, sealer, keys, pad.master, (pad.slave,), linked=True, now=now)


def cut(data: bytes, bits: int) -> bytes:
    """The pad of a session's bits."""
    return data[2 * SET_BYTES : 2 * SET_BYTES + bits // 8]
