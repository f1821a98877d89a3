"""What the opened outcomes of a block say, for any protocol: to judge it, and to bound Eve."""

from dataclasses import dataclass, replace
from typing import Any

from bellwire.base.bits import PackedBits
from bellwire.base.decoys import Decoys
from bellwire.base.detections import Protocol
from bellwire.distill.bounds import EpsilonBudget, secret_length
from bellwire.distill.decoys import DecoySample
from bellwire.distill.estimation import (
    Correlations,
    ErrorRate,
    conjugate_phase_errors,
    e91_phase_errors,
)
from bellwire.distill.reconciliation import Method
from bellwire.distill.sifting import Sifted
from bellwire.distill.verdict import TSIRELSON, Rejection, Rules, judge_e91, judge_qber

NOTHING = ErrorRate(0, 0)


def errors_of(wrong: PackedBits, parts: tuple[int, int]) -> tuple[ErrorRate, ErrorRate]:
    """Errors of each of two parts, from where the bits of both, part after part, differ."""
    first, second = parts
    return (
        ErrorRate(wrong.cut(0, first).count(), first),
        ErrorRate(wrong.cut(first, second).count(), second),
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """Opened outcomes, counted.

    Attributes:
        protocol: Which rules they are judged by.
        samples: Compared bits of each key part: basis in BB84 and BBM92, key
            setting in E91.
        correlations: Of the test settings in E91, else None.
        rare: The basis that gives no key because the other is preferred. Then each basis is
            judged by itself: an Eve who measures in the preferred one disturbs the few bits of the
            other, and the many of the preferred one would hide it.
        decoys: Of decoy states, what each intensity showed, else None.
    """

    protocol: Protocol
    samples: tuple[ErrorRate, ErrorRate]
    correlations: Correlations | None
    rare: int | None = None
    decoys: DecoySample | None = None

    @classmethod
    def of(
        cls,
        protocol: Protocol,
        sifted: Sifted,
        tested: tuple[PackedBits, PackedBits],
        *,
        rare: int | None = None,
        decoys: Decoys | None = None,
    ) -> "Evidence":
        """Count both sides' outcomes at the test slots, which lie as in `sifted.test`."""
        wrong = tested[0] ^ tested[1]
        if protocol.judged_on_chsh:
            counts = {
                cell: ErrorRate((mask & wrong).count(), mask.count()) for cell, mask in sifted.cells
            }
            return cls(protocol, (NOTHING, NOTHING), Correlations.of(counts))
        sample = None
        if decoys is not None:
            assert sifted.shades is not None
            sample = DecoySample.of(decoys, sifted.shades, wrong)
        return cls(protocol, errors_of(wrong, sifted.tests), None, rare, sample)

    @property
    def sample(self) -> ErrorRate:
        """Compared key bits of both parts together."""
        return self.samples[0] + self.samples[1]

    def with_key(self, parts: tuple[ErrorRate, ErrorRate]) -> "Evidence":
        """With the errors of the key parts, once both sides know them."""
        first, second = (known + part for known, part in zip(self.samples, parts, strict=True))
        correlations = self.correlations
        if correlations is not None:
            correlations = correlations.with_key(*parts)
        return replace(self, samples=(first, second), correlations=correlations)

    def judge(
        self, rules: Rules, budget: EpsilonBudget, *, probe: bool = False
    ) -> Rejection | None:
        """Judge the block, or probe, by what is open; None lets it go on."""
        if self.correlations is not None:
            return judge_e91(self.correlations, rules, budget)
        rejection = self.judge_bits(rules, budget)
        if rejection is None and self.decoys is not None:
            return self.decoys.judge(budget, probe=probe)
        return rejection

    def judge_bits(self, rules: Rules, budget: EpsilonBudget) -> Rejection | None:
        """Judge the block by the error rate of all bits whose error is known."""
        judged = [self.sample]
        if self.rare is not None:
            key = self.samples[1 - self.rare]
            # Decoy states open nothing of the key's basis: it is judged once its errors are known.
            judged = [self.samples[self.rare], *([key] if key.bits or not self.decoys else [])]
        for sample in judged:
            rejection = judge_qber(sample, rules, budget)
            if rejection is not None:
                return rejection
        return None

    def expected_qber(self, method: Method = Method.CASCADE) -> float:
        """What reconciliation should prepare for; in E91 the visibility that S shows says it.

        Cascade forgives an estimate that is too low. A code that was chosen for fewer errors than
        there are may find none of them, so it is chosen for two standard errors more.
        """
        if self.correlations is not None:
            value = max(0.0, 0.5 * (1.0 - self.correlations.chsh / TSIRELSON))
            stderr = 0.5 * self.correlations.chsh_stderr / TSIRELSON
        else:
            sample = self.sample
            if self.rare is not None and self.decoys is None:
                sample = self.samples[1 - self.rare]
            value, stderr = sample.value, sample.stderr
        return min(0.5, value + 2.0 * stderr) if method is Method.LDPC else value

    def key_length(
        self, parts: tuple[int, int], leaked_bits: int, budget: EpsilonBudget
    ) -> tuple[int, dict[str, Any]]:
        """Bits that may be extracted, and the fields of `BlockReport` that say why.

        Args:
            parts: Bits of each key part.
            leaked_bits: Everything about the key that crossed the classical channel, a hash too.
            budget: Of the block.
        """
        if self.decoys is not None:
            length, found = self.decoys.key_length(leaked_bits, budget)
            return length, {
                "phase_errors": (found.phase_error,),
                "vacuum_bits": found.vacuum,
                "single_photon_bits": found.single,
            }
        limits = (
            conjugate_phase_errors(self.samples, parts, budget)
            if self.correlations is None
            else e91_phase_errors(self.correlations, parts, budget)
        )
        length = secret_length(list(zip(parts, limits, strict=True)), leaked_bits, budget)
        return length, {"phase_errors": limits}

    def figures(self, budget: EpsilonBudget) -> dict[str, Any]:
        """The fields of `BlockReport` that these counts fill."""
        compared = self.sample
        figures: dict[str, Any] = {}
        if compared.bits:
            figures |= {
                "qber": compared.value,
                "qber_stderr": compared.stderr,
                "qber_limits": compared.limits(budget.estimation),
            }
        if self.correlations is not None:
            figures |= {
                "chsh": self.correlations.chsh,
                "chsh_stderr": self.correlations.chsh_stderr,
                "chsh_lower": self.correlations.chsh_lower(budget.estimation),
                "correlations": self.correlations.table(),
            }
        return figures
