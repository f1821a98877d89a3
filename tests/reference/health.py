"""Health tests of a noise source from their definitions, slowly, and their cutoffs exactly.

Each function says at which sample a whole recording fails, or None. Probabilities are rational
numbers, summed without rounding.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import comb


def repetition_fails_at(samples: Sequence[int], cutoff: int) -> int | None:
    """The first sample that ends `cutoff` equal ones (SP 800-90B, 4.4.1)."""
    for end in range(cutoff, len(samples) + 1):
        if len(set(samples[end - cutoff : end])) == 1:
            return end - 1
    return None


def proportion_fails_at(samples: Sequence[int], cutoff: int, window: int) -> int | None:
    """The first sample at which its window's first value was seen `cutoff` times (4.4.2)."""
    for at in range(len(samples)):
        start = at - at % window
        if list(samples[start : at + 1]).count(samples[start]) >= cutoff:
            return at
    return None


def lag_fails_at(
    samples: Sequence[int], run_cutoff: int, within: int, window: int, lags: int
) -> int | None:
    """The first sample after `run_cutoff` right guesses in a row, or `within` in its window.

    The guess is the sample of the lag that was right most often, the longest of equals; after a
    window, what was right counts half, rounded down.
    """
    scores = dict.fromkeys(range(lags, 0, -1), 0)
    guesses: list[bool] = []
    for at, value in enumerate(samples):
        best = max(scores, key=lambda lag: scores[lag])  # the first of equals
        guesses.append(at >= best and samples[at - best] == value)
        if len(guesses) >= run_cutoff and all(guesses[-run_cutoff:]):
            return at
        if sum(guesses[at - at % window :]) >= within:
            return at
        for lag in scores:
            scores[lag] += at >= lag and samples[at - lag] == value
        if at % window == window - 1:
            scores = {lag: score // 2 for lag, score in scores.items()}
    return None


def tail(least: int, trials: int, p: Fraction) -> Fraction:
    """Chance of at least so many successes."""
    return sum(
        (comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(least, trials + 1)),
        Fraction(0),
    )


def success_cutoff(p: Fraction, false_alarm: Fraction, trials: int) -> int:
    """Smallest count that so many trials reach with a chance up to `false_alarm`."""
    reached = Fraction(0)
    for least in range(trials, -1, -1):
        reached += comb(trials, least) * p**least * (1 - p) ** (trials - least)
        if reached > false_alarm:
            return least + 1
    return 0
