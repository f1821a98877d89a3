"""Eve's attacks as explicit isometries: what Alice and Bob measure, and what Eve can know.

Shares no formula with `bellwire.link`. An attack on Φ⁺ is a real tensor ψ[a, b, e] over Alice's
qubit, Bob's, and everything Eve holds; BB84 is the case where Alice measured her qubit first.
Eve's best guess of a bit is Helstrom's measurement of her two states (Helstrom, 1976).
"""

import math

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[np.float64]

PHI = np.eye(2) / math.sqrt(2)
"""Φ⁺ as a matrix over Alice's qubit and Bob's."""


def state(angle: float, outcome: int = 0) -> Tensor:
    """The eigenstate of σ(angle) on the X–Z plane; outcome 0 is +1."""
    half = (angle + math.pi * outcome) / 2
    return np.array([math.cos(half), math.sin(half)])


def measured(axis: float) -> Tensor:
    """Bob's photon measured along an axis, resent, and the result remembered."""
    kraus = [np.outer(state(axis, k), state(axis, k)) for k in (0, 1)]
    return np.stack([PHI @ one.T for one in kraus], axis=2)


def substituted() -> Tensor:
    """Alice's qubit in Φ⁺ with one of Eve's, Bob's with another."""
    pairs = np.einsum("ae,bf->abef", PHI, PHI)
    return np.asarray(pairs.reshape(2, 2, 4))


def cloner() -> Tensor:
    """The isometry [bob, clone, ancilla, in] of the phase-covariant cloner of the X–Z plane."""
    s = math.sqrt(1 / 8)
    u = np.zeros((2, 2, 2, 2))
    for k in (0, 1):
        u[k, k, k, k] = 0.5 + s
        u[1 - k, 1 - k, k, k] = 0.5 - s
        u[0, 1, 1 - k, k] = u[1, 0, 1 - k, k] = s
    return u


def cloned() -> Tensor:
    """Bob's photon through the cloner; Eve keeps the other copy and the ancilla."""
    return np.asarray(np.einsum("ai,bcxi->abcx", PHI, cloner()).reshape(2, 2, 4))


def correlation(psi: Tensor, a: float, b: float) -> float:
    """Mean product of Alice's and Bob's ±1 at two angles."""
    total = 0.0
    for x in (0, 1):
        for y in (0, 1):
            eve = np.einsum("abe,a,b->e", psi, state(a, x), state(b, y))
            total += (-1) ** (x + y) * float(eve @ eve)
    return total


def guess(psi: Tensor, angle: float) -> float:
    """Eve's best chance to name Alice's outcome at an angle that she has heard."""
    held = []
    for x in (0, 1):
        rest = np.einsum("abe,a->be", psi, state(angle, x))
        held.append(rest.T @ rest)
    return float(0.5 * (1 + np.abs(np.linalg.eigvalsh(held[0] - held[1])).sum()))
