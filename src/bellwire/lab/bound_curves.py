"""What a theorem proves of the light of a link, by the number of pulses or pairs.

Everything is at its expected value: error rates, S, counts. A block whose limits must be kept with
high probability sets them some standard errors wider and has a little less key.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES
from bellwire.base.bits import binary_entropy
from bellwire.base.detections import Protocol
from bellwire.distill.bounds import Epsilon, EpsilonBudget, secret_length
from bellwire.distill.estimation import (
    Correlations,
    ErrorRate,
    conjugate_phase_errors,
    e91_phase_errors,
)
from bellwire.distill.theorems import (
    acin_2007,
    arnon_friedman_2018,
    lim_2014,
    rusca_2018,
    tomamichel_2012,
    tomamichel_leverrier_2017,
)
from bellwire.distill.verification import HASH_BITS
from bellwire.lab.pair import CONSUMED_BITS
from bellwire.link.weak import WeakConfig
from bellwire.link.weak_theory import RECONCILIATION_EFFICIENCY, Observed, expected

SAMPLE_SHARE = 0.2
"""Of the sifted bits that our blocks compare."""

_ENDLESS = 1e24
_TSIRELSON = acin_2007.TSIRELSON


@dataclass(frozen=True, slots=True)
class Light:
    """What arrives of photons or pairs.

    Attributes:
        detected: Detections, or coincidences, per pulse or pair.
        qber: Error rate in like bases; correlations shrink by 1 − 2·qber.
    """

    detected: float
    qber: float

    @property
    def counted(self) -> "Light":
        """The same if what is lost counts as a coin's outcome: all is detected, less is right."""
        return Light(1.0, 0.5 * (1.0 - self.detected * (1.0 - 2.0 * self.qber)))

    @property
    def chsh(self) -> float:
        """S at the settings of E91."""
        return _TSIRELSON * (1.0 - 2.0 * self.qber)

    @property
    def fraction(self) -> float:
        """Secret bits of a key bit of endless blocks: 1 − h(Q) − f·h(Q), from 0."""
        if self.qber >= 0.5:
            return 0.0
        return max(0.0, 1.0 - (1.0 + RECONCILIATION_EFFICIENCY) * binary_entropy(self.qber))


@dataclass(frozen=True, slots=True)
class Curve:
    """A theorem at a link.

    Attributes:
        theorem: Its name.
        title: Its name for a figure.
        against: What Eve may do.
        limit: Secret bits per pulse, or pair, of endless blocks.
        length: Secret bits of so many pulses; None of a theorem that knows endless blocks alone.
    """

    theorem: str
    title: str
    against: str
    limit: float
    length: Callable[[int], int] | None


ANY, COLLECTIVE = "any attack", "collective attacks"


def photons(protocol: Protocol, light: Light, epsilon: float) -> tuple[Curve, ...]:
    """The theorems of a protocol of single photons or pairs; `epsilon` is what may fail in all."""
    budget = EpsilonBudget.divide(epsilon)
    if protocol is Protocol.BB84:
        return _tomamichel(light, _parts(epsilon)), _block(light, budget)
    if protocol is Protocol.BBM92:
        return _leverrier(light, _parts(epsilon)), _block(light, budget)
    return _e91(light, budget), _acin(light), _arnon_friedman(light, _parts(epsilon))


def decoys(config: WeakConfig, epsilon: float) -> tuple[Curve, ...]:
    """The theorems of decoy states, with `epsilon` as of `photons`.

    The one-decoy protocol leaves the faintest intensity out.
    """
    return _lim(config, _parts(epsilon)), _rusca(config, _parts(epsilon))


def _parts(epsilon: float) -> Epsilon:
    """As our blocks: seven eighths for secrecy, half of the rest for correctness."""
    secrecy = EpsilonBudget.divide(epsilon).secrecy
    rest = (epsilon - secrecy) / 2.0
    return Epsilon(secrecy=secrecy, correctness=rest, authentication=rest)


def _leak(bits: float, errors: float) -> float:
    return RECONCILIATION_EFFICIENCY * bits * binary_entropy(min(0.5, errors))


def _tomamichel(light: Light, parts: Epsilon) -> Curve:
    def length(pulses: int) -> int:
        return tomamichel_2012.best_split(
            pulses * light.detected,
            light.qber,
            efficiency=RECONCILIATION_EFFICIENCY,
            secrecy=parts.secrecy,
            correctness=parts.correctness,
        )[1]

    title = "Tomamichel et al. 2012, best split of bases"
    return Curve("tomamichel-2012", title, ANY, light.detected * light.fraction, length)


def _leverrier(light: Light, parts: Epsilon) -> Curve:
    def length(pulses: int) -> int:
        return tomamichel_leverrier_2017.best_split(
            pulses * light.detected / 2.0,
            light.qber,
            efficiency=RECONCILIATION_EFFICIENCY,
            secrecy=parts.secrecy,
            correctness=parts.correctness,
        )[1]

    title = "Tomamichel, Leverrier 2017, best sample"
    limit = light.detected / 2.0 * light.fraction
    return Curve("tomamichel-leverrier-2017", title, ANY, limit, length)


def _block(light: Light, budget: EpsilonBudget) -> Curve:
    """Our own block of BB84 or BBM92, net of the tags' key."""

    def length(pulses: int) -> int:
        sifted = pulses * light.detected / 4.0
        sample = round(SAMPLE_SHARE * sifted)
        rest = round(sifted) - sample
        seen = ErrorRate(round(light.qber * sample), sample)
        limits = conjugate_phase_errors((seen, seen), (rest, rest), budget)
        return _net(rest, limits, light.qber, budget)

    limit = light.detected / 2.0 * (1.0 - SAMPLE_SHARE) * light.fraction
    return Curve("block", "a block of ours, a fifth compared", ANY, limit, length)


def _e91(light: Light, budget: EpsilonBudget) -> Curve:
    """Our own block of E91, net of the tags' key."""

    def length(pulses: int) -> int:
        n = round(pulses * light.detected / 9.0)
        visibility = 1.0 - 2.0 * light.qber
        different = [
            [round(n * (1.0 - visibility * math.cos(a - b)) / 2.0) for b in BOB_ANGLES]
            for a in ALICE_ANGLES
        ]
        seen = Correlations(np.full((3, 3), n, np.int64), np.array(different, np.int64))
        return _net(n, e91_phase_errors(seen, (n, n), budget), light.qber, budget)

    limit = light.detected * 2.0 / 9.0 * light.fraction
    title = "a block of ours: its own correlations"
    return Curve("e91-correlations", title, COLLECTIVE, limit, length)


def _net(bits: int, limits: Sequence[float], qber: float, budget: EpsilonBudget) -> int:
    """Of two parts of `bits` each, their phase errors limited."""
    leaked = math.ceil(_leak(2.0 * bits, qber)) + HASH_BITS
    whole = secret_length([(bits, each) for each in limits], leaked, budget)
    return max(0, whole - CONSUMED_BITS)


def _untrusted(light: Light) -> float:
    """Secret bits of a key bit of endless blocks of untrusted devices."""
    if light.qber >= 0.5:
        return 0.0
    eve = acin_2007.eve_information(light.chsh)
    return max(0.0, 1.0 - eve - RECONCILIATION_EFFICIENCY * binary_entropy(light.qber))


def _acin(light: Light) -> Curve:
    limit = 2.0 / 9.0 * _untrusted(light.counted)
    return Curve("acin-2007", "no trust: Acín et al. 2007, endless", COLLECTIVE, limit, None)


def _arnon_friedman(light: Light, parts: Epsilon) -> Curve:
    whole = light.counted

    def length(pulses: int) -> int:
        return arnon_friedman_2018.best_test_share(
            pulses,
            whole.qber,
            whole.chsh,
            efficiency=RECONCILIATION_EFFICIENCY,
            secrecy=parts.secrecy,
            correctness=parts.correctness,
        )[1]

    title = "no trust: entropy accumulation, few tests"
    return Curve("arnon-friedman-2018", title, ANY, _untrusted(whole), length)


def _lim(config: WeakConfig, parts: Epsilon) -> Curve:
    observed = [expected(config, k) for k in range(3)]
    means = (observed[0].mean, observed[1].mean, observed[2].mean)
    shares = (config.shares[0], config.shares[1], config.shares[2])

    def bits(pulses: float) -> float:
        key = _counts(observed, shares, pulses * config.rectilinear**2)
        tested = _counts(observed, shares, pulses * (1.0 - config.rectilinear) ** 2)
        counts = lim_2014.DecoyCounts(
            means=means,
            shares=shares,
            key=(key[0][0], key[0][1], key[0][2]),
            tested=(tested[0][0], tested[0][1], tested[0][2]),
            errors=(tested[1][0], tested[1][1], tested[1][2]),
        )
        leaked = _leak(sum(key[0]), _rate(key))
        return lim_2014.decoy_key(counts, leaked, parts.secrecy, parts.correctness).bits

    return _of_decoys("lim-2014", "Lim et al. 2014, two decoys", bits)


def _rusca(config: WeakConfig, parts: Epsilon) -> Curve:
    observed = [expected(config, k) for k in range(2)]
    means = observed[0].mean, observed[1].mean
    both = config.shares[0] + config.shares[1]
    shares = config.shares[0] / both, config.shares[1] / both

    def bits(pulses: float) -> float:
        key = _counts(observed, shares, pulses * config.rectilinear**2)
        tested = _counts(observed, shares, pulses * (1.0 - config.rectilinear) ** 2)
        counts = rusca_2018.OneDecoyCounts(
            means=means,
            shares=shares,
            key=(key[0][0], key[0][1]),
            key_errors=(key[1][0], key[1][1]),
            tested=(tested[0][0], tested[0][1]),
            errors=(tested[1][0], tested[1][1]),
        )
        leaked = _leak(sum(key[0]), _rate(key))
        return rusca_2018.one_decoy_key(counts, leaked, parts.secrecy, parts.correctness).bits

    return _of_decoys("rusca-2018", "Rusca et al. 2018, one decoy", bits)


def _of_decoys(theorem: str, title: str, bits: Callable[[float], float]) -> Curve:
    limit = max(0.0, bits(_ENDLESS)) / _ENDLESS
    return Curve(theorem, title, ANY, limit, lambda pulses: max(0, math.floor(bits(pulses))))


Counted = tuple[list[float], list[float]]


def _counts(observed: Sequence[Observed], shares: Sequence[float], pulses: float) -> Counted:
    """Detections and errors of each intensity."""
    pairs = list(zip(observed, shares, strict=True))
    return (
        [pulses * share * each.gain for each, share in pairs],
        [pulses * share * each.errors for each, share in pairs],
    )


def _rate(counted: Counted) -> float:
    detections = sum(counted[0])
    return sum(counted[1]) / detections if detections else 0.5
