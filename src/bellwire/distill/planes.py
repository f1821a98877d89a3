"""A half that comes as planes of bits: what a source gives that has many detections.

A mask of slots has a bit for every slot of the block.
"""

from dataclasses import dataclass

from bellwire.base.bits import PackedBits
from bellwire.distill.announcements import select
from bellwire.distill.choices import Choices


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Registered:
    """The half of a side that detects.

    Attributes:
        detected: Mask of its slots.
        settings: At each of them.
        outcomes: At each of them. Secret.
    """

    detected: PackedBits
    settings: Choices
    outcomes: PackedBits

    def __repr__(self) -> str:
        return f"Registered({self.outcomes.size} detections)"

    def at(self, slots: PackedBits) -> tuple[Choices, PackedBits]:
        """As `PackedHalf.at`."""
        if slots is self.detected:
            return self.settings, self.outcomes
        if (slots & ~self.detected).count():
            raise KeyError("a slot is asked for that this side did not register")
        own = select(slots, self.detected)
        low, high = self.settings.low, self.settings.high
        chosen = Choices(select(low, own), None if high is None else select(high, own))
        return chosen, select(self.outcomes, own)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class PreparedPlanes:
    """The half of a side that prepares: a basis and a bit for every slot of the block.

    Attributes:
        bases: Of each slot.
        bits: Of each slot. Secret.
    """

    bases: PackedBits
    bits: PackedBits
    detected = None

    def __repr__(self) -> str:
        return f"PreparedPlanes({self.bits.size} slots)"

    def at(self, slots: PackedBits) -> tuple[Choices, PackedBits]:
        """As `PackedHalf.at`."""
        if slots.size != self.bits.size:
            raise KeyError(f"expected a mask of {self.bits.size} slots, got {slots.size}")
        return Choices(select(self.bases, slots)), select(self.bits, slots)


Planes = Registered | PreparedPlanes
