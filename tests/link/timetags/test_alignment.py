"""Offset and drift are found to a fraction of the jitter, and never where there are none."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bellwire.link.errors import ClocksNotAligned
from bellwire.link.timetags.alignment import (
    Clock,
    Search,
    accidentals,
    align,
    followed,
    log_tail,
)

PS = 10**12
REACH = PS // 5
JITTER = 150.0
SLOW = settings(
    deadline=None,
    max_examples=15,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


def clocks(
    offset_ps: int, drift: float, seed: int, pairs: int = 4_000, alone: int = 12_000
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """0.4 s of two sites' event times; true time is Bob's, Alice's clock shows offset and drift."""
    rng = np.random.default_rng(seed)
    true = rng.uniform(PS, 1.4 * PS, pairs)
    both = [
        np.concatenate([true + rng.normal(0, JITTER, pairs), rng.uniform(PS, 1.4 * PS, alone)])
        for _ in range(2)
    ]
    alice = both[0] + offset_ps + drift * (both[0] - PS)
    return np.sort(np.rint(alice)).astype(np.int64), np.sort(np.rint(both[1])).astype(np.int64)


@SLOW
@given(
    offset=st.integers(-REACH, REACH),
    drift=st.floats(-50e-6, 50e-6),
    seed=st.integers(0, 1_000),
)
def test_offset_and_drift_are_found_to_a_fraction_of_the_jitter(
    offset: int, drift: float, seed: int
) -> None:
    alice, bob = clocks(offset, drift, seed)
    found = align(alice, bob, Search(0, REACH, 50e-6, 1_000))
    here, n = found.clock, found.coincidences
    # A line fitted through n differences: each deviates by the jitter of both sides.
    error = JITTER * math.sqrt(2.0 / n)
    assert abs(here.offset_ps - (offset + drift * (here.origin_ps - PS))) < 5 * error + 1
    length = 2 * (here.origin_ps - found.first_ps)
    assert abs(here.drift - drift) * length < 5 * math.sqrt(12) * error + 1
    inside = 4_000 * 0.98 * length / (0.4 * PS)
    assert abs(n - inside) < 6 * math.sqrt(inside)
    assert found.log10_false_alarm < -500


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_recordings_of_different_light_are_not_aligned(seed: int) -> None:
    alice, _ = clocks(0, 0.0, seed)
    _, bob = clocks(0, 0.0, seed + 5_000)
    with pytest.raises(ClocksNotAligned, match=r"of Bob's from 1\.\d+ s to 1\.\d+ s") as caught:
        align(alice, bob, Search(0, REACH, 50e-6, 1_000))
    assert "offsets of +0.000 s ± 0.200 s, drifts up to 50 ppm" in caught.value.examined


def test_an_offset_outside_the_search_is_not_found_and_a_hint_of_it_helps() -> None:
    alice, bob = clocks(3 * PS, 0.0, 1)
    with pytest.raises(ClocksNotAligned):
        align(alice, bob, Search(0, REACH, 50e-6, 1_000))
    found = align(alice, bob, Search(3 * PS - REACH // 2, REACH, 50e-6, 1_000))
    assert abs(found.clock.moved(PS).offset_ps - 3 * PS) < 40


def test_few_pairs_among_much_noise_are_found() -> None:
    alice, bob = clocks(123_456_789, 20e-6, 2, pairs=900, alone=30_000)
    found = align(alice, bob, Search(0, REACH, 50e-6, 1_000))
    assert abs(found.clock.moved(PS).offset_ps - 123_456_789) < 80


def test_nothing_to_compare_is_an_error_and_no_crash() -> None:
    nothing = np.zeros(0, np.int64)
    some = np.arange(3, dtype=np.int64) * PS
    for alice, bob in ((nothing, some), (some, nothing), (nothing, nothing)):
        with pytest.raises(ClocksNotAligned, match="nothing to compare"):
            align(alice, bob, Search(0, REACH, 50e-6, 1_000))
    with pytest.raises(ClocksNotAligned):
        align(some, some[:1], Search(0, REACH, 50e-6, 1_000))


@given(mean=st.floats(0.01, 500.0), excess=st.floats(0.0, 10.0))
def test_the_bound_of_the_tail_holds(mean: float, excess: float) -> None:
    count = math.ceil(mean + excess * math.sqrt(mean))
    # P(X ≥ count), summed term by term.
    terms = [k * math.log(mean) - mean - math.lgamma(k + 1) for k in range(count, count + 2_000)]
    exact = math.fsum(math.exp(term) for term in terms)
    assert exact <= math.exp(log_tail(count, mean)) * (1 + 1e-9)


def test_chance_is_counted_beside_the_window() -> None:
    rng = np.random.default_rng(4)
    rates = 200_000, 300_000
    alice, bob = (np.sort(rng.integers(0, PS, n)) for n in rates)
    expected = rates[0] * rates[1] * 1_000 / PS
    assert abs(accidentals(alice, bob, 1_000) - expected) < 4.5 * math.sqrt(expected / 8)


def test_a_clock_that_wanders_is_followed() -> None:
    rng = np.random.default_rng(6)
    bob = np.sort(rng.integers(0, 20 * PS, 400_000))
    # The pace changes by 10⁻⁹ a second: 100 ns of offset in 20 s.
    wander = 0.5e-9 * (bob / PS) ** 2 * PS
    alice = bob + np.rint(wander + rng.normal(0, 200, bob.size)).astype(np.int64)
    clock = Clock(0, 0.0, 0.0)
    for start in range(0, bob.size, 4_096):
        piece = slice(start, start + 4_096)
        clock = followed(alice[piece], bob[piece], clock, 1_000)
        true = 0.5e-9 * (clock.origin_ps / PS) ** 2 * PS
        assert abs(clock.offset_ps - true) < 80


def test_a_stretch_without_light_leaves_the_clock_alone() -> None:
    bob = np.arange(100, dtype=np.int64) * 10**9
    clock = Clock(5, 100.0, 1e-6)
    assert followed(np.zeros(0, np.int64), bob, clock, 1_000) == clock.moved(99 * 10**9 // 2)


def test_a_clock_is_exact_over_hours() -> None:
    clock = Clock(0, 3.7e15 + 0.25, 1e-5)
    assert clock(np.array([10**16], np.int64)).tolist() == [10**16 + 37 * 10**14 + 10**11]
