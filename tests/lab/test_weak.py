"""Estimates of weak pulses: what the decoys see, and what one intensity does not."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from bellwire import lab
from bellwire.base.errors import UsageError
from bellwire.distill.errors import ParameterError
from bellwire.lab import weak
from bellwire.lab.quantities import Prediction, Quantity
from bellwire.lab.weak import Estimate, WeakExperiment, estimate
from bellwire.link import weak_theory as theory
from bellwire.link.config import LinkConfig
from bellwire.link.errors import ParameterError as LinkParameterError
from bellwire.link.weak import DeadTime, WeakConfig, WeakEve, WeakEveKind

PNS = WeakEve(WeakEveKind.PHOTON_NUMBER_SPLITTING)
PULSES = 400_000_000


def decoys(km: float = 50.0, **words: Any) -> WeakConfig:
    link = LinkConfig(fibre_km=km, detector_efficiency=0.5, dark_count_probability=1e-6)
    return WeakConfig(link=link, **words)


def plain(km: float = 50.0) -> WeakConfig:
    return decoys(km, intensities=(0.5,), shares=(1.0,))


def run(
    config: WeakConfig, eve: WeakEve | None = None, pulses: int = PULSES, **words: Any
) -> Estimate:
    return estimate(WeakExperiment(pulses=pulses, config=config, eve=eve, seed=1, **words))


@pytest.mark.parametrize("km", [10.0, 50.0, 100.0])
def test_an_honest_link_gives_the_gains_and_errors_of_theory_and_key(km: float) -> None:
    result = run(decoys(km, dead_gates=50), pulses=PULSES // 4)
    for each in result.intensities:
        assert each.expected_gain is not None
        assert each.expected_qber is not None
        assert each.qber is not None
        assert abs(each.gain - each.expected_gain) < 4 * each.gain_stderr
        error = math.sqrt(each.expected_qber * (1 - each.expected_qber) / each.sifted)
        assert abs(each.qber - each.expected_qber) < 4 * error
        for name in ("sent", "clicks", "sifted", "errors"):
            assert getattr(each, name) == sum(getattr(basis, name) for basis in each.bases)
    assert sum(each.sent for each in result.intensities) == result.pulses
    assert (result.verdict, result.reason) == ("accept", None)
    true = theory.n_photon_yield(decoys(km), 1)
    assert result.single_photons.yield_lower == pytest.approx(true, rel=0.1)
    assert result.asymptotic_key_per_pulse > 0.0
    assert result.eve_known_bits is None


def test_splitting_is_unseen_by_one_intensity_and_aborts_with_decoys() -> None:
    honest, attacked = run(plain()), run(plain(), PNS)
    assert (honest.verdict, attacked.verdict) == ("accept", "accept")
    one, other = honest.intensities[0], attacked.intensities[0]
    assert abs(one.gain - other.gain) < 4 * math.hypot(one.gain_stderr, other.gain_stderr)
    assert one.qber is not None
    assert other.qber is not None
    spread = math.hypot(one.qber_stderr or 0.0, other.qber_stderr or 0.0)
    assert abs(one.qber - other.qber) < 4 * spread
    # All that Eve does not know are dark counts of pulses without a photon to keep.
    assert attacked.eve_known_bits is not None
    assert attacked.eve_known_bits > 0.999 * attacked.sifted_bits
    # Nothing is proved of such a link, attacked or not.
    assert honest.asymptotic_key_per_pulse == attacked.asymptotic_key_per_pulse == 0.0
    caught = run(decoys(), PNS)
    assert caught.verdict == "abort"
    assert caught.reason is not None
    assert "no single photons" in caught.reason
    assert caught.single_photons.yield_lower == 0.0


def test_intercepted_light_aborts_on_its_errors() -> None:
    result = run(decoys(), WeakEve(WeakEveKind.INTERCEPT_RESEND), pulses=10_000_000)
    assert result.verdict == "abort"
    assert "qber above limit" in (result.reason or "")
    assert result.qber == pytest.approx(0.26, abs=0.01)


def test_decoys_let_go_of_a_key_that_reconciliation_would_eat() -> None:
    result = run(decoys(), WeakEve(WeakEveKind.INTERCEPT_RESEND, 0.3), pulses=100_000_000)
    assert result.verdict == "abort"
    assert "no net key" in (result.reason or "")


def test_beam_splitting_leaves_nothing_to_see_and_decoys_allow_for_it() -> None:
    eve = WeakEve(WeakEveKind.BEAM_SPLITTING)
    result = run(decoys(), eve, pulses=100_000_000)
    assert result.verdict == "accept"
    assert result.eve_known_bits is not None
    known = result.eve_known_bits / result.sifted_bits
    # She takes nothing of a single photon that Bob gets: what decoys prove is what she has not.
    signal = result.intensities[0]
    assert result.single_photons.gain_lower / signal.gain < 1 - known
    assert known == pytest.approx(0.36, abs=0.02)


def test_too_few_pulses_abort_in_words() -> None:
    result = run(plain(300.0), pulses=10)
    assert (result.verdict, result.qber) == ("abort", None)
    assert "got none" in (result.reason or "")
    assert result.intensities[0].gain == 0.0


def test_theory_is_left_out_where_it_does_not_hold() -> None:
    result = run(decoys(10.0, afterpulse=0.05, dead_gates=100), pulses=10_000_000)
    assert result.intensities[0].expected_gain is None
    assert result.intensities[0].expected_qber is None
    assert 0.9 < result.blind_share < 0.95


def test_the_document_has_the_fields_of_every_run_first_and_nulls_where_it_stopped() -> None:
    document = run(decoys(), PNS, pulses=1_000_000).to_dict()
    assert list(document)[:4] == ["protocol", "engine", "seed", "pulses"]
    assert document["eve"] == {"kind": "pns", "share": 1.0}
    for name in ("chsh", "reconciliation", "secret_bits", "secret_rate_bps", "keys_match"):
        assert document[name] is None
    assert [each["name"] for each in document["intensities"]] == ["signal", "decoy", "vacuum"]


def test_a_seed_repeats_a_run_whatever_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    one = run(decoys(10.0, afterpulse=0.02, dead_gates=30), pulses=3_000_001)
    monkeypatch.setattr(weak, "STEPS", 7)
    told: list[int] = []
    config = decoys(10.0, afterpulse=0.02, dead_gates=30)
    other = estimate(WeakExperiment(pulses=3_000_001, config=config, seed=1), told.append)
    assert one.intensities == other.intensities
    assert sum(told) == 3_000_001
    assert len(told) == 7


def test_entropy_comes_from_the_system_without_a_seed() -> None:
    runs = [estimate(WeakExperiment(pulses=1_000_000, config=decoys(0.0))) for _ in range(2)]
    assert runs[0].intensities != runs[1].intensities


def test_bad_values_are_refused() -> None:
    with pytest.raises(ParameterError, match="seed"):
        WeakExperiment(pulses=1, seed=-1)
    with pytest.raises(ParameterError, match="red_qber"):
        WeakExperiment(pulses=1, red_qber=math.nan)
    with pytest.raises(LinkParameterError, match="pulses"):
        WeakExperiment(pulses=0)


def test_the_bound_and_the_key_scatter_as_their_standard_errors_say() -> None:
    config = decoys(25.0)
    runs = [
        estimate(WeakExperiment(pulses=4_000_000, config=config, seed=seed)) for seed in range(60)
    ]
    exact = weak.predict(WeakExperiment(pulses=1, config=config))
    for quantity in (Quantity.SINGLE_PHOTON_YIELD, Quantity.KEY, Quantity.GAIN_DECOY):
        expected = getattr(exact, quantity)
        pulls = []
        for each in runs:
            value, error = each.measured()[quantity]
            assert value is not None
            assert error is not None
            pulls.append((value - expected) / error)
        # 60 pulls: mean within 4/√60, sum of squares between chi-square's 1e-4 quantiles.
        assert abs(sum(pulls)) / len(pulls) < 0.52
        assert 26.0 < sum(pull * pull for pull in pulls) < 111.0


def test_nothing_proved_has_no_standard_error() -> None:
    result = run(decoys(), PNS, pulses=10_000_000)
    assert result.single_photon_yield_stderr is None
    assert result.asymptotic_key_stderr is None


def test_there_is_no_theory_where_forms_do_not_hold() -> None:
    late = decoys(10.0, dead_gates=20, dead_time=DeadTime.PER_DETECTOR)
    assert weak.predict(WeakExperiment(pulses=1, config=late)) == Prediction(qber=None, key=None)
    assert run(late, pulses=10_000).intensities[0].expected_gain is None


def test_an_estimate_is_plain_values_for_json_and_pandas_and_a_figure(tmp_path: Path) -> None:
    result = lab.run("decoy-bb84", km=50, pulses=1e7, until="estimate", eve="pns", seed=1)
    assert json.loads(result.to_json())["single_photons"]["yield_lower"] == 0.0
    frame = result.to_pandas()
    assert frame["name"].tolist() == ["signal", "decoy", "vacuum"]
    assert frame["gain"].tolist() == [each.gain for each in result.intensities]
    axes = Figure().add_subplot()
    assert result.plot(axes) is axes
    drawn = next(each for each in axes.containers if isinstance(each, ErrorbarContainer))
    line = drawn.lines[0]
    assert line is not None
    assert np.asarray(line.get_xydata()).tolist() == [[e.mean, e.gain] for e in result.intensities]
    assert drawn.get_label() == "measured, rejected"
    alone = lab.run("wcp-bb84", pulses=1000, until="estimate", seed=1).plot()
    figure = alone.get_figure(root=True)
    assert figure is not None
    figure.savefig(tmp_path / "one.png")


def test_words_in_python_are_those_of_the_command_line() -> None:
    one, other = (
        lab.run("decoy-bb84", pulses=1e5, until="estimate", seed=1, intensities=means)
        for means in ((0.6, 0.2, 0), "0.6,0.2,0.0")
    )
    assert one.intensities == other.intensities
    for wrong in ("", [0.5, "x"], [True], {"signal": 1}, None):
        with pytest.raises(UsageError, match="intensities as numbers with commas"):
            lab.configuration("x", {"protocol": "decoy-bb84", "intensities": wrong})
