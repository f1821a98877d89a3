"""The streamed counts follow the joint law, the gate-by-gate twin, and do not depend on chunks."""

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.reference import weak_pulses

from bellwire.link import click_stream
from bellwire.link.click_stream import State
from bellwire.link.config import LinkConfig
from bellwire.link.errors import ParameterError
from bellwire.link.weak import DeadTime, WeakConfig, WeakEve, WeakEveKind
from bellwire.link.weak_counts import WeakBlock, WeakCounts, WeakStream
from bellwire.link.weak_law import SHAPE, joint_law

SEED = bytes(range(32))
EVES = [
    None,
    *(WeakEve(kind, 0.6) for kind in WeakEveKind),
    WeakEve(WeakEveKind.BLINDING, 0.8, threshold_width=0.2),
]


def config(km: float = 25.0, **words: Any) -> WeakConfig:
    link = LinkConfig(
        fibre_km=km, detector_efficiency=0.5, dark_count_probability=1e-3, misalignment=0.04
    )
    return WeakConfig(link=link, **words)


SHORT = {"dead_gates": 7, "afterpulse": 0.3, "afterpulse_gates": 5.0, "rectilinear": 0.7}


def run(of: WeakConfig, eve: WeakEve | None, pulses: int, seed: bytes = SEED) -> WeakCounts:
    stream = WeakStream(of, eve, seed)
    return stream.counts(stream.advance(stream.start(), pulses))


def assert_same(observed: NDArray[Any], other: NDArray[Any], ratio: float = 0.0) -> None:
    """Chi-square of counts against expectation (`ratio` 0), or against counts of `ratio` pulses."""
    variance = other.astype(float) if not ratio else (observed + other * ratio * ratio)
    wanted = other * (ratio or 1.0)
    used = wanted > 10
    statistic = (((observed - wanted)[used]) ** 2 / variance[used]).sum()
    freedom = int(used.sum())
    assert freedom
    assert statistic < freedom + 4 * math.sqrt(2 * freedom) + 4
    assert observed[~used].sum() <= 30 * max(1, int((~used).sum()))


@pytest.mark.parametrize("eve", EVES, ids=str)
@pytest.mark.parametrize("km", [0.0, 40.0])
def test_clicks_and_silence_follow_the_joint_law(eve: WeakEve | None, km: float) -> None:
    pulses = 3_000_000
    of = config(km, rectilinear=0.7)
    counts = run(of, eve, pulses)
    law = joint_law(of, eve).reshape(*SHAPE, 4)
    wanted = pulses * np.stack([law[..., 0], law[..., 1] + law[..., 3] / 2], -1)
    silent = counts.live - counts.clicks.sum(-1)
    assert_same(np.stack([silent, counts.clicks[..., 0]], -1), wanted)
    assert_same(counts.clicks[..., 1], pulses * (law[..., 2] + law[..., 3] / 2))
    assert_same(counts.doubles, pulses * law[..., 3])
    assert counts.sent.sum() == pulses == counts.pulses


@pytest.mark.parametrize("eve", EVES, ids=str)
def test_the_joint_law_is_what_single_photons_do(eve: WeakEve | None) -> None:
    of = config(8.0, intensities=(0.9, 0.3, 0.1), rectilinear=0.6)
    pulses = 300_000
    seen = weak_pulses.simulate(of, eve, pulses, np.random.default_rng(5))
    law = pulses * joint_law(of, eve).reshape(*SHAPE, 4)
    assert_same(seen.clicks[..., 0], law[..., 1] + law[..., 3] / 2)
    assert_same(seen.clicks[..., 1], law[..., 2] + law[..., 3] / 2)
    assert_same(seen.doubles, law[..., 3])
    assert_same(seen.sent, law.sum(-1))


UNBLINDING = [eve for eve in EVES if eve is None or eve.kind is not WeakEveKind.BLINDING]


@pytest.mark.parametrize("gate", [None, 450.0])
@pytest.mark.parametrize(
    "eve", UNBLINDING, ids=lambda eve: "nobody" if eve is None else str(eve.kind)
)
def test_the_joint_law_is_what_late_and_early_photons_do(
    eve: WeakEve | None, gate: float | None
) -> None:
    timing = {"jitter_ps": 800.0, "gate_ps": gate}
    of = config(8.0, intensities=(0.9, 0.3, 0.1), rectilinear=0.6, **timing)
    pulses = 300_000
    seen = weak_pulses.simulate(of, eve, pulses, np.random.default_rng(8))
    law = pulses * joint_law(of, eve).reshape(*SHAPE, 4)
    # A stray photon ties neighbours together, which spreads counts a little: too little to show.
    assert_same(seen.clicks[..., 0], law[..., 1] + law[..., 3] / 2)
    assert_same(seen.clicks[..., 1], law[..., 2] + law[..., 3] / 2)
    assert_same(seen.doubles, law[..., 3])


@pytest.mark.parametrize("dead_time", DeadTime)
@pytest.mark.parametrize("decay", [0.7, 20.0])
def test_dead_time_and_afterpulses_are_those_of_every_gate(
    dead_time: DeadTime, decay: float
) -> None:
    of = config(3.0, dead_time=dead_time, **SHORT | {"afterpulse_gates": decay})
    few, many = 200_000, 20_000_000
    seen = weak_pulses.simulate(of, WeakEve(WeakEveKind.INTERCEPT_RESEND, 0.5), few, rng(decay))
    counts = run(of, WeakEve(WeakEveKind.INTERCEPT_RESEND, 0.5), many)
    # A dead time spaces clicks evenly, so that their counts scatter less than the test assumes.
    assert_same(seen.clicks, counts.clicks, few / many)
    assert_same(seen.doubles, counts.doubles, few / many)
    assert_same(seen.sent, counts.sent, few / many)
    assert abs(seen.blind / few - counts.blind.sum() / many) < 0.004


def rng(number: float) -> np.random.Generator:
    return np.random.default_rng(int(number * 1000))


@pytest.mark.parametrize("dead_time", DeadTime)
def test_waits_between_clicks_are_those_of_every_gate(dead_time: DeadTime) -> None:
    of = config(12.0, dead_time=dead_time, **SHORT)
    seen = weak_pulses.simulate(of, None, 200_000, rng(1))
    stream = WeakStream(of, None, SEED)
    block, _ = stream.block(stream.start(), 10_000_000)
    waits = np.bincount(np.minimum(np.diff(block.bob.received), 499), minlength=500)
    assert_same(seen.waits, waits, 200_000 / 10_000_000)


@pytest.mark.parametrize("dead_time", DeadTime)
@given(cuts=st.lists(st.integers(1, 40_000), max_size=6))
@settings(max_examples=15, deadline=None)
def test_counts_do_not_depend_on_how_the_way_was_cut(dead_time: DeadTime, cuts: list[int]) -> None:
    of, whole = config(dead_time=dead_time, **SHORT), 250_000
    state = WeakStream(of, EVES[1], SEED).start()
    for cut in [*cuts, whole - sum(cuts)]:
        # A new stream every time: the small state and the seed are all that it takes to go on.
        state = WeakStream(of, EVES[1], SEED).advance(State.from_json(state.to_json()), cut)
    stream = WeakStream(of, EVES[1], SEED)
    at_once = stream.advance(stream.start(), whole)
    assert state == at_once


def test_counts_do_not_depend_on_how_much_randomness_is_drawn_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = config(**SHORT)
    stream = WeakStream(of, None, SEED)
    before = stream.advance(stream.start(), 200_000)
    monkeypatch.setattr(click_stream, "ROWS", 514)
    monkeypatch.setattr(click_stream, "RARE_WORDS", 18)
    assert stream.advance(stream.start(), 200_000) == before


def test_a_seed_repeats_a_run_and_another_does_not() -> None:
    of = config(**SHORT)
    one, same, other = (run(of, None, 100_000, seed) for seed in (SEED, SEED, SEED[::-1]))
    for name, array in asdict(one).items():
        assert np.array_equal(array, getattr(same, name))
    assert not np.array_equal(one.clicks, other.clicks)
    assert not np.array_equal(one.sent, other.sent)


def test_a_dark_link_stays_dark_and_a_bright_one_clicks_in_every_gate() -> None:
    dark = WeakConfig(intensities=(1e-9,), shares=(1.0,), link=LinkConfig(fibre_km=1000))
    assert run(dark, None, 10**12).clicks.sum() == 0
    noisy = LinkConfig(dark_count_probability=1.0 - 2.0**-53)
    always = WeakConfig(intensities=(5.0,), shares=(1.0,), link=noisy)
    assert run(always, None, 1000).doubles.sum() == 1000
    blind = config(0.0, dead_gates=10**9)
    counts = run(blind, None, 10**10)
    assert counts.clicks.sum() == 10
    assert counts.sent.sum() == 10**10


def test_a_stream_ends_where_it_cannot_count_further() -> None:
    stream = WeakStream(config(), None, SEED)
    with pytest.raises(ParameterError, match="pulses"):
        stream.advance(stream.start(), 10**15 + 1)
    with pytest.raises(ParameterError, match="pulses"):
        stream.advance(stream.start(), 0)


@pytest.mark.parametrize("dead_time", DeadTime)
@given(cuts=st.lists(st.integers(1, 20_000), max_size=6))
@settings(max_examples=10, deadline=None)
def test_halves_in_blocks_are_the_halves_of_one_run(dead_time: DeadTime, cuts: list[int]) -> None:
    of, whole = config(3.0, dead_time=dead_time, **SHORT), 130_000
    stream = WeakStream(of, EVES[1], SEED)
    at_once, end = stream.block(stream.start(), whole)
    assert (at_once.first, at_once.pulses) == (0, whole)
    state, found = stream.start(), []
    for cut in [*cuts, whole - sum(cuts)]:
        # The detectors' state crosses a cut, as text and in another process if need be.
        again = WeakStream(of, EVES[1], SEED)
        block, state = again.block(State.from_json(state.to_json()), cut)
        slots = block.bob.received
        assert ((slots >= block.first) & (slots < block.first + cut)).all()
        found.append([slots, *columns(block)])
    assert state == end == stream.advance(stream.start(), whole)
    whole_columns: list[NDArray[Any]] = [at_once.bob.received, *columns(at_once)]
    for i, column in enumerate(whole_columns):
        assert np.array_equal(np.concatenate([part[i] for part in found]), column)


def columns(block: WeakBlock) -> tuple[NDArray[np.uint8], ...]:
    slots = block.bob.received
    alice, bob = block.alice.at(slots), block.bob.at(slots)
    assert alice.intensities is not None
    choices = alice.settings, alice.outcomes, alice.intensities
    return (*choices, bob.settings, bob.outcomes)


def test_halves_hold_what_is_counted() -> None:
    of = config(**SHORT)
    stream = WeakStream(of, None, SEED)
    block, state = stream.block(stream.start(), 1_000_000)
    basis, bit, intensity, measured, outcome = columns(block)
    found = np.zeros((3, 2, 2, 2, 2), np.int64)
    np.add.at(found, (intensity, measured, basis, bit, outcome), 1)
    counts = stream.counts(state)
    assert np.array_equal(found, counts.clicks.sum(axis=0))
    assert block.bob.doubles.size == counts.doubles.sum() > 100


def test_a_half_says_nothing_of_slots_without_a_click() -> None:
    stream = WeakStream(config(), None, SEED)
    block, _ = stream.block(stream.start(), 10_000)
    silent = np.setdiff1d(np.arange(10_000), block.bob.received)
    for half in (block.alice, block.bob):
        for slots in (silent[:1], silent[-1:], np.array([10_001])):
            with pytest.raises(KeyError):
                half.at(slots)
    assert block.alice.received is None
    some = block.bob.received[5:9]
    assert np.array_equal(block.alice.at(some).slots, some)
    assert repr(block.bob) == f"BobClicks({block.bob.received.size} clicks)"
    assert repr(block.alice) == f"AlicePulses({block.bob.received.size} clicks)"


def test_a_dark_link_gives_empty_halves() -> None:
    dark = WeakConfig(intensities=(1e-9,), shares=(1.0,), link=LinkConfig(fibre_km=1000))
    stream = WeakStream(dark, None, SEED)
    block, state = stream.block(stream.start(), 10**9)
    assert (block.bob.received.size, state.pulses) == (0, 10**9)
    with pytest.raises(KeyError):
        block.alice.at(np.array([5]))
