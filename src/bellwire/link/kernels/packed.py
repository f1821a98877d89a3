"""Ideal links, 64 slots a word: every slot detected, choices and outcomes of both as bit planes.

A plane holds one bit of every slot; slot 64·w + i of a plane is bit i of word w. Slots go in
groups of 64 words, and a group draws from its own numbers of each party's stream, so that any
group can be made by itself and in any order.

A Bernoulli bit is u < t, digit by digit: as long as a lane's random digits equal those of its
threshold t it is undecided, and a drawn row of digits decides half of what is left. The group
ends when no lane is undecided or no threshold has a digit left: about 13 rows instead of 48. It is
exact for thresholds of 48 binary digits.

Legend:

    r     (64,) a row of random words: the next drawn digit of all lanes of a group
    und   lanes not decided yet
    less  lanes decided as u < t
    t     the threshold's digit in each lane
    M     (classes, 64) which lanes have which threshold; each lane at most one, else 0
    T     (classes,) thresholds, 48 digits
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bellwire.crypto.kernels.aes import Key, fill

Words = NDArray[np.uint64]
Integers = NDArray[np.int64]

GROUP_WORDS = 64
DIGITS = 48
THIRD = (1 << DIGITS) // 3
"""1/3 to 48 digits; 3·THIRD is 2⁴⁸ − 1."""

_DRAWS = 64
"""Rows of a group in each stream: a choice, up to 48 digits, an outcome."""

_CHOICE, _FIRST_DIGIT, _OUTCOME = 0, 1, 63
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_NONE = np.uint64(0)


@njit(cache=True, nogil=True)
def _draw(r: Words, group: int, draw: int, key: Key) -> None:
    """One row of a group."""
    at = np.uint64(group * _DRAWS + draw) * np.uint64(GROUP_WORDS // 2)
    fill(r, at, key)


@njit(cache=True, nogil=True)
def _bernoulli(
    less: Words, M: Words, T: Words, group: int, key: Key, r: Words, und: Words, t: Words
) -> None:
    """Set `less` to 1 in each lane with the probability of its class; 0 in lanes of no class."""
    used = _NONE
    for c in range(T.size):
        used |= T[c]
    for i in range(GROUP_WORDS):
        und[i] = _ALL
        less[i] = _NONE
    for digit in range(DIGITS):
        s = np.uint64(DIGITS - 1 - digit)
        if used & ((np.uint64(2) << s) - np.uint64(1)) == _NONE:
            return
        for i in range(GROUP_WORDS):
            t[i] = _NONE
        for c in range(T.size):
            if (T[c] >> s) & np.uint64(1) != _NONE:
                for i in range(GROUP_WORDS):
                    t[i] |= M[c, i]
        _draw(r, group, _FIRST_DIGIT + digit, key)
        left = _NONE
        for i in range(GROUP_WORDS):
            less[i] |= und[i] & t[i] & ~r[i]
            und[i] &= ~(t[i] ^ r[i])
            left |= und[i]
        if left == _NONE:
            return


@njit(cache=True, nogil=True)
def _choose(
    planes: Words,
    at: int,
    L: Words,
    group: int,
    key: Key,
    everywhere: Words,
    third: Words,
    r: Words,
    und: Words,
    t: Words,
) -> None:
    """Uniform settings of one group: two of them in one plane, or three in two.

    L (settings, 64) becomes the lanes of each setting. Three: 2 with probability 1/3, else a coin.
    """
    if planes.shape[0] == 1:
        _draw(r, group, _CHOICE, key)
        for i in range(GROUP_WORDS):
            planes[0, at + i] = r[i]
            L[0, i] = ~r[i]
            L[1, i] = r[i]
        return
    _bernoulli(L[2], everywhere, third, group, key, r, und, t)
    _draw(r, group, _CHOICE, key)
    for i in range(GROUP_WORDS):
        L[1, i] = r[i] & ~L[2, i]
        L[0, i] = ~(r[i] | L[2, i])
        planes[0, at + i] = L[1, i]
        planes[1, at + i] = L[2, i]


@njit(cache=True, nogil=True)
def correlated(
    first: int,
    begin: int,
    end: int,
    A: Words,
    X: Words,
    B: Words,
    Y: Words,
    alice: Key,
    bob: Key,
    source: Key,
    noise: Key,
    T: Words,
    cls: Integers,
    turned: Integers,
) -> None:
    """Uniform settings, and outcomes that are correlated by them.

    Args:
        first: Number of the group that the arrays begin with.
        begin: First group to make, counted within the arrays.
        end: First group to leave.
        A: (1 or 2, words) Alice's setting, plane k worth 2ᵏ; words a multiple of 64.
        X: (words,) her outcomes, or bits.
        B: (1 or 2, words) Bob's setting.
        Y: (words,) his outcomes.
        alice: Stream of Alice's settings.
        bob: Stream of Bob's settings.
        source: Stream of X: Alice's own where she prepares pulses.
        noise: Stream of what makes Y differ from X.
        T: (classes,) probabilities that outcomes differ, or are alike where turned; × 2⁴⁸.
        cls: (settings, settings) class of each pair of settings, −1 for probability 0.
        turned: (settings, settings) 1 where T is the probability of being alike.
    """
    n = A.shape[0] + 1
    r, und, t, less = (
        np.empty(GROUP_WORDS, np.uint64),
        np.empty(GROUP_WORDS, np.uint64),
        np.empty(GROUP_WORDS, np.uint64),
        np.empty(GROUP_WORDS, np.uint64),
    )
    LA, LB = np.empty((n, GROUP_WORDS), np.uint64), np.empty((n, GROUP_WORDS), np.uint64)
    M, turn = np.empty((T.size, GROUP_WORDS), np.uint64), np.empty(GROUP_WORDS, np.uint64)
    everywhere = np.full((1, GROUP_WORDS), _ALL)
    third = np.full(1, np.uint64(THIRD))
    for g in range(begin, end):
        at, group = g * GROUP_WORDS, first + g
        _choose(A, at, LA, group, alice, everywhere, third, r, und, t)
        _choose(B, at, LB, group, bob, everywhere, third, r, und, t)
        M[:] = _NONE
        turn[:] = _NONE
        for a in range(n):
            for b in range(n):
                c = cls[a, b]
                if c >= 0:
                    for i in range(GROUP_WORDS):
                        M[c, i] |= LA[a, i] & LB[b, i]
                if turned[a, b] != 0:
                    for i in range(GROUP_WORDS):
                        turn[i] |= LA[a, i] & LB[b, i]
        _bernoulli(less, M, T, group, noise, r, und, t)
        _draw(r, group, _OUTCOME, source)
        for i in range(GROUP_WORDS):
            X[at + i] = r[i]
            Y[at + i] = r[i] ^ less[i] ^ turn[i]


@njit(cache=True, nogil=True)
def intercepted(
    first: int,
    begin: int,
    end: int,
    A: Words,
    X: Words,
    B: Words,
    Y: Words,
    E: Words,
    alice: Key,
    bob: Key,
    source: Key,
    noise: Key,
    eve: Key,
    T: Words,
    share: Words,
    always: bool,
) -> None:
    """Two bases, and Eve who measures a share of the photons in one of them and sends the result.

    Arguments as in `correlated`, and:
        E: (3, words) whether she touched the photon, her basis, her bit; 0 where she did not.
        eve: Stream of Eve's choices.
        T: (2,) probabilities, × 2⁴⁸, that Bob's outcome differs from what travelled to him: of
            his basis being the sender's, and of the other.
        share: (1,) probability that she touches, × 2⁴⁸.
        always: Whether she touches every photon.
    """
    r, und, t, less = (
        np.empty(GROUP_WORDS, np.uint64),
        np.empty(GROUP_WORDS, np.uint64),
        np.empty(GROUP_WORDS, np.uint64),
        np.empty(GROUP_WORDS, np.uint64),
    )
    touched, axis, M = np.empty_like(r), np.empty_like(r), np.empty((2, GROUP_WORDS), np.uint64)
    everywhere = np.full((1, GROUP_WORDS), _ALL)
    for g in range(begin, end):
        at, group = g * GROUP_WORDS, first + g
        _draw(A[0, at : at + GROUP_WORDS], group, _CHOICE, alice)
        _draw(B[0, at : at + GROUP_WORDS], group, _CHOICE, bob)
        _draw(X[at : at + GROUP_WORDS], group, _OUTCOME, source)
        if always:
            touched[:] = _ALL
        else:
            _bernoulli(touched, everywhere, share, group, eve, r, und, t)
        _draw(axis, group, _CHOICE, eve)
        _draw(r, group, _OUTCOME, eve)
        for i in range(GROUP_WORDS):
            a, x, m = A[0, at + i], X[at + i], touched[i]
            e = x ^ (r[i] & (a ^ axis[i]))
            E[0, at + i] = m
            E[1, at + i] = axis[i] & m
            E[2, at + i] = e & m
            unlike = a ^ (m & (a ^ axis[i])) ^ B[0, at + i]
            M[0, i] = ~unlike
            M[1, i] = unlike
            Y[at + i] = x ^ (m & (x ^ e))
        _bernoulli(less, M, T, group, noise, r, und, t)
        for i in range(GROUP_WORDS):
            Y[at + i] ^= less[i]


@njit(cache=True, nogil=True)
def _ones(x: np.uint64) -> np.int64:
    """How many bits are set; LLVM knows the pattern and takes the instruction for it."""
    x -= (x >> np.uint64(1)) & np.uint64(0x5555555555555555)
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(cache=True, nogil=True)
def known(A: Words, B: Words, E: Words, mask: Words) -> np.int64:
    """Slots of like bases in which Eve measured in that basis."""
    total = np.int64(0)
    for i in range(mask.size):
        total += _ones(mask[i] & E[0, i] & ~(A[0, i] ^ B[0, i]) & ~(A[0, i] ^ E[1, i]))
    return total


@njit(cache=True, nogil=True)
def tally(N: Integers, A: Words, X: Words, B: Words, Y: Words, mask: Words) -> None:
    """Count slots by setting and outcome.

    Args:
        N: (settings, settings, 2, 2) counts by Alice's setting, Bob's, her outcome, his; added to.
        A: As in `correlated`.
        X: As in `correlated`.
        B: As in `correlated`.
        Y: As in `correlated`.
        mask: (words,) which slots count.
    """
    n = A.shape[0] + 1
    LA, LB = np.empty((n, GROUP_WORDS), np.uint64), np.empty((n, GROUP_WORDS), np.uint64)
    for at in range(0, X.size, GROUP_WORDS):
        for i in range(GROUP_WORDS):
            LA[0, i] = mask[at + i]
            LB[0, i] = _ALL
        for k in range(n - 1):
            for i in range(GROUP_WORDS):
                LA[k + 1, i] = A[k, at + i] & mask[at + i]
                LB[k + 1, i] = B[k, at + i]
                LA[0, i] &= ~LA[k + 1, i]
                LB[0, i] &= ~LB[k + 1, i]
        for a in range(n):
            for b in range(n):
                slots, ones, other, both = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
                for i in range(GROUP_WORDS):
                    lanes = LA[a, i] & LB[b, i]
                    slots += _ones(lanes)
                    ones += _ones(lanes & X[at + i])
                    other += _ones(lanes & Y[at + i])
                    both += _ones(lanes & X[at + i] & Y[at + i])
                N[a, b, 0, 0] += slots - ones - other + both
                N[a, b, 0, 1] += other - both
                N[a, b, 1, 0] += ones - both
                N[a, b, 1, 1] += both
