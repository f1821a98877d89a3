"""What counts say: correlations, S, limits on phase errors, against counting by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import bounds as reference_bounds
from tests.reference import correlations as reference

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES, CHSH_TERMS
from bellwire.base.bits import binary_entropy
from bellwire.base.detections import Protocol
from bellwire.distill.bounds import EpsilonBudget
from bellwire.distill.estimation import (
    Correlations,
    ErrorRate,
    conjugate_phase_errors,
    e91_phase_errors,
)
from bellwire.distill.evidence import Evidence

BUDGET = EpsilonBudget.divide(1e-10)
FEW = settings(max_examples=30, derandomize=True, deadline=None)


def counted(
    n: int, visibility: float, seed: int
) -> tuple[Correlations, dict[tuple[int, int], float]]:
    """n pairs in random settings: our counts, and the correlations counted one by one."""
    rng = np.random.default_rng(seed)
    alice, bob = (rng.integers(0, 3, n).astype(np.uint8) for _ in range(2))
    angle = np.radians(45.0 * alice.astype(float) - 45.0 * (bob.astype(float) + 1))
    a = rng.integers(0, 2, n, np.uint8)
    flips = rng.random(n) < 0.5 * (1 - visibility * np.cos(angle))
    b = (a ^ flips).astype(np.uint8)
    ours = Correlations.count(alice, bob, a, b)
    return ours, reference.correlations(alice.tolist(), bob.tolist(), a.tolist(), b.tolist())


@FEW
@given(n=st.integers(500, 3_000), visibility=st.floats(0, 1), seed=st.integers(0, 99))
def test_correlations_and_s_are_those_counted_pair_by_pair(
    n: int, visibility: float, seed: int
) -> None:
    ours, slow = counted(n, visibility, seed)
    for row in ours.table():
        pair = round(row["alice_deg"]), round(row["bob_deg"])
        assert row["value"] == pytest.approx(slow[pair])
    assert ours.chsh == pytest.approx(reference.chsh(slow))


def limits_of(ours: Correlations, key_bits: tuple[int, int]) -> list[tuple[float, float]]:
    """(ours, Hoeffding's) upper limit of each key setting's phase error."""
    complements = (((2, 2), (0, 2)), ((0, 0), (0, 2)))
    plain = [
        reference_bounds.e91_phase_error(
            (ours.value(*first), int(ours.pairs[first])),
            (ours.value(*second), int(ours.pairs[second])),
            bits,
            BUDGET.estimation,
            BUDGET.smoothing**2 / 2,
        )
        for (first, second), bits in zip(complements, key_bits, strict=True)
    ]
    return list(zip(e91_phase_errors(ours, key_bits, BUDGET), plain, strict=True))


@FEW
@given(n=st.sampled_from([2_000, 20_000]), visibility=st.floats(0.5, 1), seed=st.integers(0, 99))
def test_phase_error_limits_lie_between_the_estimate_and_the_plain_hoeffding_form(
    n: int, visibility: float, seed: int
) -> None:
    ours, slow = counted(n, visibility, seed)
    for (tight, plain), estimate in zip(
        limits_of(ours, (n // 9, n // 9)), reference.phase_errors(slow), strict=True
    ):
        assert max(0.0, estimate) <= tight <= min(1.0, plain) + 1e-12


def test_phase_error_limits_are_wrong_no_more_often_than_they_may() -> None:
    loose = EpsilonBudget(total=0.4, estimation=0.05, smoothing=math.sqrt(0.1), amplification=0.05)
    visibility, n, runs = 0.9, 2_000, 300
    truth = 0.5 * (1 - visibility)
    rng = np.random.default_rng(4)
    failures = 0
    for seed in range(runs):
        ours, _ = counted(n, visibility, seed)
        limits = e91_phase_errors(ours, (200, 200), loose)
        phases = rng.binomial(200, truth, 2) / 200
        failures += any(phases > limits)
    # Three correlations at 5 % each and two samples at 5 % each.
    assert failures / runs <= 3 * 0.05 + 2 * 0.05


def test_the_limit_of_a_key_setting_rests_on_its_own_two_correlations() -> None:
    pairs = np.full((3, 3), 20_000)
    different = np.full((3, 3), 10_000)
    different[2, 2], different[0, 2] = 3_000, 17_000  # good for π/4, and half of π/2's
    first, second = e91_phase_errors(Correlations(pairs, different), (10_000, 10_000), BUDGET)
    assert first < 0.1
    assert second > 0.25


def test_no_coincidences_mean_the_worst_and_no_key_bits_mean_nothing_known() -> None:
    none = Correlations(np.zeros((3, 3), np.int64), np.zeros((3, 3), np.int64))
    assert e91_phase_errors(none, (100, 0), BUDGET) == (1.0, 1.0)
    assert none.chsh == 0.0
    assert none.chsh_lower(BUDGET.estimation) == -4.0
    assert none.chsh_stderr == 2.0
    assert none.table() == []


def test_the_lower_limit_of_s_is_below_s_and_at_most_hoeffdings_deviations_below() -> None:
    ours, _ = counted(30_000, 0.96, 5)
    plain = ours.chsh - sum(
        2 * reference_bounds.hoeffding(int(ours.pairs[a, b]), BUDGET.estimation)
        for a, b, _ in CHSH_TERMS
    )
    assert plain <= ours.chsh_lower(BUDGET.estimation) < ours.chsh


def test_a_basis_is_bounded_by_the_sample_of_the_other_one() -> None:
    quiet, loud = ErrorRate(10, 2_000), ErrorRate(200, 2_000)
    first, second = conjugate_phase_errors((quiet, loud), (4_000, 4_000), BUDGET)
    assert first > loud.value > second > quiet.value
    # Fewer errors vary less: theirs is the smaller surplus.
    assert second - quiet.value < 0.6 * (first - loud.value)
    assert binary_entropy(second) < binary_entropy(first)


def test_key_counts_join_the_table_of_correlations() -> None:
    ours, _ = counted(9_000, 0.96, 6)
    joined = ours.with_key(ErrorRate(20, 1_000), ErrorRate(30, 1_000))
    assert joined.pairs[1, 0] == ours.pairs[1, 0] + 1_000
    assert joined.different[2, 1] == ours.different[2, 1] + 30
    assert joined.chsh == ours.chsh


def test_an_empty_sample_has_no_errors_and_no_spread() -> None:
    assert ErrorRate(0, 0).value == 0.0
    assert ErrorRate(0, 0).stderr == 0.0
    assert (ErrorRate(1, 10) + ErrorRate(2, 20)).value == 0.1


def test_the_bound_of_conjugate_bases_is_never_used_for_e91() -> None:
    # Eve at 3π/8: the errors of the key alone would promise BBM92's share of it.
    n, eve = 20_000, 3 * math.pi / 8
    cosines = np.multiply.outer(
        np.cos(np.array(ALICE_ANGLES) - eve), np.cos(np.array(BOB_ANGLES) - eve)
    )
    counts = Correlations(np.full((3, 3), n), np.rint(n * (1 - cosines) / 2).astype(np.int64))
    sample = ErrorRate(round(0.0732 * n), n)
    nothing, beside = (
        Evidence(Protocol.E91, samples, counts).key_length((n, n), 0, BUDGET)[1]["phase_errors"]
        for samples in ((ErrorRate(0, 0), ErrorRate(0, 0)), (sample, sample))
    )
    assert nothing == beside == e91_phase_errors(counts, (n, n), BUDGET)
    bases = Evidence(Protocol.BBM92, (sample, sample), None)
    of_bases = bases.key_length((n, n), 0, BUDGET)[1]["phase_errors"]
    assert of_bases == conjugate_phase_errors((sample, sample), (n, n), BUDGET)
    assert max(of_bases) < 0.13
    assert min(nothing) > 0.42
