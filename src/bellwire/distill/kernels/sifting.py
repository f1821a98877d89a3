"""Inner loops of sifting: bits that a mask picks, and increasing numbers as short codes.

A bit string is in words, bit i being bit i mod 64 of word i // 64. A Rice code of parameter k has,
for each number, how many numbers were skipped since the one before: the quotient by 2ᵏ as so many
zeros and a one, then the k low bits, the lowest first.

Numba checks no bounds: who calls says how much room there is, and `rice_decode`, whose bits come
from the peer, reads no further than they reach.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bellwire.distill.kernels.bitwise import extract, popcount, trailing_zeros

Words = NDArray[np.uint64]
Numbers = NDArray[np.int64]
Integer = int | np.integer[Any]

MALFORMED = -1
_U = np.uint64


@njit(cache=True, nogil=True)
def compress(bits: Words, mask: Words, out: Words) -> int:
    """Write the bits where the mask has ones, one after the other; gives how many.

    Args:
        bits: (w,) uint64.
        mask: (w,) uint64.
        out: Room for all of them, and a word more.
    """
    held = _U(0)
    at = 0
    for w in range(bits.size):
        few = extract(bits[w], mask[w])
        shift = at & 63
        held |= few << _U(shift)
        end = at + popcount(mask[w])
        if end >> 6 > at >> 6:
            out[at >> 6] = held
            held = few >> _U(64 - shift) if shift else _U(0)
        at = end
    out[at >> 6] = held
    return at


@njit(cache=True, nogil=True)
def below(planes: Words, limit: int, out: Words) -> None:
    """Mark the numbers below a limit, which lie across planes: bit j of each in the j-th.

    Args:
        planes: (groups, places, w) uint64; bit b of word i of all planes of a group are a number.
        limit: 0 … 2**places - 1.
        out: (groups, w) uint64, written: a bit for each number.
    """
    for g in range(planes.shape[0]):
        marks = out[g]
        marks[:] = _U(0)
        for place in range(planes.shape[1]):  # the lowest place decides least
            plane = planes[g, place]
            if limit >> place & 1:
                for i in range(marks.size):
                    marks[i] |= ~plane[i]
            else:
                for i in range(marks.size):
                    marks[i] &= ~plane[i]


@njit(cache=True, nogil=True)
def ones(bits: Words, out: Numbers) -> None:
    """Numbers of the bits that are set, for which there is room."""
    n = 0
    for w in range(bits.size):
        word = bits[w]
        while word:
            out[n] = 64 * w + trailing_zeros(word)
            word &= word - _U(1)
            n += 1


@njit(cache=True, nogil=True)
def rice_bits(numbers: Numbers, k: int) -> int:
    """Bits of the code of strictly increasing numbers from 0."""
    total = (k + 1) * numbers.size
    before = -1
    for number in numbers:
        total += (number - before - 1) >> k
        before = number
    return total


@njit(cache=True, nogil=True)
def rice_encode(numbers: Numbers, k: int, out: Words) -> None:
    """Write the code of strictly increasing numbers into zeros, `rice_bits` of them and a word."""
    at = 0
    before = -1
    low = (_U(1) << _U(k)) - _U(1)
    for number in numbers:
        gap = number - before - 1
        before = number
        at += gap >> k
        out[at >> 6] |= _U(1) << _U(at & 63)
        at += 1
        rest: Any = _U(gap) & low
        shift = at & 63
        out[at >> 6] |= rest << _U(shift)
        if shift + k > 64:
            out[(at >> 6) + 1] |= rest >> _U(64 - shift)
        at += k


@njit(cache=True, nogil=True)
def rice_decode(code: Words, size: int, k: int, limit: int, out: Numbers) -> int:
    """Read as many numbers as `out` has room for; gives the bits read, or MALFORMED.

    Args:
        code: The code, and a word of zeros behind it.
        size: Its bits; none behind them is read.
        k: 0 … 31.
        limit: What every number must stay below.
        out: (n,) int64, written.
    """
    at = 0
    before: Integer = -1
    low = (_U(1) << _U(k)) - _U(1)
    for n in range(out.size):
        start = at
        while at < size:
            word = code[at >> 6] >> _U(at & 63)
            if word:
                at += trailing_zeros(word)
                break
            at = (at | 63) + 1
        end = at + 1 + k
        if end > size:
            return MALFORMED
        quotient = at - start
        at += 1
        shift = at & 63
        rest: Any = code[at >> 6] >> _U(shift)
        if shift:
            rest |= code[(at >> 6) + 1] << _U(64 - shift)
        # A quotient is below 2³⁵ (the body's bits) and k below 32: this does not overflow.
        number = before + 1 + (quotient << k) + np.int64(rest & low)
        if number >= limit:
            return MALFORMED
        out[n] = before = number
        at = end
    return at


@njit(cache=True, nogil=True)
def set_ones(numbers: Numbers, out: Words) -> None:
    """Set the bits of these numbers."""
    for number in numbers:
        out[number >> 6] |= _U(1) << _U(number & 63)
