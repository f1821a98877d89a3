"""Reconciliation by Cascade, in a symmetric form that needs no questions.

Both sides announce, in the same round, the parities of the same public list of intervals of their
own *original* bits. What differs is then public, so the list for the next round, and every position
found to differ, are a pure function of the public transcript, run identically by both. Only the
side that corrects (Bob) flips bits, and only at the end.

The key is first put into a random public order (errors come in bursts). The opening message has
the parities of all blocks of two passes, and of random colours and masks of the positions. Then,
batch by batch: all odd intervals of pass one are halved until each is one position; when there are
none, those of pass two; when there are none, some odd colours, then an odd mask. When all is even,
both sides have finished.

Always: whatever the peer sends, every batch either finds positions that were not found before or
ends the block, so the engine ends, at the latest when a budget is spent.

Source: Brassard and Salvail, "Secret-key reconciliation by public discussion", EUROCRYPT '93. Since
both sides' parities are public, a key-rate proof must allow two-way announcements (Tupkary and
Lütkenhaus, "Using Cascade in quantum key distribution", 2023).

Memory: 32 bytes per key bit, 50 for a moment at the start.
"""

from dataclasses import dataclass

import numpy as np

from bellwire.base.bits import Bits, PackedBitsError, pack, unpack
from bellwire.base.limits import MAX_PULSES
from bellwire.crypto.stream import SEED_BYTES, KeyStream
from bellwire.distill.errors import MalformedMessage, ReconciliationFailed, ReconciliationFailure
from bellwire.distill.kernels import cascade as kernels
from bellwire.distill.kernels.cascade import Positions
from bellwire.distill.passes import Pass, PassSearch, block_sizes
from bellwire.distill.residue import SETS, Residue, ResidueSearch

MAX_BITS = MAX_PULSES
"""Longest key of one engine: a bit for every pulse of the longest block."""

_WARM_BITS = 4096
_WARM_ERRORS_APART = 25


@dataclass(frozen=True, slots=True)
class CascadeBudget:
    """What a block may cost before it is given up.

    Attributes:
        max_leaked_bits: Parities of one side.
        max_rounds: Messages of one side.
    """

    max_leaked_bits: int
    max_rounds: int


class Cascade:
    """One side's engine; see the module for the protocol.

    Args:
        key: (n,) uint8 of 0/1, n up to `MAX_BITS`. Secret. Not changed.
        qber: Public estimate, the same float on both sides; it only sets block sizes.
        public_seed: 32 public bytes, the same on both sides, drawn after the quantum exchange, so
            that order, colours and masks are independent of the errors.
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
        self._order = kernels.shuffle(KeyStream(public_seed, "cascade order 1").words(0, n))
        bits = self._key[self._order]
        sizes = block_sizes(n, qber, extra=SETS)
        self._passes = [Pass(bits, sizes.first)]
        self._residue: Residue | None = None
        if sizes.first > 1:
            second = kernels.shuffle(KeyStream(public_seed, "cascade order 2").words(0, n))
            self._passes.append(Pass(bits, sizes.second, second))
            self._residue = Residue(bits, KeyStream(public_seed, "cascade columns").words(0, n))
        self._search: PassSearch | ResidueSearch | None = None
        self._ours: Bits = np.zeros(0, np.uint8)  # what we announced in this round
        self._leaked = 0
        self._rounds = 0
        self._errors = 0
        self._finished = False
        self._failure: ReconciliationFailed | None = None

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
        """How many positions were found to differ so far; public."""
        return self._errors

    @property
    def error_positions(self) -> Positions:
        """Positions of the key that were found to differ so far, in no order; public."""
        return self._order[self._passes[0].found_positions()]

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
            corrected[self.error_positions] ^= 1
        return corrected

    def first(self) -> bytes:
        """The opening message: parities of all blocks, colours and masks, packed.

        Raises:
            ReconciliationFailed: the opening alone exceeds the budget.
            ValueError: the opening was made already.
        """
        if self._rounds or self._failure:
            raise ValueError("the opening message was made already")
        parts = [self._passes[0].opening()]
        if self._residue:
            # Pass one fixes the key's parity, which in turn fixes the last block of pass two.
            parts += [self._passes[1].opening()[:-1], self._residue.opening()]
        return self._announce(np.concatenate(parts))

    def receive(self, message: bytes) -> bytes | None:
        """Take the peer's message of this round; give ours of the next, or None when finished.

        Raises:
            MalformedMessage: the message has not the length or padding that this round asks for,
                or comes after the end. Nothing has changed.
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
        if self._search:
            self._search.narrow(differs)
        else:
            self._open(differs)
            self._search = self._next_search()
        while self._search and not self._search.open:
            self._correct(self._search.found)
            self._search = self._next_search()
        if self._search:
            return self._announce(self._search.parities())
        self._finished = True
        return None

    def _open(self, differs: Bits) -> None:
        """Take the differences of the opening parities."""
        first, rest = np.split(differs, [self._passes[0].blocks])
        self._passes[0].open(first)
        if self._residue:
            total = np.bitwise_xor.reduce(first, keepdims=True)
            second, sets = np.split(rest, [self._passes[1].blocks - 1])
            last = total ^ np.bitwise_xor.reduce(second, keepdims=True)
            self._passes[1].open(np.concatenate([second, last]))
            self._residue.open(sets, total)

    def _next_search(self) -> PassSearch | ResidueSearch | None:
        """The next batch, chosen as the module says; None if all is even."""
        for step in self._passes:
            if step.odd.any():
                return PassSearch(step)
        sets = self._residue.next_sets() if self._residue else []
        if self._residue and sets:
            return ResidueSearch(self._residue, sets, self._passes[0].found_positions())
        return None

    def _correct(self, positions: kernels.Positions) -> None:
        """Account for the positions that a batch found, in both passes and in every set."""
        if not all(step.correct(positions) for step in self._passes):
            # An honest peer's difference, once accounted for, never shows again.
            raise self._fail(ReconciliationFailure.CONTRADICTION, "a position was found twice")
        self._errors += positions.size
        if self._residue:
            self._residue.correct(positions)

    def _announce(self, parities: Bits) -> bytes:
        leaked = self._leaked + parities.size
        if leaked > self._budget.max_leaked_bits:
            limit = self._budget.max_leaked_bits
            detail = f"expected at most {limit} parities, got {leaked}"
            raise self._fail(ReconciliationFailure.LEAK_BUDGET, detail)
        if self._rounds >= self._budget.max_rounds:
            detail = f"expected at most {self._budget.max_rounds} rounds"
            raise self._fail(ReconciliationFailure.ROUND_BUDGET, detail)
        self._leaked = leaked
        self._rounds += 1
        self._ours = parities
        return pack(parities)

    def _fail(self, reason: ReconciliationFailure, detail: str) -> ReconciliationFailed:
        self._failure = ReconciliationFailed(reason, detail)
        return self._failure


def warm() -> None:
    """Have every kernel compiled, or loaded from its cache, by reconciling two small keys.

    The first block of a process would wait for it otherwise, and its peer with it.
    """
    stream = KeyStream(bytes(SEED_BYTES), "cascade warm-up")
    alice = (stream.words(0, _WARM_BITS) & 1).astype(np.uint8)
    bob = alice.copy()
    bob[::_WARM_ERRORS_APART] ^= 1
    qber = 1 / _WARM_ERRORS_APART
    budget = CascadeBudget(max_leaked_bits=_WARM_BITS, max_rounds=_WARM_BITS)
    one, other = (
        Cascade(key, qber, bytes(SEED_BYTES), corrects=corrects, budget=budget)
        for key, corrects in ((alice, False), (bob, True))
    )
    to_other, to_one = one.first(), other.first()
    while not one.finished:
        # Both end in the same round, with nothing left to say.
        to_other, to_one = one.receive(to_one) or b"", other.receive(to_other) or b""
