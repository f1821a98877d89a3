"""Weak pulses whose choices the parties make themselves: candidates, kept or not, and detectors.

No pulse clicks with more than the greatest probability of any choices. Gates are drawn that click
so often, and each candidate is kept with the share that the choices of its pulse have: Alice's and
Bob's choices are computed there, from their own keys, and nowhere else. Behind a click that blinds
both detectors the wait for the next candidate begins anew; it has no memory. The detectors are
those of `bellwire.link.kernels.clicks`, whose registers these are, for candidates in the place of
clicks of light.

Who changes `clicks.py` or `aes.py` empties `__pycache__`: Numba keeps a kernel with all it calls.

Legend:

    gap  (n,) waits for candidates; u (n,) words of theirs: 48 bits that decide, and a coin
    R    (m,) rare words
    C    (24, 3) cumulated thresholds of 48 bits: detector 0 alone, detector 1 alone, both; rows are
         (intensity, Bob's basis, Alice's basis, bit), the last running fastest
    cut  (4,) from where on: Alice's basis is the diagonal one, the intensity the second, the third,
         Bob's basis the diagonal one
"""

import numpy as np
from numba import njit

from bellwire.crypto.kernels.aes import Key, fill
from bellwire.link.kernels.clicks import (
    A0,
    A1,
    BASE,
    BLIND,
    D0,
    D1,
    FAR,
    FILL,
    LIGHT,
    NONE,
    RARE,
    RESERVE,
    ROW,
    Codes,
    Integers,
    Words,
    geometric,
)

_WORDS = 2
"""One block of a key's stream is computed at a time: keys are of one block an instruction."""


@njit(cache=True, nogil=True)
def word_of(slot: int, key: Key, space: Words) -> np.uint64:
    """A slot's word of 64 bits: Alice's bit, 31 bits of basis, 32 bits of intensity."""
    fill(space, np.uint64(slot >> 1), key)
    return np.uint64(space[slot & 1])


@njit(cache=True, nogil=True)
def half_of(slot: int, key: Key, space: Words) -> np.uint64:
    """A slot's 32 bits: Bob's basis."""
    fill(space, np.uint64(slot >> 2), key)
    return np.uint64((space[(slot >> 1) & 1] >> np.uint64(32 * (slot & 1))) & np.uint64(0xFFFFFFFF))


@njit(cache=True, nogil=True)
def words_at(slots: Integers, key: Key, found: Words) -> None:
    """Words of 64 bits at (n,) slots."""
    space = np.empty(_WORDS, np.uint64)
    for i in range(slots.size):
        found[i] = word_of(slots[i], key, space)


@njit(cache=True, nogil=True)
def halves_at(slots: Integers, key: Key, found: Words) -> None:
    """Words of 32 bits at (n,) slots."""
    space = np.empty(_WORDS, np.uint64)
    for i in range(slots.size):
        found[i] = half_of(slots[i], key, space)


@njit(cache=True, nogil=True)
def thin(
    s: Integers,
    end: int,
    gap: Integers,
    u: Words,
    alice: Key,
    bob: Key,
    R: Words,
    C: Words,
    cut: Words,
    dead: int,
    common: bool,
    fill_trap: float,
    decay: float,
    at: Integers,
    what: Codes,
) -> tuple[bool, int]:
    """Go on until the gate `end`, or until candidates or rare words run out.

    Args:
        s: Registers, changed in place.
        end: Gates from here on are left alone.
        gap: Waits for candidates from number `s[ROW]` on.
        u: Their words.
        alice: Key of Alice's choices. Secret.
        bob: Key of Bob's choices. Secret.
        R: Rare words from `s[RARE]` on.
        C: Thresholds.
        cut: Where choices change.
        dead: Blind gates behind a click.
        common: Whether a click blinds both detectors.
        fill_trap: 1/ln(1 − p), p the probability that a click fills its trap; 0 for never.
        decay: −(mean wait of the carrier's decay law), gates: wait ⌊ln u · decay⌋.
        at: Where the gates of the clicks go, one for each candidate and rare word in hand.
        what: Where 4·(Bob's basis) + 2·(both detectors) + bit read goes, as many.

    Returns:
        Whether `end` was reached; the number of clicks.
    """
    base, g, d0, d1, a0, a1 = s[BASE], s[LIGHT], s[D0], s[D1], s[A0], s[A1]
    blind, untouched = s[BLIND], s[FILL]
    i, r, n = 0, 0, 0
    done = False
    hers, his = np.empty(_WORDS, np.uint64), np.empty(_WORDS, np.uint64)
    if untouched == NONE and R.size:
        untouched, r = (geometric(R[0], fill_trap), 1) if fill_trap != 0.0 else (FAR, 0)
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
        c0, c1 = t == a0, t == a1
        released = c0 or c1
        a0 = FAR if c0 else a0
        a1 = FAR if c1 else a1
        coin = np.int64(0)
        if t == g:
            w = word_of(t, alice, hers)
            row = w & np.uint64(1)
            row |= np.uint64((w >> np.uint64(1)) & np.uint64(0x7FFFFFFF) >= cut[0]) << np.uint64(1)
            basis = np.uint64(half_of(t, bob, his) >= cut[3])
            row |= basis << np.uint64(2)
            shade = w >> np.uint64(32)
            row += np.uint64(shade >= cut[1]) << np.uint64(3)
            row += np.uint64(shade >= cut[2]) << np.uint64(3)
            x = u[i] >> np.uint64(16)
            coin = np.int64(u[i] & np.uint64(1))
            i += 1
            g = NONE
            base = t + 1
            if x < C[row, 2]:
                one, alone = x >= C[row, 0], x < C[row, 1]
                c0 |= not (one and alone)
                c1 |= one
            elif not released:
                continue
        else:
            basis = np.uint64(half_of(t, bob, his) >= cut[3])
        c0 &= t >= d0
        c1 &= t >= d1
        if not (c0 or c1):
            continue
        both = c0 and c1
        if both and released:
            coin = np.int64(R[r] & np.uint64(1))
            r += 1
        at[n] = t
        what[n] = np.int64(basis) << 2 | (2 | coin if both else np.int64(c1))
        n += 1
        d = t + 1 + dead
        # A branch, where a choice of values would make the next gate wait for this one's words.
        if common:
            d0 = d1 = free = d
        else:
            d0 = d if c0 else d0
            d1 = d if c1 else d1
            free = min(d0, d1)
        if free > t + 1:
            blind += free - t - 1
            if g == NONE:
                base = free
            elif g < free:
                g = NONE
                base = free
                i += 1
        clicks = np.int64(c0) + np.int64(c1)
        if untouched >= clicks:
            untouched -= clicks
            continue
        for detector in range(2):
            if not (c1 if detector else c0):
                continue
            if untouched:
                untouched -= 1
                continue
            untouched = geometric(R[r], fill_trap)
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
