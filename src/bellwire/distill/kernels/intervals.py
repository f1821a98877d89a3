"""Intervals of Cascade's two orders: what is known of them, in bitmaps that loops share.

All frames lie one after the other, bit p of a frame being bit p mod 64 of its word p // 64. What is
known of a word's 64 places in one of the two orders lies together in `places`, four words in half a
line of the processor's cache, for most of the time goes to fetching it:

    BITS   ours, errors corrected on the side that corrects
    CUTS   an interval begins here; set for the blocks from the start, and never cleared
    ODD    the interval that begins here holds an odd number of differences, and nobody searches it
    FOUND  errors found; in the first order only

The bits of the first order lie side by side once more in `row`, where sets are searched. An
interval is only ever cut at its midpoint and known by where it begins: it ends at the next cut.
This replaces the tree of Cascade and remembers every sub-block. Which words of ODD are not zero is
marked in `dirty`, a bit for each word.

Positions are unsigned: Numba would ask of every signed one whether it counts from the end. It
checks no bounds; positions come from this package's own arithmetic.

Legend: F frames, n places of a frame, W its words.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bellwire.distill.kernels.bitwise import leading_zeros, popcount, trailing_zeros

Words = NDArray[np.uint64]
Numbers = NDArray[np.uint32]

BITS, CUTS, ODD, FOUND = 0, 1, 2, 3

_U = np.uint64
_0, _1, _6, _16, _32, _63, _64 = (_U(i) for i in (0, 1, 6, 16, 32, 63, 64))
_PATHS = np.array(
    [sum(1 << ((p | h) & -h) for h in (1, 2, 4, 8, 16, 32)) for p in range(64)], np.uint64
)
"""The midpoints at which 64 places are cut until place p is alone; as a word each."""


@njit(cache=True, nogil=True)
def low(count: np.uint64) -> np.uint64:
    """As many low bits, below 64 of them."""
    return (_1 << count) - _1


@njit(cache=True, nogil=True)
def parity(places: Words, order: np.uint64, w: np.uint64, at: np.uint64, count: np.uint64) -> Any:
    """Parity of `count` bits from bit `at` of word w: below 64 within it, else whole words."""
    if count < _64:
        return popcount((places[order, w, BITS] >> at) & low(count)) & _1
    folded = _0
    for i in range(count >> _6):
        folded ^= places[order, w + _U(i), BITS]
    return popcount(folded) & _1


@njit(cache=True, nogil=True)
def member_parity(
    row: Words, w: np.uint64, planes: Words, v: np.uint64, at: np.uint64, count: np.uint64
) -> Any:
    """The same of the members of a set, in the first order; its plane begins with word v."""
    if count < _64:
        return popcount(((row[w] & planes[v]) >> at) & low(count)) & _1
    words = count >> _6
    ours, members = row[w : w + words], planes[v : v + words]
    folded = _0
    for i in range(words):
        folded ^= ours[i] & members[i]
    return popcount(folded) & _1


@njit(cache=True, nogil=True)
def taken(differs: Words, at: np.uint64) -> Any:
    """Bit `at` of a packed string."""
    return (differs[at >> _6] >> (at & _63)) & _1


@njit(cache=True, nogil=True)
def toggle(
    places: Words,
    dirty: Words,
    order: np.uint64,
    f: np.uint64,
    origin: np.uint64,
    p: np.uint64,
) -> None:
    """One difference more, or less, in the interval that holds place p of frame f."""
    w = origin + (p >> _6)
    before = places[order, w, CUTS] << (_63 - (p & _63))
    if before:
        start = (p - _U(leading_zeros(before))) & _63
    else:
        w -= _1
        while places[order, w, CUTS] == _0:
            w -= _1
        start = _63 - _U(leading_zeros(places[order, w, CUTS]))
    places[order, w, ODD] ^= _1 << start
    v = w - origin
    dirty[order, f, v >> _6] |= _1 << (v & _63)


@njit(cache=True, nogil=True)
def cut(places: Words, order: np.uint64, k: np.uint64, origin: np.uint64, p: np.uint64) -> None:
    """Mark all midpoints at which a block of k is cut until place p is alone."""
    half = k >> _1
    while half >= _64:
        places[order, origin + (((p | half) & ~(half - _1)) >> _6), CUTS] |= _1
        half >>= _1
    w, path = origin + (p >> _6), _PATHS[p & _63]
    if k < _64:
        path &= low(k) << (p & _63 & ~(k - _1))
    places[order, w, CUTS] |= path


@njit(cache=True, nogil=True)
def gather(
    places: Words,
    dirty: Words,
    order: np.uint64,
    f: np.uint64,
    origin: np.uint64,
    searches: Words,
    found: Numbers,
    hits: np.uint64,
) -> tuple[np.uint64, np.uint64]:
    """Take all odd intervals of an order; gives how many are longer than a place, and all hits."""
    kept, frame = _0, f << _16
    for i in range(dirty.shape[2]):
        marks = dirty[order, f, _U(i)]
        dirty[order, f, _U(i)] = _0
        while marks:
            v = (_U(i) << _6) + _U(trailing_zeros(marks))
            marks &= marks - _1
            w = origin + v
            word, here, inside = (
                places[order, w, ODD],
                places[order, w, CUTS],
                places[order, w, BITS],
            )
            places[order, w, ODD] = _0
            while word:
                at = _U(trailing_zeros(word))
                word &= word - _1
                after = here >> at >> _1
                if after:
                    half = (_U(trailing_zeros(after)) + _1) >> _1
                else:
                    end = w + _1
                    while places[order, end, CUTS] == _0:
                        end += _1
                    last = _U(trailing_zeros(places[order, end, CUTS]))
                    half = (((end - w) << _6) + last - at) >> _1
                start = (v << _6) + at
                # Both are written, one is kept: which one, no processor guesses.
                searches[f, kept] = start | half << _16 | inside >> at << _32
                found[hits] = np.uint32(frame | start)
                one = _U(half == _0)
                hits += one
                kept += _1 - one
    return kept, hits
