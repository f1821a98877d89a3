"""How a ready block is carved: refill of the reserve first, the rest into units, halves by side.

Both sides carve alike, from the block's bits and number alone. The first half of the units is
handed out by Alice as master, the second by Bob: each side allocates only from its own half, so
that both may draw at the same moment without a message between them and never meet. Where the
count is odd, the one more goes to Alice in odd blocks and to Bob in even ones. Later a side may
hand segments over to the other (`pool`).
"""

from dataclasses import dataclass

from bellwire.base.detections import Side
from bellwire.keys.model import UNIT_BYTES
from bellwire.keys.reserve import SET_BYTES, cut_sets, refill_sets

GROUP_UNITS = 4
"""Halves are whole AES-256 keys, the usual draw, so that no rest of one is left over."""

GROUP_BITS = 8 * UNIT_BYTES * GROUP_UNITS


@dataclass(frozen=True, slots=True)
class ReadyBlock:
    """What became of a block's bits.

    Attributes:
        block: Block number.
        refill_sets: Pad sets paid to the authentication reserve.
        units: Units carved for the pool.
        dropped_bits: Bits at the end that fill no four units; nobody gets them.
        first_unit: Number of its first unit in the pool, where blocks follow each other.
    """

    block: int
    refill_sets: int
    units: int
    dropped_bits: int
    first_unit: int = 0

    @property
    def stop_unit(self) -> int:
        """Number of the unit behind its last one."""
        return self.first_unit + self.units

    def half(self, side: Side) -> range:
        """Numbers in the pool of the units that `side` hands out as master at first."""
        return _shift(master_units(side, self.block, self.units), self.first_unit)

    @property
    def refill_bits(self) -> int:
        """Bits paid to the authentication reserve."""
        return self.refill_sets * 8 * SET_BYTES


def master_units(side: Side, block: int, units: int) -> range:
    """Units of `block`, counted from its first one, that `side` hands out as master at first."""
    first_of_bob = (units // GROUP_UNITS + block % 2) // 2 * GROUP_UNITS
    return range(first_of_bob) if side is Side.ALICE else range(first_of_bob, units)


def plan(block: int, secret_bits: int, sets_ahead: int) -> ReadyBlock:
    """How a block of `secret_bits` is carved; `sets_ahead` as in `refill_sets`."""
    sets = refill_sets(secret_bits, sets_ahead)
    groups, dropped = divmod(secret_bits - sets * 8 * SET_BYTES, GROUP_BITS)
    return ReadyBlock(block, sets, GROUP_UNITS * groups, dropped)


def carve(ready: ReadyBlock, data: bytes) -> tuple[list[bytes], bytes]:
    """Cut a block's packed bits as planned: pad sets of 64 bytes, then all units."""
    start = ready.refill_sets * SET_BYTES
    units = data[start : start + UNIT_BYTES * ready.units]
    return cut_sets(data, ready.refill_sets), units


def _shift(units: range, by: int) -> range:
    return range(units.start + by, units.stop + by)
