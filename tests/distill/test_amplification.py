"""Toeplitz hashing: exact at any length, linear, two-universal, and particular about its seed."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.toeplitz import matrix_hash, row_hash

from bellwire.base.bits import Bits
from bellwire.bench.textbook import row_by_row_toeplitz
from bellwire.distill import amplification
from bellwire.distill.amplification import seed_bits, toeplitz_hash
from bellwire.distill.errors import DistillError, SeedLengthError


def draw(n: int, m: int, seed: int = 0) -> tuple[Bits, Bits]:
    rng = np.random.default_rng(seed)
    key: Bits = rng.integers(0, 2, n, np.uint8)
    return key, rng.integers(0, 2, seed_bits(n, m), np.uint8)


@st.composite
def lengths(draw: st.DrawFn) -> tuple[int, int]:
    n = draw(st.integers(0, 200))
    return n, draw(st.integers(0, n))


@given(size=lengths(), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_hash_is_the_product_with_the_explicit_matrix(size: tuple[int, int], seed: int) -> None:
    key, bits = draw(*size, seed)
    np.testing.assert_array_equal(
        toeplitz_hash(key, bits, size[1]), matrix_hash(key, bits, size[1])
    )


@given(size=lengths(), length=st.sampled_from([2, 4, 16, 64, 256]), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_cut_into_blocks_does_not_matter(size: tuple[int, int], length: int, seed: int) -> None:
    n, m = size[0] + 1, size[1] + 1
    key, bits = draw(n, m, seed)
    np.testing.assert_array_equal(
        amplification._convolve(key, bits, m, length), matrix_hash(key, bits, m)
    )


@pytest.mark.parametrize(
    ("n", "m"), [(4097, 4097), (65_537, 1), (150_001, 99_991), (400_000, 280_000)]
)
def test_rows_of_long_keys_equal_inner_products(n: int, m: int) -> None:
    key, seed = draw(n, m)
    y = toeplitz_hash(key, seed, m)
    rows = [0, m // 3, m - 1]
    assert y.shape == (m,)
    assert y.dtype == np.uint8
    assert [int(y[i]) for i in rows] == row_hash(key, seed, rows)


def test_keys_too_long_for_one_part_are_hashed_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amplification, "_SMALLEST_BLOCK", 16)
    monkeypatch.setattr(amplification, "_LARGEST_BLOCK", 16)
    key, seed = draw(1003, 777)  # four parts, the last one short
    np.testing.assert_array_equal(toeplitz_hash(key, seed, 777), matrix_hash(key, seed, 777))


def test_the_benchmarks_alternative_computes_the_same() -> None:
    key, seed = draw(501, 333)
    np.testing.assert_array_equal(
        row_by_row_toeplitz(key, seed, 333), toeplitz_hash(key, seed, 333)
    )


def test_worst_case_sums_stay_within_the_rounding_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    # All ones give the largest sums there are; a thousandth of the margin must do.
    monkeypatch.setattr(amplification, "_ROUNDING_MARGIN", 2.0**-12)
    n = m = 1 << 20
    y = toeplitz_hash(np.ones(n, np.uint8), np.ones(seed_bits(n, m), np.uint8), m)
    assert not y.any()


def test_a_sum_far_from_an_integer_raises() -> None:
    with pytest.raises(ArithmeticError):
        amplification._parities(np.array([1.0, 2.3]))


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_the_hash_is_linear(seed: int) -> None:
    one, bits = draw(5000, 3000, seed)
    other, _ = draw(5000, 0, seed + 1)
    np.testing.assert_array_equal(
        toeplitz_hash(one ^ other, bits, 3000),
        toeplitz_hash(one, bits, 3000) ^ toeplitz_hash(other, bits, 3000),
    )


def test_two_keys_collide_as_often_as_a_two_universal_family_allows() -> None:
    # Over all 2⁷ seeds of a 5 → 3 hash, any non-zero difference hashes to 0 exactly 2⁴ times.
    seeds = [np.array([s >> i & 1 for i in range(7)], np.uint8) for s in range(128)]
    for d in range(1, 32):
        difference = np.array([d >> i & 1 for i in range(5)], np.uint8)
        assert sum(not toeplitz_hash(difference, seed, 3).any() for seed in seeds) == 16


@pytest.mark.parametrize(("n", "m", "bits"), [(0, 0, 0), (5, 0, 0), (1, 1, 1), (100, 30, 129)])
def test_the_seed_has_n_plus_m_minus_one_bits_or_none(n: int, m: int, bits: int) -> None:
    assert seed_bits(n, m) == bits
    assert toeplitz_hash(*draw(n, m), m).shape == (m,)


@pytest.mark.parametrize("got", [0, 128, 130])
def test_a_seed_of_another_length_is_refused_with_both_numbers(got: int) -> None:
    with pytest.raises(SeedLengthError, match=f"129 bits, got {got}") as error:
        toeplitz_hash(np.zeros(100, np.uint8), np.zeros(got, np.uint8), 30)
    assert isinstance(error.value, DistillError)
    assert (error.value.expected, error.value.got) == (129, got)


@pytest.mark.parametrize("m", [-1, 101])
def test_an_output_longer_than_the_key_is_refused(m: int) -> None:
    with pytest.raises(ValueError, match="0 to 100"):
        toeplitz_hash(np.zeros(100, np.uint8), np.zeros(99 + abs(m), np.uint8), m)


def test_arrays_that_are_not_bits_are_refused() -> None:
    good = np.zeros(9, np.uint8)
    wrong: list[Any] = [good.reshape(3, 3), good + np.uint8(2), good.astype(np.int64)]
    for bad in wrong:
        with pytest.raises(ValueError, match="0 and 1"):
            toeplitz_hash(bad, np.zeros(9, np.uint8), 1)
        with pytest.raises(ValueError, match="0 and 1"):
            toeplitz_hash(good, bad, 1)


def test_a_key_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amplification, "MAX_BITS", 99)
    with pytest.raises(ValueError, match="at most 99"):
        toeplitz_hash(*draw(100, 10), 10)
