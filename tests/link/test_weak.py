"""Weak pulses: what is refused by name, and who Eve is."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.base.detections import Protocol
from bellwire.link import weak_theory
from bellwire.link.config import LinkConfig
from bellwire.link.errors import ParameterError
from bellwire.link.weak import (
    MAX_PULSES,
    Undistilled,
    WeakConfig,
    WeakEve,
    WeakEveKind,
    check_pulses,
    parse_weak_eve,
    several_photons,
    splitting,
)

NAN = math.nan


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ({"intensities": ()}, "intensities one or three"),
        ({"intensities": (0.5, 0.1)}, "intensities one or three"),
        ({"intensities": (0.0,), "shares": (1.0,)}, "signal intensity in"),
        ({"intensities": (5.1,), "shares": (1.0,)}, "signal intensity in"),
        ({"intensities": (NAN, 0.1, 0.0)}, "signal intensity in"),
        ({"intensities": (0.5, NAN, 0.0)}, "decoy intensity above"),
        ({"intensities": (0.5, 0.1, NAN)}, "vacuum decoy's intensity from 0"),
        ({"intensities": (0.5, 0.1, -0.1)}, "vacuum decoy's intensity from 0"),
        ({"intensities": (0.5, 0.1, 0.1)}, "decoy intensity above"),
        ({"intensities": (0.5, 0.4, 0.1)}, "signal intensity above 0.5, the decoys' sum"),
        ({"intensities": (0.5, 0.6, 0.0)}, "signal intensity above"),
        ({"shares": (0.5, 0.5)}, "shares 3, one for each intensity"),
        ({"shares": (0.5, 0.3, 0.1)}, "shares of the intensities adding up to 1"),
        ({"shares": (1.0, 0.0, 0.0)}, "share of an intensity"),
        ({"shares": (0.9, 0.2, -0.1)}, "share of an intensity"),
        ({"shares": (0.9, NAN, 0.1)}, "share of an intensity"),
        ({"rectilinear": 0.0}, "rectilinear share in"),
        ({"rectilinear": NAN}, "rectilinear share in"),
        ({"dead_gates": -1}, "dead gates from 0"),
        ({"dead_gates": 10**9 + 1}, "dead gates from 0"),
        ({"afterpulse": 1.0}, "afterpulse probability in"),
        ({"jitter_ps": -1.0}, "jitter in"),
        ({"jitter_ps": 2001.0}, "two periods"),
        ({"jitter_ps": NAN}, "jitter in"),
        ({"gate_ps": 0.0}, "gate in"),
        ({"gate_ps": 1001.0}, "a period"),
        ({"gate_ps": 600.0, "pulse_rate_hz": 2e9}, "a period"),
        ({"gate_ps": NAN}, "gate in"),
        ({"afterpulse": NAN}, "afterpulse probability in"),
        ({"afterpulse_gates": 0.0}, "afterpulse decay in"),
        ({"afterpulse_gates": math.inf}, "afterpulse decay in"),
        ({"pulse_rate_hz": 0.0}, "pulse rate in"),
        ({"pulse_rate_hz": NAN}, "pulse rate in"),
    ],
)
def test_an_impossible_value_is_refused_by_name_with_its_range(
    words: dict[str, Any], name: str
) -> None:
    with pytest.raises(ParameterError, match=name):
        WeakConfig(**words)


@pytest.mark.parametrize("share", [-0.1, 1.1, NAN])
def test_a_share_of_eve_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(ParameterError, match="Eve's share"):
        WeakEve(WeakEveKind.BEAM_SPLITTING, share)


@pytest.mark.parametrize("pulses", [0, -1, MAX_PULSES + 1])
def test_a_run_that_cannot_be_is_refused(pulses: int) -> None:
    with pytest.raises(ParameterError, match="pulses"):
        check_pulses(pulses)


def test_eve_is_read_from_words() -> None:
    assert parse_weak_eve("none") is None
    assert parse_weak_eve("pns") == WeakEve(WeakEveKind.PHOTON_NUMBER_SPLITTING)
    assert parse_weak_eve(" beam-splitting:0.25 ") == WeakEve(WeakEveKind.BEAM_SPLITTING, 0.25)


@pytest.mark.parametrize("text", ["", "ghz", "pns:", "pns:x", "pns:nan", "pns:2", "none:1"])
def test_words_that_are_no_eve_are_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="Eve"):
        parse_weak_eve(text)


def test_the_number_of_intensities_names_the_protocol() -> None:
    assert WeakConfig().protocol is Protocol.DECOY
    assert WeakConfig(intensities=(0.5,), shares=(1.0,)).protocol is Undistilled.WCP


@given(
    mu=st.floats(0.01, 2.0),
    km=st.floats(0.0, 200.0),
    efficiency=st.floats(0.05, 1.0),
    dark=st.floats(0.0, 1e-3),
)
def test_splitting_reproduces_the_gain_wherever_she_holds_photons_enough(
    mu: float, km: float, efficiency: float, dark: float
) -> None:
    link = LinkConfig(fibre_km=km, detector_efficiency=efficiency, dark_count_probability=dark)
    config = WeakConfig(intensities=(mu,), shares=(1.0,), link=link)
    rates = splitting(config)
    honest = weak_theory.expected(config, 0).gain
    attacked = weak_theory.expected(config, 0, WeakEve(WeakEveKind.PHOTON_NUMBER_SPLITTING)).gain
    if rates.single < 1.0:
        assert attacked == pytest.approx(honest, rel=1e-9)
    else:
        assert attacked <= honest * (1 + 1e-12)
    # Single photons pass only when several do not suffice.
    assert rates.single == 0.0 or rates.multiple == 1.0


def test_several_photons_are_what_zero_and_one_leave() -> None:
    assert several_photons(0.5) == pytest.approx(0.0902, abs=1e-4)
    assert several_photons(1e-6) == pytest.approx(5e-13, rel=1e-3)
