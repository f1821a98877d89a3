"""How pre-placed keys and blocks are cut: the layout, the halves, the price of a block."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.keys.errors import PreplacedKeyInvalid
from bellwire.keys.pool import carve, cut_units, master_units, plan
from bellwire.keys.reserve import (
    MAX_PREPLACED_SETS,
    TARGET_SETS,
    AuthenticationKeys,
    Pads,
    TagPurpose,
    cut_preplaced,
    preplaced_bytes,
    refill_sets,
)


def test_the_four_pads_of_a_block_are_the_four_parts_of_its_set() -> None:
    data = bytes(range(64))
    pads = Pads(3, Secret(data))
    parts = [pads.pad(side, purpose).reveal() for side, purpose in product(Side, TagPurpose)]
    assert b"".join(parts) == data
    assert "Secret(64 bytes)" in repr(pads)


def test_the_pre_placed_key_is_laid_out_as_specified() -> None:
    key = Secret(bytes(range(64)) + b"a" * 64 + b"b" * 64)
    fixed, sets = cut_preplaced(key)
    assert sets == [b"a" * 64, b"b" * 64]
    keys = AuthenticationKeys.from_bytes(fixed)
    assert keys.mac_key.reveal() == bytes(range(32))
    assert keys.hash_key(Side.ALICE).reveal() == bytes(range(32, 48))
    assert keys.hash_key(Side.BOB).reveal() == bytes(range(48, 64))


@pytest.mark.parametrize("size", [0, 63, 64, 127, 129, preplaced_bytes(MAX_PREPLACED_SETS + 1)])
def test_a_pre_placed_key_of_the_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(PreplacedKeyInvalid):
        cut_preplaced(Secret(bytes(size)))


@given(bits=st.integers(1, 2**24), ahead=st.integers(0, 1000))
def test_a_block_pays_at_most_two_sets_and_a_quarter_of_itself(bits: int, ahead: int) -> None:
    sets = refill_sets(bits, ahead)
    assert 0 <= sets <= 2
    assert 4 * 512 * sets <= bits


def test_large_blocks_keep_the_reserve_level_from_below() -> None:
    ahead = 3
    for _ in range(200):
        ahead += refill_sets(200_000, ahead) - 1
    assert ahead == TARGET_SETS


@given(block=st.integers(1, 1000), bits=st.integers(1, 20_000), ahead=st.integers(0, 100))
def test_every_bit_of_a_block_has_one_use(block: int, bits: int, ahead: int) -> None:
    ready = plan(block, bits, ahead)
    assert ready.refill_bits + 256 * ready.units + ready.dropped_bits == bits
    assert ready.dropped_bits < 256
    data = bytes(i % 251 for i in range(-(-bits // 8)))
    sets, together = carve(ready, data)
    units = cut_units(together)
    whole = b"".join(sets) + b"".join(units)
    assert whole == data[: len(whole)]
    assert [len(part) for part in sets + units] == [64] * len(sets) + [32] * len(units)


@given(block=st.integers(1, 1000), units=st.integers(0, 500))
def test_the_two_halves_share_the_units_evenly(block: int, units: int) -> None:
    alice, bob = (master_units(side, block, units) for side in Side)
    assert [*alice, *bob] == list(range(units))
    assert abs(len(alice) - len(bob)) <= 1
    if units % 2:
        assert (len(alice) > len(bob)) is (block % 2 == 1)
