"""Toeplitz matrices times bit strings by the additive Fourier transform over GF(2⁶⁴).

One product of at most 2²¹ bits in all takes three transforms of half a megabyte, whatever its
size; longer keys and outputs are cut into square blocks whose transforms are shared, so a product
of n × m bits takes 2·(n + m)/2²⁰ of them. Exact: there is nothing to round.

Sources and the transform itself are in `bellwire.distill.kernels.additive`. The idea of using it
for products of binary polynomials: Chen, Cheng, Kuo, Li and Yang, arXiv:1803.11301 (2018).
"""

from functools import cache

import numpy as np

from bellwire.base.bits import PackedBits
from bellwire.distill.kernels import additive as kernels
from bellwire.distill.kernels.additive import PADDED, SIDE, SIZE, Words
from bellwire.distill.kernels.clmul import AVAILABLE

__all__ = ["AVAILABLE", "toeplitz"]

SINGLE = 32 * (SIZE - 2)
"""Bits of matrix (r + m − 1) that one product takes: a product's coefficients beyond 65535 are
folded down, and must stay below those that are read."""

BLOCK = 32 * (SIZE // 2 - 2)
"""Bits of a block's side when there are several; a multiple of 64, and 2·BLOCK fits SINGLE."""

_POLYNOMIAL = 1 << 64 | 0b11011


def toeplitz(key: PackedBits, seed: PackedBits, m: int) -> PackedBits:
    """y[i] = XOR over j of seed[r − 1 + i − j]·key[j].

    Args:
        key: r ≥ 1 bits. Secret.
        seed: r + m − 1 bits.
        m: Output bits, at least 1.
    """
    r = key.size
    y = np.zeros((m + 63) // 64, np.uint64)
    if r + m - 1 <= SINGLE:
        product = _transformed(key.words, 0, r)
        kernels.multiply(product, _transformed(seed.words, 0, seed.size))
        _untransformed(product, r - 1, m, y)
        return PackedBits(y, m)
    blocks, outputs = -(-r // BLOCK), -(-m // BLOCK)
    keys = [_transformed(key.words, b * BLOCK, min(BLOCK, r - b * BLOCK)) for b in range(blocks)]

    def stretch(d: int) -> Words:
        # Output block o meets key block b = o − d with the seed around bit r − 1 + d·BLOCK.
        return _transformed(seed.words, r - BLOCK + d * BLOCK, 2 * BLOCK - 1)

    window = {d: stretch(d) for d in range(1 - blocks, 0)}
    for o in range(outputs):
        window[o] = stretch(o)
        total = np.zeros(PADDED, np.uint64)
        for b in range(blocks):
            kernels.accumulate(total, keys[b], window[o - b])
        del window[o - blocks + 1]
        at = o * BLOCK // 64
        _untransformed(total, BLOCK - 1, min(BLOCK, m - o * BLOCK), y[at:])
    return PackedBits(y, m)


def _transformed(words: Words, start: int, count: int) -> Words:
    a = np.empty(PADDED, np.uint64)
    kernels.load(a, words, start, count)
    kernels.transform(a, *factors())
    return a


def _untransformed(a: Words, start: int, count: int, into: Words) -> None:
    kernels.inverse_transform(a, *factors())
    kernels.store(a, start, count, into)


@cache
def factors() -> tuple[Words, Words, Words]:
    """Factors of the levels: (256,) of block numbers, and two tables (8·256,) of columns.

    W is linear, W[t ⊕ u] = W[t] ⊕ W[u]. In the first eight levels all columns of a row have the
    same block number; in the second eight, where column j stands for the high byte, level l adds
    j·2^(7 − l) to it.
    """
    basis = cantor_basis(16)
    by_block: list[int] = [0]
    for v in basis[1:]:
        by_block += [w ^ v for w in by_block]
    columns = [by_block[j << (7 - level)] for level in range(8) for j in range(SIDE)]
    outer = np.zeros(8 * SIDE, np.uint64)
    return np.array(by_block[:SIDE], np.uint64), outer, np.array(columns, np.uint64)


def cantor_basis(count: int) -> list[int]:
    """v₀ = 1 and vᵢ₊₁ with vᵢ₊₁² + vᵢ₊₁ = vᵢ, of the two the one that elimination finds."""
    # y² + y is linear over GF(2): its matrix in echelon form, with what was added to get there.
    echelon: dict[int, tuple[int, int]] = {}

    def reduce(image: int, origin: int) -> tuple[int, int]:
        while image and (top := image.bit_length()) in echelon:
            image, origin = image ^ echelon[top][0], origin ^ echelon[top][1]
        return image, origin

    for i in range(64):
        image, origin = reduce(field_multiply(1 << i, 1 << i) ^ 1 << i, 1 << i)
        if image:
            echelon[image.bit_length()] = image, origin
    basis = [1]
    while len(basis) < count:
        basis.append(reduce(basis[-1], 0)[1])
    return basis


def field_multiply(x: int, y: int) -> int:
    """x·y in GF(2⁶⁴) modulo x⁶⁴ + x⁴ + x³ + x + 1, bit by bit."""
    product = 0
    while y:
        product ^= x * (y & 1)
        x <<= 1
        x ^= _POLYNOMIAL * (x >> 64)
        y >>= 1
    return product
