"""Entropy accumulation: what many rounds hide from Eve, whatever links them to each other.

In each of n rounds a device gives an output A_i (of d values) and a score C_i, which follows from
the output and from what is public of the round (its settings, drawn afresh). A *min-tradeoff
function* f is an affine function of the distribution of the score that is nowhere above the least
entropy H(A_i | Eve) of a device which scores so. If an event Ω of the scores implies f ≥ t for
their frequencies, then for every α in (1, 2)

    H_min^ε(A₁…A_n | Eve, Ω) ≥ n t − n (α − 1) (ln 2 / 2) V² − n (α − 1)² K
                               − [ log₂(2/ε²) + α log₂(1/Pr Ω) ] / (α − 1)
    V = log₂(2d² + 1) + √(2 + Var f)
    K = 2^((α − 1) R) ln³(2^R + e²) / (6 (2 − α)³ ln 2),      R = 2 log₂ d + Max f − Min f

Var and Min are over what quantum devices can score, Max over all scores; ε is a purified distance.
The outputs may be quantum here; for classical ones somewhat less would do.

We did not have the paper's text before us: the theorem is as two public programs for
device-independent rates have it, which agree.

Source: Dupuis, Fawzi, "Entropy accumulation with improved second-order term", IEEE Trans. Inf.
Theory 65, 7596 (2019); the theorem itself: Dupuis, Fawzi, Renner, Commun. Math. Phys. 379, 867
(2020).
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """What the theorem asks of a min-tradeoff function.

    Attributes:
        value: t, bits per round that it promises of every accepted block.
        spread: Max f − Min f.
        variance: Var f at most.
        dimension: d, values of a round's output.
    """

    value: float
    spread: float
    variance: float
    dimension: int


_HUGE = 500.0
_MOST = 0.5
"""α − 1: more than ½ helps no block that has any entropy."""

_TRIED = 24
"""Values of α − 1, each 2^¼ below the last: the terms lose less than 1 % between two of them."""


def accumulated(rounds: float, tradeoff: Tradeoff, smoothing: float, chance: float) -> float:
    """Smooth min-entropy of all outputs in bits, at a good α; it may be negative.

    Args:
        rounds: n, above 0.
        tradeoff: f, and what Ω implies of it.
        smoothing: ε, above 0 and below 1.
        chance: Pr Ω at least.
    """
    once = 1.0 - 2.0 * math.log2(smoothing) - math.log2(chance)
    # Best if K were nothing; K only ever asks for less.
    first = min(_MOST, math.sqrt(2.0 * once / (rounds * math.log(2.0))) / _width(tradeoff))
    return max(
        accumulated_at(rounds, tradeoff, smoothing, chance, first * 2.0 ** (-k / 4.0))
        for k in range(_TRIED)
    )


def accumulated_at(
    rounds: float, tradeoff: Tradeoff, smoothing: float, chance: float, over_one: float
) -> float:
    """The same at a given α − 1 in (0, 1)."""
    bits = 2.0 * math.log2(tradeoff.dimension) + tradeoff.spread
    if over_one * bits > _HUGE:
        return -math.inf
    # ln(2^R + e²) without 2^R, which may be more than a double holds.
    log = max(bits * math.log(2.0), 2.0) + math.log1p(math.exp(-abs(bits * math.log(2.0) - 2.0)))
    cubic = math.exp2(over_one * bits) * log**3 / (6.0 * (1.0 - over_one) ** 3 * math.log(2.0))
    once = 1.0 - 2.0 * math.log2(smoothing) - (1.0 + over_one) * math.log2(chance)
    return (
        rounds * tradeoff.value
        - rounds * over_one * math.log(2.0) / 2.0 * _width(tradeoff) ** 2
        - rounds * over_one**2 * cubic
        - once / over_one
    )


def _width(tradeoff: Tradeoff) -> float:
    """V."""
    return math.log2(2.0 * tradeoff.dimension**2 + 1.0) + math.sqrt(2.0 + tradeoff.variance)
