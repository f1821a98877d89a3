"""Exact probabilities of a circuit, from Qiskit's state vector."""

from qiskit.quantum_info import Statevector

from bellwire.lab.circuit.model import Circuit, Measure


def joint(circuit: Circuit) -> list[tuple[dict[str, int], float]]:
    """(bits, probability) of every result that can come, measurements deferred to the end."""
    last = circuit.deferred()
    qubit_of = {each.bit: each.qubit for each in last.operations if isinstance(each, Measure)}
    assert set(qubit_of) == set(circuit.bits)
    made = last.to_qiskit()
    made.remove_final_measurements()
    bits = list(circuit.bits)
    wanted = [last.qubits.index(qubit_of[bit]) for bit in bits]
    found = Statevector(made).probabilities_dict(wanted)
    # Qiskit writes the first bit last.
    return [
        (dict(zip(bits, map(int, reversed(text)), strict=True)), float(probability))
        for text, probability in found.items()
    ]
