"""The additive Fourier transform of length 2¹⁶ over GF(2⁶⁴), and bits in and out of it.

Addition is XOR, so there are no roots of unity to speak of; what takes their place is a chain of
subspaces. With Cantor's basis v₀ = 1, vᵢ₊₁² + vᵢ₊₁ = vᵢ, the polynomials that vanish on the span Vᵢ
of the first i elements are s₁ = y² + y and sᵢ₊₁ = s₁(sᵢ), they are sparse at powers of two (s₈ =
y²⁵⁶ + y, s₁₆ = y⁶⁵⁵³⁶ + y), and sᵢ(vⱼ) = vⱼ₋ᵢ. A polynomial of degree below 2¹⁶, written in the
basis X_k = Π sᵢ^(bit i of k), is evaluated on all of V₁₆ by 16 levels of

    low += w·high,   high += low        with w = Σ vⱼ₊₁ over the bits j of the block's number

(Lin, Chung and Han, FOCS 2014); from powers of y it gets into that basis by Taylor expansions at
s₈, s₄, s₂ and s₁, which are XORs only (Gao and Mateer, IEEE Trans. Inf. Theory 56 (2010)).

The 65536 coefficients are 256 rows of 256. What works on the high byte of an index works on whole
rows, eight columns at a time; then the matrix is transposed and the same is done for the low byte.
It stays transposed: products are taken point by point, and the inverse starts from there.

Multiplying values multiplies polynomials modulo s₁₆, so coefficient 65536 + k of a product is
found at k + 1. Legend: a coefficients or values, W factors of the levels, t a block's number.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bellwire.distill.kernels.clmul import (
    LANES,
    add_into,
    butterfly,
    inverse_butterfly,
    multiply_add,
    multiply_into,
)

Words = NDArray[np.uint64]

SIDE = 256
SIZE = SIDE * SIDE
PADDED = SIZE + LANES
"""Length of the arrays: words that stay zero behind the coefficients spare `store` its ends."""

_U = np.uint64


@njit(cache=True, nogil=True)
def _add(a: Words, to: int, at: int, count: int) -> None:
    """a[to …] ^= a[at …], count words; the two stretches do not overlap."""
    whole = count - count % LANES
    for k in range(0, whole, LANES):
        add_into(a, to + k, at + k)
    for k in range(whole, count):
        a[to + k] ^= a[at + k]


@njit(cache=True, nogil=True)
def _expand(a: Words, start: int, terms: int, t: int, unit: int) -> None:
    """Taylor expansion at y^t + y of a polynomial of `terms` coefficients of `unit` words each.

    y^(n/2) = y^s·(y^t + y)^(n/2t) …: with n a power of two and s = n/2t, (y^t + y)^s is y^(n/2) +
    y^s, so the upper half, divided by it, leaves itself n/2 − s lower.
    """
    n = terms
    while n >= 2 * t:
        s = n // (2 * t)
        for block in range(start, start + terms * unit, n * unit):
            _add(a, block + (n // 2) * unit, block + (n - s) * unit, s * unit)
            _add(a, block + s * unit, block + (n // 2) * unit, (n // 2 - s) * unit)
        n //= 2


@njit(cache=True, nogil=True)
def _collect(a: Words, start: int, terms: int, t: int, unit: int) -> None:
    """Undoes `_expand`."""
    n = 2 * t
    while n <= terms:
        s = n // (2 * t)
        for block in range(start, start + terms * unit, n * unit):
            _add(a, block + s * unit, block + (n // 2) * unit, (n // 2 - s) * unit)
            _add(a, block + (n // 2) * unit, block + (n - s) * unit, s * unit)
        n *= 2


def _steps() -> NDArray[np.int64]:
    """Expansions (start, terms, t, unit) that bring polynomials of 256 rows into the basis.

    At s₄ first: 16 coefficients, each a polynomial of 16 rows; then each of these dimensions at s₂
    and s₁. A loop over a table, since every call written out would be compiled by itself.
    """
    steps = [(0, 256, 16, 1)]
    for start, unit in [(0, 16), *((16 * i, 1) for i in range(16))]:
        steps += [(start, 16, 4, unit), (start, 4, 2, 4 * unit)]
        steps += [(start + 4 * unit * j, 4, 2, unit) for j in range(4)]
    return np.array([(SIDE * start, terms, t, SIDE * unit) for start, terms, t, unit in steps])


_STEPS = _steps()


@njit(cache=True, nogil=True)
def _rows_to_basis(a: Words) -> None:
    """From powers to X_k, for polynomials of 256 coefficients in the column direction."""
    for i in range(_STEPS.shape[0]):
        start, terms, t, unit = _STEPS[i]
        _expand(a, start, terms, t, unit)


@njit(cache=True, nogil=True)
def _rows_to_powers(a: Words) -> None:
    """Undoes `_rows_to_basis`."""
    for i in range(_STEPS.shape[0] - 1, -1, -1):
        start, terms, t, unit = _STEPS[i]
        _collect(a, start, terms, t, unit)


@njit(cache=True, nogil=True)
def _transpose(a: Words) -> None:
    """Transpose the 256 × 256 matrix in place, by tiles that fit the cache."""
    for i in range(0, SIDE, LANES):
        for j in range(i, SIDE, LANES):
            for r in range(i, i + LANES):
                for c in range(max(j, r + 1), j + LANES):
                    x, y = SIDE * r + c, SIDE * c + r
                    a[x], a[y] = a[y], a[x]


@njit(cache=True, nogil=True)
def _levels(a: Words, W: Words, columns: Words) -> None:
    """Eight levels on the rows; columns[l] holds each column's share of level l's factors."""
    for level in range(7, -1, -1):
        half = SIDE << level
        for t in range(128 >> level):
            first = 2 * t * half
            for at in range(first, first + half, LANES):
                butterfly(a, at, at + half, columns, SIDE * level + (at & (SIDE - 1)), W[t])


@njit(cache=True, nogil=True)
def _inverse_levels(a: Words, W: Words, columns: Words) -> None:
    """Undoes `_levels`."""
    for level in range(8):
        half = SIDE << level
        for t in range(128 >> level):
            first = 2 * t * half
            for at in range(first, first + half, LANES):
                inverse_butterfly(a, at, at + half, columns, SIDE * level + (at & (SIDE - 1)), W[t])


@njit(cache=True, nogil=True)
def transform(a: Words, W: Words, outer: Words, inner: Words) -> None:
    """Values on V₁₆, in transposed order, of the polynomial with the coefficients a; in place.

    Args:
        a: (PADDED,) uint64.
        W: (256,) uint64, factors by block number.
        outer: (8·256,) uint64, what columns add to them in the first eight levels.
        inner: The same for the second eight; all three from `bellwire.distill.additive`.
    """
    _expand(a, 0, SIZE, SIDE, 1)
    _rows_to_basis(a)
    _levels(a, W, outer)
    _transpose(a)
    _rows_to_basis(a)
    _levels(a, W, inner)


@njit(cache=True, nogil=True)
def inverse_transform(a: Words, W: Words, outer: Words, inner: Words) -> None:
    """Undoes `transform`."""
    _inverse_levels(a, W, inner)
    _rows_to_powers(a)
    _transpose(a)
    _inverse_levels(a, W, outer)
    _rows_to_powers(a)
    _collect(a, 0, SIZE, SIDE, 1)


@njit(cache=True, nogil=True)
def multiply(a: Words, b: Words) -> None:
    """Multiply a by b, point by point."""
    for at in range(0, SIZE, LANES):
        multiply_into(a, b, at)


@njit(cache=True, nogil=True)
def accumulate(total: Words, a: Words, b: Words) -> None:
    """Add a·b to total, point by point."""
    for at in range(0, SIZE, LANES):
        multiply_add(total, a, b, at)


@njit(cache=True, nogil=True)
def load(a: Words, words: Words, start: int, count: int) -> None:
    """Bits start … start + count − 1 of a packed string as coefficients of 32 bits, then zeros.

    Bits before the string and behind it are zero; 32·65536 bits fit at most. Two elements of 32
    bits multiply to one of degree 62: the field's reduction never comes in.
    """
    full = (count + 31) // 32
    for k in range(full):
        p = start + 32 * k
        w, shift = p >> 6, p & 63
        value = _U(0)
        if 0 <= w < words.size:
            value = words[w] >> _U(shift)
        if shift > 32 and 0 <= w + 1 < words.size:
            value |= words[w + 1] << _U(64 - shift)
        a[k] = value & _U(0xFFFFFFFF)
    if count & 31:
        a[full - 1] &= (_U(1) << _U(count & 31)) - _U(1)
    a[full:] = _U(0)


@njit(cache=True, nogil=True)
def store(a: Words, start: int, count: int, words: Words) -> None:
    """Bits start … start + count − 1 of Σ a[k]·2^(32k), sums being XOR, into packed words."""
    low, half = _U(0xFFFFFFFF), _U(32)
    shift, back = _U(start & 31), _U(64 - (start & 31)) & _U(63)
    # The bits that a shift by zero leaves to take from the next word.
    taken = ~_U(0) if start & 31 else _U(0)
    k = start >> 5
    above = a[k - 1] >> half if k else _U(0)
    current = (a[k] & low) ^ above
    for i in range((count + 63) // 64):
        one, two = a[k + 1], a[k + 2]
        word = current | ((one ^ (a[k] >> half)) << half)
        current = (two & low) ^ (one >> half)
        words[i] = (word >> shift) | ((current << back) & taken)
        k += 2
    if count & 63:
        words[(count - 1) >> 6] &= (_U(1) << _U(count & 63)) - _U(1)
