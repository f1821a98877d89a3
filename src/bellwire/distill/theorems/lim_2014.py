"""How much key a finite run of decoy states gives, against any attack.

Alice's pulses have one of three mean photon numbers μ₁ > μ₂ + μ₃, μ₂ > μ₃ ≥ 0. Key comes from one
basis, with all intensities; the other is compared in the open. The counts of each intensity bound
how many key bits came from empty pulses and from single photons, and how many phase errors those
have; pulses of several photons are Eve's.

Source: Lim, Curty, Walenta, Xu, Zbinden, "Concise security bounds for practical decoy-state quantum
key distribution", PRA 89, 022307 (2014), equations (1) to (5), named below. Deviations are
Hoeffding's; the phase error follows by sampling without replacement (`fung_2010`). Assumed are
random phases, equal efficiency in both bases, and counts as they were seen.
"""

import math
from dataclasses import dataclass

from bellwire.base.bits import binary_entropy
from bellwire.distill.errors import ParameterError
from bellwire.distill.theorems.fung_2010 import sampling_deviation
from bellwire.distill.theorems.ranges import check_counts, check_epsilon

Triple = tuple[float, float, float]
"""One number for each intensity: signal, decoy, vacuum decoy."""

TERMS = 21
"""Error terms that make up the secrecy ε; all alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoyCounts:
    """What both sides know of a run once bases and intensities are announced.

    Counts may be expectations, so they need not be whole.

    Attributes:
        means: Photons per pulse.
        shares: Probability of each intensity.
        key: Detections in the key's basis, by intensity.
        tested: Detections in the other basis.
        errors: Wrong bits among `tested`.

    Raises:
        ParameterError: intensities out of order, or counts that cannot be, by name.
    """

    means: Triple
    shares: Triple
    key: Triple
    tested: Triple
    errors: Triple

    def __post_init__(self) -> None:
        signal, decoy, vacuum = self.means
        if not (math.inf > signal > decoy + vacuum and decoy > vacuum >= 0.0):
            raise ParameterError(
                f"intensities: expected μ₁ > μ₂ + μ₃ and μ₂ > μ₃ ≥ 0, got {self.means}"
            )
        if not (min(self.shares) > 0.0 and abs(math.fsum(self.shares) - 1.0) < 1e-9):
            raise ParameterError(
                f"shares of the intensities: expected above 0, adding up to 1, got {self.shares}"
            )
        for name in ("key", "tested", "errors"):
            counts = getattr(self, name)
            if not (min(counts) >= 0.0 and math.isfinite(math.fsum(counts))):
                raise ParameterError(f"{name}: expected counts from 0, got {counts}")
        if any(wrong > seen for wrong, seen in zip(self.errors, self.tested, strict=True)):
            raise ParameterError(
                f"errors: expected at most the detections {self.tested}, got {self.errors}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoyBounds:
    """What is proved of the key's bits, except with probability ε.

    Attributes:
        vacuum: Key bits from empty pulses, at least (2).
        single: Key bits from single photons, at least (3).
        phase_error: Of the single photons, at most (5); at most ½.
    """

    vacuum: float
    single: float
    phase_error: float

    @property
    def single_entropy(self) -> float:
        """Bits of the single photons that Eve does not know, s₁(1 − h(φ))."""
        return self.single * (1.0 - binary_entropy(self.phase_error))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoyKey(DecoyBounds):
    """How long the key is.

    Attributes:
        bits: Length of the key (1) before it is cut to whole bits; negative if costs exceed it.
    """

    bits: float

    @property
    def length(self) -> int:
        """Secret bits, from 0."""
        return max(0, math.floor(self.bits))


def decoy_key(
    counts: DecoyCounts, leaked_bits: float, secrecy: float, correctness: float
) -> DecoyKey:
    """Secret bits of a run of decoy states.

    Args:
        counts: Of the run.
        leaked_bits: Everything about the key that reconciliation announced (λ_EC).
        secrecy: ε_sec.
        correctness: ε_cor, for which log₂(2/ε_cor) bits of a hash are announced.

    Raises:
        ParameterError: an ε outside [1e-22, 1e-3], or less than nothing leaked.
    """
    check_epsilon(secrecy=secrecy, correctness=correctness)
    check_counts(leaked_bits=leaked_bits)
    found = decoy_bounds(counts, secrecy)
    costs = smoothing_cost(secrecy) + math.log2(2.0 / correctness)
    bits = found.vacuum + found.single_entropy - leaked_bits - costs
    return DecoyKey(
        vacuum=found.vacuum, single=found.single, phase_error=found.phase_error, bits=bits
    )


def decoy_bounds(counts: DecoyCounts, secrecy: float) -> DecoyBounds:
    """What the counts of a run prove of its key, whatever is made of it; `secrecy` is ε_sec."""
    vacuum, single = _lowest(counts, counts.key, secrecy)
    phase = _phase_error(counts, single, secrecy)
    return DecoyBounds(vacuum=vacuum, single=single, phase_error=phase)


def smoothing_cost(secrecy: float) -> float:
    """Bits that (1) takes off for its chain rules and for hashing, 6 log₂(21/ε_sec)."""
    return 6.0 * math.log2(TERMS / secrecy)


def _chance(counts: DecoyCounts, photons: int) -> float:
    """τ_n: probability that a pulse of Alice's has n = 0 or 1 photons."""
    of = zip(counts.means, counts.shares, strict=True)
    return math.fsum(share * math.exp(-mean) * mean**photons for mean, share in of)


def _limits(counts: DecoyCounts, seen: Triple, secrecy: float) -> tuple[Triple, Triple]:
    """n⁻ and n⁺ of each intensity: e^μ/p times the count less, or more, its deviation."""
    deviation = math.sqrt(math.fsum(seen) / 2.0 * math.log(TERMS / secrecy))
    low, high = (
        tuple(
            math.exp(mean) / share * (each + sign * deviation)
            for mean, share, each in zip(counts.means, counts.shares, seen, strict=True)
        )
        for sign in (-1.0, 1.0)
    )
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _lowest(counts: DecoyCounts, seen: Triple, secrecy: float) -> tuple[float, float]:
    """s₀ and s₁ of one basis, (2) and (3), kept between 0 and what was detected."""
    mu, nu, omega = counts.means
    low, high = _limits(counts, seen, secrecy)
    none, one = _chance(counts, 0), _chance(counts, 1)
    vacuum = max(0.0, none * (nu * low[2] - omega * high[1]) / (nu - omega))
    curve = (nu * nu - omega * omega) / (mu * mu)
    weighed = low[1] - high[2] - curve * (high[0] - vacuum / none)
    single = max(0.0, one * mu * weighed / ((nu - omega) * (mu - nu - omega)))
    total = math.fsum(seen)
    vacuum = min(vacuum, total)
    return vacuum, min(single, total - vacuum)


def _phase_error(counts: DecoyCounts, single: float, secrecy: float) -> float:
    """φ of the key's single photons: (4) over s₁ of the compared basis, and (5)."""
    _, compared = _lowest(counts, counts.tested, secrecy)
    if not single or not compared:
        return 0.5
    low, high = _limits(counts, counts.errors, secrecy)
    _, nu, omega = counts.means
    wrong = _chance(counts, 1) * (high[1] - low[2]) / (nu - omega)
    # One error at least: at none, (5) would leave no room for what the sample missed.
    rate = max(wrong, 1.0) / compared
    if rate >= 0.5:
        return 0.5
    return min(0.5, rate + sampling_deviation(rate, single, compared, secrecy / TERMS))
