"""Generated tags agree with the closed forms of what made them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES
from bellwire.base.detections import Protocol, Side
from bellwire.link.errors import ParameterError
from bellwire.link.eve import BB84_ANGLES, Eve, EveKind
from bellwire.link.timetags import generator
from bellwire.link.timetags.generator import Scene, Station, generate

QUIET = Station(transmission=0.3, dark_hz=0.0, jitter_ps=0.0, dead_ns=0.0)
Sides = tuple[tuple[NDArray[np.int64], NDArray[np.int32]], ...]


def whole(scene: Scene, seed: int = 1) -> Sides:
    slices = [each for _, each in generate(scene, seed)]
    return tuple(
        (
            np.concatenate([part[side][0] for part in slices]),
            np.concatenate([part[side][1] for part in slices]),
        )
        for side in (0, 1)
    )


def scene(**words: object) -> Scene:
    values: dict[str, object] = {
        "protocol": Protocol.BBM92, "seconds": 1.0, "alice": QUIET, "bob": QUIET
    }  # fmt: skip
    return Scene(**(values | words))  # type: ignore[arg-type]


def together(sides: Sides) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Channels from 0 of both sides at equal times; without jitter that is a pair."""
    _, alice, bob = np.intersect1d(sides[0][0], sides[1][0], return_indices=True)
    return sides[0][1][alice] - 1, sides[1][1][bob] - 1


def test_singles_pairs_and_dark_counts_have_their_rates() -> None:
    dark = replace(QUIET, dark_hz=5_000.0)
    made = scene(pairs_hz=1e5, bob=dark, seconds=2.0)
    sides = whole(made)
    for side, (times, _) in zip(Side, sides, strict=True):
        expected = made.singles_hz(side) * 2.0
        assert abs(times.size - expected) < 4.5 * math.sqrt(expected)
    expected = made.coincidences_hz(1_000) * 2.0
    assert abs(together(sides)[0].size - expected) < 4.5 * math.sqrt(expected)
    gaps = np.diff(sides[0][0]) * made.singles_hz(Side.ALICE) / 1e12
    # Exponential gaps: mean, deviation and median of one law.
    assert abs(gaps.mean() - 1.0) < 4.5 / math.sqrt(gaps.size)
    assert abs(gaps.std() - 1.0) < 4.5 * math.sqrt(2 / gaps.size)
    assert abs((gaps < math.log(2)).mean() - 0.5) < 4.5 * 0.5 / math.sqrt(gaps.size)


@pytest.mark.parametrize("protocol", [Protocol.BBM92, Protocol.E91])
@pytest.mark.parametrize("eve", [None, Eve(EveKind.INTERCEPT_RESEND, 0.5)])
def test_outcomes_agree_as_visibility_and_eve_leave_them(
    protocol: Protocol, eve: Eve | None
) -> None:
    made = scene(protocol=protocol, pairs_hz=4e5, visibility=0.9, eve=eve, seconds=1.5)
    a, b = together(whole(made))
    angles = (ALICE_ANGLES, BOB_ANGLES) if protocol is Protocol.E91 else (BB84_ANGLES, BB84_ANGLES)
    for i, alpha in enumerate(angles[0]):
        for j, beta in enumerate(angles[1]):
            here = (a // 2 == i) & (b // 2 == j)
            ideal = math.cos(alpha - beta)
            if eve is not None:
                ideal = eve.correlation(protocol, alpha, beta)
            expected = 0.5 * (1.0 - 0.9 * ideal)
            share = float((a[here] % 2 != b[here] % 2).mean())
            n = int(here.sum())
            assert abs(n - a.size / len(angles[0]) ** 2) < 5.0 * math.sqrt(n)
            assert abs(share - expected) < 4.5 * math.sqrt(expected * (1 - expected) / n)


def test_jitter_is_normal_and_times_do_not_fall() -> None:
    jitter = replace(QUIET, transmission=1.0, jitter_ps=200.0)
    made = scene(pairs_hz=2e4, alice=jitter, bob=replace(QUIET, transmission=1.0))
    (alice, _), (bob, _) = whole(made)
    assert (np.diff(alice) >= 0).all()
    # At this rate neighbours are 50 µs apart, so order is kept.
    apart = (alice - bob).astype(float)
    assert abs(apart.mean()) < 4.5 * 200 / math.sqrt(apart.size)
    assert abs(apart.std() / 200 - 1.0) < 4.5 / math.sqrt(2 * apart.size)


def test_a_detector_is_blind_for_its_dead_time_and_afterpulses_follow_it() -> None:
    blind = Station(
        transmission=0.5, dark_hz=0.0, jitter_ps=0.0, dead_ns=300.0, afterpulse=0.2,
        afterpulse_ns=40.0,
    )  # fmt: skip
    made = scene(pairs_hz=1e4, alice=blind, seconds=4.0)
    times, channels = whole(made)[0]
    soon = 0
    for channel in range(1, 5):
        gaps = np.diff(times[channels == channel])
        assert gaps.min() >= 299_999  # a rounding either way
        soon += int((gaps < 700_000).sum())
    clicks = made.singles_hz(Side.ALICE) * 4.0
    assert abs(soon - 0.2 * clicks) < 5.0 * math.sqrt(0.2 * clicks) + 0.01 * clicks
    assert abs(times.size - 1.2 * clicks) < 5.0 * math.sqrt(1.2 * clicks)


def test_clocks_show_their_offset_and_pace() -> None:
    bob = replace(QUIET, transmission=1.0)
    quick = scene(alice=bob, bob=bob, clock_offset_s=-3.25, clock_drift_ppm=40.0, pairs_hz=1e3)
    (alice, _), (late, _) = whole(quick)
    assert alice.min() >= 4.25e12
    assert late.min() >= 1e12
    since = alice - 4.25e12
    assert np.abs(late - (1e12 + since * (1 + 40e-6))).max() <= 2


def test_slices_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    made = scene(pairs_hz=1e5, alice=Station(afterpulse=0.1), bob=Station())
    monkeypatch.setattr(generator, "SLICE_PAIRS", 2_000)
    parts = list(generate(made, 5))
    assert len(parts) == 50
    assert math.isclose(sum(seconds for seconds, _ in parts), 1.0)
    for side, rate in ((0, 1.1), (1, 1.0)):
        times = np.concatenate([part[side][0] for _, part in parts])
        assert (np.diff(times) >= 0).all()
        expected = rate * made.singles_hz(Side.ALICE)
        assert abs(times.size - expected) < 5.0 * math.sqrt(1.3 * expected) + 0.01 * expected


def test_a_seed_repeats_a_recording_and_another_does_not() -> None:
    made = scene(pairs_hz=1e4)
    first, again, other = (whole(made, seed)[0][0] for seed in (1, 1, 2))
    assert (first == again).all()
    assert first.size != other.size or (first != other).any()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"protocol": Protocol.BB84}, "protocol"),
        ({"pairs_hz": 0.0}, "pairs_hz"),
        ({"pairs_hz": math.nan}, "pairs_hz"),
        ({"seconds": -1.0}, "seconds"),
        ({"visibility": 1.1}, "visibility"),
        ({"clock_drift_ppm": math.inf}, "clock_drift_ppm"),
        ({"clock_offset_s": 4_000.0}, "clock_offset_s"),
        ({"start_s": 0.0}, "start_s"),
    ],
)
def test_impossible_scenes_are_refused_by_name(words: dict[str, object], named: str) -> None:
    with pytest.raises(ParameterError, match=named):
        scene(**words)


@pytest.mark.parametrize("name", ["transmission", "dark_hz", "jitter_ps", "dead_ns", "afterpulse"])
def test_impossible_stations_are_refused_by_name(name: str) -> None:
    with pytest.raises(ParameterError, match=name):
        Station(**{name: -0.1})
    with pytest.raises(ParameterError, match=name):
        Station(**{name: math.nan})
