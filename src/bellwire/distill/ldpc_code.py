"""Which low-density code a key gets: frames, graph and checks; public, the same on both sides.

A code is quasi-cyclic: a small table of cyclic shifts, made when it is needed from a fixed seed.
Column degrees are irregular and were found by density evolution of the very arithmetic that the
decoder uses (`tools/ldpc_degrees.py`). Behind the rows that are announced at first come as many
more, for frames that do not decode.

Sources: Gallager, "Low-density parity-check codes" (1963); Richardson, Shokrollahi and Urbanke,
"Design of capacity-approaching irregular low-density parity-check codes", IEEE Trans. Inf. Theory
47 (2001). Degrees and shifts are our own.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bellwire.base.bits import binary_entropy

if TYPE_CHECKING:  # to know that there is a code takes no kernel
    from bellwire.distill.kernels.ldpc import Numbers

FEWEST_CHECKS = 96
"""Words of checks below which there is no code: its table would have too few rows."""

_ROWS = 32
_LOWEST_QBER = 0.005

_DEVIATIONS = 1.5  # of the information in a frame's errors, announced beyond the threshold


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Codes for a range of error rates, found by `tools/ldpc_degrees.py`.

    Attributes:
        highest_qber: Up to which it serves.
        frame_words: Words of the longest frame. With 1536, 98,304 bits, beliefs and messages stay
            in the processor's second cache; few checks a bit need longer frames.
        threshold: Checks over Shannon's limit that very long frames need.
        units_per_nat: Of the decoder's beliefs that the channel's are given in.
        shares: How many columns in a thousand have which degree; all others have three.
    """

    highest_qber: float
    frame_words: int
    threshold: float
    units_per_nat: float
    shares: tuple[tuple[int, int], ...]


ENSEMBLES = (
    Ensemble(0.007, 3072, 1.30, 4.2, ((24, 65), (9, 285), (2, 27))),
    Ensemble(0.0085, 2048, 1.18, 3.4, ((22, 103), (8, 238), (2, 86))),
    Ensemble(0.014, 2048, 1.16, 3.4, ((22, 103), (8, 238), (2, 86))),
    Ensemble(0.017, 1536, 1.14, 3.4, ((24, 105), (8, 209), (2, 138))),
    Ensemble(0.024, 1536, 1.105, 3.4, ((24, 105), (8, 209), (2, 138))),
    Ensemble(0.032, 1536, 1.095, 3.7, ((23, 95), (8, 193), (2, 185))),
    Ensemble(0.045, 1536, 1.09, 3.6, ((24, 81), (8, 194), (2, 213))),
    Ensemble(0.057, 1536, 1.09, 3.7, ((23, 86), (7, 200), (2, 272))),
    Ensemble(0.072, 1536, 1.09, 3.6, ((24, 73), (8, 166), (2, 296))),
    Ensemble(0.095, 1536, 1.09, 3.7, ((24, 66), (8, 145), (2, 310))),
    Ensemble(0.12, 1536, 1.09, 3.7, ((22, 52), (9, 112), (2, 321))),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a key is cut.

    Attributes:
        words: Of 64 key bits, the last perhaps in part.
        frames: They get the words in equal numbers, to within one.
        width: Words of a column.
        columns: Of a frame; places that no key word fills, at its end, are zero on both sides.
        checks: Words of checks announced at first, a frame.
        ensemble: Number of the ensemble that the code is of.
    """

    words: int
    frames: int
    width: int
    columns: int
    checks: int
    ensemble: int

    @property
    def rows(self) -> int:
        """Rows of the table that are announced at first, the last perhaps in part."""
        return -(-self.checks // self.width)

    @property
    def most_checks(self) -> int:
        """Words of checks that there are at all; twice the rows of the first announcement."""
        return 2 * self.rows * self.width


def plan(size: int, qber: float) -> Plan | None:
    """How to cut a key of `size` bits at an estimated error rate.

    Args:
        size: Bits of the key.
        qber: Estimate; one below 0.5 % is taken as 0.5 %.

    Returns:
        None if there is no code for such a key: it is too short, or the rate above 12 %.

    Raises:
        ValueError: qber is not in [0, 1].
    """
    if not 0.0 <= qber <= 1.0:
        raise ValueError(f"expected a QBER in [0, 1], got {qber}")
    if qber > ENSEMBLES[-1].highest_qber or size == 0:
        return None
    q = max(qber, _LOWEST_QBER)
    number = next(i for i, each in enumerate(ENSEMBLES) if q <= each.highest_qber)
    words = -(-size // 64)
    frames = -(-words // ENSEMBLES[number].frame_words)
    longest = -(-words // frames)
    bits = 64 * longest
    spread = math.sqrt(bits * q * (1.0 - q)) * math.log2((1.0 - q) / q)
    checks = math.ceil(
        (ENSEMBLES[number].threshold * bits * binary_entropy(q) + _DEVIATIONS * spread) / 64.0
    )
    if checks < FEWEST_CHECKS or checks >= longest:
        return None
    width = checks // _ROWS
    return Plan(words, frames, width, -(-longest // width), checks, number)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """The table of a code, row by row, as `bellwire.distill.kernels.ldpc` says.

    Attributes:
        ptr: (rows + 1,) int32.
        col: (entries,) int32.
        shift: (entries,) int32.
    """

    ptr: "Numbers"
    col: "Numbers"
    shift: "Numbers"

    def entries(self, checks: int, width: int) -> int:
        """Pairs of a row's word of checks and a column, in the first `checks` words."""
        held = np.diff(self.ptr)
        whole, rest = divmod(checks, width)
        return int(held[:whole].sum()) * width + (int(held[whole]) * rest if rest else 0)


@lru_cache(maxsize=16)
def graph(width: int, columns: int, rows: int, ensemble: int) -> Graph:
    """The table of so many rows, announced at first, and as many more."""
    from bellwire.distill.kernels import ldpc as kernels  # noqa: PLC0415 - brings the compiler

    degrees = column_degrees(columns, rows, ENSEMBLES[ensemble].shares)
    table = np.zeros((2 * rows, columns), np.bool_)
    state = np.zeros(1, np.uint64)
    weight = max(2, round(int(degrees.sum()) / rows))
    kernels.entries(degrees, rows, rows, min(weight, columns), state, table)
    found = np.zeros(table.shape, np.int32)
    kernels.shifts(table, 64 * width, state, found)
    ptr = np.concatenate([[0], np.cumsum(table.sum(axis=1))]).astype(np.int32)
    return Graph(ptr, np.nonzero(table)[1].astype(np.int32), found[table])


def column_degrees(columns: int, rows: int, shares: tuple[tuple[int, int], ...]) -> "Numbers":
    """How many rows hold each column, largest first, those of degree three last.

    Places at the end of a frame, which may hold no key bit, so are of degree three.
    """
    out: list[int] = []
    for degree, share in shares:
        count = share * columns // 1000
        out += [min(degree, rows)] * (min(count, rows - 2) if degree == 2 else count)
    out += [3] * (columns - len(out))
    return np.array(out, np.int32)
