"""E91 of devices that nobody trusts, finite, against any attack, by entropy accumulation.

The statement is ours, in the manner of the paper; its proof is in docs/explanation/theorems.md. In
each of n rounds both sides draw, with probability γ, to *test*: settings of S, uniformly. Else both
take one key setting, of which the reference's is a setting of S (`acin_2007`). Bob's outcomes of
tests are announced. A test is won with probability ω = (4 + S)/8. The block goes on if at most
γ n (1 − ω_min) tests were lost, and at most `tests` were made. A round's output is the reference's
bit and, in a test, the other side's (d = 4); it hides at least η(ω) = 1 − χ(8ω − 4) bits, and η is
convex: its tangent at any point, a line of slope s, is a min-tradeoff function that is flat but for
lost tests, with

    Max f − Min f = s (2 + √2)/4,      Var f ≤ s² (2 + √2)/(4γ)

From the smooth min-entropy (`dupuis_fawzi_2019`, ε_sec/4, Pr Ω ≥ ε_sec) one bit for each test and
all that is announced are taken; hashing leaves ε_sec/2:

    ℓ = ⌊ H_min − tests − leak − log₂(2/ε_cor) − 2 log₂(1/ε_sec) ⌋

So γ must be small, and n then enormous: every setting of E91 here is as likely as any other, which
makes 4 of 9 rounds tests; with those no block of any size has a key by this theorem.

Sources: Arnon-Friedman, Dupuis, Fawzi, Renner, Vidick, "Practical device-independent quantum
cryptography via entropy accumulation", Nat. Commun. 9, 459 (2018); η: Acín et al., PRL 98, 230501
(2007).
"""

import math

from bellwire.base.bits import binary_entropy
from bellwire.distill.errors import ParameterError
from bellwire.distill.theorems.acin_2007 import eve_information
from bellwire.distill.theorems.dupuis_fawzi_2019 import Tradeoff, accumulated
from bellwire.distill.theorems.peak import log_peak, peak
from bellwire.distill.theorems.ranges import check_counts, check_epsilon, check_shares

CLASSICAL_SCORE = 0.75
QUANTUM_SCORE = (2.0 + math.sqrt(2.0)) / 4.0

_OUTPUTS = 4
_MARGIN = 1e-9
_STEPS = 16


def score(chsh: float) -> float:
    """ω: probability of winning a test whose correlations have this S, (4 + S)/8."""
    return (4.0 + chsh) / 8.0


def entropy_per_round(won: float) -> float:
    """η(ω): bits of the reference's outcome that Eve cannot know, from 0; 0 up to ω = ¾."""
    return 1.0 - eve_information(8.0 * won - 4.0)


def tangent(won: float, at: float) -> tuple[float, float]:
    """(value at `won`, slope) of the tangent to η at a score above ¾ and below (2 + √2)/4."""
    root = math.sqrt(16.0 * at * (at - 1.0) + 3.0)
    slope = (8.0 * at - 4.0) / root * math.log2((1.0 + root) / (1.0 - root))
    return entropy_per_round(at) + slope * (won - at), slope


def key_length(
    rounds: float,
    test_share: float,
    won: float,
    tests: float,
    leaked_bits: float,
    *,
    secrecy: float,
    correctness: float,
) -> int:
    """Secret bits of a block, from 0.

    Args:
        rounds: n.
        test_share: γ.
        won: ω_min: the block goes on with at most γ n (1 − ω_min) lost tests.
        tests: Most tests with which it goes on.
        leaked_bits: What reconciliation announces at most.
        secrecy: ε_sec.
        correctness: ε_cor.

    Raises:
        ParameterError: a number that cannot be, by name.
    """
    check_counts(rounds=rounds, tests=tests, leaked_bits=leaked_bits)
    check_shares(test_share=test_share, won=won)
    check_epsilon(secrecy=secrecy, correctness=correctness)
    if tests > rounds:
        raise ParameterError(f"tests: expected at most the rounds {rounds}, got {tests}")
    if won <= CLASSICAL_SCORE or not test_share or not rounds:
        return 0
    costs = tests + leaked_bits + math.log2(2.0 / correctness) - 2.0 * math.log2(secrecy)

    def entropy(at: float) -> float:
        value, slope = tangent(min(won, QUANTUM_SCORE), at)
        tradeoff = Tradeoff(
            value=value,
            spread=slope * QUANTUM_SCORE,
            variance=slope**2 * QUANTUM_SCORE / test_share,
            dimension=_OUTPUTS,
        )
        return accumulated(rounds, tradeoff, secrecy / 4.0, secrecy)

    at = peak(entropy, CLASSICAL_SCORE + _MARGIN, QUANTUM_SCORE - _MARGIN, steps=_STEPS)
    return max(0, math.floor(entropy(at) - costs))


def best_test_share(
    rounds: float,
    qber: float,
    chsh: float,
    *,
    efficiency: float,
    secrecy: float,
    correctness: float,
) -> tuple[float, int]:
    """The share of tests that gives most key if all goes as expected, and that key.

    Args:
        rounds: n.
        qber: Of the key rounds.
        chsh: S of the tests; its score is taken as ω_min, and γ n as the most tests.
        efficiency: Leaked bits over Shannon's limit, of key rounds and of tests.
        secrecy: ε_sec.
        correctness: ε_cor.

    Raises:
        ParameterError: a number that cannot be, by name.
    """
    check_counts(rounds=rounds)
    check_shares(0.5, qber=qber)
    won = score(chsh)
    check_shares(won=won)

    def length(share: float) -> int:
        of_tests = binary_entropy(1.0 - won)
        leaked = efficiency * rounds * ((1.0 - share) * binary_entropy(qber) + share * of_tests)
        return key_length(
            rounds, share, won, share * rounds, leaked, secrecy=secrecy, correctness=correctness
        )

    share = log_peak(length, 1e-6, 0.5, steps=_STEPS)
    return share, length(share)
