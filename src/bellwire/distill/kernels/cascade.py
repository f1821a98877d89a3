"""Inner loops of Cascade over many frames at once; the protocol is in `bellwire.distill.cascade`.

All frames lie one after the other in flat bitmaps, bit p being bit p mod 64 of word p // 64, so a
position is a number below F·n and frame f begins at f·n. For each of the two orders there are

    x   our bits, errors corrected on the side that corrects
    S   split points: an interval was cut here (block starts are implied by the block size k)
    D   the interval that starts here holds an odd number of differences, and nobody searches it

An interval is only ever cut at its midpoint, so every position within a block is the midpoint of
exactly one possible interval, and the interval of a position is found by descending from its block
while the midpoint is a split point. This replaces the tree of Cascade and remembers every
sub-block. Per frame there is a list of open searches, all of the same kind: 0 and 1 for intervals
(start, half their length) of the two orders, 2 for sets (start, end).

Legend: F frames, n places of a frame, W its words, k₁ and k₂ block sizes, C columns, E errors.
Numba checks no bounds: positions come from this package's own arithmetic, and what comes from the
peer is only ever a bit.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bellwire.distill.kernels.bitwise import popcount, trailing_zeros

Words = NDArray[np.uint64]
Numbers = NDArray[np.int32]
Integer = int | np.integer[Any]

COLOURS = 16
SETS = 32
CONTRADICTION = -1
_U = np.uint64


@njit(cache=True, nogil=True)
def _transpose(tile: Words) -> None:
    """Transpose 64 × 64 bits: bit j of word i changes places with bit i of word j."""
    j = 32
    mask = _U(0x00000000FFFFFFFF)
    while j:
        for block in range(0, 64, 2 * j):
            for i in range(block, block + j):
                x = ((tile[i] >> _U(j)) ^ tile[i + j]) & mask
                tile[i + j] ^= x
                tile[i] ^= x << _U(j)
        j >>= 1
        mask ^= mask << _U(j)


@njit(cache=True, nogil=True)
def _fetch(x: Words, p: Integer) -> np.uint64:
    """Bits p … p + 63 of a string that has one word more than it needs."""
    w, shift = p >> 6, p & 63
    word: Any = x[w] >> _U(shift)
    if shift:
        word |= x[w + 1] << _U(64 - shift)
    return word  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def rearrange(x: Words, n: int, rows: int, turns: Numbers, y: Words) -> None:
    """Read each frame, written as rows, column by column, after turning its rows.

    y[c·rows + r] = x[r·C + (c − turns[r]) mod C] within each frame, C = n / rows.

    Args:
        x: (F·n/64 + 1,) uint64.
        n: Places of a frame, a multiple of rows.
        rows: A multiple of 64.
        turns: (rows,) int32, 0 … C − 1.
        y: (F·n/64,) uint64, written.
    """
    C = n // rows
    tile = np.empty(64, np.uint64)
    for origin in range(0, 64 * y.size, n):
        for group in range(0, rows, 64):
            for c in range(0, C, 64):
                for i in range(64):
                    start = origin + (group + i) * C
                    at = c - turns[group + i]
                    if at < 0:
                        at += C
                    word = _fetch(x, start + at)
                    left = C - at
                    if left < 64:  # the row goes on from its beginning
                        kept = (_U(1) << _U(left)) - _U(1)
                        word = (word & kept) | (_fetch(x, start) << _U(left))
                    tile[i] = word
                _transpose(tile)
                for i in range(min(64, C - c)):
                    y[(origin + (c + i) * rows + group) >> 6] = tile[i]


@njit(cache=True, nogil=True)
def columns(planes: Words, members: NDArray[np.uint32]) -> None:
    """For each place, the sets that hold it: bit s of members[p] is bit p of plane s."""
    W = members.size >> 6
    tile = np.empty(64, np.uint64)
    for w in range(W):
        for s in range(SETS):
            tile[s] = planes[s * W + w]
        tile[SETS:] = _U(0)
        _transpose(tile)
        for i in range(64):
            members[64 * w + i] = np.uint32(tile[i])


@njit(cache=True, nogil=True)
def _parity(x: Words, start: Integer, count: Integer) -> np.uint64:
    """Parity of `count` bits: below 64 within one word, otherwise whole words."""
    w = start >> 6
    if count < 64:
        return popcount((x[w] >> _U(start & 63)) & ((_U(1) << _U(count)) - _U(1))) & _U(1)  # type: ignore[no-any-return]
    folded = _U(0)
    for i in range(w, w + (count >> 6)):
        folded ^= x[i]
    return popcount(folded) & _U(1)  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def _member_parity(
    x: Words, w: Integer, plane: Words, v: Integer, at: Integer, count: Integer
) -> np.uint64:
    """Parity of the members among `count` bits from bit `at` of word w; the plane's word is v."""
    if count < 64:
        return popcount(((x[w] & plane[v]) >> _U(at)) & ((_U(1) << _U(count)) - _U(1))) & _U(1)  # type: ignore[no-any-return]
    folded: Any = _U(0)
    for i in range(count >> 6):
        folded ^= x[w + i] & plane[v + i]
    return popcount(folded) & _U(1)  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def block_parities(x: Words, k: int, out: NDArray[np.uint8]) -> None:
    """out[i] = parity of block i of k bits."""
    for i in range(out.size):
        out[i] = _parity(x, i * k, k)


@njit(cache=True, nogil=True)
def set_parities(x: Words, n: int, planes: Words, out: NDArray[np.uint8]) -> None:
    """out[f·SETS + s] = parity of the members of set s in frame f."""
    W = n >> 6
    for f in range(x.size // W):
        for s in range(SETS):
            out[f * SETS + s] = _member_parity(x, f * W, planes, s * W, 0, n)


@njit(cache=True, nogil=True)
def mark(D: Words, k: int, odd: NDArray[np.uint8]) -> None:
    """Mark the odd blocks."""
    for i in range(odd.size):
        D[i * k >> 6] |= _U(odd[i]) << _U((i * k) & 63)


@njit(cache=True, nogil=True)
def _get(bitmap: Words, p: Integer) -> bool:
    return bool((bitmap[p >> 6] >> _U(p & 63)) & _U(1))


@njit(cache=True, nogil=True)
def _flip(bitmap: Words, p: Integer) -> None:
    bitmap[p >> 6] ^= _U(1) << _U(p & 63)


@njit(cache=True, nogil=True)
def _interval(S: Words, k: Integer, p: Integer) -> tuple[Integer, Integer]:
    """Start and length of the known interval that holds position p."""
    start, length = p & ~(k - 1), k
    while length > 1:
        half = length >> 1
        if not _get(S, start + half):
            break
        if p >= start + half:
            start += half
        length = half
    return start, length


@njit(cache=True, nogil=True)
def _middle(lo: Integer, hi: Integer) -> Integer:
    """Where the search of a set cuts [lo, hi): between words as long as there are two."""
    if hi - lo > 64:
        return lo + max(64, (hi - lo) >> 7 << 6)
    return (lo + hi) >> 1


@njit(cache=True, nogil=True)
def _only_half_with_members(
    plane: Words, origin: Integer, lo: Integer, hi: Integer
) -> tuple[Integer, Integer]:
    """Drop halves without a member from an interval within one word: they need no parity.

    An interval without any member stays as it is: only a lying peer can make it odd, and its
    search then costs parities, as every search must if it is to end.
    """
    while 1 < hi - lo <= 64:
        half = (hi - lo) >> 1
        word = plane[origin + (lo >> 6)] >> _U(lo & 63)
        kept = (_U(1) << _U(half)) - _U(1)
        left, right = word & kept != _U(0), (word >> _U(half)) & kept != _U(0)
        if left == right:
            break
        if left:
            hi -= half
        else:
            lo += half
    return lo, hi


@njit(cache=True, nogil=True)
def advance(
    first: bool,
    corrects: bool,
    n: int,
    k1: int,
    k2: int,
    turns: Numbers,
    planes: Words,
    members: NDArray[np.uint32],
    x1: Words,
    x2: Words,
    S1: Words,
    S2: Words,
    D1: Words,
    D2: Words,
    E: Words,
    syndromes: NDArray[np.uint32],
    starts: Numbers,
    others: Numbers,
    sets: Numbers,
    kinds: Numbers,
    open_: Numbers,
    found: Numbers,
    differs: Words,
) -> int:
    """Take one bit for every open search, correct what is found, and open the next searches.

    Args:
        first: There are no searches yet, and no bits.
        corrects: Whether our bits are flipped where an error is found.
        n: Places of a frame.
        k1: Block size of the first order.
        k2: Block size of the second, and its rows.
        turns: (k2,) of the second order.
        planes: (SETS·W,), members: (n,); of the sets.
        members: See planes.
        x1: This side's bits in the first order; x2 in the second; S, D alike.
        x2: See x1.
        S1: See x1.
        S2: See x1.
        D1: See x1.
        D2: See x1.
        E: Errors found, in the first order.
        syndromes: (F,) which sets are odd.
        starts: (F·n/2,) of the searches of each frame; others alike.
        others: Half the length, or the end.
        sets: (F·COLOURS,) which set is searched.
        kinds: (F,) of each frame's searches; open_ their number.
        open_: See kinds.
        found: (n,) room for positions.
        differs: The two sides' parities of each search's left part differ; packed.

    Returns:
        Open searches, or CONTRADICTION: a position was found twice, which an honest peer's
        parities never lead to.
    """
    W = n >> 6
    C = n // k2
    room = n >> 1
    at = 0
    total = 0
    for f in range(open_.size):
        count = open_[f]
        if count == 0 and not first:
            continue
        base, origin, kind = f * room, f * n, kinds[f]
        hits = 0
        kept = 0
        for i in range(count):
            odd = bool((differs[at >> 6] >> _U(at & 63)) & _U(1))
            at += 1
            start: Integer = np.int64(starts[base + i])
            other: Integer = np.int64(others[base + i])
            if kind == 2:
                middle = _middle(start, other)
                if odd:
                    other = middle
                else:
                    start = middle
                s = sets[f * COLOURS + i]
                start, other = _only_half_with_members(planes, s * W, start, other)
                sets[f * COLOURS + kept] = s
                last = other - start == 1
                position = origin + start
            else:
                if kind == 0:
                    _flip(S1, start + other)
                else:
                    _flip(S2, start + other)
                if not odd:
                    start += other
                other >>= 1
                last = other == 0
                position = start
            if last:
                found[hits] = position
                hits += 1
            else:
                starts[base + kept] = start
                others[base + kept] = other
                kept += 1
        while True:
            for i in range(hits):
                if kind == 1:
                    q = np.int64(found[i])
                    c = (q - origin) // k2
                    r = (q - origin) - c * k2
                    c -= turns[r]
                    if c < 0:
                        c += C
                    p = origin + r * C + c
                else:
                    p = np.int64(found[i])
                    r = (p - origin) // C
                    c = (p - origin) - r * C + turns[r]
                    if c >= C:
                        c -= C
                    q = origin + c * k2 + r
                if _get(E, p):
                    return CONTRADICTION
                _flip(E, p)
                if kind != 0:
                    _flip(D1, _interval(S1, k1, p)[0])
                if kind != 1:
                    _flip(D2, _interval(S2, k2, q)[0])
                syndromes[f] ^= members[p - origin]
                if corrects:
                    _flip(x1, p)
                    _flip(x2, q)
            hits = 0
            if kept:
                break
            for kind in range(2):
                k = k1 if kind == 0 else k2
                D = D1 if kind == 0 else D2
                S = S1 if kind == 0 else S2
                for w in range(f * W, f * W + W):
                    word = D[w]
                    D[w] = _U(0)
                    while word:
                        start, length = _interval(S, k, 64 * w + trailing_zeros(word))
                        word &= word - _U(1)
                        if length == 1:
                            found[hits] = start
                            hits += 1
                        else:
                            starts[base + kept] = start
                            others[base + kept] = length >> 1
                            kept += 1
                if hits or kept:
                    break
            if hits:
                continue
            if kept == 0:
                kind = 2
                syndrome = _U(syndromes[f])
                colours = popcount(syndrome & _U((1 << COLOURS) - 1))
                wanted = (colours + _U(1)) >> _U(1) if colours else _U(min(1, popcount(syndrome)))
                while _U(kept) < wanted:
                    sets[f * COLOURS + kept] = trailing_zeros(syndrome)
                    syndrome &= syndrome - _U(1)
                    starts[base + kept] = 0
                    others[base + kept] = n
                    kept += 1
            break
        kinds[f] = kind
        open_[f] = kept
        total += kept
    return total


@njit(cache=True, nogil=True)
def parities(
    n: int,
    x1: Words,
    x2: Words,
    planes: Words,
    starts: Numbers,
    others: Numbers,
    sets: Numbers,
    kinds: Numbers,
    open_: Numbers,
    out: Words,
) -> None:
    """Our parity of the left part of each open search, packed into zeros; as in `advance`."""
    W, room = n >> 6, n >> 1
    at = 0
    for f in range(open_.size):
        base, kind = f * room, kinds[f]
        for i in range(open_[f]):
            start, other = np.int64(starts[base + i]), np.int64(others[base + i])
            if kind == 2:
                plane = sets[f * COLOURS + i] * W + (start >> 6)
                length = _middle(start, other) - start
                bit = _member_parity(x1, f * W + (start >> 6), planes, plane, start & 63, length)
            elif kind == 1:
                bit = _parity(x2, start, other)
            else:
                bit = _parity(x1, start, other)
            out[at >> 6] |= bit << _U(at & 63)
            at += 1


@njit(cache=True, nogil=True)
def key_positions(E: Words, n: int, rows: int, turns: Numbers, out: NDArray[np.int64]) -> None:
    """Where the errors found lie in the key, undoing `rearrange`; out has room for all of them."""
    C = n // rows
    count = 0
    for w in range(E.size):
        word = E[w]
        while word:
            p = 64 * w + trailing_zeros(word)
            word &= word - _U(1)
            origin = p // n * n
            c = (p - origin) // rows
            r = (p - origin) - c * rows
            c -= turns[r]
            if c < 0:
                c += C
            out[count] = origin + r * C + c
            count += 1


@njit(cache=True, nogil=True)
def flip_all(bits: Words, positions: NDArray[np.int64]) -> None:
    """Flip the bits at these positions."""
    for i in range(positions.size):
        _flip(bits, positions[i])
