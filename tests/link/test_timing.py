"""Shares of photons inside their gate and astray: the Gaussian's, whatever gate and jitter are."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.link.timing import Timing


@given(jitter=st.floats(0.0, 2.0), gate=st.floats(0.01, 1.0))
def test_shares_are_parts_of_one_photon_and_fall_with_distance(jitter: float, gate: float) -> None:
    timing = Timing(1.0, gate, jitter)
    shares = [timing.inside, *timing.astray]
    assert all(0.0 <= share <= 1.0 for share in shares)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] + 2.0 * math.fsum(shares[1:]) <= 1.0 + 1e-12


@given(jitter=st.floats(0.0, 2.0))
def test_gates_without_a_gap_lose_nothing(jitter: float) -> None:
    timing = Timing(1000.0, 1000.0, jitter * 1000.0)
    assert timing.inside + 2.0 * math.fsum(timing.astray) == pytest.approx(1.0, abs=1e-12)


def test_without_jitter_everything_is_inside() -> None:
    for jitter in (0.0, 5e-324, 1e-300):
        timing = Timing(1000.0, 1.0, jitter)
        assert (timing.inside, timing.astray) == (1.0, ())


def test_a_gate_as_wide_as_the_jitter_holds_three_quarters() -> None:
    # erf(√ln 2) of a Gaussian lies within its full width at half maximum.
    assert Timing(1000.0, 50.0, 50.0).inside == pytest.approx(math.erf(math.sqrt(math.log(2.0))))
    assert Timing(1000.0, 50.0, 50.0).inside == pytest.approx(0.7609681085504878)


@pytest.mark.parametrize(("gate", "jitter"), [(1.0, 0.8), (0.4, 1.1), (0.7, 2.0)])
def test_shares_are_those_of_drawn_photons(gate: float, jitter: float) -> None:
    timing, photons = Timing(1.0, gate, jitter), 400_000
    late = np.random.default_rng(1).normal(0.0, jitter / math.sqrt(8 * math.log(2)), photons)
    apart = np.rint(late).astype(int)
    counted = np.abs(late - apart) <= gate / 2
    for m, share in enumerate([timing.inside, *timing.astray]):
        found = int((counted & (apart == m)).sum())
        assert abs(found - photons * share) < 4 * math.sqrt(photons * share) + 3
