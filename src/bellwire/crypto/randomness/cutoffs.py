"""From which count on a health test fails, for a stated min-entropy H and a false alarm of 2⁻ᵏ.

No sample of a source with H bits of min-entropy, given all before it, has a value with a chance
above p = 2⁻ᴴ, whoever guesses. Equal neighbours, and right guesses, so come at most as often as
heads of a coin with chance p; the cutoffs are exact quantiles of that coin.

Source: NIST SP 800-90B, 4.4.1 and 4.4.2. Its footnote has the second cutoff by the binomial
distribution of W trials; the sample that is counted is seen once before counting begins, which
leaves W − 1. What is computed here allows for that, as Linux's jitterentropy does.
"""

import math


def repetition_cutoff(entropy: float, false_alarm_log2: int) -> int:
    """C of the repetition count test: so many equal samples in a row fail.

    Args:
        entropy: H, bits per sample, above 0.
        false_alarm_log2: k; one place of the stream fails with a chance of at most 2⁻ᵏ.

    Source: SP 800-90B, 4.4.1: C = 1 + ⌈k / H⌉.
    """
    return 1 + run_cutoff(entropy, false_alarm_log2)


def run_cutoff(entropy: float, false_alarm_log2: int) -> int:
    """So many right guesses in a row fail: ⌈k / H⌉; arguments as of `repetition_cutoff`."""
    return math.ceil(false_alarm_log2 / entropy)


def proportion_cutoff(entropy: float, false_alarm_log2: int, window: int) -> int:
    """C of the adaptive proportion test: the window's first sample so often in it fails.

    Args:
        entropy: H, bits per sample, above 0.
        false_alarm_log2: k; a window fails with a chance of at most 2⁻ᵏ.
        window: W samples.

    Source: SP 800-90B, 4.4.2.
    """
    return 1 + success_cutoff(entropy, false_alarm_log2, window - 1)


def success_cutoff(entropy: float, false_alarm_log2: int, trials: int) -> int:
    """Smallest c such that c or more of `trials` guesses are right with a chance up to 2⁻ᵏ.

    A guess is right with probability 2⁻ᴴ, H being the `entropy` in bits. It is above `trials` if
    even all of them being right is not rare enough.
    """
    p = 2.0**-entropy
    tail = 0.0
    for right in range(trials, -1, -1):
        tail += _probability(right, trials, p)
        if tail > 2.0**-false_alarm_log2:
            return right + 1
    return 0


def _probability(right: int, trials: int, p: float) -> float:
    """Of exactly `right` successes: the binomial distribution, by logarithms."""
    ways = math.lgamma(trials + 1) - math.lgamma(right + 1) - math.lgamma(trials - right + 1)
    return math.exp(ways + right * math.log(p) + (trials - right) * math.log1p(-p))
