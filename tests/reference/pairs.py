"""Windows of pairs photon by photon, as one would first write it; the slow twin of `pair_law`.

Everything is drawn: how many pairs, the outcome of each photon of each pair, whether it is
registered, dark counts, coins.
"""

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bellwire.base.detections import Protocol
from bellwire.link.config import LinkConfig
from bellwire.link.eve import Eve
from bellwire.link.pair_law import NOTHING, STATES, angles
from bellwire.link.pairs import PairSource, PairStatistics


def simulate(
    protocol: Protocol,
    config: LinkConfig,
    source: PairSource,
    eve: Eve | None,
    windows: int,
    rng: Generator,
) -> NDArray[np.int64]:
    """(settings, settings, STATES, STATES) counts of all windows."""
    ours, theirs = (np.array(side) for side in angles(protocol))
    a, b = rng.integers(0, ours.size, windows), rng.integers(0, theirs.size, windows)
    mean = source.mean_pairs
    if source.statistics is PairStatistics.THERMAL:
        number = rng.geometric(1.0 / (1.0 + mean), windows) - 1
    else:
        number = rng.poisson(mean, windows)
    window = np.repeat(np.arange(windows), number)
    pairs = window.size
    ideal = np.array(
        [
            [math.cos(x - y) if eve is None else eve.correlation(protocol, x, y) for y in theirs]
            for x in ours
        ]
    )
    c = ideal[a[window], b[window]]
    first = rng.integers(0, 2, pairs)
    # The optics turn an outcome with probability e.
    second = (
        first ^ (rng.random(pairs) < (1.0 - c) / 2.0) ^ (rng.random(pairs) < config.misalignment)
    )
    lit = rng.random((2, windows, 2)) < config.dark_count_probability
    eta = config.transmittance(protocol) * config.detector_efficiency
    for side, outcome in enumerate((first, second)):
        registered = rng.random(pairs) < eta
        lit[side, window[registered], outcome[registered]] = True
    states = [_read(clicks, rng) for clicks in lit]
    counts = np.zeros((ours.size, theirs.size, STATES, STATES), np.int64)
    np.add.at(counts, (a, b, *states), 1)
    return counts


def _read(clicks: NDArray[np.bool_], rng: Generator) -> NDArray[np.int64]:
    """(n,) states of (n, 2) clicks."""
    coin = 2 + rng.integers(0, 2, len(clicks))
    state = np.where(clicks[:, 1], 1, 0)
    state[clicks.all(axis=1)] = coin[clicks.all(axis=1)]
    state[~clicks.any(axis=1)] = NOTHING
    return state
