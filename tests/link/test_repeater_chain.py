"""Simulated chains against closed forms, against the distribution, and against the slow twin."""

import math
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import bell_circuits as circuits
from tests.reference.repeater import Chain

from bellwire.link.bell_pairs import Memory
from bellwire.link.errors import ParameterError, TooRare
from bellwire.link.repeater import Order, RepeaterConfig, herald
from bellwire.link.repeater_chain import ChainSample, histories, simulate_chain
from bellwire.link.repeater_theory import delivered, mean_slowest


def seed(number: int) -> bytes:
    return sha256(f"repeater {number}".encode()).digest()


def assert_agree(sample: ChainSample, wanted: tuple[float, float, float, float]) -> None:
    """All four means within 4.5 standard errors; what does not vary, exactly."""
    errors = np.sqrt(sample.covariance.diagonal())
    for mean, error, value in zip(sample.means, errors, wanted, strict=True):
        assert abs(mean - value) < 4.5 * error + 1e-9 * abs(value)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    km=st.floats(1.0, 300.0),
    links=st.integers(1, 2),
    memory=st.sampled_from(list(Memory)),
    waits=st.floats(0.1, 10.0),
    cutoff=st.one_of(st.just(math.inf), st.floats(0.2, 3.0)),
    swap_success=st.floats(0.2, 1.0),
    store_ends=st.booleans(),
    number=st.integers(0, 1000),
)
def test_one_and_two_links_deliver_what_theory_says(
    km: float,
    links: int,
    memory: Memory,
    waits: float,
    cutoff: float,
    swap_success: float,
    store_ends: bool,
    number: int,
) -> None:
    law = herald(RepeaterConfig(km=km, links=links))
    mean_s = km / links / 2e5 / law.success
    config = RepeaterConfig(
        km=km,
        links=links,
        memory=memory,
        memory_s=waits * mean_s,
        cutoff_s=cutoff * mean_s,
        swap_success=swap_success,
        store_ends=store_ends,
        gate_error=0.01,
    )
    theory = delivered(config)
    assert theory is not None
    sample = simulate_chain(config, 8000, seed(number))
    assert_agree(sample, (theory.time_s, theory.x, theory.y, theory.z))
    rate, error = sample.key_rate_bps
    assert abs(rate - theory.key_rate_bps) < 5 * error + 1e-9 or theory.key_rate_bps < 3 * error


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("links", [3, 8])
def test_with_swaps_that_succeed_the_slowest_link_decides(order: Order, links: int) -> None:
    config = RepeaterConfig(km=100 * links, links=links, order=order, memory_s=math.inf)
    sample = simulate_chain(config, 20_000, seed(1))
    law = herald(config)
    time = mean_slowest(links, law.success) * config.attempt_s
    assert_agree(sample, (time, law.x**links, law.y**links, law.z**links))
    assert sample.links == 20_000 * links


def test_the_waiting_time_has_the_distribution_of_the_slowest_link() -> None:
    config = RepeaterConfig(km=12, links=4, modes=1, prepare_s=0.0)
    p, count = herald(config).success, 40_000
    times = histories(config, count, seed(2))[:, 0] / config.attempt_s
    attempts = np.rint(times).astype(int)
    assert np.abs(times - attempts).max() < 1e-9
    edge = 15
    below = [(1 - (1 - p) ** k) ** 4 for k in range(edge)]
    wanted = count * np.diff([*below, 1.0])
    seen = np.bincount(np.minimum(attempts, edge), minlength=edge + 1)[1:]
    assert wanted.min() > 20
    chi = float(((seen - wanted) ** 2 / wanted).sum())
    freedom = edge - 1
    assert chi < freedom + 4 * math.sqrt(2 * freedom)


TWINS = [
    RepeaterConfig(
        km=4, links=4, prepare_s=0, memory_s=4e-5, swap_success=0.7, gate_error=0.02, dark=0.01
    ),
    RepeaterConfig(
        km=3, links=3, prepare_s=0, memory_s=4e-5, order=Order.SEQUENTIAL, cutoff_s=1e-5,
        memory=Memory.DEPOLARISING, store_ends=True,
    ),
    RepeaterConfig(
        km=2, links=2, prepare_s=0, memory_s=1e-4, rounds=1, fidelity=0.9, gate_error=0.01,
        cutoff_s=4e-5,
    ),
]  # fmt: skip


@pytest.mark.parametrize("config", TWINS, ids=["nested", "sequential", "purified"])
def test_a_chain_delivers_what_stepping_every_attempt_delivers(config: RepeaterConfig) -> None:
    twin, rows = Chain(config, 5), []
    for _ in range(200):
        attempts, rho = twin.deliver()
        rows.append((attempts * config.attempt_s, *circuits.correlations(rho)))
    slow = np.array(rows)
    fast = simulate_chain(config, 20_000, seed(3))
    variance = fast.covariance.diagonal() + slow.var(axis=0, ddof=1) / len(slow)
    off = np.abs(slow.mean(axis=0) - fast.means)
    assert (off < 4.5 * np.sqrt(variance) + 1e-9 * np.abs(fast.means)).all()


def test_purification_lifts_the_fidelity_and_costs_rate() -> None:
    plain, once, twice = (
        simulate_chain(
            RepeaterConfig(km=200, links=4, rounds=k, fidelity=0.9, memory_s=math.inf),
            4000,
            seed(4),
        )
        for k in range(3)
    )
    assert plain.fidelity[0] + 0.05 < once.fidelity[0] < twice.fidelity[0] - 0.05
    assert plain.rate_hz[0] > once.rate_hz[0] > twice.rate_hz[0]


def test_a_cutoff_trades_rate_for_fidelity() -> None:
    chain = RepeaterConfig(km=200, links=2, memory_s=0.1)
    cut = RepeaterConfig(km=200, links=2, memory_s=0.1, cutoff_s=0.02)
    patient, strict = (simulate_chain(each, 8000, seed(5)) for each in (chain, cut))
    assert strict.fidelity[0] > patient.fidelity[0] + 0.1
    assert strict.rate_hz[0] < patient.rate_hz[0]


def test_statistics_of_a_sample_are_those_of_its_histories() -> None:
    config = RepeaterConfig(km=200, links=2, memory_s=0.2)
    rows = histories(config, 8192, seed(6))
    sample = simulate_chain(config, 8192, seed(6))
    assert sample.means == pytest.approx(rows.mean(axis=0))
    assert sample.covariance == pytest.approx(np.cov(rows.T) / 8192, rel=1e-6, abs=1e-15)
    fidelity = rows[:, 1:].sum(axis=1) / 4 + 0.25
    assert sample.fidelity == pytest.approx((fidelity.mean(), fidelity.std(ddof=1) / 8192**0.5))
    assert sample.qber_x[0] == pytest.approx((1 - rows[:, 1].mean()) / 2)
    assert sample.qber_z[0] == pytest.approx((1 - rows[:, 3].mean()) / 2)


def test_a_seed_repeats_a_run_and_blocks_are_merged_into_one_sample() -> None:
    config = RepeaterConfig(km=200, links=2)
    told: list[int] = []
    one = simulate_chain(config, 20_001, seed(7), told.append)
    again = simulate_chain(config, 20_001, seed(7))
    other = simulate_chain(config, 20_001, seed(8))
    assert (one.means == again.means).all()
    assert (one.means != other.means).any()
    assert sum(told) == 20_001
    assert len(told) > 1


def test_a_chain_that_never_delivers_is_refused_and_so_is_a_hopeless_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for links in (1, 2):
        with pytest.raises(TooRare, match="no photon ever"):
            simulate_chain(RepeaterConfig(km=20_000, links=links, dark=0.0), 10, seed(9))
    rare = simulate_chain(RepeaterConfig(km=20_000, links=5, dark=0.0), 10, seed(9))
    assert 0 < rare.rate_hz[0] < 1e-70
    monkeypatch.setattr("bellwire.link.repeater_chain.MAX_LINKS_PER_PAIR", 500)
    hopeless = RepeaterConfig(km=1000, links=2, cutoff_s=1e-5)
    with pytest.raises(TooRare, match="heralded links"):
        simulate_chain(hopeless, 2, seed(9))


@pytest.mark.parametrize("pairs", [1, 10**8])
def test_a_number_of_pairs_that_cannot_be_is_refused(pairs: int) -> None:
    with pytest.raises(ParameterError, match="pairs"):
        simulate_chain(RepeaterConfig(km=100), pairs, seed(9))
