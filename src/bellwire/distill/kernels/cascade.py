"""Rounds of Cascade over many frames at once; the protocol is in `bellwire.distill.cascade`.

Per frame there is a list of open searches, all of the same kind: 0 and 1 for intervals of the two
orders, 2 for sets. A frame that would go beyond its budget is told instead, which is kind 3: every
place of it is asked for, and it has no list. A search is one word:

    bits 0 … 15    start
    bits 16 … 31   half the length; of a set's search, its last place
    bits 32 … 63   the interval's bits once it has no more than 32 places; of a set's search, which

So a round reads and writes lists, one word after the other. An interval's cuts are marked when its
search ends, for they follow from where it ended. Places that were found wait in a list (frame in
the high half, place in the low), and each step is done for a group of frames before the next: Numba
counts references to every array at every call, which costs more than a frame's work.

Legend: F frames, n places of a frame, W its words, k₁ and k₂ block sizes, C = n / k₂ columns.
Numba checks no bounds: positions come from this package's own arithmetic, and what comes from the
peer is only ever a bit.
"""

from typing import Any

import numpy as np
from numba import njit

from bellwire.distill.kernels.bitwise import fetch_ahead, popcount, trailing_zeros
from bellwire.distill.kernels.intervals import (
    BITS,
    FOUND,
    Numbers,
    Words,
    cut,
    gather,
    low,
    member_parity,
    parity,
    taken,
    toggle,
)
from bellwire.distill.kernels.opening import (
    COLOURS,
    KIND,
    LIMIT,
    OPEN,
    SPENT,
    SYNDROME,
    begin,
)

GROUP = 16
CONTRADICTION = -1

_BATCH = 64
_U = np.uint64
_0, _1, _2, _3, _6, _16, _32, _63, _64 = (_U(i) for i in (0, 1, 2, 3, 6, 16, 32, 63, 64))
_LOW = _U(0xFFFF)
_ALL_COLOURS = _U((1 << COLOURS) - 1)


@njit(cache=True, nogil=True)
def _middle(lo: np.uint64, hi: np.uint64) -> Any:
    """Where the search of a set cuts [lo, hi): between words as long as there are two."""
    if hi - lo > _64:
        return lo + max(_64, (hi - lo) >> _U(7) << _6)
    return (lo + hi) >> _1


@njit(cache=True, nogil=True)
def _only_half_with_members(
    planes: Words, origin: np.uint64, lo: np.uint64, hi: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """Drop halves without a member from an interval within one word: they need no parity.

    An interval without any member stays as it is: only a lying peer can make it odd, and its
    search then costs parities, as every search must if it is to end.
    """
    while _1 < hi - lo <= _64:
        half = (hi - lo) >> _1
        word = planes[origin + (lo >> _6)] >> (lo & _63)
        left, right = word & low(half) != _0, (word >> half) & low(half) != _0
        if left == right:
            break
        if left:
            hi -= half
        else:
            lo += half
    return lo, hi


@njit(cache=True, nogil=True)
def _hear(
    n: int,
    places: Words,
    dirty: Words,
    frames: Numbers,
    f: np.uint64,
    differs: Words,
    heard: np.uint64,
) -> Any:
    """Take all errors left in a frame, which ends it; gives those that were found before."""
    W, at, twice = _U(n >> 6), heard & _63, _0
    for i in range(W):
        w = (heard >> _6) + _U(i)
        word = differs[w] >> at
        if at:
            word |= differs[w + _1] << (_64 - at)
        twice |= places[0, f * W + _U(i), FOUND] & word
        places[0, f * W + _U(i), FOUND] |= word
    frames[f, SYNDROME] = np.uint32(0)
    for order in range(2):
        dirty[order, f, :] = _0
    return twice


@njit(cache=True, nogil=True)
def _halve(
    n: int,
    planes: Words,
    places: Words,
    frames: Numbers,
    first: int,
    end: int,
    searches: Words,
    found: Numbers,
    pending: Numbers,
    dirty: Words,
    differs: Words,
    heard: np.uint64,
) -> tuple[np.uint64, np.uint64, np.uint64, bool]:
    """Take a bit for each search of these frames.

    Gives the hits, how many frames have ended their batch, how many bits are taken by now, and
    False if a frame that was told has an error that was found before.
    """
    W = _U(n >> 6)
    hits, ended, twice = _0, _0, _0
    for each in range(first, end):
        f = _U(each)
        count, kind = _U(frames[f, OPEN]), _U(frames[f, KIND])
        origin, frame, kept = f * W, f << _16, _0
        if kind == _2:
            for i in range(count):
                search = searches[f, _U(i)]
                start, after, s = search & _LOW, (search >> _16 & _LOW) + _1, search >> _32
                if taken(differs, heard):
                    after = _middle(start, after)
                else:
                    start = _middle(start, after)
                heard += _1
                start, after = _only_half_with_members(planes, s * W, start, after)
                searches[f, kept] = start | (after - _1) << _16 | s << _32
                found[hits] = np.uint32(frame | start)
                one = _U(after - start == _1)
                hits += one
                kept += _1 - one
        elif kind == _3:
            twice |= _hear(n, places, dirty, frames, f, differs, heard)
            heard += count
        else:
            for i in range(count):
                search = searches[f, _U(i)]
                start, half, inside = search & _LOW, search >> _16 & _LOW, search >> _32
                right = taken(differs, heard) - _1  # all ones unless the left half differs
                heard += _1
                start += half & right
                if half == _32:
                    inside = places[kind, origin + (start >> _6), BITS] >> (start & _63)
                else:
                    # Of more places than 32 it is not used.
                    inside >>= half & right & _U(31)
                half >>= _1
                # Both are written, one is kept: which one, no processor guesses.
                searches[f, kept] = start | half << _16 | inside << _32
                found[hits] = np.uint32(frame | start)
                one = _U(half == _0)
                hits += one
                kept += _1 - one
        frames[f, OPEN] = np.uint32(kept)
        pending[ended] = np.uint32(f)
        ended += _U(kept == _0) & _U(count != _0)
    return hits, ended, heard, bool(twice == _0)


@njit(cache=True, nogil=True)
def _correct(
    corrects: bool,
    sizes: tuple[int, int, int],
    turns: Numbers,
    members: Numbers,
    places: Words,
    row: Words,
    dirty: Words,
    frames: Numbers,
    found: Numbers,
    hits: np.uint64,
) -> bool:
    """Take errors found off all that holds them; False if one of them was found before."""
    n, k1, rows = _U(sizes[0]), _U(sizes[1]), _U(sizes[2])
    W, C, shift = n >> _6, n // rows, _U(trailing_zeros(rows))
    reciprocal = (_1 << _32) // C + _1  # p · reciprocal >> 32 is p // C for every p below 2¹⁶
    second = _U(4) * (_U(row.size) + _1)  # where the second order begins in `places`
    twice = _0
    both = np.empty(_BATCH, np.uint64)
    for start in range(0, hits, _BATCH):
        count = min(hits - _U(start), _U(_BATCH))
        for i in range(count):
            f, place = _U(found[_U(start) + _U(i)]) >> _16, _U(found[_U(start) + _U(i)]) & _LOW
            if frames[f, KIND] == 1:
                q = place
                r = q & (rows - _1)
                c = (q >> shift) + C - _U(turns[r])
                c -= C * _U(c >= C)
                p = r * C + c
            else:
                p = place
                r = (p * reciprocal) >> _32
                c = p - r * C + _U(turns[r])
                c -= C * _U(c >= C)
                q = (c << shift) + r
            both[_U(i)] = f << _32 | q << _16 | p
            fetch_ahead(members, p)
            fetch_ahead(places, (f * W + (p >> _6)) << _2)
            fetch_ahead(places, second + ((f * W + (q >> _6)) << _2))
            fetch_ahead(row, f * W + (p >> _6))
        for i in range(count):
            f, q, p = both[_U(i)] >> _32, both[_U(i)] >> _16 & _LOW, both[_U(i)] & _LOW
            origin, kind = f * W, _U(frames[f, KIND])
            if kind == _1:
                cut(places, _1, rows, origin, q)
            else:
                toggle(places, dirty, _1, f, origin, q)
            if kind == _0:
                cut(places, _0, k1, origin, p)
            else:
                toggle(places, dirty, _0, f, origin, p)
            w, at = origin + (p >> _6), p & _63
            twice |= places[0, w, FOUND] >> at
            places[0, w, FOUND] ^= _1 << at
            if corrects:
                row[w] ^= _1 << at
                places[0, w, BITS] ^= _1 << at
                places[1, origin + (q >> _6), BITS] ^= _1 << (q & _63)
            frames[f, SYNDROME] ^= members[p]
    return bool(twice & _1 == _0)


@njit(cache=True, nogil=True)
def _open(
    n: int,
    places: Words,
    dirty: Words,
    frames: Numbers,
    searches: Words,
    found: Numbers,
    pending: Numbers,
    ended: np.uint64,
) -> tuple[np.uint64, np.uint64]:
    """Open the next batch of the frames that ended theirs.

    Gives the hits, where an odd interval is one place, and how many frames have no more than hits
    in their batch.
    """
    hits, again = _0, _0
    for i in range(ended):
        f = _U(pending[_U(i)])
        origin, before = f * _U(n >> 6), hits
        kind = _0
        kept, hits = gather(places, dirty, kind, f, origin, searches, found, hits)
        if kept == _0 and hits == before:
            kind = _1
            kept, hits = gather(places, dirty, kind, f, origin, searches, found, hits)
        if kept == _0 and hits == before:
            kind = _2
            odd = _U(frames[f, SYNDROME])
            odd &= _ALL_COLOURS if odd & _ALL_COLOURS else _0 - odd  # all colours, or one mask
            while odd:
                searches[f, kept] = _U(n - 1) << _16 | _U(trailing_zeros(odd)) << _32
                odd &= odd - _1
                kept += _1
        frames[f, OPEN], frames[f, KIND] = np.uint32(kept), np.uint32(kind)
        pending[again] = np.uint32(f)
        again += _U(kept == _0) & _U(hits != before)
    return hits, again


@njit(cache=True, nogil=True)
def _announce(
    n: int,
    planes: Words,
    places: Words,
    row: Words,
    frames: Numbers,
    first: int,
    end: int,
    searches: Words,
    out: Words,
    told: np.uint64,
    last: bool,
) -> Any:
    """Write our parity of each search's left part behind what is told; gives how much is now.

    A frame that its budget does not allow this, or any in the last round, is told.
    """
    W = _U(n >> 6)
    word = out[told >> _6] if told & _63 else _0
    for each in range(first, end):
        f = _U(each)
        if frames[f, OPEN] and (last or frames[f, SPENT] + frames[f, OPEN] > frames[f, LIMIT]):
            frames[f, OPEN], frames[f, KIND] = np.uint32(n), np.uint32(3)
        frames[f, SPENT] += frames[f, OPEN]
        origin, kind = f * W, _U(frames[f, KIND])
        if kind == _3 and frames[f, OPEN]:
            at = told & _63
            for i in range(W):
                ours = row[origin + _U(i)]
                out[told >> _6] = word | ours << at
                word = ours >> (_64 - at) if at else _0
                told += _64
            continue
        for i in range(frames[f, OPEN]):
            search = searches[f, _U(i)]
            start, other, inside = search & _LOW, search >> _16 & _LOW, search >> _32
            w, at = origin + (start >> _6), search & _63
            if kind == _2:
                length = _middle(start, other + _1) - start
                bit = member_parity(row, w, planes, inside * W + (start >> _6), at, length)
            elif other <= _16:
                bit = popcount(inside & low(other)) & _1
            else:
                bit = parity(places, kind, w, at, other)
            word |= bit << (told & _63)
            told += _1
            if told & _63 == _0:
                out[(told >> _6) - _1] = word
                word = _0
    if told & _63:
        out[told >> _6] = word
    return told


@njit(cache=True, nogil=True)
def advance(
    first: bool,
    last: bool,
    corrects: bool,
    sizes: tuple[int, int, int],
    turns: Numbers,
    planes: Words,
    members: Numbers,
    places: Words,
    row: Words,
    dirty: Words,
    frames: Numbers,
    searches: Words,
    found: Numbers,
    differs: Words,
    out: Words,
) -> int | np.int64:
    """Take a bit for every open search, correct what is found, and open the next searches.

    Args:
        first: There are no searches yet: what differs is that of the openings.
        last: No frame has a round left but the next: what is open is told.
        corrects: Whether our bits are flipped where an error is found.
        sizes: n, k₁ and k₂.
        turns: (k₂,) of the second order.
        planes: (SETS·W,), members: (n,); of the sets.
        members: See planes.
        places: (2, F·W + 1, 4), row: (F·W,); see the module.
        row: See places.
        dirty: (2, F, ⌈W/64⌉) which words of ODD are not zero.
        frames: (F, 5): how many searches are open, of which kind, which sets are odd, how many
            parities were announced, and how many may be.
        searches: (F, n/2) of each frame: disjoint, and each of two places at least; or of sets.
        found: (GROUP·n + 1,) room for places.
        differs: The two sides' parities differ; packed.
        out: Our parity of the left part of each open search, or every bit of a frame that is told,
            packed, frame by frame; written.

    Returns:
        Parities and bits written, or CONTRADICTION: a place was found twice, which an honest peer's
        parities never lead to.
    """
    n = sizes[0]
    if first:
        begin(sizes, places, dirty, frames, differs)
    pending = np.empty(GROUP + 1, np.uint32)
    heard, told = _0, _0
    for start in range(0, frames.shape[0], GROUP):
        end = min(start + GROUP, frames.shape[0])
        hits, ended = _0, _0
        if first:
            for f in range(start, end):
                pending[ended] = f
                ended += _1
        else:
            hits, ended, heard, once = _halve(
                n,
                planes,
                places,
                frames,
                start,
                end,
                searches,
                found,
                pending,
                dirty,
                differs,
                heard,
            )
            if not once:
                return CONTRADICTION
        while hits or ended:
            if not _correct(
                corrects, sizes, turns, members, places, row, dirty, frames, found, hits
            ):
                return CONTRADICTION
            hits, ended = _open(n, places, dirty, frames, searches, found, pending, ended)
        told = _announce(n, planes, places, row, frames, start, end, searches, out, told, last)
    return np.int64(told)
