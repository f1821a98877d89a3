"""Slow twins of the loops over time tags: one sentence of the specification each."""

import math

import numpy as np


def parse_csv(text: bytes) -> list[tuple[int, int, int]]:
    """(time, channel, start) of every line; ValueError for a line that is none."""
    found, at = [], 0
    for line in text.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            raise ValueError(at)
        time, channel = line.removesuffix(b"\n").removesuffix(b"\r").split(b",")
        if not (time.isdigit() and channel.isdigit() and len(time) <= 18 and len(channel) <= 6):
            raise ValueError(at)
        found.append((int(time), int(channel), at))
        at += len(line)
    return found


def group(times: list[int], window: int) -> list[int]:
    """Index of the first tag of each event."""
    starts: list[int] = []
    for i, time in enumerate(times):
        if not starts or time - times[starts[-1]] > window:
            starts.append(i)
    return starts


def near(alice: list[int], bob: list[int], low: int, high: int) -> list[tuple[int, int]]:
    """(Bob's index, difference) of all pairs with low ≤ alice − bob < high."""
    return [(i, a - b) for i, b in enumerate(bob) for a in alice if low <= a - b < high]


def beside(alice: list[int], bob: list[int], half: int, step: int, most: int) -> int:
    """Pairs in windows at k·step, k = ±1 … ±most."""
    shifts = [sign * k * step for k in range(1, most + 1) for sign in (-1, 1)]
    return sum(len(near(alice, bob, shift - half, shift + half)) for shift in shifts)


def match(alice: list[int], bob: list[int], half: int) -> list[tuple[int, int]]:
    """Coincidences, each event in one at most; the earlier stands."""
    pairs: list[tuple[int, int]] = []
    for i, b in enumerate(bob):
        for j, a in enumerate(alice):
            if -half <= a - b < half and all(j > taken for taken, _ in pairs):
                pairs.append((j, i))
                break
    return pairs


def live(times: list[int], detectors: list[int], dead: int) -> list[bool]:
    """Which clicks happen."""
    last: dict[int, int] = {}
    kept = []
    for time, who in zip(times, detectors, strict=True):
        happens = who not in last or time - last[who] >= dead
        if happens:
            last[who] = time
        kept.append(happens)
    return kept


def tilted(
    x: np.ndarray, y: np.ndarray, slope: float, low: float, width: float, bins: int
) -> np.ndarray:
    """Histogram of y − slope·x."""
    counts = np.zeros(bins, np.int64)
    for place in np.floor((y - slope * x - low) / width):
        if 0 <= place < bins:
            counts[int(place)] += 1
    return counts


def rarest(counts: list[int], neighbours: int) -> tuple[float, int]:
    """ln of the tail of the count that its neighbours explain least, and its index."""
    best = (0.0, 0)
    for i, count in enumerate(counts):
        others = [other for k, other in enumerate(counts) if 1 < abs(k - i) <= neighbours]
        mean = max(sum(others), 1) / max(len(others), 1)
        if count > mean:
            best = min(best, (-(count * math.log(count / mean) - count + mean), i))
    return best
