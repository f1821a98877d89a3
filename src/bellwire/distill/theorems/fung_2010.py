"""How much the key's single photons may err beyond the compared ones: sampling without replacement.

Source: Fung, Ma, Chau, PRA 81, 012318 (2010), in the form that Lim, Curty, Walenta, Xu, Zbinden,
PRA 89, 022307 (2014), equation (5), give to it.
"""

import math


def sampling_deviation(rate: float, key: float, tested: float, epsilon: float) -> float:
    """γ: with probability 1 − ε the key's error rate is at most that of the compared part plus it.

        γ = √( (c + d)(1 − b) b / (c d ln 2) · log₂[ (c + d) / (c d (1 − b) b) / ε² ] )

    Args:
        rate: b, of the compared part, above 0 and below 1.
        key: c, its size.
        tested: d, the size of the compared part.
        epsilon: ε.

    Beyond some 10¹⁴ bits the bracket falls below what a normal law's tail asks for, 2 ln(1/ε); then
    that is taken.
    """
    sizes = (key + tested) / (key * tested)
    spread = rate * (1.0 - rate)
    printed = math.log2(sizes / spread / epsilon**2) / math.log(2.0)
    return math.sqrt(sizes * spread * max(printed, -2.0 * math.log(epsilon)))
