"""What the disclosed outcomes say: error rates, correlations, S, and limits on phase errors.

Alice is always first. Phase errors of E91's key settings follow from its own correlations, under
the assumptions that the report names (qubits, fair sampling, collective attacks): with
E(a, b) = ⟨σ_a ⊗ σ_b⟩, the complement of π/2 is 0 = (π/4 − 3π/4)/√2 in Bob's operators, and the
complement of π/4 is 3π/4 = (π/2 − 0)/√2 in Alice's. Sources: Ekert, PRL 67, 661 (1991); Clauser,
Horne, Shimony and Holt, PRL 23, 880 (1969).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES, CHSH_TERMS, KEY_PAIRS
from bellwire.base.detections import Outcomes, Settings
from bellwire.distill.bounds import EpsilonBudget, lower_mean, upper_mean, upper_rest, upper_sample

COMPLEMENT = {
    (1, 0): (((2, 2), 1), ((0, 2), -1)),
    (2, 1): (((0, 0), 1), ((0, 2), -1)),
}
"""Per key setting: (setting pair, sign) of the two correlations whose difference over √2 is the
correlation in the complementary direction."""


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """So many `errors` among so many compared `bits`."""

    errors: int
    bits: int

    @property
    def value(self) -> float:
        """Share of errors; 0 where nothing was compared."""
        return self.errors / self.bits if self.bits else 0.0

    @property
    def stderr(self) -> float:
        """Standard error of `value`; 0 where nothing was compared."""
        return math.sqrt(self.value * (1.0 - self.value) / self.bits) if self.bits else 0.0

    def limits(self, epsilon: float) -> tuple[float, float]:
        """Limits of the rate behind independent errors, each wrong with probability epsilon."""
        return (
            lower_mean(self.value, self.bits, epsilon),
            upper_mean(self.value, self.bits, epsilon),
        )

    def __add__(self, other: "ErrorRate") -> "ErrorRate":
        return ErrorRate(self.errors + other.errors, self.bits + other.bits)


@dataclass(frozen=True, slots=True, eq=False)
class Correlations:
    """Counts of coincidences per pair of settings.

    Attributes:
        pairs: (3, 3) int64, coincidences of (Alice's setting, Bob's) whose outcomes are open.
        different: (3, 3) int64, those among them with different outcomes.
    """

    pairs: NDArray[np.int64]
    different: NDArray[np.int64]

    @classmethod
    def of(cls, counts: Mapping[tuple[int, int], ErrorRate]) -> "Correlations":
        """From how many outcomes differ for each pair of settings; nothing where none is given."""
        pairs, different = np.zeros((3, 3), np.int64), np.zeros((3, 3), np.int64)
        for cell, count in counts.items():
            pairs[cell], different[cell] = count.bits, count.errors
        return cls(pairs, different)

    @classmethod
    def count(
        cls, alice: Settings, bob: Settings, alice_bits: Outcomes, bob_bits: Outcomes
    ) -> "Correlations":
        """Count (n,) settings 0…2 and (n,) outcomes 0/1 of both sides."""
        cell = 3 * alice.astype(np.int64) + bob
        pairs = np.bincount(cell, minlength=9).reshape(3, 3)
        different = np.bincount(cell[alice_bits != bob_bits], minlength=9).reshape(3, 3)
        return cls(pairs, different)

    def with_key(self, *parts: ErrorRate) -> "Correlations":
        """With the key settings' own counts, known once their outcomes are."""
        pairs, different = self.pairs.copy(), self.different.copy()
        for (a, b), part in zip(KEY_PAIRS, parts, strict=True):
            pairs[a, b] += part.bits
            different[a, b] += part.errors
        return Correlations(pairs, different)

    def rate(self, alice: int, bob: int) -> ErrorRate:
        """Share of different outcomes for one pair of settings."""
        return ErrorRate(int(self.different[alice, bob]), int(self.pairs[alice, bob]))

    def value(self, alice: int, bob: int) -> float:
        """E(a, b) = 1 − 2·(share of different outcomes); 0 without coincidences."""
        rate = self.rate(alice, bob)
        return 1.0 - 2.0 * rate.value if rate.bits else 0.0

    def stderr(self, alice: int, bob: int) -> float:
        """Standard error of E(a, b): √((1 − E²)/n); 1 without coincidences."""
        n = int(self.pairs[alice, bob])
        return math.sqrt((1.0 - self.value(alice, bob) ** 2) / n) if n else 1.0

    def limit(self, alice: int, bob: int, sign: int, epsilon: float) -> float:
        """Lower limit of sign·E(a, b), wrong with probability at most epsilon."""
        rate = self.rate(alice, bob)
        if sign > 0:
            return 1.0 - 2.0 * upper_mean(rate.value, rate.bits, epsilon)
        return 2.0 * lower_mean(rate.value, rate.bits, epsilon) - 1.0

    @property
    def chsh(self) -> float:
        """S of the CHSH inequality."""
        return sum(sign * self.value(a, b) for a, b, sign in CHSH_TERMS)

    @property
    def chsh_stderr(self) -> float:
        """Standard error of S: its four correlations are independent."""
        return math.sqrt(sum(self.stderr(a, b) ** 2 for a, b, _ in CHSH_TERMS))

    def chsh_lower(self, epsilon: float) -> float:
        """Lower limit of S: each of its four correlations may be wrong by epsilon."""
        return sum(self.limit(a, b, sign, epsilon) for a, b, sign in CHSH_TERMS)

    def chsh_pairs(self) -> int:
        """Coincidences in the scarcest of the four correlations of S."""
        return min(int(self.pairs[a, b]) for a, b, _ in CHSH_TERMS)

    def table(self) -> list[dict[str, float]]:
        """One row per pair of settings with coincidences: angles, E, its error, how many."""
        return [
            {
                "alice_deg": math.degrees(ALICE_ANGLES[a]),
                "bob_deg": math.degrees(BOB_ANGLES[b]),
                "value": self.value(a, b),
                "stderr": self.stderr(a, b),
                "pairs": int(self.pairs[a, b]),
            }
            for a in range(3)
            for b in range(3)
            if self.pairs[a, b]
        ]


def e91_phase_errors(
    correlations: Correlations, key_bits: tuple[int, ...], budget: EpsilonBudget
) -> tuple[float, ...]:
    """Upper limit of the phase error rate of each key setting's bits.

    Args:
        correlations: Of the test settings.
        key_bits: Bits per key setting, in the order of `KEY_PAIRS`.
        budget: `estimation` is spent on each correlation, `smoothing`² on the key samples together.

    Returns:
        ½(1 − [E₁ − E₂]/√2) with both correlations at their limits, enlarged by what a sample of
        the key's size may exceed its mean by; 1 where there are no bits.
    """
    limits = []
    for pair, bits in zip(KEY_PAIRS, key_bits, strict=True):
        complementary = sum(
            correlations.limit(a, b, sign, budget.estimation) for (a, b), sign in COMPLEMENT[pair]
        ) / math.sqrt(2.0)
        mean = min(1.0, max(0.0, 0.5 * (1.0 - complementary)))
        limits.append(upper_sample(mean, bits, budget.smoothing**2 / len(KEY_PAIRS)))
    return tuple(limits)


def conjugate_phase_errors(
    samples: tuple[ErrorRate, ErrorRate], key_bits: tuple[int, ...], budget: EpsilonBudget
) -> tuple[float, ...]:
    """Upper limit of the phase error rate of each basis's key bits, in BB84 and BBM92.

    A bit's phase error is the error it would have shown in the other basis, where a random sample
    was compared. Which slots became the one's sample and which the other's key was drawn at
    random: given how many there are of each, every division is as likely, whatever the probability
    of a basis, so long as a basis does not change what is detected. So sample and key are parts of
    one population. It rests on conjugate bases: E91's key settings are not, and it is never used
    for E91.

    Args:
        samples: Compared bits of each basis.
        key_bits: Bits that remain as key in each basis.
        budget: `smoothing`² is spent on both together.
    """
    return tuple(
        upper_rest(samples[1 - basis].value, samples[1 - basis].bits, bits, budget.smoothing**2 / 2)
        for basis, bits in enumerate(key_bits)
    )
