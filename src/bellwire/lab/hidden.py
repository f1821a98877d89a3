"""Local hidden variables in the place of entangled pairs: all is settled at the source.

Each pair carries an angle λ, uniform on the circle. A side's outcome is the sign of the cosine
between its own setting and λ: it knows neither the other's setting nor the other's outcome. So two
outcomes differ where λ lies in one of two arcs as wide as the settings are apart, and the
correlation is E(a, b) = 1 − 2·|a − b|/π. At equal settings the sides always agree, as entangled
pairs do; at the settings of S, π/4 and 3π/4 apart, it is ±½, and S is 2, the most that anything of
this kind can have (Clauser, Horne, Shimony and Holt, PRL 23, 880 (1969)). A measured S scatters
around it by its standard error.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bellwire.base.detections import Outcomes
from bellwire.lab.circuit.halves import Bits, Task
from bellwire.lab.circuit.protocols import angles
from bellwire.lab.quantities import Prediction


class HiddenVariables:
    """Plays the pairs of a task, Bob's outcome misread with probability `misalignment`."""

    def __init__(self, misalignment: float) -> None:
        self._misalignment = misalignment

    def __call__(self, tasks: Sequence[Task]) -> list[Bits]:
        """The bits of every task."""
        return [self._run(task) for task in tasks]

    def _run(self, task: Task) -> Bits:
        random = np.random.default_rng(task.seed)
        carried = random.uniform(0.0, 2.0 * np.pi, task.shots)
        misread = random.random(task.shots) < self._misalignment
        alice, bob = angles(task.circuit.protocol)
        return {
            "a": outcomes(alice[task.circuit.alice], carried),
            "b": outcomes(bob[task.circuit.bob], carried) ^ misread.astype(np.uint8),
        }


def outcomes(setting: float, carried: NDArray[np.float64]) -> Outcomes:
    """One side's outcomes: of its own setting and of what the pairs carry, and of nothing else.

    Args:
        setting: Radians on the Bloch sphere.
        carried: (n,) float64, radians: what each pair carries.

    Returns:
        (n,) uint8 of 0/1.
    """
    return (np.cos(setting - carried) < 0.0).astype(np.uint8)


def predict(misalignment: float) -> Prediction:
    """What theory expects of them in E91: every bit may be known to whoever made the pairs.

    Args:
        misalignment: QBER of the optics alone, 0 to 0.5.
    """
    return Prediction(qber=misalignment, chsh=2.0 * (1.0 - 2.0 * misalignment), key=0.0)
