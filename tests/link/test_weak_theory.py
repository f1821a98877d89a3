"""Closed forms of weak pulses against the streamed light, and decoy bounds against any channel."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.link.test_weak_counts import SEED, run

from bellwire.link import weak_theory as theory
from bellwire.link.config import LinkConfig
from bellwire.link.weak import DeadTime, WeakConfig, WeakEve, WeakEveKind
from bellwire.link.weak_counts import WeakStream
from bellwire.link.weak_law import SHAPE, joint_law
from bellwire.link.weak_theory import Observed

EVES = [
    None,
    *(WeakEve(kind, share) for kind in WeakEveKind for share in (0.4, 1.0)),
    WeakEve(WeakEveKind.BLINDING, 0.7, threshold_width=0.25),
]
UNBLINDING = [eve for eve in EVES if eve is None or eve.kind is not WeakEveKind.BLINDING]
SINGLE = {"intensities": (0.5,), "shares": (1.0,)}


def link(km: float) -> LinkConfig:
    return LinkConfig(fibre_km=km, detector_efficiency=0.2, dark_count_probability=1e-5)


@pytest.mark.parametrize("eve", EVES, ids=str)
@pytest.mark.parametrize("km", [0.0, 25.0, 80.0])
def test_gains_errors_and_what_eve_knows_follow_theory(eve: WeakEve | None, km: float) -> None:
    config = WeakConfig(link=link(km), dead_gates=20)
    counts = run(config, eve, 200_000_000)
    for k in range(3):
        want = theory.expected(config, k, eve)
        live = int(counts.live[:, k].sum())
        clicks = counts.clicks[:, k]
        assert_near(int(clicks.sum()), live, want.gain)
        if not want.gain:  # empty pulses at blind detectors
            assert not clicks.sum()
            continue
        # Alike bases; an error is an outcome that is not the bit.
        alike = clicks[:, [0, 1], [0, 1]].sum(axis=(0, 1))
        assert_near(int(alike[0, 1] + alike[1, 0]), int(alike.sum()), want.errors / want.gain)
        if eve is not None:
            known = theory.known_gain(config, k, eve) / want.gain
            assert_near(alike_known(clicks), int(alike.sum()), known)


configs = st.builds(
    WeakConfig,
    link=st.builds(
        LinkConfig,
        fibre_km=st.floats(0.0, 100.0),
        detector_efficiency=st.floats(0.1, 1.0),
        dark_count_probability=st.floats(1e-7, 1e-2),
        misalignment=st.floats(0.0, 0.5),
    ),
    intensities=st.sampled_from([(0.5, 0.1, 0.0), (1.2, 0.4, 0.05)]),
    rectilinear=st.floats(0.1, 0.9),
    jitter_ps=st.one_of(st.just(0.0), st.floats(1.0, 2000.0)),
    gate_ps=st.one_of(st.none(), st.floats(10.0, 1000.0)),
)


@given(config=configs, eve=st.sampled_from(UNBLINDING))
@settings(max_examples=60, deadline=None)
def test_the_joint_law_has_these_forms_for_any_timing(
    config: WeakConfig, eve: WeakEve | None
) -> None:
    law = joint_law(config, eve).reshape(*SHAPE, 4)
    assert law.sum() == pytest.approx(1.0, abs=1e-12)
    for k, share in enumerate(config.shares):
        want = theory.expected(config, k, eve)
        clicks = law[:, k, ..., 1:]
        assert clicks.sum() == pytest.approx(share * want.gain, rel=1e-6)
        alike = np.stack([law[:, k, basis, basis] for basis in range(2)])
        wrong = alike[..., 0, 2] + alike[..., 1, 1] + (alike[..., 3] / 2).sum(axis=-1)
        errors = share * config.sifting * want.errors
        assert wrong.sum() == pytest.approx(errors, rel=1e-6, abs=1e-13)
        if eve is not None:
            known = theory.known_gain(config, k, eve)
            assert clicks[1].sum() == pytest.approx(share * known, rel=1e-6, abs=1e-13)


def test_a_wide_gate_turns_jitter_into_errors_and_a_narrow_one_into_loss() -> None:
    sharp, wide, narrow = (
        WeakConfig(link=link(10.0), jitter_ps=jitter, gate_ps=gate)
        for jitter, gate in ((0.0, None), (900.0, None), (900.0, 200.0))
    )
    still, blurred, cut = (theory.expected(each, 0) for each in (sharp, wide, narrow))
    errors = [each.errors / each.gain for each in (still, blurred, cut)]
    assert errors[1] > errors[2] > errors[0]
    assert cut.gain < 0.5 * still.gain
    # What strays out strays in: the mean gain is nearly what it was, the signal's falls.
    assert 0.85 * still.gain < blurred.gain < still.gain
    # Decoys prove less, but never more than there is.
    for config in (wide, narrow):
        proved = theory.decoy_bounds(*(theory.expected(config, k) for k in range(3)))
        assert 0.0 < proved.yield_lower <= theory.n_photon_yield(config, 1) + 1e-12
        true = theory.n_photon_errors(config, 1) / theory.n_photon_yield(config, 1)
        assert proved.error_upper >= true - 1e-12


def alike_known(clicks: NDArray[np.int64]) -> int:
    """Clicks in like bases of which Eve knows the bit."""
    return int(clicks[1, [0, 1], [0, 1]].sum())


def assert_near(count: int, of: int, probability: float) -> None:
    error = math.sqrt(of * probability * (1.0 - probability))
    assert abs(count - of * probability) <= 4.0 * error + 1.0


@pytest.mark.parametrize("km", [0.0, 30.0, 100.0])
def test_the_common_dead_time_divides_the_rate(km: float) -> None:
    config = WeakConfig(link=link(km), dead_gates=200)
    counts = run(config, None, 100_000_000)
    rate = theory.click_rate(config)
    # A dead time evens clicks out: their number scatters less than a Poissonian one's.
    assert abs(counts.clicks.sum() - rate * 1e8) <= 4.0 * math.sqrt(rate * 1e8)
    assert abs(counts.blind.sum() / 1e8 - rate * 200) <= 4.0 * 200 * math.sqrt(rate / 1e8) + 1e-6


def test_no_closed_form_is_claimed_for_afterpulses_or_one_blind_detector() -> None:
    for config in (
        WeakConfig(afterpulse=0.01),
        WeakConfig(dead_gates=1, dead_time=DeadTime.PER_DETECTOR),
    ):
        with pytest.raises(ValueError, match="common dead time"):
            theory.click_rate(config)


@given(
    yields=st.lists(st.floats(0.0, 1.0), min_size=3, max_size=20),
    share=st.floats(0.0, 1.0),
    mu=st.floats(0.2, 1.5),
    nu=st.floats(0.05, 0.6),
    omega=st.floats(0.0, 0.4),
)
@settings(max_examples=300)
def test_decoy_bounds_hold_for_every_channel_of_photon_numbers(
    yields: list[float], share: float, mu: float, nu: float, omega: float
) -> None:
    nu, omega = mu * nu, mu * nu * omega  # so that ν + ω < μ
    rates = [share * (1 if n == 1 else 0.5) for n in range(len(yields))]

    def seen(mean: float) -> Observed:
        weights = [math.exp(-mean) * mean**n / math.factorial(n) for n in range(len(yields))]
        gain = math.fsum(w * y for w, y in zip(weights, yields, strict=True))
        errors = zip(weights, yields, rates, strict=True)
        return Observed(mean, gain, math.fsum(w * y * e for w, y, e in errors))

    single = theory.decoy_bounds(seen(mu), seen(nu), seen(omega))
    slack = 1e-9 / (nu - omega)
    assert single.background <= yields[0] + slack
    assert single.yield_lower <= yields[1] + slack
    if single.yield_lower > 1e-3:
        assert single.error_upper >= min(0.5, rates[1]) - slack
    assert single.gain_lower <= mu * math.exp(-mu) * yields[1] + slack


def test_decoys_prove_nearly_all_single_photons_of_an_honest_link() -> None:
    config = WeakConfig(link=link(50.0))
    single = theory.decoy_bounds(*(theory.expected(config, k) for k in range(3)))
    true = theory.n_photon_yield(config, 1)
    assert 0.9 * true < single.yield_lower <= true
    error = theory.n_photon_errors(config, 1) / true
    assert error <= single.error_upper < 1.15 * error
    assert single.background == pytest.approx(theory.n_photon_yield(config, 0), rel=1e-6)
    signal = theory.expected(config, 0)
    key = theory.key_fraction(config, signal, single)
    assert 0.0 < key < config.shares[0] * config.sifting * signal.gain


def test_photon_number_splitting_is_unseen_without_decoys_and_leaves_nothing_with_them() -> None:
    eve = WeakEve(WeakEveKind.PHOTON_NUMBER_SPLITTING)
    plain = WeakConfig(**SINGLE, link=link(50.0))  # type: ignore[arg-type]  # words of one type
    honest, attacked = (theory.expected(plain, 0, who) for who in (None, eve))
    assert attacked.gain == pytest.approx(honest.gain, rel=1e-12)
    assert attacked.errors == pytest.approx(honest.errors, rel=2e-4)
    decoys = WeakConfig(link=link(50.0))
    seen = [theory.expected(decoys, k, eve) for k in range(3)]
    assert theory.decoy_bounds(*seen).yield_lower == 0.0
    assert theory.key_fraction(decoys, seen[0], theory.decoy_bounds(*seen)) < 0.0
    # Without decoys nothing is proved at this distance, with Eve or without.
    assert theory.worst_case(honest).gain_lower == 0.0
    near = WeakConfig(intensities=(0.01,), shares=(1.0,), link=link(0.0))
    signal = theory.expected(near, 0)
    assert theory.key_fraction(near, signal, theory.worst_case(signal)) > 0.0


def test_yields_add_up_to_the_gain_of_poissonian_light() -> None:
    config = WeakConfig(link=link(10.0))
    for k, mean in enumerate(config.intensities):
        weights = [math.exp(-mean) * mean**n / math.factorial(n) for n in range(40)]
        gain = math.fsum(w * theory.n_photon_yield(config, n) for n, w in enumerate(weights))
        errors = math.fsum(w * theory.n_photon_errors(config, n) for n, w in enumerate(weights))
        assert gain == pytest.approx(theory.expected(config, k).gain, rel=1e-9)
        assert errors == pytest.approx(theory.expected(config, k).errors, rel=1e-9)


def test_a_link_without_clicks_has_no_key() -> None:
    config = WeakConfig()
    nothing = Observed(0.5, 0.0, 0.0)
    assert theory.key_fraction(config, nothing, theory.worst_case(nothing)) == 0.0
    stream = WeakStream(config, None, SEED)
    assert stream.advance(stream.start(), 10).pulses == 10
