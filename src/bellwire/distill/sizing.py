"""How many pairs a session of E91 needs for a pad of so many bits, by the finite-size bound.

The bound that a block is held to (`evidence.Evidence.key_length`) is evaluated for what a link as
it was lately would show if all that counts came out three standard errors worse than expected:
fewer key bits, weaker correlations, more leaked. So about one session in a thousand is too short.
Where the shortest block that has a code is not long, a session gets it even if a shorter one would
do: with Cascade that one takes longer, as each of its fifty and more exchanges wakes both nodes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from bellwire.base.angles import CHSH_TERMS
from bellwire.base.bits import binary_entropy
from bellwire.distill.bounds import EpsilonBudget, secret_length
from bellwire.distill.estimation import Correlations, ErrorRate, e91_phase_errors
from bellwire.distill.ldpc_code import plan
from bellwire.distill.verdict import TSIRELSON
from bellwire.distill.verification import HASH_BITS

DEVIATIONS = 3.0
STEP_PAIRS = 5_000
MAX_SESSION_PAIRS = 1 << 23
"""Longest session: 8 million pairs, of a link that loses almost all of them."""

CASCADE_EFFICIENCY = 1.25
"""Leaked bits over Shannon's limit that short keys need with Cascade (measured up to 1.2)."""

_CODED_WITHIN = 200_000
"""Coincidences up to which a block with a code is quicker than a shorter one with Cascade
(measured: 200,000 in 50 ms, where 40,000 took 45 to 65)."""

_CODED_DEVIATIONS = -1.5
"""Standard errors by which errors may seem fewer than they are, and the block still has a code."""


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """What a link was like lately.

    Attributes:
        coincidences: Share of pairs that both sides detect.
        qber: Error rate of sifted bits.
    """

    coincidences: float = 1.0
    qber: float = 0.02


def pairs_needed(bits: int, link: LinkFigures, epsilon: float) -> int | None:
    """Pairs of a session that gives `bits` bits; None if none of `MAX_SESSION_PAIRS` would.

    Args:
        bits: What is to be extracted, tags included.
        link: As it was lately.
        epsilon: Of the block.
    """
    # Rounded up, so that a link which hardly changes is computed once.
    share = max(1e-4, math.floor(link.coincidences * 200.0) / 200.0)
    return _pairs_needed(bits, share, math.ceil(link.qber * 400.0) / 400.0, epsilon)


@lru_cache(maxsize=256)
def _pairs_needed(bits: int, share: float, qber: float, epsilon: float) -> int | None:
    budget = EpsilonBudget.divide(epsilon)
    step = math.ceil(STEP_PAIRS / share)
    most = MAX_SESSION_PAIRS // step
    shortest = _first(most, lambda n: _length(n * step * share, qber, budget) >= bits)
    if shortest is None:
        return None
    coded = _first(most, lambda n: _coded(n * step * share, qber))
    if coded is not None and coded * step * share <= _CODED_WITHIN:
        shortest = max(shortest, coded)
    return shortest * step


def _first(most: int, enough: Callable[[int], bool]) -> int | None:
    """The smallest of 1 … most that is enough, if larger ones than it are; None if none is."""
    if most < 1 or not enough(most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return high


def _length(coincidences: float, qber: float, budget: EpsilonBudget) -> int:
    """Bits that a block gives if all that counts is three standard errors worse than expected."""
    cell, key = _counts(coincidences)
    weak = _correlations(cell, qber)
    limits = e91_phase_errors(weak, (key, key), budget)
    leaked = _leaked(2 * key, _estimate(weak)) + HASH_BITS
    return secret_length([(key, limits[0]), (key, limits[1])], leaked, budget)


def _counts(coincidences: float) -> tuple[int, int]:
    """Coincidences of a pair of settings, as expected, and at least as many key bits of one."""
    cell = coincidences / 9.0
    return int(cell), max(0, int(cell - DEVIATIONS * math.sqrt(cell)))


def _correlations(cell: int, qber: float, deviations: float = DEVIATIONS) -> Correlations:
    """What S is computed from, the mean of two correlations so many standard errors too weak."""
    size = max(1, cell)
    value = (1.0 - 2.0 * qber) / math.sqrt(2.0)
    value -= deviations * math.sqrt((1.0 - value**2) / (2.0 * size))
    counts = {}
    for a, b, sign in CHSH_TERMS:
        different = round(size * (1.0 - sign * value) / 2.0)
        counts[a, b] = ErrorRate(min(size, max(0, different)), size)
    return Correlations.of(counts)


def _estimate(correlations: Correlations) -> float:
    """The error rate for which a code is chosen (`Evidence.expected_qber`)."""
    value = max(0.0, 0.5 * (1.0 - correlations.chsh / TSIRELSON))
    return min(0.5, value + correlations.chsh_stderr / TSIRELSON)


def _leaked(key_bits: int, qber: float) -> int:
    code = plan(key_bits, qber)
    if code is not None:
        return code.frames * (64 * code.checks + 32)
    return math.ceil(CASCADE_EFFICIENCY * key_bits * binary_entropy(qber)) + 64


def _coded(coincidences: float, qber: float) -> bool:
    """Whether there is a code even if errors seem to be few."""
    cell, key = _counts(coincidences)
    return plan(2 * key, _estimate(_correlations(cell, qber, _CODED_DEVIATIONS))) is not None
