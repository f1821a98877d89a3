"""Finite-size limits: how far the truth may lie from what a sample shows, and how much key remains.

Every function states the failure probability it is given and the theorem behind it. All lengths are
in bits, rates are fractions. The chain of reasoning is in docs/explanation/finite-keys.md.

Sources: Hoeffding, JASA 58, 13 (1963), theorems 1 and 4 in their relative-entropy form; Serfling,
Ann. Stat. 2, 39 (1974), in the form for two parts of one population used by Tomamichel, Lim, Gisin
and Renner, Nat. Commun. 3, 634 (2012); leftover hashing: Tomamichel, Schaffner, Smith and Renner,
IEEE Trans. Inf. Theory 57, 5524 (2011).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bellwire.base.bits import binary_entropy
from bellwire.distill.errors import ParameterError

MIN_EPSILON = 1e-20
MAX_EPSILON = 1e-3

_BISECTIONS = 60  # halves [0, 1] to below the resolution of a double


def _divergence(p: float, q: float) -> float:
    """Relative entropy D(p‖q) of two coins, in nats."""
    total = 0.0
    for a, b in ((p, q), (1.0 - p, 1.0 - q)):
        if a > 0.0:
            total += math.inf if b <= 0.0 else a * math.log(a / b)
    return total


def _largest(low: float, allowed: Callable[[float], bool]) -> float:
    """The largest allowed x in [low, 1], rounded up; the condition holds up to some x."""
    high = 1.0
    if allowed(high):
        return high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if allowed(middle):
            low = middle
        else:
            high = middle
    return high


def upper_mean(observed: float, n: int, epsilon: float) -> float:
    """Upper limit of a coin's mean after seeing `observed` in n independent throws.

    Fails (the mean is larger) with probability at most epsilon: Hoeffding's
    Pr[X̄ ≤ x] ≤ exp(−n D(x‖μ)) for x ≤ μ, solved for μ. One if n is 0.
    """
    if n == 0:
        return 1.0
    budget = math.log(1.0 / epsilon) / n
    return _largest(observed, lambda mean: _divergence(observed, mean) <= budget)


def lower_mean(observed: float, n: int, epsilon: float) -> float:
    """Lower limit of a coin's mean, as `upper_mean` for the other face. Zero if n is 0."""
    return 1.0 - upper_mean(1.0 - observed, n, epsilon)


def upper_sample(mean: float, n: int, epsilon: float) -> float:
    """Limit that the share of ones in n independent throws with at most `mean` does not exceed.

    Fails with probability at most epsilon: Pr[X̄ ≥ x] ≤ exp(−n D(x‖μ)) for x ≥ μ. One if n is 0.
    """
    if n == 0:
        return 1.0
    budget = math.log(1.0 / epsilon) / n
    return _largest(mean, lambda share: _divergence(share, mean) <= budget)


def upper_rest(observed: float, sample: int, rest: int, epsilon: float) -> float:
    """Limit of the share of ones in the `rest` of a population of which a random `sample` was seen.

    Fails with probability at most epsilon. One if the sample is empty.

    A sample that is the smaller part limits the share of the population, and so of the rest, by
    Hoeffding's inequality, which holds for drawing without replacement as for independent throws
    (his theorem 4): it knows that few ones vary little. A larger sample than the rest is worth more
    than that; then it is Serfling's Pr[rest ≥ observed + μ] ≤ exp(−2 μ² n k² / ((n + k)(k + 1))),
    n = rest, k = sample. Which one depends on the sizes alone.
    """
    if sample == 0:
        return 1.0
    if rest == 0:
        return 0.0
    if sample <= rest:
        population = upper_mean(observed, sample, epsilon)
        return min(1.0, population + sample / rest * (population - observed))
    n, k = rest, sample
    deviation = math.sqrt((n + k) * (k + 1) * math.log(1.0 / epsilon) / (2.0 * n * k * k))
    return min(1.0, observed + deviation)


@dataclass(frozen=True, slots=True)
class EpsilonBudget:
    """How the total failure probability of a block is divided.

    Attributes:
        total: What the block may fail by: not secret, or not equal, or not authentic.
        estimation: Each of up to four correlations (E91) that must not mislead.
        smoothing: ε' of the smooth entropies; the sampling of the key may fail by ε'² in all.
        amplification: Distance from uniform that hashing may leave.
    """

    total: float
    estimation: float
    smoothing: float
    amplification: float

    @classmethod
    def divide(cls, total: float) -> "EpsilonBudget":
        """Half to estimation, a quarter to smoothing (it counts twice), an eighth to amplification.

        The remaining eighth is for verification and the four tags. Their own failure probabilities
        grow with what was said, up to 10⁻²³ for the longest block: hence the least total.

        Raises:
            ParameterError: total outside [1e-20, 1e-3].
        """
        if not MIN_EPSILON <= total <= MAX_EPSILON:
            raise ParameterError(
                f"epsilon: expected {MIN_EPSILON:g} to {MAX_EPSILON:g}, got {total}"
            )
        return cls(total=total, estimation=total / 8, smoothing=total / 8, amplification=total / 8)

    @property
    def secrecy(self) -> float:
        """ε_sec: four correlations, twice the smoothing, the hash."""
        return 4 * self.estimation + 2 * self.smoothing + self.amplification


@dataclass(frozen=True, slots=True)
class Epsilon:
    """What a key fails by, part by part; distances and probabilities of failure add.

    A key that is `secrecy`-secret, `correctness`-correct and whose messages were authentic except
    with probability `authentication` is within `total` of a perfect one: each part replaces one
    thing by its ideal, and the triangle inequality adds the steps, over several blocks as well.
    The names are those of Tomamichel, Lim, Gisin and Renner, where ε-secure means ε_cor-correct and
    ε_sec-secret with ε_cor + ε_sec ≤ ε.

    Attributes:
        secrecy: ε_sec, distance of the key from one that is uniform and unknown to Eve.
        correctness: ε_cor, probability that both sides accept different keys.
        authentication: Probability that a forged message passes.
    """

    secrecy: float
    correctness: float
    authentication: float

    @property
    def total(self) -> float:
        """ε of everything together."""
        return self.secrecy + self.correctness + self.authentication

    def __add__(self, other: "Epsilon") -> "Epsilon":
        return Epsilon(
            self.secrecy + other.secrecy,
            self.correctness + other.correctness,
            self.authentication + other.authentication,
        )


def secret_length(
    parts: Sequence[tuple[int, float]], leaked_bits: int, budget: EpsilonBudget
) -> int:
    """Bits that may be extracted from key parts with limited phase error.

    Args:
        parts: (bits, upper limit of the phase error rate) of each part of the key.
        leaked_bits: Everything about the key that crossed the classical channel.
        budget: Which ε the amplification may spend.

    Returns:
        ⌊Σ n(1 − h(e)) − leaked − 2 log₂(1 / 2ε_PA)⌋, at least 0; a part with e ≥ ½ gives nothing.

    The error pattern (Alice's bits XOR Bob's) may be public: after a CNOT from Alice's qubits onto
    Bob's, Bob's carry the pattern and the complementary outcome on Alice's is the phase error
    itself, so H_min(key | Eve, pattern) ≥ Σ n − Σ n h(e) holds with the pattern in Eve's hands
    (the uncertainty relation with trivial memory). Parities that both sides announce therefore cost
    one bit each: Alice's, Bob's being Alice's plus the pattern's.
    """
    entropy = sum(n * (1.0 - binary_entropy(e)) for n, e in parts if e < 0.5)
    length = entropy - leaked_bits - 2.0 * math.log2(1.0 / (2.0 * budget.amplification))
    return max(0, math.floor(length))
