"""Finite-size limits by the books: Hoeffding's plain form, and exact tails summed term by term."""

import math


def hoeffding(n: int, epsilon: float) -> float:
    """Deviation of a mean of n bits, exceeded with probability at most epsilon."""
    return math.sqrt(math.log(1.0 / epsilon) / (2.0 * n))


def binomial_lower_tail(k: int, n: int, p: float) -> float:
    """Pr[at most k ones in n throws of a coin of mean p]."""
    if p in (0.0, 1.0):
        return 1.0 if p == 0.0 or k >= n else 0.0
    return math.fsum(
        math.exp(
            math.lgamma(n + 1)
            - math.lgamma(i + 1)
            - math.lgamma(n - i + 1)
            + i * math.log(p)
            + (n - i) * math.log1p(-p)
        )
        for i in range(k + 1)
    )


def hypergeometric(ones: int, sample: int, rest: int) -> list[float]:
    """Pr[s ones in the sample] for s = 0 … sample, of a population with `ones` ones."""
    total = math.comb(sample + rest, ones)
    return [
        math.comb(sample, s) * math.comb(rest, ones - s) / total if 0 <= ones - s <= rest else 0.0
        for s in range(sample + 1)
    ]


def e91_phase_error(
    first: tuple[float, int],
    second: tuple[float, int],
    key_bits: int,
    epsilon_correlation: float,
    epsilon_key: float,
) -> float:
    """½(1 − [E₁ − E₂]/√2) plus Hoeffding's deviations of both correlations and of the key.

    A correlation is 1 − 2·(mean of a bit): it deviates by twice what the mean does.
    """
    low = first[0] - 2.0 * hoeffding(first[1], epsilon_correlation)
    high = second[0] + 2.0 * hoeffding(second[1], epsilon_correlation)
    return 0.5 * (1.0 - (low - high) / math.sqrt(2.0)) + hoeffding(key_bits, epsilon_key)
