"""A pass of Cascade: the key in one order, cut into blocks, and every interval known since.

A pass answers for any interval of its order in O(1), by two prefix parities of the original bits,
and remembers every interval whose parity difference the transcript has fixed, so that an error
found anywhere makes the right small interval odd again.

Source: Brassard and Salvail, EUROCRYPT '93. On the choice of block sizes, Martinez-Mateo, Pacher,
Peev, Ciurana and Martin, "Demystifying the information reconciliation protocol Cascade", Quantum
Inf. Comput. 15 (2015); ours are measured, see `block_sizes`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bellwire.base.bits import Bits, binary_entropy
from bellwire.distill.kernels import cascade as kernels
from bellwire.distill.kernels.cascade import Positions

_LOWEST_QBER = 1e-4
_HIGHEST_QBER = 0.25


@dataclass(frozen=True, slots=True)
class BlockSizes:
    """Block sizes of the two passes; first = 1 announces every bit and needs nothing else."""

    first: int
    second: int


def block_sizes(n: int, qber: float, *, extra: int) -> BlockSizes:
    """Block sizes for n bits at an estimated error rate.

    Powers of two. The first keeps the errors per block, q·k1, at 0.7 … 1.4. Two errors that share
    a block in both passes hide from both; there are about q²·k1·k2/2 such pairs, whatever n is, and
    the second size keeps them at one or two. Twice that saves 0.6 % of the leak and costs twice the
    rounds (measured at 1 … 10 %). Only products are compared, so that both machines round alike.

    Where all this would announce as many parities as there are bits, every bit is announced.

    Args:
        n: Bits of the key.
        qber: Estimate; taken as 10⁻⁴ … 0.25.
        extra: Parities that are announced besides those of the passes.

    Raises:
        ValueError: qber is not in [0, 1].
    """
    if not 0.0 <= qber <= 1.0:
        raise ValueError(f"expected a QBER in [0, 1], got {qber}")
    q = min(max(qber, _LOWEST_QBER), _HIGHEST_QBER)
    if 1.05 * n * binary_entropy(q) + extra >= n:
        return BlockSizes(1, 1)
    first = second = 1
    while 2 * first * q <= 1.4:
        first *= 2
    while q * q * first * 2 * second <= 4.0:
        second *= 2
    return BlockSizes(first, second)


class Pass:
    """One order of the key.

    Args:
        bits: (n,) uint8, the key in the common order. Secret.
        block: Size of a block; the last one may be shorter.
        order: (n,) int32, common position of each position here; None for the common order.
    """

    __slots__ = ("_into", "_prefix", "block", "found", "n", "odd", "order", "splits")

    def __init__(self, bits: Bits, block: int, order: Positions | None = None) -> None:
        self.n = bits.size
        self.block = block
        self.order = order
        self._into = None if order is None else kernels.invert(order)
        self._prefix = np.zeros(self.n + 1, np.uint8)
        np.bitwise_xor.accumulate(bits if order is None else bits[order], out=self._prefix[1:])
        words = (self.n + 63) // 64
        self.splits = np.zeros(words, np.uint64)
        self.odd = np.zeros(words, np.uint64)
        self.found = np.zeros(words, np.uint64)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.n // self.block)

    @property
    def _starts(self) -> Positions:
        return np.arange(0, self.n, self.block, dtype=np.int32)

    def parities(self, lo: Positions, hi: Positions) -> Bits:
        """Our parities of the original bits in [lo, hi), positions of this order."""
        return self._prefix[lo] ^ self._prefix[hi]

    def opening(self) -> Bits:
        """Our parities of all blocks."""
        starts = self._starts
        return self.parities(starts, np.minimum(starts + self.block, self.n))

    def open(self, differs: Bits) -> None:
        """Take the two sides' differences of `opening`."""
        odd = np.zeros(64 * self.odd.size, np.uint8)
        odd[self._starts] = differs
        self.odd = np.packbits(odd, bitorder="little").view("<u8").astype(np.uint64)

    def correct(self, positions: Positions) -> bool:
        """Account for errors found at common positions; False if one was found before."""
        here = positions if self._into is None else self._into[positions]
        return kernels.correct(here, self.splits, self.odd, self.found, self.n, self.block)

    def found_positions(self) -> NDArray[np.int64]:
        """Positions of this order found to differ, ascending."""
        return np.flatnonzero(np.unpackbits(self.found.view(np.uint8), bitorder="little"))


class PassSearch:
    """All odd intervals of a pass, halved in step until each is one position."""

    __slots__ = ("_found", "_hi", "_lo", "_step")

    def __init__(self, step: Pass) -> None:
        self._step = step
        self._lo, self._hi = kernels.odd_intervals(step.splits, step.odd, step.n, step.block)
        self._found: list[Positions] = []
        self._sort_out()

    @property
    def open(self) -> int:
        """Intervals that still ask for a parity."""
        return self._lo.size

    @property
    def found(self) -> Positions:
        """Common positions found to differ."""
        here = np.concatenate(self._found) if self._found else np.zeros(0, np.int32)
        return here if self._step.order is None else self._step.order[here]

    def parities(self) -> Bits:
        """Our parities of the left halves."""
        return self._step.parities(self._lo, (self._lo + self._hi) >> 1)

    def narrow(self, differs: Bits) -> None:
        """Keep the odd half of each interval, given the differences of `parities`."""
        step = self._step
        kernels.narrow(self._lo, self._hi, differs, step.splits, step.odd, step.found)
        self._sort_out()

    def _sort_out(self) -> None:
        done = self._hi - self._lo == 1
        if done.any():
            self._found.append(self._lo[done])
            self._lo, self._hi = self._lo[~done], self._hi[~done]
