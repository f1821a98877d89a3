"""How a block is carved: each bit has one use, and each side its half."""

from hypothesis import given
from hypothesis import strategies as st

from bellwire.base.detections import Side
from bellwire.keys.carving import GROUP_UNITS, ReadyBlock, carve, master_units, plan
from bellwire.keys.model import UNIT_BITS, UNIT_BYTES

GROUP_BITS = GROUP_UNITS * UNIT_BITS


@given(block=st.integers(1, 1000), bits=st.integers(1, 20_000), ahead=st.integers(0, 100))
def test_every_bit_of_a_block_has_one_use(block: int, bits: int, ahead: int) -> None:
    ready = plan(block, bits, ahead)
    assert ready.refill_bits + UNIT_BITS * ready.units + ready.dropped_bits == bits
    assert ready.dropped_bits < GROUP_BITS
    data = bytes(i % 251 for i in range(-(-bits // 8)))
    sets, units = carve(ready, data)
    whole = b"".join(sets) + units
    assert whole == data[: len(whole)]
    assert [len(part) for part in sets] == [64] * ready.refill_sets
    assert len(units) == UNIT_BYTES * ready.units


@given(block=st.integers(1, 1000), groups=st.integers(0, 500), first=st.integers(0, 2**40))
def test_the_two_halves_share_a_block_in_whole_groups(block: int, groups: int, first: int) -> None:
    units = GROUP_UNITS * groups
    alice, bob = (master_units(side, block, units) for side in Side)
    assert [*alice, *bob] == list(range(units))
    assert len(alice) % GROUP_UNITS == len(bob) % GROUP_UNITS == 0
    assert abs(len(alice) - len(bob)) <= GROUP_UNITS
    if groups % 2:
        assert (len(alice) > len(bob)) is (block % 2 == 1)
    ready = ReadyBlock(block, 0, units, 0, first)
    assert ready.half(Side.ALICE).start == first
    assert ready.half(Side.ALICE).stop == ready.half(Side.BOB).start
    assert ready.half(Side.BOB).stop == ready.stop_unit == first + units
