"""Swapping, purification and memories as circuits on density matrices, gate by gate.

Qubits are counted from the left. Nothing here knows of correlations or of Bell-diagonal states.
"""

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[Any]

ONE: Matrix = np.eye(2, dtype=complex)
X: Matrix = np.array([[0, 1], [1, 0]], complex)
Y: Matrix = np.array([[0, -1j], [1j, 0]], complex)
Z: Matrix = np.array([[1, 0], [0, -1]], complex)
NAMED: dict[str, Matrix] = {
    "I": ONE,
    "X": X,
    "Y": Y,
    "Z": Z,
    "H": (X + Z) / math.sqrt(2),
    "R": (ONE - 1j * X) / math.sqrt(2),
    "r": (ONE + 1j * X) / math.sqrt(2),
    "0": np.diag([1, 0]).astype(complex),
    "1": np.diag([0, 1]).astype(complex),
}
PHI = np.array([1, 0, 0, 1], complex) / math.sqrt(2)


@cache
def gates(names: str) -> Matrix:
    """One gate per qubit, such as "IHII"."""
    whole: Matrix = np.eye(1, dtype=complex)
    for name in names:
        whole = np.kron(whole, NAMED[name])
    return whole


def only(count: int, **named: int) -> str:
    """Names of `count` gates, of which some stand at their places: only(4, H=1) is "IHII"."""
    letters = ["I"] * count
    for name, place in named.items():
        letters[place] = name
    return "".join(letters)


@cache
def controlled(count: int, control: int, target: int) -> Matrix:
    """CNOT."""
    letters = list(only(count, X=target))
    letters[control] = "1"
    return gates(only(count, **{"0": control})) + gates("".join(letters))


def through(gate: Matrix, rho: Matrix) -> Matrix:
    return gate @ rho @ gate.conj().T


def pair(errors: tuple[float, float, float]) -> Matrix:
    """Φ⁺ whose first qubit had X, Y or Z with these probabilities."""
    rho: Matrix = np.outer(PHI, PHI.conj())
    whole: Matrix = (1 - sum(errors)) * rho
    for p, gate in zip(errors, (X, Y, Z), strict=True):
        whole = whole + p * through(np.kron(gate, ONE), rho)
    return whole


def correlations(rho: Matrix) -> tuple[float, float, float]:
    """⟨XX⟩, −⟨YY⟩, ⟨ZZ⟩ of a normalised pair."""
    xx, yy, zz = (float(np.trace(np.kron(g, g) @ rho).real) for g in (X, Y, Z))
    return xx, -yy, zz


def dephased(rho: Matrix, qubit: int, decay: float) -> Matrix:
    flip = through(gates(only(2, Z=qubit)), rho)
    return (1 + decay) / 2 * rho + (1 - decay) / 2 * flip


def depolarised(rho: Matrix, qubit: int, decay: float) -> Matrix:
    mixed = rho + sum(through(gates(only(2, **{name: qubit})), rho) for name in "XYZ")
    return decay * rho + (1 - decay) / 4 * mixed


def mixed_with(rho: Matrix, qubits: tuple[int, int], error: float) -> Matrix:
    """Both qubits replaced by noise with probability `error`: every Pauli alike on either."""
    count, noise = round(math.log2(len(rho))), rho
    for qubit in qubits:
        for name in "XZ":
            noise = (noise + through(gates(only(count, **{name: qubit})), noise)) / 2
    return (1 - error) * rho + error * noise


def _measured(rho: Matrix, first: int, outcomes: tuple[int, int]) -> Matrix:
    """What is left of four qubits when `first` and the next gave these; not normalised."""
    parts: list[Matrix] = [ONE, ONE]
    parts[first:first] = [np.eye(2, dtype=complex)[[outcome]] for outcome in outcomes]
    bra: Matrix = np.eye(1, dtype=complex)
    for part in parts:
        bra = np.kron(bra, part)
    return bra @ rho @ bra.conj().T


def swap(one: Matrix, other: Matrix, error: float) -> Matrix:
    """CNOT and Hadamard on the middle qubits, both measured, the far end corrected."""
    rho = through(controlled(4, 1, 2), np.kron(one, other))
    rho = mixed_with(rho, (1, 2), error)
    rho = through(gates("IHII"), rho)
    left: Matrix = np.zeros((4, 4), complex)
    for phase in (0, 1):
        for flip in (0, 1):
            fix = (Z if phase else ONE) @ (X if flip else ONE)
            left = left + through(np.kron(ONE, fix), _measured(rho, 1, (phase, flip)))
    return left


def purify(one: Matrix, other: Matrix, error: float) -> tuple[float, Matrix]:
    """DEJMPS: √X at Alice, its inverse at Bob, two CNOTs, kept if the targets agree."""
    rho = through(gates("RrRr"), np.kron(one, other))  # Alice 0, Bob 1; Alice 2, Bob 3
    for control, target in ((0, 2), (1, 3)):
        rho = mixed_with(through(controlled(4, control, target), rho), (control, target), error)
    left = _measured(rho, 2, (0, 0)) + _measured(rho, 2, (1, 1))
    success = float(np.trace(left).real)
    return success, left / success
