"""The nodes' engine of weak pulses: the law of the joint table, each side's secrets its own."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.link.test_weak_counts import EVES, SEED, SHORT, assert_same, config

from bellwire.base.detections import Detections
from bellwire.crypto.counter import Generator, available, counter_key
from bellwire.crypto.kernels.aes import words as words_of_stream
from bellwire.link import weak_theory as theory
from bellwire.link.click_stream import State
from bellwire.link.config import LinkConfig
from bellwire.link.errors import ParameterError
from bellwire.link.kernels import thinning as kernel
from bellwire.link.kernels.clicks import CODES
from bellwire.link.weak import DeadTime, WeakConfig, WeakEve, WeakEveKind
from bellwire.link.weak_counts import WeakStream
from bellwire.link.weak_law import joint_law
from bellwire.link.weak_nodes import (
    ALICE,
    BOB,
    WeakBases,
    WeakLink,
    WeakPulses,
    choices_key,
    cuts,
    thresholds,
)

ALICE_SEED, BOB_SEED, NOISE_SEED = (bytes([k]) * 32 for k in (1, 2, 3))


def link(
    of: WeakConfig, eve: WeakEve | None = None, seeds: tuple[bytes, ...] | None = None
) -> WeakLink:
    return WeakLink(of, eve, *(seeds or (ALICE_SEED, BOB_SEED, NOISE_SEED)))


def table(alice: WeakPulses, bob: Detections) -> NDArray[np.int64]:
    """Counts by intensity, Bob's basis, Alice's, her bit, his outcome."""
    sent = alice.at(bob.slots)
    assert sent.intensities is not None
    found = np.zeros((3, 2, 2, 2, 2), np.int64)
    where = (
        sent.intensities,
        bob.settings,
        sent.settings,
        sent.outcomes,
        bob.outcomes,
    )
    np.add.at(found, where, 1)
    return found


@pytest.mark.parametrize("eve", EVES, ids=lambda eve: "nobody" if eve is None else str(eve.kind))
@pytest.mark.parametrize("km", [3.0, 40.0])
def test_clicks_follow_the_joint_law(eve: WeakEve | None, km: float) -> None:
    of, pulses = config(km, rectilinear=0.7), 1_500_000
    alice, bob, _ = link(of, eve).block(State.start(), pulses)
    law = joint_law(of, eve).reshape(2, 3, 2, 2, 2, 4).sum(axis=0)
    wanted = pulses * np.stack([law[..., 1] + law[..., 3] / 2, law[..., 2] + law[..., 3] / 2], -1)
    assert_same(table(alice, bob), wanted)


DETECTORS: list[dict[str, Any]] = [
    {},
    {"dead_gates": 7},
    {**SHORT, "dead_time": DeadTime.COMMON},
    {**SHORT, "dead_time": DeadTime.PER_DETECTOR},
    {**SHORT, "afterpulse_gates": 0.5, "afterpulse": 0.8, "dead_time": DeadTime.PER_DETECTOR},
]


@pytest.mark.parametrize("eve", [None, WeakEve(WeakEveKind.INTERCEPT_RESEND, 0.5)])
@pytest.mark.parametrize("detectors", DETECTORS)
def test_two_engines_agree_in_every_count_and_wait(
    detectors: dict[str, Any], eve: WeakEve | None
) -> None:
    of, few, many = config(6.0, **detectors), 1_000_000, 10_000_000
    stream = WeakStream(of, eve, SEED)
    reference, state = stream.block(stream.start(), many)
    alice, bob, _ = link(of, eve).block(State.start(), few)
    counts = stream.counts(state).clicks.sum(axis=0)
    assert_same(table(alice, bob), counts, few / many)
    waits = [
        np.bincount(np.minimum(np.diff(slots), 299), minlength=300)
        for slots in (bob.slots, reference.bob.received)
    ]
    assert_same(waits[0], waits[1], few / many)


@given(
    km=st.floats(0.0, 80.0),
    efficiency=st.floats(0.1, 0.9),
    dark=st.floats(0.0, 1e-3),
    misalignment=st.floats(0.0, 0.2),
    rectilinear=st.floats(0.2, 0.8),
)
@settings(max_examples=12, deadline=None, derandomize=True)
def test_gains_and_errors_are_those_of_theory(
    km: float, efficiency: float, dark: float, misalignment: float, rectilinear: float
) -> None:
    physics = LinkConfig(
        fibre_km=km,
        detector_efficiency=efficiency,
        dark_count_probability=dark,
        misalignment=misalignment,
    )
    of, pulses = WeakConfig(link=physics, rectilinear=rectilinear), 400_000
    alice, bob, _ = link(of).block(State.start(), pulses)
    counts = table(alice, bob)
    for k, share in enumerate(of.shares):
        expected = theory.expected(of, k)
        wanted = pulses * share * expected.gain
        assert abs(counts[k].sum() - wanted) < 5 * math.sqrt(wanted) + 5
        alike = np.stack([counts[k, basis, basis] for basis in range(2)]).sum(axis=0)
        wrong = pulses * share * of.sifting * expected.errors
        assert abs(alike[0, 1] + alike[1, 0] - wrong) < 5 * math.sqrt(wrong) + 5


@pytest.mark.parametrize("dead_time", DeadTime)
@given(cuts=st.lists(st.integers(1, 20_000), max_size=5))
@settings(max_examples=8, deadline=None)
def test_a_run_in_pieces_is_the_run_in_one(dead_time: DeadTime, cuts: list[int]) -> None:
    of, whole = config(3.0, dead_time=dead_time, **SHORT), 110_000
    _, at_once, end = link(of).block(State.start(), whole)
    state, parts = State.start(), []
    for cut in [*cuts, whole - sum(cuts)]:
        alice, bob, state = link(of).block(State.from_json(state.to_json()), cut)
        assert (alice.pulses, alice.first + cut) == (cut, state.pulses)
        alice.at(bob.slots)
        parts.append(bob)
    assert state == end
    for name in ("slots", "settings", "outcomes"):
        whole_column = getattr(at_once, name)
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), whole_column)


def test_each_sides_choices_come_from_its_own_seed_alone() -> None:
    of, pulses = config(2.0, **SHORT), 40_000
    everywhere = np.arange(pulses)
    before = link(of).block(State.start(), pulses)
    for place in range(3):
        seeds = [ALICE_SEED, BOB_SEED, NOISE_SEED]
        seeds[place] = b"x" * 32
        alice, bob, _ = link(of, None, tuple(seeds)).block(State.start(), pulses)
        sent, was = alice.at(everywhere), before[0].at(everywhere)
        for name in ("settings", "outcomes", "intensities"):
            assert np.array_equal(getattr(sent, name), getattr(was, name)) == (place != 0)
        bases = WeakBases(of, seeds[1])
        assert np.array_equal(bob.settings, bases.at(bob.slots))
        assert not np.array_equal(bob.slots, before[1].slots)
    # She needs no link to know them.
    alone = WeakPulses(of, ALICE_SEED, 0, pulses)
    for name in ("settings", "outcomes", "intensities"):
        hers, was_hers = (getattr(half.at(everywhere), name) for half in (alone, before[0]))
        assert np.array_equal(hers, was_hers)


def test_choices_are_as_often_as_they_should_be() -> None:
    of = WeakConfig(shares=(0.55, 0.3, 0.15), rectilinear=0.8)
    n = 400_000
    alice, slots = WeakPulses(of, ALICE_SEED, 10**14, n), np.arange(10**14, 10**14 + n)
    sent = alice.at(slots)
    assert sent.intensities is not None
    found = np.zeros((3, 2, 2), np.int64)
    np.add.at(found, (sent.intensities, sent.settings, sent.outcomes), 1)
    wanted = n * np.einsum("k,a,b->kab", of.shares, (0.8, 0.2), (0.5, 0.5))
    assert_same(found, wanted)
    bases = WeakBases(of, BOB_SEED).at(slots)
    assert abs(bases.sum() - 0.2 * n) < 4 * math.sqrt(0.16 * n)
    # The order in which one asks does not matter.
    assert np.array_equal(WeakBases(of, BOB_SEED).at(slots[::-1]), bases[::-1])


def test_a_half_knows_its_block_only() -> None:
    alice = WeakPulses(config(), ALICE_SEED, 100, 50)
    alice.at(np.array([100, 149]))
    for slot in (99, 150):
        with pytest.raises(KeyError):
            alice.at(np.array([slot]))
    assert alice.received is None
    assert repr(alice) == "WeakPulses(50 pulses)"
    assert repr(WeakBases(config(), BOB_SEED)) == "WeakBases()"


def test_dark_links_stay_dark_and_runs_have_an_end() -> None:
    dark = WeakConfig(intensities=(1e-9,), shares=(1.0,), link=LinkConfig(fibre_km=1000))
    _, bob, state = link(dark).block(State.start(), 10**12)
    assert (bob.slots.size, state.pulses) == (0, 10**12)
    noisy = LinkConfig(dark_count_probability=1.0 - 2.0**-53)
    always = WeakConfig(intensities=(5.0,), shares=(1.0,), link=noisy)
    assert link(always).block(State.start(), 1000)[1].slots.size == 1000
    for pulses in (0, 10**15 + 1):
        with pytest.raises(ParameterError, match="pulses"):
            link(dark).block(State.start(), pulses)
    with pytest.raises(ValueError, match="32 bytes"):
        WeakLink(dark, None, b"short", BOB_SEED, NOISE_SEED)


@pytest.mark.parametrize("dead_time", DeadTime)
def test_the_compiled_loop_equals_its_python_form(dead_time: DeadTime) -> None:
    of = config(2.0, dead_time=dead_time, **SHORT)
    random = np.random.default_rng(3)
    _, limits = thresholds(joint_law(of))
    words = random.integers(0, 1 << 64, 400, dtype=np.uint64)
    rare = random.integers(0, 1 << 64, 600, dtype=np.uint64)
    gaps = random.geometric(0.2, 400) - 1
    keys = [choices_key(seed, what) for seed, what in _SECRETS]
    detectors = of.dead_gates, dead_time is DeadTime.COMMON, 1 / math.log(0.7), -5.0
    ends: list[Any] = []
    function: Any = kernel.thin
    for run in (function, function.py_func):
        at, what = np.zeros(1000, np.int64), np.zeros(1000, np.uint8)
        registers = np.array(State.start().registers)
        done, n = run(
            registers, 1600, gaps, words, *keys, rare, limits, cuts(of), *detectors, at, what
        )
        ends.append((bool(done), n, registers.tolist(), at[:n].tolist(), what[:n].tolist()))
    assert ends[0] == ends[1]
    assert ends[0][1] > 50
    assert len(State.start().tallies) == CODES


_SECRETS = ((ALICE_SEED, ALICE), (BOB_SEED, BOB))


@pytest.mark.parametrize("generator", [Generator.PORTABLE, Generator.AES_NI])
def test_choices_are_words_of_the_stream_whatever_computes_them(generator: Generator) -> None:
    if generator not in available():
        pytest.skip("the processor has no such instruction")
    stream = np.empty(64, np.uint64)
    words_of_stream(stream, np.uint64(0), counter_key(ALICE_SEED, ALICE, Generator.PORTABLE))
    key = counter_key(ALICE_SEED, ALICE, generator)
    found, slots = np.empty(64, np.uint64), np.arange(64)[::-1].copy()
    kernel.words_at(slots, key, found)
    assert np.array_equal(found, stream[slots])
    kernel.halves_at(slots, key, found)
    assert np.array_equal(found, stream.view("<u4")[slots])
