"""Toeplitz matrices times bits, both ways: equal to the explicit matrix, at any length."""

from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from tests.reference.toeplitz import matrix_product, row_products

from bellwire.base.bits import Bits, PackedBits
from bellwire.distill import additive, fourier
from bellwire.distill.additive import cantor_basis, factors, field_multiply
from bellwire.distill.kernels import additive as kernels
from bellwire.distill.kernels import clmul

ENGINES = [
    fourier,
    pytest.param(
        additive,
        marks=pytest.mark.skipif(not additive.AVAILABLE, reason="no carry-less multiply here"),
    ),
]
FIELD = 2**64


def draw(r: int, m: int, seed: int = 0) -> tuple[Bits, Bits]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, r, np.uint8), rng.integers(0, 2, r + m - 1, np.uint8)


def product(engine: ModuleType, key: Bits, seed: Bits, m: int) -> Bits:
    y: PackedBits = engine.toeplitz(PackedBits.of(key), PackedBits.of(seed), m)
    assert y.size == m
    bits = y.unpack()
    np.testing.assert_array_equal(PackedBits.of(bits).words, y.words)  # no bit behind the last
    return bits


@pytest.mark.parametrize("engine", ENGINES)
@given(r=st.integers(1, 200), m=st.integers(1, 200), seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_it_is_the_product_with_the_explicit_matrix(
    engine: ModuleType, r: int, m: int, seed: int
) -> None:
    key, bits = draw(r, m, seed)
    np.testing.assert_array_equal(product(engine, key, bits, m), matrix_product(key, bits, m))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("r", "m"),
    [
        (1, 65_537),
        (65_537, 1),
        (50_010, 99_991),
        (697_089, 1_400_000),  # the longest that one transform takes
        (697_090, 1_400_000),
        (1_048_513, 2_097_025),  # two blocks by three, both with one bit over
    ],
)
def test_rows_of_long_matrices_are_inner_products(engine: ModuleType, r: int, m: int) -> None:
    key, seed = draw(r, m)
    y = product(engine, key, seed, m)
    rows = [0, 63 % m, m // 3, m - 1]
    assert [int(y[i]) for i in rows] == row_products(key, seed, rows)


def test_the_longest_single_product_is_where_the_test_above_looks() -> None:
    assert additive.SINGLE == 697_089 + 1_400_000 - 1


@pytest.mark.parametrize("engine", ENGINES)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_the_product_is_linear(engine: ModuleType, seed: int) -> None:
    one, bits = draw(5000, 3000, seed)
    other, _ = draw(5000, 1, seed + 1)
    np.testing.assert_array_equal(
        product(engine, one ^ other, bits, 3000),
        product(engine, one, bits, 3000) ^ product(engine, other, bits, 3000),
    )


# -- real transforms ------------------------------------------------------------------------------


@given(
    r=st.integers(1, 200),
    m=st.integers(1, 200),
    length=st.sampled_from([2, 4, 16, 64, 256]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_cut_into_blocks_does_not_matter(r: int, m: int, length: int, seed: int) -> None:
    key, bits = draw(r, m, seed)
    np.testing.assert_array_equal(
        fourier._convolve(key, bits, m, length), matrix_product(key, bits, m)
    )


def test_keys_too_long_for_one_part_are_hashed_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fourier, "_SMALLEST_BLOCK", 16)
    monkeypatch.setattr(fourier, "_LARGEST_BLOCK", 16)
    key, seed = draw(1003, 777)  # four parts, the last one short
    np.testing.assert_array_equal(product(fourier, key, seed, 777), matrix_product(key, seed, 777))


def test_worst_case_sums_stay_within_the_rounding_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    # All ones give the largest sums there are; a thousandth of the margin must do.
    monkeypatch.setattr(fourier, "_ROUNDING_MARGIN", 2.0**-12)
    r = m = 1 << 20
    assert not product(fourier, np.ones(r, np.uint8), np.ones(r + m - 1, np.uint8), m).any()


def test_a_sum_far_from_an_integer_raises() -> None:
    with pytest.raises(ArithmeticError):
        fourier._parities(np.array([1.0, 2.3]))


# -- the additive transform -----------------------------------------------------------------------


def test_the_basis_solves_cantors_equation() -> None:
    basis = cantor_basis(16)
    assert basis[0] == 1
    for before, after in pairwise(basis):
        assert field_multiply(after, after) ^ after == before


@given(st.integers(1, FIELD - 1), st.integers(0, FIELD - 1), st.integers(0, FIELD - 1))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_the_field_is_a_field(x: int, y: int, z: int) -> None:
    assert field_multiply(x, y ^ z) == field_multiply(x, y) ^ field_multiply(x, z)
    assert field_multiply(x, field_multiply(y, z)) == field_multiply(field_multiply(x, y), z)
    assert power(x, FIELD - 1) == 1  # so every element but 0 has an inverse


def power(x: int, exponent: int) -> int:
    result = 1
    while exponent:
        if exponent & 1:
            result = field_multiply(result, x)
        x = field_multiply(x, x)
        exponent >>= 1
    return result


needs_multiply = pytest.mark.skipif(not additive.AVAILABLE, reason="no carry-less multiply here")


@needs_multiply
@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_eight_products_at_once_are_those_of_the_field(
    lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lanes > clmul.NATIVE:
        pytest.skip(f"this processor multiplies {clmul.NATIVE} words at a time")
    monkeypatch.setattr(clmul, "NATIVE", lanes)  # read when the function below is compiled

    def multiply(target: kernels.Words, factors: kernels.Words) -> None:
        clmul.multiply_into(target, factors, 0)

    work: Any = njit(multiply)
    rng = np.random.default_rng(lanes)
    x, y = rng.integers(0, FIELD, (2, 8), np.uint64, endpoint=False)
    x[:2], y[1:3] = FIELD - 1, FIELD - 1
    expected = [field_multiply(int(a), int(b)) for a, b in zip(x, y, strict=True)]
    work(x, y)
    assert x.tolist() == expected


@needs_multiply
def test_the_transform_gives_the_values_of_the_polynomial() -> None:
    rng = np.random.default_rng(1)
    places = [0, 1, 255, 256, 65_535, *map(int, rng.integers(0, 65_536, 12))]
    a = np.zeros(kernels.PADDED, np.uint64)
    a[places] = rng.integers(0, FIELD, len(places), np.uint64)
    coefficients = {k: int(a[k]) for k in places}
    kernels.transform(a, *factors())
    basis = cantor_basis(16)
    for number in [0, 1, 255, 256, 65_535, *map(int, rng.integers(0, 65_536, 12))]:
        point = 0
        for bit in range(16):
            point ^= basis[bit] * (number >> bit & 1)
        value = 0
        for k, c in coefficients.items():
            value ^= field_multiply(c, power(point, k))
        row, column = divmod(number, 256)
        assert int(a[256 * column + row]) == value  # it stays transposed


@needs_multiply
def test_the_inverse_undoes_the_transform_and_nothing_spills_behind() -> None:
    before = np.zeros(kernels.PADDED, np.uint64)
    before[: kernels.SIZE] = np.random.default_rng(2).integers(0, FIELD, kernels.SIZE, np.uint64)
    a = before.copy()
    kernels.transform(a, *factors())
    assert not a[kernels.SIZE :].any()
    kernels.inverse_transform(a, *factors())
    np.testing.assert_array_equal(a, before)


@given(
    size=st.integers(1, 500),
    start=st.integers(-300, 600),
    count=st.integers(1, 400),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_stretch_is_loaded_with_zeros_around_the_string(
    size: int, start: int, count: int, seed: int
) -> None:
    bits = np.random.default_rng(seed).integers(0, 2, size, np.uint8)
    a = np.full(kernels.PADDED, 7, np.uint64)
    kernels.load(a, PackedBits.of(bits).words, start, count)
    around = np.concatenate([np.zeros(300, np.uint8), bits, np.zeros(1000, np.uint8)])
    wanted = np.zeros(32 * ((count + 31) // 32), np.uint8)
    wanted[:count] = around[300 + start :][:count]
    words = PackedBits.of(wanted).words.view(np.uint32)[: len(wanted) // 32]
    np.testing.assert_array_equal(a[: words.size], words)
    assert not a[words.size :].any()
