"""What a block of decoy states proves of its single photons, and how much key that gives.

Counts by intensity bound how many key bits came from single photons and how many phase errors
those have (`theorems.lim_2014`). Only these make key. Empty pulses do not, though the
theorem would count them: Eve may know the error pattern here, both sides' parities being public,
and where she lit Bob's detectors herself the pattern is Alice's bit (docs/explanation/
finite-keys.md).
"""

import math
from dataclasses import dataclass

from bellwire.base.bits import PackedBits
from bellwire.base.decoys import Decoys
from bellwire.distill.bounds import EpsilonBudget
from bellwire.distill.sifting import Shade
from bellwire.distill.theorems.lim_2014 import (
    DecoyBounds,
    DecoyCounts,
    decoy_bounds,
    smoothing_cost,
)
from bellwire.distill.verdict import Reason, Rejection

SIGMAS = 5.0
"""By so many standard errors an estimate without single photons is no chance: 3 in 10⁷ blocks."""


@dataclass(frozen=True, slots=True)
class DecoySample:
    """Detections of each intensity, signal first.

    Attributes:
        decoys: What was sent.
        detected: In any bases, like or not.
        key: In the basis of the key.
        tested: In the other basis, which was compared.
        errors: Wrong bits among these.
    """

    decoys: Decoys
    detected: tuple[int, int, int]
    key: tuple[int, int, int]
    tested: tuple[int, int, int]
    errors: tuple[int, int, int]

    @classmethod
    def of(
        cls, decoys: Decoys, shades: tuple[Shade, Shade, Shade], wrong: PackedBits
    ) -> "DecoySample":
        """Count; `wrong` are the test slots whose outcomes differ."""
        a, b, c = shades
        return cls(
            decoys,
            (a.detected, b.detected, c.detected),
            (a.key, b.key, c.key),
            (a.tested.count(), b.tested.count(), c.tested.count()),
            ((a.tested & wrong).count(), (b.tested & wrong).count(), (c.tested & wrong).count()),
        )

    def bounds(self, budget: EpsilonBudget) -> DecoyBounds:
        """What is proved of the key except with probability ε_sec."""
        return self._bounds(self.key, budget)

    def _bounds(self, key: tuple[int, int, int], budget: EpsilonBudget) -> DecoyBounds:
        counts = DecoyCounts(
            means=self.decoys.means,
            shares=self.decoys.shares,
            key=key,
            tested=self.tested,
            errors=self.errors,
        )
        return decoy_bounds(counts, budget.secrecy)

    def estimate(self) -> tuple[float, float]:
        """Detections from single photons in any bases, were rates exact; with a standard error.

        It is a lower limit of the truth even then: what three intensities cannot tell apart is
        taken for several photons (Ma, Qi, Zhao, Lo, PRA 72, 012326 (2005)). Negative where the
        decoys have too few detections for any channel that treats photons by their number alone.
        """
        (mu, nu, omega), shares = self.decoys.means, self.decoys.shares
        seen = self.detected
        weights = [math.exp(k) / p for k, p in zip(self.decoys.means, shares, strict=True)]
        curve = (nu * nu - omega * omega) / (mu * mu)
        terms = [-curve, 1.0, -1.0]
        empty = nu * weights[2] * seen[2] - omega * weights[1] * seen[1]
        if empty > 0.0:
            terms[1] -= curve * omega / (nu - omega)
            terms[2] += curve * nu / (nu - omega)
        one = math.fsum(
            p * math.exp(-k) * k for k, p in zip(self.decoys.means, shares, strict=True)
        )
        scale = one * mu / ((nu - omega) * (mu - nu - omega))
        parts = [scale * term * weight for term, weight in zip(terms, weights, strict=True)]
        value = math.fsum(part * n for part, n in zip(parts, seen, strict=True))
        spread = math.sqrt(math.fsum(part * part * n for part, n in zip(parts, seen, strict=True)))
        return value, spread

    def judge(self, budget: EpsilonBudget, *, probe: bool) -> Rejection | None:
        """Reject where decoys show no single photons, for Eve keeps them, or cannot prove any.

        A probe need not prove any: that takes a block.
        """
        value, spread = self.estimate()
        seen = sum(self.detected)
        shown = f"{value:,.0f} ± {spread:,.0f} of {seen:,} detections"
        if seen and value + SIGMAS * spread <= 0.0:
            return Rejection(
                Reason.SINGLE_PHOTONS, f"decoys show no single photons: by their gains {shown}"
            )
        proved = (self._bounds(each, budget).single > 0.0 for each in (self.key, self.tested))
        if probe or all(proved):
            return None
        return Rejection(
            Reason.TOO_FEW, f"too few detections for decoys to prove single photons: {shown}"
        )

    def key_length(self, leaked_bits: int, budget: EpsilonBudget) -> tuple[int, DecoyBounds]:
        """Bits that may be extracted, ⌊s₁(1 − h(φ)) − leaked − 6 log₂(21/ε_sec)⌋, at least 0.

        Args:
            leaked_bits: Everything about the key that crossed the classical channel, a hash too.
            budget: Its ε_sec is the theorem's.
        """
        found = self.bounds(budget)
        length = found.single_entropy - leaked_bits - smoothing_cost(budget.secrecy)
        return max(0, math.floor(length)), found

    def table(self, pulses: int) -> list[dict[str, float]]:
        """One row per intensity: photons, share of the pulses, counts, and detections per pulse.

        The gain is over as many pulses as are expected of that intensity; pulses in blind gates
        are among them.
        """
        return [
            {
                "mean": self.decoys.means[k],
                "share": self.decoys.shares[k],
                "detected": self.detected[k],
                "gain": self.detected[k] / (pulses * self.decoys.shares[k]),
                "key": self.key[k],
                "tested": self.tested[k],
                "errors": self.errors[k],
            }
            for k in range(3)
        ]
