"""A side's clicks, one after the other, with what earlier ones leave behind.

Twin: `tests/reference/detectors.py`, gate by gate.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

NOTHING = np.iinfo(np.int64).max
"""The time of a carrier that is not there."""


@njit(cache=True, nogil=True)
def remember(
    light: NDArray[np.int64],
    outcomes: NDArray[np.uint8],
    pulses: int,
    dead: int,
    afterpulse: float,
    leak: float,
    draws: NDArray[np.float64],
    state: NDArray[np.int64],
    slots: NDArray[np.int64],
    bits: NDArray[np.uint8],
) -> int:
    """Write the next clicks that are registered, as many as there is room for.

    Args:
        light: (n,) slots with a click of light or dark, increasing.
        outcomes: (n,) their outcomes.
        pulses: Slots of the block.
        dead: Gates that a click blinds.
        afterpulse: Probability that it leaves a carrier behind.
        leak: Probability that a carrier comes free in a gate.
        draws: Three uniform numbers for each click that there is room for.
        state: Next of `light` (−1 at the end), first live gate, when the carrier of each detector
            comes free (or NOTHING); read and written.
        slots: Room for clicks; written.
        bits: Room for their outcomes; written.

    Returns:
        Clicks written.
    """
    at, live = state[0], state[1]
    free = state[2:]
    count = 0
    while count < slots.size:
        while at < light.size and light[at] < live:
            at += 1
        for d in range(2):
            if free[d] < live:  # it came free while the detector was blind
                free[d] = NOTHING
        shone = light[at] if at < light.size else NOTHING
        now = min(shone, free[0], free[1])
        if now >= pulses:
            state[0] = -1
            return count
        zero, one = free[0] == now, free[1] == now
        if zero:
            free[0] = NOTHING
        if one:
            free[1] = NOTHING
        if shone == now:
            zero, one = zero or outcomes[at] == 0, one or outcomes[at] == 1
            at += 1
        bit = int(one)
        if zero and one:
            bit = int(draws[3 * count] < 0.5)
        slots[count] = now
        bits[count] = bit
        live = now + 1 + dead
        if free[bit] == NOTHING and draws[3 * count + 1] < afterpulse:
            free[bit] = live + int(math.log1p(-draws[3 * count + 2]) / math.log1p(-leak))
        count += 1
    state[0], state[1] = at, live
    return count
