"""Amplification: exact at any length, two-universal, and particular about its seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.toeplitz import matrix_hash, row_products

from bellwire.base.bits import Bits, PackedBits
from bellwire.bench.textbook import row_by_row_toeplitz
from bellwire.distill import additive, amplification
from bellwire.distill.amplification import amplify, seed_bits
from bellwire.distill.errors import DistillError, SeedLengthError


def draw(n: int, m: int, seed: int = 0) -> tuple[Bits, Bits]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, n, np.uint8), rng.integers(0, 2, seed_bits(n, m), np.uint8)


def hashed(key: Bits, seed: Bits, m: int) -> Bits:
    return amplify(PackedBits.of(key), PackedBits.of(seed), m).unpack()


@st.composite
def lengths(draw: st.DrawFn) -> tuple[int, int]:
    n = draw(st.integers(0, 200))
    return n, draw(st.integers(0, n))


@given(size=lengths(), seed=st.integers(0, 2**32))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_the_hash_is_the_product_with_the_explicit_matrix(size: tuple[int, int], seed: int) -> None:
    n, m = size
    key, bits = draw(n, m, seed)
    np.testing.assert_array_equal(hashed(key, bits, m), matrix_hash(key, bits, m))


@pytest.mark.parametrize("available", [False, True])
@pytest.mark.parametrize(("n", "m"), [(1 << 20, 700_000), (2_500_000, 1_750_001)])
def test_bits_of_long_keys_are_inner_products_on_every_processor(
    n: int, m: int, available: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(additive, "AVAILABLE", available and additive.AVAILABLE)
    key, seed = draw(n, m)
    y = hashed(key, seed, m)
    rows = [0, m // 3, m - 1]
    products = row_products(key[: n - m], seed, rows)
    expected = [p ^ int(key[n - m + i]) for i, p in zip(rows, products, strict=True)]
    assert [int(y[i]) for i in rows] == expected


def test_short_keys_do_not_wait_for_the_compiled_transform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(additive, "toeplitz")
    n = amplification.SMALL_BITS - 1
    assert hashed(*draw(n, 1000), 1000).size == 1000


def test_the_benchmarks_alternative_computes_the_same() -> None:
    key, seed = draw(501, 333)
    np.testing.assert_array_equal(row_by_row_toeplitz(key, seed, 333), hashed(key, seed, 333))


def test_two_keys_collide_no_more_often_than_a_two_universal_family_may() -> None:
    # Over all 2⁶ seeds of a 7 → 3 hash, a difference hashes to 0 for 2³ of them, or for none if
    # it lies in the last three bits alone.
    seeds = [np.array([s >> i & 1 for i in range(6)], np.uint8) for s in range(64)]
    for d in range(1, 128):
        difference = np.array([d >> i & 1 for i in range(7)], np.uint8)
        collisions = sum(not hashed(difference, seed, 3).any() for seed in seeds)
        assert collisions == (8 if difference[:4].any() else 0)


@pytest.mark.parametrize(("n", "m", "bits"), [(0, 0, 0), (5, 0, 0), (1, 1, 0), (100, 30, 99)])
def test_the_seed_has_n_minus_one_bits_or_none(n: int, m: int, bits: int) -> None:
    assert seed_bits(n, m) == bits
    assert hashed(*draw(n, m), m).shape == (m,)


@pytest.mark.parametrize("got", [0, 98, 100])
def test_a_seed_of_another_length_is_refused_with_both_numbers(got: int) -> None:
    with pytest.raises(SeedLengthError, match=f"99 bits, got {got}") as error:
        hashed(np.zeros(100, np.uint8), np.zeros(got, np.uint8), 30)
    assert isinstance(error.value, DistillError)
    assert (error.value.expected, error.value.got) == (99, got)


@pytest.mark.parametrize("m", [-1, 101])
def test_an_output_longer_than_the_key_is_refused(m: int) -> None:
    with pytest.raises(ValueError, match="0 to 100"):
        hashed(np.zeros(100, np.uint8), np.zeros(99, np.uint8), m)


def test_a_key_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amplification, "MAX_BITS", 99)
    with pytest.raises(ValueError, match="at most 99"):
        hashed(*draw(100, 10), 10)
