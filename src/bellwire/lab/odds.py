"""How likely a block ends which way: caught by its statistics, left without key, or key.

The rules are those of the sessions themselves (`distill.verdict`, `.estimation`, `.bounds`); what
is computed here is how often light and Eve make them decide which way.

- BB84 and BBM92: binomial sums over the sifted bits, the errors of the sample and those of the
  rest. Taken at their means are only the split of the bits between the bases and, given the errors
  of a sample, that of these.
- E91: the four correlations of S and the errors of the two key settings are taken as normal,
  independent and with the counts that are expected; the rules are applied on a lattice of 4,093
  points in these six variables (Korobov's good lattice points).
- What Cascade leaks is no closed form. `leak` is fitted to our own and within some 3 % of it.
"""

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from bellwire.base.angles import CHSH_TERMS, KEY_PAIRS
from bellwire.distill.bounds import (
    EpsilonBudget,
    lower_mean,
    secret_length,
    upper_mean,
    upper_sample,
)
from bellwire.distill.estimation import COMPLEMENT, ErrorRate, conjugate_phase_errors
from bellwire.distill.verdict import CLASSICAL, TSIRELSON, Reason, Rules, judge_qber
from bellwire.distill.verification import HASH_BITS
from bellwire.lab.experiment import Experiment
from bellwire.lab.pair import CONSUMED_BITS
from bellwire.link import theory

Floats = NDArray[np.float64]

PLAIN_LIMIT = 0.11
PLAIN_SAMPLE = 0.2

_SIGMAS = 9.0
_NODES = 24
"""Most numbers of sifted bits at which the sums over errors are done; groups of them, if more."""

_PLAIN_NODES = 192

_POINTS = 4093
_GENERATOR = 1516
_KNOTS = 17


@dataclass(frozen=True, slots=True)
class Odds:
    """Probabilities that add up to 1.

    Attributes:
        caught: The block's own statistics are over a limit: QBER, or S.
        withheld: They are not, and yet no key is made: too few bits to decide, or none are left
            after what Eve may know.
        key: Key is made.
    """

    caught: float
    withheld: float
    key: float


def odds(what: Experiment) -> Odds:
    """How a block of this experiment ends. An Eve in the middle is not asked for here."""
    return _e91(what) if what.protocol.judged_on_chsh else _conjugate(what)


def plain_caught(what: Experiment) -> float:
    """Probability that the plain rule catches Eve.

    BB84 and BBM92: compare a fifth of the sifted bits, and reject from 11 % of errors, however few
    they are. E91: reject if S does not exceed 2, however few pairs it comes from.
    """
    if what.protocol.judged_on_chsh:
        return _plain_chsh(what)
    total, q = 0.0, theory.qber(what.protocol, what.config, what.eve)
    for weight, n in _sifted(what, _PLAIN_NODES):
        k = 2 * round(PLAIN_SAMPLE * n / 2)
        total += weight * (_at_least(math.ceil(PLAIN_LIMIT * k - 1e-9), k, q) if k else 0.0)
    return total


def leak(bits: float, errors: Floats) -> Floats:
    """Bits that reconciliation leaks of a key with these numbers of errors; fitted to Cascade.

    Args:
        bits: Of the key.
        errors: (n,) float64, wrong bits.

    Returns:
        (n,) float64.
    """
    q = np.clip(errors / bits, 1e-300, 0.5)
    ideal = bits * _entropy(q)
    return np.asarray((1.032 + 0.42 * q) * ideal + 0.7 * np.sqrt(ideal) + 40.0)


def _conjugate(what: Experiment) -> Odds:
    caught = key = 0.0
    for weight, n in _sifted(what, _NODES):
        part = _of_sifted(what, n)
        caught += weight * part.caught
        key += weight * part.key
    return Odds(caught, max(0.0, 1.0 - caught - key), key)


def _sifted(what: Experiment, nodes: int) -> list[tuple[float, int]]:
    """(probability, sifted bits), numbers of bits in groups where there are many."""
    rate = (
        theory.coincidence_probability(what.config)
        if what.protocol.entangled
        else theory.detection_probability(what.protocol, what.config)
    )
    low, law = _binomial(what.pulses, rate / 2.0)
    likely = np.flatnonzero(law > 1e-13)
    low, law = low + int(likely[0]), law[likely[0] : likely[-1] + 1]
    step = -(-law.size // nodes)
    groups = []
    for at in range(0, law.size, step):
        part = law[at : at + step]
        weight = float(part.sum())
        mean = float((part * np.arange(part.size)).sum()) / weight
        groups.append((weight, low + at + round(mean)))
    return groups


def _of_sifted(what: Experiment, n: int) -> Odds:
    """Given n sifted bits, half of them in either basis."""
    rules, budget = Rules(what.red_qber, what.chsh_floor), EpsilonBudget.divide(what.epsilon)
    both = (n - n // 2, n // 2)
    sample = round(what.sample_share * both[0]), round(what.sample_share * both[1])
    rest = both[0] - sample[0], both[1] - sample[1]
    k, r = sum(sample), sum(rest)
    nothing = judge_qber(ErrorRate(0, k), rules, budget)
    if nothing is not None and nothing.reason is Reason.TOO_FEW:
        return Odds(0.0, 1.0, 0.0)
    rates = _rates(what)
    low, law = _mixed(sample, rates)
    first_rest, law_rest = _mixed(rest, rates)
    below = np.concatenate([[0.0], np.cumsum(law_rest)])
    m = low + np.arange(law.size)
    passes = m < rules.red_qber * k
    # Errors of the rest up to which the whole is below the limit, and a key remains.
    clean = np.ceil(rules.red_qber * n - m - 1e-9) - 1.0
    left = _leakable(what, budget, (sample, rest), m)
    leaked = np.maximum.accumulate(leak(r, first_rest + np.arange(law_rest.size, dtype=np.float64)))
    useful = first_rest + np.searchsorted(leaked, left, side="left") - 1.0

    def up_to(errors: Floats) -> Floats:
        return below[np.clip(errors - first_rest + 1, 0, law_rest.size).astype(np.intp)]

    accepted = float((law * passes * up_to(clean)).sum())
    key = float((law * passes * up_to(np.minimum(clean, useful))).sum())
    return Odds(max(0.0, 1.0 - accepted), max(0.0, accepted - key), key)


def _leakable(
    what: Experiment,
    budget: EpsilonBudget,
    parts: tuple[tuple[int, int], tuple[int, int]],
    errors: NDArray[np.int64],
) -> Floats:
    """Bits that reconciliation may leak, given the errors of the sample, so that key remains."""
    sample, rest = parts
    expected = [k * q for k, q in zip(sample, _rates(what), strict=True)]
    share = expected[0] / sum(expected) if sum(expected) else 0.5
    knots = np.unique(np.linspace(errors[0], errors[-1], min(_KNOTS, errors.size)).round())
    lengths = []
    for m in knots.astype(np.int64).tolist():
        first = min(round(m * share), sample[0])
        samples = ErrorRate(first, sample[0]), ErrorRate(min(m - first, sample[1]), sample[1])
        limits = conjugate_phase_errors(samples, rest, budget)
        lengths.append(secret_length(list(zip(rest, limits, strict=True)), HASH_BITS, budget))
    return np.asarray(np.interp(errors, knots, lengths) - CONSUMED_BITS)


def _rates(what: Experiment) -> tuple[float, float]:
    """QBER of either basis."""
    of = theory.bbm92_qber if what.protocol.entangled else theory.bb84_qber
    return of(what.config, what.eve, 0), of(what.config, what.eve, 1)


def _e91(what: Experiment) -> Odds:
    rules, budget = Rules(what.red_qber, what.chsh_floor), EpsilonBudget.divide(what.epsilon)
    n = _pairs(what)
    if judge_qber(ErrorRate(0, 2 * n), rules, budget) is not None:
        return Odds(0.0, 1.0, 0.0)  # too few even of key bits: S, from as many, is worse
    z = _normals()
    values, limits = {}, {}
    for k, (a, b, _) in enumerate(CHSH_TERMS):
        mean = theory.e91_correlation(what.config, a, b, what.eve)
        spread = math.sqrt((1.0 - mean * mean) / n)
        values[a, b] = np.clip(mean + spread * z[k], -1.0, 1.0)
    for a, b, sign in CHSH_TERMS:
        limits[a, b] = _limited(values[a, b], n, sign, budget.estimation)
    s = sum(sign * values[a, b] for a, b, sign in CHSH_TERMS)
    lower = sum(limits[a, b] for a, b, _ in CHSH_TERMS)
    vague = s - lower >= TSIRELSON - CLASSICAL
    caught = ~vague & (s < rules.chsh_floor)
    judged = ~(vague | caught | (lower <= CLASSICAL))
    wrong = []
    for k in range(len(KEY_PAIRS)):
        q = theory.e91_qber(what.config, what.eve, k)
        wrong.append(np.clip(n * q + math.sqrt(n * q * (1.0 - q)) * z[4 + k], 0.0, n))
    errors = wrong[0] + wrong[1]
    noisy = judged & (errors >= rules.red_qber * 2 * n)
    entropy = sum(n * (1.0 - _entropy(each)) for each in _phase_errors(limits, n, budget))
    spent = HASH_BITS + 2.0 * math.log2(0.5 / budget.amplification) + CONSUMED_BITS
    key = judged & ~noisy & (entropy - leak(2 * n, errors) - spent > 1.0)
    over, made = float((caught | noisy).mean()), float(key.mean())
    return Odds(over, max(0.0, 1.0 - over - made), made)


def _phase_errors(
    limits: dict[tuple[int, int], Floats], n: int, budget: EpsilonBudget
) -> list[Floats]:
    """`e91_phase_errors` at every point, at most ½."""
    found = []
    for pair in KEY_PAIRS:
        complementary = sum(limits[at] for at, _ in COMPLEMENT[pair]) / math.sqrt(2.0)
        mean = np.clip(0.5 * (1.0 - complementary), 0.0, 1.0)
        knots = np.linspace(mean.min(), mean.max(), _KNOTS)
        epsilon = budget.smoothing**2 / len(KEY_PAIRS)
        found.append(np.interp(mean, knots, [upper_sample(x, n, epsilon) for x in knots.tolist()]))
    return [np.minimum(each, 0.5) for each in found]


def _limited(values: Floats, n: int, sign: int, epsilon: float) -> Floats:
    """`Correlations.limit` of (m,) measured correlations of n pairs each."""
    knots = np.linspace(values.min(), values.max(), _KNOTS)
    of = upper_mean if sign > 0 else lower_mean
    means = [of(x, n, epsilon) for x in ((1.0 - knots) / 2.0).tolist()]
    return sign * (1.0 - 2.0 * np.interp(values, knots, means))


def _plain_chsh(what: Experiment) -> float:
    """Probability that S does not exceed 2, S being normal; 1 without pairs."""
    n, value = _pairs(what), theory.e91_chsh(what.config, what.eve)
    if not n:
        return 1.0
    terms = [theory.e91_correlation(what.config, a, b, what.eve) for a, b, _ in CHSH_TERMS]
    error = math.sqrt(math.fsum((1.0 - e * e) / n for e in terms))
    return NormalDist().cdf((CLASSICAL - value) / error)


def _pairs(what: Experiment) -> int:
    """Coincidences of one pair of settings, as expected."""
    return round(what.pulses * theory.coincidence_probability(what.config) / 9.0)


@cache
def _normals() -> Floats:
    """(6, _POINTS) independent standard normal numbers of a Korobov lattice."""
    normal = NormalDist()
    quantiles = np.array([normal.inv_cdf((i + 0.5) / _POINTS) for i in range(_POINTS)])
    powers = [pow(_GENERATOR, k, _POINTS) for k in range(6)]
    points = np.arange(_POINTS)
    return np.stack([quantiles[(points * power + power // 2) % _POINTS] for power in powers])


def _entropy(p: Floats) -> Floats:
    """Binary entropy, bits, of (n,) probabilities."""
    inside = np.clip(p, 1e-300, 1.0 - 1e-16)
    return np.asarray(-inside * np.log2(inside) - (1.0 - inside) * np.log2(1.0 - inside))


def _binomial(n: int, p: float) -> tuple[int, Floats]:
    """The first of the likely numbers of n throws, and the probabilities from there on."""
    if n == 0 or p <= 0.0 or p >= 1.0:
        return (n if n and p >= 1.0 else 0), np.ones(1)
    reach = _SIGMAS * math.sqrt(n * p * (1.0 - p)) + _SIGMAS**2
    low, high = max(0, math.floor(n * p - reach)), min(n, math.ceil(n * p + reach))
    i = np.arange(low, high)
    # Each probability from the one before: no factorials, nothing to overflow.
    steps = np.log((n - i) / (i + 1.0)) + math.log(p / (1.0 - p))
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    law = np.exp(logs - logs.max())
    return low, law / law.sum()


def _mixed(counts: tuple[int, int], rates: tuple[float, float]) -> tuple[int, Floats]:
    """As `_binomial`, of two kinds of throws together."""
    if rates[0] == rates[1]:
        return _binomial(sum(counts), rates[0])
    (first, law), (second, other) = map(_binomial, counts, rates)
    return first + second, np.convolve(law, other)


def _at_least(m: int, n: int, p: float) -> float:
    low, law = _binomial(n, p)
    return float(law[max(0, m - low) :].sum())
