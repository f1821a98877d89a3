"""Privacy amplification: shorten a reconciled key by a public random matrix over GF(2).

The matrix is (T | 1): a Toeplitz matrix beside the identity. With n key bits and m bits of output,

    y[i] = key[n − m + i] XOR over j < n − m of seed[n − m − 1 + i − j]·key[j],

so a seed of n − 1 bits does, where a Toeplitz matrix for the whole key would need n + m − 1. For
uniform seeds the family is 2-universal: two keys that differ in their first n − m bits collide with
probability 2⁻ᵐ, since T times a difference that is not zero is uniform; two that differ only behind
them never do. Sources: Krawczyk, CRYPTO '94 (Toeplitz); Hayashi and Tsurumaru, IEEE Trans. Inf.
Theory 62 (2016) (with the identity beside it); Tomamichel, Schaffner, Smith and Renner,
"Leftover hashing against quantum side information", IEEE Trans. Inf. Theory 57 (2011).

The product is computed by `bellwire.distill.additive` where the processor multiplies without
carries, and by `bellwire.distill.fourier` elsewhere, or for a key too short to be worth the
compilation of the former. Both are exact, so the two sides need not choose alike.
"""

import numpy as np

from bellwire.base.bits import PackedBits
from bellwire.base.limits import MAX_PULSES
from bellwire.distill import additive, fourier
from bellwire.distill.errors import SeedLengthError

MAX_BITS = MAX_PULSES
"""Longest key: a bit for every pulse of the longest block."""

SMALL_BITS = 1 << 20
"""Keys below this are hashed without the compiled transform, in 40 ms at most: compiling it takes
seconds, once on a machine."""


def seed_bits(n: int, m: int) -> int:
    """Bits of seed for hashing n bits to m: n − 1, and none when there is nothing to hash."""
    return n - 1 if 0 < m < n else 0


def amplify(key: PackedBits, seed: PackedBits, m: int) -> PackedBits:
    """Hash a key to m bits.

    Args:
        key: n bits, n up to `MAX_BITS`. Secret.
        seed: `seed_bits(n, m)` bits. Public, uniform, drawn after the quantum exchange.
        m: Output bits, 0 … n.

    Returns:
        m bits. Secret.

    Raises:
        SeedLengthError: the seed has another length.
        ValueError: m is not in 0 … n, or the key is too long.
        ArithmeticError: see `fourier.toeplitz`.
    """
    n = key.size
    if not 0 <= m <= n:
        raise ValueError(f"expected an output of 0 to {n} bits, got {m}")
    if n > MAX_BITS:
        raise ValueError(f"expected a key of at most {MAX_BITS} bits, got {n}")
    if seed.size != seed_bits(n, m):
        raise SeedLengthError(expected=seed_bits(n, m), got=seed.size)
    if m in {0, n}:
        return key.cut(0, m)
    toeplitz = additive.toeplitz if additive.AVAILABLE and n >= SMALL_BITS else fourier.toeplitz
    return toeplitz(key.cut(0, n - m), seed, m) ^ key.cut(n - m, m)


def warm(bits: int) -> None:
    """Have the transform compiled, or loaded from its cache, if keys of so many bits would use it.

    The first long block of a process would wait for it otherwise, and its peer with it.
    """
    if bits >= SMALL_BITS:
        key = PackedBits(np.zeros(SMALL_BITS // 64, np.uint64), SMALL_BITS)
        amplify(key, PackedBits(key.words, seed_bits(SMALL_BITS, 1)), 1)
