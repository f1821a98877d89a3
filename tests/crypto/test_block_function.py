"""The function of blocks is AES-256 on each of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.crypto.block_function import BlockFunction
from bellwire.crypto.errors import LengthError

BLOCKS = st.binary(min_size=16, max_size=16)


def test_it_is_aes_256_as_fips_197_has_it() -> None:
    function = BlockFunction(bytes(range(32)))
    plain = bytes.fromhex("00112233445566778899aabbccddeeff")
    assert function(plain).hex() == "8ea2b7ca516745bfeafc49904b496089"


@given(key=st.binary(min_size=32, max_size=32), blocks=st.lists(BLOCKS, max_size=5))
def test_each_block_is_by_itself(key: bytes, blocks: list[bytes]) -> None:
    function = BlockFunction(key)
    assert function(b"".join(blocks)) == b"".join(function(block) for block in blocks)


@given(key=st.binary(min_size=32, max_size=32), block=BLOCKS)
def test_a_block_may_be_given_as_a_number(key: bytes, block: bytes) -> None:
    function = BlockFunction(key)
    assert function.number(int.from_bytes(block, "big")) == int.from_bytes(function(block), "big")
    with pytest.raises(OverflowError):
        function.number(1 << 128)


@pytest.mark.parametrize("size", [1, 15, 17])
def test_other_lengths_are_refused(size: int) -> None:
    with pytest.raises(LengthError):
        BlockFunction(bytes(32))(bytes(size))
    with pytest.raises(LengthError):
        BlockFunction(bytes(31))


def test_it_does_not_show_its_key() -> None:
    assert repr(BlockFunction(bytes(32))) == "BlockFunction()"
