"""Finite decoy bounds by linear programs, and the truth that they bound.

Yields of n photons are unknowns; each intensity's expected count lies within its deviation of what
was seen. The least number of single photons that any yields permit cannot be below the closed form,
and a channel's own number lies above both.
"""

import math

import numpy as np
from scipy.optimize import linprog

PHOTONS = 14
"""Beyond these a pulse of the tests' intensities all but never has any."""


def chances(means: tuple[float, ...], shares: tuple[float, ...]) -> list[list[float]]:
    """P(intensity k and n photons), for every k."""
    return [
        [p * math.exp(-k) * k**n / math.factorial(n) for n in range(PHOTONS)]
        for k, p in zip(means, shares, strict=True)
    ]


def extreme(
    means: tuple[float, ...],
    shares: tuple[float, ...],
    seen: tuple[float, ...],
    deviation: float,
    photons: int,
    *,
    most: bool = False,
) -> float:
    """Least, or most, counts from pulses of so many photons that fit what was seen.

    Unknown is s_n, the counts of n photons; of them the share P(k|n) has intensity k.
    """
    joint = np.array(chances(means, shares))
    conditional = joint / joint.sum(axis=0)
    seen_ = np.array(seen)
    cost = np.zeros(PHOTONS)
    cost[photons] = -1.0 if most else 1.0
    found = linprog(
        cost,
        A_ub=np.concatenate([conditional, -conditional]),
        b_ub=np.concatenate([seen_ + deviation, -(seen_ - deviation)]),
        bounds=[(0.0, None)] * PHOTONS,
        method="highs",
    )
    assert found.status == 0, found.message
    assert found.x is not None
    return float(found.x[photons])


def channel(
    means: tuple[float, ...],
    shares: tuple[float, ...],
    pulses: float,
    eta: float,
    background: float,
    error: float,
) -> tuple[list[float], list[float], list[float], list[float]]:
    """Counts and errors by intensity, and by number of photons, of a lossy channel."""
    joint = chances(means, shares)
    yields = [1 - (1 - background) * (1 - eta) ** n for n in range(PHOTONS)]
    wrong = [background / 2 + error * (y - background) for y in yields]
    counts = [pulses * math.fsum(c * y for c, y in zip(row, yields, strict=True)) for row in joint]
    errors = [pulses * math.fsum(c * w for c, w in zip(row, wrong, strict=True)) for row in joint]
    by_number = [pulses * yields[n] * math.fsum(row[n] for row in joint) for n in range(PHOTONS)]
    wrong_by = [pulses * wrong[n] * math.fsum(row[n] for row in joint) for n in range(PHOTONS)]
    return counts, errors, by_number, wrong_by
