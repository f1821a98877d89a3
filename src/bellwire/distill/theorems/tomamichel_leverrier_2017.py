"""BBM92: entangled pairs, or single qubits, finite, against any attack, the source being Eve's.

Of m rounds in which both sides measured in the same of two bases, k at random are compared. The
block goes on if at most a share δ of them is wrong. By theorems 2 and 3 (equations (56) and (58)) a
key of ℓ bits is (ε_ec + ε_pe + ε_pa)-secure with

    ε_ec = 2⁻ᵗ                                                    correctness: a hash of t bits
    ε_pe = 2 exp( −(m − k) k² ν² / (m (k + 1)) )                 the rest is noisier than δ + ν
    ε_pa = ½ √( 2^( −(m − k)(log₂(1/c̄) − h(δ + ν)) + r + t + ℓ ) )   what hashing leaves

for any ν in (0, ½ − δ). r bits are announced by reconciliation. c̄ is the overlap of Alice's two
measurements, ½ for complementary bases of a qubit; nothing is assumed of the source and, beyond
that detecting does not depend on the basis, little of Bob. Every round gives a detection: what is
lost before sifting must be lost alike in both bases.

We did not have the paper's text before us. The equations are as two public implementations give
them, and they return the lengths and errors of the four points that the authors' own program
prints (`bellwire lab bounds --check`).

Source: Tomamichel and Leverrier, "A largely self-contained and complete security proof for quantum
key distribution", Quantum 1, 14 (2017).
"""

import math
from dataclasses import dataclass

from bellwire.base.bits import binary_entropy
from bellwire.distill.errors import ParameterError
from bellwire.distill.theorems.peak import log_peak, peak
from bellwire.distill.theorems.ranges import check_counts, check_epsilon, check_shares

COMPLEMENTARY = 0.5
"""c̄ of two complementary bases of a qubit."""

_FEWEST = 4.0
_STEPS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of sifted rounds.

    Attributes:
        rounds: m, in which the bases were the same.
        tested: k of them, compared.
        tolerated: δ, the largest share of wrong ones with which the block goes on.
        leaked_bits: r.
        hash_bits: t.
        overlap: c̄.

    Raises:
        ParameterError: a number that cannot be, by name.
    """

    rounds: float
    tested: float
    tolerated: float
    leaked_bits: float
    hash_bits: float
    overlap: float = COMPLEMENTARY

    def __post_init__(self) -> None:
        check_counts(
            rounds=self.rounds,
            tested=self.tested,
            leaked_bits=self.leaked_bits,
            hash_bits=self.hash_bits,
        )
        check_shares(tolerated=self.tolerated)
        if self.tested > self.rounds:
            raise ParameterError(
                f"tested: expected at most the rounds {self.rounds}, got {self.tested}"
            )
        if not COMPLEMENTARY <= self.overlap <= 1.0:
            raise ParameterError(f"overlap: expected ½ to 1, got {self.overlap}")

    def entropy(self, slack: float) -> float:
        """(m − k)(log₂(1/c̄) − h(δ + ν)) − r − t; h is taken as 1 from ½."""
        check_shares(slack=slack)
        phase = binary_entropy(min(0.5, self.tolerated + slack))
        rest = self.rounds - self.tested
        return rest * (-math.log2(self.overlap) - phase) - self.leaked_bits - self.hash_bits


def estimation_error(block: Block, slack: float) -> float:
    """ε_pe: probability that the rest is noisier by more than `slack` (ν), (58); at most 1.

    Raises:
        ParameterError: a slack that is no share.
    """
    check_shares(slack=slack)
    m, k = block.rounds, block.tested
    if not k:
        return 1.0
    return min(1.0, 2.0 * math.exp(-(m - k) * k * k * slack * slack / (m * (k + 1.0))))


def amplification_error(block: Block, slack: float, length: float) -> float:
    """ε_pa of a key of `length` bits, (58); at most 1.

    Raises:
        ParameterError: a slack or a length that cannot be.
    """
    check_counts(length=length)
    return min(1.0, 0.5 * math.exp2(min(1.0, (length - block.entropy(slack)) / 2.0)))


def key_length(block: Block, slack: float, amplification: float) -> int:
    """Secret bits of a block, from 0: (58) solved for ℓ.

    Args:
        block: What there is.
        slack: ν.
        amplification: ε_pa.

    Raises:
        ParameterError: a slack that is no share, or ε_pa not between 0 and ½.
    """
    if not 0.0 < amplification < 0.5:
        raise ParameterError(f"amplification: expected above 0, below ½, got {amplification}")
    return max(0, math.floor(block.entropy(slack) + 2.0 * math.log2(2.0 * amplification)))


def best_length(block: Block, secrecy: float) -> int:
    """Secret bits with ε_sec = ε_pe + ε_pa divided for the most of them; ε_cor is 2⁻ᵗ.

    Raises:
        ParameterError: an ε outside [1e-22, 1e-3].
    """
    check_epsilon(secrecy=secrecy)
    m, k = block.rounds, block.tested
    if not k or k == m:
        return 0
    width = math.sqrt(m * (k + 1.0) / ((m - k) * k * k))

    def length(estimation: float) -> int:
        slack = width * math.sqrt(math.log(2.0 / (estimation * secrecy)))
        if block.tolerated + slack >= 0.5:
            return 0
        return key_length(block, slack, (1.0 - estimation) * secrecy)

    return length(peak(length, 0.01, 0.99))


def best_split(
    rounds: float, error: float, *, efficiency: float, secrecy: float, correctness: float
) -> tuple[float, int]:
    """How many rounds to compare for the most key, and that key.

    Args:
        rounds: m.
        error: Share of wrong bits; it is taken as δ.
        efficiency: Leaked bits over (m − k)·h(error).
        secrecy: ε_sec.
        correctness: ε_cor.

    Raises:
        ParameterError: a number that cannot be, by name.
    """
    check_counts(rounds=rounds)
    check_shares(0.5, error=error)
    check_epsilon(secrecy=secrecy, correctness=correctness)
    if rounds < _FEWEST:
        return 0.0, 0
    hash_bits = math.ceil(-math.log2(correctness))

    def length(tested: float) -> int:
        leaked = efficiency * (rounds - tested) * binary_entropy(error)
        block = Block(
            rounds=rounds, tested=tested, tolerated=error, leaked_bits=leaked, hash_bits=hash_bits
        )
        return best_length(block, secrecy)

    tested = log_peak(length, 1.0, 0.75 * rounds, steps=_STEPS)
    return tested, length(tested)
