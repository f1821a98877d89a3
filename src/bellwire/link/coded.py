"""Halves that are read from clicks of one byte each, shared by both sides' views of them."""

import numpy as np
from numpy.typing import NDArray

from bellwire.base.detections import Detections, Slots
from bellwire.link.click_stream import Clicks

Read = NDArray[np.uint8]
"""(256,) what a code means."""


class CodedHalf:
    """One side's half of a block of clicks.

    Args:
        clicks: All clicks of the block, of either side.
        settings: Setting by code.
        outcomes: Outcome by code.
        registered: 1 by code where this side registered something; None if it prepares and detects
            nothing.
    """

    __slots__ = ("_clicks", "_outcomes", "_registered", "_settings")

    def __init__(
        self, clicks: Clicks, settings: Read, outcomes: Read, registered: Read | None
    ) -> None:
        self._clicks, self._registered = clicks, registered
        self._settings, self._outcomes = settings, outcomes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._clicks.gates.size} clicks)"

    @property
    def received(self) -> Slots | None:
        """Slots registered by this side's detectors, or None if it has none."""
        if self._registered is None:
            return None
        slots: Slots = self._clicks.gates[self._registered[self._clicks.codes] != 0]
        return slots

    def at(self, slots: Slots) -> Detections:
        """Settings and outcomes at `slots`; KeyError where this side has none."""
        codes = self.codes(slots)
        return Detections(slots, self._settings[codes], self._outcomes[codes])

    def codes(self, slots: Slots) -> NDArray[np.uint8]:
        """(n,) codes at `slots`; KeyError where this side has none."""
        gates, codes = self._clicks
        if np.array_equal(slots, gates):
            found = codes
        else:
            where = np.minimum(np.searchsorted(gates, slots), max(0, gates.size - 1))
            if slots.size and (not gates.size or (gates[where] != slots).any()):
                raise KeyError("a slot is asked for in which nothing clicked")
            found = codes[where]
        if self._registered is not None and not self._registered[found].all():
            raise KeyError("a slot is asked for that this side did not register")
        return found
