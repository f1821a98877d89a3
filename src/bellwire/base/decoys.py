"""What Alice's laser sends in decoy-state BB84: three intensities, and how often each.

Both sides' nodes must hold the same, and the link is told with each block: so it is said here,
once, in the form in which it travels.
"""

import math

import msgspec

MAX_MEAN_PHOTONS = 5.0
"""Of the signal: more are no weak pulse."""

Triple = tuple[float, float, float]
"""One number for each intensity: signal, decoy, vacuum decoy."""


class Decoys(msgspec.Struct, frozen=True, array_like=True):
    """Intensities of the pulses, and how often each.

    Attributes:
        means: Mean photons per pulse μ, ν, ω, with μ > ν + ω and ν > ω ≥ 0; μ at most 5.
        shares: Probability of each, above 0; they add up to 1.

    Raises:
        ValueError: they do not, in words; msgspec's own error where they were read.
    """

    means: Triple = (0.5, 0.2, 0.0)
    shares: Triple = (0.3, 0.4, 0.3)

    def __post_init__(self) -> None:
        signal, decoy, vacuum = self.means
        if not (MAX_MEAN_PHOTONS >= signal > decoy + vacuum and decoy > vacuum >= 0.0):
            raise ValueError(
                f"expected intensities μ > ν + ω and ν > ω ≥ 0, μ up to {MAX_MEAN_PHOTONS:g}, "
                f"got {self.means}"
            )
        if not (min(self.shares) > 0.0 and abs(math.fsum(self.shares) - 1.0) < 1e-9):
            raise ValueError(
                f"expected shares of the intensities above 0, adding up to 1, got {self.shares}"
            )
