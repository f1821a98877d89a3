"""How a ready block is carved: refill of the reserve first, the rest into units, halves by side.

Both sides carve alike, from the block's bits and number alone. The first half of the units is
handed out by Alice as master, the second by Bob: each side allocates only from its own half, so
that both may draw at the same moment without a message between them and never meet. Where the
count is odd, the one more goes to Alice in odd blocks and to Bob in even ones.
"""

from dataclasses import dataclass

from bellwire.base.detections import Side
from bellwire.keys.model import UNIT_BITS, UNIT_BYTES
from bellwire.keys.reserve import SET_BYTES, cut_sets, refill_sets


@dataclass(frozen=True, slots=True)
class ReadyBlock:
    """What became of a block's bits.

    Attributes:
        block: Block number.
        refill_sets: Pad sets paid to the authentication reserve.
        units: Units carved for the pool.
        dropped_bits: Bits at the end that fill no unit; nobody gets them.
    """

    block: int
    refill_sets: int
    units: int
    dropped_bits: int

    @property
    def refill_bits(self) -> int:
        """Bits paid to the authentication reserve."""
        return self.refill_sets * 8 * SET_BYTES


def master_units(side: Side, block: int, units: int) -> range:
    """Numbers of the units of `block` that `side` hands out as master."""
    first_of_bob = (units + block % 2) // 2
    return range(first_of_bob) if side is Side.ALICE else range(first_of_bob, units)


def plan(block: int, secret_bits: int, sets_ahead: int) -> ReadyBlock:
    """How a block of `secret_bits` is carved; `sets_ahead` as in `refill_sets`."""
    sets = refill_sets(secret_bits, sets_ahead)
    units, dropped = divmod(secret_bits - sets * 8 * SET_BYTES, UNIT_BITS)
    return ReadyBlock(block, sets, units, dropped)


def carve(ready: ReadyBlock, data: bytes) -> tuple[list[bytes], bytes]:
    """Cut a block's packed bits as planned: pad sets of 64 bytes, then all units."""
    start = ready.refill_sets * SET_BYTES
    units = data[start : start + UNIT_BYTES * ready.units]
    return cut_sets(data, ready.refill_sets), units


def cut_units(data: bytes) -> list[bytes]:
    """Units of 32 bytes."""
    return [data[start : start + UNIT_BYTES] for start in range(0, len(data), UNIT_BYTES)]
