"""Health tests: equal to their slow twins, silent on good sources, loud on broken ones."""

from collections.abc import Callable
from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import health

from bellwire.crypto.errors import HealthTestFailed
from bellwire.crypto.randomness import cutoffs
from bellwire.crypto.randomness.health import (
    LAGS,
    STARTUP_SAMPLES,
    AdaptiveProportion,
    HealthTest,
    HealthTests,
    LagPrediction,
    RepetitionCount,
)

FEW_VALUES = st.lists(st.integers(0, 2), max_size=150)


def good(count: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).bytes(count)


def fails_at(test: HealthTest, samples: bytes, piece: int = 1) -> int | None:
    """In pieces of one the sample is known; longer ones tell only the piece."""
    for at in range(0, len(samples), piece):
        try:
            test.feed(samples[at : at + piece])
        except HealthTestFailed:
            return at
    return None


@settings(max_examples=60, deadline=None)
@given(samples=FEW_VALUES, k=st.integers(1, 8), entropy=st.sampled_from([0.5, 1.0, 1.58]))
def test_repetitions_are_counted_as_by_definition(
    samples: list[int], k: int, entropy: float
) -> None:
    expected = health.repetition_fails_at(samples, cutoffs.repetition_cutoff(entropy, k))
    assert fails_at(RepetitionCount(entropy, k), bytes(samples)) == expected


@settings(max_examples=60, deadline=None)
@given(samples=FEW_VALUES, k=st.integers(1, 8), window=st.integers(2, 40))
def test_proportions_are_counted_as_by_definition(samples: list[int], k: int, window: int) -> None:
    expected = health.proportion_fails_at(
        samples, cutoffs.proportion_cutoff(1.0, k, window), window
    )
    assert fails_at(AdaptiveProportion(1.0, k, window), bytes(samples)) == expected


@given(samples=FEW_VALUES, k=st.integers(1, 12), window=st.integers(2, 40), lags=st.integers(1, 20))
def test_guesses_are_counted_as_by_definition(
    samples: list[int], k: int, window: int, lags: int
) -> None:
    expected = health.lag_fails_at(
        samples,
        cutoffs.run_cutoff(1.0, k),
        cutoffs.success_cutoff(1.0, k, window),
        window,
        lags,
    )
    assert fails_at(LagPrediction(1.0, k, window, lags), bytes(samples)) == expected


@settings(max_examples=30, deadline=None)
@given(samples=st.lists(st.integers(0, 1), min_size=50, max_size=400), cut=st.integers(1, 60))
def test_pieces_fail_where_the_whole_does(samples: list[int], cut: int) -> None:
    makers: list[Callable[[], HealthTest]] = [
        lambda: RepetitionCount(1.0, 8),
        lambda: AdaptiveProportion(1.0, 5, 32),
        lambda: LagPrediction(1.0, 8, 32, 16),
    ]
    for make in makers:
        exact = fails_at(make(), bytes(samples))
        in_pieces = fails_at(make(), bytes(samples), cut)
        assert in_pieces == (None if exact is None else exact - exact % cut)


def _four_values(count: int, seed: int) -> bytes:
    """Values with chances 1/2, 1/4, 1/8, 1/8: exactly 1 bit of min-entropy."""
    values = np.array([0, 1, 2, 3], np.uint8)
    return np.random.default_rng(seed).choice(values, count, p=[0.5, 0.25, 0.125, 0.125]).tobytes()


def test_a_window_raises_the_alarm_as_often_as_reckoned() -> None:
    window, k, trials = 64, 5, 4000
    samples = np.random.default_rng(7).integers(0, 2, (trials, window), dtype=np.uint8)
    alarms = sum(
        fails_at(AdaptiveProportion(1.0, k, window), each.tobytes(), window) is not None
        for each in samples
    )
    # Fair bits: the count of the first one is 1 + Binomial(W − 1, 1/2).
    least = cutoffs.proportion_cutoff(1.0, k, window) - 1
    chance = float(health.tail(least, window - 1, Fraction(1, 2)))
    assert chance <= 2.0**-k
    assert abs(alarms - trials * chance) < 4.5 * sqrt(trials * chance * (1 - chance))


def test_a_run_raises_the_alarm_as_often_as_reckoned() -> None:
    k, trials = 6, 4000
    cutoff = cutoffs.repetition_cutoff(1.0, k)
    samples = np.random.default_rng(8).integers(0, 2, (trials, cutoff), dtype=np.uint8)
    alarms = sum(
        fails_at(RepetitionCount(1.0, k), each.tobytes(), cutoff) is not None for each in samples
    )
    chance = 2.0**-k  # so many equal fair bits
    assert abs(alarms - trials * chance) < 4.5 * sqrt(trials * chance * (1 - chance))


@pytest.mark.parametrize(
    "make",
    [
        lambda: AdaptiveProportion(1.0, 6, 64),
        lambda: LagPrediction(1.0, 6, 64, 32),
    ],
    ids=["proportion", "lag"],
)
def test_a_source_with_just_its_entropy_raises_no_more_alarms_than_stated(
    make: Callable[[], HealthTest],
) -> None:
    windows, alarms = 1500, 0
    test = make()
    for at in range(windows):
        try:
            test.feed(_four_values(64, seed=at))
        except HealthTestFailed:
            alarms += 1
            test = make()
    # Each window may fail by its count; guesses also by a run, at each of its samples.
    stated = 2.0**-6 if isinstance(test, AdaptiveProportion) else 64 * 2.0**-6 * 0.5 + 2.0**-6
    assert alarms <= windows * stated + 4.5 * sqrt(windows * stated)


@pytest.mark.parametrize("entropy", [0.5, 1.0, 4.0, 7.9])
def test_good_bytes_pass_for_long(entropy: float) -> None:
    HealthTests(entropy, 40).feed(good(60_000))


STEPS = np.arange(STARTUP_SAMPLES)
BROKEN = {
    "stuck": bytes(STARTUP_SAMPLES),
    "stuck at the end": good(STARTUP_SAMPLES - 200) + b"\x5a" * 200,
    "two values in turn": bytes([17, 203] * (STARTUP_SAMPLES // 2)),
    "a counter": (STEPS % 256).astype(np.uint8).tobytes(),
    "one buffer again and again": good(LAGS) * (STARTUP_SAMPLES // LAGS),
    "biased": (np.random.default_rng(3).random(STARTUP_SAMPLES) < 0.25).astype(np.uint8).tobytes(),
}


@pytest.mark.parametrize("samples", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("k", [20, 40])
def test_a_broken_source_fails_the_start_up_test(samples: bytes, k: int) -> None:
    assert len(samples) == STARTUP_SAMPLES
    with pytest.raises(HealthTestFailed, match="of the random device failed"):
        HealthTests(1.0, k).feed(samples)


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("stuck", "repetition count"),
        ("biased", "adaptive proportion"),
        ("two values in turn", "lag prediction"),
        ("one buffer again and again", "lag prediction"),
    ],
)
def test_each_test_finds_what_it_is_for(name: str, test: str) -> None:
    with pytest.raises(HealthTestFailed) as failed:
        HealthTests(1.0, 40).feed(BROKEN[name])
    assert failed.value.test == test


def test_fewer_bits_than_stated_are_noticed() -> None:
    nibbles = bytes(value & 15 for value in good(40_000))
    HealthTests(3.9, 40).feed(nibbles)
    with pytest.raises(HealthTestFailed):
        HealthTests(7.5, 40).feed(nibbles)


def test_failures_say_counts_and_no_samples() -> None:
    with pytest.raises(HealthTestFailed) as failed:
        HealthTests(1.0, 20).feed(b"\xab" * 100)
    assert str(failed.value) == (
        "the repetition count test of the random device failed: 21 equal samples in a row, limit 21"
    )
