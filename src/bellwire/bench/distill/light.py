"""Light for benchmarks of distillation: both halves of BB84 blocks, made beforehand.

A detection in every second slot, no eavesdropper, errors at a given rate. The halves are planes of
bits, as electronics that has so many detections gives them.
"""

import numpy as np

from bellwire.base.bits import Bits, PackedBits
from bellwire.base.detections import Protocol, Side
from bellwire.distill.choices import Choices
from bellwire.distill.messages import TICKET_BYTES, VERSION, Open
from bellwire.distill.planes import Planes, PreparedPlanes, Registered
from bellwire.distill.reconciliation import Method

SLOTS_A_DETECTION = 2
SAMPLE_SHARE = 0.01
"""Enough to choose Cascade's blocks by; Eve is limited by the rare basis, and by nothing else."""

EPSILON = 1e-10


def halves(detections: int, qber: float, rectilinear: float, seed: int) -> dict[Side, Planes]:
    """Both halves of so many detections."""
    rng = np.random.default_rng(seed)
    pulses = SLOTS_A_DETECTION * detections
    slots = SLOTS_A_DETECTION * np.arange(detections, dtype=np.int64)
    slots += rng.integers(0, SLOTS_A_DETECTION, detections, np.uint8)
    mask = np.zeros(pulses, np.uint8)
    mask[slots] = 1
    bits = rng.integers(0, 2, pulses, np.uint8)
    alice = _bases(pulses, rectilinear, rng)
    bob = _bases(detections, rectilinear, rng)
    seen = bits[slots] ^ (rng.random(detections, np.float32) < qber)
    other = rng.integers(0, 2, detections, np.uint8)
    outcomes = np.where(alice[slots] == bob, seen, other).astype(np.uint8)
    return {
        Side.ALICE: PreparedPlanes(PackedBits.of(alice), PackedBits.of(bits)),
        Side.BOB: Registered(
            PackedBits.of(mask), Choices(PackedBits.of(bob)), PackedBits.of(outcomes)
        ),
    }


def _bases(count: int, rectilinear: float, rng: np.random.Generator) -> Bits:
    return (rng.random(count, np.float32) >= rectilinear).astype(np.uint8)


def opening(
    number: int, detections: int, rectilinear: float, method: Method = Method.CASCADE
) -> Open:
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
        reconciliation=method,
    )
