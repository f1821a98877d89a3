"""Finite decoy bounds: below the truth, below what linear programs permit, and asymptotic."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import decoy_bounds as reference

from bellwire.base.bits import binary_entropy
from bellwire.distill.errors import ParameterError
from bellwire.distill.theorems.lim_2014 import DecoyCounts, DecoyKey, decoy_key
from bellwire.link.weak_theory import Observed, decoy_bounds

MEANS, SHARES = (0.45, 0.2, 2e-4), (0.5, 0.35, 0.15)
SECRECY, CORRECTNESS = 1e-10, 1e-15


def counts(pulses: float, eta: float, background: float, error: float, q: float) -> DecoyCounts:
    key, _, _, _ = reference.channel(MEANS, SHARES, pulses * q * q, eta, background, error)
    tested, errors, _, _ = reference.channel(
        MEANS, SHARES, pulses * (1 - q) ** 2, eta, background, error
    )
    return DecoyCounts(
        means=MEANS,
        shares=SHARES,
        key=(key[0], key[1], key[2]),
        tested=(tested[0], tested[1], tested[2]),
        errors=(errors[0], errors[1], errors[2]),
    )


CHANNELS = {
    "pulses": st.floats(7, 13).map(lambda x: 10.0**x),
    "eta": st.floats(-4, -1).map(lambda x: 10.0**x),
    "background": st.floats(-8, -5).map(lambda x: 10.0**x),
    "error": st.floats(0.0, 0.1),
    "q": st.floats(0.3, 0.95),
}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(**CHANNELS)
def test_the_bounds_hold_for_a_channel_whose_photons_are_known(
    pulses: float, eta: float, background: float, error: float, q: float
) -> None:
    found = decoy_key(counts(pulses, eta, background, error, q), 0.0, SECRECY, CORRECTNESS)
    _, _, by_number, wrong = reference.channel(
        MEANS, SHARES, pulses * q * q, eta, background, error
    )
    assert 0.0 <= found.vacuum <= by_number[0] * (1 + 1e-9)
    assert 0.0 <= found.single <= by_number[1] * (1 + 1e-9)
    assert found.phase_error >= min(0.5, wrong[1] / by_number[1]) * (1 - 1e-9)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(**CHANNELS)
def test_the_closed_form_asks_no_more_than_the_linear_program_permits(
    pulses: float, eta: float, background: float, error: float, q: float
) -> None:
    known = counts(pulses, eta, background, error, q)
    found = decoy_key(known, 0.0, SECRECY, CORRECTNESS)
    deviation = math.sqrt(sum(known.key) / 2 * math.log(21 / SECRECY))
    scale = sum(known.key)
    least = reference.extreme(MEANS, SHARES, known.key, deviation, 1)
    assert found.single <= least + 1e-6 * scale


@pytest.mark.parametrize("eta", [0.1, 0.001])
def test_endless_runs_prove_what_the_asymptotic_bounds_prove(eta: float) -> None:
    background, error, pulses = 1e-6, 0.03, 1e24
    known = counts(pulses, eta, background, error, 0.5)
    found = decoy_key(known, 0.0, SECRECY, CORRECTNESS)
    observed = [
        Observed(mean, seen / (pulses * share / 4), wrong / (pulses * share / 4))
        for mean, share, seen, wrong in zip(MEANS, SHARES, known.tested, known.errors, strict=True)
    ]
    single = decoy_bounds(*observed)
    one = math.fsum(p * k * math.exp(-k) for k, p in zip(MEANS, SHARES, strict=True))
    assert found.single == pytest.approx(one * single.yield_lower * pulses / 4, rel=1e-3)
    assert found.phase_error == pytest.approx(single.error_upper, rel=1e-3)


def by_hand(known: DecoyCounts, leaked: float) -> float:
    """Equations (1) to (5) in another order: as vectors, with logarithms to base 10."""
    k, p = np.array(known.means), np.array(known.shares)
    tau = [float((p * np.exp(-k) * k**n).sum()) for n in (0, 1)]
    log = (1 - math.log10(SECRECY / 2.1)) * math.log(10)  # ln(21/ε)

    def spread(seen: Any) -> tuple[Any, Any]:
        seen = np.array(seen)
        width = np.sqrt(seen.sum() * log / 2)
        return np.exp(k) / p * (seen - width), np.exp(k) / p * (seen + width)

    def lowest(seen: Any) -> tuple[float, float]:
        low, high = spread(seen)
        zero = max(0.0, tau[0] / (k[1] - k[2]) * (k[1] * low[2] - k[2] * high[1]))
        factor = k[0] * tau[1] / (k[0] * (k[1] - k[2]) - k[1] ** 2 + k[2] ** 2)
        ratio = (k[1] ** 2 - k[2] ** 2) / k[0] ** 2
        return zero, factor * (low[1] - high[2] - ratio * (high[0] - zero / tau[0]))

    zero, one = lowest(known.key)
    _, other = lowest(known.tested)
    low, high = spread(known.errors)
    b = tau[1] * (high[1] - low[2]) / (k[1] - k[2]) / other
    c, d = other, one
    gamma = math.sqrt(
        (c + d) * (1 - b) * b / (c * d * math.log(2))
        * math.log2((c + d) / (c * d * (1 - b) * b) * 21**2 / SECRECY**2)
    )  # fmt: skip
    costs = leaked + 6 * math.log2(21 / SECRECY) + math.log2(2 / CORRECTNESS)
    return zero + one * (1 - binary_entropy(b + gamma)) - costs


@pytest.mark.parametrize("pulses", [1e9, 1e11, 1e13])
def test_the_length_is_the_papers_formula_evaluated_by_hand(pulses: float) -> None:
    known = counts(pulses, 0.01, 1e-6, 0.01, 0.8)
    found = decoy_key(known, 1234.5, SECRECY, CORRECTNESS)
    assert found.bits > 0
    assert found.bits == pytest.approx(by_hand(known, 1234.5), rel=1e-10)
    assert found.length == math.floor(found.bits)


def test_short_runs_prove_nothing_and_longer_ones_more() -> None:
    lengths = [
        decoy_key(counts(n, 0.01, 1e-6, 0.01, 0.8), 0.0, SECRECY, CORRECTNESS).length / n
        for n in (1e6, 1e8, 1e10, 1e12)
    ]
    assert lengths[0] == 0.0
    assert lengths == sorted(lengths)
    assert lengths[-1] > lengths[-2] > 0


def test_a_key_of_negative_length_has_no_bits() -> None:
    assert DecoyKey(vacuum=0.0, single=0.0, phase_error=0.5, bits=-3.2).length == 0


def test_no_error_seen_still_leaves_room_for_errors() -> None:
    known = counts(1e9, 0.01, 1e-6, 0.01, 0.8)
    clean = DecoyCounts(
        means=MEANS, shares=SHARES, key=known.key, tested=known.tested, errors=(0.0, 0.0, 0.0)
    )
    assert 0.0 < decoy_key(clean, 0.0, SECRECY, CORRECTNESS).phase_error < 0.05


GOOD: dict[str, Any] = {
    "means": MEANS,
    "shares": SHARES,
    "key": (9.0, 5.0, 1.0),
    "tested": (9.0, 5.0, 1.0),
    "errors": (1.0, 1.0, 1.0),
}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"means": (0.1, 0.2, 0.0)}, "intensities"),
        ({"means": (0.3, 0.2, 0.1)}, "intensities"),
        ({"means": (0.5, 0.1, -0.1)}, "intensities"),
        ({"means": (math.nan, 0.1, 0.0)}, "intensities"),
        ({"shares": (0.5, 0.5, 0.0)}, "shares"),
        ({"shares": (0.5, 0.4, 0.2)}, "shares"),
        ({"key": (-1.0, 0.0, 0.0)}, "key"),
        ({"tested": (math.inf, 5.0, 1.0)}, "tested"),
        ({"errors": (10.0, 0.0, 0.0)}, "errors"),
    ],
)
def test_counts_that_cannot_be_are_refused_by_name(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(ParameterError, match=named):
        DecoyCounts(**{**GOOD, **changed})


@pytest.mark.parametrize(
    ("leaked", "secrecy", "correctness", "named"),
    [
        (-1.0, 1e-10, 1e-10, "leaked"),
        (math.nan, 1e-10, 1e-10, "leaked"),
        (0.0, 1e-30, 1e-10, "secrecy"),
        (0.0, 1e-10, 0.5, "correctness"),
    ],
)
def test_an_epsilon_or_a_leak_that_cannot_be_is_refused(
    leaked: float, secrecy: float, correctness: float, named: str
) -> None:
    with pytest.raises(ParameterError, match=named):
        decoy_key(DecoyCounts(**GOOD), leaked, secrecy, correctness)
