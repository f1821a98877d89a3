"""A side's half of a block as planes of bits, which is how blocks are sifted.

Sources give what suits them: a list of slots with settings and outcomes (`base.detections.Half`),
or planes from the first (`distill.planes`).
"""

from typing import Protocol as Interface

from bellwire.base.bits import PackedBits
from bellwire.base.detections import INTENSITIES, Half, Intensities, Protocol
from bellwire.distill.announcements import positions
from bellwire.distill.choices import Choices
from bellwire.distill.conversation import BlockRejected
from bellwire.distill.kernels import sifting as kernels
from bellwire.distill.planes import Planes, Registered
from bellwire.distill.verdict import Reason


class PackedHalf(Interface):
    """One side's half, as planes."""

    @property
    def detected(self) -> PackedBits | None:
        """The slots that this side's detectors registered; None for a side that has none."""

    def at(self, slots: PackedBits) -> tuple[Choices, PackedBits]:
        """Settings and outcomes at the slots of a mask, in their order. Outcomes are secret.

        Raises:
            KeyError: one of them is not ours.
            BlockRejected: settings or outcomes are out of range.
        """


class Listed:
    """A half that comes as a list of slots.

    Args:
        half: As the source gave it.
        protocol: Of the block.
        pulses: Slots of the block.

    Raises:
        BlockRejected: a slot lies beyond the block.
    """

    def __init__(self, half: Half, protocol: Protocol, pulses: int) -> None:
        self._half, self._protocol = half, protocol
        own = half.received
        self.detected: PackedBits | None = None
        if own is not None:
            if own.size and own[-1] >= pulses:
                raise BlockRejected(Reason.LINK, f"expected slots below {pulses}, got {own[-1]}")
            self.detected = PackedBits.zeros(pulses)
            kernels.set_ones(own, self.detected.words)

    def at(self, slots: PackedBits) -> tuple[Choices, PackedBits]:
        """As `PackedHalf.at`."""
        received = self._half.received
        all_of_them = received is not None and slots is self.detected
        asked = received if all_of_them else positions(slots, slots.count())
        assert asked is not None
        found = self._half.at(asked)
        settings, outcomes = found.settings, found.outcomes
        if asked.size and (settings.max() >= self._protocol.settings or outcomes.max() > 1):
            raise BlockRejected(Reason.LINK, "settings or outcomes are out of range")
        return Choices.of(settings, self._protocol.settings), PackedBits.of(outcomes)

    def intensities(self, slots: PackedBits) -> Intensities | None:
        """(n,) intensities at the slots of a mask, where the half says any."""
        return self._half.at(positions(slots, slots.count())).intensities


def intensities(half: PackedHalf, slots: PackedBits) -> Choices:
    """Alice's intensities of decoy states at the slots of a mask.

    Raises:
        BlockRejected: her half says none, or impossible ones.
    """
    found = half.intensities(slots) if isinstance(half, Listed) else None
    if found is None or (found.size and found.max() >= INTENSITIES):
        raise BlockRejected(Reason.LINK, "intensities are missing or out of range")
    return Choices.of(found, INTENSITIES)


def packed(half: Half | Planes, protocol: Protocol, pulses: int) -> PackedHalf:
    """A half as planes, whichever way it came.

    Raises:
        BlockRejected: it is not of a block of so many slots.
    """
    if not isinstance(half, Planes):
        return Listed(half, protocol, pulses)
    slots = half.detected.size if isinstance(half, Registered) else half.bits.size
    if slots != pulses:
        raise BlockRejected(Reason.LINK, f"expected a block of {pulses} slots, got {slots}")
    return half
