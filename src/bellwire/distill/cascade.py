"""Reconciliation by Cascade, in a symmetric form that needs no questions.

Both sides announce, in the same round, the parities of the same public list of intervals of their
own *original* bits. What differs is then public, so the list for the next round, and every position
found to differ, are a pure function of the public transcript, run identically by both. Only the
side that corrects (Bob) flips bits, and only at the end.

Order of work, after a public random permutation of the key (errors come in bursts):

1. Pass one in that order, blocks of k1; pass two in a second random order, blocks of k2. Each odd
   block is halved until one position is left. A position found in one pass makes intervals of the
   other odd, and these are searched next: all odd intervals of one pass in one batch, pass one
   first.
2. Every position has one of 16 random colours. When both passes are even, half of the odd colours
   (rounded up) are searched by halving the whole key; what they find usually lets pass one find
   its partner, which is much cheaper than searching its colour as well.
3. 20 random masks, each half of the positions, catch what is left: 20 even masks let a non-zero
   residue pass with probability 2⁻²⁰.

All parities that need no answer (blocks, colours, masks) are in the opening message. Parities of
original bits over any interval are differences of two prefix parities, so answering is O(1).

Source: Brassard and Salvail, EUROCRYPT '93; block sizes after Martinez-Mateo et al., "Demystifying
the information reconciliation protocol Cascade", Quantum Inf. Comput. 15 (2015). Since both sides'
parities are public, a key-rate proof must allow two-way announcements (Tupkary and Lütkenhaus,
"Using Cascade in quantum key distribution", 2023).

Memory: about 40 bytes per key bit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bellwire.base.bits import Bits, PackedBitsError, binary_entropy, pack, unpack
from bellwire.crypto.stream import KeyStream
from bellwire.distill.errors import MalformedMessage, ReconciliationFailed, ReconciliationFailure
from bellwire.distill.kernels import cascade as kernels

MAX_BITS = 1 << 26
"""Longest key of one engine; positions are int32 and memory is 40 bytes per bit."""

COLOURS = 16
MASKS = 20

_FIRST_COLOUR = 1
_FIRST_MASK = _FIRST_COLOUR + COLOURS
_SETS = COLOURS + MASKS
_MEMBER_SCAN = 256  # halves this short are looked through for members before a parity is spent
_LOWEST_QBER = 1e-4
_HIGHEST_QBER = 0.25

Positions = kernels.Positions
Words = kernels.Words


@dataclass(frozen=True, slots=True)
class CascadeBudget:
    """What a block may cost before it is given up.

    Attributes:
        max_leaked_bits: Parities of one side.
        max_rounds: Messages of one side.
    """

    max_leaked_bits: int
    max_rounds: int


@dataclass(frozen=True, slots=True)
class BlockSizes:
    """Block sizes of the two passes; first = 1 announces every bit and needs nothing else."""

    first: int
    second: int


def block_sizes(n: int, qber: float) -> BlockSizes:
    """Block sizes for n bits at an estimated error rate.

    Powers of two. The first keeps the errors per block, q·k1, at 0.7 … 1.4. Two errors that share
    a block in both passes hide from both; there are about q²·k1·k2/2 such pairs, whatever n is, and
    the second size keeps them at one or two. Twice that saves 0.6 % of the leak and costs twice the
    rounds (measured at 1 … 10 %). Where that would announce as many parities as there are bits,
    every bit is announced. Only products are compared, so that both machines round alike.

    Raises:
        ValueError: qber is not in [0, 1].
    """
    if not 0.0 <= qber <= 1.0:
        raise ValueError(f"expected a QBER in [0, 1], got {qber}")
    q = min(max(qber, _LOWEST_QBER), _HIGHEST_QBER)
    if 1.05 * n * binary_entropy(q) + _SETS >= n:
        return BlockSizes(1, 1)
    first = second = 1
    while 2 * first * q <= 1.4:
        first *= 2
    while q * q * first * 2 * second <= 4.0:
        second *= 2
    return BlockSizes(first, second)


def _low_bits(words: NDArray[np.unsignedinteger]) -> Bits:
    return words.astype(np.uint8) & np.uint8(1)


class _Pass:
    """One order of the key: prefix parities of our bits, and the intervals known so far."""

    __slots__ = ("block", "found", "n", "odd", "prefix", "splits")

    def __init__(self, prefix: NDArray[np.unsignedinteger], block: int) -> None:
        self.prefix = prefix
        self.block = block
        self.n = prefix.size - 1
        words = (self.n + 63) // 64
        self.splits = np.zeros(words, np.uint64)
        self.odd = np.zeros(words, np.uint64)
        self.found = np.zeros(words, np.uint64)

    @property
    def starts(self) -> Positions:
        return np.arange(0, self.n, self.block, dtype=np.int32)

    def parities(self, lo: Positions, hi: Positions) -> Bits:
        return _low_bits(self.prefix[lo] ^ self.prefix[hi])

    def open(self, differs: Bits) -> None:
        """Take the parity differences of all blocks."""
        odd = np.zeros(64 * self.odd.size, np.uint8)
        odd[self.starts] = differs
        self.odd = np.packbits(odd, bitorder="little").view("<u8").astype(np.uint64)


class Cascade:
    """One side's engine; see the module for the protocol.

    Args:
        key: (n,) uint8 of 0/1, n up to `MAX_BITS`. Secret. Not changed.
        qber: Public estimate, the same float on both sides; it only sets block sizes.
        public_seed: 32 public bytes, the same on both sides, drawn after the quantum exchange, so
            that permutations, colours and masks are independent of the errors.
        corrects: True for the one side that flips its bits (Bob).
        budget: The same on both sides, so that both give up in the same round.

    Raises:
        ValueError: the key is not a bit string of a possible length, qber is no probability, or
            the seed is not 32 bytes.
    """

    def __init__(
        self, key: Bits, qber: float, public_seed: bytes, *, corrects: bool, budget: CascadeBudget
    ) -> None:
        n = key.size
        if key.shape != (n,) or key.dtype != np.uint8 or (n and key.max() > 1):
            raise ValueError("expected a key of shape (n,), uint8 of 0 and 1")
        if n > MAX_BITS:
            raise ValueError(f"expected at most {MAX_BITS} bits, got {n}")
        self._key = key.copy()
        self._corrects = corrects
        self._budget = budget
        self._leaked = 0
        self._rounds = 0
        self._finished = False
        self._failure: ReconciliationFailed | None = None
        self._ours = np.zeros(0, np.uint8)
        self._errors = 0
        self._syndrome = 0
        self._opened = False
        self._reset_batch()
        self._prepare(block_sizes(n, qber), public_seed)

    def __repr__(self) -> str:
        return f"Cascade({self._key.size} bits, round {self._rounds}, {self._leaked} leaked)"

    @property
    def leaked_bits(self) -> int:
        """Parities announced so far by one side, but never more than there are key bits.

        Parities that earlier ones fix (the second half of an interval, the last block of pass two,
        the last colour) are not announced and not counted. n bits have no more than n linearly
        independent parities.
        """
        return min(self._leaked, self._key.size)

    @property
    def rounds(self) -> int:
        """Messages of one side so far; each costs one one-way latency."""
        return self._rounds

    @property
    def finished(self) -> bool:
        """True once both sides have nothing left to ask."""
        return self._finished

    @property
    def errors(self) -> int:
        """Positions found to differ so far; public."""
        return self._errors

    @property
    def corrected(self) -> Bits:
        """(n,) uint8: the key, with the differing bits flipped on the side that corrects. Secret.

        Raises:
            ValueError: reconciliation has not finished.
        """
        if not self._finished:
            raise ValueError("reconciliation has not finished")
        corrected = self._key.copy()
        if self._corrects:
            found = np.unpackbits(
                self._passes[0].found.view(np.uint8), count=corrected.size, bitorder="little"
            )
            corrected[self._order] ^= found
        return corrected

    def first(self) -> bytes:
        """The opening message: parities of all blocks, colours and masks, packed.

        Raises:
            ReconciliationFailed: the opening alone exceeds the budget.
            ValueError: the opening was sent already.
        """
        if self._rounds or self._failure:
            raise ValueError("the opening message was made already")
        return self._announce(self._opening)

    def receive(self, message: bytes) -> bytes | None:
        """Take the peer's message of this round; give ours of the next, or None when finished.

        Raises:
            MalformedMessage: the message has not the length or padding that this round asks for,
                or comes after the end.
            ReconciliationFailed: a budget is spent, or the parities contradict each other; the
                peer, if honest, fails in the same round for the same reason.
            ValueError: our own opening message was not made yet.
        """
        if self._failure:
            raise self._failure
        if not self._rounds:
            raise ValueError("make the opening message first")
        if self._finished:
            raise MalformedMessage("expected nothing after the last round, got a message")
        try:
            theirs = unpack(message, self._ours.size)
        except PackedBitsError as error:
            raise MalformedMessage(f"parities of round {self._rounds}: {error}") from error
        differs = self._ours ^ theirs
        if self._opened:
            self._narrow(differs)
        else:
            self._open(differs)
        while not self._lo.size:
            if not self._settle():
                self._finished = True
                return None
        return self._announce(self._answers())

    # --- what both sides derive from the seed, and our own parities

    def _prepare(self, sizes: BlockSizes, seed: bytes) -> None:
        n = self._key.size
        self._order = kernels.shuffle(KeyStream(seed, "cascade order 1").words(0, n))
        bits = self._key[self._order]
        if sizes.first == 1:
            prefix = np.zeros(n + 1, np.uint8)
            np.bitwise_xor.accumulate(bits, out=prefix[1:])
            self._passes = [_Pass(prefix, 1)]
            self._opening = bits
            return
        # Bit 0 of a column is always set, bit 1 + colour marks the colour, the rest are masks; one
        # prefix XOR then holds the prefix parities of pass one, of all colours and of all masks.
        words = KeyStream(seed, "cascade columns").words(0, n).astype(np.uint64)
        self._columns = (
            np.uint64(1)
            | (np.uint64(1 << _FIRST_COLOUR) << (words % np.uint64(COLOURS)))
            | ((words >> np.uint64(12)) << np.uint64(_FIRST_MASK))
        )
        prefix = np.zeros(n + 1, np.uint64)
        np.bitwise_xor.accumulate(self._columns * bits, out=prefix[1:])
        self._second = kernels.shuffle(KeyStream(seed, "cascade order 2").words(0, n))
        self._into_second = kernels.invert(self._second)
        second_prefix = np.zeros(n + 1, np.uint8)
        np.bitwise_xor.accumulate(bits[self._second], out=second_prefix[1:])
        self._passes = [_Pass(prefix, sizes.first), _Pass(second_prefix, sizes.second)]
        parts = []
        for step in self._passes:
            starts = step.starts
            parts.append(step.parities(starts, np.minimum(starts + step.block, n)))
        sets = _low_bits(prefix[n] >> np.arange(_FIRST_COLOUR, 1 + _SETS, dtype=np.uint64))
        # The total is the XOR of pass one, so the last block and the last colour need no telling.
        parts = [parts[0], parts[1][:-1], np.delete(sets, COLOURS - 1)]
        self._opening = np.concatenate(parts)

    def _open(self, differs: Bits) -> None:
        """Take the differences of the opening parities."""
        self._opened = True
        first = self._passes[0]
        blocks = first.starts.size
        first.open(differs[:blocks])
        if len(self._passes) == 1:
            return
        total = np.bitwise_xor.reduce(differs[:blocks], keepdims=True)
        second = self._passes[1]
        more = blocks + second.starts.size - 1
        rest = differs[blocks:more]
        second.open(np.concatenate([rest, total ^ np.bitwise_xor.reduce(rest, keepdims=True)]))
        colours = differs[more : more + COLOURS - 1]
        masks = differs[more + COLOURS - 1 :]
        last = total ^ np.bitwise_xor.reduce(colours, keepdims=True)
        sets = np.concatenate([colours, last, masks])
        self._syndrome = int.from_bytes(pack(sets), "little") << _FIRST_COLOUR

    # --- batches: some odd intervals are halved until each is one position

    def _reset_batch(self) -> None:
        self._lo: Positions = np.zeros(0, np.int32)
        self._hi: Positions = np.zeros(0, np.int32)
        self._sets: NDArray[np.uint64] | None = None  # per search; None for a batch of a pass
        self._pass = 0
        self._found: list[Positions] = []

    def _settle(self) -> bool:
        """Apply what the finished batch found and begin the next; False if all is even."""
        self._apply()
        for at, step in enumerate(self._passes):
            lo, hi = kernels.odd_intervals(step.splits, step.odd, step.n, step.block)
            if lo.size:
                self._begin(at, lo, hi, None)
                return True
        odd = [b for b in range(_FIRST_COLOUR, _FIRST_MASK) if self._syndrome >> b & 1]
        if odd:
            chosen = odd[: (len(odd) + 1) // 2]
        else:
            chosen = [b for b in range(_FIRST_MASK, 1 + _SETS) if self._syndrome >> b & 1][:1]
        if not chosen:
            return False
        lo = np.zeros(len(chosen), np.int32)
        self._begin(0, lo, lo + np.int32(self._key.size), np.array(chosen, np.uint64))
        return True

    def _begin(
        self, at: int, lo: Positions, hi: Positions, sets: NDArray[np.uint64] | None
    ) -> None:
        self._pass, self._lo, self._hi, self._sets = at, lo, hi, sets
        if sets is not None:
            found = np.unpackbits(self._passes[0].found.view(np.uint8), bitorder="little")
            self._found_sorted = np.flatnonzero(found)
            self._found_prefix = np.zeros(self._found_sorted.size + 1, np.uint64)
            np.bitwise_xor.accumulate(self._columns[self._found_sorted], out=self._found_prefix[1:])
        self._sort_out()

    def _narrow(self, differs: Bits) -> None:
        """Keep the odd half of every interval, given how the left halves' parities differ."""
        if self._sets is None:
            step = self._passes[self._pass]
            kernels.narrow(self._lo, self._hi, differs, step.splits, step.odd, step.found)
        else:
            mid = (self._lo + self._hi) >> 1
            left = differs ^ self._found_parities(self._lo, mid, self._sets)
            self._hi = np.where(left, mid, self._hi)
            self._lo = np.where(left, self._lo, mid)
        self._sort_out()

    def _found_parities(self, lo: Positions, hi: Positions, sets: NDArray[np.uint64]) -> Bits:
        """Parities of the positions found so far, per interval and set."""
        prefix, at = self._found_prefix, self._found_sorted
        both = prefix[np.searchsorted(at, lo)] ^ prefix[np.searchsorted(at, hi)]
        return _low_bits(both >> sets)

    def _sort_out(self) -> None:
        """Move searches that are down to one position from the batch to the finds."""
        if self._sets is not None:
            for i in range(self._lo.size):
                self._lo[i], self._hi[i] = self._members(int(self._sets[i]), i)
        done = self._hi - self._lo == 1
        if done.any():
            self._found.append(self._lo[done])
            self._lo, self._hi = self._lo[~done], self._hi[~done]
            if self._sets is not None:
                self._sets = self._sets[~done]

    def _members(self, bit: int, i: int) -> tuple[int, int]:
        """Drop halves of search i that hold no member of the set: no parity is spent on them.

        A set without any member is left as it is; only a lying peer can make it odd, and its
        search then costs parities until the budget ends it.
        """
        lo, hi = int(self._lo[i]), int(self._hi[i])
        while 1 < hi - lo <= 2 * _MEMBER_SCAN:
            mid = (lo + hi) >> 1
            member = (self._columns[lo:hi] >> np.uint64(bit)) & np.uint64(1)
            left, right = member[: mid - lo].any(), member[mid - lo :].any()
            if left == right:
                break
            lo, hi = (lo, mid) if left else (mid, hi)
        return lo, hi

    def _apply(self) -> None:
        """Account for the positions that the batch found, in both passes and in every set."""
        if not self._found:
            return
        positions = np.concatenate(self._found)
        if self._pass == 1:
            positions = self._second[positions]
        self._reset_batch()
        self._errors += positions.size
        for step in self._passes:
            at = positions if step is self._passes[0] else self._into_second[positions]
            if not kernels.correct(at, step.splits, step.odd, step.found, step.n, step.block):
                # An honest peer's difference, once accounted for, never shows again.
                raise self._fail(ReconciliationFailure.CONTRADICTION, "a position was found twice")
        if len(self._passes) > 1:
            self._syndrome ^= int(np.bitwise_xor.reduce(self._columns[positions]))

    # --- messages

    def _answers(self) -> Bits:
        """Our parities of the left halves of all intervals in the batch."""
        prefix = self._passes[self._pass].prefix
        both = np.asarray(prefix[self._lo] ^ prefix[(self._lo + self._hi) >> 1])
        if self._sets is not None:
            both >>= self._sets
        return _low_bits(both)

    def _announce(self, parities: Bits) -> bytes:
        leaked = self._leaked + parities.size
        if leaked > self._budget.max_leaked_bits:
            raise self._fail(
                ReconciliationFailure.LEAK_BUDGET,
                f"expected at most {self._budget.max_leaked_bits} parities, got {leaked}",
            )
        if self._rounds >= self._budget.max_rounds:
            raise self._fail(
                ReconciliationFailure.ROUND_BUDGET,
                f"expected at most {self._budget.max_rounds} rounds",
            )
        self._leaked = leaked
        self._rounds += 1
        self._ours = parities
        return pack(parities)

    def _fail(self, reason: ReconciliationFailure, detail: str) -> ReconciliationFailed:
        self._failure = ReconciliationFailed(reason, detail)
        return self._failure
