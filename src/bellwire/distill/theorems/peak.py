"""Where a function of one number is highest.

A theorem often leaves a number free, any value of which proves something; this finds a good one. A
point that is not quite the highest is no mistake, only a bit fewer of key.
"""

import math
from collections.abc import Callable

_COARSE = 32
_STEPS = 40
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


def peak(
    height: Callable[[float], float], low: float, high: float, *, steps: int = _STEPS
) -> float:
    """A point of [low, high] where `height` is about highest: a scan, then the golden section.

    Each of the `steps` of the latter narrows (high − low)/16 by 0.618.
    """
    step = (high - low) / _COARSE
    best = max((low + step * k for k in range(_COARSE + 1)), key=height)
    left, right = max(low, best - step), min(high, best + step)
    inner = [right - _GOLDEN * (right - left), left + _GOLDEN * (right - left)]
    values = [height(each) for each in inner]
    for _ in range(steps):
        if values[0] < values[1]:
            left, inner[0], values[0] = inner[0], inner[1], values[1]
            inner[1] = left + _GOLDEN * (right - left)
            values[1] = height(inner[1])
        else:
            right, inner[1], values[1] = inner[1], inner[0], values[0]
            inner[0] = right - _GOLDEN * (right - left)
            values[0] = height(inner[0])
    return max((best, *inner), key=height)


def log_peak(
    height: Callable[[float], float], low: float, high: float, *, steps: int = _STEPS
) -> float:
    """The same for a number above 0 whose size is unknown: searched by its logarithm."""
    return math.exp(peak(lambda x: height(math.exp(x)), math.log(low), math.log(high), steps=steps))
