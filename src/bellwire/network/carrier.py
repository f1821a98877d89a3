"""Hops with the keys of real links: what leaves a pool, is used in one frame and forgotten.

Source of each frame's key: the pool of that one link. Whatever fails, the key of the frame is gone,
as a delivered key is; nothing is ever sealed with it again.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Final, Generic, TypeVar

from bellwire.base.errors import BellwireError
from bellwire.base.secret import Secret
from bellwire.keys.errors import LinkRed, NotEnoughKey
from bellwire.network.control import Reason
from bellwire.network.errors import MessageRefused, NetworkError
from bellwire.network.hop import HopKeys, ShareHeader, key_bytes, read_frame, seal_share
from bellwire.network.identity import Roster

SEEN: Final = 16_384
"""Frames and transfers that a node remembers, so that none is taken twice."""

Item = TypeVar("Item", bound=Hashable)


class HopFailed(NetworkError):
    """A hop of a share could not be made; its transfer is to go another way.

    Attributes:
        header: Of the hop.
        reason: Why.
    """

    def __init__(self, header: ShareHeader, reason: Reason) -> None:
        super().__init__(f"from {header.sender} to {header.receiver}: {reason.value}")
        self.header = header
        self.reason = reason


class Seen(Generic[Item]):
    """The last `SEEN` items."""

    def __init__(self) -> None:
        self._items: OrderedDict[Item, None] = OrderedDict()

    def is_new(self, item: Item) -> bool:
        """Remember an item; False if it was remembered."""
        if item in self._items:
            return False
        self._items[item] = None
        if len(self._items) > SEEN:
            self._items.popitem(last=False)
        return True


class Carrier:
    """Makes hops to and from the neighbours of one node.

    Args:
        name: This node.
        roster: The members of the network.
        links: Neighbour → key of the link to it.
    """

    def __init__(self, name: str, roster: Roster, links: Mapping[str, HopKeys]) -> None:
        self._name = name
        self._roster = roster
        self._links = links
        self._frames: Seen[bytes] = Seen()
        self._carried: Seen[tuple[str, bytes]] = Seen()

    async def seal(self, header: ShareHeader, share: Secret) -> bytes:
        """The frame of a hop that begins here.

        Raises:
            HopFailed: the link gives no key for it.
        """
        link = self._links.get(header.receiver)
        if link is None:
            raise HopFailed(header, Reason.NO_LINK)
        try:
            key = await link.draw(key_bytes(len(share)))
        except BellwireError as error:
            raise HopFailed(header, _reason(error)) from error
        frame = seal_share(header, share, key)
        key.key.wipe()
        return frame

    async def open(self, data: bytes) -> tuple[ShareHeader, Secret] | None:
        """The share of a frame that came here; None for a frame that came before.

        Raises:
            HopFailed: the link is RED at this end.
            MessageRefused: it is not for us, from no neighbour or member, or not authentic.
            BellwireError: the link gives no such key.
        """
        frame = read_frame(data)
        header = frame.header
        link = self._links.get(header.sender)
        if header.receiver != self._name or link is None:
            raise MessageRefused(
                f"expected a share from a neighbour to {self._name}, got one from {header.sender} "
                f"to {header.receiver}"
            )
        if not all(name in self._roster for name in header.route):
            raise MessageRefused("expected a route of members of the network, got another")
        if not self._frames.is_new(hashlib.sha256(data).digest()):
            return None
        try:
            key = await link.fetch(frame.ids, frame.key_bytes)
        except LinkRed as error:
            raise HopFailed(header, Reason.RED) from error
        share = frame.open_share(key)
        key.wipe()
        # One node carries one share of a transfer at most, whatever routes a neighbour makes up.
        if not self._carried.is_new((header.route[0], header.transfer)) and not header.last:
            raise MessageRefused("expected one share of a transfer through this node, got two")
        return header, share


def _reason(error: BellwireError) -> Reason:
    match error:
        case LinkRed():
            return Reason.RED
        case NotEnoughKey():
            return Reason.NO_KEY
        case _:
            return Reason.STORE
