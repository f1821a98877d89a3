"""Every step on Bell-diagonal pairs is what its circuit does to density matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import bell_circuits as circuits

from bellwire.link.bell_pairs import BellPairs, Memory, purified, stored, swapped

SHARES = st.floats(0.0, 1.0)


@st.composite
def errors(draw: st.DrawFn) -> tuple[float, float, float]:
    """Probabilities of X, Y and Z that leave something for no error."""
    parts = [draw(st.floats(0.0, 1.0)) for _ in range(4)]
    total = sum(parts) or 1.0
    return parts[0] / total, parts[1] / total, parts[2] / total


def of(matrix: circuits.Matrix) -> BellPairs:
    return BellPairs.alike(*circuits.correlations(matrix), 1)


def same(pairs: BellPairs, matrix: circuits.Matrix) -> None:
    found = (pairs.x[0], pairs.y[0], pairs.z[0])
    assert found == pytest.approx(circuits.correlations(matrix), abs=1e-12)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(errors(), errors(), SHARES)
def test_a_swap_is_its_circuit(
    one: tuple[float, float, float], other: tuple[float, float, float], error: float
) -> None:
    first, second = circuits.pair(one), circuits.pair(other)
    same(swapped(of(first), of(second), error), circuits.swap(first, second, error))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(errors(), errors(), st.floats(0.001, 1.0))
def test_purification_is_its_circuit(
    one: tuple[float, float, float], other: tuple[float, float, float], error: float
) -> None:
    first, second = circuits.pair(one), circuits.pair(other)
    expected, left = circuits.purify(first, second, error)
    success, pairs = purified(of(first), of(second), error)
    assert success[0] == pytest.approx(expected, abs=1e-12)
    same(pairs, left)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(errors(), SHARES, SHARES)
def test_a_wait_is_the_channel_of_each_half(
    state: tuple[float, float, float], one: float, other: float
) -> None:
    rho = circuits.pair(state)
    decay = np.array([one * other])
    for kind, channel in (
        (Memory.DEPHASING, circuits.dephased),
        (Memory.DEPOLARISING, circuits.depolarised),
    ):
        waited = channel(channel(rho, 0, one), 1, other)
        same(stored(of(rho), kind, decay), waited)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(errors())
def test_the_fidelity_is_the_overlap(state: tuple[float, float, float]) -> None:
    rho = circuits.pair(state)
    overlap = (circuits.PHI.conj() @ rho @ circuits.PHI).real
    assert of(rho).fidelity[0] == pytest.approx(overlap, abs=1e-12)


def test_purified_werner_pairs_have_the_fidelity_that_bennett_et_al_found() -> None:
    for fidelity in (0.6, 0.75, 0.9, 0.99):
        rest = (1.0 - fidelity) / 3.0
        w = (4.0 * fidelity - 1.0) / 3.0
        werner = BellPairs.alike(w, w, w, 1)
        success, pairs = purified(werner, werner, 0.0)
        wanted = fidelity**2 + 2 * fidelity * rest + 5 * rest**2
        assert success[0] == pytest.approx(wanted)
        assert pairs.fidelity[0] == pytest.approx((fidelity**2 + rest**2) / wanted)
        assert pairs.fidelity[0] > fidelity


def test_some_of_many_pairs_are_those_that_were_chosen() -> None:
    pairs = BellPairs(np.array([0.1, 0.2]), np.array([0.3, 0.4]), np.array([0.5, 0.6]))
    some = pairs.at(np.array([False, True]))
    assert np.concatenate([some.x, some.y, some.z]).tolist() == [0.2, 0.4, 0.6]
