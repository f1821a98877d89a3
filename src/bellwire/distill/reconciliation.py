"""What makes two nearly equal keys equal, whichever way: the sides talk in rounds, in public.

In a round each side sends one message, at the same time as the other. A method is an object a side
that is told the peer's messages and gives its own, so the same code runs over TCP, in the lab and
in tests.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol as Interface

from bellwire.base.bits import PackedBits


class Method(StrEnum):
    """How a block is reconciled."""

    CASCADE = "cascade"
    LDPC = "ldpc"


@dataclass(frozen=True, slots=True)
class ReconciliationBudget:
    """What a block may cost before it is given up; the same on both sides.

    Attributes:
        max_leaked_bits: What one side may announce about its key.
        max_rounds: Messages of one side.
    """

    max_leaked_bits: int
    max_rounds: int


class Reconciler(Interface):
    """One side of a reconciliation."""

    @property
    def leaked_bits(self) -> int:
        """What was announced about the key so far, as the bound must count it."""

    @property
    def rounds(self) -> int:
        """Messages of one side so far; each costs one one-way latency."""

    @property
    def errors(self) -> tuple[int, ...]:
        """Bits of each part of the key that were found to differ; public, final when finished."""

    @property
    def corrected(self) -> PackedBits:
        """The key, as the side that does not correct has it. Secret; ValueError until finished."""

    def first(self) -> bytes:
        """Our message of the first round.

        Raises:
            ReconciliationFailed: a budget does not allow for it.
        """

    def receive(self, message: bytes) -> bytes | None:
        """Take the peer's message of a round; gives ours of the next, or None when both are done.

        Raises:
            MalformedMessage: it is not what this round asks for.
            ReconciliationFailed: the keys cannot be made equal within the budget. An honest peer
                finds so in the same round.
        """
