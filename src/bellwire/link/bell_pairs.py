"""Bell-diagonal pairs, many at a time, and what memories, swaps and purification make of them.

A Bell-diagonal state near Φ⁺ is what Φ⁺ becomes under random Pauli errors, and its three
correlations x = ⟨XX⟩, y = −⟨YY⟩, z = ⟨ZZ⟩ (all 1 for Φ⁺) say all of it. In them every step of a
repeater is a product: errors of the one pair and of the other convolve when they are swapped, and
x, y, z are the characters of that group. Purification alone needs the probabilities.

Sources: Bennett, DiVincenzo, Smolin, Wootters, PRA 54, 3824 (1996); Deutsch, Ekert, Jozsa,
Macchiavello, Popescu, Sanpera, PRL 77, 2818 (1996) (DEJMPS). The tests check each step against its
circuit on density matrices.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Memory(StrEnum):
    """What a memory does to its qubit while it waits."""

    DEPHASING = "dephasing"
    DEPOLARISING = "depolarising"


@dataclass(frozen=True, slots=True, eq=False)
class BellPairs:
    """Bell-diagonal pairs, by their correlations.

    Attributes:
        x: (n,) of ⟨XX⟩.
        y: (n,) of −⟨YY⟩.
        z: (n,) of ⟨ZZ⟩.
    """

    x: Values
    y: Values
    z: Values

    @classmethod
    def alike(cls, x: float, y: float, z: float, count: int) -> "BellPairs":
        """So many pairs of one state, of correlations between −1 and 1."""
        return cls(np.full(count, x), np.full(count, y), np.full(count, z))

    @property
    def fidelity(self) -> Values:
        """(n,) overlap with Φ⁺, (1 + x + y + z)/4."""
        return (1.0 + self.x + self.y + self.z) / 4.0

    def at(self, chosen: NDArray[np.bool_]) -> "BellPairs":
        """Those that an (n,) mask chooses."""
        return BellPairs(self.x[chosen], self.y[chosen], self.z[chosen])


def stored(pairs: BellPairs, kind: Memory, decay: Values) -> BellPairs:
    """Pairs after a wait.

    Args:
        pairs: As they were.
        kind: Of the memories.
        decay: (n,) e^(−t/T), with t the sum of the times in each half's memory. Dephasing leaves z
            and multiplies x and y with it, depolarising multiplies all three.
    """
    kept = pairs.z if kind is Memory.DEPHASING else pairs.z * decay
    return BellPairs(pairs.x * decay, pairs.y * decay, kept)


def swapped(one: BellPairs, other: BellPairs, gate_error: float) -> BellPairs:
    """The pair that a Bell measurement between two pairs leaves, once its outcome is corrected.

    With probability `gate_error` the gate fully mixes the two qubits it acts on; the outcome is
    then a coin's, and the pair fully mixed.
    """
    kept = 1.0 - gate_error
    return BellPairs(kept * one.x * other.x, kept * one.y * other.y, kept * one.z * other.z)


def purified(one: BellPairs, other: BellPairs, gate_error: float) -> tuple[Values, BellPairs]:
    """One round of DEJMPS: rotations, a CNOT at each side, and a comparison of the targets.

    Args:
        one: The pair that may stay.
        other: The pair that is measured.
        gate_error: Probability that a CNOT fully mixes the two qubits it acts on.

    Returns:
        (n,) probability that the outcomes agree, and the pair that is left if they do.
    """
    a, b, c, d = _probabilities(one)
    e, f, g, h = _probabilities(other)
    clean = (1.0 - gate_error) ** 2
    agree = (a + b) * (e + f) + (c + d) * (g + h)
    success = clean * agree + (1.0 - clean) / 2.0
    scale = clean / success
    phi, psi_minus = scale * (a * e + b * f), scale * (c * h + d * g)
    psi, phi_minus = scale * (c * g + d * h), scale * (a * f + b * e)
    return success, BellPairs(
        phi - phi_minus + psi - psi_minus,
        phi - phi_minus - psi + psi_minus,
        phi + phi_minus - psi - psi_minus,
    )


def _probabilities(pairs: BellPairs) -> tuple[Values, Values, Values, Values]:
    """Of Φ⁺, Ψ⁻, Ψ⁺ and Φ⁻."""
    x, y, z = pairs.x, pairs.y, pairs.z
    return (
        (1.0 + x + y + z) / 4.0,
        (1.0 - x + y - z) / 4.0,
        (1.0 + x - y - z) / 4.0,
        (1.0 - x - y + z) / 4.0,
    )
