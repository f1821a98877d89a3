import math
from dataclasses import replace

import pytest

from bellwire.base.detections import Protocol
from bellwire.base.errors import UsageError
from bellwire.base.limits import MAX_PULSES
from bellwire.link.config import LinkConfig, check_pulses
from bellwire.link.errors import ParameterError


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (name, bad)
        for name, bads in {
            "fibre_km": (-1.0, 1000.1, math.nan, math.inf),
            "loss_db_per_km": (-0.2, 10.1, math.nan, math.inf),
            "insertion_loss_db": (-1e-9, 60.1, math.nan, math.inf),
            "detector_efficiency": (0.0, -0.1, 1.01, math.nan),
            "dark_count_probability": (-1e-9, 1.0, math.nan, math.inf),
            "misalignment": (-0.01, 0.51, math.nan),
        }.items()
        for bad in bads
    ],
)
def test_an_impossible_value_is_refused_by_name_with_the_range(
    parameter: str, value: float
) -> None:
    with pytest.raises(ParameterError, match=f"expected {parameter} .*, got {value}") as raised:
        LinkConfig(**{parameter: value})  # type: ignore[arg-type]
    assert raised.value.parameter == parameter
    assert isinstance(raised.value, UsageError)


@pytest.mark.parametrize("pulses", [0, -1, MAX_PULSES + 1])
def test_a_block_has_1_to_2_to_the_26_pulses(pulses: int) -> None:
    with pytest.raises(ParameterError, match="pulses"):
        check_pulses(pulses)


def test_bb84_photons_cross_the_whole_fibre_and_e91_photons_half_of_it() -> None:
    config = LinkConfig(fibre_km=50.0, insertion_loss_db=2.0)
    assert config.transmittance(Protocol.BB84) == pytest.approx(10**-1.2)
    assert config.transmittance(Protocol.E91) == pytest.approx(10**-0.6)


DARK = LinkConfig(fibre_km=1000.0, loss_db_per_km=10.0)


def test_an_endless_fibre_lets_nothing_through_and_leaves_dark_counts() -> None:
    clicks = replace(DARK, dark_count_probability=1e-9).clicks(Protocol.BB84)
    assert clicks.clean == 0.0
    assert clicks.any == pytest.approx(2e-9)
    assert clicks.fidelity == 0.0
    assert DARK.clicks(Protocol.BB84).fidelity == 0.0


def test_ideal_detectors_always_give_the_photons_own_outcome() -> None:
    clicks = LinkConfig().clicks(Protocol.E91)
    assert (clicks.clean, clicks.any, clicks.fidelity) == (1.0, 1.0, 1.0)
