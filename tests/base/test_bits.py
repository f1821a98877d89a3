"""Packed bits hold exactly their bits, and the entropy of a bit is Shannon's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.base.bits import PackedBits, PackedBitsError, binary_entropy, pack, unpack


@given(bits=st.lists(st.integers(0, 1), max_size=70))
def test_packing_keeps_every_bit(bits: list[int]) -> None:
    array = np.array(bits, np.uint8)
    packed = pack(array)
    assert len(packed) == -(-len(bits) // 8)
    assert unpack(packed, len(bits)).tolist() == bits
    assert int.from_bytes(packed, "little") == sum(bit << at for at, bit in enumerate(bits))


@given(count=st.integers(0, 64), data=st.binary(max_size=10))
def test_another_length_or_padding_that_is_set_is_refused(count: int, data: bytes) -> None:
    right = len(data) == -(-count // 8) and int.from_bytes(data, "little") < 1 << count
    if right:
        assert pack(unpack(data, count)) == data
    else:
        with pytest.raises(PackedBitsError, match="expected"):
            unpack(data, count)


@given(bits=st.lists(st.integers(0, 1), max_size=200))
def test_words_hold_the_same_bits_as_bytes(bits: list[int]) -> None:
    array = np.array(bits, np.uint8)
    words = PackedBits.of(array)
    assert words.words.shape == (-(-len(bits) // 64),)
    assert words.to_bytes() == pack(array)
    assert words.unpack().tolist() == bits
    again = PackedBits.from_bytes(pack(array), len(bits))
    assert again.words.tolist() == words.words.tolist()


@given(count=st.integers(0, 64), data=st.binary(max_size=10))
def test_words_take_what_bytes_take(count: int, data: bytes) -> None:
    try:
        bits = unpack(data, count)
    except PackedBitsError:
        with pytest.raises(PackedBitsError, match="expected"):
            PackedBits.from_bytes(data, count)
    else:
        assert PackedBits.from_bytes(data, count).unpack().tolist() == bits.tolist()


def test_words_do_not_show_their_bits() -> None:
    assert repr(PackedBits.of(np.ones(70, np.uint8))) == "PackedBits(70 bits)"


@given(p=st.floats(0, 1))
def test_the_entropy_of_a_bit_is_symmetric_and_at_most_one(p: float) -> None:
    h = binary_entropy(p)
    assert 0.0 <= h <= 1.0
    assert math.isclose(h, binary_entropy(1.0 - p), abs_tol=1e-9)


def test_the_entropy_has_its_known_values() -> None:
    assert (binary_entropy(0.0), binary_entropy(0.5), binary_entropy(1.0)) == (0.0, 1.0, 0.0)
    assert math.isclose(binary_entropy(0.25), 2 - 0.75 * math.log2(3))


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan, math.inf])
def test_what_is_no_probability_has_no_entropy(p: float) -> None:
    with pytest.raises(ValueError, match="probability"):
        binary_entropy(p)
