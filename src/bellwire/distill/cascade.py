"""Reconciliation by Cascade, in a symmetric form that needs no questions.

Both sides announce, in the same round, the parities of the same public list of intervals. What
differs is then public, so the list for the next round, and every position found to differ, are a
pure function of the public transcript, run identically by both. Only the side that corrects (Bob)
flips bits, each as soon as it is found; so what differs is always what is left.

The key is cut into frames that are searched side by side, each at its own pace. A frame is first
put into a random public order (errors come in bursts), and from there into a second one. The
opening message has the parities of all blocks of both orders, and of random colours and masks of
the places. Then, batch by batch in every frame: all odd intervals of the first order are halved
until each is one place; when there are none, those of the second; when there are none, all odd
colours, then an odd mask. When all is even, both sides have finished.

A frame has a budget of its own: it announces no more parities than it has bits, and takes part in
no more than `Layout.max_rounds` messages. Where the next message would exceed one of them, that
frame alone is told bit by bit. It stays in the key, and counts as leaked whole, so estimate and
proof see the same key as ever.

Always: whatever the peer sends, every batch either finds places that were not found before or
ends the block, and every frame ends with its budget, so the engine ends, one round after
`Layout.max_rounds` at the latest.

Source: Brassard and Salvail, "Secret-key reconciliation by public discussion", EUROCRYPT '93. Since
both sides' parities are public, a key-rate proof must allow two-way announcements (Tupkary and
Lütkenhaus, "Using Cascade in quantum key distribution", 2023).

Cost: 2 ns a bit and side at an error rate of 2 % in keys of millions of bits, growing with the
errors. Memory: 1.6 bytes a bit; 4 more are reserved, of which only what searches need is used.
"""

from itertools import accumulate

import numpy as np

from bellwire.base.bits import PackedBits, PackedBitsError
from bellwire.base.limits import MAX_PULSES
from bellwire.crypto.stream import SEED_BYTES, KeyStream
from bellwire.distill.errors import MalformedMessage, ReconciliationFailed
from bellwire.distill.frames import Frames
from bellwire.distill.layout import layout

MAX_BITS = MAX_PULSES
"""Longest key of one engine: a bit for every pulse of the longest block."""

_WARM_BITS = 4096
_WARM_ERRORS_APART = 25


class Cascade:
    """One side's engine; see the module for the protocol.

    Args:
        key: Up to `MAX_BITS` bits. Secret. Not changed.
        parts: Bits of each part of the key, one after the other.
        qber: Public estimate, the same float on both sides; it only sets block sizes.
        public_seed: 32 public bytes, the same on both sides, drawn after the quantum exchange, so
            that orders, colours and masks are independent of the errors.
        corrects: True for the one side that flips its bits (Bob).

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
        plan = layout(key.size, qber)
        self._frames = None if plan is None else Frames(key, plan, public_seed, corrects=corrects)
        self._differing = PackedBits.zeros(key.size)  # known once we have finished
        self._ours = PackedBits(np.zeros(0, np.uint64), 0)  # what we announced in this round
        self._leaked = key.size  # where there are frames, known when they are done
        self._rounds = 0
        self._finished = False
        self._failure: ReconciliationFailed | None = None

    def __repr__(self) -> str:
        return f"Cascade({self._key.size} bits, round {self._rounds}, {self.leaked_bits} leaked)"

    @property
    def leaked_bits(self) -> int:
        """Parities announced so far by one side, but of no frame more than it has key bits.

        Parities that earlier ones fix (the second half of an interval, the last block of the
        second order, the last colour) are not announced and not counted. n bits have no more than
        n linearly independent parities.
        """
        if not self._rounds:
            return 0
        return self._frames.leaked if self._frames else self._leaked

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
        differing = self._frames.found() if self._frames else self._differing
        starts = accumulate(self._parts, initial=0)
        return tuple(
            differing.cut(start, size).count()
            for start, size in zip(starts, self._parts, strict=False)
        )

    @property
    def corrected(self) -> PackedBits:
        """The key, with the differing bits flipped on the side that corrects. Secret.

        Raises:
            ValueError: reconciliation has not finished.
        """
        if not self._finished:
            raise ValueError("reconciliation has not finished")
        return self._key ^ self._differing if self._corrects else self._key

    def first(self) -> bytes:
        """The opening message: parities of all blocks, colours and masks, packed.

        Raises:
            ValueError: the opening was made already.
        """
        if self._rounds:
            raise ValueError("the opening message was made already")
        return self._announce(self._frames.opening() if self._frames else self._key)

    def receive(self, message: bytes) -> bytes | None:
        """Take the peer's message of this round; give ours of the next, or None when finished.

        Raises:
            MalformedMessage: the message has not the length or padding that this round asks for,
                or comes after the end. Nothing has changed.
            ReconciliationFailed: the parities contradict each other; the peer, if honest, fails in
                the same round for the same reason.
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
        differs = self._ours ^ theirs
        if not self._frames:
            self._finish(differs)
            return None
        parities = self._frames.take(differs, self._rounds)
        if parities is None:
            raise self._fail("a position was found twice")
        if parities.size:
            return self._announce(parities)
        found = self._frames.found()
        differing = found.cut(0, self._key.size)
        if differing.count() < found.count():
            # Places behind the key are zero on both sides.
            raise self._fail("a place without a bit differs")
        self._finish(differing)
        return None

    def _finish(self, differing: PackedBits) -> None:
        """Keep nothing but the key and what differs."""
        self._leaked = self.leaked_bits
        self._differing, self._frames, self._finished = differing, None, True

    def _announce(self, parities: PackedBits) -> bytes:
        self._rounds += 1
        self._ours = parities
        return parities.to_bytes()

    def _fail(self, detail: str) -> ReconciliationFailed:
        self._failure = ReconciliationFailed(detail)
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
    one, other = (
        Cascade(
            PackedBits.of(key),
            (_WARM_BITS,),
            qber,
            bytes(SEED_BYTES),
            corrects=corrects,
        )
        for key, corrects in ((alice, False), (bob, True))
    )
    to_other, to_one = one.first(), other.first()
    while not one.finished:
        # Both end in the same round, with nothing left to say.
        to_other, to_one = one.receive(to_one) or b"", other.receive(to_other) or b""
    _ = other.errors, other.corrected
