"""What one who only reads the classical channel works out of a block, as both sides do.

Bases, slots, opened outcomes and parities are public, and so is everything that follows from them:
which slots serve what, the error rates, and every error that reconciliation finds. The functions
are those of the two sessions. The key is not among what is said: where an engine asks for one, it
gets zeros. To Cascade a message of the peer's is then the difference of what both sides said; of
low-density codes Alice's engine listens, which asks of Bob's messages only what they say.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bellwire.base.bits import PackedBits
from bellwire.base.detections import Protocol, Side, Slots
from bellwire.crypto.kdf import hkdf
from bellwire.distill.announcements import decode_plane, positions
from bellwire.distill.choice import reconciler
from bellwire.distill.choices import Choices
from bellwire.distill.errors import ReconciliationFailed
from bellwire.distill.evidence import Evidence
from bellwire.distill.messages import Announced, Decided, Open, Received, Tested, decode
from bellwire.distill.reconciliation import Method, Reconciler
from bellwire.distill.sifting import Sifted, sift
from bellwire.lab.pair import faithful

_OPENED, _RECEIVED, _ANNOUNCED, _TESTED, _DECIDED = range(5)


@dataclass(slots=True)
class Tap:
    """A wire that carries every message as it is, and keeps a copy.

    Attributes:
        said: Each side's bodies, by step.
    """

    said: dict[Side, list[bytes]] = field(default_factory=lambda: {side: [] for side in Side})

    def __call__(self, sender: Side, step: int, body: bytes) -> list[tuple[int, bytes]]:
        """Carry a message."""
        self.said[sender].append(body)
        return faithful(sender, step, body)


@dataclass(frozen=True, slots=True)
class FirstSlot:
    """One of the first common slots, and what it serves.

    Attributes:
        slot: Its number.
        alice, bob: Settings.
        use: `dropped`, `key` or `test`.
        opened: Both outcomes of a test slot, Alice's first; None where they stay secret.
    """

    slot: int
    alice: int
    bob: int
    use: str
    opened: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Round:
    """One message each way of reconciliation.

    Attributes:
        number: From 1, the opening.
        parities: That each side announced; of codes, Alice alone.
        different: How many of them differ; None of codes, where only Bob knows.
        found: Errors known by now.
    """

    number: int
    parities: int
    different: int | None
    found: int


class Overheard:
    """A block as it was said, from sifting to the last parity.

    Args:
        opening: What block it is.
        said: Each side's bodies, by step, at least to step 3.
    """

    def __init__(self, opening: Open, said: Mapping[Side, Sequence[bytes]]) -> None:
        self._opening = opening
        self._said = said
        announced = {side: decode(said[side][_ANNOUNCED], Announced) for side in Side}
        self._public_seed = b"".join(announced[side].nonce for side in Side)
        self.slots = self._common()
        alice, bob = (self._choices(announced[side]) for side in Side)
        self.settings = alice, bob
        self.sifted = self._sift(PackedBits.zeros(self.slots.size))
        test = self.sifted.test
        self._tested = tuple(
            PackedBits.from_bytes(decode(said[side][_TESTED], Tested).outcomes, test.size)
            for side in Side
        )
        self.evidence = Evidence.of(
            opening.protocol,
            self.sifted,
            (self._tested[0], self._tested[1]),
            rare=opening.rare_basis,
        )

    @property
    def accepted(self) -> bool:
        """Whether both sides went on to reconciliation."""
        verdicts = [body[_DECIDED] for body in self._said.values() if len(body) > _DECIDED]
        return len(verdicts) == 2 and all(decode(each, Decided).go for each in verdicts)

    @property
    def estimate(self) -> float:
        """The error rate that reconciliation prepares for."""
        return self.evidence.expected_qber(self._opening.reconciliation)

    def engine(self) -> tuple[Method, Reconciler]:
        """The method, and Alice's engine but of zeros; only for a block that was accepted."""
        return reconciler(
            self._opening.reconciliation,
            PackedBits.zeros(self.sifted.key.size),
            self.sifted.parts,
            self.estimate,
            hkdf(self._public_seed, info=b"cascade", length=32),
            corrects=False,
        )

    def rounds(self, method: Method, engine: Reconciler) -> Iterator[Round]:
        """What each round found; the engine is at its end after the last one."""
        said = zip(*(self._said[side][_DECIDED:] for side in Side), strict=False)
        engine.first()
        leaked = 0
        for number, both in enumerate(said, 1):
            alice, bob = (decode(each, Decided).body if number == 1 else each for each in both)
            parities, leaked = engine.leaked_bits - leaked, engine.leaked_bits
            heard, wrong = bob, None
            if method is Method.CASCADE:
                differs = np.frombuffer(alice, np.uint8) ^ np.frombuffer(bob, np.uint8)
                heard, wrong = differs.tobytes(), int(np.bitwise_count(differs).sum())
            try:
                answer = engine.receive(heard)
            except ReconciliationFailed:
                return
            yield Round(number, parities, wrong, sum(engine.errors))
            if answer is None:
                return

    def first_parities(self, count: int) -> tuple[str, str] | None:
        """The first parities of both sides' openings as digits; None unless accepted."""
        if not self.accepted:
            return None
        alice, bob = (
            np.frombuffer(decode(self._said[side][_DECIDED], Decided).body, np.uint8)
            for side in Side
        )
        first, second = (
            "".join(map(str, np.unpackbits(each, bitorder="little")[:count]))
            for each in (alice, bob)
        )
        return first, second

    def first_slots(self, count: int) -> tuple[FirstSlot, ...]:
        """What became of the first common slots."""
        alice, bob = (_numbers(each) for each in self.settings)
        return tuple(
            self._follow(at, int(alice[at]), int(bob[at]))
            for at in range(min(count, self.slots.size))
        )

    def cells(self) -> dict[tuple[int, int], int]:
        """Common slots by (Alice's setting, Bob's)."""
        settings = range(self._opening.protocol.settings)
        alice, bob = self.settings
        return {(a, b): (alice.equal(a) & bob.equal(b)).count() for a in settings for b in settings}

    def _follow(self, at: int, alice: int, bob: int) -> FirstSlot:
        # One mark goes the way of the slot's outcome: where it comes out, the outcome does.
        mark = np.zeros(self.slots.size, np.uint8)
        mark[at] = 1
        went = self._sift(PackedBits.of(mark))
        slot = int(self.slots[at])
        if went.key.count():
            return FirstSlot(slot, alice, bob, "key", None)
        if not went.test.count():
            return FirstSlot(slot, alice, bob, "dropped", None)
        place = int(np.flatnonzero(went.test.unpack())[0])
        first, second = (int(each.unpack()[place]) for each in self._tested)
        return FirstSlot(slot, alice, bob, "test", (first, second))

    def _common(self) -> Slots:
        plane = self._received(Side.BOB)
        if self._opening.protocol.entangled:
            plane &= self._received(Side.ALICE)
        return positions(plane, plane.count())

    def _received(self, side: Side) -> PackedBits:
        received = decode(self._said[side][_RECEIVED], Received)
        return decode_plane(received.slots, self._opening.pulses, "list of slots")

    def _choices(self, announced: Announced) -> Choices:
        kinds = self._opening.protocol.settings
        planes = announced.low, announced.high
        return Choices.decode(planes, self.slots.size, kinds, "settings")

    def _sift(self, outcomes: PackedBits) -> Sifted:
        return sift(
            self._opening.protocol,
            self.settings,
            outcomes,
            self._opening.sample_share,
            hkdf(self._public_seed, info=b"sample", length=32),
            rare=self._opening.rare_basis,
        )


def _numbers(choices: Choices) -> Slots:
    low = choices.low.unpack().astype(np.int64)
    return low if choices.high is None else low + 2 * choices.high.unpack()


PARTS = {
    Protocol.E91: ("settings π/4 and π/4", "settings π/2 and π/2"),
    Protocol.BB84: ("rectilinear basis", "diagonal basis"),
    Protocol.BBM92: ("rectilinear basis", "diagonal basis"),
}
"""The two parts of a key, by name."""
