"""Slow twins of the low-density codes' kernels: tables entry by entry, checks bit by bit, and
belief propagation in NumPy's integers, a row of checks at a time.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bellwire.base.bits import Bits

CLIP = 45
NEAR = 10
HIGHEST = 127
MASK = 2**64 - 1

Beliefs = NDArray[np.int64]
Entry = tuple[int, int]
"""Column and shift."""


def numbers() -> Iterator[int]:
    """SplitMix64 from state 0, its upper 32 bits."""
    state = 0
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield (z ^ (z >> 31)) >> 32


class Draws:
    """Random choices of one table."""

    def __init__(self) -> None:
        self._numbers = numbers()

    def below(self, limit: int) -> int:
        return next(self._numbers) * limit >> 32

    def permutation(self, size: int) -> list[int]:
        order = list(range(size))
        for i in range(size - 1, 0, -1):
            j = self.below(i + 1)
            order[i], order[j] = order[j], order[i]
        return order

    def fewest(self, used: list[int], count: int) -> list[int]:
        """Those used least; Python's sort keeps the random order among equals."""
        chosen = sorted(self.permutation(len(used)), key=lambda i: used[i])[:count]
        for i in chosen:
            used[i] += 1
        return chosen


def table(degrees: list[int], rows: int, width: int) -> list[list[Entry]]:
    """The code's table, row by row: as many rows again as are announced at first."""
    draws, columns = Draws(), len(degrees)
    holds: list[set[int]] = [set() for _ in range(2 * rows)]
    path = draws.fewest([0] * (rows - 1), rows - 1)
    used = [0] * rows
    step = 0
    for c, degree in enumerate(degrees):
        if degree == 2:
            chosen = path[step : step + 2]
            for r in chosen:
                used[r] += 1
            step += 1
        else:
            chosen = draws.fewest(used, degree)
        for r in chosen:
            holds[r].add(c)
    weight = max(2, round(sum(degrees) / rows))
    taken = [0] * columns
    for r in range(rows, 2 * rows):
        holds[r].update(draws.fewest(taken, weight))
    Z = 64 * width
    seen: set[tuple[int, int, int]] = set()
    shifts: dict[Entry, int] = {}
    for c in range(columns):
        above: list[tuple[int, int]] = []
        for r in (r for r in range(2 * rows) if c in holds[r]):
            best: tuple[int, int] | None = None
            for _ in range(64):
                shift = draws.below(Z)
                closed = sum((r, other, (shift - s) % Z) in seen for other, s in above)
                if best is None or closed < best[0]:
                    best = closed, shift
                if closed == 0:
                    break
            assert best is not None
            shifts[r, c] = best[1]
            seen.update((r, other, (best[1] - s) % Z) for other, s in above)
            above.append((r, best[1]))
    return [[(c, shifts[r, c]) for c in sorted(holds[r])] for r in range(2 * rows)]


def parities(rows: list[list[Entry]], width: int, checks: int, bits: Bits) -> Bits:
    """The first 64·checks parities of a frame's bits."""
    Z = 64 * width
    out = np.zeros(64 * checks, np.uint8)
    for number in range(64 * checks):
        r, i = divmod(number, Z)
        for column, shift in rows[r]:
            out[number] ^= bits[column * Z + (i + shift) % Z]
    return out


def fold(a: Beliefs, b: Beliefs) -> Beliefs:
    near: Beliefs = np.maximum(0, NEAR - np.abs(a - b)) // 4
    out: Beliefs = np.maximum(0, np.minimum(a, b) - near)
    return out


def decode(
    rows: list[list[Entry]],
    width: int,
    wanted: Bits,
    prior: int,
    used: int,
    sweeps: int,
    columns: int,
) -> tuple[int, Bits]:
    """Sweeps made, or 0, and the bits found."""
    Z, checks = 64 * width, wanted.size // 64
    beliefs: Beliefs = np.where(np.arange(columns * Z) < used, prior, HIGHEST).astype(np.int64)
    in_use = -(-checks // width)
    said = [np.zeros((len(row), Z), np.int64) for row in rows[:in_use]]
    found = np.zeros(columns * Z, np.uint8)
    for sweep in range(1, sweeps + 1):
        broken = False
        for r in range(in_use):
            lanes = np.arange(min(Z, wanted.size - r * Z))
            odd = wanted[r * Z : r * Z + lanes.size].astype(bool)
            at = [c * Z + (lanes + s) % Z for c, s in rows[r]]
            hard = np.bitwise_xor.reduce([beliefs[places] < 0 for places in at])
            broken |= bool((hard != odd).any())
            asked = [
                np.clip(beliefs[places] - said[r][e, : lanes.size], -128, 127)
                for e, places in enumerate(at)
            ]
            sizes = [np.minimum(np.abs(each), CLIP) for each in asked]
            sign = odd ^ np.bitwise_xor.reduce([each < 0 for each in asked])
            before = [np.full(lanes.size, HIGHEST)]
            for size in sizes:
                before.append(fold(before[-1], size))
            behind = np.full(lanes.size, HIGHEST)
            for e in reversed(range(len(at))):
                size = fold(before[e], behind)
                said[r][e, : lanes.size] = np.where(sign ^ (asked[e] < 0), -size, size)
                beliefs[at[e]] = np.clip(asked[e] + said[r][e, : lanes.size], -128, 127)
                behind = fold(behind, sizes[e])
        found = (beliefs < 0).astype(np.uint8)
        if not broken and (parities(rows, width, checks, found) == wanted).all():
            return sweep, found
    return 0, found
