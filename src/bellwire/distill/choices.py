"""Choices of two or three kinds at the common slots: settings of a side, intensities of Alice.

They travel as coded planes of bits. Where bit 0 is set, bit 1 is not, and need not be said.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bellwire.base.bits import PackedBits
from bellwire.distill.announcements import decode_plane, deposit, encode_plane, select
from bellwire.distill.errors import MalformedMessage


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """One side's settings, or Alice's intensities, at the common slots; public once announced.

    Attributes:
        low: Bit 0 of each.
        high: Bit 1, of E91's three settings and of three intensities; never set together with bit
            0. Else None.
    """

    low: PackedBits
    high: PackedBits | None = None

    @classmethod
    def of(cls, numbers: NDArray[np.uint8], kinds: int) -> "Choices":
        """Pack (n,) numbers of two or three kinds, from 0."""
        low = PackedBits.of(numbers & np.uint8(1))
        return cls(low, PackedBits.of(numbers >> np.uint8(1)) if kinds > 2 else None)

    def equal(self, number: int) -> PackedBits:
        """Where this one was chosen."""
        if self.high is None:
            return self.low if number else ~self.low
        return (~(self.low | self.high), self.low, self.high)[number]

    def encoded(self) -> tuple[bytes, bytes]:
        """Both planes as they travel; the second empty where there are two kinds."""
        high = b"" if self.high is None else encode_plane(select(self.high, ~self.low))
        return encode_plane(self.low), high

    @classmethod
    def decode(cls, planes: tuple[bytes, bytes], size: int, kinds: int, what: str) -> "Choices":
        """Choices at `size` slots.

        Raises:
            MalformedMessage: the planes are not of so many choices, or of so many kinds.
        """
        low = decode_plane(planes[0], size, what)
        if kinds == 2:
            if planes[1]:
                raise MalformedMessage(f"{what}: expected one bit per slot, got two")
            return cls(low)
        rest = ~low
        said = decode_plane(planes[1], rest.count(), what)
        return cls(low, deposit(said, rest))
