"""χ(S) against states and measurements; the tradeoff function; how many pairs it takes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.reference import bell_circuits as circuits

from bellwire.base.angles import CHSH_TERMS, KEY_PAIRS
from bellwire.base.detections import Side
from bellwire.distill.errors import ParameterError
from bellwire.distill.theorems import acin_2007, dupuis_fawzi_2019
from bellwire.distill.theorems.arnon_friedman_2018 import (
    CLASSICAL_SCORE,
    QUANTUM_SCORE,
    best_test_share,
    entropy_per_round,
    key_length,
    score,
    tangent,
)

TSIRELSON = 2 * math.sqrt(2)
EPSILONS = {"secrecy": 1e-10, "correctness": 1e-12}
PAULIS = (circuits.X, circuits.Z)


def von_neumann(rho: NDArray[np.complex128]) -> float:
    values = np.linalg.eigvalsh(rho)
    return float(-sum(x * math.log2(x) for x in values if x > 1e-15))


def hidden(rho: NDArray[np.complex128], angle: float) -> float:
    """H(A | Eve) of Alice's bit along `angle`, Eve holding what purifies the pair.

    Given Alice's outcome, Eve and Bob are pure together: Eve's entropy is Bob's.
    """
    axis = math.sin(angle) * circuits.X + math.cos(angle) * circuits.Z
    total = -von_neumann(rho)
    for sign in (1, -1):
        projector = np.kron((np.eye(2) + sign * axis) / 2, np.eye(2))
        part = (projector @ rho @ projector).reshape(2, 2, 2, 2)
        bob = np.trace(part, axis1=0, axis2=2)
        chance = float(np.trace(bob).real)
        if chance > 1e-12:
            total += chance * von_neumann(bob / chance) - chance * math.log2(chance)
    return total


def best_chsh(rho: NDArray[np.complex128], first: float, second: float) -> float:
    """S with Bob's best settings anywhere, Alice's two being given."""
    every = (circuits.X, circuits.Y, circuits.Z)
    tensor = np.array(
        [[np.trace(np.kron(a, b) @ rho).real for b in every] for a in (circuits.X, circuits.Z)]
    )
    a = [np.array([math.sin(x), math.cos(x)]) @ tensor for x in (first, second)]
    return float(np.linalg.norm(a[0] + a[1]) + np.linalg.norm(a[0] - a[1]))


def random_state(rng: np.random.Generator) -> NDArray[np.complex128]:
    """Near a Bell pair, with noise of its own and amplitudes of any two qubits."""
    noise = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
    mixed = noise @ noise.conj().T
    share = rng.random() ** 2 * 0.4
    bell = circuits.pair((0.0, 0.0, rng.random() * 0.3))
    return np.asarray((1 - share) * bell + share * mixed / np.trace(mixed).real)


def test_no_state_and_no_setting_leaves_eve_more_than_s_allows() -> None:
    rng = np.random.default_rng(1)
    violations = 0
    for _ in range(400):
        rho, first = random_state(rng), rng.random() * math.pi
        s = best_chsh(rho, first, first + math.pi / 2 + rng.normal() * 0.3)
        violations += s > 2.0
        assert hidden(rho, first) >= 1.0 - acin_2007.eve_information(s) - 1e-9
    assert violations > 100


@pytest.mark.parametrize("s", [2.1, 2.4, 2.7])
def test_one_state_leaves_eve_exactly_what_s_allows(s: float) -> None:
    phase = (1.0 - math.sqrt((s / 2) ** 2 - 1.0)) / 2.0
    rho = circuits.pair((0.0, 0.0, phase))
    found = [
        (best_chsh(rho, first, second), hidden(rho, first))
        for first in np.linspace(0, math.pi, 31)
        for second in np.linspace(0, math.pi, 31)
    ]
    tight = [h for value, h in found if value >= s - 1e-9]
    assert min(tight) == pytest.approx(1.0 - acin_2007.eve_information(s), abs=1e-9)


def test_the_reference_is_the_side_whose_key_setting_is_one_of_s() -> None:
    assert acin_2007.REFERENCE == (Side.BOB, Side.ALICE)  # π/4 and π/2
    for (alice, bob), side in zip(KEY_PAIRS, acin_2007.REFERENCE, strict=True):
        in_s = {a for a, _, _ in CHSH_TERMS}, {b for _, b, _ in CHSH_TERMS}
        assert (alice in in_s[0]) == (side is Side.ALICE)
        assert (bob in in_s[1]) == (side is Side.BOB)


def test_eve_knows_all_without_a_violation_and_nothing_at_the_quantum_limit() -> None:
    assert acin_2007.eve_information(2.0) == acin_2007.eve_information(-3.0) == 1.0
    assert acin_2007.eve_information(TSIRELSON) == pytest.approx(0.0, abs=1e-7)
    assert acin_2007.eve_information(3.0) == 0.0
    known = [acin_2007.eve_information(s) for s in np.linspace(2.0, TSIRELSON, 50)]
    assert known == sorted(known, reverse=True)
    assert acin_2007.key_fraction(0.5, 2.8) == 0.0
    assert acin_2007.key_fraction(0.0, 2.0) == 0.0
    assert acin_2007.key_fraction(0.0, TSIRELSON + 1e-12) == 1.0


@pytest.mark.parametrize(("qber", "chsh"), [(-0.1, 2.5), (1.1, 2.5), (0.1, 4.1), (0.1, math.nan)])
def test_rates_and_s_that_cannot_be_are_refused(qber: float, chsh: float) -> None:
    with pytest.raises(ParameterError, match=r"qber|S:"):
        acin_2007.key_fraction(qber, chsh)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(at=st.floats(0.7501, 0.8535), won=st.floats(1 - QUANTUM_SCORE, QUANTUM_SCORE))
def test_a_tangent_is_nowhere_above_the_entropy(at: float, won: float) -> None:
    assert tangent(won, at)[0] <= entropy_per_round(won) + 1e-9
    assert tangent(at, at)[0] == entropy_per_round(at)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    at=st.floats(0.7501, 0.8535),
    won=st.floats(1 - QUANTUM_SCORE, QUANTUM_SCORE),
    share=st.floats(0.001, 1.0),
)
def test_the_tradeoff_function_has_the_mean_spread_and_variance_that_are_claimed(
    at: float, won: float, share: float
) -> None:
    value, slope = tangent(won, at)
    flat = tangent(1.0, at)[0]
    law = {flat - slope / share: share * (1 - won), flat: share * won + 1 - share}
    mean = sum(f * p for f, p in law.items())
    assert mean == pytest.approx(value, rel=1e-9, abs=1e-9)
    variance = sum(p * (f - mean) ** 2 for f, p in law.items())
    assert variance <= slope**2 * QUANTUM_SCORE / share * (1 + 1e-9)
    assert flat - mean <= slope * QUANTUM_SCORE * (1 + 1e-9)


def test_it_takes_very_many_pairs_and_then_all_that_is_proved_of_endless_ones() -> None:
    qber, chsh = 0.02, TSIRELSON * 0.96
    rates = []
    for n in (1e5, 1e6, 1e8, 1e12, 1e16):
        share, length = best_test_share(n, qber, chsh, efficiency=1.0, **EPSILONS)
        assert 0.0 < share <= 0.5
        rates.append(length / n)
    assert rates[0] == 0.0 < rates[1] < 0.1
    assert rates == sorted(rates)
    limit = acin_2007.key_fraction(qber, chsh)
    assert 0.995 * limit < rates[-1] < limit


def test_with_four_ninths_of_tests_there_is_no_key_at_any_size() -> None:
    for n in (1e6, 1e9, 1e15):
        assert key_length(n, 4 / 9, QUANTUM_SCORE - 1e-9, 4 / 9 * n, 0.6 * n, **EPSILONS) == 0


def test_without_violation_tests_or_rounds_nothing_is_proved() -> None:
    assert key_length(1e12, 0.1, CLASSICAL_SCORE, 0.0, 0.0, **EPSILONS) == 0
    assert key_length(1e12, 0.0, 0.85, 0.0, 0.0, **EPSILONS) == 0
    assert key_length(0.0, 0.1, 0.85, 0.0, 0.0, **EPSILONS) == 0
    assert key_length(10.0, 0.1, 0.85, 1.0, 0.0, **EPSILONS) == 0
    assert score(TSIRELSON) == pytest.approx(QUANTUM_SCORE)
    assert score(2.0) == CLASSICAL_SCORE


def test_more_of_a_cost_gives_less_key() -> None:
    base = key_length(1e9, 0.02, 0.84, 2e7, 1e8, **EPSILONS)
    assert base > 0
    assert key_length(1e9, 0.02, 0.84, 3e7, 1e8, **EPSILONS) == pytest.approx(base - 1e7, abs=1)
    assert key_length(1e9, 0.02, 0.84, 2e7, 2e8, **EPSILONS) == pytest.approx(base - 1e8, abs=1)
    assert key_length(1e9, 0.02, 0.83, 2e7, 1e8, **EPSILONS) < base
    assert key_length(1e9, 0.02, 0.84, 2e7, 1e8, secrecy=1e-15, correctness=1e-12) < base


def test_a_steep_function_promises_nothing_rather_than_overflow() -> None:
    steep = dupuis_fawzi_2019.Tradeoff(value=1.0, spread=1e6, variance=1e12, dimension=4)
    assert dupuis_fawzi_2019.accumulated_at(1e9, steep, 1e-10, 1e-10, 0.1) == -math.inf
    assert dupuis_fawzi_2019.accumulated(1e9, steep, 1e-10, 1e-10) < 0.0


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"rounds": -1.0}, "rounds"),
        ({"rounds": math.inf}, "rounds"),
        ({"test_share": 1.5}, "test share"),
        ({"won": math.nan}, "won"),
        ({"tests": 2e9}, "tests"),
        ({"leaked_bits": -1.0}, "leaked"),
        ({"secrecy": 0.5}, "secrecy"),
        ({"correctness": 0.0}, "correctness"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changed: dict[str, float], named: str) -> None:
    good = {
        "rounds": 1e9,
        "test_share": 0.1,
        "won": 0.84,
        "tests": 1e8,
        "leaked_bits": 0.0,
        **EPSILONS,
    }
    with pytest.raises(ParameterError, match=named):
        key_length(**{**good, **changed})
