"""Privacy amplification: shorten a reconciled key by a Toeplitz matrix over GF(2).

y[i] = XOR over j of seed[n − 1 + i − j] · key[j], so row i of the matrix reads the seed backwards
from bit n − 1 + i. Uniform seeds make this family 2-universal: two different keys collide with
probability 2⁻ᵐ. Sources: Krawczyk, CRYPTO '94; Tomamichel, Schaffner, Smith and Renner, "Leftover
hashing against quantum side information", IEEE Trans. Inf. Theory 57 (2011).

The sum is a convolution of integers, taken modulo 2, computed with real FFTs block by block: key
blocks and output blocks of L bits, transforms of N = 2L, and one stretch of 2L − 1 seed bits for
each difference of block numbers. Keys beyond 16 blocks of the largest L are hashed in parts whose
outputs are added: the hash is linear.

The result is exact, not approximate. The sums are integers, and a floating-point convolution of x
and y is wrong by at most about 13·log₂(N)·ε·‖x‖·‖y‖ with ε = 2⁻⁵³ (Brent, Percival and Zimmermann,
Math. Comp. 76 (2007)); for L = 2²⁰ and 16 blocks that is below 10⁻⁶. The margin is also checked:
a value further than 1/4 from an integer raises instead of giving a wrong key.

Memory: 32 bytes per key bit for the transforms, 40 in all, and no more than 0.8 GB for keys of any
length.
"""

import numpy as np
from numpy.typing import NDArray

from bellwire.base.bits import Bits
from bellwire.base.limits import MAX_PULSES
from bellwire.distill.errors import SeedLengthError

MAX_BITS = MAX_PULSES
"""Longest key: a bit for every pulse of the longest block."""

_ROUNDING_MARGIN = 0.25
_SMALLEST_BLOCK = 1 << 12
_LARGEST_BLOCK = 1 << 20
_BLOCKS = 16  # of a key; measured best, near enough, from 4·10⁵ to 10⁷ bits

Spectrum = NDArray[np.complex128]


def seed_bits(n: int, m: int) -> int:
    """Bits of seed for hashing n bits to m: n + m − 1, and none when there is nothing to hash."""
    return n + m - 1 if n and m else 0


def toeplitz_hash(key: Bits, seed: Bits, m: int) -> Bits:
    """Hash a key to m bits.

    Args:
        key: (n,) uint8 of 0/1, n up to `MAX_BITS`. Secret.
        seed: (seed_bits(n, m),) uint8 of 0/1. Public, uniform, drawn after the quantum exchange.
        m: Output bits, 0 … n.

    Returns:
        (m,) uint8 of 0/1. Secret.

    Raises:
        SeedLengthError: the seed has another length.
        ValueError: m is not in 0 … n, the key is too long, or an array is not of bits.
        ArithmeticError: the rounding margin was not kept; never seen, and never a wrong result.
    """
    n = key.size
    if not 0 <= m <= n:
        raise ValueError(f"expected an output of 0 to {n} bits, got {m}")
    if n > MAX_BITS:
        raise ValueError(f"expected a key of at most {MAX_BITS} bits, got {n}")
    for bits in (key, seed):
        if bits.ndim != 1 or bits.dtype != np.uint8 or (bits.size and bits.max() > 1):
            raise ValueError("expected arrays of shape (n,), uint8 of 0 and 1")
    if seed.size != seed_bits(n, m):
        raise SeedLengthError(expected=seed_bits(n, m), got=seed.size)
    if m == 0:
        return np.zeros(0, np.uint8)
    length = min(_LARGEST_BLOCK, max(_SMALLEST_BLOCK, 1 << (n - 1).bit_length() >> 4))
    y = np.zeros(m, np.uint8)
    for at in range(0, n, _BLOCKS * length):
        part = key[at : at + _BLOCKS * length]
        # Columns at … at + part.size − 1 of the matrix are a Toeplitz matrix of this stretch.
        start = n - at - part.size
        y ^= _convolve(part, seed[start : start + part.size + m - 1], m, length)
    return y


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
