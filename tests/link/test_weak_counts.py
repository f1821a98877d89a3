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

from bellwire.link import weak_counts
from bellwire.link.config import LinkConfig
from bellwire.link.errors import ParameterError
from bellwire.link.kernels import clicks as kernel
from bellwire.link.weak import DeadTime, WeakConfig, WeakEve, WeakEveKind
from bellwire.link.weak_counts import State, WeakCounts, WeakStream
from bellwire.link.weak_law import CHOICES, SHAPE, alias_tables, both_tables, joint_law

SEED = bytes(range(32))
EVES = [None, *(WeakEve(kind, 0.6) for kind in WeakEveKind)]


def config(km: float = 25.0, **words: Any) -> WeakConfig:
    link = LinkConfig(
        fibre_km=km, detector_efficiency=0.5, dark_count_probability=1e-3, misalignment=0.04
    )
    return WeakConfig(link=link, **words)


SHORT = {"dead_gates": 7, "afterpulse": 0.3, "afterpulse_gates": 5.0, "rectilinear": 0.7}


def run(of: WeakConfig, eve: WeakEve | None, pulses: int, seed: bytes = SEED) -> WeakCounts:
    stream = WeakStream(of, eve, seed)
    return stream.counts(stream.advance(State.start(), pulses))


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


@pytest.mark.parametrize("eve", EVES, ids=lambda eve: "nobody" if eve is None else str(eve.kind))
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


@pytest.mark.parametrize("eve", EVES, ids=lambda eve: "nobody" if eve is None else str(eve.kind))
def test_the_joint_law_is_what_single_photons_do(eve: WeakEve | None) -> None:
    of = config(8.0, intensities=(0.9, 0.3, 0.1), rectilinear=0.6)
    pulses = 300_000
    seen = weak_pulses.simulate(of, eve, pulses, np.random.default_rng(5))
    law = pulses * joint_law(of, eve).reshape(*SHAPE, 4)
    assert_same(seen.clicks[..., 0], law[..., 1] + law[..., 3] / 2)
    assert_same(seen.clicks[..., 1], law[..., 2] + law[..., 3] / 2)
    assert_same(seen.doubles, law[..., 3])
    assert_same(seen.sent, law.sum(-1))


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
def test_waits_between_clicks_are_those_of_every_gate(
    dead_time: DeadTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weak_counts, "ROWS", 4)
    monkeypatch.setattr(weak_counts, "RARE_ROWS", 4)
    of = config(12.0, dead_time=dead_time, **SHORT)
    seen = weak_pulses.simulate(of, None, 200_000, rng(1))
    stream = WeakStream(of, None, SEED)
    waits, last, state, done = np.zeros(500, np.int64), -1, State.start(), 0
    gates = 60_000
    for gate in range(gates):  # one gate at a time shows where each click was
        state = stream.advance(state, 1)
        clicked = sum(state.tallies) - sum(state.tallies[4 :: kernel.TALLIES])
        if clicked > done:
            if last >= 0:
                waits[min(gate - last, 499)] += 1
            last, done = gate, clicked
    assert_same(waits, seen.waits, gates / 200_000)


@pytest.mark.parametrize("dead_time", DeadTime)
@given(cuts=st.lists(st.integers(1, 40_000), max_size=6))
@settings(max_examples=15, deadline=None)
def test_counts_do_not_depend_on_how_the_way_was_cut(dead_time: DeadTime, cuts: list[int]) -> None:
    of, whole = config(dead_time=dead_time, **SHORT), 250_000
    state = State.start()
    for cut in [*cuts, whole - sum(cuts)]:
        # A new stream every time: the small state and the seed are all that it takes to go on.
        state = WeakStream(of, EVES[1], SEED).advance(state, cut)
    at_once = WeakStream(of, EVES[1], SEED).advance(State.start(), whole)
    assert state == at_once


def test_counts_do_not_depend_on_how_much_randomness_is_drawn_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = config(**SHORT)
    before = WeakStream(of, None, SEED).advance(State.start(), 200_000)
    monkeypatch.setattr(weak_counts, "ROWS", 513)
    monkeypatch.setattr(weak_counts, "RARE_ROWS", 7)
    assert WeakStream(of, None, SEED).advance(State.start(), 200_000) == before


def test_a_seed_repeats_a_run_and_another_does_not() -> None:
    of = config(**SHORT)
    one, same, other = (run(of, None, 100_000, seed) for seed in (SEED, SEED, SEED[::-1]))
    for name, array in asdict(one).items():
        assert np.array_equal(array, getattr(same, name))
    assert not np.array_equal(one.clicks, other.clicks)
    assert not np.array_equal(one.sent, other.sent)


def test_the_compiled_kernel_equals_its_python_form() -> None:
    of = config(2.0, dead_time=DeadTime.PER_DETECTOR, **SHORT)
    random = np.random.default_rng(3)
    law = joint_law(of)
    entries = np.arange(CHOICES, dtype=np.int64)[:, None] * 4 + np.arange(1, 4)
    tables = both_tables(
        alias_tables(law[:, 1:].ravel(), entries.ravel()),
        alias_tables(law[:, 0], np.arange(CHOICES, dtype=np.int64) * 4),
    )
    words = random.integers(0, 1 << 64, 500, dtype=np.uint64)
    rare = random.integers(0, 1 << 64, (400, 4), dtype=np.uint64)
    gaps = random.geometric(0.2, 500) - 1
    ends = []
    for advance in (kernel.advance, kernel.advance.py_func):
        registers = np.array(State.start().registers)
        tallies = np.zeros(CHOICES * kernel.TALLIES, np.int64)
        random_words, dead, p = (gaps, words, rare), of.dead_gates, of.afterpulse
        done = advance(registers, tallies, 2000, *random_words, *tables, dead, False, p, -5.0)
        ends.append((done, registers.tolist(), tallies.tolist()))
    assert ends[0] == ends[1]
    assert sum(ends[0][2]) > 100


@given(
    weights=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=256).filter(lambda w: sum(w) > 1e-6)
)
@settings(max_examples=40)
def test_alias_tables_hold_every_weight_to_48_bits(weights: list[float]) -> None:
    entries = np.arange(len(weights), dtype=np.int64)
    threshold, below, beyond = alias_tables(np.array(weights), entries)
    held = np.zeros(len(weights))
    np.add.at(held, below, threshold.astype(float))
    np.add.at(held, beyond, 2.0**40 - threshold.astype(float))
    share = np.array(weights) / math.fsum(weights)
    # One unit each; the likeliest takes what rounding left of all the others.
    assert np.abs(held * 2.0**-48 - share).max() <= (len(weights) + 1) * 2.0**-48
    assert held.sum() == 2.0**48


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
        stream.advance(State.start(), 10**15 + 1)
    with pytest.raises(ParameterError, match="pulses"):
        stream.advance(State.start(), 0)
