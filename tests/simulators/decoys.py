"""Decoy states pulse by pulse, with what nobody knows: how many photons each pulse had, and which
error every bit would have shown in either basis."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tests.simulators.halves import Prepared

from bellwire.base.decoys import Decoys
from bellwire.base.detections import Detections, Half, Side

RECTILINEAR = 0.7
"""Of the openings that go with this light."""


@dataclass(frozen=True)
class Channel:
    """What lies between Alice and Bob, Eve included.

    Attributes:
        eta: Probability that a photon is registered.
        dark: Probability of a click without one.
        flips: Probability that a photon's bit turns, by the basis in which it is measured.
        single: Share of single photons that Eve lets pass.
        sees: Whether Eve blocks them among signals only, which no Eve can: she sees no intentions.
    """

    eta: float = 1.0
    dark: float = 0.0
    flips: tuple[float, float] = (0.02, 0.02)
    single: float = 1.0
    sees: bool = False


@dataclass(frozen=True)
class Light:
    """Both halves of a block, and the truth about its pulses.

    Attributes:
        halves: Of both sides.
        photons: (pulses,) how many Alice's had.
        wrong: (pulses, 2) whether the bit is wrong if measured in either basis, by Bob and Alice.
    """

    halves: dict[Side, Half]
    photons: NDArray[np.int64]
    wrong: NDArray[np.bool_]


def decoy_light(
    pulses: int,
    rng: np.random.Generator,
    channel: Channel | None = None,
    decoys: Decoys | None = None,
    rectilinear: float = RECTILINEAR,
) -> Light:
    """Send `pulses` pulses."""
    channel, decoys = channel or Channel(), decoys or Decoys()
    intensities = rng.choice(3, pulses, p=decoys.shares).astype(np.uint8)
    photons = rng.poisson(np.array(decoys.means)[intensities])
    bits = rng.integers(0, 2, pulses, np.uint8)
    bases, bob = ((rng.random(pulses) >= rectilinear).astype(np.uint8) for _ in range(2))
    alone = photons == 1
    if channel.sees:
        alone &= intensities == 0
    blocked = alone & (rng.random(pulses) >= channel.single)
    lit = ~blocked & (rng.random(pulses) < 1.0 - (1.0 - channel.eta) ** photons)
    turned = rng.random((pulses, 2)) < np.array(channel.flips)
    wrong = np.where(lit[:, None], turned, rng.random((pulses, 2)) < 0.5)
    slots = np.flatnonzero(lit | (rng.random(pulses) < channel.dark)).astype(np.int64)
    measured = wrong[np.arange(pulses), bob]
    chance = rng.integers(0, 2, pulses, np.uint8)
    outcomes = np.where(bases == bob, bits ^ measured, chance).astype(np.uint8)
    halves: dict[Side, Half] = {
        Side.ALICE: Prepared(bases, bits, intensities),
        Side.BOB: Detections(slots, bob[slots], outcomes[slots]),
    }
    return Light(halves, photons, wrong)
