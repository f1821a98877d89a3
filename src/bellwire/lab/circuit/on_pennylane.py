"""Circuits on PennyLane's simulator default.qubit. Needs the library pennylane.

It has pure states only, so misaligned optics are a mixture of circuits: with probability e a shot
is one of the circuit with a Y on Bob's photon, which is the channel that Aer has as a whole.
"""

from collections.abc import Sequence

import numpy as np
import pennylane as qml
from numpy.typing import NDArray

from bellwire.lab.circuit.halves import Bits, Task
from bellwire.lab.circuit.model import Barrier, Circuit, Gate, GateName, Measure, Stage
from bellwire.lab.circuit.protocols import BOB


class PennyLane:
    """Samples circuits, Bob's photon misaligned with QBER `misalignment`."""

    def __init__(self, misalignment: float) -> None:
        self._misalignment = misalignment

    def __call__(self, tasks: Sequence[Task]) -> list[Bits]:
        """The bits of every task."""
        return [self._run(task) for task in tasks]

    def _run(self, task: Task) -> Bits:
        random = np.random.default_rng(task.seed)
        turned = random.random(task.shots) < self._misalignment
        found = {bit: np.empty(task.shots, np.uint8) for bit in task.circuit.bits}
        for turn in (False, True):
            mine = np.flatnonzero(turned == turn)
            if mine.size:
                drawn = _sample(task.circuit.deferred(), mine.size, random, turn=turn)
                for bit, values in drawn.items():
                    found[bit][mine] = values
        return found


def _sample(
    circuit: Circuit, shots: int, random: np.random.Generator, *, turn: bool
) -> dict[str, NDArray[np.uint8]]:
    """Shots of a circuit that measures at its end; with `turn`, Bob's photon is turned by Y."""
    measured = [each for each in circuit.operations if isinstance(each, Measure)]
    device = qml.device("default.qubit", wires=circuit.qubits, seed=random)

    def quantum() -> list[object]:
        for operation in circuit.operations:
            match operation:
                case Gate():
                    _GATES[operation.name](operation)
                case Barrier(Stage.RECEIVERS) if turn:
                    qml.PauliY(BOB)
        return [qml.sample(wires=each.qubit) for each in measured]

    drawn = qml.set_shots(qml.QNode(quantum, device), shots)()
    return {
        each.bit: np.asarray(values, np.uint8).reshape(shots)
        for each, values in zip(measured, drawn, strict=True)
    }


_GATES = {
    GateName.H: lambda gate: qml.Hadamard(gate.qubits[0]),
    GateName.X: lambda gate: qml.PauliX(gate.qubits[0]),
    GateName.RY: lambda gate: qml.RY(gate.angle, gate.qubits[0]),
    GateName.CX: lambda gate: qml.CNOT(gate.qubits),
}
