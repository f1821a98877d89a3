"""The limits hold as often as they promise, and are no looser than the plain forms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.bounds import binomial_lower_tail, hoeffding, hypergeometric

from bellwire.base.bits import binary_entropy
from bellwire.base.limits import MAX_PULSES
from bellwire.crypto.one_time_mac import forgery_bound
from bellwire.distill.bounds import (
    MAX_EPSILON,
    MIN_EPSILON,
    Epsilon,
    EpsilonBudget,
    lower_mean,
    secret_length,
    upper_mean,
    upper_rest,
    upper_sample,
)
from bellwire.distill.errors import ParameterError
from bellwire.distill.messages import MAX_BODY
from bellwire.distill.verification import collision_bound

FEW = settings(max_examples=40, derandomize=True, deadline=None)
ROUNDING = 1 + 1e-9
EPSILONS = st.sampled_from([0.2, 0.05, 1e-3, 1e-10])


@FEW
@given(n=st.integers(1, 300), share=st.floats(0, 1), epsilon=EPSILONS)
def test_a_mean_at_its_upper_limit_would_show_so_few_ones_only_epsilon_of_the_time(
    n: int, share: float, epsilon: float
) -> None:
    ones = round(share * n)
    limit = upper_mean(ones / n, n, epsilon)
    assert ones / n <= limit <= min(1.0, ones / n + hoeffding(n, epsilon)) + 1e-12
    if limit < 1.0:
        assert binomial_lower_tail(ones, n, limit) <= epsilon * ROUNDING


@FEW
@given(n=st.integers(1, 300), share=st.floats(0, 1), epsilon=EPSILONS)
def test_lower_and_upper_limits_mirror_each_other(n: int, share: float, epsilon: float) -> None:
    assert lower_mean(share, n, epsilon) == pytest.approx(1 - upper_mean(1 - share, n, epsilon))
    assert lower_mean(share, n, epsilon) <= share + 1e-12


@FEW
@given(n=st.integers(1, 300), mean=st.floats(0.001, 0.999), epsilon=EPSILONS)
def test_a_sample_exceeds_its_limit_only_epsilon_of_the_time(
    n: int, mean: float, epsilon: float
) -> None:
    limit = upper_sample(mean, n, epsilon)
    assert mean <= limit <= min(1.0, mean + hoeffding(n, epsilon)) + 1e-12
    most = math.floor(limit * n + 1e-9)
    # Pr[more than `most` ones] is that of fewer than n − most zeros.
    if most < n:
        assert binomial_lower_tail(n - most - 1, n, 1 - mean) <= epsilon * ROUNDING


@FEW
@given(
    sample=st.integers(1, 120),
    rest=st.integers(1, 120),
    share=st.floats(0, 1),
    epsilon=EPSILONS,
)
def test_the_rest_of_a_population_exceeds_its_limit_only_epsilon_of_the_time(
    sample: int, rest: int, share: float, epsilon: float
) -> None:
    ones = round(share * (sample + rest))
    failures = math.fsum(
        probability
        for seen, probability in enumerate(hypergeometric(ones, sample, rest))
        if probability and (ones - seen) / rest > upper_rest(seen / sample, sample, rest, epsilon)
    )
    assert failures <= epsilon * ROUNDING


def test_without_data_nothing_is_known() -> None:
    assert upper_mean(0.0, 0, 0.01) == 1.0
    assert lower_mean(0.0, 0, 0.01) == 0.0
    assert upper_sample(0.0, 0, 0.01) == 1.0
    assert upper_rest(0.0, 0, 100, 0.01) == 1.0
    assert upper_rest(0.3, 100, 0, 0.01) == 0.0


def test_more_data_gives_tighter_limits() -> None:
    sizes = [100, 1_000, 10_000, 100_000]
    for limit in (upper_mean, upper_sample):
        values = [limit(0.02, n, 1e-10) for n in sizes]
        assert values == sorted(values, reverse=True)
        assert values[-1] < 0.025
    for rest in (100, 100_000):  # the samples are the larger part, and the smaller
        rests = [upper_rest(0.02, n, rest, 1e-10) for n in sizes]
        assert rests == sorted(rests, reverse=True)


@FEW
@given(sample=st.integers(1, 10**7), rest=st.integers(1, 10**7), share=st.floats(0, 1))
def test_the_limit_of_the_rest_is_above_what_was_seen(sample: int, rest: int, share: float) -> None:
    assert share <= upper_rest(share, sample, rest, 1e-10) <= 1.0


def test_few_errors_in_a_small_sample_are_worth_more_than_serfling_knows() -> None:
    sample, rest = 100_000, 400_000
    serfling = math.sqrt(1.25 * 100_001 / 100_000 * math.log(1e20) / (2 * sample))
    assert upper_rest(0.02, sample, rest, 1e-20) - 0.02 < 0.36 * serfling


@FEW
@given(exponent=st.floats(math.log10(MIN_EPSILON), math.log10(MAX_EPSILON)))
def test_the_longest_block_spends_no_more_than_its_epsilon(exponent: float) -> None:
    budget = EpsilonBudget.divide(min(MAX_EPSILON, max(MIN_EPSILON, 10.0**exponent)))
    # Slots, settings, outcomes and seed of both sides, parities with their frames.
    longest = 12 * MAX_BODY
    spent = budget.secrecy + collision_bound(MAX_PULSES) + 4 * forgery_bound(longest)
    assert spent <= budget.total


def test_parts_of_epsilon_add_within_a_block_and_over_blocks() -> None:
    first = Epsilon(secrecy=2**-34, correctness=2**-80, authentication=2**-78)
    second = Epsilon(secrecy=2**-40, correctness=0.0, authentication=2**-79)
    assert first.total == 2**-34 + 2**-80 + 2**-78
    both = first + second
    assert (both.secrecy, both.correctness) == (2**-34 + 2**-40, 2**-80)
    assert both.authentication == 2**-78 + 2**-79
    assert both.total == pytest.approx(first.total + second.total, rel=1e-15)


@pytest.mark.parametrize("total", [0.0, -1e-10, 1e-21, 2e-3, math.nan, math.inf])
def test_an_epsilon_out_of_range_is_refused(total: float) -> None:
    with pytest.raises(ParameterError, match="expected 1e-20 to"):
        EpsilonBudget.divide(total)


def test_the_length_is_entropy_less_what_leaked_less_what_hashing_costs() -> None:
    budget = EpsilonBudget.divide(1e-10)
    cost = 2 * math.log2(1 / (2 * budget.amplification))
    entropy = 10_000 * (1 - binary_entropy(0.05)) + 8_000 * (1 - binary_entropy(0.1))
    assert secret_length([(10_000, 0.05), (8_000, 0.1)], 1234, budget) == math.floor(
        entropy - 1234 - cost
    )


def test_a_part_with_half_its_phases_wrong_gives_nothing_and_takes_nothing() -> None:
    budget = EpsilonBudget.divide(1e-10)
    good = secret_length([(10_000, 0.05)], 100, budget)
    for bad in (0.5, 0.7, 1.0):
        assert secret_length([(10_000, 0.05), (10_000, bad)], 100, budget) == good
    assert secret_length([(100, 0.05)], 5_000, budget) == 0


def test_limits_hold_in_the_long_run() -> None:
    rng = np.random.default_rng(1)
    epsilon, runs, n, mean = 0.05, 2_000, 400, 0.07
    seen = rng.binomial(n, mean, runs) / n
    missed = sum(upper_mean(float(share), n, epsilon) < mean for share in seen)
    exceeded = (seen > upper_sample(mean, n, epsilon)).mean()
    # Three standard errors of a frequency of 5 % in 2,000 runs.
    assert missed / runs <= epsilon + 0.015
    assert exceeded <= epsilon + 0.015
    assert missed  # a limit that is never missed would be no test of the frequency
