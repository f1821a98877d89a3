"""Keys that wait for slaves at the site of their master, each by itself and sealed.

Bits of a link leave this side's segments when the master gets them. Slaves of the same site get
theirs from here, and so do pairs of which nobody is at another site: their keys come from this
node's generator, not from any link. `now` is in seconds since the epoch.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from bellwire.database.cursor import Cursor
from bellwire.keys.errors import KeyNotGranted
from bellwire.keys.key_ids import unknown
from bellwire.keys.kme import KEY_ID_BYTES
from bellwire.keys.sealing import Sealer

_BOX = "copies"


@dataclass(frozen=True, slots=True)
class Copy:
    """A key that waits.

    Attributes:
        key_id: 16 bytes.
        key: The key. Secret.
        master: Who got it first.
        waiting: Slaves that have not had it.
        linked: Whether its bits are a link's.
    """

    key_id: bytes
    key: bytes
    master: str
    waiting: tuple[str, ...]
    linked: bool

    def __repr__(self) -> str:
        return f"Copy({len(self.key)} bytes)"


def put(
    cursor: Cursor,
    sealer: Sealer,
    keys: Sequence[tuple[bytes, bytes]],
    master: str,
    slaves: tuple[str, ...],
    *,
    linked: bool,
    now: float,
) -> None:
    """Keep (id, key) for each of `slaves`."""
    box, names = sealer.box(_BOX, 0), json.dumps(slaves)
    cursor.executemany(
        "INSERT INTO copies VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (key_id, master, names, names, int(linked), box.seal(_index(key_id), key), now)
            for key_id, key in keys
        ],
    )


def is_here(cursor: Cursor, key_id: bytes) -> bool:
    """Whether a key waits for anybody."""
    row = cursor.execute("SELECT 1 FROM copies WHERE id = ?", (key_id,)).fetchone()
    return row is not None


def find(cursor: Cursor, sealer: Sealer, ids: Sequence[bytes], slave: str) -> list[Copy]:
    """What waits under ids, for a slave.

    Raises:
        KeyNotGranted: one was not granted to the slave.
        KeyGone: one is not here, or the slave has had it.
        StoreCorrupt: one is not what was stored.
    """
    rows = [
        cursor.execute(
            "SELECT master, slaves, waiting, linked, sealed FROM copies WHERE id = ?", (key_id,)
        ).fetchone()
        for key_id in ids
    ]
    if any(row is not None and slave not in json.loads(row[1]) for row in rows):
        raise KeyNotGranted("a key was granted to other SAEs")
    box, copies = sealer.box(_BOX, 0), []
    for key_id, row in zip(ids, rows, strict=True):
        if row is None or slave not in (waiting := json.loads(row[2])):
            raise unknown(key_id)
        copies.append(
            Copy(key_id, box.open(_index(key_id), row[4]), row[0], tuple(waiting), bool(row[3]))
        )
    return copies


def hand_out(cursor: Cursor, copies: Sequence[Copy], slave: str) -> None:
    """A slave has these; what nobody waits for any more is erased."""
    for copy in copies:
        left = [name for name in copy.waiting if name != slave]
        if left:
            cursor.execute(
                "UPDATE copies SET waiting = ? WHERE id = ?", (json.dumps(left), copy.key_id)
            )
        else:
            cursor.execute("DELETE FROM copies WHERE id = ?", (copy.key_id,))


def expire(cursor: Cursor, before: float) -> int:
    """Erase what has waited since before a time; how many keys."""
    return cursor.execute("DELETE FROM copies WHERE at < ?", (before,)).rowcount


def _index(key_id: bytes) -> int:
    return int.from_bytes(key_id[: KEY_ID_BYTES // 2], "big")
