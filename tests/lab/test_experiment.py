"""Experiments come out as theory says, and the same seed gives the same."""

import dataclasses
import math
from typing import Any

import pytest

from bellwire.base.detections import OF_PHOTONS, Protocol, Side
from bellwire.base.errors import UsageError
from bellwire.distill.report import ASSUMPTIONS
from bellwire.lab.engines import Engine, Player
from bellwire.lab.experiment import Experiment, Result, distilled, predict, run
from bellwire.lab.middle import Knows
from bellwire.link import theory
from bellwire.link.config import LinkConfig
from bellwire.link.detectors import Detectors
from bellwire.link.eve import Axes, Eve, EveKind
from bellwire.link.pairs import PairSource, PairStatistics
from bellwire.link.timing import Timing

PULSES = 200_000
SEEDS = (1, 2, 3)
LOSSY = LinkConfig(
    fibre_km=2.0, detector_efficiency=0.8, dark_count_probability=1e-5, misalignment=0.01
)


def timeless(result: Result) -> Result:
    return dataclasses.replace(result, wall_s=0.0)


def assert_as_theory(
    result: Result, protocol: Protocol, config: LinkConfig, eve: Eve | None
) -> None:
    """QBER and S within four standard errors of the closed forms."""
    qber = theory.qber(protocol, config, eve)
    assert result.qber is not None
    assert result.qber_stderr is not None
    assert abs(result.qber - qber) <= 4 * result.qber_stderr
    if protocol is Protocol.E91:
        assert result.chsh is not None
        assert result.chsh_stderr is not None
        assert abs(result.chsh - theory.e91_chsh(config, eve)) <= 4 * result.chsh_stderr


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("config", [LinkConfig(), LOSSY], ids=["ideal", "lossy"])
@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_without_eve_both_accept_one_key_as_theory_says(
    protocol: Protocol, config: LinkConfig, seed: int
) -> None:
    result = run(Experiment(protocol=protocol, pulses=PULSES, config=config, seed=seed))
    assert (result.verdict, result.reason, result.keys_match) == ("accept", None, True)
    assert result.secret_bits > 5_000
    assert result.secret_rate_bps > 0
    assert result.reconciliation is not None
    efficiency = result.reconciliation["efficiency"]
    assert efficiency is not None
    assert 1.0 < efficiency < 1.2
    parts = result.epsilon_secrecy, result.epsilon_correctness, result.epsilon_authentication
    assert result.epsilon == sum(part or 0.0 for part in parts) <= 1e-10
    assert all(parts)
    assert_as_theory(result, protocol, config, None)


AXES = [
    (Protocol.BB84, EveKind.INTERCEPT_RESEND, None, 0.25),
    (Protocol.BB84, EveKind.GHZ, None, 0.25),
    (Protocol.BBM92, EveKind.INTERCEPT_RESEND, None, 0.25),
    (Protocol.BBM92, EveKind.GHZ, None, 0.25),
    (Protocol.E91, EveKind.INTERCEPT_RESEND, None, 0.125),
    (Protocol.E91, EveKind.INTERCEPT_RESEND, Axes.degrees(0, 90), 0.25),
    (Protocol.E91, EveKind.INTERCEPT_RESEND, Axes.uniform(), 0.25),
    (Protocol.E91, EveKind.INTERCEPT_RESEND, Axes.degrees(67.5), 0.0732),
    (Protocol.BB84, EveKind.BREIDBART, None, 0.25),
    (Protocol.BB84, EveKind.CLONER, None, 0.1464),
    (Protocol.BBM92, EveKind.BREIDBART, None, 0.25),
    (Protocol.BBM92, EveKind.CLONER, None, 0.1464),
    (Protocol.BBM92, EveKind.SUBSTITUTION, None, 0.5),
    (Protocol.E91, EveKind.BREIDBART, None, 0.0732),
    (Protocol.E91, EveKind.CLONER, None, 0.1464),
    (Protocol.E91, EveKind.SUBSTITUTION, None, 0.5),
    (Protocol.E91, EveKind.GHZ, None, 0.125),
    (Protocol.E91, EveKind.GHZ, Axes.degrees(0), 0.375),
]


@pytest.mark.parametrize(("protocol", "kind", "axes", "qber"), AXES)
def test_eve_on_everything_is_caught_with_her_signature(
    protocol: Protocol, kind: EveKind, axes: Axes | None, qber: float
) -> None:
    perfect = LinkConfig(misalignment=0.0)
    eve = Eve(kind, 1.0, axes)
    result = run(Experiment(protocol=protocol, pulses=PULSES, config=perfect, eve=eve, seed=5))
    assert result.verdict == "abort"
    assert result.secret_bits == 0
    assert result.keys_match is None
    assert result.reason is not None
    assert_as_theory(result, protocol, perfect, eve)
    assert result.qber == pytest.approx(qber, abs=0.01)
    if protocol is Protocol.E91:
        left = {EveKind.CLONER: 2.0, EveKind.SUBSTITUTION: 0.0}
        assert result.chsh == pytest.approx(left.get(kind, math.sqrt(2)), abs=0.06)


def test_a_small_share_of_eve_costs_key_and_is_paid_for() -> None:
    eve = Eve(EveKind.INTERCEPT_RESEND, 0.1)
    clean, touched = (
        run(Experiment(protocol=Protocol.BB84, pulses=PULSES, eve=who, seed=6))
        for who in (None, eve)
    )
    assert touched.verdict == "accept"
    assert touched.keys_match
    assert 0 < touched.secret_bits < 0.7 * clean.secret_bits


@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_the_same_seed_gives_the_same_and_another_seed_another(protocol: Protocol) -> None:
    one, again, other = (
        timeless(run(Experiment(protocol=protocol, pulses=60_000, seed=seed))) for seed in (7, 7, 8)
    )
    assert one == again
    assert dataclasses.replace(one, seed=8) != other


def test_without_a_seed_entropy_comes_from_the_system() -> None:
    one, two = (run(Experiment(protocol=Protocol.BB84, pulses=20_000)) for _ in range(2))
    assert one.seed is None
    assert one.qber != two.qber


def test_the_result_has_the_fields_of_the_reference_first() -> None:
    result = run(Experiment(protocol=Protocol.BB84, pulses=2_000, seed=1))
    names = list(result.to_dict())
    assert names[:19] == [
        "protocol",
        "engine",
        "seed",
        "pulses",
        "detections",
        "sifted_bits",
        "qber",
        "qber_stderr",
        "chsh",
        "chsh_stderr",
        "reconciliation",
        "secret_bits",
        "secret_rate_bps",
        "epsilon",
        "eve",
        "verdict",
        "reason",
        "keys_match",
        "wall_s",
    ]
    assert (result.verdict, result.reconciliation, result.chsh) == ("abort", None, None)


def test_an_attack_that_the_protocol_has_not_is_refused_before_any_work() -> None:
    with pytest.raises(UsageError, match=r"source sends pairs .*got bb84"):
        Experiment(protocol=Protocol.BB84, eve=Eve(EveKind.SUBSTITUTION))


@pytest.mark.parametrize(
    "change",
    [
        {"pulses": 0},
        {"pulses": (1 << 24) + 1},
        {"epsilon": 1e-25},
        {"epsilon": math.nan},
        {"sample_share": 0.0},
        {"sample_share": 1.0},
        {"red_qber": 0.6},
        {"chsh_floor": 1.0},
        {"seed": -1},
        {"seed": 1 << 64},
    ],
)
def test_an_impossible_parameter_is_named_before_any_work(change: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(change))):
        run(Experiment(protocol=Protocol.E91, **change))  # type: ignore[arg-type]  # one wrong at a time


SPDC = [PairSource(0.05), PairSource(0.1, PairStatistics.POISSON)]


@pytest.mark.parametrize("source", SPDC, ids=lambda source: str(source.statistics))
@pytest.mark.parametrize("protocol", [Protocol.BBM92, Protocol.E91])
def test_sources_of_several_pairs_are_distilled_as_theory_says(
    protocol: Protocol, source: PairSource
) -> None:
    config = LinkConfig(
        fibre_km=5.0, detector_efficiency=0.8, dark_count_probability=1e-6, misalignment=0.005
    )
    what = Experiment(protocol=protocol, pulses=2_000_000, config=config, source=source, seed=2)
    result, expected = run(what), predict(what)
    assert (result.verdict, result.keys_match) == ("accept", True)
    assert result.secret_bits > 500
    assert result.qber is not None
    assert result.qber_stderr is not None
    assert expected.qber is not None
    assert expected.key is not None
    assert result.secret_bits / result.pulses < expected.key
    assert abs(result.qber - expected.qber) < 4 * result.qber_stderr
    if expected.chsh is not None:
        assert result.chsh is not None
        assert result.chsh_stderr is not None
        assert abs(result.chsh - expected.chsh) < 4 * result.chsh_stderr
    assert result.qber > theory.qber(protocol, config) + 3 * result.qber_stderr
    assert timeless(run(what)) == timeless(result)


def test_what_several_pairs_rest_on_is_said_where_it_matters() -> None:
    said = {
        protocol: run(
            Experiment(protocol=protocol, pulses=100_000, source=source, seed=1)
        ).assumptions
        for protocol, source in ((Protocol.E91, SPDC[0]), (Protocol.BBM92, SPDC[0]))
    }
    assert any("not for three settings" in each for each in said[Protocol.E91])
    assert any("coincidences" in each for each in said[Protocol.E91])
    assert any("fair sampling" in each for each in said[Protocol.E91])
    # Squashing holds in two conjugate bases, whoever owns the source.
    assert said[Protocol.BBM92] == ASSUMPTIONS[Protocol.BBM92]


def test_a_source_of_pairs_is_for_protocols_of_pairs() -> None:
    with pytest.raises(UsageError, match="mean pairs only with e91 and bbm92"):
        Experiment(protocol=Protocol.BB84, source=SPDC[0])
    with pytest.raises(UsageError, match="Eve in the middle"):
        Experiment(protocol=Protocol.E91, source=SPDC[0], middle=Knows.NOTHING)


@pytest.mark.parametrize("protocol", [Protocol.BB84, Protocol.BBM92])
@pytest.mark.parametrize("rectilinear", [0.15, 0.85])
def test_a_preferred_basis_gives_more_key_as_theory_says(
    protocol: Protocol, rectilinear: float
) -> None:
    pulses = 1_000_000
    even = Experiment(protocol=protocol, pulses=pulses, config=LOSSY, seed=5)
    biased = dataclasses.replace(even, rectilinear=rectilinear)
    result, plain = run(biased), run(even)
    assert result.keys_match
    sifted = theory.detection_probability(protocol, LOSSY)
    if protocol.entangled:
        sifted = theory.coincidence_probability(LOSSY)
    share = sifted * (0.85**2 + 0.15**2)
    deviation = abs(result.sifted_bits - pulses * share)
    assert deviation < 4 * math.sqrt(pulses * share * (1 - share))
    expected = predict(biased)
    assert result.qber is not None
    assert result.qber_stderr is not None
    assert expected.qber is not None
    assert abs(result.qber - expected.qber) <= 4 * result.qber_stderr
    assert expected.key is not None
    assert plain.secret_bits < result.secret_bits < expected.key * pulses


@pytest.mark.parametrize("protocol", [Protocol.BB84, Protocol.BBM92])
def test_an_eve_in_the_preferred_basis_is_seen_in_the_rare_one(protocol: Protocol) -> None:
    eve = Eve(EveKind.INTERCEPT_RESEND, axes=Axes((0.0,)))
    result = run(Experiment(protocol=protocol, pulses=PULSES, eve=eve, rectilinear=0.9, seed=2))
    assert result.verdict == "abort"
    assert result.reason is not None
    assert result.reason.startswith("QBER 5") or result.reason.startswith("QBER 4")
    # All compared bits together would have passed: her errors are few among so many.
    assert result.qber is not None
    assert result.qber < 0.03
    # And what she leaves of a small share lowers the key, though no limit is broken.
    some = dataclasses.replace(eve, share=0.1)
    alone, with_her = (
        distilled(Experiment(protocol=protocol, pulses=PULSES, eve=who, rectilinear=0.8, seed=3))
        for who in (None, some)
    )
    limits = [outcome.reports[Side.ALICE].phase_errors for outcome in (alone, with_her)]
    assert limits[1][0] > limits[0][0] + 0.03


@pytest.mark.parametrize(
    "other",
    [
        {"protocol": Protocol.E91},
        {"protocol": Protocol.BBM92, "source": PairSource(0.1, PairStatistics.THERMAL)},
        {"protocol": Protocol.BB84, "middle": Knows.NOTHING},
    ],
)
def test_a_preferred_basis_is_refused_where_there_is_none(other: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="rectilinear"):
        Experiment(**other, rectilinear=0.9)


@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_detectors_with_dead_time_and_jitter_leave_the_statistics_of_theory(
    protocol: Protocol,
) -> None:
    timing = Timing(1000.0, 800.0, 600.0)
    detectors = Detectors(dead_gates=3, timing=timing)
    config = dataclasses.replace(LOSSY, detectors=detectors)
    what = Experiment(protocol=protocol, pulses=3 * PULSES, config=config, seed=4)
    result, expected = run(what), predict(what)
    assert result.verdict == "accept"
    assert result.qber is not None
    assert result.qber_stderr is not None
    assert expected.qber is not None
    assert abs(result.qber - expected.qber) <= 4 * result.qber_stderr
    prompt = dataclasses.replace(what, config=LOSSY)
    assert expected.qber > (predict(prompt).qber or 1.0) + 0.001  # neighbours' light
    if protocol.entangled:
        assert expected.key is None
    else:
        assert expected.key is not None
        assert result.secret_bits < expected.key * what.pulses


def test_afterpulses_are_errors_that_theory_does_not_foresee() -> None:
    detectors = Detectors(dead_gates=5, afterpulse=0.05, afterpulse_gates=20.0)
    config = dataclasses.replace(LOSSY, fibre_km=60.0, detectors=detectors)
    what = Experiment(protocol=Protocol.BB84, pulses=10 * PULSES, config=config, seed=4)
    result, expected = run(what), predict(what)
    assert (expected.qber, expected.key) == (None, None)
    assert result.qber is not None
    assert result.qber_stderr is not None
    # Nearly each twentieth click is one, and half of those are wrong.
    wanted = theory.bb84_qber(config) + 0.5 * 0.05 / 1.05
    assert abs(result.qber - wanted) < 4 * result.qber_stderr + 0.002


@pytest.mark.parametrize(
    "other",
    [
        {"source": PairSource(0.1, PairStatistics.THERMAL)},
        {"player": Player(Engine.QISKIT)},
    ],
)
def test_time_is_refused_where_there_is_none(other: dict[str, Any]) -> None:
    config = LinkConfig(detectors=Detectors(dead_gates=1))
    with pytest.raises(UsageError, match="dead"):
        Experiment(protocol=Protocol.BBM92, config=config, **other)
