"""The parts of a chain: what heralds, what waits, what is refused."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import bell_circuits as circuits
from tests.reference.repeater import bell_station

from bellwire.link.errors import ParameterError
from bellwire.link.repeater import (
    LIGHT_KM_PER_S,
    Join,
    Link,
    Order,
    Plan,
    RepeaterConfig,
    herald,
    plan,
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    km=st.floats(0.1, 400.0),
    efficiency=st.floats(0.01, 1.0),
    dark=st.floats(0.0, 0.1),
    fidelity=st.floats(0.25, 1.0),
    modes=st.integers(1, 50),
)
def test_a_herald_follows_the_law_of_photons_and_dark_counts(
    km: float, efficiency: float, dark: float, fidelity: float, modes: int
) -> None:
    config = RepeaterConfig(km=km, detector=efficiency, dark=dark, fidelity=fidelity, modes=modes)
    law, twin = herald(config), bell_station(config)
    assert law.success == pytest.approx(twin.success, rel=1e-9, abs=1e-14)
    assert (law.x, law.y, law.z) == pytest.approx(circuits.correlations(twin.rho), abs=1e-9)


def test_half_of_all_ideal_attempts_herald_a_perfect_pair() -> None:
    law = herald(RepeaterConfig(km=1, loss_db_per_km=0, source=1, detector=1, dark=0, fidelity=1))
    assert law.success == pytest.approx(0.5)
    assert (law.x, law.y, law.z) == pytest.approx((1.0, 1.0, 1.0))


def test_an_attempt_lasts_as_long_as_light_needs_for_the_link() -> None:
    config = RepeaterConfig(km=800, links=4, prepare_s=2e-6, modes=3, rounds=1)
    assert config.attempt_s == pytest.approx(200 / LIGHT_KM_PER_S + 2e-6)
    assert config.modes_per_s == pytest.approx(2 * 3 * 2 / config.attempt_s)


def spans(node: Plan) -> list[int]:
    """Links under each join, from the top."""
    if isinstance(node, Link):
        return []
    return [leaves(node), *spans(node.one), *spans(node.other)]


def leaves(node: Plan) -> int:
    return 1 if isinstance(node, Link) else leaves(node.one) + leaves(node.other)


def test_nested_swapping_halves_and_sequential_swapping_appends() -> None:
    assert spans(plan(RepeaterConfig(km=100, links=8))) == [8, 4, 2, 2, 4, 2, 2]
    assert spans(plan(RepeaterConfig(km=100, links=5))) == [5, 3, 2, 2]
    sequential = plan(RepeaterConfig(km=100, links=4, order=Order.SEQUENTIAL))
    assert spans(sequential) == [4, 3, 2]


def test_ends_that_measure_need_no_memory_and_hear_news_only_if_swaps_may_fail() -> None:
    top = plan(RepeaterConfig(km=400, links=4))
    assert isinstance(top, Join)
    assert (top.waiting, top.news_s, top.halves) == ((1, 1), 0.0, 0)
    heard = plan(RepeaterConfig(km=400, links=4, swap_success=0.5))
    assert isinstance(heard, Join)
    assert heard.news_s == pytest.approx(200 / LIGHT_KM_PER_S)
    stored = plan(RepeaterConfig(km=400, links=4, store_ends=True))
    assert isinstance(stored, Join)
    assert (stored.waiting, stored.halves) == ((2, 2), 2)
    assert stored.news_s > 0


def test_each_round_of_purification_doubles_the_pairs_of_a_link() -> None:
    top = plan(RepeaterConfig(km=100, links=2, rounds=2))
    assert isinstance(top, Join)
    assert leaves(top) == 8
    link = top.one
    assert isinstance(link, Join)
    assert link.purifies
    assert (link.waiting, link.halves) == ((2, 2), 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("km", 0.0),
        ("km", math.nan),
        ("km", 30_000.0),
        ("links", 0),
        ("links", 65),
        ("loss_db_per_km", -0.1),
        ("source", 0.0),
        ("detector", 1.1),
        ("dark", 1.0),
        ("fidelity", 0.2),
        ("prepare_s", -1.0),
        ("modes", 0),
        ("memory_s", 0.0),
        ("memory_s", math.nan),
        ("cutoff_s", -1.0),
        ("swap_success", 0.0),
        ("gate_error", 1.0),
        ("rounds", 5),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ParameterError) as caught:
        RepeaterConfig(**{"km": 100.0, name: value})  # type: ignore[arg-type]
    assert caught.value.parameter in {name, name.removesuffix("_db_per_km")}
