"""BB84 of single photons, finite, against any attack.

n bits of one basis become key; k bits of the other are compared in the open, and the block goes on
only if at most a share Q_tol of them is wrong. Then, by theorem 2, equation (2), the key is
ε_sec-secret if

    ℓ ≤ n(q − h(Q_tol + μ)) − leak − log₂(2 / (ε_sec² ε_cor))
    μ = √( (n + k)/(n k) · (k + 1)/k · ln(4/ε_sec) )

and by theorem 1 it is ε_cor-correct, with a hash of ⌈log₂(1/ε_cor)⌉ bits announced. q is the
quality of the source, 1 for single photons in two complementary bases. Of Bob is assumed only that
detecting does not depend on the basis. The error term is supplementary equation (S4) with ε =
ε_sec/4, and ε̃ = ε_sec/2.

Our blocks are shortened by the same relation with the errors that were found in the place of a
tolerated share, with `bellwire.distill.bounds.upper_rest` in the place of μ (which it is, with ε′²
where the paper has ε², for a sample larger than the key), and with the error pattern in Eve's
hands.

Source: Tomamichel, Lim, Gisin, Renner, "Tight finite-key analysis for quantum cryptography", Nat.
Commun. 3, 634 (2012).
"""

import math

from bellwire.base.bits import binary_entropy
from bellwire.distill.theorems.peak import log_peak
from bellwire.distill.theorems.ranges import check_counts, check_epsilon, check_shares


def deviation(key_bits: float, tested_bits: float, secrecy: float) -> float:
    """μ: what the key's share of phase errors may exceed that of the compared bits by.

    Infinite if nothing was compared; 0 without a key.
    """
    check_counts(key_bits=key_bits, tested_bits=tested_bits)
    check_epsilon(secrecy=secrecy)
    n, k = key_bits, tested_bits
    if not n:
        return 0.0
    if not k:
        return math.inf
    return math.sqrt((n + k) / (n * k) * (k + 1.0) / k * math.log(4.0 / secrecy))


def key_length(
    key_bits: float,
    tested_bits: float,
    tolerated: float,
    leaked_bits: float,
    *,
    secrecy: float,
    correctness: float,
    quality: float = 1.0,
) -> int:
    """Secret bits of a block, from 0: theorem 2.

    Args:
        key_bits: n, of the key's basis.
        tested_bits: k, of the other one, compared.
        tolerated: Q_tol, the largest share of wrong bits among them with which the block goes on.
        leaked_bits: What reconciliation announces at most.
        secrecy: ε_sec.
        correctness: ε_cor.
        quality: q of the source.

    Raises:
        ParameterError: a count, share or ε that cannot be, by name.
    """
    check_counts(leaked_bits=leaked_bits)
    check_shares(tolerated=tolerated, quality=quality)
    check_epsilon(correctness=correctness)
    error = tolerated + deviation(key_bits, tested_bits, secrecy)
    if error >= 0.5:
        return 0
    costs = leaked_bits + math.log2(2.0 / correctness) - 2.0 * math.log2(secrecy)
    return max(0, math.floor(key_bits * (quality - binary_entropy(error)) - costs))


def split(detected: float, tested_share: float) -> tuple[float, float]:
    """(n, k) of so many detections if both sides take the compared basis with this probability.

    The paper's p_x = 1/(1 + √(k/n)) the other way round: n = p_x² and k = (1 − p_x)² of them.
    """
    return detected * (1.0 - tested_share) ** 2, detected * tested_share**2


def best_split(
    detected: float, error: float, *, efficiency: float, secrecy: float, correctness: float
) -> tuple[float, int]:
    """The probability of the compared basis that gives most key, and that key.

    Args:
        detected: Pulses that Bob detects, in any basis.
        error: Share of wrong bits in either basis; it is taken as Q_tol.
        efficiency: Leaked bits over n·h(error).
        secrecy: ε_sec.
        correctness: ε_cor.

    Raises:
        ParameterError: as `key_length`.
    """
    check_counts(detected=detected)
    check_shares(0.5, error=error)

    def length(share: float) -> int:
        n, k = split(detected, share)
        leaked = efficiency * n * binary_entropy(error)
        return key_length(n, k, error, leaked, secrecy=secrecy, correctness=correctness)

    share = log_peak(length, 1e-6, 0.7)
    return share, length(share)


def asymptotic_rate(error: float) -> float:
    """Secret bits per key bit of endless blocks with ideal reconciliation: 1 − 2h(Q), from 0."""
    check_shares(error=error)
    return 0.0 if error >= 0.5 else max(0.0, 1.0 - 2.0 * binary_entropy(error))
