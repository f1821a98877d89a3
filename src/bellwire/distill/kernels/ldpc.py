"""Quasi-cyclic low-density parity checks: making a graph, syndromes by it, decoding by it.

A graph is a table of rows and columns whose entries are cyclic shifts. Rows stand for Z checks
each, columns for Z bits each, Z = 64·W: where row r has shift s in column c, its check i holds bit
(i + s) mod Z of the column. Rows are listed one after the other, entry by entry: row r has entries
ptr[r] … ptr[r + 1], entry e is in column col[e] with shift shift[e]. Checks are used from the first
on, in words of 64; the last row in use may be used in part.

Lengths are checked by the caller: nothing here checks an index.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bellwire.base.bits import Words
from bellwire.distill.kernels.check_nodes import HIGHEST, mend, negative, update, update_two

Numbers = NDArray[np.int32]
Bytes = NDArray[np.int8]

TRIALS = 64
"""Shifts that are tried for an entry until one closes no cycle of four."""

_U = np.uint64


@njit(cache=True, nogil=True)
def _below(state: Words, limit: int) -> np.int64:
    """The next number of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), scaled to 0 … limit."""
    state[0] += _U(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> _U(30))) * _U(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> _U(27))) * _U(0x94D049BB133111EB)
    z = z ^ (z >> _U(31))
    return np.int64(((z >> _U(32)) * _U(limit)) >> _U(32))


@njit(cache=True, nogil=True)
def _fewest(
    state: Words, used: Numbers, size: int, count: int, order: Numbers, out: Numbers
) -> None:
    """The `count` numbers below size that were used least, equals in a random order; uses them."""
    for i in range(size):
        order[i] = i
    for i in range(size - 1, 0, -1):
        j = _below(state, i + 1)
        order[i], order[j] = order[j], order[i]
    found = 0
    level = used[0]
    for i in range(size):
        level = min(level, used[i])
    while found < count:
        for i in range(size):
            if found < count and used[order[i]] == level:
                out[found] = order[i]
                found += 1
        level += 1
    for i in range(count):
        used[out[i]] += 1


@njit(cache=True, nogil=True)
def entries(
    degrees: Numbers, rows: int, added: int, weight: int, state: Words, table: NDArray[np.bool_]
) -> None:
    """Choose which rows hold which columns; table is (rows + added, columns) of False.

    Columns of degree two make one path through the rows but the last, which may be used in part,
    so that they close no cycle among themselves; every other column takes the rows that hold
    fewest. Each added row takes the `weight` columns that added rows hold fewest of.
    """
    columns = degrees.size
    order, out = np.empty(max(rows, columns), np.int32), np.empty(max(rows, columns), np.int32)
    held = np.zeros(rows, np.int32)
    path = np.empty(rows, np.int32)
    _fewest(state, held, rows - 1, rows - 1, order, path)
    held[:] = 0
    step = 0
    for c in range(columns):
        if degrees[c] == 2:
            out[0], out[1] = path[step], path[step + 1]
            held[out[0]] += 1
            held[out[1]] += 1
            step += 1
        else:
            _fewest(state, held, rows, degrees[c], order, out)
        for i in range(degrees[c]):
            table[out[i], c] = True
    taken = np.zeros(columns, np.int32)
    for r in range(rows, rows + added):
        _fewest(state, taken, columns, weight, order, out)
        for i in range(weight):
            table[r, out[i]] = True


@njit(cache=True, nogil=True)
def shifts(table: NDArray[np.bool_], size: int, state: Words, out: Numbers) -> None:
    """Choose a shift below `size` for every entry, column by column, from the first row on.

    Two rows and two columns close cycles of four if their shifts' differences agree; of up to
    `TRIALS` random shifts the first that closes fewest is taken.

    Args:
        table: (rows, columns) bool: where there are entries.
        size: Of the circulants, in bits.
        state: Of the generator; it goes on.
        out: (rows, columns); written where there are entries.
    """
    rows, columns = table.shape
    seen = np.zeros((rows, rows, size), np.bool_)
    held = np.empty(rows, np.int32)
    for c in range(columns):
        count = 0
        for r in range(rows):
            if not table[r, c]:
                continue
            fewest = rows
            chosen = np.int64(0)
            for _ in range(TRIALS):
                shift = _below(state, size)
                closed = 0
                for i in range(count):
                    if seen[r, held[i], (shift - out[held[i], c] + size) % size]:
                        closed += 1
                if closed < fewest:
                    fewest, chosen = closed, shift
                if closed == 0:
                    break
            out[r, c] = chosen
            for i in range(count):
                seen[r, held[i], (chosen - out[held[i], c] + size) % size] = True
            held[count] = r
            count += 1


@njit(cache=True, nogil=True)
def syndrome(
    bits: Words,
    width: int,
    ptr: Numbers,
    col: Numbers,
    shift: Numbers,
    first: int,
    out: Words,
) -> None:
    """Parities of the checks of words first … first + out.size, W = width words a column."""
    out[:] = _U(0)
    for r in range(first // width, (first + out.size - 1) // width + 1):
        start = max(first, r * width)
        end = min(first + out.size, r * width + width)
        for e in range(ptr[r], ptr[r + 1]):
            origin = col[e] * width
            turn = _U(shift[e] & 63)
            at = (shift[e] >> 6) + start - r * width
            for w in range(start - first, end - first):
                if at >= width:
                    at -= width
                after = at + 1 if at + 1 < width else 0
                out[w] ^= bits[origin + at] >> turn
                if turn:
                    out[w] ^= bits[origin + after] << (_U(64) - turn)
                at += 1


@njit(cache=True, nogil=True)
def _sweep(
    width: int,
    ptr: Numbers,
    col: Numbers,
    shift: Numbers,
    words: int,
    syndromes: Bytes,
    beliefs: Bytes,
    said: Bytes,
    places: NDArray[np.int64],
    asked: Bytes,
    before: Bytes,
    unsatisfied: Bytes,
) -> None:
    """Every check once, row after row; beliefs of a column are followed by its first 64 again."""
    Z, stride = 64 * width, 64 * width + 64
    said_from = 0
    for r in range((words + width - 1) // width):
        first, degree = ptr[r], ptr[r + 1] - ptr[r]
        in_use = min(width, words - r * width)
        w = 0
        while w < in_use:
            blocks = 2 if w + 1 < in_use else 1
            at_ends = False
            for e in range(degree):
                for u in range(blocks):
                    at = shift[first + e] + 64 * (w + u)
                    if at >= Z:
                        at -= Z
                    at_ends |= at < 64 or at > Z - 64
                    places[e * blocks + u] = col[first + e] * stride + at
            check = r * Z + 64 * w
            if blocks == 2:
                update_two(
                    beliefs, said, said_from, syndromes, check,
                    places, asked, before, degree, unsatisfied,
                )  # fmt: skip
            else:
                update(
                    beliefs, said, said_from, syndromes, check,
                    places, asked, before, degree, unsatisfied,
                )  # fmt: skip
            if at_ends:
                for e in range(degree):
                    origin = col[first + e] * stride
                    for u in range(blocks):
                        at = places[e * blocks + u] - origin
                        if at > Z - 64:
                            mend(beliefs, origin, origin + Z, at + 64 - Z)
                        elif at < 64:
                            mend(beliefs, origin, origin + Z, at)
            said_from += 64 * degree * blocks
            w += blocks


@njit(cache=True, nogil=True)
def decode(
    width: int,
    ptr: Numbers,
    col: Numbers,
    shift: Numbers,
    wanted: Words,
    prior: int,
    places_used: int,
    sweeps: int,
    beliefs: Bytes,
    said: Bytes,
    found: Words,
) -> int:
    """Find bits with the syndrome `wanted`, most of them zero.

    Args:
        width: W, words of a column.
        ptr: Of the table.
        col: Of the table.
        shift: Of the table.
        wanted: Syndrome, from the first word of checks on.
        prior: Belief that a bit is zero, 1 … 127.
        places_used: Bits from here on are known to be zero.
        sweeps: Tries at most.
        beliefs: Room for 64·(W + 1) bytes a column.
        said: Room for 64 bytes for every entry and word of checks in use.
        found: W words a column; gets the bits.

    Returns:
        Sweeps made, or 0 if the syndrome was not met.
    """
    Z, stride = 64 * width, 64 * width + 64
    rows = (wanted.size + width - 1) // width
    degree = 0
    for r in range(rows):
        degree = max(degree, ptr[r + 1] - ptr[r])
    places = np.empty(2 * degree, np.int64)
    asked, before = np.empty(128 * degree, np.int8), np.empty(128 * degree, np.int8)
    syndromes = np.empty(64 * wanted.size, np.int8)
    for w in range(wanted.size):
        for i in range(64):
            syndromes[64 * w + i] = -128 if (wanted[w] >> _U(i)) & _U(1) else 0
    for c in range(found.size // width):
        for i in range(stride):
            place = c * Z + (i if i < Z else i - Z)
            beliefs[c * stride + i] = prior if place < places_used else HIGHEST
    said[:] = 0
    unsatisfied = np.empty(64, np.int8)
    met = np.empty(wanted.size, np.uint64)
    for sweep in range(1, sweeps + 1):
        unsatisfied[:] = 0
        _sweep(
            width, ptr, col, shift, wanted.size, syndromes,
            beliefs, said, places, asked, before, unsatisfied,
        )  # fmt: skip
        if negative(unsatisfied, 0) != _U(0):
            continue
        # No check was broken when its turn came; later turns may have changed that.
        for w in range(found.size):
            found[w] = negative(beliefs, w // width * stride + w % width * 64)
        syndrome(found, width, ptr, col, shift, 0, met)
        if np.array_equal(met, wanted):
            return sweep
    return 0


@njit(cache=True, nogil=True)
def shuffle(numbers: NDArray[np.uint32], items: Numbers) -> None:
    """Put (n,) items in a random order, after Fisher and Yates, by (n − 1,) random numbers."""
    for i in range(items.size - 1, 0, -1):
        j = np.int64((_U(numbers[items.size - 1 - i]) * _U(i + 1)) >> _U(32))
        items[i], items[j] = items[j], items[i]


@njit(cache=True, nogil=True)
def turn(words: Words, numbers: NDArray[np.uint32], back: bool, out: Words) -> None:
    """Turn bit b of all (n,) words, as a ring, by n·(number b)/2³² places; or turn them `back`.

    There are (64,) numbers; `out` is (n,).
    """
    size = words.size
    out[:] = _U(0)
    for b in range(64):
        mask = _U(1) << _U(b)
        by = np.int64((_U(numbers[b]) * _U(size)) >> _U(32))
        if back and by:
            by = size - by
        for i in range(size - by):
            out[i] |= words[i + by] & mask
        for i in range(size - by, size):
            out[i] |= words[i + by - size] & mask
