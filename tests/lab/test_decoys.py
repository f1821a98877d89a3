"""Decoy states in the lab to the key: what came of it, what theory expects, and rows of a sweep."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bellwire import lab
from bellwire.base.errors import UsageError
from bellwire.distill.errors import ParameterError
from bellwire.lab import decoys
from bellwire.lab.decoys import DecoyExperiment
from bellwire.link.config import LinkConfig
from bellwire.link.weak import DeadTime, WeakConfig, WeakEve, WeakEveKind

GOOD: dict[str, Any] = {
    "intensities": (0.5, 0.2, 0),
    "intensity_shares": (0.3, 0.4, 0.3),
    "rectilinear": 0.7,
}
LIGHT = WeakConfig(intensities=(0.5, 0.2, 0.0), shares=(0.3, 0.4, 0.3), rectilinear=0.7)
BRIGHT = replace(LIGHT, intensities=(2.0, 0.5, 0.0))


def test_a_run_without_an_end_gives_a_key_and_repeats_under_its_seed() -> None:
    one, other = (lab.run("decoy-bb84", pulses=1e6, seed=3, **GOOD) for _ in range(2))
    assert replace(one, wall_s=0.0) == replace(other, wall_s=0.0)
    assert one.verdict == "accept"
    assert one.keys_match
    assert one.secret_bits > 10_000
    assert one.single_photon_bits is not None
    assert one.reconciliation is not None
    leaked = one.reconciliation["leaked_bits"]
    assert leaked is not None
    assert one.secret_bits < one.single_photon_bits - leaked
    assert one.secret_rate_bps == pytest.approx(one.secret_bits * 1e3)
    assert one.to_dict()["intensities"][0]["mean"] == 0.5
    assert lab.run("decoy-bb84", pulses=1e6, seed=4, **GOOD).detections != one.detections
    explicit = lab.run("decoy-bb84", pulses=1e6, seed=3, until="key", **GOOD)
    assert isinstance(explicit, lab.DecoyResult)
    assert explicit.secret_bits == one.secret_bits


def test_gains_and_errors_are_those_of_theory_and_the_key_stays_below_it() -> None:
    link = LinkConfig(fibre_km=5.0, detector_efficiency=0.8, dark_count_probability=1e-5)
    what = DecoyExperiment(pulses=6_000_000, config=replace(LIGHT, link=link, dead_gates=2), seed=5)
    result, expected = decoys.run(what), decoys.predict(what)
    assert expected.qber is not None
    assert expected.key is not None
    assert result.qber is not None
    assert result.qber_stderr is not None
    assert abs(result.qber - expected.qber) < 4 * result.qber_stderr
    assert 0.3 * expected.key < result.secret_bits / result.pulses < expected.key


def test_the_predicted_key_is_what_long_blocks_approach() -> None:
    """By the finite bound at counts as expected, with 10¹⁴ pulses and Shannon's limit."""
    from bellwire.base.bits import binary_entropy
    from bellwire.distill.theorems.lim_2014 import DecoyCounts, decoy_bounds
    from bellwire.link.weak_theory import expected

    link = LinkConfig(fibre_km=25.0, detector_efficiency=0.2, dark_count_probability=1e-6)
    config, n = replace(LIGHT, link=link), 1e16
    means, shares = (0.5, 0.2, 0.0), (0.3, 0.4, 0.3)
    seen = [expected(config, k) for k in range(3)]
    key, tested, errors = (
        tuple(n * q * share * value for share, value in zip(shares, values, strict=True))
        for q, values in (
            (0.49, [each.gain for each in seen]),
            (0.09, [each.gain for each in seen]),
            (0.09, [each.errors for each in seen]),
        )
    )
    counts = DecoyCounts(
        means=means,
        shares=shares,
        key=(key[0], key[1], key[2]),
        tested=(tested[0], tested[1], tested[2]),
        errors=(errors[0], errors[1], errors[2]),
    )
    qber = sum(errors) / sum(tested)
    finite = decoy_bounds(counts, 1e-10).single_entropy - sum(key) * binary_entropy(qber)
    predicted = decoys.predict(DecoyExperiment(pulses=10**6, config=config)).key
    assert predicted == pytest.approx(finite / n, rel=1e-3)


@pytest.mark.parametrize(
    ("eve", "reason"),
    [
        (WeakEve(WeakEveKind.PHOTON_NUMBER_SPLITTING), "no single photons"),
        (WeakEve(WeakEveKind.INTERCEPT_RESEND), "QBER"),
        (WeakEve(WeakEveKind.INTERCEPT_RESEND, 0.3), "leaves 0 bits"),
    ],
)
def test_an_eve_who_learns_something_leaves_no_key(eve: WeakEve, reason: str) -> None:
    config = replace(LIGHT, link=LinkConfig(fibre_km=40.0))
    result = decoys.run(DecoyExperiment(pulses=4_000_000, config=config, eve=eve, seed=1))
    assert result.verdict == "abort"
    assert result.secret_bits == 0
    assert result.keys_match is None
    assert reason in (result.reason or "")
    assert result.eve == {"kind": eve.kind.value, "share": eve.share}


def test_an_eve_who_splits_beams_takes_nothing_that_is_in_the_key() -> None:
    config = replace(LIGHT, link=LinkConfig(fibre_km=5.0))
    quiet, split = (
        decoys.run(DecoyExperiment(pulses=2_000_000, config=config, eve=eve, seed=2))
        for eve in (None, WeakEve(WeakEveKind.BEAM_SPLITTING))
    )
    assert (split.verdict, split.secret_bits) == ("accept", quiet.secret_bits)


def test_theory_is_left_out_where_it_does_not_hold() -> None:
    config = replace(LIGHT, afterpulse=0.01)
    prediction = decoys.predict(DecoyExperiment(pulses=1_000, config=config))
    assert (prediction.qber, prediction.key) == (None, None)
    far = replace(LIGHT, link=LinkConfig(fibre_km=1000.0))
    assert decoys.predict(DecoyExperiment(pulses=1_000, config=far)).key == 0.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pulses": 0}, "pulses"),
        ({"pulses": 2**27 + 1}, "pulses"),
        ({"pulses": 2**26, "config": BRIGHT}, "at most 16777216 detections"),
        ({"seed": -1}, "seed"),
        ({"epsilon": 1.0}, "epsilon"),
        ({"red_qber": 0.0}, "red_qber"),
        ({"config": WeakConfig(intensities=(0.5,), shares=(1.0,))}, "intensities: expected three"),
        ({"config": replace(LIGHT, dead_time=DeadTime.PER_DETECTOR, dead_gates=3)}, "dead_time"),
    ],
)
def test_what_cannot_be_distilled_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        DecoyExperiment(**{"pulses": 1_000, "config": LIGHT, **changes})


def test_a_sweep_to_the_key_has_secret_bits_in_its_rows(tmp_path: Path) -> None:
    words = {**GOOD, "until": "key", "pulses": 1_500_000, "efficiency": 0.9}
    result = lab.sweep("decoy-bb84", "km=0:10:3", seed=1, out=tmp_path, **words)
    assert not result.estimated
    assert [row.km for row in result.rows] == [0.0, 5.0, 10.0]
    bits = [row.secret_bits for row in result.rows if isinstance(row, lab.DecoyRow)]
    assert len(bits) == 3
    assert bits == sorted(bits, reverse=True)
    assert bits[0] > 10_000
    first = result.rows[0]
    assert isinstance(first, lab.DecoyRow)
    assert first.gain_decoy == pytest.approx(-math.expm1(-0.2 * 0.9), rel=0.02)
    assert first.keys_match
    assert set(map(str, result.quantities)) == {"qber", "key"}
    again = lab.sweep("decoy-bb84", "km=0:10:3", seed=1, out=tmp_path, **words)
    assert again.rows == result.rows
    assert json.loads(result.to_json())["rows"][0]["single_photon_bits"] > bits[0]
    estimated = lab.sweep("decoy-bb84", "km=0:10:2", seed=1, pulses=100_000)
    assert estimated.estimated
    assert isinstance(estimated.rows[0], lab.WeakRow)


def test_two_keys_are_compared_and_a_key_with_an_estimate() -> None:
    document = {"protocol": "decoy-bb84", "pulses": 1e6, **GOOD}
    near = lab.configuration("near", document)
    far = lab.configuration("far", {**document, "km": 3})
    found = {each.quantity: each for each in lab.compare(near, far, seed=1).differences}
    assert found["key_per_pulse"].difference is not None
    assert found["key_per_pulse"].difference < 0
    estimate = lab.configuration("x", {**document, "until": "estimate"})
    both = {each.quantity: each for each in lab.compare(near, estimate, seed=1).differences}
    assert both["gain_signal"].a is None
    assert both["key_per_pulse"].b is not None


def test_words_without_use_are_refused() -> None:
    with pytest.raises(UsageError, match="no false-alarm on the way to the key"):
        lab.run("decoy-bb84", false_alarm=1e-3)
    with pytest.raises(UsageError, match="which has no key"):
        lab.run("wcp-bb84")
    with pytest.raises(UsageError, match="which has no key"):
        lab.sweep("wcp-bb84", "km=0:1:2", until="key")
