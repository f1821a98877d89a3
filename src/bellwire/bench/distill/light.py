"""Light for benchmarks of distillation: both halves of BB84 blocks, made beforehand.

A detection in every second slot, no eavesdropper, errors at a given rate. Alice's half is a table
of her pulses, as a sender that recorded them has; Bob's is what his detectors gave.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bellwire.base.detections import Detections, Half, Protocol, Side, Slots
from bellwire.distill.messages import TICKET_BYTES, VERSION, Open

SLOTS_A_DETECTION = 2
SAMPLE_SHARE = 0.01
"""Enough to choose Cascade's blocks by; Eve is limited by the rare basis, and by nothing else."""

EPSILON = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Pulses:
    """What Alice prepared in each slot: bit 0 the basis, bit 1 her bit. Secret."""

    prepared: NDArray[np.uint8]

    def __repr__(self) -> str:
        return f"Pulses({self.prepared.size})"

    @property
    def received(self) -> None:
        """Nothing: she has no detectors."""
        return

    def at(self, slots: Slots) -> Detections:
        """Bases and bits at `slots`."""
        found = self.prepared[slots]
        return Detections(slots, found & np.uint8(1), found >> np.uint8(1))


def halves(detections: int, qber: float, rectilinear: float, seed: int) -> dict[Side, Half]:
    """Both halves of so many detections."""
    rng = np.random.default_rng(seed)
    slots = SLOTS_A_DETECTION * np.arange(detections, dtype=np.int64)
    slots += rng.integers(0, SLOTS_A_DETECTION, detections, np.uint8)
    pulses = SLOTS_A_DETECTION * detections
    bits = rng.integers(0, 2, pulses, np.uint8)
    alice = _bases(pulses, rectilinear, rng)
    bob = _bases(detections, rectilinear, rng)
    seen = bits[slots] ^ (rng.random(detections, np.float32) < qber)
    other = rng.integers(0, 2, detections, np.uint8)
    outcomes = np.where(alice[slots] == bob, seen, other).astype(np.uint8)
    return {
        Side.ALICE: Pulses(alice | bits << np.uint8(1)),
        Side.BOB: Detections(slots, bob, outcomes),
    }


def _bases(count: int, rectilinear: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    return (rng.random(count, np.float32) >= rectilinear).astype(np.uint8)


def opening(number: int, detections: int, rectilinear: float) -> Open:
    """The first message of such a block."""
    return Open(
        VERSION,
        number,
        False,
        Protocol.BB84,
        SLOTS_A_DETECTION * detections,
        bytes(TICKET_BYTES),
        SAMPLE_SHARE,
        EPSILON,
        0.11,
        2.2,
        rectilinear,
    )
