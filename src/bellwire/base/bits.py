"""Bit strings as arrays, their packed form on the wire, and the entropy of a bit.

A bit string is an (n,) uint8 array of 0 and 1. Packed, bit i is bit i mod 8 of byte i // 8
(little-endian bit order) and unused bits of the last byte are zero.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bellwire.base.errors import UsageError

Bits = NDArray[np.uint8]
Words = NDArray[np.uint64]


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
    _check_packed(data, count)
    return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little", count=count)


def _check_packed(data: bytes, count: int) -> None:
    if len(data) != (count + 7) // 8:
        raise PackedBitsError(
            f"expected {(count + 7) // 8} bytes for {count} bits, got {len(data)}"
        )
    if count % 8 and data[-1] >> count % 8:
        raise PackedBitsError("expected zero padding after the last bit, got ones")


@dataclass(frozen=True, slots=True, eq=False)
class PackedBits:
    """A bit string in words: bit i is bit i mod 64 of word i // 64, and the rest of the last is 0.

    Attributes:
        words: (ceil(size / 64),) uint64. May be secret: it is not shown.
        size: Bits.
    """

    words: Words
    size: int

    @classmethod
    def of(cls, bits: Bits) -> "PackedBits":
        """Pack (n,) uint8 of 0/1."""
        return cls._padded(np.packbits(bits, bitorder="little").tobytes(), bits.size)

    @classmethod
    def from_bytes(cls, data: bytes, count: int) -> "PackedBits":
        """Take exactly `count` packed bits.

        Raises:
            PackedBitsError: data is not ceil(count / 8) bytes, or padding bits are set.
        """
        _check_packed(data, count)
        return cls._padded(data, count)

    @classmethod
    def _padded(cls, data: bytes, count: int) -> "PackedBits":
        whole = bytearray((count + 63) // 64 * 8)
        whole[: len(data)] = data
        return cls(np.frombuffer(whole, "<u8").astype(np.uint64, copy=False), count)

    def __repr__(self) -> str:
        return f"PackedBits({self.size} bits)"

    def to_bytes(self) -> bytes:
        """The packed form of this module, in ceil(size / 8) bytes."""
        octets = self.words.astype("<u8", copy=False).view(np.uint8)
        return octets[: (self.size + 7) // 8].tobytes()

    def unpack(self) -> Bits:
        """(size,) uint8 of 0/1."""
        octets = self.words.astype("<u8", copy=False).view(np.uint8)
        return np.unpackbits(octets, bitorder="little", count=self.size)

    @classmethod
    def zeros(cls, size: int) -> "PackedBits":
        """So many zeros."""
        return cls(np.zeros((size + 63) // 64, np.uint64), size)

    @classmethod
    def join(cls, parts: Sequence["PackedBits"]) -> "PackedBits":
        """The parts, one after the other."""
        size = sum(part.size for part in parts)
        words = np.zeros((size + 63) // 64 + 1, np.uint64)
        at = 0
        for part in parts:
            first, shift = divmod(at, 64)
            held = words[first : first + part.words.size + 1]
            held[: part.words.size] |= part.words << np.uint64(shift)
            if shift:
                held[1:] |= part.words[: held.size - 1] >> np.uint64(64 - shift)
            at += part.size
        return cls(words[:-1], size)

    def cut(self, start: int, count: int) -> "PackedBits":
        """Bits start … start + count − 1.

        Raises:
            ValueError: there are not so many.
        """
        if not 0 <= start <= start + count <= self.size:
            raise ValueError(f"expected bits among {self.size}, got {count} from {start}")
        first, shift = divmod(start, 64)
        length = (count + 63) // 64
        words = np.zeros(length, np.uint64)
        held = self.words[first : first + length]
        words[: held.size] = held >> np.uint64(shift)
        if shift:
            above = self.words[first + 1 : first + 1 + length]
            words[: above.size] |= above << np.uint64(64 - shift)
        return PackedBits(words, count)._masked()

    def __and__(self, other: "PackedBits") -> "PackedBits":
        return PackedBits(self.words & self._alike(other), self.size)

    def __or__(self, other: "PackedBits") -> "PackedBits":
        return PackedBits(self.words | self._alike(other), self.size)

    def __xor__(self, other: "PackedBits") -> "PackedBits":
        return PackedBits(self.words ^ self._alike(other), self.size)

    def __invert__(self) -> "PackedBits":
        return PackedBits(~self.words, self.size)._masked()

    def count(self) -> int:
        """How many ones there are."""
        return int(np.bitwise_count(self.words).sum())

    def _alike(self, other: "PackedBits") -> Words:
        if other.size != self.size:
            raise ValueError(f"expected {self.size} bits, got {other.size}")
        return other.words

    def _masked(self) -> "PackedBits":
        """With the unused bits of the last word cleared, in place; only for words of our own."""
        if self.size % 64:
            self.words[-1] &= np.uint64((1 << self.size % 64) - 1)
        return self


def binary_entropy(p: float) -> float:
    """Entropy, in bits, of a bit that is one with probability p; ValueError outside [0, 1]."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"expected a probability in [0, 1], got {p}")
    if p in (0.0, 1.0):
        return 0.0
    return -p * math.log2(p) - (1.0 - p) * math.log2(1.0 - p)
