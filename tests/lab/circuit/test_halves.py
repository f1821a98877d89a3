"""Aer's halves follow theory, and the fast engine's law: two implementations that share no photon.

What they share are the choices of Alice and Bob; two samples here have different seeds.
"""

from itertools import product

import numpy as np
import pytest
from tests.link.laws import assert_follows, assert_same_law, counted, law, seeds

from bellwire.base.detections import OF_PHOTONS, Detections, Protocol
from bellwire.lab.circuit.halves import Bits, Task, light
from bellwire.lab.circuit.on_aer import Aer
from bellwire.lab.circuit.protocols import Branch, circuit
from bellwire.lab.engines import Engine, Player
from bellwire.link.choices import PreparedPulses
from bellwire.link.config import LinkConfig
from bellwire.link.eve import Eve, EveKind
from bellwire.link.simulate import simulate

SHOTS = 40_000
NOISY = LinkConfig(misalignment=0.03)
QISKIT = Player(Engine.QISKIT)
EVES = [
    None,
    Eve(EveKind.INTERCEPT_RESEND, 0.6),
    Eve(EveKind.GHZ, 0.9),
    Eve(EveKind.BREIDBART),
    Eve(EveKind.CLONER, 0.8),
    Eve(EveKind.SUBSTITUTION, 0.7),
]
CASES = [
    (protocol, eve)
    for protocol, eve in product(OF_PHOTONS, EVES)
    if protocol.entangled or eve is None or eve.kind is not EveKind.SUBSTITUTION
]


@pytest.mark.parametrize(("protocol", "eve"), CASES)
def test_qiskit_has_the_law_of_theory_and_of_the_fast_engine(
    protocol: Protocol, eve: Eve | None
) -> None:
    ours = counted(protocol, NOISY, SHOTS, eve, 1, QISKIT.photons)
    assert_follows(ours, law(protocol, NOISY, eve))
    assert_same_law(ours, counted(protocol, NOISY, SHOTS, eve, 2))


def test_another_law_is_told_apart() -> None:
    ours = counted(Protocol.E91, NOISY, SHOTS, None, 1, QISKIT.photons)
    with pytest.raises(AssertionError):
        assert_follows(ours, law(Protocol.E91, LinkConfig(misalignment=0.05), None))
    with pytest.raises(AssertionError):
        assert_same_law(ours, counted(Protocol.E91, NOISY, SHOTS, Eve(EveKind.GHZ, 0.1), 2))


@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_a_seed_repeats_the_halves_with_the_choices_of_the_fast_engine(protocol: Protocol) -> None:
    one, two = (QISKIT.photons(protocol, NOISY, 3000, *seeds(5), None) for _ in range(2))
    fast = simulate(protocol, NOISY, 3000, *seeds(5), None)
    slots = np.arange(3000)
    for side in range(2):
        assert np.array_equal(one[side].at(slots).outcomes, two[side].at(slots).outcomes)
        assert np.array_equal(one[side].at(slots).settings, fast[side].at(slots).settings)
    assert isinstance(one[1], Detections)
    assert isinstance(one[0], Detections if protocol.entangled else PreparedPulses)


def test_a_measurement_on_the_way_gives_what_its_deferral_gives() -> None:
    """Intercept-resend as it is drawn, measured mid-circuit, beside the ancilla that Aer runs."""
    from qiskit_aer import AerSimulator

    each = circuit(Protocol.E91, 0, 1, None, Branch(EveKind.INTERCEPT_RESEND, np.pi / 4, 1.0))
    shots = 4000
    run = AerSimulator(method="statevector", seed_simulator=3).run(each.to_qiskit(), shots=shots)
    found = run.result().get_counts()
    deferred = Aer(0.0)([Task(each, shots, 4)])[0]
    # Qiskit writes the first register last.
    words = ["".join(str(deferred[bit][k]) for bit in reversed(each.bits)) for k in range(shots)]
    for outcome in product("01", repeat=3):
        text = "".join(outcome)
        here, there = words.count(text), found.get(" ".join(outcome), 0)
        assert abs(here - there) < 5 * np.sqrt(here + there + 1)


def test_tasks_longer_than_a_run_have_no_shot_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bellwire.lab.circuit.on_aer.RUN_SHOTS", 500)
    each = circuit(Protocol.BB84, 0, 1, 0, Branch(None, None, 1.0))
    (bits,) = Aer(0.02)([Task(each, 1200, 7)])
    b = bits["b"]
    assert b.size == 1200
    assert not np.array_equal(b[:500], b[500:1000])


def test_every_slot_has_the_shot_of_its_own_circuit() -> None:
    """A sampler that answers with the circuit's settings puts them where these were chosen."""

    def echo(tasks: object) -> list[Bits]:
        assert isinstance(tasks, list)
        return [
            {
                "a": np.full(task.shots, task.circuit.alice == 1, np.uint8),
                "b": np.full(task.shots, task.circuit.bob == 1, np.uint8),
            }
            for task in tasks
        ]

    alice, bob = light(echo, Protocol.BBM92, 1000, *seeds(9))
    for half in (alice, bob):
        held = half.at(np.arange(1000))
        assert np.array_equal(held.settings, held.outcomes)
