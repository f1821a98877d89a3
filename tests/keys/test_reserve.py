"""How pre-placed keys are cut, and what a block pays to the authentication reserve."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.keys.errors import PreplacedKeyInvalid
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
