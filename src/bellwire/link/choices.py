"""The choices of Alice and Bob: bits and bases, or settings, each from a side's own seed.

A choice is a function of seed and slot: the same slot gives the same choice in whatever order and
company it is asked for, so nobody stores the choices of the many slots in which nothing clicked.
Every purpose has its own stream (`bellwire.crypto.stream`), so that a seed serves one side only.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bellwire.base.detections import Detections, Protocol, Settings, Side, Slots
from bellwire.crypto.stream import KeyStream
from bellwire.link.config import check_pulses, check_rectilinear

_ONE = np.uint8(1)
_Unit = TypeVar("_Unit", np.uint8, np.uint32)

_GAP_BYTES = 2**14
"""Asking the stream anew costs about as much as this many of its bytes."""

_RUN_BYTES = 2**22
"""Most bytes of the stream in memory at a time."""


class PreparedPulses:
    """Alice's half in BB84: the basis and the bit of any of her pulses, from her 32-byte seed.

    Two bits of the stream a slot: the lower is the basis (0 rectilinear, 1 diagonal), the upper
    the bit. Where she prefers a basis, it comes from `BasisChoices` of hers instead. She detects
    nothing, so `received` is None.

    Args:
        seed: 32 bytes. Secret.
        pulses: 1 … 2²⁷.
        rectilinear: Probability of the rectilinear basis.

    Raises:
        ParameterError: pulses or rectilinear out of range.
        ValueError: the seed is not 32 bytes.
    """

    __slots__ = ("_bases", "_stream", "pulses")

    def __init__(self, seed: bytes, pulses: int, rectilinear: float = 0.5) -> None:
        self.pulses = check_pulses(pulses)
        self._stream = KeyStream(seed, "link bb84 alice pulse")
        self._bases = (
            None
            if rectilinear == 0.5
            else BasisChoices(seed, Protocol.BB84, Side.ALICE, rectilinear)
        )

    def __repr__(self) -> str:
        return f"PreparedPulses({self.pulses} pulses)"

    @property
    def received(self) -> None:
        """Nothing: Alice has no detectors."""
        return

    def at(self, slots: Slots) -> Detections:
        """Bases and bits at `slots`, strictly increasing.

        Raises:
            KeyError: a slot is outside the block.
            ValueError: the slots are not strictly increasing.
        """
        if slots.size and (slots.min() < 0 or slots.max() >= self.pulses):
            raise KeyError("a slot is asked for that is outside the block")
        pairs = _gather(self._stream, slots // 4, np.uint8) >> (2 * (slots % 4)).astype(np.uint8)
        bases = pairs & _ONE if self._bases is None else self._bases.at(slots)
        return Detections(slots, bases, (pairs >> _ONE) & _ONE)


class BasisChoices:
    """A side's bases: 0 or 1 for any slot, from its 32-byte seed.

    Bob's in BB84 unless protocol and side say otherwise; both sides' in BBM92. One bit of the
    stream a slot; a word of 32 bits where a basis is preferred, exact to within 2⁻³³.

    Args:
        seed: 32 bytes. Secret.
        protocol: BB84 or BBM92.
        side: Whose.
        rectilinear: Probability of the rectilinear basis, 0.

    Raises:
        ParameterError: rectilinear is not in (0, 1).
        ValueError: the seed is not 32 bytes.
    """

    __slots__ = ("_limit", "_stream")

    def __init__(
        self,
        seed: bytes,
        protocol: Protocol = Protocol.BB84,
        side: Side = Side.BOB,
        rectilinear: float = 0.5,
    ) -> None:
        check_rectilinear(rectilinear)
        self._limit = None if rectilinear == 0.5 else round(rectilinear * 2**32)
        self._stream = KeyStream(seed, f"link {protocol} {side} basis")

    def __repr__(self) -> str:
        return "BasisChoices()"

    def at(self, slots: Slots) -> Settings:
        """(n,) uint8 of 0/1 for (n,) slots in any order."""
        if self._limit is not None:
            words = _gather(self._stream, slots, np.uint32).astype(np.int64)
            return (words >= self._limit).view(np.uint8)
        return (_gather(self._stream, slots // 8, np.uint8) >> (slots % 8).astype(np.uint8)) & _ONE


class SettingChoices:
    """A side's settings in E91: 0, 1 or 2 for any slot, from its 32-byte seed.

    A word of 32 bits a slot, scaled by three: uniform to within 2⁻³².
    """

    __slots__ = ("_stream",)

    def __init__(self, seed: bytes, side: Side) -> None:
        self._stream = KeyStream(seed, f"link e91 {side} setting")

    def __repr__(self) -> str:
        return "SettingChoices()"

    def at(self, slots: Slots) -> Settings:
        """(n,) uint8 of 0, 1, 2 for (n,) slots in any order."""
        words = _gather(self._stream, slots, np.uint32).astype(np.uint64)
        return ((words * np.uint64(3)) >> np.uint64(32)).astype(np.uint8)


def _gather(stream: KeyStream, units: Slots, kind: type[_Unit]) -> NDArray[_Unit]:
    """Units of the stream (bytes, or little-endian words) by number, in the order asked.

    Neighbours are read in one piece and wide gaps skipped: a dense run costs its bytes, a sparse
    set its number of slots.
    """
    found = np.empty(units.size, kind)
    if units.size > 1 and (units[1:] < units[:-1]).any():
        order = np.argsort(units, kind="stable")
        found[order] = _gather(stream, units[order], kind)
        return found
    width = found.itemsize
    start = 0
    for end in _run_ends(units, width):
        first = int(units[start])
        count = int(units[end - 1]) - first + 1
        piece = stream.at(width * first, width * count).view(found.dtype.newbyteorder("<"))
        found[start:end] = piece[units[start:end] - first]
        start = end
    return found


def _run_ends(units: Slots, width: int) -> list[int]:
    """Where to cut (n,) increasing units, so that no run has a wide gap or is too long."""
    if not units.size:
        return []
    windows = units // (_RUN_BYTES // width)
    apart = np.diff(units) > _GAP_BYTES // width
    cuts = np.flatnonzero(apart | (np.diff(windows) > 0)) + 1
    return [*cuts.tolist(), units.size]
