"""Sources of pairs that emit none, one or several in a window, as parametric down-conversion does.

A crystal pumped by a pulse makes no pairs on demand: their number is thermal if they share one mode
of light, and Poissonian if they spread over many. Two pairs in one window are two chances of a
coincidence whose halves know nothing of each other.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from bellwire.link.errors import ParameterError

MAX_MEAN_PAIRS = 5.0


class PairStatistics(StrEnum):
    """Law of the number of pairs in a window, by the names of the command line."""

    THERMAL = "thermal"
    POISSON = "poisson"


@dataclass(frozen=True, slots=True)
class PairSource:
    """A source of Φ⁺ pairs in the middle of the fibre.

    With μ the mean: n pairs with probability μⁿ/(1 + μ)ⁿ⁺¹ (thermal) or e^−μ μⁿ/n! (Poissonian),
    each pair independent of the others.

    Attributes:
        mean_pairs: μ, pairs per window, in (0, 5].
        statistics: Law of their number.

    Raises:
        ParameterError: the mean is outside its range.
    """

    mean_pairs: float
    statistics: PairStatistics = PairStatistics.THERMAL

    def __post_init__(self) -> None:
        mean = self.mean_pairs
        if not 0.0 < mean <= MAX_MEAN_PAIRS:
            raise ParameterError("mean pairs", f"in (0, {MAX_MEAN_PAIRS:g}]", mean)

    def silence(self, seen: Decimal) -> Decimal:
        """g(x): probability that no pair is seen when each would be with probability x.

        1/(1 + μx) of thermal light, e^−μx of Poissonian, to the precision of the current context.
        """
        exponent = Decimal(self.mean_pairs) * seen
        if self.statistics is PairStatistics.THERMAL:
            return 1 / (1 + exponent)
        return (-exponent).exp()

    def probability(self, n: int) -> float:
        """Probability of n pairs in a window."""
        mean = self.mean_pairs
        if self.statistics is PairStatistics.THERMAL:
            return math.exp(n * math.log(mean / (1.0 + mean))) / (1.0 + mean)
        return math.exp(n * math.log(mean) - mean - math.lgamma(n + 1))


def parse_pair_source(mean_pairs: float | None, statistics: str | None) -> PairSource | None:
    """The source that two words describe; None where no mean is given.

    Raises:
        ParameterError: unknown statistics, statistics without a mean, or a mean out of range.
    """
    if mean_pairs is None:
        if statistics is not None:
            raise ParameterError("pair statistics", "only with a number of mean pairs", statistics)
        return None
    try:
        known = PairStatistics(statistics or PairStatistics.THERMAL)
    except ValueError:
        kinds = " or ".join(PairStatistics)
        raise ParameterError("pair statistics", f"as {kinds}", repr(statistics)) from None
    return PairSource(mean_pairs, known)
