"""The end of a transfer that receives: a machine without I/O, one for each attempt it hears of.

Shares are fixed as they arrive, one for each index and neighbour, and reported. Only then does the
origin tell how they are checked; whatever comes later changes nothing. The neighbour is the one
whose link key opened the frame, hence certain; the route that a frame names is not, and the check
says which are meant.
"""

from typing import Final

from bellwire.base.secret import Secret
from bellwire.network.control import Check, Confirm, Received
from bellwire.network.errors import MessageRefused
from bellwire.network.hop import ShareHeader
from bellwire.network.model import SHARE_OVERHEAD, RelayedBlock, TransferRecord
from bellwire.network.origin import Agreed
from bellwire.network.routes import MAX_ROUTES
from bellwire.network.shares import combine, is_unaltered

MAX_ARRIVALS: Final = 4 * MAX_ROUTES
"""Shares held for one attempt, from whichever neighbours."""


class Target:
    """One attempt to carry a block to this node.

    Args:
        name: This node.
        transfer: Name of the attempt.
        origin: Who says it makes the bits: the first node of the first share's route.
    """

    def __init__(self, name: str, transfer: bytes, origin: str) -> None:
        self.origin = origin
        self._name = name
        self._transfer = transfer
        self._arrivals: dict[tuple[int, str], Secret] = {}
        self._reported: frozenset[tuple[int, str]] = frozenset()
        self._checked = False

    def arrive(self, header: ShareHeader, share: Secret) -> Received | None:
        """Take a share whose frame held; what to report, or None if it changes nothing."""
        place = (header.index, header.sender)
        if (
            self._checked
            or place in self._arrivals
            or len(self._arrivals) == MAX_ARRIVALS
            or header.route[0] != self.origin
        ):
            return None
        self._arrivals[place] = share
        self._reported = frozenset(self._arrivals)
        return Received(self._transfer, tuple(sorted(self._reported)))

    def check(self, message: Check, *, met: bool) -> tuple[Confirm, Agreed | None]:
        """Judge the shares as the origin says.

        Args:
            message: The origin's check.
            met: True if it came under a meeting key.

        Returns:
            The verdict, and the block if it is good: to be stored before the verdict leaves.

        Raises:
            MessageRefused: it is no check of this attempt, or a second one.
        """
        if self._checked or any(
            route[0] != self.origin or route[-1] != self._name for route in message.routes
        ):
            raise MessageRefused("expected one check, of routes from its origin to us, got another")
        places = [(index, route[-2]) for index, route in enumerate(message.routes)]
        if not self._reported.issuperset(places):
            raise MessageRefused("expected a check of shares that have arrived, got one of others")
        self._checked = True
        shares = [self._arrivals[place] for place in places]
        self._arrivals.clear()
        altered = tuple(
            index
            for index, share in enumerate(shares)
            if len(share) != message.block_bytes + SHARE_OVERHEAD
            or not is_unaltered(share, Secret(message.point), message.tags[index])
        )
        if altered:
            return Confirm(self._transfer, altered), None
        bits, meeting = combine(shares)
        record = TransferRecord(
            self._transfer, self.origin, self._name, message.routes, message.block_bytes, met
        )
        return Confirm(self._transfer, ()), Agreed(RelayedBlock(record, bits), meeting)
