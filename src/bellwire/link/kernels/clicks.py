"""From click to click at gated detectors: waits, outcomes, blind gates, afterpulses.

Gates are independent given the channel, and nobody reads the choices of one that made no click. So
the time to the next click of light is drawn, and what it was in one look-up: work grows with clicks
and never with gates. Whoever sends, listens or measures is a table; the loops stay. `strike` serves
detectors that forget (no afterpulses, a click blinds all or none of them), `advance` a pair of
detectors that do not.

Legend, all gates counted from the first:

    s     registers, one int64 each, in the order below; they and the tallies are all of the state
    base  first gate in which light can click next, while no click is pending
    g     gate of the pending click of light, else NONE; its outcome lies in the next unused row
    d0,d1 first gate in which each detector is live again
    a0,a1 gate in which each detector's trapped carrier is released, else FAR
    blind gates so far in which no detector was live
    row, rare   words consumed of the two random streams
    fill  clicks that leave their trap as it is before one fills it; NONE before the first gate
    gap   (n,) waits for light, geometric; word (n,) what they came of, whose lowest 16 bits are new
    R     (m,) rare words
    T, K  alias table: 256 columns of 2⁴⁰, thresholds T, and of column c the code from the threshold
          on, K[2c], and the one below it, K[2c + 1]; an index does not make the processor guess
    N     tallies by code, and in `advance` behind them, by choice, light that only a blind detector
          got

A code is a byte. In `advance` it is choice·4 + 2·(both detectors) + bit read, and rows 0 and 1 of
the table are for gates in which light clicks and in which it does not (there only the choice
counts). A column is taken by 8 bits and compared with the upper 8 of its threshold; a tie, one
look-up in 256, is decided by 32 rare bits more.

An afterpulse is a competing event. A click fills its detector's trap with probability p, if it is
empty; the carrier is released at a geometric wait behind the blind gates of that click, and clicks
if the detector is live then. A gate where only it clicks takes its choices given that light made
none. Geometric waits have no memory: behind blind gates the next click of light is drawn anew, and
which click fills a trap next is a geometric wait too.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Words = NDArray[np.uint64]
Codes = NDArray[np.uint8]

BASE, LIGHT, D0, D1, A0, A1, BLIND, ROW, RARE, FILL = range(10)
REGISTERS = 10
NONE = -1
FAR = 1 << 62
COLUMNS = 256
CODES = 256

RESERVE = 8
"""Rare words that must be in hand before a gate is looked at; it takes 6 at most."""

_LN2 = math.log(2.0)
_HALF_ROOT = np.float64(math.sqrt(0.5)).view(np.int64)
_SHIFT = np.int64(np.float64(1.0).view(np.int64) - _HALF_ROOT)
_MANTISSA = np.int64((1 << 52) - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def waits(words: Words, scale: float, gap: Integers) -> None:
    """Gates without light before the next one with it: ⌊ln u · scale⌋, u of the upper 48 bits.

    The logarithm is written out so that the compiler makes vectors of it, and so that it is the
    same on every machine: u = 2^k·m with m around 1, ln m = 2·artanh((m − 1)/(m + 1)) as its series
    to the 21st power, good to 10⁻¹⁵ of ln u.

    Args:
        words: (n,) uniform.
        scale: 1/ln(1 − p), at most 0.
        gap: (n,) the waits, at most 2⁶¹.
    """
    number = gap.view(np.float64)  # the same memory: bits of a number, and back
    for i in range(words.size):
        number[i] = (float(np.int64(words[i] >> np.uint64(16))) + 0.5) * 2.0**-48
        bits = gap[i] + _SHIFT
        k = (bits >> np.int64(52)) - np.int64(1023)
        gap[i] = (bits & _MANTISSA) + _HALF_ROOT
        m = number[i]
        x = (m - 1.0) / (m + 1.0)
        z = x * x
        r = z * (1.0 / 21.0) + 1.0 / 19.0
        r = r * z + 1.0 / 17.0
        r = r * z + 1.0 / 15.0
        r = r * z + 1.0 / 13.0
        r = r * z + 1.0 / 11.0
        r = r * z + 1.0 / 9.0
        r = r * z + 1.0 / 7.0
        r = r * z + 1.0 / 5.0
        r = r * z + 1.0 / 3.0
        r = r * z + 1.0
        v = (float(k) * _LN2 + 2.0 * x * r) * scale
        gap[i] = np.int64(v if v < 2.0**61 else 2.0**61)


@njit(cache=True, nogil=True)
def strike(
    s: Integers,
    N: Integers,
    end: int,
    gap: Integers,
    word: Words,
    R: Words,
    T: Words,
    K: Codes,
    dead: int,
    at: Integers,
    what: Codes,
) -> tuple[bool, int]:
    """Go on until the gate `end`, or until a stream runs dry, with detectors that forget.

    Args:
        s: Registers, changed in place; `s[ROW]` and `s[RARE]` count what was consumed.
        N: (CODES,) tallies, added to.
        end: Gates from here on are left alone.
        gap: Waits of the rows from `s[ROW]` on.
        word: Words of the same rows.
        R: Rare words from `s[RARE]` on.
        T: (COLUMNS,) thresholds.
        K: (2·COLUMNS,) codes.
        dead: Gates behind a click in which no detector is live.
        at: Where the gates of the clicks go, one for each row in hand; empty to keep none.
        what: Where their codes go, as many.

    Returns:
        Whether `end` was reached; the number of clicks.
    """
    base, r, n = s[BASE], 0, 0
    done, keep = False, at.size > 0
    for i in range(gap.size):
        t = base + gap[i]
        if t >= end:
            done = True
            break
        w = word[i]
        c = w & np.uint64(0xFF)
        x, edge = (w >> np.uint64(8)) & np.uint64(0xFF), T[c] >> np.uint64(32)
        below = x < edge
        if x == edge:
            if r == R.size:
                break
            below = R[r] >> np.uint64(32) < T[c] & np.uint64(0xFFFFFFFF)
            r += 1
        code = K[(c << np.uint64(1)) | np.uint64(below)]
        N[code] += 1
        if keep:
            at[n] = t
            what[n] = code
        n += 1
        base = t + 1 + dead
    s[BASE] = base
    if n:
        s[D0] = s[D1] = base
    s[BLIND] += n * dead
    s[ROW] += n
    s[RARE] += r
    return done, n


@njit(cache=True, nogil=True)
def geometric(word: np.uint64, scale: float) -> np.int64:
    """⌊ln u · scale⌋, u uniform with 53 bits, at most 2⁶¹."""
    v = math.log((float(np.int64(word >> np.uint64(11))) + 0.5) * 2.0**-53) * scale
    return np.int64(min(v, 2.0**61))


@njit(cache=True, nogil=True)
def advance(
    s: Integers,
    N: Integers,
    end: int,
    gap: Integers,
    word: Words,
    R: Words,
    T: Words,
    K: Codes,
    dead: int,
    common: bool,
    fill: float,
    decay: float,
    at: Integers,
    what: Codes,
) -> tuple[bool, int]:
    """Go on until the gate `end`, or until a stream runs dry, with a pair of detectors.

    Args:
        s: Registers, changed in place; `s[ROW]` and `s[RARE]` count what was consumed.
        N: (CODES + choices,) tallies, added to.
        end: Gates from here on are left alone.
        gap: Waits of the rows from `s[ROW]` on.
        word: Words of the same rows.
        R: Rare words from `s[RARE]` on.
        T: (2, COLUMNS) thresholds.
        K: (2, 2·COLUMNS) codes.
        dead: Blind gates behind a click.
        common: Whether a click blinds both detectors.
        fill: 1/ln(1 − p), p the probability that a click fills its trap; 0 for never.
        decay: −(mean wait of the carrier's decay law), gates: wait ⌊ln u · decay⌋.
        at: Where the gates of the clicks go, one for each row and rare word in hand; empty to keep
            none.
        what: Where their codes go, as many.

    Returns:
        Whether `end` was reached; the number of clicks.
    """
    base, g, d0, d1, a0, a1 = s[BASE], s[LIGHT], s[D0], s[D1], s[A0], s[A1]
    blind, untouched = s[BLIND], s[FILL]
    i, r, n = 0, 0, 0
    done, keep = False, at.size > 0
    if untouched == NONE and R.size:
        untouched, r = (geometric(R[0], fill), 1) if fill != 0.0 else (FAR, 0)
    while True:
        if g == NONE:
            if i == gap.size:
                break
            g = base + gap[i]
        t = min(g, a0, a1)
        if t >= end:
            done = True
            break
        if r + RESERVE > R.size:
            break
        lit, released = t == g, t in (a0, a1)
        if lit:
            w = word[i]
            c = w & np.uint64(0xFF)
            x, edge = (w >> np.uint64(8)) & np.uint64(0xFF), T[0, c] >> np.uint64(32)
            below = x < edge
            if x == edge:
                below = R[r] >> np.uint64(32) < T[0, c] & np.uint64(0xFFFFFFFF)
                r += 1
            code = np.int64(K[0, (c << np.uint64(1)) | np.uint64(below)])
            i += 1
            g = NONE
            base = t + 1
            pattern = code & 3
            if not released and pattern < 2 and untouched > 0 and t >= d0 and t >= d1:
                # Nearly all clicks: light alone, one detector, both live, no trap filled.
                N[code] += 1
                if keep:
                    at[n] = t
                    what[n] = code
                n += 1
                d = base + dead
                d0 = d if common or pattern == 0 else d0
                d1 = d if common or pattern == 1 else d1
                if common:
                    blind += dead
                    base = d
                untouched -= 1
                continue
            c0, c1 = pattern != 1, pattern != 0
        else:
            code = np.int64(0)
            c0, c1 = False, False
        if released:
            c0 |= t == a0
            c1 |= t == a1
            if t == a0:
                a0 = FAR
            if t == a1:
                a1 = FAR
        c0 &= t >= d0
        c1 &= t >= d1
        if released and (c0 or c1):
            w = R[r]
            r += 1
            if not lit:
                c = w >> np.uint64(56)
                below = (w >> np.uint64(16)) & np.uint64(0xFFFFFFFFFF) < T[1, c]
                code = np.int64(K[1, (c << np.uint64(1)) | np.uint64(below)])
            code = (code & ~3) | np.int64(w & np.uint64(1))
        both = c0 and c1
        if not (c0 or c1):
            if lit:
                N[CODES + (code >> 2)] += 1
            continue
        code = (code & ~3) | (2 | (code & 1) if both else np.int64(c1))
        N[code] += 1
        if keep:
            at[n] = t
            what[n] = code
        n += 1
        d = t + 1 + dead
        d0 = d if c0 or common else d0
        d1 = d if c1 or common else d1
        free = min(d0, d1)
        if free > t + 1:
            blind += free - t - 1
            if g == NONE:
                base = free
            elif g < free:
                g = NONE
                base = free
                i += 1
        for detector in range(2):
            if not (c1 if detector else c0):
                continue
            if untouched:
                untouched -= 1
                continue
            untouched = geometric(R[r], fill)
            release = d + geometric(R[r + 1], decay)
            r += 2
            if detector and a1 == FAR:
                a1 = release
            if not detector and a0 == FAR:
                a0 = release
    s[BASE], s[LIGHT], s[D0], s[D1], s[A0], s[A1] = base, g, d0, d1, a0, a1
    s[BLIND], s[FILL] = blind, untouched
    s[ROW] += i
    s[RARE] += r
    return done, n
