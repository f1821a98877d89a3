"""Monitors are quiet without Eve as often as they say, and loud with one who blinds detectors."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bellwire import lab
from bellwire.distill.bounds import upper_mean
from bellwire.distill.errors import ParameterError
from bellwire.lab import monitors as watching
from bellwire.lab.monitors import (
    CURRENT_NOISE,
    TEST_SHARE,
    USUAL,
    Monitor,
    Reading,
    current_alarm,
    parse_monitors,
    read,
    self_test_click,
)
from bellwire.lab.rows import WeakRow
from bellwire.lab.weak import Estimate, WeakExperiment, estimate
from bellwire.link.config import LinkConfig
from bellwire.link.errors import ParameterError as LinkParameterError
from bellwire.link.weak import DeadTime, WeakConfig, WeakEve, WeakEveKind
from bellwire.link.weak_counts import WeakCounts
from bellwire.link.weak_law import SHAPE, joint_law

ALL = tuple(Monitor)
LINK = LinkConfig(fibre_km=20, detector_efficiency=0.3, dark_count_probability=1e-4)
CONFIG = WeakConfig(link=LINK)
BLINDING = WeakEve(WeakEveKind.BLINDING)


def counted(law: NDArray[np.float64], pulses: int, rng: Any) -> WeakCounts:
    """Counts of a run without dead time, drawn at once from its joint law."""
    cells = rng.multinomial(pulses, law.ravel() / law.sum()).reshape(*SHAPE, 4)
    coins = rng.binomial(cells[..., 3], 0.5)
    clicks = np.stack([cells[..., 1] + coins, cells[..., 2] + cells[..., 3] - coins], axis=-1)
    live = cells.sum(axis=-1)
    return WeakCounts(pulses, live, np.zeros_like(live), clicks, cells[..., 3])


def alarms(
    eve: WeakEve | None, names: tuple[Monitor, ...], runs: int, false_alarm: float
) -> list[tuple[Reading, ...]]:
    rng, law = np.random.default_rng(1), joint_law(CONFIG, eve)
    found = []
    for _ in range(runs):
        counts = counted(law, 1_000_000, rng)
        found.append(read(CONFIG, eve, counts, names, false_alarm, rng))
    return found


@pytest.mark.parametrize("monitor", ALL)
def test_a_monitor_cries_wolf_no_more_often_than_it_says(monitor: Monitor) -> None:
    runs, false_alarm = 300, 0.1
    cried = sum(any(r.alarm for r in run) for run in alarms(None, (monitor,), runs, false_alarm))
    spread = 4.0 * math.sqrt(runs * false_alarm * (1.0 - false_alarm))
    assert cried <= runs * false_alarm + spread
    if monitor is Monitor.CURRENT:  # whose limit is exact
        assert cried >= runs * false_alarm - spread


def test_all_monitors_together_share_the_false_alarms() -> None:
    runs, false_alarm = 300, 0.1
    cried = sum(any(r.alarm for r in run) for run in alarms(None, ALL, runs, false_alarm))
    assert cried <= runs * false_alarm + 4.0 * math.sqrt(runs * false_alarm)


@pytest.mark.parametrize("monitor", ALL)
def test_every_monitor_sees_blind_detectors(monitor: Monitor) -> None:
    for run in alarms(BLINDING, (monitor,), 5, 1e-9):
        assert any(reading.alarm for reading in run)
        assert run[0].objection.startswith(f"monitor {monitor}: expected at ")


@pytest.mark.parametrize("share", [0.04, 0.08, 0.12])
def test_the_current_betrays_a_share_as_often_as_its_closed_form_says(share: float) -> None:
    runs, eve = 500, WeakEve(WeakEveKind.BLINDING, share)
    found = sum(run[0].alarm for run in alarms(eve, (Monitor.CURRENT,), runs, 1e-3))
    expected = current_alarm(share, 1e-3)
    assert abs(found - runs * expected) <= 4.0 * math.sqrt(runs * expected * (1 - expected)) + 1
    assert 0.0 < current_alarm(0.0, 1e-3) == pytest.approx(1e-3, rel=1e-6)


@pytest.mark.parametrize(
    "eve", [None, BLINDING, WeakEve(WeakEveKind.BLINDING, 0.3), WeakEve(WeakEveKind.BEAM_SPLITTING)]
)
def test_the_self_test_clicks_as_its_closed_form_says(eve: WeakEve | None) -> None:
    runs = alarms(eve, (Monitor.SELF_TEST,), 200, 0.01)
    tests = 200 * 1_000_000 * TEST_SHARE
    clicks, expected = sum(run[0].value for run in runs), self_test_click(CONFIG, eve)
    assert abs(clicks - tests * expected) <= 4.0 * math.sqrt(tests * expected)
    if eve is BLINDING:
        assert expected < 0.2 * self_test_click(CONFIG)


@given(of=st.integers(0, 3000), p=st.floats(0.0, 1.0), alpha=st.floats(1e-12, 0.1), data=st.data())
@settings(max_examples=60)
def test_the_limit_of_a_count_is_the_least_that_may_be(
    of: int, p: float, alpha: float, data: st.DataObject
) -> None:
    limit = watching._least(of, p, alpha)
    assert 0 <= limit <= of
    if of:
        count = data.draw(st.integers(0, of))
        assert (count < limit) == (upper_mean(count / of, of, alpha) < p) or limit == of


def run(eve: WeakEve | None, names: tuple[Monitor, ...] = USUAL, **words: Any) -> Estimate:
    link = LinkConfig(fibre_km=50, detector_efficiency=0.2, dark_count_probability=1e-6)
    config = WeakConfig(link=link, **words)
    return estimate(
        WeakExperiment(pulses=300_000_000, config=config, eve=eve, seed=1, monitors=names)
    )


def test_blinding_aborts_with_monitors_and_without_them_gives_eve_the_whole_key() -> None:
    watched, unwatched, honest = run(BLINDING), run(BLINDING, ()), run(None)
    assert (honest.verdict, [r.alarm for r in honest.monitors]) == ("accept", [False, False])
    assert watched.verdict == "abort"
    assert "monitor current" in (watched.reason or "")
    assert [reading.monitor for reading in watched.monitors] == ["current", "self-test"]
    assert (unwatched.verdict, unwatched.reason, unwatched.monitors) == ("accept", None, ())
    assert unwatched.eve_known_bits == unwatched.sifted_bits > 0
    assert unwatched.double_clicks == 0 < honest.double_clicks
    assert unwatched.asymptotic_key_per_pulse > 0.0, "decoy states look at light, not at detectors"
    assert any("blind" in each for each in unwatched.assumptions)
    assert not any("blind" in each and "nobody" in each for each in watched.assumptions)
    # Monitors look on; the light is the same.
    assert watched.intensities == unwatched.intensities
    signal, usual = unwatched.intensities[0], honest.intensities[0]
    assert abs(signal.gain - usual.gain) < 4 * math.hypot(signal.gain_stderr, usual.gain_stderr)
    assert signal.qber is not None
    assert signal.expected_qber is not None
    assert signal.expected_qber == pytest.approx(0.0204, abs=2e-4)
    assert abs(signal.qber - signal.expected_qber) < 4 * (signal.qber_stderr or 0.0)


def test_missing_double_clicks_betray_splitting_too_and_the_detectors_monitors_do_not() -> None:
    single: dict[str, Any] = {"intensities": (0.5,), "shares": (1.0,)}
    splitting = WeakEve(WeakEveKind.PHOTON_NUMBER_SPLITTING)
    assert run(splitting, **single).verdict == "accept"
    caught = run(splitting, (Monitor.COUNTS,), **single)
    assert caught.verdict == "abort"
    assert "double clicks" in (caught.reason or "")
    assert len(caught.monitors) == 1, "there is no vacuum decoy to look at"


def test_a_small_share_of_blind_gates_may_pass_and_is_what_eve_knows() -> None:
    share = 2 * CURRENT_NOISE
    result = run(WeakEve(WeakEveKind.BLINDING, share))
    assert result.verdict == "accept"
    assert result.eve_known_bits is not None
    assert result.eve_known_bits / result.sifted_bits == pytest.approx(share, rel=0.05)


def test_scattered_thresholds_show_in_the_error_rate_before_any_monitor() -> None:
    result = run(WeakEve(WeakEveKind.BLINDING, 1.0, threshold_width=0.4))
    assert "qber above limit" in (result.reason or "")


def test_words_of_the_lab_switch_monitors_and_name_them_in_rows() -> None:
    words: dict[str, Any] = {"km": 50, "pulses": 1e8, "until": "estimate", "seed": 1}
    off = lab.run("decoy-bb84", eve="blinding", monitor="off", **words)
    assert (off.verdict, off.monitors) == ("accept", ())
    named = lab.run("decoy-bb84", eve="blinding:0.9", monitor="counts,self-test", **words)
    assert {reading.monitor for reading in named.monitors} == {"counts", "self-test"}
    del words["seed"], words["km"]
    rows = lab.sweep(
        "decoy-bb84", "eve=0:1:2", eve="blinding", km=50, threshold_width=0.05, seed=2, **words
    ).rows
    assert [row.verdict for row in rows] == ["accept", "abort"]
    assert isinstance(rows[1], WeakRow)
    assert (rows[1].monitor, rows[1].threshold_width) == ("on", 0.05)


@pytest.mark.parametrize("text", ["", "noise", "current,current", "on,off"])
def test_unknown_monitors_are_refused_by_name(text: str) -> None:
    with pytest.raises(ParameterError, match="current, self-test, counts"):
        parse_monitors(text)
    assert parse_monitors(" on ") == USUAL
    assert parse_monitors("off") == ()
    assert parse_monitors("counts, current") == (Monitor.COUNTS, Monitor.CURRENT)


def test_what_cannot_be_is_refused() -> None:
    for chance in (0.0, 0.2, math.nan):
        with pytest.raises(ParameterError, match="false_alarm"):
            WeakExperiment(pulses=1, false_alarm=chance)
    apart = WeakConfig(dead_time=DeadTime.PER_DETECTOR, dead_gates=5)
    with pytest.raises(ParameterError, match="common dead time"):
        WeakExperiment(pulses=1, config=apart, monitors=ALL)
    with pytest.raises(LinkParameterError, match="afterpulse"):
        WeakExperiment(pulses=1, config=WeakConfig(afterpulse=0.1), eve=BLINDING)
