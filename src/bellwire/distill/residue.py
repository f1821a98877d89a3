"""The errors that hide from both passes of Cascade: random colours and masks find them.

Errors hide where every block of both passes holds an even number of them; a typical residue is one
or two pairs. Each position has one of 16 random colours, and 20 random masks hold each half of the
positions; their parities are announced with the opening and kept, as errors are found, as one
syndrome. Two hidden errors show in the colours unless they have the same one, and a non-zero
residue that is independent of the masks keeps all of them even with probability 2⁻²⁰.

A set (colour or mask) is searched by halving the whole key, counting its members only. That is
dear, log₂ n parities, so only half of the odd colours are searched at a time: with its partner
found, the other error of a pair makes its small interval of pass one odd, which is cheap.
"""

import numpy as np
from numpy.typing import NDArray

from bellwire.base.bits import Bits, pack
from bellwire.distill.kernels.cascade import Positions

COLOURS = 16
MASKS = 20
SETS = COLOURS + MASKS

_MEMBER_SCAN = 512  # intervals this short are looked through for members before asking a parity

SetNumbers = NDArray[np.uint64]


def _low_bits(words: NDArray[np.uint64]) -> Bits:
    return words.astype(np.uint8) & np.uint8(1)


class Residue:
    """Membership of every position, and our prefix parities of all sets at once.

    Bit s of a column says whether the position is in set s: colours first, then masks.

    Args:
        bits: (n,) uint8, the key in the common order. Secret.
        words: (n,) uint32, public and uniform: 4 bits choose the colour, 20 the masks.
    """

    __slots__ = ("columns", "n", "prefix", "syndrome")

    def __init__(self, bits: Bits, words: NDArray[np.uint32]) -> None:
        wide = words.astype(np.uint64)
        self.n = bits.size
        self.columns = (np.uint64(1) << (wide % np.uint64(COLOURS))) | (
            (wide >> np.uint64(32 - MASKS)) << np.uint64(COLOURS)
        )
        self.prefix = np.zeros(self.n + 1, np.uint64)
        np.bitwise_xor.accumulate(self.columns * bits, out=self.prefix[1:])
        self.syndrome = 0

    def opening(self) -> Bits:
        """Our parities of all sets but the last colour, which the key's own parity fixes."""
        sets = _low_bits(self.prefix[self.n] >> np.arange(SETS, dtype=np.uint64))
        return np.delete(sets, COLOURS - 1)

    def open(self, differs: Bits, total: Bits) -> None:
        """Take the two sides' differences of `opening`, and (1,) of the whole key's parity."""
        colours, masks = np.split(differs, [COLOURS - 1])
        last = total ^ np.bitwise_xor.reduce(colours, keepdims=True)
        self.syndrome = int.from_bytes(pack(np.concatenate([colours, last, masks])), "little")

    def correct(self, positions: Positions) -> None:
        """Account for errors found at common positions."""
        self.syndrome ^= int(np.bitwise_xor.reduce(self.columns[positions]))

    def next_sets(self) -> list[int]:
        """The sets to search now: half of the odd colours, else the first odd mask, else none."""
        odd = [s for s in range(SETS) if self.syndrome >> s & 1]
        colours = [s for s in odd if s < COLOURS]
        return colours[: (len(colours) + 1) // 2] or odd[:1]


class ResidueSearch:
    """Odd sets searched in step, each by halving the common order.

    Args:
        residue: The sets.
        sets: Which of them; disjoint.
        corrected: Common positions found so far, ascending.
    """

    __slots__ = ("_at", "_corrected", "_found", "_hi", "_lo", "_residue", "_sets")

    def __init__(self, residue: Residue, sets: list[int], corrected: NDArray[np.int64]) -> None:
        self._residue = residue
        self._sets: SetNumbers = np.array(sets, np.uint64)
        self._lo: Positions = np.zeros(len(sets), np.int32)
        self._hi: Positions = np.full(len(sets), residue.n, np.int32)
        self._at = corrected
        self._corrected = np.zeros(corrected.size + 1, np.uint64)
        np.bitwise_xor.accumulate(residue.columns[corrected], out=self._corrected[1:])
        self._found: list[Positions] = []
        self._sort_out()

    @property
    def open(self) -> int:
        """Searches that still ask for a parity."""
        return self._lo.size

    @property
    def found(self) -> Positions:
        """Common positions found to differ."""
        return np.concatenate(self._found)

    def parities(self) -> Bits:
        """Our parities of the members in the left halves."""
        prefix, mid = self._residue.prefix, (self._lo + self._hi) >> 1
        return _low_bits((prefix[self._lo] ^ prefix[mid]) >> self._sets)

    def narrow(self, differs: Bits) -> None:
        """Keep the odd half of each interval, given the differences of `parities`."""
        mid = (self._lo + self._hi) >> 1
        corrected = (
            self._corrected[np.searchsorted(self._at, self._lo)]
            ^ self._corrected[np.searchsorted(self._at, mid)]
        )
        left = differs ^ _low_bits(corrected >> self._sets)
        self._hi = np.where(left, mid, self._hi)
        self._lo = np.where(left, self._lo, mid)
        self._sort_out()

    def _sort_out(self) -> None:
        for i in range(self._lo.size):
            self._skip_empty_halves(i)
        done = self._hi - self._lo == 1
        if done.any():
            self._found.append(self._lo[done])
            self._lo, self._hi, self._sets = self._lo[~done], self._hi[~done], self._sets[~done]

    def _skip_empty_halves(self, i: int) -> None:
        """Drop halves of search i that hold no member: no parity is spent on them.

        An interval without any member is left as it is: only a lying peer can make it odd, and its
        search then costs parities, as every search must if it is to end.
        """
        lo, hi = int(self._lo[i]), int(self._hi[i])
        while 1 < hi - lo <= _MEMBER_SCAN:
            mid = (lo + hi) >> 1
            member = (self._residue.columns[lo:hi] >> self._sets[i]) & np.uint64(1)
            left, right = member[: mid - lo].any(), member[mid - lo :].any()
            if left == right:
                break
            lo, hi = (lo, mid) if left else (mid, hi)
        self._lo[i], self._hi[i] = lo, hi
