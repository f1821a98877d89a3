"""Reconciliation by Cascade, in a symmetric form that needs no questions.

Both sides announce, in the same round, the parities of the same public list of intervals. What
differs is then public, so the list for the next round, and every position found to differ, are a
pure function of the public transcript, run identically by both. Only the side that corrects (Bob)
flips bits, each as soon as it is found; so what differs is always what is left.

The key is cut into frames that are searched side by side, each at its own pace. A frame is first
put into a random public order (errors come in bursts), and from there into a second one. The
opening message has the parities of all blocks of both orders, and of random colours and masks of
the places. Then, batch by batch in every frame: all odd intervals of the first order are halved
until each is one place; when there are none, those of the second; when there are none, some odd
colours, then an odd mask. When all is even, both sides have finished.

Always: whatever the peer sends, every batch either finds places that were not found before or
ends the block, so the engine ends, at the latest when a budget is spent.

Source: Brassard and Salvail, "Secret-key reconciliation by public discussion", EUROCRYPT '93. Since
both sides' parities are public, a key-rate proof must allow two-way announcements (Tupkary and
Lütkenhaus, "Using Cascade in quantum key distribution", 2023).

Cost: 3 … 4 ns a bit and side at an error rate of 2 %, growing with the errors; 5 bytes a bit, of
which only those are touched that searches need.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bellwire.base.bits import PackedBits, PackedBitsError, Words
from bellwire.base.limits import MAX_PULSES
from bellwire.crypto.stream import SEED_BYTES, KeyStream
from bellwire.distill.errors import MalformedMessage, ReconciliationFailed, ReconciliationFailure
from bellwire.distill.kernels import cascade as kernels
from bellwire.distill.kernels.cascade import COLOURS, SETS, Numbers
from bellwire.distill.layout import ROWS, Layout, layout
from bellwire.distill.reconciliation import ReconciliationBudget
from bellwire.distill.sets import draw_sets

MAX_BITS = MAX_PULSES
"""Longest key of one engine: a bit for every pulse of the longest block."""

_WARM_BITS = 4096
_WARM_ERRORS_APART = 25

Positions = NDArray[np.int64]
_Both = tuple[Words, Words]
"""Of the first order and of the second."""


class Cascade:
    """One side's engine; see the module for the protocol.

    Args:
        key: Up to `MAX_BITS` bits. Secret. Not changed.
        parts: Bits of each part of the key, one after the other.
        qber: Public estimate, the same float on both sides; it only sets block sizes.
        public_seed: 32 public bytes, the same on both sides, drawn after the quantum exchange, so
            that orders, colours and masks are independent of the errors.
        corrects: True for the one side that flips its bits (Bob).
        budget: The same on both sides, so that both give up in the same round.

    Raises:
        ValueError: the key is too long, or not of these parts, qber is no probability, or the seed
            is not 32 bytes.
    """

    def __init__(
        self,
        key: PackedBits,
        parts: tuple[int, ...],
        qber: float,
        public_seed: bytes,
        *,
        corrects: bool,
        budget: ReconciliationBudget,
    ) -> None:
        if key.size > MAX_BITS:
            raise ValueError(f"expected at most {MAX_BITS} bits, got {key.size}")
        if sum(parts) != key.size:
            raise ValueError(f"expected parts of {key.size} bits in all, got {sum(parts)}")
        if len(public_seed) != SEED_BYTES:
            raise ValueError(f"expected a seed of {SEED_BYTES} bytes, got {len(public_seed)}")
        self._key = PackedBits(key.words.copy(), key.size)
        self._parts = parts
        self._corrects = corrects
        self._budget = budget
        plan = layout(key.size, qber)
        self._search = None if plan is None else _Search(key, plan, public_seed, corrects=corrects)
        self._bare: Words = np.zeros(0, np.uint64)  # what differs, where every bit was announced
        self._ours = PackedBits(np.zeros(0, np.uint64), 0)  # what we announced in this round
        self._leaked = 0
        self._rounds = 0
        self._finished = False
        self._failure: ReconciliationFailed | None = None

    def __repr__(self) -> str:
        return f"Cascade({self._key.size} bits, round {self._rounds}, {self._leaked} leaked)"

    @property
    def leaked_bits(self) -> int:
        """Parities announced so far by one side, but never more than there are key bits.

        Parities that earlier ones fix (the second half of an interval, the last block of the
        second order, the last colour) are not announced and not counted. n bits have no more than
        n linearly independent parities.
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
    def errors(self) -> tuple[int, ...]:
        """How many positions of each part were found to differ so far; public."""
        wrong = self.error_positions
        below = [0, *(int((wrong < end).sum()) for end in np.cumsum(self._parts))]
        return tuple(end - start for start, end in pairwise(below))

    @property
    def error_positions(self) -> Positions:
        """Positions of the key that were found to differ so far; public."""
        if self._search:
            return self._search.errors()
        return np.flatnonzero(PackedBits(self._bare, 64 * self._bare.size).unpack())

    @property
    def corrected(self) -> PackedBits:
        """The key, with the differing bits flipped on the side that corrects. Secret.

        Raises:
            ValueError: reconciliation has not finished.
        """
        if not self._finished:
            raise ValueError("reconciliation has not finished")
        words = self._key.words.copy()
        if self._corrects:
            kernels.flip_all(words, self.error_positions)
        return PackedBits(words, self._key.size)

    def first(self) -> bytes:
        """The opening message: parities of all blocks, colours and masks, packed.

        Raises:
            ReconciliationFailed: the opening alone exceeds the budget.
            ValueError: the opening was made already.
        """
        if self._rounds or self._failure:
            raise ValueError("the opening message was made already")
        return self._announce(self._search.opening() if self._search else self._key)

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
            theirs = PackedBits.from_bytes(message, self._ours.size)
        except PackedBitsError as error:
            raise MalformedMessage(f"parities of round {self._rounds}: {error}") from error
        differs = PackedBits(self._ours.words ^ theirs.words, self._ours.size)
        if not self._search:
            self._bare = differs.words
            self._finished = True
            return None
        searches = (
            self._search.open(differs) if self._rounds == 1 else self._search.advance(differs)
        )
        if searches == kernels.CONTRADICTION:
            # An honest peer's difference, once corrected, never shows again.
            raise self._fail(ReconciliationFailure.CONTRADICTION, "a position was found twice")
        if searches:
            return self._announce(self._search.parities(searches))
        if (self.error_positions >= self._key.size).any():
            # Places behind the key are zero on both sides.
            raise self._fail(ReconciliationFailure.CONTRADICTION, "a place without a bit differs")
        self._finished = True
        return None

    def _announce(self, parities: PackedBits) -> bytes:
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
        return parities.to_bytes()

    def _fail(self, reason: ReconciliationFailure, detail: str) -> ReconciliationFailed:
        self._failure = ReconciliationFailed(reason, detail)
        return self._failure


class _Search:
    """The frames of one side: the arrays that the kernels work on.

    Args:
        key: As in `Cascade`.
        plan: The layout.
        public_seed: As in `Cascade`.
        corrects: As in `Cascade`.
    """

    def __init__(
        self, key: PackedBits, plan: Layout, public_seed: bytes, *, corrects: bool
    ) -> None:
        n, words = plan.frame, plan.frames * plan.frame // 64
        self._plan = plan
        self._turns = _turns(public_seed, "cascade order 1", ROWS, n)
        turns = _turns(public_seed, "cascade order 2", plan.second, n)
        sets = draw_sets(public_seed, n)
        first, second = _arranged(key.words, words, n, self._turns), np.empty(words, np.uint64)
        kernels.rearrange(first, n, plan.second, turns, second)
        first = first[:words]
        self._sets = sets
        self._bits: _Both = first, second
        self._cuts: _Both = np.zeros(words, np.uint64), np.zeros(words, np.uint64)
        self._odd: _Both = np.zeros(words, np.uint64), np.zeros(words, np.uint64)
        self.found: Words = np.zeros(words, np.uint64)
        self._syndromes = np.zeros(plan.frames, np.uint32)
        # Searches of a frame at a time are disjoint and of two places at least.
        self._searches: tuple[Numbers, Numbers, Numbers, Numbers, Numbers] = (
            np.zeros(plan.frames * n // 2, np.int32),
            np.zeros(plan.frames * n // 2, np.int32),
            np.zeros(plan.frames * COLOURS, np.int32),
            np.zeros(plan.frames, np.int32),
            np.zeros(plan.frames, np.int32),
        )
        self._room = np.zeros(n, np.int32)
        self._steps = (corrects, n, plan.first, plan.second, turns, sets.planes, sets.members)

    def opening(self) -> PackedBits:
        """Blocks of the first order; of the second but each frame's last; sets but one colour."""
        plan, (first, second) = self._plan, self._bits
        ones = _blocks(first, plan.first)
        twos = _blocks(second, plan.second).reshape(plan.frames, -1)
        members = np.empty(plan.frames * SETS, np.uint8)
        kernels.set_parities(first, plan.frame, self._sets.planes, members)
        told = np.delete(members.reshape(-1, SETS), COLOURS - 1, axis=1)
        return PackedBits.of(np.concatenate([ones, twos[:, :-1].ravel(), told.ravel()]))

    def open(self, differs: PackedBits) -> int:
        """Take the differences of `opening`; gives the searches that are open."""
        plan = self._plan
        ones = plan.frames * (plan.frame // plan.first)
        twos = plan.frames * (plan.frame // plan.second - 1)
        first, second, told = np.split(differs.unpack(), [ones, ones + twos])
        totals = np.bitwise_xor.reduce(first.reshape(plan.frames, -1), axis=1)[:, None]
        second = second.reshape(plan.frames, -1)
        told = told.reshape(plan.frames, -1)
        last = totals ^ np.bitwise_xor.reduce(second, axis=1)[:, None]
        kernels.mark(self._odd[0], plan.first, first)
        kernels.mark(self._odd[1], plan.second, np.concatenate([second, last], axis=1).ravel())
        colours = told[:, : COLOURS - 1]
        colour = totals ^ np.bitwise_xor.reduce(colours, axis=1)[:, None]
        odd = np.concatenate([colours, colour, told[:, COLOURS - 1 :]], axis=1)
        packed = np.packbits(odd, axis=1, bitorder="little")
        self._syndromes[:] = packed.view("<u4").ravel()
        return self._run(True, np.zeros(1, np.uint64))

    def advance(self, differs: PackedBits) -> int:
        """Take the differences of `parities`; gives the searches that are open."""
        return self._run(False, differs.words)

    def _run(self, first: bool, differs: Words) -> int:
        return int(
            kernels.advance(
                first,
                *self._steps,
                *self._bits,
                *self._cuts,
                *self._odd,
                self.found,
                self._syndromes,
                *self._searches,
                self._room,
                differs,
            )
        )

    def parities(self, searches: int) -> PackedBits:
        """Our parity of each open search's left part, frame by frame."""
        out = np.zeros((searches + 63) // 64, np.uint64)
        kernels.parities(self._plan.frame, *self._bits, self._sets.planes, *self._searches, out)
        return PackedBits(out, searches)

    def errors(self) -> Positions:
        """Positions of the key that were found to differ."""
        positions = np.empty(int(np.bitwise_count(self.found).sum()), np.int64)
        kernels.key_positions(self.found, self._plan.frame, ROWS, self._turns, positions)
        return positions


def _turns(public_seed: bytes, label: str, rows: int, n: int) -> Numbers:
    """How far each row is turned: uniform on 0 … n / rows − 1, to within 2⁻³²·n."""
    words = KeyStream(public_seed, label).words(0, rows).astype(np.uint64)
    return ((words * np.uint64(n // rows)) >> np.uint64(32)).astype(np.int32)


def _arranged(key: Words, words: int, n: int, turns: Numbers) -> Words:
    """The key in the first order, with zeros where no bit fills a place, and a word more."""
    padded, first = np.zeros(words + 1, np.uint64), np.zeros(words + 1, np.uint64)
    padded[: key.size] = key
    kernels.rearrange(padded, n, ROWS, turns, first[:words])
    return first


def _blocks(bits: Words, size: int) -> NDArray[np.uint8]:
    parities = np.empty(64 * bits.size // size, np.uint8)
    kernels.block_parities(bits, size, parities)
    return parities


def warm() -> None:
    """Have every kernel compiled, or loaded from its cache, by reconciling two small keys.

    The first block of a process would wait for it otherwise, and its peer with it.
    """
    stream = KeyStream(bytes(SEED_BYTES), "cascade warm-up")
    alice = (stream.words(0, _WARM_BITS) & 1).astype(np.uint8)
    bob = alice.copy()
    bob[::_WARM_ERRORS_APART] ^= 1
    qber = 1 / _WARM_ERRORS_APART
    budget = ReconciliationBudget(max_leaked_bits=_WARM_BITS, max_rounds=_WARM_BITS)
    one, other = (
        Cascade(
            PackedBits.of(key),
            (_WARM_BITS,),
            qber,
            bytes(SEED_BYTES),
            corrects=corrects,
            budget=budget,
        )
        for key, corrects in ((alice, False), (bob, True))
    )
    to_other, to_one = one.first(), other.first()
    while not one.finished:
        # Both end in the same round, with nothing left to say.
        to_other, to_one = one.receive(to_one) or b"", other.receive(to_other) or b""
    _ = other.corrected
