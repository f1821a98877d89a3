"""Runs up to the estimate: statistics on theory, judged as blocks are, repeatable."""

import json
from dataclasses import MISSING, fields
from typing import Any

import pytest

from bellwire import lab
from bellwire.base.detections import OF_PHOTONS, Protocol
from bellwire.base.errors import UsageError
from bellwire.lab import dispatch
from bellwire.lab.counting import Counting, Statistics, run
from bellwire.lab.experiment import Result
from bellwire.link import pair_theory, theory
from bellwire.link.eve import Eve, EveKind


def estimated(protocol: str, **words: Any) -> Statistics:
    found = lab.run(protocol, until="estimate", **words)
    assert isinstance(found, Statistics)
    return found


@pytest.mark.parametrize("eve", ["none", "intercept-resend:0.4", "cloner:0.5"])
@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_the_statistics_are_those_of_theory(protocol: Protocol, eve: str) -> None:
    found = estimated(protocol, pulses=4_000_000, eve=eve, seed=1)
    assert found.detections == found.pulses == 4_000_000
    share = 2 / 9 if protocol is Protocol.E91 else 1 / 2
    assert found.sifted_bits == pytest.approx(share * found.pulses, rel=0.005)
    assert found.qber is not None
    assert found.qber_stderr is not None
    assert found.expected_qber is not None
    assert abs(found.qber - found.expected_qber) < 4 * found.qber_stderr
    if protocol is Protocol.E91:
        assert found.chsh is not None
        assert found.chsh_stderr is not None
        assert found.expected_chsh is not None
        assert abs(found.chsh - found.expected_chsh) < 4 * found.chsh_stderr
        assert len(found.correlations) == 9
    else:
        assert (found.chsh, found.expected_chsh, found.correlations) == (None, None, [])


def test_first_come_the_fields_of_every_run_and_what_was_not_reached_is_null() -> None:
    found = estimated("e91", pulses=100_000, seed=2).to_dict()
    every = [field.name for field in fields(Result) if field.default is MISSING]
    assert list(found)[: len(every)] == every
    later = ("reconciliation", "secret_bits", "secret_rate_bps", "epsilon", "keys_match")
    assert {found[name] for name in later} == {None}
    assert found["until"] == "estimate"
    assert json.loads(json.dumps(found))["seed"] == 2


@pytest.mark.parametrize(
    ("protocol", "eve", "verdict", "reason"),
    [
        ("e91", "none", "accept", None),
        ("e91", "intercept-resend", "abort", "S = 1.3"),
        ("bb84", "intercept-resend:0.2", "accept", None),
        ("bb84", "intercept-resend:0.5", "abort", "limit 11%"),
        ("bbm92", "substitution", "abort", "limit 11%"),
    ],
)
def test_the_judges_are_those_of_a_block(
    protocol: str, eve: str, verdict: str, reason: str | None
) -> None:
    found = estimated(protocol, pulses=200_000, eve=eve, seed=3)
    assert found.verdict == verdict
    assert (found.reason is None) == (reason is None)
    assert (reason or "") in (found.reason or "")


LOSSY = {"km": 20.0, "efficiency": 0.3, "dark": 1e-5, "misalignment": 0.01}


@pytest.mark.parametrize("eve", ["none", "cloner:0.3"])
@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        ("bb84", {}),
        ("bbm92", {}),
        ("e91", {}),
        ("e91", {"mean_pairs": 0.05}),
        ("bbm92", {"mean_pairs": 0.2, "pair_statistics": "poisson"}),
    ],
)
def test_losses_and_several_pairs_are_counted_too(
    protocol: str, words: dict[str, Any], eve: str
) -> None:
    parts: list[int] = []
    given = {**LOSSY, **words, "eve": eve, "seed": 4, "until": "estimate"}
    what = dispatch.experiment(protocol, {"pulses": 40_000_000, **given})
    assert isinstance(what, Counting)
    found = run(what, parts.append)
    assert (sum(parts), len(parts)) == (40_000_000, 200)
    light = what.protocol, what.config
    if what.source is not None:
        rate = pair_theory.coincidence_probability(*light, what.source)
    elif what.protocol.entangled:
        rate = theory.coincidence_probability(what.config)
    else:
        rate = theory.detection_probability(*light)
    assert abs(found.detections - rate * found.pulses) < 4 * (rate * found.pulses) ** 0.5
    assert found.qber is not None
    assert found.qber_stderr is not None
    assert found.expected_qber is not None
    assert abs(found.qber - found.expected_qber) < 4 * found.qber_stderr
    if protocol == "e91":
        assert found.chsh is not None
        assert found.chsh_stderr is not None
        assert found.expected_chsh is not None
        assert abs(found.chsh - found.expected_chsh) < 4 * found.chsh_stderr
    assert found.eve_known_bits is None


def test_a_trillion_windows_cost_their_coincidences_only() -> None:
    found = estimated(
        "bbm92", pulses=1e12, km=200, efficiency=0.2, dark=1e-7, mean_pairs=0.05, seed=1
    )
    assert 10_000 < found.detections < 10_000_000
    assert found.verdict == "accept"
    again = estimated("e91", pulses=1e6, **LOSSY, mean_pairs=0.05, seed=1)
    assert any("coincidences" in each for each in again.assumptions)


def test_a_handful_of_slots_decides_nothing() -> None:
    for protocol in OF_PHOTONS:
        found = estimated(protocol, pulses=3, seed=1)
        assert found.verdict == "abort"
        assert "too few" in str(found.reason)


def test_a_seed_repeats_a_run_and_none_does_not() -> None:
    one, two, other = (
        lab.run(
            "bb84", until="estimate", pulses=50_000, seed=seed, eve="intercept-resend:0.5"
        ).to_dict()
        for seed in (4, 4, 5)
    )
    for each in (one, two, other):
        del each["wall_s"]
    assert one == two
    assert one["qber"] != other["qber"]
    drawn = {estimated("bb84", pulses=50_000).sifted_bits for _ in range(3)}
    assert len(drawn) > 1


def test_progress_adds_up_to_the_run_and_comes_often() -> None:
    parts: list[int] = []
    what = Counting(protocol=Protocol.BBM92, pulses=123_457)
    run(what, parts.append)
    assert sum(parts) == 123_457
    assert len(parts) == 200


def test_eves_known_bits_are_told_where_her_data_are_kept() -> None:
    intercepted = lab.run(
        "bbm92", until="estimate", pulses=400_000, eve="intercept-resend:0.5", seed=1
    )
    assert intercepted.eve_known_bits == pytest.approx(400_000 / 8, rel=0.03)
    assert intercepted.eve == {"kind": "intercept-resend", "share": 0.5}
    assert estimated("bbm92", pulses=1000, eve="ghz", seed=1).eve_known_bits is None
    assert estimated("bbm92", pulses=1000, seed=1).eve_known_bits is None


@pytest.mark.parametrize(
    ("protocol", "words", "said"),
    [
        ("bb84", {"km": 1.0, "pulses": 2e15}, "1 … 1000000000000000"),
        ("bb84", {"mean_pairs": 0.1}, "mean-pairs only with"),
        ("e91", {"mean_pairs": 0.0}, "mean pairs in"),
        ("e91", {"pair_statistics": "poisson"}, "only with a number of mean pairs"),
        ("bb84", {"pulses": 0}, "1 … 10000000000000, got 0"),
        ("bb84", {"pulses": 2e13}, "1 … 10000000000000"),
        ("bb84", {"until": "dawn"}, "expected --until estimate or key, got dawn"),
        ("bb84", {"seed": -1}, "seed"),
        ("bb84", {"epsilon": 1.0}, "epsilon"),
        ("bb84", {"eve": "substitution"}, "substitution"),
        ("bb84", {"eve": "man-in-the-middle"}, "an Eve on the light"),
        ("b92", {}, "bbm92"),
    ],
)
def test_what_cannot_be_is_refused_by_name(protocol: str, words: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        lab.run(protocol, **{"until": "estimate", **words})


def test_limits_of_the_verdict_are_checked_too() -> None:
    with pytest.raises(UsageError, match="red_qber"):
        Counting(protocol=Protocol.BB84, pulses=10, red_qber=0.9)
    with pytest.raises(UsageError, match="chsh_floor"):
        Counting(protocol=Protocol.E91, pulses=10, chsh_floor=1.0)
    Counting(protocol=Protocol.E91, pulses=10, eve=Eve(EveKind.SUBSTITUTION))


def test_a_sweep_goes_on_to_the_key_and_a_comparison_need_not() -> None:
    with pytest.raises(UsageError, match="no until in a sweep of e91"):
        lab.sweep("e91", "eve=0:1:2", pulses=1000, until="estimate")
    words = {"pulses": 1e6, "until": "estimate"}
    one = lab.configuration("one", {"protocol": "e91", **words})
    other = lab.configuration("other", {"protocol": "bb84", **words, "eve": "cloner"})
    found = lab.compare(one, other, seed=1)
    assert [(each.quantity, each.b is None) for each in found.differences] == [
        ("detected", False),
        ("qber", False),
        ("chsh", True),
        ("key_per_pulse", True),
    ]


def test_theory_is_told_beforehand_too() -> None:
    expected = lab.predict(Counting(protocol=Protocol.E91, pulses=1))
    assert expected.chsh == pytest.approx(2.71529, abs=1e-5)
    assert expected.qber == pytest.approx(0.02)
    assert expected.key is not None
    assert 0 < expected.key < 2 / 9
