"""Orders of a frame: rows of bits read column by column, 64 × 64 bits at a time.

Eight squares of 64 × 64 bits are transposed at once, word by word beside each other, so that each
exchange of bits is one instruction for all of them on processors with long registers. Positions are
unsigned: Numba would ask of every signed one whether it counts from the end.

Legend: R rows, C columns of a frame, n = R·C places; a group is 64 rows, a chunk 64 columns.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Turns = NDArray[np.uint32]

_U = np.uint64
_1, _6, _63 = _U(1), _U(6), _U(63)
_LANES = 8


@njit(cache=True, nogil=True)
def _exchange(squares: Words, j: int, mask: np.uint64) -> None:
    """Exchange, in pairs of rows j apart, the upper bits of the mask's pattern with the lower."""
    for block in range(0, 64, 2 * j):
        for i in range(block * _LANES, (block + j) * _LANES):
            low, high = squares[i], squares[i + j * _LANES]
            x = ((low >> _U(j)) ^ high) & mask
            squares[i + j * _LANES] = high ^ x
            squares[i] = low ^ (x << _U(j))


@njit(cache=True, nogil=True)
def _transpose(squares: Words) -> None:
    """Transpose eight squares: row i of square s is word 8·i + s."""
    _exchange(squares, 32, _U(0x00000000FFFFFFFF))
    _exchange(squares, 16, _U(0x0000FFFF0000FFFF))
    _exchange(squares, 8, _U(0x00FF00FF00FF00FF))
    _exchange(squares, 4, _U(0x0F0F0F0F0F0F0F0F))
    _exchange(squares, 2, _U(0x3333333333333333))
    _exchange(squares, 1, _U(0x5555555555555555))


@njit(cache=True, nogil=True)
def _fetch(x: Words, p: np.uint64) -> np.uint64:
    """Bits p … p + 63 of a string that has one word more than it needs."""
    w, shift = p >> _6, p & _63
    word: Any = (x[w] >> shift) | (x[w + _1] << _1 << (_63 - shift))
    return word  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def _add(x: Words, p: np.uint64, word: np.uint64) -> None:
    """Put 64 bits at p … p + 63, where zeros are."""
    w, shift = p >> _6, p & _63
    x[w] |= word << shift
    x[w + _1] |= word >> _1 >> (_63 - shift)


@njit(cache=True, nogil=True)
def rearrange(x: Words, n: int, rows: int, turns: Turns, y: Words) -> None:
    """Read each frame, written as rows, column by column, after turning its rows.

    y[c·R + r] = x[r·C + (c − turns[r]) mod C] within each frame.

    Args:
        x: (F·n/64 + 1,) uint64.
        n: Places of a frame, a multiple of rows.
        rows: R, a multiple of 64.
        turns: (R,) uint32, 0 … C − 1.
        y: (F·n/64,) uint64, written.
    """
    C, groups = n // rows, rows >> 6
    count = groups * ((C + 63) >> 6)
    squares = np.zeros(64 * _LANES, np.uint64)
    for origin in range(0, 64 * y.size, n):
        for at in range(0, count, _LANES):
            lanes = min(_LANES, count - at)
            for lane in range(lanes):
                group = (at + lane) % groups
                c = 64 * ((at + lane) // groups)
                for i in range(64):
                    r = 64 * group + i
                    from_ = c - np.int64(turns[r])
                    if from_ < 0:
                        from_ += C
                    row = _U(origin + r * C)
                    word: Any = _fetch(x, row + _U(from_))
                    left = C - from_
                    if left < 64:  # the row goes on from its beginning
                        word = (word & ((_1 << _U(left)) - _1)) | (_fetch(x, row) << _U(left))
                    squares[i * _LANES + lane] = word
            _transpose(squares)
            for lane in range(lanes):
                group = (at + lane) % groups
                c = 64 * ((at + lane) // groups)
                to = _U(((origin + c * rows) >> 6) + group)
                for i in range(min(64, C - c)):
                    y[to] = squares[i * _LANES + lane]
                    to += _U(groups)


@njit(cache=True, nogil=True)
def restore(y: Words, n: int, rows: int, turns: Turns, x: Words) -> None:
    """Undo `rearrange`: x, all zeros before, becomes what y was made of."""
    C, groups = n // rows, rows >> 6
    count = groups * ((C + 63) >> 6)
    squares = np.zeros(64 * _LANES, np.uint64)
    for origin in range(0, 64 * y.size, n):
        for at in range(0, count, _LANES):
            lanes = min(_LANES, count - at)
            squares[:] = _U(0)
            for lane in range(lanes):
                group = (at + lane) % groups
                c = 64 * ((at + lane) // groups)
                from_ = _U(((origin + c * rows) >> 6) + group)
                for i in range(min(64, C - c)):
                    squares[i * _LANES + lane] = y[from_]
                    from_ += _U(groups)
            _transpose(squares)
            for lane in range(lanes):
                group = (at + lane) % groups
                c = 64 * ((at + lane) // groups)
                for i in range(64):
                    r = 64 * group + i
                    to = c - np.int64(turns[r])
                    if to < 0:
                        to += C
                    row = _U(origin + r * C)
                    word: Any = squares[i * _LANES + lane]
                    left = C - to
                    if left < 64:  # the row goes on from its beginning
                        _add(x, row, word >> _U(left))
                        word &= (_1 << _U(left)) - _1
                    _add(x, row + _U(to), word)


@njit(cache=True, nogil=True)
def columns(planes: Words, count: int, members: NDArray[np.uint32]) -> None:
    """For each place, the sets that hold it: bit s of members[p] is bit p of plane s.

    Args:
        planes: (count·n/64,) uint64.
        count: Sets, at most 32.
        members: (n,) uint32, written.
    """
    W = members.size >> 6
    squares = np.zeros(64 * _LANES, np.uint64)
    for w in range(0, W, _LANES):
        lanes = min(_LANES, W - w)
        squares[:] = _U(0)
        for s in range(count):
            for lane in range(lanes):
                squares[s * _LANES + lane] = planes[s * W + w + lane]
        _transpose(squares)
        for lane in range(lanes):
            for i in range(64):
                members[64 * (w + lane) + i] = np.uint32(squares[i * _LANES + lane])
