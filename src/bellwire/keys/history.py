"""What outlives the bits of a store: to whom keys were granted, and how much left under each grant.

This is all that a backup takes from a store. Bits, pads and the link's key are not in it: whatever
a backup brought back might have left, or been burnt, since it was made, and nobody could tell. So a
store that was restored is one without bits, by its making, whatever the peer's may be.
"""

import json
from typing import Annotated

import msgspec
from msgspec import Meta

from bellwire.database.cursor import Cursor
from bellwire.keys.kme import MAX_SAE_ID
from bellwire.keys.rows import pool_marks

MAX_HISTORY = 256 << 20
"""Bytes of a history, encoded: some 10⁶ grants."""

_Count = Annotated[int, Meta(ge=0, le=1 << 62)]
_Name = Annotated[str, Meta(min_length=1, max_length=MAX_SAE_ID)]

_BITS = (
    "handed",
    "issued",
    "unreported",
    "wanted",
    "copies",
    "segments",
    "marks",
    "sessions",
    "pending_bits",
    "pad_sets",
    "blocks",
)
"""Tables of which nothing may come back."""


class Granted(msgspec.Struct, frozen=True, array_like=True):
    """A grant, and what left under it.

    Attributes:
        own: Whether the master is of this side.
        number: As in ids.
        master: SAE id.
        slaves: SAE ids.
        keys: How many keys left.
        bits: How many bits.
    """

    own: bool
    number: _Count
    master: _Name
    slaves: Annotated[tuple[_Name, ...], Meta(min_length=1)]
    keys: _Count
    bits: _Count


class History(msgspec.Struct, frozen=True):
    """The history of a store.

    Attributes:
        epoch: Of its pool when this was read.
        grants: All of them.
    """

    epoch: _Count
    grants: list[Granted]


def read(cursor: Cursor) -> History:
    """The history of a store; no secret is read."""
    rows = cursor.execute(
        "SELECT own, number, master, slaves, keys, bits FROM grants WHERE number > 0 "
        "ORDER BY own, number"
    ).fetchall()
    grants = [
        Granted(bool(own), number, master, tuple(json.loads(slaves)), keys, bits)
        for own, number, master, slaves, keys, bits in rows
    ]
    return History(pool_marks(cursor).epoch, grants)


def put(cursor: Cursor, history: History) -> None:
    """Give an empty store a history; again is harmless. The peer is asked anew for each grant."""
    cursor.executemany(
        "INSERT INTO grants (own, number, master, slaves, agreed, keys, bits) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (own, number) DO NOTHING",
        [
            (
                int(each.own),
                each.number,
                each.master,
                json.dumps(each.slaves),
                int(not each.own),
                each.keys,
                each.bits,
            )
            for each in history.grants
        ],
    )
    if pool_marks(cursor).epoch <= history.epoch:
        cursor.execute("UPDATE store SET epoch = ?", (history.epoch + 1,))


def void(cursor: Cursor) -> None:
    """Take from a store all bits, pads and the link's key; only its history stays.

    Block numbers and pad sets begin anew, under the next key: the pads of this one are gone.
    """
    for table in _BITS:
        cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - of the names above
    cursor.execute("UPDATE grants SET agreed = 0 WHERE own = 1")
    cursor.execute(
        "UPDATE store SET fixed_keys = NULL, last_block = 0, last_set = 0, "
        "contact = 'pre-placed key', contact_peer = ?, contact_exchange = ?, "
        "epoch = epoch + 1, next_unit = 0, sequence = sequence + 1, peer_sequence = 0",
        (b"", b""),
    )
