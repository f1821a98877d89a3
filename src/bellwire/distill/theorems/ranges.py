"""What the arguments of theorems may be."""

import math

from bellwire.distill.bounds import MAX_EPSILON, MIN_EPSILON
from bellwire.distill.errors import ParameterError


def check_epsilon(**given: float) -> None:
    """Each an ε that blocks may have.

    Raises:
        ParameterError: one outside [1e-20, 1e-3], by name.
    """
    for name, value in given.items():
        if not MIN_EPSILON <= value <= MAX_EPSILON:
            raise ParameterError(
                f"{name}: expected {MIN_EPSILON:g} to {MAX_EPSILON:g}, got {value}"
            )


def check_counts(**given: float) -> None:
    """Each a number of bits, rounds or events.

    Raises:
        ParameterError: one below 0, or not finite, by name.
    """
    for name, value in given.items():
        if not 0.0 <= value < math.inf:
            raise ParameterError(f"{name.replace('_', ' ')}: expected from 0, got {value}")


def check_shares(most: float = 1.0, **given: float) -> None:
    """Each a share between 0 and `most`.

    Raises:
        ParameterError: one outside, by name.
    """
    for name, value in given.items():
        if not 0.0 <= value <= most:
            raise ParameterError(f"{name.replace('_', ' ')}: expected 0 to {most:g}, got {value}")
