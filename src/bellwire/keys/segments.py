"""Segments: the pool's bits as the store keeps them, sealed in pieces of 4 KiB, with their marks.

A segment is up to 512 units that follow each other in one half of one block. Its bits are one
sealed value; its marks are a small row beside it, which is all that a delivery writes:

- `outgoing`: whether this side hands the bits out as master; else the peer does.
- `taken` (outgoing): how many units from the start were handed out. It only grows.
- `gone` (incoming): a bit for each unit, set when it left here, expired or was voided.
- `dirty`: bits that left still lie in the sealed value; `clean` seals it anew with zeros for them.
- `offered`: 1 if handed over to the peer, who has not said yet that he took it; 2 if taken over
  from the peer. A segment goes over once at most: words that cross or come late mean nothing else.

A segment of which nothing is left has no row. Marks are durable before bits leave; cleaning comes
after, by itself, and again at the next start if a crash prevented it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bellwire.base.detections import Side
from bellwire.database.cursor import Cursor
from bellwire.keys.carving import GROUP_UNITS, ReadyBlock
from bellwire.keys.errors import StoreCorrupt
from bellwire.keys.lives import UnitLife
from bellwire.keys.model import UNIT_BYTES
from bellwire.keys.sealing import Sealer

SEGMENT_UNITS = 512
"""Units of a segment at most."""

LEAST_UNITS = 16
PARTS = 8
"""A small half is cut into so many segments, of `LEAST_UNITS` at least, so that sides can share."""


_BOX = "segments"


@dataclass(slots=True)
class Segment:
    """A segment in memory: its marks, and its bits once they were asked for.

    Attributes:
        first: Number of its first unit in the pool.
        units: Units in it.
        block: Block that it came from.
        outgoing: Whether this side is the master of what is not handed out yet.
        taken: Units handed out from its start.
        gone: Bit i is set when unit `first + i` left here as the slave's side.
        bits: units · 8 bytes, zero where they left; None until asked for. Secret.
        dirty: Whether the sealed value holds bits that left.
    """

    first: int
    units: int
    block: int
    outgoing: bool
    taken: int
    gone: int
    bits: bytearray | None = None
    dirty: bool = False

    def __repr__(self) -> str:
        return f"Segment({self.units} units from {self.first}, of block {self.block})"

    @property
    def stop(self) -> int:
        """Number of the unit behind its last one."""
        return self.first + self.units

    @property
    def all_gone(self) -> int:
        """`gone` when nothing is left."""
        return (1 << self.units) - 1

    @property
    def spent(self) -> bool:
        """Whether nothing of it will ever be asked for again."""
        return self.taken == self.units if self.outgoing else self.gone == self.all_gone

    def part(self, first: int, stop: int) -> int:
        """The bits of `gone` that stand for units `first` to `stop`, which are all of it."""
        return (1 << stop - self.first) - (1 << first - self.first)

    def read(self, first: int, stop: int) -> bytearray:
        """The bits of units `first` to `stop`, which are all of it and were loaded. Secret."""
        assert self.bits is not None
        low, high = UNIT_BYTES * (first - self.first), UNIT_BYTES * (stop - self.first)
        return self.bits[low:high]

    def wipe(self, first: int, stop: int) -> None:
        """Overwrite the bits of units `first` to `stop`, which are all of it."""
        if self.bits is not None:
            low, high = UNIT_BYTES * (first - self.first), UNIT_BYTES * (stop - self.first)
            self.bits[low:high] = bytes(high - low)

    def forget(self) -> None:
        """Give up the bits in memory; the store has them."""
        self.wipe(self.first, self.stop)
        self.bits = None


def segment_units(half: range) -> int:
    """Units of each segment of a half; the last one may have fewer."""
    part = -(-len(half) // (PARTS * GROUP_UNITS)) * GROUP_UNITS
    return min(SEGMENT_UNITS, max(LEAST_UNITS, part))


def put(cursor: Cursor, sealer: Sealer, side: Side, ready: ReadyBlock, bits: bytes) -> None:
    """Keep the units of a block that becomes ready.

    Args:
        cursor: In a transaction.
        sealer: Of the store.
        side: Whose store it is.
        ready: How the block was carved.
        bits: All its units. Secret.
    """
    box = sealer.box(_BOX, ready.block)
    marks, sealed = [], []
    for master in Side:
        half = ready.half(master)
        size = segment_units(half)
        for first in range(half.start, half.stop, size):
            stop = min(first + size, half.stop)
            at = UNIT_BYTES * (first - ready.first_unit)
            data = bits[at : at + UNIT_BYTES * (stop - first)]
            units = stop - first
            marks.append((first, units, ready.block, int(master is side), _blob(0, units)))
            sealed.append((first, box.seal(first, data)))
    cursor.executemany(
        "INSERT INTO marks (first, units, block, outgoing, gone) VALUES (?, ?, ?, ?, ?)", marks
    )
    cursor.executemany("INSERT INTO segments VALUES (?, ?)", sealed)


_COLUMNS = "first, units, block, outgoing, taken, gone, dirty"


def load(cursor: Cursor, first: int) -> Segment | None:
    """The segment that begins at a unit, without its bits; None if nothing is left of it."""
    row = cursor.execute(f"SELECT {_COLUMNS} FROM marks WHERE first = ?", (first,)).fetchone()  # noqa: S608 - a literal
    return None if row is None else _segment(row)


def load_dirty(cursor: Cursor) -> list[Segment]:
    """Segments whose sealed value holds bits that left."""
    rows = cursor.execute(f"SELECT {_COLUMNS} FROM marks WHERE dirty = 1").fetchall()  # noqa: S608 - a literal
    return [_segment(row) for row in rows]


def load_bits(cursor: Cursor, sealer: Sealer, segment: Segment) -> None:
    """Give a segment its bits.

    Raises:
        StoreCorrupt: they are not what was stored.
    """
    row = cursor.execute("SELECT sealed FROM segments WHERE first = ?", (segment.first,)).fetchone()
    if row is None:
        raise StoreCorrupt(f"expected the bits of unit {segment.first} in the store, got nothing")
    data = sealer.box(_BOX, segment.block).open(segment.first, row[0])
    if len(data) != UNIT_BYTES * segment.units:
        raise StoreCorrupt(f"expected {segment.units} units from {segment.first}, got another size")
    segment.bits = bytearray(data)


def to_take(cursor: Cursor, start: int, stop: int, limit: int) -> list[tuple[int, int, int]]:
    """(first, units, taken) of the next outgoing segments of which something is left, ascending.

    Args:
        cursor: In a transaction.
        start: Number of the first unit that counts.
        stop: Number of the unit behind the last one that counts.
        limit: At most so many.
    """
    return cursor.execute(
        "SELECT first, units, taken FROM marks WHERE outgoing = 1 AND taken < units "
        "AND first >= ? AND first + units <= ? ORDER BY first LIMIT ?",
        (start, stop, limit),
    ).fetchall()


def stock(cursor: Cursor) -> list[tuple[int, int]]:
    """For each block of which outgoing units are left: unit behind the last one, and how many."""
    rows = cursor.execute(
        "SELECT MAX(first + units), SUM(units - taken) FROM marks "
        "WHERE outgoing = 1 AND taken < units GROUP BY block ORDER BY 1"
    ).fetchall()
    return [(int(stop), int(units)) for stop, units in rows]


def oldest_block(cursor: Cursor) -> int:
    """Number of the oldest block of which anything is left; 0 if there is none."""
    row = cursor.execute("SELECT block FROM marks ORDER BY first LIMIT 1").fetchone()
    return 0 if row is None else int(row[0])


def untouched(cursor: Cursor, stop: int, most: int) -> list[tuple[int, int]]:
    """(first, units) of the newest segments of this side's own, before a unit, still whole."""
    return cursor.execute(
        "SELECT first, units FROM marks WHERE outgoing = 1 AND taken < units AND taken = 0 "
        "AND offered = 0 AND first + units <= ? ORDER BY first DESC LIMIT ?",
        (stop, most),
    ).fetchall()


def offer(cursor: Cursor, firsts: Sequence[int]) -> None:
    """Segments become the peer's to hand out, as soon as he takes them."""
    cursor.executemany(
        "UPDATE marks SET outgoing = 0, offered = 1 WHERE first = ?", [(f,) for f in firsts]
    )


def offered(cursor: Cursor) -> list[int]:
    """Segments that were offered and not settled."""
    rows = cursor.execute("SELECT first FROM marks WHERE offered = 1 ORDER BY first").fetchall()
    return [int(first) for (first,) in rows]


def settle(cursor: Cursor, firsts: Sequence[int]) -> None:
    """The peer has them."""
    cursor.executemany(
        "UPDATE marks SET offered = 0 WHERE first = ? AND offered = 1", [(f,) for f in firsts]
    )


def adopt(cursor: Cursor, firsts: Sequence[int]) -> None:
    """Segments of the peer become ours to hand out."""
    cursor.executemany(
        "UPDATE marks SET outgoing = 1, taken = 0, offered = 2 WHERE first = ?",
        [(f,) for f in firsts],
    )


def count(cursor: Cursor) -> Counter[UnitLife]:
    """How many units there are of each life but LEFT, in this epoch."""
    counted: Counter[UnitLife] = Counter()
    rows = cursor.execute("SELECT units, outgoing, taken, gone, offered FROM marks").fetchall()
    for units, outgoing, taken, gone, offered in rows:
        if outgoing:
            counted[UnitLife.OURS] += units - taken
            continue
        life = UnitLife.OFFERED if offered == 1 else UnitLife.THEIRS
        counted[life] += units - int.from_bytes(gone, "little").bit_count()
    return counted


def write_marks(cursor: Cursor, segments: Iterable[Segment]) -> None:
    """Write what was handed out of these."""
    cursor.executemany(
        "UPDATE marks SET outgoing = ?, taken = ?, gone = ?, dirty = 1 WHERE first = ?",
        [(int(s.outgoing), s.taken, _blob(s.gone, s.units), s.first) for s in segments],
    )


def clean(cursor: Cursor, sealer: Sealer, segments: Iterable[Segment]) -> None:
    """Overwrite what left: rows of which nothing is left go, others are sealed anew with zeros."""
    for segment in segments:
        if segment.spent:
            cursor.execute("DELETE FROM segments WHERE first = ?", (segment.first,))
            cursor.execute("DELETE FROM marks WHERE first = ?", (segment.first,))
            continue
        if segment.bits is None:
            load_bits(cursor, sealer, segment)
        segment.wipe(segment.first, segment.first + segment.taken)
        for index in range(segment.units):
            if segment.gone >> index & 1:
                segment.wipe(segment.first + index, segment.first + index + 1)
        assert segment.bits is not None
        box = sealer.box(_BOX, segment.block)
        cursor.execute(
            "UPDATE segments SET sealed = ? WHERE first = ?",
            (box.seal(segment.first, bytes(segment.bits)), segment.first),
        )
        cursor.execute("UPDATE marks SET dirty = 0 WHERE first = ?", (segment.first,))


def _segment(row: tuple[int, int, int, int, int, bytes, int]) -> Segment:
    first, units, block, outgoing, taken, gone, dirty = row
    return Segment(
        first,
        units,
        block,
        bool(outgoing),
        taken,
        int.from_bytes(gone, "little"),
        dirty=bool(dirty),
    )


def _blob(gone: int, units: int) -> bytes:
    return gone.to_bytes(-(-units // 8), "little")
