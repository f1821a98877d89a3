"""What the textbook says, in plain Python and plain NumPy: the named alternatives of `distill`.

They are right and they are slow; benchmarks compare with them, and tests check against them.
"""

import random
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np

from bellwire.base.bits import Bits


@dataclass(frozen=True, slots=True, repr=False)
class TextbookResult:
    """Outcome of `textbook_cascade`.

    Attributes:
        corrected: (n,) uint8, Bob's key with what was found flipped.
        leaked_bits: Parities that Alice announced.
    """

    corrected: Bits
    leaked_bits: int


def textbook_cascade(alice: Bits, bob: Bits, qber: float, *, seed: int) -> TextbookResult:
    """Cascade as published: four passes, blocks of 0.73/q doubling, binary search, backtracking.

    Args:
        alice: (n,) uint8 of 0/1.
        bob: (n,) uint8 of 0/1.
        qber: Estimated error rate, above 0.
        seed: Of the permutations.

    Source: Brassard and Salvail, "Secret-key reconciliation by public discussion",
    EUROCRYPT '93.
    """
    run = _Textbook(alice, bob)
    shuffler = random.Random(seed)  # noqa: S311 - public permutations of a benchmark
    size = max(2, round(0.73 / qber))
    for _ in range(4):
        order = list(range(alice.size))
        shuffler.shuffle(order)
        run.add_pass(order, min(size, max(alice.size, 1)))
        size *= 2
    return TextbookResult(np.array(run.bob, np.uint8), run.leaked)


class _Textbook:
    """Both sides in one place; only parities of Alice are counted as crossing the channel."""

    def __init__(self, alice: Bits, bob: Bits) -> None:
        self.alice: list[int] = alice.tolist()
        self.bob: list[int] = bob.tolist()
        self.leaked = 0
        self.blocks: list[list[int]] = []  # positions of each block, of all passes so far
        self.odd: list[bool] = []
        self.of: list[list[int]] = [[] for _ in self.alice]  # blocks that hold a position
        self.open: list[tuple[int, int]] = []  # (size, block), odd ones, smallest first

    def add_pass(self, order: list[int], size: int) -> None:
        for start in range(0, len(order), size):
            block = order[start : start + size]
            number = len(self.blocks)
            self.blocks.append(block)
            self.odd.append(self.differs(block))
            for p in block:
                self.of[p].append(number)
        self.open = [(len(b), i) for i, b in enumerate(self.blocks) if self.odd[i]]
        heapify(self.open)
        while self.open:
            _, number = heappop(self.open)
            if self.odd[number]:
                self.correct(self.search(self.blocks[number]))

    def differs(self, positions: list[int]) -> bool:
        self.leaked += 1
        ours = sum(self.alice[p] for p in positions)
        return (ours + sum(self.bob[p] for p in positions)) % 2 == 1

    def search(self, block: list[int]) -> int:
        while len(block) > 1:
            middle = len(block) // 2
            block = block[:middle] if self.differs(block[:middle]) else block[middle:]
        return block[0]

    def correct(self, p: int) -> None:
        self.bob[p] ^= 1
        for number in self.of[p]:
            self.odd[number] = not self.odd[number]
            if self.odd[number]:
                heappush(self.open, (len(self.blocks[number]), number))


def row_by_row_toeplitz(key: Bits, seed: Bits, m: int) -> Bits:
    """(T | 1) times the key, one output bit at a time; see `bellwire.distill.amplification`."""
    r = key.size - m
    backwards, hashed = seed[::-1], key[:r]
    rows = (backwards[m - 1 - i : m - 1 - i + r] for i in range(m))
    return key[r:] ^ np.array([np.bitwise_xor.reduce(row & hashed) for row in rows], np.uint8)
