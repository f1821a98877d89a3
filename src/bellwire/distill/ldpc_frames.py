"""The frames of a key under a low-density code: what each holds, and what was announced of each.

Public but for the bits, and the same on both sides.
"""

import zlib
from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from bellwire.base.bits import PackedBits, Words
from bellwire.crypto.stream import KeyStream
from bellwire.distill.errors import MalformedMessage
from bellwire.distill.kernels import ldpc as kernels
from bellwire.distill.kernels.ldpc import Numbers
from bellwire.distill.ldpc_code import Plan, graph

CHECKSUM_BITS = 32
"""Of a frame, announced with its first checks: codes as sparse as these have a few errors that no
check shows, and one in a thousand frames would be corrected wrongly without."""

MOST_REQUESTS = 8
"""Times that a frame may ask; the last time for its bits. Bob's decoder asks for as much at the
seventh as was announced at first, and no honest frame of thousands asked more than four times."""

WHOLE = 0xFFFF
"""Asked for in place of a number of words of checks: the frame bit by bit."""


class Frames:
    """One side's frames.

    Args:
        key: Its bits. Secret.
        plan: How it is cut.
        public_seed: 32 public bytes that say which words of the key a frame gets.

    Attributes:
        plan: As given.
        graph: The code's table.
        order: (words,) int32; frame after frame, which word of the key comes there.
        sizes: Key bits of each frame.
        checks: Words of checks of each that are announced, or are being announced now.
        asked: What is being announced now of each: words of checks, WHOLE or 0.
    """

    def __init__(self, key: PackedBits, plan: Plan, public_seed: bytes) -> None:
        self.plan = plan
        self.graph = graph(plan.width, plan.columns, plan.rows, plan.ensemble)
        self._key = key
        self._lanes = KeyStream(public_seed, "ldpc lanes").words(0, 64)
        self.order, self._start = _deal(key.size, plan.frames, public_seed)
        self.sizes = [64 * (end - start) for start, end in pairwise(self._start)]
        self.sizes[-1] -= 64 * plan.words - key.size
        self.checks = [0] * plan.frames
        self.asked = [0] * plan.frames
        self._whole = [False] * plan.frames
        self._requests = [-1] * plan.frames  # the first announcement is not asked for

    def __repr__(self) -> str:
        return f"Frames({self.plan.frames} of {self._key.size} bits)"

    @property
    def leaked(self) -> int:
        """Checks announced, but of no frame more than its bits."""
        return sum(
            size if whole else min(CHECKSUM_BITS + 64 * checks, size)
            for size, whole, checks in zip(self.sizes, self._whole, self.checks, strict=True)
        )

    @property
    def open(self) -> list[int]:
        """Frames of which more checks are being announced; only these may ask for more."""
        return [j for j, asked in enumerate(self.asked) if asked not in (0, WHOLE)]

    def grant(self, asked: Sequence[int]) -> None:
        """Announce more: of each frame so many words of checks, WHOLE or 0."""
        self.asked = list(asked)
        for j, words in enumerate(asked):
            self._requests[j] += words > 0
            if words == WHOLE:
                self._whole[j] = True
            else:
                self.checks[j] += words

    def room(self, j: int) -> int:
        """Words of checks that frame j may still ask for; with more it might as well be told.

        None, if it may ask only once more.
        """
        if self._requests[j] >= MOST_REQUESTS - 1:
            return 0
        enough = (self.sizes[j] - CHECKSUM_BITS - 1) // 64
        return min(self.plan.most_checks, enough) - self.checks[j]

    def words(self, j: int) -> Numbers:
        """Which words of the key frame j holds, in its order."""
        return self.order[self._start[j] : self._start[j + 1]]

    def bits(self, j: int) -> Words:
        """Frame j with zeros behind. Secret."""
        out = np.zeros(self.plan.columns * self.plan.width, np.uint64)
        chosen = self.words(j)
        out[: chosen.size] = self.turned(j, self._key.words[chosen], back=False)
        return out

    def turned(self, j: int, words: Words, *, back: bool) -> Words:
        """The words of frame j with their bits spread over all of it, or as they were before.

        Errors in a row lie in a word or two otherwise, and so in checks that are neighbours. A word
        that is used in part stays as it is.
        """
        whole = self.sizes[j] // 64
        out = words.copy()
        kernels.turn(words[:whole], self._lanes, back, out[:whole])
        return out

    def parities(self, bits: Words, first: int, count: int) -> Words:
        """Checks of these bits of a frame, words first … first + count."""
        out = np.empty(count, np.uint64)
        if count:
            table = self.graph
            kernels.syndrome(bits, self.plan.width, table.ptr, table.col, table.shift, first, out)
        return out

    def message(self) -> bytes:
        """Alice's announcement: of every frame what is asked for, and a checksum at first."""
        return b"".join(self._told(j) for j, asked in enumerate(self.asked) if asked)

    def _told(self, j: int) -> bytes:
        asked, bits = self.asked[j], self.bits(j)
        if asked == WHOLE:
            return as_bytes(bits[: self.words(j).size])
        fresh = as_bytes(self.parities(bits, self.checks[j] - asked, asked))
        return self.checksum(j, bits) + fresh if self.checks[j] == asked else fresh

    def checksum(self, j: int, bits: Words) -> bytes:
        """CRC-32 of the words of the key that frame j holds, `bits` as in `bits`."""
        return zlib.crc32(as_bytes(bits[: self.words(j).size])).to_bytes(
            CHECKSUM_BITS // 8, "little"
        )

    def parse(self, message: bytes) -> dict[int, tuple[bytes, Words]]:
        """What `message` gave at the other side: of each frame its checksum, if new, and words.

        Raises:
            MalformedMessage: it has another length, or bits where no key bit is.
        """
        sizes = {j: self._expected(j) for j, asked in enumerate(self.asked) if asked}
        expected = sum(checksum + 8 * count for checksum, count in sizes.values())
        if len(message) != expected:
            raise MalformedMessage(f"expected {expected} bytes, got {len(message)}")
        told, at = {}, 0
        for j, (checksum, count) in sizes.items():
            end = at + checksum + 8 * count
            words = np.frombuffer(message[at + checksum : end], "<u8").astype(np.uint64, copy=False)
            told[j] = message[at : at + checksum], words
            spare = 64 * count - self.sizes[j]
            if self.asked[j] == WHOLE and spare and int(words[-1]) >> (64 - spare):
                raise MalformedMessage("expected zero padding after the last bit, got ones")
            at = end
        return told

    def _expected(self, j: int) -> tuple[int, int]:
        """Bytes of checksum and words that are being announced of frame j."""
        if self.asked[j] == WHOLE:
            return 0, self.words(j).size
        return CHECKSUM_BITS // 8 if self.checks[j] == self.asked[j] else 0, self.asked[j]

    def parse_asked(self, message: bytes) -> list[int]:
        """What Bob asks for, of every frame: two bytes for each that is open.

        Raises:
            MalformedMessage: another length, more than there is, or nothing at all.
        """
        open_ = self.open
        if len(message) != 2 * len(open_):
            raise MalformedMessage(f"expected {2 * len(open_)} bytes, got {len(message)}")
        asked = [0] * self.plan.frames
        for j, words in zip(open_, np.frombuffer(message, "<u2").tolist(), strict=True):
            if words != WHOLE and words > self.room(j):
                raise MalformedMessage(
                    f"expected at most {self.room(j)} more words of checks, got {words}"
                )
            asked[j] = words
        if not any(asked):
            raise MalformedMessage("expected a frame that asks for more, got none")
        return asked


def as_bytes(words: Words) -> bytes:
    """Words on the wire: little-endian."""
    return words.astype("<u8", copy=False).tobytes()


def _deal(size: int, frames: int, public_seed: bytes) -> tuple[Numbers, list[int]]:
    """Which words of the key each frame gets, frame after frame, and where each frame starts.

    Words are dealt like cards, a round to all frames, each round turned at random, so that every
    stretch of the key comes to all frames alike; then each frame shuffles its own. The words of
    an incomplete round go to the first frames, a word used in part to the end of the last one.
    """
    whole, part = divmod(size, 64)
    rounds, rest = divmod(whole, frames)
    turns = KeyStream(public_seed, "ldpc turns").words(0, rounds).astype(np.int64) * frames >> 32
    words = np.arange(whole, dtype=np.int32)
    owner = words % frames
    owner[: rounds * frames] = (owner[: rounds * frames] + np.repeat(turns, frames)) % frames
    dealt = words[np.argsort(owner, kind="stable")]
    hands = np.split(dealt, np.cumsum([rounds + (j < rest) for j in range(frames - 1)]))
    stream, at = KeyStream(public_seed, "ldpc order"), 0
    for hand in hands:
        draws = max(0, hand.size - 1)
        kernels.shuffle(stream.words(at, draws), hand)
        at += draws
    if part:
        hands[-1] = np.append(hands[-1], np.int32(whole))
    return np.concatenate(hands), [0, *accumulate(hand.size for hand in hands)]
