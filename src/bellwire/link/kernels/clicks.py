"""From click to click at a gated pair of detectors: gaps, outcomes, blind gates, afterpulses.

Pulses are independent given the channel, and nobody reads the choices of one that made no click.
So the time to the next click of light is drawn, and what it was in one look-up: work grows with
clicks and never with pulses. Whoever sends, listens or measures is a table; the loop stays.

Legend, all gates counted from the first pulse:

    s     registers, one int64 each, in the order below; they and the tallies are all of the state
    base  first gate in which light can click next, while no click is pending
    g     gate of the pending click of light, else NONE; its outcome lies in the next unused row
    d0,d1 first gate in which each detector is live again
    a0,a1 gate in which each detector's trapped carrier is released, else FAR
    blind gates so far in which neither detector was live
    row, rare   rows consumed of the two random streams
    gap   (n,) waits for light, geometric; word (n,) 48 bits of outcome, 15 to sieve, a coin
    R     (m, 4) rare rows: word, two coins of 32 bits, two uniform numbers of 53 bits
    T, K, L   alias tables: 256 columns of 2⁴⁰, K below the threshold T, else L. In row 0 light
              clicks: K and L are choice·4 + detectors; in row 1 it does not: they are choice·4
    N     tallies per choice: D0 alone, D1 alone, both read as 0, both read as 1, and light that
          only a blind detector got

An afterpulse is a competing event. A click fills its detector's trap with probability p, if it is
empty; the carrier is released at a geometric wait behind the blind gates of that click, and clicks
if the detector is live then. A gate where only it clicks takes its choices given that light made
none. The geometric wait has no memory: behind blind gates it is simply drawn anew.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Words = NDArray[np.uint64]

BASE, LIGHT, D0, D1, A0, A1, BLIND, ROW, RARE = range(9)
REGISTERS = 9
NONE = -1
FAR = 1 << 62
TALLIES = 5
COLUMNS = 256
SIEVE = 1 << 15


@njit(cache=True, nogil=True)
def _wait(word: np.uint64, decay: float) -> np.int64:
    """⌊ln u · decay⌋ gates, u uniform with 53 bits."""
    return np.int64(math.log((float(word >> np.uint64(11)) + 0.5) * 2.0**-53) * decay)


@njit(cache=True, nogil=True)
def advance(
    s: Integers,
    N: Integers,
    end: int,
    gap: Integers,
    word: Words,
    R: Words,
    T: Words,
    K: Integers,
    L: Integers,
    dead: int,
    common: bool,
    p: float,
    decay: float,
) -> bool:
    """Go on until the gate `end`, or until a stream runs dry; whether `end` was reached.

    Args:
        s: Registers, changed in place; `s[ROW]` and `s[RARE]` count what was consumed.
        N: (choices · TALLIES,) tallies, added to.
        end: Gates from here on are left alone.
        gap: Waits of the rows from `s[ROW]` on.
        word: Outcomes of the same rows.
        R: Rare rows from `s[RARE]` on.
        T: (2, COLUMNS) thresholds.
        K: (2, COLUMNS) entries below the threshold.
        L: (2, COLUMNS) entries from it on.
        dead: Blind gates behind a click.
        common: Whether a click blinds both detectors.
        p: Probability that a click fills its trap.
        decay: −(mean wait of the carrier's decay law), gates: wait ⌊ln u · decay⌋.
    """
    base, g, d0, d1, a0, a1 = s[BASE], s[LIGHT], s[D0], s[D1], s[A0], s[A1]
    blind = s[BLIND]
    sieve = np.int64(math.ceil(p * SIEVE))
    coin = np.uint64(p * 2.0**32)
    fine = coin if sieve == 0 else np.uint64(p * SIEVE / sieve * 2.0**32)
    i, r = 0, 0
    done = False
    while True:
        if g == NONE:
            if i == gap.size:
                break
            g = base + gap[i]
        t = min(g, a0, a1)
        if t >= end:
            done = True
            break
        if r == R.shape[0]:
            break
        c0 = a0 == t
        c1 = a1 == t
        if c0:
            a0 = FAR
        if c1:
            a1 = FAR
        used = False
        if t == g:
            w = word[i]
            c = np.int64(w >> np.uint64(56))
            entry = K[0, c] if (w >> np.uint64(16)) & np.uint64(0xFFFFFFFFFF) < T[0, c] else L[0, c]
            c0 |= (entry & 1) != 0
            c1 |= (entry & 2) != 0
            c0 &= t >= d0
            c1 &= t >= d1
            i += 1
            g = NONE
            base = t + 1
        else:
            c0 &= t >= d0
            c1 &= t >= d1
            if not (c0 or c1):
                continue
            w = R[r, 0]
            c = np.int64(w >> np.uint64(56))
            entry = K[1, c] if (w >> np.uint64(16)) & np.uint64(0xFFFFFFFFFF) < T[1, c] else L[1, c]
            used = True
        at = (entry >> 2) * TALLIES
        if not (c0 or c1):
            N[at + 4] += 1
            continue
        both = c0 and c1
        if both:
            N[at + 2 + np.int64(w & np.uint64(1))] += 1
        else:
            N[at + np.int64(c1)] += 1
        d = t + 1 + dead
        if c0 or common:
            d0 = d
        if c1 or common:
            d1 = d
        free = min(d0, d1)
        if free > t + 1:
            blind += free - t - 1
            if g == NONE:
                base = free
            elif g < free:
                g = NONE
                base = free
                i += 1
        if sieve > 0 and (both or np.int64((w >> np.uint64(1)) & np.uint64(SIEVE - 1)) < sieve):
            # One click in many comes here: the sieve has let it pass with a little over p.
            q = coin if both else fine
            used = True
            if c0 and a0 == FAR and R[r, 1] >> np.uint64(32) < q:
                a0 = d + np.int64(
                    math.log((float(R[r, 2] >> np.uint64(11)) + 0.5) * 2.0**-53) * decay
                )
            if c1 and a1 == FAR and R[r, 1] & np.uint64(0xFFFFFFFF) < q:
                a1 = d + np.int64(
                    math.log((float(R[r, 3] >> np.uint64(11)) + 0.5) * 2.0**-53) * decay
                )
        if used:
            r += 1
    s[BASE], s[LIGHT], s[D0], s[D1], s[A0], s[A1] = base, g, d0, d1, a0, a1
    s[BLIND] = blind
    s[ROW] += i
    s[RARE] += r
    return done
