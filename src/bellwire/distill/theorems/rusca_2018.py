"""How much key a finite run with one decoy gives, against any attack.

As `lim_2014` with a signal μ₁ and a decoy μ₂ < μ₁, but nothing that is nearly empty. What empty
pulses gave cannot then be seen, only bounded: half of it is wrong, so there is at most twice as
much of it as there are errors. In the paper's appendix A, with n⁺ and n⁻ a count more or less its
deviation times e^k/p_k:

    s₀ ≤ 2 [ τ₀ (e^k/p_k)(m_k + δ(m, ε)) + δ(n, ε) ]                                    (A16)
    s₁ ≥ τ₁ μ₁/(μ₂(μ₁ − μ₂)) [ n⁻₂ − (μ₂/μ₁)² n⁺₁ − (μ₁² − μ₂²)/μ₁² · s₀/τ₀ ]            (A17)
    s₀ ≥ τ₀/(μ₁ − μ₂) [ μ₁ n⁻₂ − μ₂ n⁺₁ ]                                               (A19)
    v₁ ≤ τ₁/(μ₁ − μ₂) [ m⁺₁ − m⁻₂ ],   φ ≤ v₁/s₁ + γ                                    (A22), (A23)
    ℓ ≤ s₀ + s₁(1 − h(φ)) − leak − 6 log₂(19/ε_sec) − log₂(2/ε_cor)                      (A25)

(A16) holds for either intensity k. We take the decoy, and always the decoy: choosing after the
counts are seen would cost another ε. Its errors are few of signal's light and mostly of none.

The equations are as a transcription of appendix A in a public repository gives them. (A18), which
there lacks the factor e^k/p_k, has it here, as (A10) and Lim et al. have. Wiesemann et al.,
arXiv:2405.16578, give both decoy bounds a stricter proof for keys whose length is not fixed before.

Source: Rusca, Boaron, Grünenfelder, Martin, Zbinden, "Finite-key analysis for the 1-decoy state QKD
protocol", Appl. Phys. Lett. 112, 171104 (2018).
"""

import math
from dataclasses import dataclass

from bellwire.base.bits import binary_entropy
from bellwire.distill.errors import ParameterError
from bellwire.distill.theorems.fung_2010 import sampling_deviation
from bellwire.distill.theorems.lim_2014 import DecoyKey
from bellwire.distill.theorems.ranges import check_counts, check_epsilon

Pair = tuple[float, float]
"""One number for each intensity: signal, decoy."""

TERMS = 19
"""Error terms that make up the secrecy ε, (A24); all alike."""

_SAMPLING_TERMS = 21
"""Of γ: (A21) keeps Lim et al.'s number, which is a little stricter than 19."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneDecoyCounts:
    """What both sides know of a run once bases, intensities and all errors are known.

    Counts may be expectations, so they need not be whole.

    Attributes:
        means: Photons per pulse.
        shares: Probability of each intensity.
        key: Detections in the key's basis, by intensity.
        key_errors: Wrong bits among `key`, as reconciliation finds them.
        tested: Detections in the other basis.
        errors: Wrong bits among `tested`.

    Raises:
        ParameterError: intensities out of order, or counts that cannot be, by name.
    """

    means: Pair
    shares: Pair
    key: Pair
    key_errors: Pair
    tested: Pair
    errors: Pair

    def __post_init__(self) -> None:
        if not math.inf > self.means[0] > self.means[1] > 0.0:
            raise ParameterError(f"intensities: expected μ₁ > μ₂ > 0, got {self.means}")
        if not (min(self.shares) > 0.0 and abs(sum(self.shares) - 1.0) < 1e-9):
            raise ParameterError(
                f"shares of the intensities: expected above 0, adding up to 1, got {self.shares}"
            )
        for name in ("key", "key_errors", "tested", "errors"):
            signal, decoy = getattr(self, name)
            check_counts(**{name: signal})
            check_counts(**{name: decoy})
        for name, wrong, seen in (
            ("key errors", self.key_errors, self.key),
            ("errors", self.errors, self.tested),
        ):
            if any(w > s for w, s in zip(wrong, seen, strict=True)):
                raise ParameterError(f"{name}: expected at most the detections {seen}, got {wrong}")


def one_decoy_key(
    counts: OneDecoyCounts, leaked_bits: float, secrecy: float, correctness: float
) -> DecoyKey:
    """Secret bits of a run with one decoy.

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
    single = _single(counts, counts.key, counts.key_errors, secrecy)
    vacuum = min(_vacuum(counts, secrecy), sum(counts.key) - single)
    phase = _phase_error(counts, single, secrecy)
    entropy = vacuum + single * (1.0 - binary_entropy(phase))
    costs = 6.0 * math.log2(TERMS / secrecy) + math.log2(2.0 / correctness)
    return DecoyKey(
        vacuum=vacuum, single=single, phase_error=phase, bits=entropy - leaked_bits - costs
    )


def _chance(counts: OneDecoyCounts, photons: int) -> float:
    """τ_n: probability that a pulse of Alice's has n = 0 or 1 photons."""
    of = zip(counts.means, counts.shares, strict=True)
    return math.fsum(share * math.exp(-mean) * mean**photons for mean, share in of)


def _deviation(seen: Pair, secrecy: float) -> float:
    """δ(n, ε) = √(n ln(1/ε)/2), with ε = ε_sec/19."""
    return math.sqrt(sum(seen) / 2.0 * math.log(TERMS / secrecy))


def _limit(counts: OneDecoyCounts, seen: Pair, intensity: int, sign: int, secrecy: float) -> float:
    """n⁺ or n⁻ of an intensity."""
    weight = math.exp(counts.means[intensity]) / counts.shares[intensity]
    return weight * (seen[intensity] + sign * _deviation(seen, secrecy))


def _most_vacuum(counts: OneDecoyCounts, seen: Pair, wrong: Pair, secrecy: float) -> float:
    """s₀ of one basis at most, (A16) with the decoy."""
    of_errors = _chance(counts, 0) * _limit(counts, wrong, 1, +1, secrecy)
    return 2.0 * (of_errors + _deviation(seen, secrecy))


def _single(counts: OneDecoyCounts, seen: Pair, wrong: Pair, secrecy: float) -> float:
    """s₁ of one basis at least, (A17), kept between 0 and what was detected."""
    mu, nu = counts.means
    weighed = (
        _limit(counts, seen, 1, -1, secrecy)
        - (nu / mu) ** 2 * _limit(counts, seen, 0, +1, secrecy)
        - (1.0 - (nu / mu) ** 2) * _most_vacuum(counts, seen, wrong, secrecy) / _chance(counts, 0)
    )
    return min(sum(seen), max(0.0, _chance(counts, 1) * mu / (nu * (mu - nu)) * weighed))


def _vacuum(counts: OneDecoyCounts, secrecy: float) -> float:
    """s₀ of the key's basis at least, (A19), from 0."""
    mu, nu = counts.means
    low, high = (
        _limit(counts, counts.key, 1, -1, secrecy),
        _limit(counts, counts.key, 0, +1, secrecy),
    )
    return max(0.0, _chance(counts, 0) / (mu - nu) * (mu * low - nu * high))


def _phase_error(counts: OneDecoyCounts, single: float, secrecy: float) -> float:
    """φ of the key's single photons, (A22) and (A23); at most ½."""
    compared = _single(counts, counts.tested, counts.errors, secrecy)
    if not single or not compared:
        return 0.5
    mu, nu = counts.means
    high, low = (
        _limit(counts, counts.errors, 0, +1, secrecy),
        _limit(counts, counts.errors, 1, -1, secrecy),
    )
    wrong = _chance(counts, 1) / (mu - nu) * (high - low)
    # One error at least: at none, γ would leave no room for what the sample missed.
    rate = max(wrong, 1.0) / compared
    if rate >= 0.5:
        return 0.5
    gamma = sampling_deviation(rate, single, compared, secrecy / _SAMPLING_TERMS)
    return min(0.5, rate + gamma)
