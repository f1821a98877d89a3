"""When a click is told: the detectors' jitter against the width of the gates.

A pulse arrives in the middle of its gate; the time that its photons are registered at scatters
about that by a Gaussian. A photon within the gate counts there, one that is late or early by whole
periods in a neighbour's gate, as background that knows nothing of the neighbour's bit, and one
between gates nowhere.
"""

import math
from dataclasses import dataclass

MAX_JITTER_PERIODS = 2.0
_TO_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
_REACH = 8.0
"""Standard deviations beyond which no photon strays: less than one in 10¹⁵."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Gates and jitter, all in one unit of time.

    Attributes:
        period: From pulse to pulse, above 0.
        gate: Width of a gate, in (0, period].
        jitter: Full width at half maximum of the Gaussian, from 0.
    """

    period: float
    gate: float
    jitter: float

    def share(self, apart: int) -> float:
        """Share of a pulse's registered photons that fall into the gate so many periods away.

        Φ((mT + W/2)/σ) − Φ((mT − W/2)/σ) with T the period, W the gate, σ = FWHM/√(8 ln 2).
        """
        scale = self.jitter / _TO_SIGMA * math.sqrt(2.0)
        if not scale:
            return 0.0 if apart else 1.0
        middle, half = abs(apart) * self.period, self.gate / 2.0
        # Both tails are small far out, so that their difference keeps its digits.
        return 0.5 * (math.erfc((middle - half) / scale) - math.erfc((middle + half) / scale))

    @property
    def inside(self) -> float:
        """Share of the photons that fall into their own gate."""
        return self.share(0)

    @property
    def astray(self) -> tuple[float, ...]:
        """Shares that fall into the gates 1, 2, … periods away, on either side the same."""
        reach = _REACH * self.jitter / _TO_SIGMA / self.period + 0.5
        return tuple(self.share(m) for m in range(1, math.ceil(reach)))
