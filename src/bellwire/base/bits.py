"""Bit strings as arrays, their packed form on the wire, and the entropy of a bit.

A bit string is an (n,) uint8 array of 0 and 1. Packed, bit i is bit i mod 8 of byte i // 8
(little-endian bit order) and unused bits of the last byte are zero.
"""

import math

import numpy as np
from numpy.typing import NDArray

from bellwire.base.errors import UsageError

Bits = NDArray[np.uint8]


class PackedBitsError(UsageError):
    """Packed bits do not have the length, or the zero padding, that their bit count asks for."""


def pack(bits: Bits) -> bytes:
    """Pack (n,) uint8 of 0/1 into ceil(n / 8) bytes."""
    return np.packbits(bits, bitorder="little").tobytes()


def unpack(data: bytes, count: int) -> Bits:
    """Unpack exactly `count` bits.

    Raises:
        PackedBitsError: data is not ceil(count / 8) bytes, or padding bits are set.
    """
    if len(data) != (count + 7) // 8:
        raise PackedBitsError(
            f"expected {(count + 7) // 8} bytes for {count} bits, got {len(data)}"
        )
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    if bits[count:].any():
        raise PackedBitsError("expected zero padding after the last bit, got ones")
    return bits[:count]


def binary_entropy(p: float) -> float:
    """Entropy, in bits, of a bit that is one with probability p; ValueError outside [0, 1]."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"expected a probability in [0, 1], got {p}")
    if p in (0.0, 1.0):
        return 0.0
    return -p * math.log2(p) - (1.0 - p) * math.log2(1.0 - p)
