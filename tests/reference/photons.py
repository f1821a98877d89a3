"""Slow twin of `bellwire.link.simulate`: pulse by pulse, on state vectors, with Born's rule.

Shares no formula with the engine. Photons are real amplitudes (the X–Z plane), Eve's measurement
collapses them, her controlled-NOT adds a third qubit, misalignment is a Pauli Y on Bob's photon
(which flips every direction of the plane), and each detector is loss, efficiency and dark counts
taken one after the other.
"""

import math
import random
from collections import Counter

from bellwire.base.detections import Protocol
from bellwire.link.config import LinkConfig
from bellwire.link.eve import Eve, EveKind

NONE = 2
"""The outcome of a side that registered nothing."""

Click = tuple[int, int, int, int]
"""Alice's setting, Bob's, Alice's outcome, Bob's."""


class State:
    """A register of qubits with real amplitudes; qubit k is bit k of an amplitude's index."""

    def __init__(self, amplitudes: list[float]) -> None:
        self.amplitudes = amplitudes

    def add(self) -> int:
        """One more qubit, in |0⟩; its number."""
        count = len(self.amplitudes)
        self.amplitudes = [*self.amplitudes, *([0.0] * count)]
        return count.bit_length() - 1

    def apply(self, qubit: int, matrix: tuple[tuple[float, float], tuple[float, float]]) -> None:
        """A real 2 × 2 matrix on one qubit."""
        mask = 1 << qubit
        for i in range(len(self.amplitudes)):
            if not i & mask:
                low, high = self.amplitudes[i], self.amplitudes[i | mask]
                self.amplitudes[i] = matrix[0][0] * low + matrix[0][1] * high
                self.amplitudes[i | mask] = matrix[1][0] * low + matrix[1][1] * high

    def turn(self, qubit: int, angle: float) -> None:
        """Rotate by a Bloch angle about Y: |0⟩ becomes the +1 state of that angle."""
        c, s = math.cos(angle / 2), math.sin(angle / 2)
        self.apply(qubit, ((c, -s), (s, c)))

    def controlled_not(self, control: int, target: int) -> None:
        """Flip `target` where `control` is 1."""
        flipped = list(self.amplitudes)
        for i, amplitude in enumerate(self.amplitudes):
            flipped[i ^ (1 << target) if i >> control & 1 else i] = amplitude
        self.amplitudes = flipped

    def measure(self, qubit: int, angle: float, rng: random.Random) -> int:
        """Measure along a Bloch angle, collapse, and give the outcome."""
        self.turn(qubit, -angle)
        ones = sum(x * x for i, x in enumerate(self.amplitudes) if i >> qubit & 1)
        outcome = int(rng.random() < ones)
        norm = math.sqrt(ones if outcome else 1.0 - ones)
        self.amplitudes = [
            x / norm if i >> qubit & 1 == outcome else 0.0 for i, x in enumerate(self.amplitudes)
        ]
        self.turn(qubit, angle)
        return outcome

    def swap_pairs(self, rng: random.Random) -> None:
        """Qubits 0 and 1 in Φ⁺ with one of Eve's each; she measures the Bell state of hers."""
        self.amplitudes = [0.5 * (i & 3 == i >> 2) for i in range(16)]
        self.controlled_not(2, 3)
        self.measure(2, math.pi / 2, rng)
        self.measure(3, 0.0, rng)

    def clone(self, qubit: int) -> None:
        """The symmetric phase-covariant cloner of the X–Z plane, onto a copy and an ancilla."""
        s = math.sqrt(1 / 8)
        sent, copy, ancilla = 1 << qubit, 1 << self.add(), 1 << self.add()
        before, self.amplitudes = self.amplitudes, [0.0] * len(self.amplitudes)
        for i, amplitude in enumerate(before):
            k = i >> qubit & 1
            for flip_sent, flip_copy, factor in (
                (0, 0, 0.5 + s),
                (1, 1, 0.5 - s),
                (0, 1, s),
                (1, 0, s),
            ):
                j = (i ^ sent * flip_sent) | copy * (k ^ flip_copy)
                self.amplitudes[j | ancilla * (k ^ flip_sent ^ flip_copy)] += factor * amplitude


def attack(state: State, qubit: int, eve: Eve, protocol: Protocol, rng: random.Random) -> None:
    """What Eve does to one photon."""
    if rng.random() >= eve.share:
        return
    if eve.kind is EveKind.SUBSTITUTION:
        state.swap_pairs(rng)
        return
    if eve.kind is EveKind.CLONER:
        state.clone(qubit)
        return
    angles = eve.axes_for(protocol).angles
    axis = rng.uniform(0.0, 2 * math.pi) if angles is None else rng.choice(angles)
    if eve.kind is not EveKind.GHZ:
        state.measure(qubit, axis, rng)  # the collapsed photon is the one she sends on
        return
    ancilla = state.add()
    state.turn(qubit, -axis)
    state.controlled_not(qubit, ancilla)
    state.turn(qubit, axis)


def detect(
    state: State,
    qubit: int,
    angle: float,
    km: float,
    db: float,
    config: LinkConfig,
    rng: random.Random,
) -> int:
    """One side's two detectors: loss, efficiency, dark counts, squashing."""
    clicked = [rng.random() < config.dark_count_probability for _ in range(2)]
    arrives = rng.random() < 10 ** (-(km * config.loss_db_per_km + db) / 10)
    if arrives and rng.random() < config.detector_efficiency:
        clicked[state.measure(qubit, angle, rng)] = True
    if not any(clicked):
        return NONE
    return rng.randrange(2) if all(clicked) else clicked.index(True)


def misalign(state: State, qubit: int, config: LinkConfig, rng: random.Random) -> None:
    """A Pauli Y (times i, to stay real) with the probability of an error."""
    if rng.random() < config.misalignment:
        state.apply(qubit, ((0.0, -1.0), (1.0, 0.0)))


def bb84(config: LinkConfig, eve: Eve | None, rng: random.Random) -> Click:
    """One pulse: Alice prepares, Eve touches, Bob measures."""
    basis, bit, bob = rng.randrange(2), rng.randrange(2), rng.randrange(2)
    state = State([0.0, 1.0] if bit else [1.0, 0.0])
    if basis:
        state.turn(0, math.pi / 2)
    if eve is not None:
        attack(state, 0, eve, Protocol.BB84, rng)
    misalign(state, 0, config, rng)
    angle = math.pi / 2 if bob else 0.0
    found = detect(state, 0, angle, config.fibre_km, config.insertion_loss_db, config, rng)
    return basis, bob, bit, found


def e91(config: LinkConfig, eve: Eve | None, rng: random.Random) -> Click:
    """One Φ⁺ pair: qubit 0 to Alice, qubit 1 past Eve to Bob."""
    a, b = rng.randrange(3), rng.randrange(3)
    state = State([math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)])
    if eve is not None:
        attack(state, 1, eve, Protocol.E91, rng)
    misalign(state, 1, config, rng)
    km, db = config.fibre_km / 2, config.insertion_loss_db / 2
    alice = detect(state, 0, math.radians(45 * a), km, db, config, rng)
    bob = detect(state, 1, math.radians(45 * b + 45), km, db, config, rng)
    return a, b, alice, bob


def bbm92(config: LinkConfig, eve: Eve | None, rng: random.Random) -> Click:
    """One Φ⁺ pair as in `e91`, but each side measures along Z or X."""
    a, b = rng.randrange(2), rng.randrange(2)
    state = State([math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)])
    if eve is not None:
        attack(state, 1, eve, Protocol.BBM92, rng)
    misalign(state, 1, config, rng)
    km, db = config.fibre_km / 2, config.insertion_loss_db / 2
    alice = detect(state, 0, math.radians(90 * a), km, db, config, rng)
    bob = detect(state, 1, math.radians(90 * b), km, db, config, rng)
    return a, b, alice, bob


def run(
    protocol: Protocol, config: LinkConfig, pulses: int, eve: Eve | None, seed: int
) -> Counter[Click]:
    """Count what `pulses` pulses or pairs gave."""
    one = {Protocol.BB84: bb84, Protocol.BBM92: bbm92, Protocol.E91: e91}[protocol]
    rng = random.Random(seed)
    return Counter(one(config, eve, rng) for _ in range(pulses))
