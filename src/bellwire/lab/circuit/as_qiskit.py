"""Circuits in Qiskit's words, as OpenQASM 3 and as characters. Needs the library qiskit."""

from typing import Any

from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qasm3
from qiskit.circuit import Instruction

from bellwire.lab.circuit.model import Barrier, Circuit, Gate, GateName, Measure, Stage
from bellwire.lab.circuit.protocols import BOB

PROGRAM_HEAD = "OPENQASM 3.0;\n"


def translate(circuit: Circuit, way: Instruction | None = None) -> QuantumCircuit:
    """The circuit as Qiskit's; every qubit and every bit is a register with its name.

    Args:
        circuit: What to translate.
        way: What happens to Bob's photon on its way, put where the receivers begin.
    """
    qubits = {name: QuantumRegister(1, name) for name in circuit.qubits}
    bits = {name: ClassicalRegister(1, name) for name in circuit.bits}
    made = QuantumCircuit(*qubits.values(), *bits.values(), name=circuit.name)
    for operation in circuit.operations:
        match operation:
            case Gate():
                angle = (operation.angle,) if operation.name is GateName.RY else ()
                on = [qubits[name] for name in operation.qubits]
                getattr(made, operation.name.value)(*angle, *on)
            case Measure():
                made.measure(qubits[operation.qubit], bits[operation.bit])
            case Barrier():
                if way is not None and operation.stage is Stage.RECEIVERS:
                    made.append(way, [qubits[BOB][0]])
                if made.data:  # a barrier before everything parts nothing
                    made.barrier(label=operation.stage.value)
    return made


def qasm3_program(circuit: Circuit) -> str:
    """The circuit as an OpenQASM 3 program, its name in a comment.

    Raises:
        RuntimeError: this version of Qiskit writes another version of OpenQASM.
    """
    program: str = qasm3.dumps(translate(circuit))
    if not program.startswith(PROGRAM_HEAD):
        raise RuntimeError(f"expected Qiskit to write OpenQASM 3.0, got {program[:20]!r}")
    return f"{PROGRAM_HEAD}// {circuit.name}\n{program.removeprefix(PROGRAM_HEAD)}"


def text(circuit: Circuit, width: int) -> str:
    """The circuit drawn in characters, folded at `width`."""
    drawn: Any = translate(circuit).draw("text", fold=width, vertical_compression="high")
    return str(drawn)
