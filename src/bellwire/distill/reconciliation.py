"""What makes two nearly equal keys equal, whichever way: the sides talk in rounds, in public.

In a round each side sends one message, at the same time as the other. A method is an object a side
that is told the peer's messages and gives its own, so the same code runs over TCP, in the lab and
in tests.
"""

from enum import StrEnum
from typing import Protocol as Interface

from bellwire.base.bits import PackedBits


class Method(StrEnum):
    """How a block is reconciled."""

    CASCADE = "cascade"
    LDPC = "ldpc"


class Reconciler(Interface):
    """One side of a reconciliation.

    Every frame of the key has a budget of leaked bits and of rounds, a function of what is public.
    A frame that would go beyond it is told bit by bit. So whatever the peer says, an engine ends
    after a number of rounds that is known beforehand, and never leaks more than the key has bits.
    """

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
            ValueError: it was made already.
        """

    def receive(self, message: bytes) -> bytes | None:
        """Take the peer's message of a round; gives ours of the next, or None when both are done.

        Raises:
            MalformedMessage: it is not what this round asks for.
            ReconciliationFailed: what the peer said contradicts itself. An honest peer finds so in
                the same round.
        """
