"""Reconciliation by low-density parity checks: few rounds, for links where a round is dear.

Alice announces parities of her key, a sparse code's *syndrome* for each frame of it. What differs
from the parities of Bob's key is the syndrome of the errors, and Bob finds the errors by
belief propagation. He answers which frames he could not decode and how many more checks he wants
for each; Alice announces these, and so on. A frame for which no more checks are left is announced
bit by bit, and so is one that has asked `ldpc_frames.MOST_REQUESTS` times: leak and rounds of a
frame have a limit that both sides know. When Bob has them all he says so, and how many bits of each
part of the key were wrong.

    round 1      Alice: checks of all frames           Bob: nothing
    round 2      Alice: nothing                        Bob: what more, or that he is done
    round 3      Alice: more checks, or whole frames   Bob: nothing
    …

What Bob says is a function of the errors and of nothing else; as with Cascade the bound must hold
for an Eve who knows every error. The leak is one bit a check, and no more than a frame's bits. The
frames' words of 64 bits are drawn from all over the key by the public seed, so that bursts, and
parts of the key with other error rates, are spread over the frames.

Sources: Elkouss, Leverrier, Alléaume and Boutros, "Efficient reconciliation protocol for
discrete-variable quantum key distribution", ISIT 2009; asking for more only where it is needed:
Martínez-Mateo, Elkouss and Martín, "Blind reconciliation", Quantum Inf. Comput. 12 (2012).
"""

import numpy as np

from bellwire.base.bits import PackedBits
from bellwire.base.limits import MAX_PULSES
from bellwire.crypto.stream import SEED_BYTES, KeyStream
from bellwire.distill.errors import MalformedMessage
from bellwire.distill.ldpc_code import plan
from bellwire.distill.ldpc_decoder import Decoder
from bellwire.distill.ldpc_frames import Frames

MAX_BITS = MAX_PULSES
"""Longest key of one engine: a bit for every pulse of the longest block."""

_WARM_BITS = 20_000
_WARM_ERRORS_APART = 12
_MORE, _DONE = b"\x00", b"\x01"


class Ldpc:
    """One side's engine; see the module for the protocol.

    Args:
        key: Up to `MAX_BITS` bits for which there is a code (`ldpc_code.plan`). Secret. Not
            changed.
        parts: Bits of each part of the key, one after the other.
        qber: Public estimate, the same float on both sides; it chooses the code.
        public_seed: 32 public bytes, the same on both sides, drawn after the quantum exchange, so
            that the frames are independent of the errors.
        corrects: True for the one side that flips its bits (Bob).

    Raises:
        ValueError: the key is too long, not of these parts, or there is no code for it; qber is no
            probability, or the seed is not 32 bytes.
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
        chosen = plan(key.size, qber)
        if chosen is None:
            raise ValueError(f"expected a key that a code fits, got {key.size} bits at {qber}")
        self._key = key
        self._parts = parts
        self._plan = chosen
        self._frames = Frames(key, chosen, public_seed)
        self._decoder = Decoder(self._frames, key.size, qber) if corrects else None
        self._answer = b""  # what the side that corrects said last
        self._errors: tuple[int, ...] = (0,) * len(parts)
        self._rounds = 0
        self._finished = False

    def __repr__(self) -> str:
        return f"Ldpc({self._key.size} bits, round {self._rounds}, {self.leaked_bits} leaked)"

    @property
    def leaked_bits(self) -> int:
        """Checks announced so far, but of no frame more than it has bits."""
        return self._frames.leaked

    @property
    def rounds(self) -> int:
        """Messages of one side so far; each costs one one-way latency."""
        return self._rounds

    @property
    def errors(self) -> tuple[int, ...]:
        """Wrong bits of each part of the key, as Bob counts them; public, final when finished."""
        return self._errors

    @property
    def corrected(self) -> PackedBits:
        """The key, with the differing bits flipped on the side that corrects. Secret.

        Raises:
            ValueError: reconciliation has not finished.
        """
        if not self._finished:
            raise ValueError("reconciliation has not finished")
        return self._key if self._decoder is None else self._key ^ self._decoder.errors

    def first(self) -> bytes:
        """Alice's checks of all frames; nothing from Bob.

        Raises:
            ValueError: the opening was made already.
        """
        if self._rounds:
            raise ValueError("the opening message was made already")
        return self._announce([self._plan.checks] * self._plan.frames)

    def receive(self, message: bytes) -> bytes | None:
        """Take the peer's message of this round; give ours of the next, or None when finished.

        Raises:
            MalformedMessage: the message has not the length or the values that this round asks
                for, or comes after the end.
            ValueError: our own opening message was not made yet.
        """
        if not self._rounds:
            raise ValueError("make the opening message first")
        if self._finished:
            raise MalformedMessage("expected nothing after the last round, got a message")
        if self._rounds % 2:
            return self._after_checks(message)
        return self._after_answer(message)

    def _after_checks(self, message: bytes) -> bytes:
        if self._decoder is None:
            self._expect_nothing(message)
            return self._say(b"")
        asked = self._decoder.take(message)
        if any(asked):
            self._answer = _MORE + np.array(asked, "<u2").tobytes()
        else:
            wrong, ends = self._decoder.errors, np.cumsum(self._parts).tolist()
            counts = [
                wrong.cut(end - part, part).count()
                for end, part in zip(ends, self._parts, strict=True)
            ]
            self._answer = _DONE + np.array(counts, "<u8").tobytes()
        return self._say(self._answer)

    def _after_answer(self, message: bytes) -> bytes | None:
        if self._decoder is not None:
            self._expect_nothing(message)
            message = self._answer
        kind, content = message[:1], message[1:]
        if kind == _DONE:
            self._errors = self._parse_errors(content)
            self._finished = True
            return None
        if kind != _MORE:
            raise MalformedMessage("expected an answer that asks for more or is the last")
        return self._announce(self._frames.parse_asked(content))

    def _parse_errors(self, content: bytes) -> tuple[int, ...]:
        if len(content) != 8 * len(self._parts):
            raise MalformedMessage(
                f"expected {8 * len(self._parts)} bytes of counts, got {len(content)}"
            )
        counts = tuple(
            int.from_bytes(content[i : i + 8], "little") for i in range(0, len(content), 8)
        )
        for count, part in zip(counts, self._parts, strict=True):
            if count > part:
                raise MalformedMessage(f"expected at most {part} wrong bits, got {count}")
        return counts

    def _expect_nothing(self, message: bytes) -> None:
        if message:
            raise MalformedMessage(f"expected nothing in round {self._rounds}, got {len(message)}")

    def _announce(self, asked: list[int]) -> bytes:
        self._frames.grant(asked)
        return self._say(self._frames.message() if self._decoder is None else b"")

    def _say(self, message: bytes) -> bytes:
        self._rounds += 1
        return message


def warm() -> None:
    """Have every kernel compiled, or loaded from its cache, by reconciling two small keys.

    The first block of a process would wait for it otherwise, and its peer with it.
    """
    stream = KeyStream(bytes(SEED_BYTES), "ldpc warm-up")
    alice = (stream.words(0, _WARM_BITS) & 1).astype(np.uint8)
    bob = alice.copy()
    bob[::_WARM_ERRORS_APART] ^= 1
    one, other = (
        Ldpc(
            PackedBits.of(key),
            (_WARM_BITS,),
            1 / _WARM_ERRORS_APART,
            bytes(SEED_BYTES),
            corrects=corrects,
        )
        for key, corrects in ((alice, False), (bob, True))
    )
    to_other, to_one = one.first(), other.first()
    while True:
        from_one, from_other = one.receive(to_one), other.receive(to_other)
        if from_one is None or from_other is None:
            return
        to_other, to_one = from_one, from_other
