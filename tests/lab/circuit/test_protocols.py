"""The circuits' exact laws, from their state vectors, are those of the link's theory."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import Statevector
from tests.lab.circuit.statistics import joint

from bellwire.base.angles import KEY_PAIRS
from bellwire.base.detections import OF_PHOTONS, Protocol
from bellwire.lab.circuit.model import Circuit, Gate, Measure
from bellwire.lab.circuit.protocols import Branch, angles, branches, cells, circuit
from bellwire.link import theory
from bellwire.link.errors import ParameterError
from bellwire.link.eve import BB84_ANGLES, Axes, Eve, EveKind

KEPT = math.sqrt(1 / 8)
ATTACKS = [
    (protocol, kind)
    for protocol, kind in product(OF_PHOTONS, EveKind)
    if protocol.entangled or kind is not EveKind.SUBSTITUTION
]


def alice_bit(each: Circuit, bits: dict[str, int]) -> int:
    return bits["a"] if each.bit is None else each.bit


def correlation(protocol: Protocol, eve: Eve | None, alice: int, bob: int) -> float:
    """Mean product of ±1 outcomes of the mixture of circuits, exactly."""
    mean = 0.0
    for branch in branches(protocol, eve):
        bits = (None,) if protocol.entangled else (0, 1)
        for bit in bits:
            each = circuit(protocol, alice, bob, bit, branch)
            for found, probability in joint(each):
                sign = 1 if alice_bit(each, found) == found["b"] else -1
                mean += branch.share * sign * probability / len(bits)
    return mean


@settings(max_examples=25, deadline=None)
@given(
    attack=st.sampled_from(ATTACKS),
    share=st.floats(0.0, 1.0),
    degrees=st.one_of(st.none(), st.lists(st.floats(0.0, 180.0), min_size=1, max_size=2)),
)
def test_every_circuit_has_the_correlation_of_theory(
    attack: tuple[Protocol, EveKind], share: float, degrees: list[float] | None
) -> None:
    protocol, kind = attack
    free = kind in {EveKind.INTERCEPT_RESEND, EveKind.GHZ} and degrees
    eve = Eve(kind, share, Axes.degrees(*degrees) if free and degrees else None)
    of_alice, of_bob = angles(protocol)
    for alice, bob in product(range(protocol.settings), repeat=2):
        expected = eve.correlation(protocol, of_alice[alice], of_bob[bob])
        assert correlation(protocol, eve, alice, bob) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_without_eve_the_correlation_is_the_cosine(protocol: Protocol) -> None:
    of_alice, of_bob = angles(protocol)
    for alice, bob in product(range(protocol.settings), repeat=2):
        expected = math.cos(of_alice[alice] - of_bob[bob])
        assert correlation(protocol, None, alice, bob) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("protocol", "kind"), ATTACKS)
def test_what_eve_measures_tells_her_as_much_as_theory_says(
    protocol: Protocol, kind: EveKind
) -> None:
    """Her best guess of Alice's bit from her first bit, at the settings that become key."""
    eve = Eve(kind)
    pairs = KEY_PAIRS if protocol is Protocol.E91 else ((0, 0), (1, 1))
    right = 0.0
    for branch, (alice, bob) in product(branches(protocol, eve), pairs):
        bits = (None,) if protocol.entangled else (0, 1)
        table = np.zeros((2, 2))
        for bit in bits:
            each = circuit(protocol, alice, bob, bit, branch)
            for found, probability in joint(each):
                table[alice_bit(each, found), found["e0"]] += probability / len(bits)
        right += branch.share * table.max(axis=0).sum() / len(pairs)
    assert right == pytest.approx(theory.eve_guess(protocol, eve), abs=1e-9)


def test_the_cloner_makes_the_isometry_of_its_paper() -> None:
    """|0⟩ → (½ + s)|000⟩ + s(|011⟩ + |101⟩) + (½ − s)|110⟩ and so with |1⟩, all bits turned."""
    for bit in (0, 1):
        each = circuit(Protocol.BB84, 0, 0, bit, Branch(EveKind.CLONER, None, 1.0))
        gates = [each for each in each.operations if isinstance(each, Gate | Measure)]
        until = next(at for at, each in enumerate(gates) if isinstance(each, Measure))
        before = Circuit(
            name="cloner",
            protocol=each.protocol,
            alice=0,
            bob=0,
            bit=bit,
            eve=each.eve,
            axis=None,
            qubits=each.qubits,
            bits=(),
            operations=tuple(gates[:until]),
        )
        state = Statevector(before.to_qiskit()).to_dict(decimals=9)
        amplitudes = {"000": 0.5 + KEPT, "011": KEPT, "101": KEPT, "110": 0.5 - KEPT}
        if bit:
            amplitudes = {
                "".join("10"[int(b)] for b in kets): value for kets, value in amplitudes.items()
            }
        # Qiskit writes the first qubit last.
        assert {kets[::-1] for kets in state} == set(amplitudes)
        for kets, amplitude in state.items():
            assert amplitude.real == pytest.approx(amplitudes[str(kets)[::-1]], abs=1e-7)


def test_shares_are_a_mixture_of_circuits() -> None:
    parts = branches(Protocol.E91, Eve(EveKind.INTERCEPT_RESEND, 0.3))
    kinds = [None, EveKind.INTERCEPT_RESEND, EveKind.INTERCEPT_RESEND]
    assert [part.eve for part in parts] == kinds
    assert [part.share for part in parts] == pytest.approx([0.7, 0.15, 0.15])
    assert len(branches(Protocol.E91, Eve(EveKind.GHZ, 0.0))) == 1
    assert [part.eve for part in branches(Protocol.E91, Eve(EveKind.GHZ))] == [EveKind.GHZ]


def test_axes_all_around_have_no_circuit() -> None:
    with pytest.raises(ParameterError, match=r"axes.*degrees.*uniform"):
        branches(Protocol.BB84, Eve(EveKind.INTERCEPT_RESEND, 1.0, Axes.uniform()))


@pytest.mark.parametrize(("protocol", "number"), [("e91", 9), ("bbm92", 4), ("bb84", 8)])
def test_all_settings_have_their_circuits_each_with_a_name_of_its_own(
    protocol: str, number: int
) -> None:
    every = [
        each
        for branch in branches(Protocol(protocol), Eve(EveKind.INTERCEPT_RESEND, 0.5))
        for each in cells(Protocol(protocol), branch)
    ]
    assert len(every) == 3 * number
    assert len({each.name for each in every}) == 3 * number
    assert angles(Protocol.BB84)[0] == BB84_ANGLES
