"""Column degrees for the codes of `bellwire.distill.ldpc_code`, by density evolution.

    .venv/bin/python tools/ldpc_degrees.py RATE [--seconds N] [--seed N]

RATE is checks per bit, such as 0.16 for a QBER of 2 %. Printed is every ensemble that needs less
than those before it: its threshold over Shannon's limit, the belief of the channel, and the
degrees.

Messages are integers, and check and bit update are the decoder's own, so their distributions are
followed without error but for two simplifications: graphs without cycles, and all checks of one
degree or the next. Beliefs are not cut off at a byte. Source of the method: Richardson and
Urbanke, "The capacity of low-density parity-check codes under message-passing decoding", IEEE
Trans. Inf. Theory 47 (2001).
"""

import argparse
import math
import time
from collections.abc import Mapping

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bellwire.base.bits import binary_entropy
from bellwire.distill.kernels.check_nodes import CLIP

Distribution = NDArray[np.float64]
Degrees = Mapping[int, float]
"""Share of columns of each degree."""

_PLACES = 4096  # of the transform that adds messages: more than any sum
_DONE = 1e-5
_NEAR = 10
HIGHEST_DEGREE = 24


def _magnitudes() -> NDArray[np.int64]:
    """For each pair of magnitudes 0 … CLIP, what a check makes of them."""
    a = np.arange(CLIP + 1)[:, None]
    b = a.T
    near: NDArray[np.int64] = np.maximum(0, _NEAR - np.abs(a - b)) >> 2
    folded: NDArray[np.int64] = np.maximum(0, np.minimum(a, b) - near)
    return folded


_TABLE = _magnitudes()


@njit(nogil=True)
def _combined(p: Distribution, q: Distribution, table: NDArray[np.int64]) -> Distribution:
    out = np.zeros_like(p)
    for i in range(p.size):
        for j in range(q.size):
            out[table[i, j]] += p[i] * q[j]
    return out


def _folded(p: Distribution, count: int) -> Distribution:
    out = p
    for _ in range(count - 1):
        out = _combined(out, p, _TABLE)
    return out


def _binned(bins: NDArray[np.int64], weights: Distribution) -> Distribution:
    return np.bincount(bins, weights, 2 * CLIP + 1).astype(np.float64)


def sweeps(rate: float, qber: float, prior: int, degrees: Degrees, limit: int) -> int | None:
    """Flooding iterations until hardly a message is wrong; None if that takes more than `limit`.

    Args:
        rate: Checks per bit.
        qber: Of the channel.
        prior: Belief of the channel.
        degrees: Of the columns.
        limit: Iterations.
    """
    average = sum(degree * share for degree, share in degrees.items())
    held = average / rate
    low = math.floor(held)
    high_edges = (held - low) * (low + 1) / held
    channel = np.zeros(_PLACES)
    channel[prior], channel[-prior] = 1.0 - qber, qber
    transformed = np.fft.rfft(channel)
    values = np.arange(_PLACES)
    values = np.where(values < _PLACES // 2, values, values - _PLACES)
    bins = np.clip(values, -CLIP, CLIP) + CLIP
    told = _binned(bins, channel)
    before = 1.0
    for iteration in range(limit):
        # Signs multiply and magnitudes fold: sum and difference of both signs fold alike.
        plus, minus = told[CLIP:].copy(), told[CLIP::-1].copy()
        minus[0] = 0.0
        parts: list[Distribution] = []
        for each in (plus + minus, plus - minus):
            some = _folded(each, low - 1)
            parts.append((1.0 - high_edges) * some + high_edges * _combined(some, each, _TABLE))
        message = np.zeros(_PLACES)
        message[1 : CLIP + 1] = (parts[0][1:] + parts[1][1:]) / 2.0
        message[-CLIP:] = ((parts[0][1:] - parts[1][1:]) / 2.0)[::-1]
        message[0] = parts[0][0]
        spectrum = np.fft.rfft(message)
        total = sum(
            degree * share / average * spectrum ** (degree - 1) for degree, share in degrees.items()
        )
        summed = np.maximum(0.0, np.fft.irfft(total * transformed, _PLACES))
        told = _binned(bins, summed / summed.sum())
        wrong = float(told[:CLIP].sum() + told[CLIP] / 2.0)
        if wrong < _DONE:
            return iteration + 1
        if iteration > 25 and iteration % 10 == 0:
            if wrong > 0.985 * before:
                return None
            before = wrong
    return None


def threshold(rate: float, prior: int, degrees: Degrees, limit: int = 90) -> float:
    """Checks over Shannon's limit at the highest error rate that still decodes; 2 if none does."""
    low, high = 1.0, 2.0
    for _ in range(8):
        middle = (low + high) / 2.0
        if sweeps(rate, _qber(rate / middle), prior, degrees, limit) is None:
            low = middle
        else:
            high = middle
    return high


def _qber(entropy: float) -> float:
    low, high = 1e-6, 0.5
    for _ in range(50):
        middle = (low + high) / 2.0
        low, high = (middle, high) if binary_entropy(middle) < entropy else (low, middle)
    return low


def search(rate: float, seconds: float, seed: int) -> None:
    """Wander from ensemble to ensemble, always to better ones, and print them."""
    rng = np.random.default_rng(seed)
    qber = _qber(rate / 1.1)
    place = [0.8 * rate, 0.09, 0.2, 22.0, 8.0, round(3.6 * math.log((1.0 - qber) / qber))]
    best = 9.0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        trial = list(place)
        if best < 9.0:
            for i in np.flatnonzero(rng.random(6) < 0.4):
                step = rng.integers(-2, 3) if i > 2 else trial[i] * 0.25 * rng.normal()
                trial[i] = trial[i] + step
        two, most, some, highest, middle, prior = trial
        highest = min(max(highest, 5), HIGHEST_DEGREE)
        middle = min(max(middle, 4), highest - 1)
        three = 1.0 - two - most - some
        if min(two, most, some, three) < 0.0 or two > 0.97 * rate or prior < 3:
            continue
        degrees = {2: two, 3: three, int(middle): some, int(highest): most}
        found = threshold(rate, int(prior), degrees)
        if found < best:
            best, place = found, trial
            shares = {degree: round(share, 3) for degree, share in degrees.items()}
            print(f"{found:.3f}  prior {int(prior)}  {shares}", flush=True)


def main() -> None:
    """Read the arguments and search."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("rate", type=float, help="checks per bit")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    search(given.rate, given.seconds, given.seed)


if __name__ == "__main__":
    main()
