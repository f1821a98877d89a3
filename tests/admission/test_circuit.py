"""The circuit in closed form is the circuit: against matrices, and against PennyLane."""

import ipaddress
import math
from collections.abc import Sequence

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.admission.circuit import Angles, angles, distance, drawn, probabilities
from bellwire.admission.evidence import read_address

TURN = st.floats(0, math.pi)
TURNS = st.tuples(TURN, TURN, TURN, TURN)


def kron(parts: Sequence[np.ndarray]) -> np.ndarray:
    found = np.ones(1)
    for part in parts:
        found = np.kron(found, part)
    return found


def by_matrices(turns: Angles) -> np.ndarray:
    """The state of four qubits, gate by gate."""
    one = np.eye(2)
    state = kron([np.array([math.cos(t / 2), math.sin(t / 2)]) for t in turns])
    zero, flip = np.diag([1.0, 0.0]), np.array([[0.0, 1.0], [1.0, 0.0]])
    for wire in range(3):
        idle, flipped = [one] * 4, [one] * 4
        idle[wire] = zero
        flipped[wire], flipped[wire + 1] = one - zero, flip
        state = (kron(idle) + kron(flipped)) @ state
    return np.asarray(np.abs(state) ** 2)


@given(TURNS)
def test_the_closed_form_is_the_product_of_the_gates(turns: Angles) -> None:
    found = probabilities(turns)
    assert sum(found) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(found, by_matrices(turns), atol=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_pennylane_finds_the_same(seed: int) -> None:
    def circuit(turns: np.ndarray) -> object:
        for wire, turn in enumerate(turns):
            qml.RY(turn, wires=wire)
        for wire in range(3):
            qml.CNOT(wires=[wire, wire + 1])
        return qml.probs(wires=range(4))

    turns = np.random.default_rng(seed).uniform(0, math.pi, 4)
    theirs = qml.QNode(circuit, qml.device("default.qubit", wires=4))(turns)
    np.testing.assert_allclose(probabilities(tuple(turns)), theirs, atol=1e-14)


def test_angles_grow_with_what_they_stand_for_and_never_turn_over() -> None:
    here = read_address("192.0.2.1")
    pings = [angles(ping, 0, here)[0] for ping in (0, 1, 50, 1000, 60_000)]
    assert pings[0] == 0
    assert pings[2] == pytest.approx(math.pi / 2)
    assert pings == sorted(pings)
    assert pings[-1] < math.pi
    assert angles(0, 10, here)[1] == pytest.approx(math.pi / 2)
    assert angles(0, 0, read_address("128.0.64.0"))[2:] == pytest.approx((math.pi / 2, math.pi / 4))


def test_an_ipv6_address_turns_by_its_first_64_bits() -> None:
    first = angles(0, 0, ipaddress.IPv6Address("8000:0:4000::1"))
    assert first[2:] == pytest.approx((math.pi / 2, math.pi / 4))
    assert first == angles(0, 0, ipaddress.IPv6Address("8000:0:4000::ffff"))


@given(TURNS, TURNS)
def test_distance_is_one_of_two_sets(one: Angles, other: Angles) -> None:
    assert 0 <= distance(one, other) <= 1 + 1e-12
    assert distance(one, other) == pytest.approx(distance(other, one))
    assert distance(one, one) == 0


def test_the_drawing_shows_every_gate() -> None:
    lines = drawn((0.5, 1.0, 1.5, 2.0)).splitlines()
    assert lines[0] == "0: ──RY(0.500)───●─────────┤ P"
    assert [line.count("●") for line in lines] == [1, 1, 1, 0]
    assert [line.count("⊕") for line in lines] == [0, 1, 1, 1]
    assert len({len(line) for line in lines}) == 1
