"""Closed forms for sources that emit several pairs at a time.

Notation: g(x) as in `pair_law`; η the probability that a photon is registered at its side, d the
dark count probability, V the visibility, C(a, b) the correlation of a pair through ideal optics.
Given the settings,

    P        = 1 − (1 − d)² g(η)                                a side registers something
    R        = P² + (1 − d)⁴ [g(2η − η²) − g(η)²]               both do
    R·E(a,b) = 2 (1 − d)² [g(x₊) − g(x₋)],  x± = η − η²(1 ± V·C)/4

since a side's ±1 is (detector 1 silent) − (detector 0 silent), which is zero where both are, and
where a coin decides. A pair correlates with itself alone: with few pairs in a window E nears V·C,
with many each coincidence is mostly of two.
"""

import math

from bellwire.base.angles import CHSH_TERMS, KEY_PAIRS
from bellwire.base.bits import binary_entropy
from bellwire.base.detections import Protocol
from bellwire.link.config import LinkConfig
from bellwire.link.eve import Eve
from bellwire.link.pair_law import angles
from bellwire.link.pairs import PairSource, PairStatistics


def detection_probability(protocol: Protocol, config: LinkConfig, source: PairSource) -> float:
    """P: probability that a side registers a window, its gain."""
    eta, d = _registered(protocol, config), config.dark_count_probability
    return d * (2.0 - d) + (1.0 - d) ** 2 * _seen(source, eta)


def coincidence_probability(protocol: Protocol, config: LinkConfig, source: PairSource) -> float:
    """R: probability that both sides register a window.

    g(2η − η²) − g(η)² without its cancellation: g(η)²·(e^(μη²) − 1) of Poissonian light,
    g(2η − η²)·g(η)²·μ(1 + μ)η² of thermal.
    """
    eta, mu, d = _registered(protocol, config), source.mean_pairs, config.dark_count_probability
    one = (1.0 - _seen(source, eta)) ** 2
    if source.statistics is PairStatistics.POISSON:
        excess = one * math.expm1(mu * eta * eta)
    else:
        excess = one * mu * (1.0 + mu) * eta * eta / (1.0 + mu * eta * (2.0 - eta))
    return detection_probability(protocol, config, source) ** 2 + (1.0 - d) ** 4 * excess


def correlation(
    protocol: Protocol, config: LinkConfig, source: PairSource, at: tuple[int, int], eve: Eve | None
) -> float:
    """E: mean product of the ±1 at a pair of settings, by their numbers, given a coincidence.

    g(x₊) − g(x₋) without its cancellation: 2·e^−μ(η − η²/4)·sinh(μη²VC/4) of Poissonian light,
    μη²VC/2 · g(x₊)·g(x₋) of thermal.
    """
    ours, theirs = angles(protocol)
    a, b = ours[at[0]], theirs[at[1]]
    ideal = math.cos(a - b) if eve is None else eve.correlation(protocol, a, b)
    eta, mu, d = _registered(protocol, config), source.mean_pairs, config.dark_count_probability
    own = mu * eta * eta * config.visibility * ideal / 4.0
    middle = mu * (eta - eta * eta / 4.0)
    if source.statistics is PairStatistics.POISSON:
        split = 2.0 * math.exp(-middle) * math.sinh(own)
    else:
        split = 2.0 * own / ((1.0 + middle - own) * (1.0 + middle + own))
    return 2.0 * (1.0 - d) ** 2 * split / coincidence_probability(protocol, config, source)


def qber(
    protocol: Protocol, config: LinkConfig, source: PairSource, eve: Eve | None = None
) -> float:
    """QBER of all sifted bits."""
    return math.fsum(_errors(protocol, config, source, eve)) / 2.0


def chsh(
    protocol: Protocol, config: LinkConfig, source: PairSource, eve: Eve | None = None
) -> float | None:
    """S of the coincidences where the protocol measures it, else None."""
    if not protocol.judged_on_chsh:
        return None
    terms = (sign * correlation(protocol, config, source, (a, b), eve) for a, b, sign in CHSH_TERMS)
    return math.fsum(terms)


def key_fraction(
    protocol: Protocol, config: LinkConfig, source: PairSource, eve: Eve | None = None
) -> float:
    """Secret bits per window of long blocks, at the Shannon limit of reconciliation.

    As `bellwire.link.theory.key_fraction`, with these rates.
    """
    rate = coincidence_probability(protocol, config, source)
    first, second = _errors(protocol, config, source, eve)
    if protocol is Protocol.BBM92:
        mean = (first + second) / 2.0
        return rate / 2.0 * _net(mean, mean)
    far = correlation(protocol, config, source, (0, 2), eve)
    fractions = []
    for error, at in ((first, (2, 2)), (second, (0, 0))):
        near = correlation(protocol, config, source, at, eve)
        fractions.append(_net(error, _error((near - far) / math.sqrt(2.0))))
    return rate * 2.0 / 9.0 * math.fsum(fractions) / 2.0


def _errors(
    protocol: Protocol, config: LinkConfig, source: PairSource, eve: Eve | None
) -> tuple[float, float]:
    """QBER of the two kinds of sifted bits."""
    alike = KEY_PAIRS if protocol is Protocol.E91 else ((0, 0), (1, 1))
    first, second = (_error(correlation(protocol, config, source, at, eve)) for at in alike)
    return first, second


def _registered(protocol: Protocol, config: LinkConfig) -> float:
    return config.transmittance(protocol) * config.detector_efficiency


def _seen(source: PairSource, x: float) -> float:
    """1 − g(x)."""
    exponent = source.mean_pairs * x
    if source.statistics is PairStatistics.THERMAL:
        return exponent / (1.0 + exponent)
    return -math.expm1(-exponent)


def _error(value: float) -> float:
    """½(1 − correlation), kept in [0, 1] against rounding."""
    return min(max((1.0 - value) / 2.0, 0.0), 1.0)


def _net(bit_error: float, phase_error: float) -> float:
    if phase_error >= 0.5 or bit_error >= 0.5:
        return 0.0
    return max(0.0, 1.0 - binary_entropy(bit_error) - binary_entropy(phase_error))
