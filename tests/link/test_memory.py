"""Dead time and afterpulses of any block: as a loop over gates has them, and as theory says."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.detectors import gate_by_gate

from bellwire.base.detections import Detections, Protocol
from bellwire.crypto.stream import NoiseStream
from bellwire.lab.counting import Counting
from bellwire.link import memory, theory
from bellwire.link.config import LinkConfig
from bellwire.link.detectors import Detectors
from bellwire.link.errors import ParameterError
from bellwire.link.memory import registered
from bellwire.link.packed import PackedLink, Seeds
from bellwire.link.pair_law import joint_law
from bellwire.link.simulate import simulate
from bellwire.link.timing import Timing
from bellwire.link.weak import WeakConfig

SEEDS = bytes(32), bytes([1]) * 32, bytes([2]) * 32


def noise(seed: int = 0) -> NoiseStream:
    return NoiseStream(seed.to_bytes(32, "big"), "test")


def light(pulses: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    slots = np.flatnonzero(rng.random(pulses) < share)
    return slots, rng.integers(0, 2, slots.size, np.uint8)


@given(
    share=st.floats(0, 1),
    dead=st.integers(0, 40),
    pulses=st.integers(1, 2000),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_dead_time_takes_what_a_loop_over_the_gates_takes(
    share: float, dead: int, pulses: int, seed: int
) -> None:
    slots, bits = light(pulses, share, seed)
    found = registered(Detectors(dead_gates=dead), slots, bits, pulses, noise())
    given_ = dict(zip(slots.tolist(), bits.tolist(), strict=True))
    expected = gate_by_gate(given_, pulses, dead, 0.0, 0.5, random.Random(0))
    assert list(zip(found[0].tolist(), found[1].tolist(), strict=True)) == expected


def test_room_for_few_clicks_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    slots, bits = light(20_000, 0.3, 1)
    whole = registered(Detectors(dead_gates=3), slots, bits, 20_000, noise())
    monkeypatch.setattr(memory, "_BATCH", 7)
    parts = registered(Detectors(dead_gates=3), slots, bits, 20_000, noise())
    np.testing.assert_array_equal(whole, parts)


@pytest.mark.parametrize("dead", [0, 5])
@pytest.mark.parametrize("share", [0.002, 0.1])
def test_afterpulses_come_as_a_loop_over_the_gates_has_them(dead: int, share: float) -> None:
    pulses, afterpulse, decay = 300_000, 0.4, 6.0
    slots, bits = light(pulses, share, 7)
    what = Detectors(dead_gates=dead, afterpulse=afterpulse, afterpulse_gates=decay)
    found = registered(what, slots, bits, pulses, noise(3))
    given_ = dict(zip(slots.tolist(), bits.tolist(), strict=True))
    leak = -math.expm1(-1.0 / decay)
    twin = gate_by_gate(given_, pulses, dead, afterpulse, leak, random.Random(5))
    slow = np.array([slot for slot, _ in twin]), np.array([bit for _, bit in twin])
    # Two samples of one law: waits from click to click, and whether the bit stays the same.
    most = 60
    tables = []
    for times, outcomes in (found, slow):
        waits = np.minimum(np.diff(times) - 1, most - 1)
        same = (np.diff(outcomes.astype(np.int64)) == 0).astype(np.int64)
        tables.append(np.bincount(2 * waits + same, minlength=2 * most))
    one, other = (table[np.add(*tables) >= 10] for table in tables)
    sizes = [table.sum() for table in tables]
    scale = math.sqrt(sizes[0] / sizes[1])
    chi2 = float((((one / scale - other * scale) ** 2) / (one + other)).sum())
    freedom = one.size - 1
    assert abs(chi2 - freedom) < 4.5 * math.sqrt(2 * freedom)


def test_a_carrier_left_by_the_last_click_ends_with_the_block() -> None:
    slots, bits = np.array([9]), np.array([1], np.uint8)
    what = Detectors(afterpulse=0.99, afterpulse_gates=1e9)
    found = registered(what, slots, bits, 10, noise())
    assert (found[0].tolist(), found[1].tolist()) == ([9], [1])
    nothing = np.zeros(0, np.int64), np.zeros(0, np.uint8)
    assert registered(what, *nothing, 10, noise())[0].size == 0


@pytest.mark.parametrize("dead", [4, 50])
def test_dead_time_costs_clicks_and_no_errors(dead: int) -> None:
    pulses = 1_000_000
    config = LinkConfig(
        fibre_km=10, detector_efficiency=0.4, dark_count_probability=1e-4,
        detectors=Detectors(dead_gates=dead),
    )  # fmt: skip
    alice, bob = simulate(Protocol.BB84, config, pulses, *SEEDS)
    assert isinstance(bob, Detections)
    q = theory.detection_probability(Protocol.BB84, config)
    live = theory.live_share(Protocol.BB84, config)
    # A renewal process: waits of dead + a geometric one.
    deviation = math.sqrt(pulses * q * live * (1 - q) * live**2)
    assert abs(bob.slots.size - pulses * q * live) < 4 * deviation + 1
    assert np.diff(bob.slots).min() > dead
    sent = alice.at(bob.slots)
    same = sent.settings == bob.settings
    wrong = (sent.outcomes != bob.outcomes)[same]
    expected = theory.bb84_qber(config)
    assert abs(wrong.mean() - expected) < 4 * math.sqrt(expected / wrong.size)


@pytest.mark.parametrize("protocol", [Protocol.BBM92, Protocol.E91])
def test_both_sides_of_pairs_are_blind_by_themselves(protocol: Protocol) -> None:
    config = LinkConfig(detector_efficiency=0.3, detectors=Detectors(dead_gates=10, afterpulse=0.1))
    halves = simulate(protocol, config, 200_000, *SEEDS)
    for half in halves:
        assert isinstance(half, Detections)
        assert np.diff(half.slots).min() > 10
        assert half.settings.max() == protocol.settings - 1
    first, second = (set(np.asarray(half.received).tolist()) for half in halves)
    assert first - second
    assert second - first
    for half, other in zip(
        halves, simulate(protocol, config, 200_000, *SEEDS, chunk=1000), strict=True
    ):
        assert isinstance(half, Detections)
        assert isinstance(other, Detections)
        np.testing.assert_array_equal(half.slots, other.slots)
        np.testing.assert_array_equal(half.outcomes, other.outcomes)


@pytest.mark.parametrize("timing", [Timing(1000.0, 1000.0, 900.0), Timing(1000.0, 300.0, 1200.0)])
def test_jitter_loses_light_and_neighbours_light_strays_in(timing: Timing) -> None:
    pulses = 600_000
    config = LinkConfig(detector_efficiency=0.6, detectors=Detectors(timing=timing))
    alice, bob = simulate(Protocol.BB84, config, pulses, *SEEDS)
    assert isinstance(bob, Detections)
    q = theory.detection_probability(Protocol.BB84, config)
    assert abs(bob.slots.size - pulses * q) < 4 * math.sqrt(pulses * q * (1 - q))
    sent = alice.at(bob.slots)
    same = sent.settings == bob.settings
    wrong = (sent.outcomes != bob.outcomes)[same]
    expected = theory.bb84_qber(config)
    assert expected > 0.025
    assert abs(wrong.mean() - expected) < 4 * math.sqrt(expected / wrong.size)


def test_photons_that_arrive_by_the_clock_give_the_closed_form_of_jitter() -> None:
    """Photon by photon: each is told at a Gaussian time, in whatever gate that hits."""
    rng = np.random.default_rng(5)
    timing, efficiency, pulses = Timing(1000.0, 400.0, 700.0), 0.5, 400_000
    there = rng.random(pulses) < efficiency
    late = rng.normal(0.0, timing.jitter / 2.3548200450309493, pulses)
    away = np.round(late / timing.period).astype(np.int64)
    told = there & (np.abs(late - away * timing.period) < timing.gate / 2)
    own = told & (away == 0)
    strayed = np.flatnonzero(told & (away != 0))
    gates = strayed + away[strayed]
    detector = rng.integers(0, 2, strayed.size)
    inside = (gates >= 0) & (gates < pulses)
    other = np.zeros(pulses, bool)  # a stray in the detector that the photon is not for
    other[gates[inside & (detector == 1)]] = True
    any_stray = np.zeros(pulses, bool)
    any_stray[gates[inside]] = True
    clicks = LinkConfig(detector_efficiency=efficiency, detectors=Detectors(timing=timing)).clicks(
        Protocol.BB84
    )
    for seen, law in ((own & ~other, clicks.clean), (own | any_stray, clicks.any)):
        assert abs(seen.mean() - law) < 4.5 * math.sqrt(law * (1 - law) / pulses)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ({"dead_gates": -1}, "dead gates from 0"),
        ({"afterpulse": 1.0}, "afterpulse probability in"),
        ({"afterpulse": float("nan")}, "afterpulse probability in"),
        ({"afterpulse_gates": 0.0}, "afterpulse decay in"),
        ({"timing": Timing(1000.0, 1000.0, 2001.0)}, "jitter in"),
        ({"timing": Timing(1000.0, 1001.0, 0.0)}, "gate in"),
    ],
)
def test_impossible_detectors_are_refused_by_name(words: dict[str, object], what: str) -> None:
    with pytest.raises(ParameterError, match=what):
        Detectors(**words)  # type: ignore[arg-type]


def test_weak_pulses_say_by_themselves_what_their_detectors_do() -> None:
    with pytest.raises(ParameterError, match="link's detectors"):
        WeakConfig(link=LinkConfig(detectors=Detectors(dead_gates=1)))


@pytest.mark.parametrize(
    "detectors",
    [Detectors(dead_gates=1), Detectors(afterpulse=0.1), Detectors(timing=Timing(2.0, 1.0, 1.0))],
)
def test_engines_without_time_refuse_detectors_with_it(detectors: Detectors) -> None:
    config = LinkConfig(detectors=detectors)
    with pytest.raises(ParameterError):
        PackedLink(Protocol.BB84, config, Seeds.fresh())
    with pytest.raises(ParameterError, match="without memory or jitter"):
        joint_law(Protocol.BBM92, config)
    with pytest.raises(ParameterError, match="without memory or jitter"):
        Counting(protocol=Protocol.BB84, pulses=10, config=config)
