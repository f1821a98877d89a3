"""Cutoffs of the health tests: published ones, and exact arithmetic beside floats."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import health

from bellwire.crypto.randomness import cutoffs


@pytest.mark.parametrize(
    ("entropy", "k", "cutoff"),
    [
        (0.5, 20, 41),  # Go, crypto/internal/entropy v1.0.0, RepetitionCountTest
        (8.0, 20, 4),  # Bouncy Castle's entropy factors: C = 4 for H = 8
        (1.0, 30, 31),  # by the formula of SP 800-90B, 4.4.1
    ],
)
def test_the_repetition_cutoff_is_the_published_one(entropy: float, k: int, cutoff: int) -> None:
    assert cutoffs.repetition_cutoff(entropy, k) == cutoff


@pytest.mark.parametrize(
    ("entropy", "cutoff"),
    [
        (0.5, 410),  # Go, crypto/internal/entropy v1.0.0, AdaptiveProportionTest
        (8.0, 13),  # Bouncy Castle; the data sheet of Nordic's nRF54LS05B, TRNG
    ],
)
def test_the_binomial_quantile_is_that_of_the_standards_formula(
    entropy: float, cutoff: int
) -> None:
    # 1 + CRITBINOM(W, 2^-H, 1 - α) with W = 512 and α = 2^-20, where CRITBINOM is the smallest
    # number that is not exceeded with a chance of at least 1 - α.
    assert cutoffs.success_cutoff(entropy, 20, 512) == cutoff


@pytest.mark.parametrize(
    ("rate", "cutoff"),
    list(enumerate([325, 422, 459, 477, 488, 494, 499, 502, 505, 507, 508, 509, 510, 511], 1)),
)
def test_the_proportion_cutoff_is_that_of_linux_jitterentropy(rate: int, cutoff: int) -> None:
    # Linux, crypto/jitterentropy.c, jent_apt_cutoff_lookup: H = 1/rate, W = 512, α = 2^-30, with
    # the first sample allowed for: 2 + qbinom(1 - 2^-30, 511, 2^(-1/rate)).
    assert cutoffs.proportion_cutoff(1 / rate, 30, 512) == cutoff


@pytest.mark.parametrize(
    ("rate", "cutoff"), list(enumerate([355, 447, 479, 494, 502, 507, 510], 1))
)
def test_a_rarer_false_alarm_has_the_cutoff_of_linux_too(rate: int, cutoff: int) -> None:
    assert cutoffs.proportion_cutoff(1 / rate, 60, 512) == cutoff  # …_permanent_lookup


@settings(max_examples=25, deadline=None)
@given(
    entropy=st.floats(0.5, 8.0),
    k=st.integers(1, 60),
    trials=st.integers(1, 100),
)
def test_every_cutoff_is_that_of_exact_arithmetic(entropy: float, k: int, trials: int) -> None:
    exact = health.success_cutoff(Fraction(2.0**-entropy), Fraction(1, 2**k), trials)
    assert cutoffs.success_cutoff(entropy, k, trials) == exact


def test_a_test_that_cannot_fail_has_a_cutoff_beyond_its_window() -> None:
    assert cutoffs.success_cutoff(0.5, 40, 8) == 9
