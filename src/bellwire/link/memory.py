"""One side's clicks with the memory of its detectors: dead time and afterpulses."""

import math

import numpy as np

from bellwire.base.detections import Outcomes, Slots
from bellwire.crypto.stream import NoiseStream
from bellwire.link.detectors import Detectors
from bellwire.link.kernels.memory import NOTHING, remember

_BATCH = 1 << 16


def registered(
    detectors: Detectors, light: Slots, outcomes: Outcomes, pulses: int, noise: NoiseStream
) -> tuple[Slots, Outcomes]:
    """What is registered of clicks that detectors without memory would have.

    Args:
        detectors: Their dead time and afterpulses.
        light: (n,) slots with a click, strictly increasing.
        outcomes: (n,) uint8.
        pulses: Slots of the block; nothing clicks from there on.
        noise: What nature decides.

    Returns:
        Slots and outcomes of all clicks, afterpulses among them.
    """
    state = np.array([0, 0, NOTHING, NOTHING], np.int64)
    leak = -math.expm1(-1.0 / detectors.afterpulse_gates)
    parts = []
    while state[0] >= 0:
        slots, bits = np.empty(_BATCH, np.int64), np.empty(_BATCH, np.uint8)
        draws = noise.uniform(3 * _BATCH)
        rates = detectors.dead_gates, detectors.afterpulse, leak
        count = remember(light, outcomes, pulses, *rates, draws, state, slots, bits)
        parts.append((slots[:count], bits[:count]))
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
