"""Toeplitz matrices times bit strings by real Fourier transforms: the portable way.

The product is a convolution of integers, taken modulo 2, computed block by block: key blocks and
output blocks of L bits, transforms of N = 2L, and one stretch of 2L − 1 seed bits for each
difference of block numbers. Keys beyond 16 blocks of the largest L are taken in parts whose
outputs are added: the product is linear.

The result is exact, not approximate. The sums are integers, and a floating-point convolution of x
and y is wrong by at most about 13·log₂(N)·ε·‖x‖·‖y‖ with ε = 2⁻⁵³ (Brent, Percival and Zimmermann,
Math. Comp. 76 (2007)); for L = 2²⁰ and 16 blocks that is below 10⁻⁶. The margin is also checked:
a value further than 1/4 from an integer raises instead of giving a wrong key.

Memory: 32 bytes per key bit for the transforms, 40 in all, and no more than 0.8 GB for keys of any
length.
"""

import numpy as np
from numpy.typing import NDArray

from bellwire.base.bits import Bits, PackedBits

_ROUNDING_MARGIN = 0.25
_SMALLEST_BLOCK = 1 << 12
_LARGEST_BLOCK = 1 << 20
_BLOCKS = 16  # of a key; measured best, near enough, from 4·10⁵ to 10⁷ bits

Spectrum = NDArray[np.complex128]


def toeplitz(key: PackedBits, seed: PackedBits, m: int) -> PackedBits:
    """y[i] = XOR over j of seed[r − 1 + i − j]·key[j].

    Args:
        key: r ≥ 1 bits. Secret.
        seed: r + m − 1 bits.
        m: Output bits, at least 1.

    Raises:
        ArithmeticError: the rounding margin was not kept; never seen, and never a wrong result.
    """
    bits, seeds, r = key.unpack(), seed.unpack(), key.size
    length = min(_LARGEST_BLOCK, max(_SMALLEST_BLOCK, 1 << (r - 1).bit_length() >> 4))
    y = np.zeros(m, np.uint8)
    for at in range(0, r, _BLOCKS * length):
        part = bits[at : at + _BLOCKS * length]
        # Columns at … at + part.size − 1 of the matrix are a Toeplitz matrix of this stretch.
        start = r - at - part.size
        y ^= _convolve(part, seeds[start : start + part.size + m - 1], m, length)
    return PackedBits.of(y)


def _convolve(key: Bits, seed: Bits, m: int, length: int) -> Bits:
    """The hash by blocks of `length` bits."""
    n = key.size
    size = 2 * length
    blocks, outputs = -(-n // length), -(-m // length)
    # Zeros around the seed stand where only padding of the key or of the output would read.
    before = blocks * length - n
    padded = np.zeros(before + n + outputs * length, np.uint8)
    padded[before : before + seed.size] = seed
    keys = [_transform(key[at : at + length], size) for at in range(0, n, length)]

    def stretch(d: int) -> Spectrum:
        # Output block o meets key block b = o − d with the seed around bit n − 1 + d·L.
        start = (blocks - 1 + d) * length
        return _transform(padded[start : start + size - 1], size)

    window = {d: stretch(d) for d in range(1 - blocks, 0)}
    y = np.empty(outputs * length, np.uint8)
    for o in range(outputs):
        window[o] = stretch(o)
        total = keys[0] * window[o]
        for b in range(1, blocks):
            total += keys[b] * window[o - b]
        del window[o - blocks + 1]
        y[o * length : (o + 1) * length] = _parities(np.fft.irfft(total, size)[length - 1 : -1])
    return y[:m]


def _transform(bits: Bits, size: int) -> Spectrum:
    return np.fft.rfft(bits.astype(np.float64), size)


def _parities(sums: NDArray[np.float64]) -> Bits:
    """Parities of sums that ought to be integers."""
    rounded = np.rint(sums)
    if np.abs(sums - rounded).max() > _ROUNDING_MARGIN:
        raise ArithmeticError("a convolution sum is too far from an integer")
    return (rounded.astype(np.int64) & 1).astype(np.uint8)
