"""What one side holds of a block: its half, and only its half.

A slot is the number of a pulse (BB84) or of a coincidence window (BBM92, E91); both sides name it
alike. Settings are 0/1 in BB84 and BBM92 (rectilinear, diagonal) and 0/1/2 in E91 (see
`bellwire.base.angles`). Whoever prepares decoy states also has the intensity of each pulse.
Outcomes are 0/1 and secret until the protocol opens them: reprs never show them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray

from bellwire.base.protocols import Protocol as Protocol  # noqa: PLC0414 - it is found here as well

Slots = NDArray[np.int64]
Settings = NDArray[np.uint8]
Outcomes = NDArray[np.uint8]
Intensities = NDArray[np.uint8]


INTENSITIES = 3
"""Of decoy states: signal, decoy, vacuum decoy."""

OF_PHOTONS = tuple(each for each in Protocol if not each.weak)
"""Protocols of single photons and of their pairs."""


class Side(StrEnum):
    """The two honest parties of a link."""

    ALICE = "alice"
    BOB = "bob"

    @property
    def peer(self) -> "Side":
        """The other one."""
        return Side.BOB if self is Side.ALICE else Side.ALICE


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Detections:
    """One side's settings and outcomes for some slots.

    Attributes:
        slots: (n,) int64, strictly increasing.
        settings: (n,) uint8.
        outcomes: (n,) uint8 of 0/1. Secret.
        intensities: (n,) uint8, decoy states' numbers of Alice's intensities, 0 the signal; None
            for everybody else.
    """

    slots: Slots
    settings: Settings
    outcomes: Outcomes
    intensities: Intensities | None = None

    def __post_init__(self) -> None:
        n = self.slots.size
        if self.settings.shape != (n,) or self.outcomes.shape != (n,):
            raise ValueError("slots, settings and outcomes must have one length")
        if self.intensities is not None and self.intensities.shape != (n,):
            raise ValueError("every slot must have an intensity, or none")
        if n and (self.slots[0] < 0 or (self.slots[1:] <= self.slots[:-1]).any()):
            raise ValueError("slots must be non-negative and strictly increasing")

    def __repr__(self) -> str:
        return f"Detections({self.slots.size} slots)"

    @property
    def received(self) -> Slots:
        """The slots this side's detectors registered."""
        return self.slots

    def at(self, slots: Slots) -> "Detections":
        """The half at `slots`, which must all be among this side's own.

        Raises:
            KeyError: a slot is not ours.
        """
        if slots is self.slots:
            return self
        at = self._places(slots)
        own = (at >= 0) & (at < self.slots.size)
        if not own.all() or (self.slots[at] != slots).any():
            raise KeyError("a slot is asked for that this side did not register")
        shades = None if self.intensities is None else self.intensities[at]
        return Detections(slots, self.settings[at], self.outcomes[at], shades)

    def _places(self, slots: Slots) -> NDArray[np.intp]:
        """Where these slots are among our own, if they are."""
        n = self.slots.size
        if n and self.slots[-1] - self.slots[0] == n - 1:  # no gap: no search
            return np.asarray(slots - self.slots[0], np.intp)
        return np.searchsorted(self.slots, slots)


class Half(Interface):
    """One side's half of a block.

    `received` is None for a side that prepares and detects nothing (Alice in BB84): it can say its
    settings and bits, and of decoy states its intensities, at any slot of the block.
    """

    @property
    def received(self) -> Slots | None:
        """Slots registered by this side's detectors, or None if it has none."""

    def at(self, slots: Slots) -> Detections:
        """Settings and outcomes at `slots`; KeyError where this side has none."""
