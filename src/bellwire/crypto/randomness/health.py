"""Health tests of a noise source: each sample passes all of them, or nothing is given out.

A sample is a byte as the device gives it, before any conditioning. What the tests can show is that
a source is *broken*: stuck, biased far beyond its stated min-entropy, or repeating. They cannot
show that it is random: a cipher passes them all.

Source: NIST SP 800-90B, 4.3 (what the tests must do), 4.4.1 and 4.4.2 (the first two tests). The
third is ours, as 4.5 permits: neither of the two sees a source that alternates between two values,
if one bit per sample was stated, or a driver that returns one buffer again and again. It makes the
lag predictor of 6.3.8 a continuous test.
"""

from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray

from bellwire.crypto.errors import HealthTestFailed
from bellwire.crypto.randomness.cutoffs import (
    proportion_cutoff,
    repetition_cutoff,
    run_cutoff,
    success_cutoff,
)

WINDOW = 512
"""W for samples of more than two values (SP 800-90B, 4.4.2)."""

LAGS = 1024
"""The longest period that is noticed."""

STARTUP_SAMPLES = 4096
"""Samples that must pass before any is used; the standard asks for 1,024, all lags need more."""


class HealthTest(Interface):
    """One test, fed with every sample in order."""

    def feed(self, samples: bytes) -> None:
        """Return only if it does not fail on these; HealthTestFailed."""


class RepetitionCount:
    """Fails when one value comes too often in a row: a source that is stuck.

    Args:
        entropy: H, bits per sample.
        false_alarm_log2: k; the chance of a false alarm at a sample is at most 2⁻ᵏ.
    """

    __slots__ = ("_count", "_cutoff", "_value")

    def __init__(self, entropy: float, false_alarm_log2: int) -> None:
        self._cutoff = repetition_cutoff(entropy, false_alarm_log2)
        self._value = -1
        self._count = 0

    def feed(self, samples: bytes) -> None:
        """Count; HealthTestFailed."""
        for value in samples:
            self._count = self._count + 1 if value == self._value else 1
            self._value = value
            if self._count >= self._cutoff:
                raise HealthTestFailed(
                    "repetition count", f"{self._count} equal samples in a row", self._cutoff
                )


class AdaptiveProportion:
    """Fails when a window's first value comes too often in it: a source that lost entropy.

    Args:
        entropy: H, bits per sample.
        false_alarm_log2: k; the chance of a false alarm in a window is at most 2⁻ᵏ.
        window: W samples.
    """

    __slots__ = ("_count", "_cutoff", "_seen", "_value", "_window")

    def __init__(self, entropy: float, false_alarm_log2: int, window: int = WINDOW) -> None:
        self._cutoff = proportion_cutoff(entropy, false_alarm_log2, window)
        self._window = window
        self._seen = window
        self._value = -1
        self._count = 0

    def feed(self, samples: bytes) -> None:
        """Count; HealthTestFailed."""
        for value in samples:
            if self._seen == self._window:
                self._value, self._count, self._seen = value, 0, 0
            self._seen += 1
            self._count += value == self._value
            if self._count >= self._cutoff:
                raise HealthTestFailed(
                    "adaptive proportion",
                    f"one value {self._count} times in {self._window} samples",
                    self._cutoff,
                )


class LagPrediction:
    """Fails when the past tells too much: each sample is guessed to be that of one lag before.

    The lag is the one that was right most often so far. A guess from the past is right with a
    chance of at most 2⁻ᴴ, whatever the lag: runs and windows of right guesses have exact cutoffs.

    Args:
        entropy: H, bits per sample.
        false_alarm_log2: k; the chance of a false alarm is at most 2⁻ᵏ at a sample for runs, and as
            much in a window.
        window: W guesses. After each, what lags scored counts half.
        lags: D, the longest lag.
    """

    __slots__ = ("_past", "_right", "_run", "_run_cutoff", "_scores", "_seen", "_window", "_within")

    def __init__(
        self, entropy: float, false_alarm_log2: int, window: int = WINDOW, lags: int = LAGS
    ) -> None:
        self._run_cutoff = run_cutoff(entropy, false_alarm_log2)
        self._within = success_cutoff(entropy, false_alarm_log2, window)
        self._window = window
        self._past: NDArray[np.int16] = np.full(lags, -1, np.int16)  # -1: no sample yet
        self._scores: NDArray[np.int32] = np.zeros(lags, np.int32)  # of lag D first
        self._seen = self._right = self._run = 0

    def feed(self, samples: bytes) -> None:
        """Guess and count; HealthTestFailed."""
        lags = self._past.size
        line = np.concatenate([self._past, np.frombuffer(samples, np.uint8).astype(np.int16)])
        scores = self._scores
        for at, value in enumerate(samples):
            hits = line[at : at + lags] == value
            self._count(right=bool(hits[scores.argmax()]))
            scores += hits
            if self._seen == self._window:
                self._seen = self._right = 0
                scores >>= 1
        self._past = line[line.size - lags :]

    def _count(self, *, right: bool) -> None:
        self._seen += 1
        self._right += right
        self._run = self._run + 1 if right else 0
        if self._run >= self._run_cutoff:
            raise HealthTestFailed(
                "lag prediction", f"{self._run} right guesses in a row", self._run_cutoff
            )
        if self._right >= self._within:
            raise HealthTestFailed(
                "lag prediction",
                f"{self._right} right guesses in {self._window} samples",
                self._within,
            )


class HealthTests:
    """All tests of one source. Arguments as of each."""

    __slots__ = ("_tests",)

    def __init__(self, entropy: float, false_alarm_log2: int) -> None:
        self._tests: tuple[HealthTest, ...] = (
            RepetitionCount(entropy, false_alarm_log2),
            AdaptiveProportion(entropy, false_alarm_log2),
            LagPrediction(entropy, false_alarm_log2),
        )

    def feed(self, samples: bytes) -> None:
        """Return only if no test fails on these samples; HealthTestFailed."""
        for test in self._tests:
            test.feed(samples)
