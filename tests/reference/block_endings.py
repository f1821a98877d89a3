"""How blocks end, drawn count by count, with the sessions' own rules asked about each block.

The slow twin of `bellwire.lab.odds`: nothing is summed or taken as normal. What Cascade leaks is
the same fit in both; the lab's tests hold it against Cascade itself.
"""

import numpy as np
from numpy.random import Generator

from bellwire.base.angles import KEY_PAIRS
from bellwire.distill.bounds import EpsilonBudget, secret_length
from bellwire.distill.estimation import (
    Correlations,
    ErrorRate,
    conjugate_phase_errors,
    e91_phase_errors,
)
from bellwire.distill.verdict import Reason, Rejection, Rules, judge_e91, judge_qber
from bellwire.distill.verification import HASH_BITS
from bellwire.lab.experiment import Experiment
from bellwire.lab.odds import leak
from bellwire.lab.pair import CONSUMED_BITS
from bellwire.link import theory

CAUGHT, WITHHELD, KEY = range(3)


def ending(what: Experiment, rng: Generator) -> int:
    """Draw one block."""
    return _e91(what, rng) if what.protocol.judged_on_chsh else _conjugate(what, rng)


def _conjugate(what: Experiment, rng: Generator) -> int:
    rules, budget = Rules(what.red_qber, what.chsh_floor), EpsilonBudget.divide(what.epsilon)
    entangled = what.protocol.entangled
    rate = (
        theory.coincidence_probability(what.config)
        if entangled
        else theory.detection_probability(what.protocol, what.config)
    )
    of = theory.bbm92_qber if entangled else theory.bb84_qber
    samples, rests = [], []
    sifted = rng.multinomial(what.pulses, [rate / 4, rate / 4, 1 - rate / 2])[:2].tolist()
    for basis, n in enumerate(sifted):
        k, q = round(what.sample_share * n), of(what.config, what.eve, basis)
        samples.append(ErrorRate(int(rng.binomial(k, q)), k))
        rests.append(ErrorRate(int(rng.binomial(n - k, q)), n - k))
    sample, rest = samples[0] + samples[1], rests[0] + rests[1]
    rejection = judge_qber(sample, rules, budget) or judge_qber(sample + rest, rules, budget)
    if rejection is not None:
        return _of(rejection)
    parts = rests[0].bits, rests[1].bits
    limits = conjugate_phase_errors((samples[0], samples[1]), parts, budget)
    return _length(parts, limits, rest, budget)


def _e91(what: Experiment, rng: Generator) -> int:
    rules, budget = Rules(what.red_qber, what.chsh_floor), EpsilonBudget.divide(what.epsilon)
    rate = theory.coincidence_probability(what.config) / 9
    pairs = rng.multinomial(what.pulses, [*[rate] * 9, 1 - 9 * rate])[:9].reshape(3, 3)
    q = [
        [(1 - theory.e91_correlation(what.config, a, b, what.eve)) / 2 for b in range(3)]
        for a in range(3)
    ]
    different = rng.binomial(pairs, q)
    tested = np.ones((3, 3), bool)
    for at in KEY_PAIRS:
        tested[at] = False
    correlations = Correlations(pairs * tested, different * tested)
    first, second = (ErrorRate(int(different[at]), int(pairs[at])) for at in KEY_PAIRS)
    rejection = judge_e91(correlations, rules, budget) or judge_qber(first + second, rules, budget)
    if rejection is not None:
        return _of(rejection)
    parts = first.bits, second.bits
    return _length(parts, e91_phase_errors(correlations, parts, budget), first + second, budget)


def _of(rejection: Rejection) -> int:
    return WITHHELD if rejection.reason is Reason.TOO_FEW else CAUGHT


def _length(
    parts: tuple[int, int], limits: tuple[float, ...], key: ErrorRate, budget: EpsilonBudget
) -> int:
    leaked = float(leak(key.bits, np.array([float(key.errors)]))[0])
    length = secret_length(list(zip(parts, limits, strict=True)), round(leaked) + HASH_BITS, budget)
    return KEY if length > CONSUMED_BITS else WITHHELD
