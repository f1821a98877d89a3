"""The verification hash: Poly1305's polynomial, equal to big integers, and unforgiving."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.poly1305 import Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.polynomial_hash import poly1305, slow_key_hash

from bellwire.base.bits import PackedBits
from bellwire.base.errors import RefusedError
from bellwire.distill.errors import DistillError, HashKeyLengthError, KeyMismatch
from bellwire.distill.verification import (
    HASH_BITS,
    HASH_KEY_BYTES,
    collision_bound,
    key_hash,
    verify_key_hash,
)

HASH_KEY = bytes(range(1, 17))


def key_of(n: int, seed: int) -> PackedBits:
    return PackedBits.of(np.random.default_rng(seed).integers(0, 2, n, np.uint8))


@given(
    n=st.integers(0, 2000), seed=st.integers(0, 2**32), hash_key=st.binary(min_size=16, max_size=16)
)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_the_hash_equals_the_polynomial_in_big_integers(n: int, seed: int, hash_key: bytes) -> None:
    key = key_of(n, seed)
    assert key_hash(key, hash_key) == slow_key_hash(key.unpack(), hash_key)


def test_library_and_twin_give_the_authenticator_of_the_rfc() -> None:
    # RFC 8439, section 2.5.2.
    r = bytes.fromhex("85d6be7857556d337f4452fe42d506a8")
    s = bytes.fromhex("0103808afb0db2fd4abff6af4149f51b")
    message = b"Cryptographic Forum Research Group"
    tag = bytes.fromhex("a8061dc1305136c6c22b8baf0c0127a9")
    assert poly1305(r, s, message) == tag
    assert Poly1305.generate_tag(r + s, message) == tag


@given(n=st.integers(1, 3000), seed=st.integers(0, 2**32), data=st.data())
@settings(max_examples=50, deadline=None, derandomize=True)
def test_one_differing_bit_is_refused(n: int, seed: int, data: st.DataObject) -> None:
    key = key_of(n, seed)
    hashed = key_hash(key, HASH_KEY)
    verify_key_hash(key, HASH_KEY, hashed)
    bits = key.unpack()
    bits[data.draw(st.integers(0, n - 1))] ^= 1
    key = PackedBits.of(bits)
    with pytest.raises(KeyMismatch):
        verify_key_hash(key, HASH_KEY, hashed)


def test_trailing_zeros_change_the_hash() -> None:
    hashes = {key_hash(PackedBits.of(np.zeros(n, np.uint8)), HASH_KEY) for n in range(40)}
    assert len(hashes) == 40


@pytest.mark.parametrize("received", [b"", bytes(15), bytes(16), bytes(17)])
def test_a_hash_of_any_other_length_or_value_is_refused(received: bytes) -> None:
    with pytest.raises(KeyMismatch) as error:
        verify_key_hash(key_of(100, 1), HASH_KEY, received)
    assert isinstance(error.value, DistillError)
    assert isinstance(error.value, RefusedError)
    assert error.value.exit_code == 3


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_a_hash_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(HashKeyLengthError) as error:
        key_hash(key_of(8, 1), bytes(length))
    assert (error.value.expected, error.value.got) == (HASH_KEY_BYTES, length)


def test_different_hash_keys_give_different_hashes() -> None:
    key = key_of(1000, 2)
    assert len({key_hash(key, bytes([i]) * 16) for i in range(1, 9)}) == 8


def test_the_collision_bound_grows_with_the_blocks_hashed() -> None:
    # 8 bytes of length and up to 8 bytes of key make one block of 16 bytes.
    assert collision_bound(0) == collision_bound(64) == 8 / 2**106
    assert collision_bound(65) == 16 / 2**106
    assert collision_bound(10**6) == 8 * 7813 / 2**106
    assert len(key_hash(key_of(10, 1), HASH_KEY)) * 8 == HASH_BITS
