"""Blind detectors: what Eve leaves of gain, errors and double clicks, and what she knows."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwire.link import weak_theory as theory
from bellwire.link.blinding import answered, blinded_gain, blinded_sifted, fake_states, response
from bellwire.link.config import LinkConfig
from bellwire.link.errors import ParameterError
from bellwire.link.weak import WeakConfig, WeakEve, WeakEveKind, parse_weak_eve
from bellwire.link.weak_law import SHAPE, joint_law

EVE = WeakEve(WeakEveKind.BLINDING)


def config(km: float, rectilinear: float = 0.5, misalignment: float = 0.02) -> WeakConfig:
    link = LinkConfig(
        fibre_km=km,
        detector_efficiency=0.2,
        dark_count_probability=1e-6,
        misalignment=misalignment,
    )
    return WeakConfig(link=link, rectilinear=rectilinear)


@given(
    km=st.floats(0.0, 300.0),
    rectilinear=st.floats(0.05, 0.95),
    misalignment=st.floats(0.0, 0.5),
    width=st.floats(0.0, 1.0),
    share=st.floats(0.0, 1.0),
    mean=st.floats(1e-3, 5.0),
)
@settings(max_examples=80)
def test_closed_forms_are_sums_over_what_may_happen(
    km: float, rectilinear: float, misalignment: float, width: float, share: float, mean: float
) -> None:
    of = config(km, rectilinear, misalignment)
    eve = WeakEve(WeakEveKind.BLINDING, share, width)
    law = joint_law(of, eve).reshape(*SHAPE, 4)
    assert law.min() >= 0.0
    assert law.sum() == pytest.approx(1.0)
    gain, sifted = 0.0, np.zeros(3)
    bases = (rectilinear, 1.0 - rectilinear)
    for a, b, bit in np.ndindex(2, 2, 2):
        weight = bases[a] * bases[b] / 2.0
        cases = list(fake_states(of, eve, mean, bit, a, b))
        assert math.fsum(sum(patterns) for _, patterns in cases) == pytest.approx(1.0)
        for knows, (_, zero, one, both) in cases:
            gain += weight * (zero + one + both)
            if a == b:
                wrong = (one, zero)[bit] + both / 2.0
                clicks = zero + one + both
                sifted += weight / of.sifting * np.array([clicks, wrong, knows * clicks])
    assert gain == pytest.approx(blinded_gain(of, eve, mean), rel=1e-9, abs=1e-15)
    assert tuple(blinded_sifted(of, eve, mean)) == pytest.approx(tuple(sifted), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("km", [20.0, 50.0, 100.0])
def test_gain_and_qber_are_as_without_her_and_every_sifted_bit_is_hers(km: float) -> None:
    of = config(km)
    honest, blinded = theory.expected(of, 0), theory.expected(of, 0, EVE)
    assert blinded.gain == pytest.approx(honest.gain, rel=1e-12)
    # Her QBER is that of pulses with several photons: a little above the single photons' 2 %.
    assert blinded.errors / blinded.gain == pytest.approx(0.0204, abs=2e-4)
    assert theory.known_gain(of, 0, EVE) == pytest.approx(blinded.gain, rel=1e-12)


def test_blind_detectors_make_no_dark_counts_and_no_double_clicks() -> None:
    of = config(50.0)
    law = joint_law(of, EVE).reshape(*SHAPE, 4)
    assert law[..., 3].sum() == 0.0
    assert theory.expected(of, 2, EVE).gain == 0.0
    assert joint_law(of).reshape(*SHAPE, 4)[..., 3].sum() > 1e-6
    assert theory.expected(of, 2).gain == pytest.approx(2e-6, rel=1e-3)


def test_without_loss_she_has_half_of_what_she_detects_and_no_more() -> None:
    of = WeakConfig()
    assert answered(of, EVE) == 1.0
    gain = theory.expected(of, 0, EVE).gain
    assert gain == pytest.approx(theory.expected(of, 0).gain / 2.0, rel=1e-9)
    weak = config(0.0)  # detectors of 20 % leave room even without a fibre
    assert answered(weak, EVE) < 1.0
    assert theory.expected(weak, 0, EVE).gain == pytest.approx(theory.expected(weak, 0).gain)


def test_decoy_states_prove_single_photons_to_whom_eve_has_blinded() -> None:
    of = config(50.0)
    seen = [theory.expected(of, k, EVE) for k in range(3)]
    single = theory.decoy_bounds(*seen)
    assert single.yield_lower > 0.9 * theory.n_photon_yield(of, 1)
    assert theory.key_fraction(of, seen[0], single) > 0.0


def test_scattered_thresholds_cost_her_errors_bits_and_secrecy() -> None:
    of = config(50.0)
    eves = [WeakEve(WeakEveKind.BLINDING, 1.0, width) for width in (0.0, 0.1, 0.2, 0.4)]
    seen = [theory.expected(of, 0, eve) for eve in eves]
    qber = [each.errors / each.gain for each in seen]
    known = [theory.known_gain(of, 0, e) / s.gain for e, s in zip(eves, seen, strict=True)]
    assert qber == sorted(qber)
    assert qber[-1] > 0.11
    assert known == sorted(known, reverse=True)
    assert known[-1] < 0.8
    # In the middle between whole and half pulse: both are as far from the threshold.
    clicks = response(of, eves[-1])
    assert clicks.whole == pytest.approx(1.0 - clicks.half)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"afterpulse probability 0 with an Eve who blinds"):
        joint_law(WeakConfig(afterpulse=0.01), EVE)
    with pytest.raises(ParameterError, match="jitter 0 with an Eve who blinds"):
        joint_law(WeakConfig(jitter_ps=50.0), EVE)
    with pytest.raises(ParameterError, match="threshold width"):
        WeakEve(WeakEveKind.BLINDING, 1.0, -0.1)
    with pytest.raises(ParameterError, match="unless Eve blinds"):
        WeakEve(WeakEveKind.INTERCEPT_RESEND, 1.0, 0.1)
    with pytest.raises(ParameterError, match="unless Eve blinds"):
        parse_weak_eve("none", 0.1)
    assert parse_weak_eve("blinding:0.5", 0.1) == WeakEve(WeakEveKind.BLINDING, 0.5, 0.1)
