"""Halves of a block straight from the statistics, without a link: for tests of the protocol."""

import numpy as np

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES
from bellwire.base.detections import Detections, Half, Protocol, Side, Slots


class Prepared:
    """Alice's half of what she prepares: she can say basis, bit and intensity of any slot."""

    def __init__(
        self, settings: np.ndarray, outcomes: np.ndarray, intensities: np.ndarray | None = None
    ) -> None:
        self._settings, self._outcomes, self._intensities = settings, outcomes, intensities

    @property
    def received(self) -> Slots | None:
        return None

    def at(self, slots: Slots) -> Detections:
        shades = None if self._intensities is None else self._intensities[slots]
        return Detections(slots, self._settings[slots], self._outcomes[slots], shades)


def bb84(pulses: int, qber: float, rng: np.random.Generator, loss: float = 0.0) -> dict[Side, Half]:
    """BB84 with independent errors of rate `qber` in equal bases and losses of rate `loss`."""
    bits, bases, bob = (rng.integers(0, 2, pulses, np.uint8) for _ in range(3))
    flips = (rng.random(pulses) < qber).astype(np.uint8)
    noise = rng.integers(0, 2, pulses, np.uint8)
    outcomes = np.where(bases == bob, bits ^ flips, noise).astype(np.uint8)
    slots = np.flatnonzero(rng.random(pulses) >= loss).astype(np.int64)
    return {
        Side.ALICE: Prepared(bases, bits),
        Side.BOB: Detections(slots, bob[slots], outcomes[slots]),
    }


def e91(
    pulses: int,
    visibility: float,
    rng: np.random.Generator,
    axis: float | None = None,
    loss: float = 0.0,
) -> dict[Side, Half]:
    """E91 with E(a, b) = V cos(a − b); with an Eve along `axis`, V cos(a − axis) cos(b − axis)."""
    a, b = (rng.integers(0, 3, pulses).astype(np.uint8) for _ in range(2))
    alpha, beta = np.array(ALICE_ANGLES)[a], np.array(BOB_ANGLES)[b]
    if axis is None:
        correlation = visibility * np.cos(alpha - beta)
    else:
        correlation = visibility * np.cos(alpha - axis) * np.cos(beta - axis)
    first = rng.integers(0, 2, pulses, np.uint8)
    second = first ^ (rng.random(pulses) < 0.5 * (1.0 - correlation)).astype(np.uint8)
    there = [np.flatnonzero(rng.random(pulses) >= loss).astype(np.int64) for _ in range(2)]
    return {
        Side.ALICE: Detections(there[0], a[there[0]], first[there[0]]),
        Side.BOB: Detections(there[1], b[there[1]], second[there[1]]),
    }


def bbm92(
    pulses: int, qber: float, rng: np.random.Generator, loss: float = 0.0
) -> dict[Side, Half]:
    """As `bb84`, but both sides detect, each with losses of its own."""
    light = bb84(pulses, qber, rng, loss)
    kept = np.flatnonzero(rng.random(pulses) >= loss).astype(np.int64)
    return {**light, Side.ALICE: light[Side.ALICE].at(kept)}


def halves(protocol: Protocol, pulses: int, rng: np.random.Generator) -> dict[Side, Half]:
    """A clean block of any protocol at 2 % QBER."""
    if protocol is Protocol.BB84:
        return bb84(pulses, 0.02, rng)
    if protocol is Protocol.BBM92:
        return bbm92(pulses, 0.02, rng)
    return e91(pulses, 0.96, rng)
