"""What a circuit is here: gates and measurements on named qubits, in order.

It knows no library, so that each library runs, and each drawing shows, the very same circuit. A
barrier says where photons change hands: between two barriers things may be merged, over one never.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from types import ModuleType
from typing import TYPE_CHECKING

from bellwire.base.detections import Protocol
from bellwire.lab import libraries
from bellwire.link.eve import EveKind

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from qiskit import QuantumCircuit


class GateName(StrEnum):
    """The gates that the protocols need; RY(θ) turns by θ on the X–Z plane of the Bloch sphere."""

    H = "h"
    X = "x"
    RY = "ry"
    CX = "cx"


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate on one qubit, or CX on control and target.

    Attributes:
        name: Which.
        qubits: On what.
        angle: Of RY, radians; 0 of the others.
    """

    name: GateName
    qubits: tuple[str, ...]
    angle: float = 0.0


@dataclass(frozen=True, slots=True)
class Measure:
    """A measurement along Z of a qubit, its result in a bit."""

    qubit: str
    bit: str


class Stage(StrEnum):
    """Who has the photons from here on."""

    EVE = "eve"
    RECEIVERS = "receivers"


@dataclass(frozen=True, slots=True)
class Barrier:
    """The photons change hands. Misaligned optics act on Bob's photon where receivers begin."""

    stage: Stage


Operation = Gate | Measure | Barrier


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """One circuit; one shot of it is one slot.

    Attributes:
        name: Says all that follows, fit for a file's name.
        protocol: Whose.
        alice: Alice's setting.
        bob: Bob's setting.
        bit: The bit that Alice prepares in BB84; None of pairs.
        eve: What Eve does to this photon; None if she leaves it alone.
        axis: Where she measures or entangles, radians; None if her attack has no axis.
        qubits: Names, in the order in which they are drawn; `bob` is the one that Eve can touch.
        bits: `a` and `b` are the outcomes of Alice and Bob, `e0` and `e1` those of Eve.
        operations: In order.
    """

    name: str
    protocol: Protocol
    alice: int
    bob: int
    bit: int | None
    eve: EveKind | None
    axis: float | None
    qubits: tuple[str, ...]
    bits: tuple[str, ...]
    operations: tuple[Operation, ...]

    def deferred(self) -> "Circuit":
        """The same circuit with every measurement at its end, as the same statistics allow.

        A qubit that goes on after its measurement leaves the result in a fresh qubit by a CX
        instead, and that one is measured at the end (principle of deferred measurement: Nielsen,
        Chuang, Quantum Computation and Quantum Information, 2000, section 4.4).
        """
        qubits, early, last = list(self.qubits), [], []
        for at, operation in enumerate(self.operations):
            if not isinstance(operation, Measure):
                early.append(operation)
                continue
            if any(operation.qubit in _on(each) for each in self.operations[at + 1 :]):
                memory = f"memory_{operation.bit}"
                qubits.append(memory)
                early.append(Gate(GateName.CX, (operation.qubit, memory)))
                last.append(Measure(memory, operation.bit))
            else:
                last.append(operation)
        return replace(self, qubits=tuple(qubits), operations=(*early, *last))

    def to_qiskit(self) -> "QuantumCircuit":
        """The circuit as Qiskit's.

        Raises:
            LibraryMissing: Qiskit is not installed.
        """
        translated: QuantumCircuit = _as_qiskit().translate(self)
        return translated

    def to_text(self, width: int = 120) -> str:
        """Drawn in characters by Qiskit, folded at `width`; raises LibraryMissing without it."""
        return str(_as_qiskit().text(self, width))

    def to_qasm3(self) -> str:
        """An OpenQASM 3 program, by Qiskit; raises LibraryMissing without it."""
        return str(_as_qiskit().qasm3_program(self))

    def figure(self) -> "Figure":
        """Drawn by Matplotlib."""
        from bellwire.lab.circuit.as_figure import draw  # noqa: PLC0415 - Matplotlib is slow

        return draw(self)


def _on(operation: Operation) -> tuple[str, ...]:
    """The qubits of a gate or a measurement; a barrier has none."""
    match operation:
        case Gate():
            return operation.qubits
        case Measure():
            return (operation.qubit,)
        case Barrier():
            return ()


def _as_qiskit() -> ModuleType:
    return libraries.load("bellwire.lab.circuit.as_qiskit", "qiskit")
