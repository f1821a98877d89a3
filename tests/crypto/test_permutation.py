"""The permutation of 16 bytes is AES-256 on one block, and goes both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.crypto.errors import LengthError
from bellwire.crypto.permutation import Permutation

BLOCKS = st.binary(min_size=16, max_size=16)


def test_it_is_aes_256_as_fips_197_has_it() -> None:
    permutation = Permutation(bytes(range(32)))
    plain = bytes.fromhex("00112233445566778899aabbccddeeff")
    assert permutation.forward(plain).hex() == "8ea2b7ca516745bfeafc49904b496089"


@given(key=st.binary(min_size=32, max_size=32), block=BLOCKS)
def test_it_goes_back_where_it_came_from(key: bytes, block: bytes) -> None:
    permutation = Permutation(key)
    assert permutation.back(permutation.forward(block)) == block
    assert permutation.forward(permutation.back(block)) == block


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_other_lengths_are_refused(size: int) -> None:
    permutation = Permutation(bytes(32))
    for go in (permutation.forward, permutation.back):
        with pytest.raises(LengthError):
            go(bytes(size))
    with pytest.raises(LengthError):
        Permutation(bytes(31))


def test_it_does_not_show_its_key() -> None:
    assert repr(Permutation(bytes(32))) == "Permutation()"
