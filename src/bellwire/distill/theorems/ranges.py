"""What the arguments of theorems may be."""

import math

from bellwire.distill.bounds import MAX_EPSILON, MIN_EPSILON
from bellwire.distill.errors import ParameterError

LEAST_PART = MIN_EPSILON / 100.0
"""Least ε of a part, such as ε_cor, of the least ε of a block."""


def check_epsilon(**given: float) -> None:
    """Each an ε that a block, or a part of its security, may have.

    Raises:
        ParameterError: one outside [1e-22, 1e-3], by name.
    """
    for name, value in given.items():
        if not LEAST_PART <= value <= MAX_EPSILON:
            raise ParameterError(f"{name}: expected {LEAST_PART:g} to {MAX_EPSILON:g}, got {value}")


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
