"""The end of a transfer that makes the bits: a machine without I/O, one for each attempt.

    SENT ──Received: all──> ASKED ──Confirm: none altered──> AGREED
      └──────── Failed, or time is up ──────┴── Confirm: some altered ──> the attempt has ended

Whatever ends an attempt ends all of its shares: the next attempt draws new ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from bellwire.base.secret import Secret
from bellwire.crypto.one_time_mac import HASH_KEY_BYTES
from bellwire.network.control import Check, Confirm, Received
from bellwire.network.errors import MessageRefused
from bellwire.network.hop import ShareHeader
from bellwire.network.model import (
    TRANSFER_BYTES,
    RelayedBlock,
    TransferRecord,
    check_block_bytes,
)
from bellwire.network.routes import Route
from bellwire.network.shares import combine, draw_share, share_tag


class _Step(Enum):
    SENT = auto()
    ASKED = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class Agreed:
    """Both ends hold the block, and the target has said so.

    Attributes:
        block: The bits and their record.
        meeting: 32 bytes more that both hold. Secret.
    """

    block: RelayedBlock
    meeting: Secret


@dataclass(frozen=True, slots=True)
class Altered:
    """Shares that did not arrive as they were sent; nothing was kept.

    Attributes:
        routes: Theirs.
        others: Routes whose shares arrived unaltered.
    """

    routes: tuple[Route, ...]
    others: tuple[Route, ...]


class Origin:
    """One attempt to carry a block to the last node of each route.

    Args:
        routes: One for each share, node-disjoint where the block is split.
        block_bytes: Length of the block.
        random: Gives so many fresh random bytes.

    Raises:
        NetworkMisuse: the length is out of range.
    """

    def __init__(
        self, routes: Sequence[Route], block_bytes: int, random: Callable[[int], bytes]
    ) -> None:
        check_block_bytes(block_bytes)
        self.routes = tuple(routes)
        self.transfer = random(TRANSFER_BYTES)
        self._block_bytes = block_bytes
        self._shares = [draw_share(block_bytes, random) for _ in self.routes]
        self._point = Secret(random(HASH_KEY_BYTES))
        self._arrived: frozenset[int] = frozenset()
        self._step = _Step.SENT

    def shares(self) -> tuple[tuple[ShareHeader, Secret], ...]:
        """What is to be sent: header of the first hop, and share."""
        return tuple(
            (ShareHeader(self.transfer, index, route, 1), share)
            for index, (route, share) in enumerate(zip(self.routes, self._shares, strict=True))
        )

    def received(self, message: Received) -> Check | None:
        """Hear from the target what has arrived; the check, once that is all.

        A share counts only if it came from the neighbour that its route names.
        """
        if self._step is not _Step.SENT:
            return None
        arrivals = set(message.arrivals)
        self._arrived |= {
            index for index, route in enumerate(self.routes) if (index, route[-2]) in arrivals
        }
        if len(self._arrived) < len(self.routes):
            return None
        self._step = _Step.ASKED
        tags = tuple(share_tag(share, self._point) for share in self._shares)
        point = self._point.reveal()
        return Check(self.transfer, self._block_bytes, self.routes, point, tags)

    def confirmed(self, message: Confirm, *, met: bool) -> Agreed | Altered:
        """Hear the target's verdict.

        Args:
            message: The verdict.
            met: True if it came under a meeting key.

        Raises:
            MessageRefused: no verdict was asked for, or it names shares that are not there.
        """
        if self._step is not _Step.ASKED or any(i >= len(self.routes) for i in message.altered):
            raise MessageRefused("expected a verdict on shares that were asked for, got another")
        self._step = _Step.ENDED
        if message.altered:
            bad = frozenset(message.altered)
            return Altered(
                tuple(route for i, route in enumerate(self.routes) if i in bad),
                tuple(route for i, route in enumerate(self.routes) if i not in bad),
            )
        bits, meeting = combine(self._shares)
        origin, target = self.routes[0][0], self.routes[0][-1]
        record = TransferRecord(self.transfer, origin, target, self.routes, self._block_bytes, met)
        return Agreed(RelayedBlock(record, bits), meeting)

    def missing(self) -> tuple[Route, ...]:
        """Routes of shares that the target has not reported."""
        return tuple(r for i, r in enumerate(self.routes) if i not in self._arrived)
