"""One decoy: below the truth of every channel, above nothing that cannot be, below two decoys."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import decoy_bounds as reference

from bellwire.distill.errors import ParameterError
from bellwire.distill.theorems.rusca_2018 import OneDecoyCounts, one_decoy_key

MEANS, SHARES = (0.45, 0.15), (0.7, 0.3)
SECRECY, CORRECTNESS = 1e-10, 1e-15


def counts(pulses: float, eta: float, background: float, error: float, q: float) -> OneDecoyCounts:
    key, wrong, _, _ = reference.channel(MEANS, SHARES, pulses * q * q, eta, background, error)
    tested, errors, _, _ = reference.channel(
        MEANS, SHARES, pulses * (1 - q) ** 2, eta, background, error
    )
    return OneDecoyCounts(
        means=MEANS,
        shares=SHARES,
        key=(key[0], key[1]),
        key_errors=(wrong[0], wrong[1]),
        tested=(tested[0], tested[1]),
        errors=(errors[0], errors[1]),
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    pulses=st.floats(7, 13).map(lambda x: 10.0**x),
    eta=st.floats(-4, -1).map(lambda x: 10.0**x),
    background=st.floats(-8, -5).map(lambda x: 10.0**x),
    error=st.floats(0.0, 0.1),
    q=st.floats(0.3, 0.95),
)
def test_the_bounds_hold_for_a_channel_whose_photons_are_known(
    pulses: float, eta: float, background: float, error: float, q: float
) -> None:
    found = one_decoy_key(counts(pulses, eta, background, error, q), 0.0, SECRECY, CORRECTNESS)
    _, _, by_number, wrong = reference.channel(
        MEANS, SHARES, pulses * q * q, eta, background, error
    )
    assert 0.0 <= found.vacuum <= by_number[0] * (1 + 1e-9)
    assert 0.0 <= found.single <= by_number[1] * (1 + 1e-9)
    assert found.phase_error >= min(0.5, wrong[1] / by_number[1]) * (1 - 1e-9)


def test_short_runs_prove_nothing_and_longer_ones_more() -> None:
    rates = [
        one_decoy_key(counts(n, 0.01, 1e-6, 0.01, 0.8), 0.0, SECRECY, CORRECTNESS).length / n
        for n in (1e5, 1e8, 1e10, 1e12, 1e14)
    ]
    assert rates[0] == 0.0
    assert rates == sorted(rates)
    assert rates[-1] > rates[1] > 0


def test_the_share_of_single_photons_of_endless_runs_is_near_the_truth() -> None:
    found = one_decoy_key(counts(1e24, 0.01, 1e-6, 0.01, 0.8), 0.0, SECRECY, CORRECTNESS)
    _, _, by_number, _ = reference.channel(MEANS, SHARES, 0.64e24, 0.01, 1e-6, 0.01)
    assert 0.8 < found.single / by_number[1] < 1.0


def test_no_error_seen_still_leaves_room_for_errors() -> None:
    known = counts(1e9, 0.01, 1e-6, 0.01, 0.8)
    clean = OneDecoyCounts(
        means=MEANS,
        shares=SHARES,
        key=known.key,
        key_errors=(0.0, 0.0),
        tested=known.tested,
        errors=(0.0, 0.0),
    )
    assert 0.0 < one_decoy_key(clean, 0.0, SECRECY, CORRECTNESS).phase_error < 0.05


GOOD: dict[str, Any] = {
    "means": MEANS,
    "shares": SHARES,
    "key": (9.0, 5.0),
    "key_errors": (1.0, 1.0),
    "tested": (9.0, 5.0),
    "errors": (1.0, 1.0),
}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"means": (0.1, 0.2)}, "intensities"),
        ({"means": (0.1, 0.0)}, "intensities"),
        ({"means": (math.nan, 0.1)}, "intensities"),
        ({"shares": (1.0, 0.0)}, "shares"),
        ({"shares": (0.5, 0.4)}, "shares"),
        ({"key": (-1.0, 0.0)}, "key"),
        ({"tested": (math.inf, 5.0)}, "tested"),
        ({"key_errors": (0.0, 6.0)}, "key errors"),
        ({"errors": (10.0, 0.0)}, "errors"),
    ],
)
def test_counts_that_cannot_be_are_refused_by_name(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(ParameterError, match=named):
        OneDecoyCounts(**{**GOOD, **changed})
