"""Whether an experiment had enough photons to be believed, and if not, how many it takes.

A figure is told from its limit when three standard errors lie between them. Errors shrink with the
root of the number of photons, so n photons that leave σ where theory is d away take n·(3σ/d)² of
them.
"""

import math
from dataclasses import dataclass
from typing import Literal

from bellwire.lab.experiment import Result
from bellwire.lab.quantities import Measured, Prediction

ERRORS = 3.0
"""Standard errors between a figure and its limit, from which on it is believed."""


@dataclass(frozen=True, slots=True)
class More:
    """More photons are needed.

    Attributes:
        why: `chsh` or `qber`: it cannot be told from the limit of the verdict; `key`: long blocks
            have a key, this one is too short for any.
        pulses: So many are enough on average; None where nobody can say.
    """

    why: Literal["chsh", "qber", "key"]
    pulses: int | None


def more(result: Result, expected: Prediction, red_qber: float, chsh_floor: float) -> More | None:
    """What a result lacks; None if it has enough.

    Args:
        result: It.
        expected: What theory expects of it.
        red_qber: Blocks from this QBER on are rejected.
        chsh_floor: Blocks with S below this are rejected.
    """
    needed = _needed((result.chsh, result.chsh_stderr), expected.chsh, chsh_floor, result.pulses)
    if needed is not None:
        return More("chsh", needed)
    needed = _needed((result.qber, result.qber_stderr), expected.qber, red_qber, result.pulses)
    if needed is not None:
        return More("qber", needed)
    return More("key", None) if expected.key and not result.secret_bits else None


def _needed(measured: Measured, expected: float | None, limit: float, pulses: int) -> int | None:
    value, stderr = measured
    if value is None or stderr is None or expected is None or expected == limit:
        return None
    if abs(value - limit) >= ERRORS * stderr:
        return None
    return max(pulses + 1, math.ceil(pulses * (ERRORS * stderr / (expected - limit)) ** 2))
