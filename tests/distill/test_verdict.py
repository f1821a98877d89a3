"""What is accepted, what is rejected, and what is too small to say."""

import math

import numpy as np
import pytest

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES
from bellwire.base.bits import binary_entropy
from bellwire.distill.bounds import EpsilonBudget
from bellwire.distill.errors import ParameterError
from bellwire.distill.estimation import Correlations, ErrorRate
from bellwire.distill.verdict import Reason, Rejection, Rules, judge_e91, judge_qber

BUDGET = EpsilonBudget.divide(1e-10)
RULES = Rules()


def expected(n: int, visibility: float, axis: float | None = None) -> Correlations:
    """Counts at exactly the expected correlations, n pairs for each pair of settings."""
    alice, bob = np.array(ALICE_ANGLES)[:, None], np.array(BOB_ANGLES)[None, :]
    if axis is None:
        correlation = visibility * np.cos(alice - bob)
    else:
        correlation = visibility * np.cos(alice - axis) * np.cos(bob - axis)
    pairs = np.full((3, 3), n)
    return Correlations(pairs, np.rint(n * 0.5 * (1 - correlation)).astype(np.int64))


def reason(rejection: Rejection | None) -> Reason | None:
    return None if rejection is None else rejection.reason


def test_clean_light_is_accepted() -> None:
    assert judge_e91(expected(20_000, 0.96), RULES, BUDGET) is None


@pytest.mark.parametrize("axis", [0.0, math.pi / 8, math.pi / 4, 3 * math.pi / 8, math.pi / 2, 2.0])
def test_eve_on_any_axis_is_rejected_on_s(axis: float) -> None:
    counts = expected(20_000, 1.0, axis)
    assert counts.chsh == pytest.approx(math.sqrt(2), abs=1e-3)
    assert reason(judge_e91(counts, RULES, BUDGET)) is Reason.CHSH


def test_eve_at_three_eighths_of_pi_passes_on_qber_and_fails_on_s() -> None:
    counts = expected(20_000, 1.0, 3 * math.pi / 8)
    key = counts.rate(1, 0) + counts.rate(2, 1)
    assert key.value == pytest.approx(0.0732, abs=1e-3)
    assert judge_qber(key, RULES, BUDGET) is None
    # BBM92's asymptotic bound would even have promised key: here it knows nothing of her.
    assert 1 - 2 * binary_entropy(key.value) > 0.2
    assert reason(judge_e91(counts, RULES, BUDGET)) is Reason.CHSH


def test_a_good_s_that_does_not_certainly_exceed_two_is_too_few() -> None:
    counts = expected(3_000, 2.3 / (2 * math.sqrt(2)))
    assert counts.chsh >= RULES.chsh_floor
    assert counts.chsh_lower(BUDGET.estimation) <= 2.0
    rejection = judge_e91(counts, RULES, BUDGET)
    assert reason(rejection) is Reason.TOO_FEW


def test_below_the_floor_is_chsh_even_where_the_limit_exceeds_two() -> None:
    counts = expected(2_000_000, 2.15 / (2 * math.sqrt(2)))
    assert counts.chsh_lower(BUDGET.estimation) > 2.0
    assert reason(judge_e91(counts, RULES, BUDGET)) is Reason.CHSH


@pytest.mark.parametrize("n", [0, 1, 10, 100, 500])
@pytest.mark.parametrize("axis", [None, math.pi / 4])
def test_a_tiny_block_is_too_few_whoever_listens(n: int, axis: float | None) -> None:
    assert reason(judge_e91(expected(n, 1.0, axis), RULES, BUDGET)) is Reason.TOO_FEW


def test_qber_at_the_limit_is_rejected_and_below_it_is_not() -> None:
    assert judge_qber(ErrorRate(1_099, 10_000), RULES, BUDGET) is None
    assert reason(judge_qber(ErrorRate(1_100, 10_000), RULES, BUDGET)) is Reason.QBER


@pytest.mark.parametrize("errors", [0, 50, 100])
def test_a_small_sample_is_too_few_however_good_or_bad(errors: int) -> None:
    assert reason(judge_qber(ErrorRate(errors, 100), RULES, BUDGET)) is Reason.TOO_FEW


def test_no_sample_at_all_is_too_few() -> None:
    assert reason(judge_qber(ErrorRate(0, 0), RULES, BUDGET)) is Reason.TOO_FEW


@pytest.mark.parametrize(
    "rules",
    [{"red_qber": 0.0}, {"red_qber": 0.51}, {"chsh_floor": 1.9}, {"chsh_floor": 2.829}],
)
def test_limits_that_mean_nothing_are_refused(rules: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match="expected"):
        Rules(**rules)
