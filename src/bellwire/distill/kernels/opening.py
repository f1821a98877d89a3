"""The opening of Cascade: parities of all blocks and sets, and what their differences begin.

Packed, one after the other: the first order's blocks; the second's but each frame's last; and, for
each frame, the members of all sets but the last colour. What is left out follows from the parity of
the frame. The arrays are those of `bellwire.distill.kernels.cascade`.
"""

import numpy as np
from numba import njit

from bellwire.distill.kernels.intervals import (
    CUTS,
    ODD,
    Numbers,
    Words,
    member_parity,
    parity,
    taken,
)

COLOURS = 16
SETS = 32
OPEN, KIND, SYNDROME, SPENT, LIMIT = 0, 1, 2, 3, 4

_U = np.uint64
_0, _1, _6, _63 = (_U(i) for i in (0, 1, 6, 63))


@njit(cache=True, nogil=True)
def _put(out: Words, at: np.uint64, bit: np.uint64) -> None:
    out[at >> _6] |= bit << (at & _63)


@njit(cache=True, nogil=True)
def opening(
    sizes: tuple[int, int, int], places: Words, row: Words, planes: Words, out: Words
) -> None:
    """Cut the orders into blocks, and give the parities that are announced first.

    Args:
        sizes: n, k₁ and k₂.
        places: (2, F·W + 1, 4), BITS alone; the word behind the last ends the last interval.
        row: (F·W,); see the module.
        planes: (SETS·W,) of the sets.
        out: Zeros. Written, packed: the first order's blocks, the second's but each frame's last,
            and for each frame the members of all sets but the last colour.
    """
    n = sizes[0]
    W, words = n >> 6, row.size
    at = _0
    for order in range(2):
        k = sizes[1 + order]
        places[order, _U(words), CUTS] = _1
        for f in range(words // W):
            for i in range(n // k):
                w, start = _U(f * W + (i * k >> 6)), _U(i * k & 63)
                places[order, w, CUTS] |= _1 << start
                if order == 0 or i < n // k - 1:
                    _put(out, at, parity(places, _U(order), w, start, _U(k)))
                    at += _1
    for f in range(words // W):
        for s in range(SETS):
            if s != COLOURS - 1:
                w, v = _U(f * W), _U(s * W)
                _put(out, at, member_parity(row, w, planes, v, _0, _U(n)))
                at += _1


@njit(cache=True, nogil=True)
def begin(
    sizes: tuple[int, int, int], places: Words, dirty: Words, frames: Numbers, differs: Words
) -> None:
    """Take how the two openings differ; as `advance`."""
    n = sizes[0]
    W = n >> 6
    at = _0
    totals = np.zeros(frames.shape[0], np.uint64)
    for order in range(2):
        k = sizes[1 + order]
        for f in range(frames.shape[0]):
            total = _0
            for i in range(n // k):
                if order == 0 or i < n // k - 1:
                    differ = taken(differs, at)
                    total ^= differ
                    at += _1
                else:
                    differ = total ^ totals[f]  # of the frame's last block, which is not told
                v = i * k >> 6
                places[order, _U(f * W + v), ODD] |= differ << _U(i * k & 63)
                dirty[order, _U(f), _U(v >> 6)] |= differ << _U(v & 63)
            if order == 0:
                totals[f] = total
    for f in range(frames.shape[0]):
        syndrome, colour = _0, totals[f]
        for s in range(SETS):
            if s != COLOURS - 1:
                differ = taken(differs, at)
                at += _1
                if s < COLOURS:
                    colour ^= differ
            else:
                differ = colour
            syndrome |= differ << _U(s)
        frames[f, SYNDROME] = np.uint32(syndrome)
