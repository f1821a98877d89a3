"""Closed forms against sums that go term by term."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwire.link.bell_pairs import Memory
from bellwire.link.repeater import RepeaterConfig, herald
from bellwire.link.repeater_theory import (
    chain_bound,
    delivered,
    mean_slowest,
    mean_time_s,
    pair_key_fraction,
    pair_key_gradient,
    repeaterless_bound,
)


@pytest.mark.parametrize("links", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("success", [0.02, 0.3, 1.0])
def test_the_slowest_of_many_links_takes_as_long_as_the_tail_sum_says(
    links: int, success: float
) -> None:
    tails = (1 - (1 - (1 - success) ** k) ** links for k in range(20_000))
    assert mean_slowest(links, success) == pytest.approx(math.fsum(tails), rel=1e-9)


def test_rare_successes_make_the_slowest_take_harmonically_longer() -> None:
    harmonic = math.fsum(1 / k for k in range(1, 65))
    assert mean_slowest(64, 1e-12) * 1e-12 == pytest.approx(harmonic, rel=1e-9)
    assert mean_slowest(2, 1e-9) * 1e-9 == pytest.approx(1.5)


def enumerated(config: RepeaterConfig) -> tuple[float, float, float]:
    """Time, x and z of two links: both waiting times summed over, one cell at a time."""
    p, tau = herald(config).success, config.attempt_s
    halves, ends = (2, 2) if config.store_ends else (1, 0)
    chances = [p * (1 - p) ** k for k in range(int(40 / p))]
    probability = time = kept = 0.0
    for i, one in enumerate(chances):
        for j, other in enumerate(chances):
            wait, weight = abs(i - j) * tau, one * other
            if wait <= config.cutoff_s * (1 + 1e-9):
                probability += weight
                time += weight * (max(i, j) + 1) * tau
                kept += weight * math.exp(-halves * wait / config.memory_s)
            else:
                time += weight * ((min(i, j) + 1) * tau + config.cutoff_s)
    news = config.travel_s if config.swap_success < 1 or config.store_ends else 0.0
    travelled = math.exp(-2 * halves * config.travel_s / config.memory_s)
    state = kept / probability * travelled * math.exp(-ends * news / config.memory_s)
    gate = 1 - config.gate_error
    law = herald(config)
    x, z = gate * law.x**2 * state, gate * law.z**2
    if config.memory is Memory.DEPOLARISING:
        z *= state
    return (time / probability + news) / config.swap_success, x, z


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    memory=st.sampled_from(list(Memory)),
    memory_attempts=st.floats(1.0, 100.0),
    cutoff_attempts=st.one_of(st.just(math.inf), st.floats(0.5, 20.0)),
    swap_success=st.floats(0.1, 1.0),
    store_ends=st.booleans(),
    efficiency=st.floats(0.6, 1.0),
)
def test_two_links_deliver_what_the_enumeration_of_their_waits_says(
    memory: Memory,
    memory_attempts: float,
    cutoff_attempts: float,
    swap_success: float,
    store_ends: bool,
    efficiency: float,
) -> None:
    attempt = 1e-5 + 1e-6
    config = RepeaterConfig(
        km=4,
        links=2,
        source=1,
        detector=efficiency,
        dark=1e-3,
        memory=memory,
        memory_s=memory_attempts * attempt,
        cutoff_s=cutoff_attempts * attempt,
        swap_success=swap_success,
        store_ends=store_ends,
        gate_error=0.02,
    )
    found = delivered(config)
    assert found is not None
    time, x, z = enumerated(config)
    assert (found.time_s, found.x, found.z) == pytest.approx((time, x, z), rel=1e-6)
    assert found.fidelity == pytest.approx((1 + found.x + found.y + found.z) / 4)


def test_one_link_delivers_once_in_so_many_attempts() -> None:
    config = RepeaterConfig(km=50, memory_s=1e-3, store_ends=True)
    found = delivered(config)
    assert found is not None
    assert found.time_s == pytest.approx(config.attempt_s / herald(config).success)
    assert found.x == pytest.approx(herald(config).x * math.exp(-2 * config.travel_s / 1e-3))
    assert found.z == pytest.approx(herald(config).z)
    assert found.key_rate_bps == pytest.approx(pair_key_fraction(found.x, found.z) / found.time_s)


def test_theory_says_where_it_has_no_closed_form() -> None:
    assert delivered(RepeaterConfig(km=50, links=3)) is None
    assert delivered(RepeaterConfig(km=50, links=2, rounds=1)) is None
    assert delivered(RepeaterConfig(km=20_000, dark=0.0)) is None


def test_the_time_has_a_closed_form_where_the_slowest_link_decides_and_nowhere_else() -> None:
    plain = RepeaterConfig(km=400, links=4)
    slowest = mean_slowest(4, herald(plain).success) * plain.attempt_s
    assert mean_time_s(plain) == pytest.approx(slowest)
    two = RepeaterConfig(km=200, links=2, swap_success=0.5)
    known = delivered(two)
    assert known is not None
    assert mean_time_s(two) == known.time_s
    for changed in (
        {"swap_success": 0.5},
        {"store_ends": True},
        {"rounds": 1},
        {"cutoff_s": 0.1},
        {"km": 20_000.0, "loss_db_per_km": 10.0, "dark": 0.0},
    ):
        assert mean_time_s(replace(plain, **changed)) is None


def test_the_repeaterless_bound_is_the_papers() -> None:
    assert repeaterless_bound(0.5) == pytest.approx(1.0)
    assert repeaterless_bound(1e-12) == pytest.approx(1e-12 / math.log(2))  # 1.44 η
    assert repeaterless_bound(1.0) == math.inf
    assert chain_bound(1e-12, 4) == pytest.approx(repeaterless_bound(1e-3))


def test_pairs_give_key_below_eleven_per_cent_of_errors() -> None:
    assert pair_key_fraction(1.0, 1.0) == 1.0
    assert pair_key_fraction(1 - 2 * 0.1099, 1 - 2 * 0.1099) > 0
    assert pair_key_fraction(1 - 2 * 0.1101, 1 - 2 * 0.1101) == 0
    assert pair_key_fraction(-0.5, 1.0) == 0.0
    assert pair_key_fraction(1.0 + 1e-16, 1.0) == 1.0


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.floats(0.8, 0.999), st.floats(0.8, 0.999))
def test_the_gradient_is_the_slope(x: float, z: float) -> None:
    step = 1e-6
    by_x, by_z = pair_key_gradient(x, z)

    def exact(x: float, z: float) -> float:
        errors = ((1 - x) / 2, (1 - z) / 2)
        return 1 + sum(e * math.log2(e) + (1 - e) * math.log2(1 - e) for e in errors)

    assert by_x == pytest.approx((exact(x + step, z) - exact(x - step, z)) / 2 / step, rel=1e-4)
    assert by_z == pytest.approx((exact(x, z + step) - exact(x, z - step)) / 2 / step, rel=1e-4)
