"""Inner loops of Cascade: permutations, and the bookkeeping of known intervals.

A pass cuts the n positions of one order into intervals whose parity difference between the two
sides is known. Three bitmaps describe it, bit p being bit p mod 64 of word p // 64:

    S   a split point: some interval was cut at p (block starts are implied by the block size k)
    D   the interval that starts at p still holds an odd number of differences
    F   a difference was found at p and counts as corrected

An interval is always cut at its midpoint, so every inner position is the midpoint of exactly one
possible interval, and the interval of a position is found by descending from its block while the
midpoint is a split point. This replaces the tree of Cascade and remembers every sub-block.

Numba checks no bounds: positions come from this package's own arithmetic, never from the peer.
"""

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Positions = NDArray[np.int32]


@njit(cache=True, nogil=True)
def shuffle(words: NDArray[np.uint32]) -> Positions:
    """Permutation of 0 … n−1 by Fisher–Yates, one uint32 of randomness per position.

    The step i takes ⌊w·(i+1)/2³²⌋; its bias, at most n/2³², matters to nobody: the permutation
    only has to be independent of where the errors are.
    """
    n = words.size
    order = np.arange(n).astype(np.int32)
    for i in range(n - 1, 0, -1):
        j = (np.int64(words[i]) * (i + 1)) >> 32
        order[i], order[j] = order[j], order[i]
    return order


@njit(cache=True, nogil=True)
def invert(order: Positions) -> Positions:
    """The permutation that undoes `order`."""
    inverse = np.empty_like(order)
    for i in range(order.size):
        inverse[order[i]] = i
    return inverse


@njit(cache=True, nogil=True)
def _get(bitmap: Words, p: int) -> bool:
    return bool((bitmap[p >> 6] >> uint64(p & 63)) & uint64(1))


@njit(cache=True, nogil=True)
def _flip(bitmap: Words, p: int) -> None:
    bitmap[p >> 6] ^= uint64(1) << uint64(p & 63)


@njit(cache=True, nogil=True)
def _interval(S: Words, n: int, k: int, p: int) -> tuple[int, int]:
    """The known interval [lo, hi) that holds position p."""
    lo = p // k * k
    hi = min(lo + k, n)
    while hi - lo > 1:
        mid = (lo + hi) >> 1
        if not _get(S, mid):
            break
        if p < mid:
            hi = mid
        else:
            lo = mid
    return lo, hi


@njit(cache=True, nogil=True)
def odd_intervals(S: Words, D: Words, n: int, k: int) -> tuple[Positions, Positions]:
    """All intervals [lo, hi) with an odd number of differences, in order of position."""
    count = 0
    for w in range(D.size):
        word = D[w]
        while word != uint64(0):
            word &= word - uint64(1)
            count += 1
    lo = np.empty(count, np.int32)
    hi = np.empty(count, np.int32)
    at = 0
    for w in range(D.size):
        word = D[w]
        b = 0
        while word != uint64(0):
            if word & uint64(1) != uint64(0):
                lo[at], hi[at] = _interval(S, n, k, 64 * w + b)
                at += 1
            word >>= uint64(1)
            b += 1
    return lo, hi


@njit(cache=True, nogil=True)
def _parity(bitmap: Words, lo: int, hi: int) -> bool:
    """Parity of bits lo … hi − 1, lo < hi."""
    first, last = lo >> 6, (hi - 1) >> 6
    kept = ~uint64(0) << uint64(lo & 63)
    folded = uint64(0)
    for w in range(first, last):
        folded ^= bitmap[w] & kept
        kept = ~uint64(0)
    folded ^= bitmap[last] & kept & (~uint64(0) >> uint64(63 - ((hi - 1) & 63)))
    for shift in (32, 16, 8, 4, 2, 1):
        folded ^= folded >> uint64(shift)
    return bool(folded & uint64(1))


@njit(cache=True, nogil=True)
def narrow(
    lo: Positions, hi: Positions, differs: NDArray[np.uint8], S: Words, D: Words, F: Words
) -> None:
    """Cut each odd interval at its midpoint and keep, in place, its odd half.

    differs[i] is 1 where the two sides' original parities of the left half differ; with what was
    found there since, it tells which half is odd now.
    """
    for i in range(lo.size):
        mid = (lo[i] + hi[i]) >> 1
        _flip(S, mid)
        if (differs[i] != 0) != _parity(F, lo[i], mid):
            hi[i] = mid
        else:
            _flip(D, lo[i])
            _flip(D, mid)
            lo[i] = mid


@njit(cache=True, nogil=True)
def correct(positions: Positions, S: Words, D: Words, F: Words, n: int, k: int) -> bool:
    """Account for found positions: each changes the parity of its known interval.

    Returns False, leaving the rest undone, at a position that was found before.
    """
    for i in range(positions.size):
        if _get(F, positions[i]):
            return False
        _flip(F, positions[i])
        _flip(D, _interval(S, n, k, positions[i])[0])
    return True
