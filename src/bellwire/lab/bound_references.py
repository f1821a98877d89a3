"""What the theorems' numbers are held against.

Printed ones where they could be read, else the same formula evaluated apart. `bellwire lab bounds
--check` shows the table; the tests assert on it, and evaluate the formulas of the second kind again
with 60 digits (tests/reference/theorems.py).
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from bellwire.base.bits import binary_entropy
from bellwire.distill.theorems import (
    acin_2007,
    arnon_friedman_2018,
    dupuis_fawzi_2019,
    lim_2014,
    rusca_2018,
    tomamichel_2012,
    tomamichel_leverrier_2017,
)

APART = "formula evaluated apart, 60 digits"
"""Origin of what is no printed number."""

_SECRECY, _CORRECTNESS = 1e-10, 1e-12


@dataclass(frozen=True, slots=True)
class Reference:
    """A number that somebody states, and ours.

    Attributes:
        theorem: Which.
        quantity: What it is, with its unit.
        stated: The number.
        origin: Who states it, and how it reached us.
        ours: The same by this program.
        tolerance: Relative difference that the tests allow: rounding, or what the theorems' page
            says of a number that does not come out.
    """

    theorem: str
    quantity: str
    stated: float
    origin: str
    ours: float
    tolerance: float

    @property
    def difference(self) -> float:
        """Relative, ours over stated less 1."""
        return self.ours / self.stated - 1.0

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {**asdict(self), "difference": self.difference}


def references() -> tuple[Reference, ...]:
    """All of them, by theorem."""
    return (*_tomamichel(), *_leverrier(), *_lim(), *_rusca(), *_acin(), *_arnon_friedman())


_TABLE_2 = (
    (1e4, 1.0, 11.7, 14.0, 38.2, 2.48, 2.3),
    (1e4, 2.5, 6.8, 10.4, 43.0, 3.78, 3.0),
    (1e5, 1.0, 30.4, 36.4, 22.0, 2.14, 0.8),
    (1e5, 2.5, 21.5, 32.6, 23.3, 3.58, 1.0),
    (1e6, 1.0, 47.8, 57.1, 12.5, 1.73, 0.6),
    (1e6, 2.5, 35.7, 53.9, 13.7, 3.21, 0.7),
)
"""n, then Q, r, r_rel, p_x, Q_tol and ε_rob in percent; p_x falls with n, so it is the compared
basis's."""

_PRINTED = "printed, table II (transcription in a public repository)"
_LEAK = 1.1
_SECURITY_RATE = 1e-14


def _tomamichel() -> Iterator[Reference]:
    name = "tomamichel-2012"
    for n, error, rate, relative, share, tolerated, aborts in _TABLE_2:
        yield Reference(
            name,
            f"asymptotic rate, Q = {error:g} %, as r/r_rel of n = {n:g}",
            rate / relative,
            _PRINTED,
            tomamichel_2012.asymptotic_rate(error / 100.0),
            0.1 / rate + 0.05 / relative,  # r looks cut, r_rel rounded
        )
        # k, M(n, k) and ℓ follow from n, p and r; ε from ℓ, divided for the longest key.
        tested = share / 100.0
        sent = n / (1.0 - tested) ** 2
        going_on = 1.0 - aborts / 100.0
        epsilon = _SECURITY_RATE * rate / 100.0 * sent / going_on
        length = tomamichel_2012.key_length(
            n,
            sent * tested**2,
            tolerated / 100.0,
            _LEAK * n * binary_entropy(tolerated / 100.0),
            secrecy=epsilon * 2.0 / 3.0,
            correctness=epsilon / 3.0,
        )
        yield Reference(
            name,
            f"rate at the printed parameters, n = {n:g}, Q = {error:g} % (not reproduced)",
            rate / 100.0,
            _PRINTED,
            going_on * length / sent,
            0.15,
        )
    ours = tomamichel_2012.key_length(
        1e5, 2e4, 0.02, 16_000, secrecy=_SECRECY, correctness=_CORRECTNESS
    )
    quantity = "bits, n = 1e5, k = 2e4, Q_tol = 2 %, leak 16,000"
    yield Reference(name, quantity, 51837.71813835556, APART, ours, 2e-5)


_FIGURE_7 = (
    (0.010, 36123, 5911, 15323, 0.06943318811415392, 9.778763272730244e-11),
    (0.025, 51114, 8484, 17009, 0.0580348064984291, 9.698272881235974e-11),
    (0.050, 128989, 20941, 27878, 0.03685663259331777, 9.872424026202253e-11),
    (0.075, 731680, 104258, 85453, 0.016324856748689963, 9.9261091464143e-11),
)
"""δ, m, k, ℓ, ν and the total ε that the authors' program prints for marks of their figure 7."""

_PROGRAM = "printed by the authors' program (as a public test suite quotes it)"
_TARGET = 1e-10


def _leverrier() -> Iterator[Reference]:
    """Their split of ε: 2⁻ᵗ below α·10⁻¹⁰ with α = 1/√m, and ε_pa = 0.1 (1 − α)·10⁻¹⁰."""
    name = "tomamichel-leverrier-2017"
    for delta, m, k, length, slack, epsilon in _FIGURE_7:
        alpha = m**-0.5
        block = tomamichel_leverrier_2017.Block(
            rounds=m,
            tested=k,
            tolerated=delta,
            leaked_bits=math.ceil(_LEAK * binary_entropy(delta) * (m - k)),
            hash_bits=math.ceil(-math.log2(alpha * _TARGET)),
        )
        ours = tomamichel_leverrier_2017.key_length(block, slack, 0.1 * (1.0 - alpha) * _TARGET)
        at = f"δ = {delta:.1%}, m = {m:,}"
        yield Reference(name, f"bits, {at}", length, _PROGRAM, ours, 0.0)
        total = (
            tomamichel_leverrier_2017.estimation_error(block, slack)
            + tomamichel_leverrier_2017.amplification_error(block, slack, length)
            + 2.0**-block.hash_bits
        )
        yield Reference(name, f"total ε, {at}", epsilon, _PROGRAM, total, 1e-12)


def _lim() -> Iterator[Reference]:
    counts = lim_2014.DecoyCounts(
        means=(0.45, 0.2, 2e-4),
        shares=(0.5, 0.35, 0.15),
        key=(14_370_800, 4_477_800, 2_900),
        tested=(898_200, 279_900, 200),
        errors=(9_100, 2_900, 0),
    )
    ours = lim_2014.decoy_key(counts, 2e6, _SECRECY, _CORRECTNESS).bits
    quantity = "bits of 18,851,500 in the key's basis, leak 2,000,000"
    yield Reference("lim-2014", quantity, 7992634.931816451, APART, ours, 1e-10)


def _rusca() -> Iterator[Reference]:
    counts = rusca_2018.OneDecoyCounts(
        means=(0.45, 0.15),
        shares=(0.7, 0.3),
        key=(20_119_200, 2_879_800),
        key_errors=(203_400, 29_700),
        tested=(1_257_400, 180_000),
        errors=(12_700, 1_900),
    )
    ours = rusca_2018.one_decoy_key(counts, 2e6, _SECRECY, _CORRECTNESS).bits
    quantity = "bits of 22,999,000 in the key's basis, leak 2,000,000"
    yield Reference("rusca-2018", quantity, 9581178.877093486, APART, ours, 1e-10)


def _acin() -> Iterator[Reference]:
    name = "acin-2007"
    low, high = 0.0, 0.2
    for _ in range(60):
        middle = (low + high) / 2.0
        if acin_2007.key_fraction(middle, acin_2007.TSIRELSON * (1.0 - 2.0 * middle)) > 0.0:
            low = middle
        else:
            high = middle
    third = "the paper's, as a public test suite quotes it"
    yield Reference(name, "QBER at which key ends, noise of all colours", 0.071, third, low, 0.01)
    ours = acin_2007.key_fraction(0.02, 2.7)
    yield Reference(name, "r, Q = 2 %, S = 2.7", 0.5870415828464592, APART, ours, 1e-12)


def _arnon_friedman() -> Iterator[Reference]:
    value, slope = arnon_friedman_2018.tangent(0.84, 0.83)
    most = arnon_friedman_2018.QUANTUM_SCORE
    tradeoff = dupuis_fawzi_2019.Tradeoff(
        value=value, spread=slope * most, variance=slope**2 * most / 0.05, dimension=4
    )
    entropy = dupuis_fawzi_2019.accumulated_at(1e7, tradeoff, _SECRECY / 4.0, _SECRECY, 1e-4)
    costs = 1.5e6 + math.log2(2.0 / _CORRECTNESS) - 2.0 * math.log2(_SECRECY)
    quantity = "bits, n = 1e7, γ = 5 %, ω = 0.84, tangent at 0.83, α = 1.0001"
    ours = entropy - costs
    yield Reference("arnon-friedman-2018", quantity, 4016802.4381778706, APART, ours, 1e-10)
