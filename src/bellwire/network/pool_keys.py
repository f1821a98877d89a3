"""Key of a real link for relaying: what the link's pool hands to consumers at its own node.

A frame takes more than one key can hold, so its key is several, drawn and fetched side by side and
joined; the store marks each as left before it leaves (`keys.pool`).
"""

import asyncio
from collections.abc import Callable

from bellwire.base.secret import Secret
from bellwire.keys.kme import KEY_ID_BYTES
from bellwire.keys.model import MAX_KEY_BITS, KeyId
from bellwire.keys.service import KeyService
from bellwire.network.hop import LinkKey
from bellwire.network.linkstate import OwnLink


class PoolKeys:
    """Key of one link (`hop.HopKeys`).

    Args:
        peer: Name of the other end.
        service: The link's keys and status at this end.
        stock_bits: Bits that this end may draw now.
        cost: Of the link, 1 to 10,000.
    """

    def __init__(
        self, peer: str, service: KeyService, stock_bits: Callable[[], int], cost: int = 1
    ) -> None:
        self._peer = peer
        self._service = service
        self._stock_bits = stock_bits
        self._cost = cost

    async def draw(self, size: int) -> LinkKey:
        """As `HopKeys.draw`; if the pool ends in between, what it gave is lost."""
        count = -(-8 * size // MAX_KEY_BITS)
        each = -(-size // count)
        drawn = await asyncio.gather(*(self._service.draw(8 * each) for _ in range(count)))
        ids = b"".join(key.key_id.data for key in drawn)
        return LinkKey(ids, _joined([key.key for key in drawn], size))

    async def fetch(self, ids: bytes, size: int) -> Secret:
        """As `HopKeys.fetch`."""
        names = [KeyId(ids[at : at + KEY_ID_BYTES]) for at in range(0, len(ids), KEY_ID_BYTES)]
        fetched = await asyncio.gather(*(self._service.fetch(name) for name in names))
        return _joined([key.key for key in fetched], size)

    def view(self) -> OwnLink:
        """As `HopKeys.view`."""
        status = self._service.status()
        return OwnLink(self._peer, status.status, status.stale, self._stock_bits(), self._cost)


def _joined(keys: list[Secret], size: int) -> Secret:
    return Secret(b"".join(key.reveal() for key in keys)[:size])
