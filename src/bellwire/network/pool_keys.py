"""Key of a real link for relaying: what the link's node hands to consumers on its machine.

A frame takes more than one key can hold, so its key is several, drawn and fetched side by side and
joined; the node marks each as left before it leaves (`keys.pool`). The two networks' processes at
the ends of a link are consumers like others: what one draws at its node, the other fetches at the
other node under the same ids, once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

import structlog

from bellwire.base.errors import BellwireError
from bellwire.base.secret import Secret
from bellwire.keys.delivery import DeliveryClient
from bellwire.keys.errors import KeyNotReady
from bellwire.keys.kme import KEY_ID_BYTES
from bellwire.keys.model import MAX_KEY_BITS, DeliveredKey, KeyId
from bellwire.keys.status import Status
from bellwire.network.hop import LinkKey
from bellwire.network.linkstate import OwnLink

log = structlog.get_logger()

AT_ONCE: Final = 16
"""Keys that are asked for at the same time: a node serves 64 connections."""

FETCH_TRIES: Final = 3
"""A block may be ready at one end and not yet at the other; each try waits a second at the node."""

WATCH_S: Final = 0.5
"""How often a node is asked how its link is."""

Result = TypeVar("Result")


class Consumer(Protocol):
    """Where keys of one link are drawn and fetched.

    Errors of `keys.errors`.
    """

    async def draw(self, bits: int) -> DeliveredKey:
        """A new key."""

    async def fetch(self, key_id: KeyId) -> DeliveredKey:
        """The key that the other end drew."""


class PoolKeys:
    """Key of one link (`hop.HopKeys`).

    Args:
        consumer: The link's keys at this end.
        view: Status, stock and cost of the link now.
    """

    def __init__(self, consumer: Consumer, view: Callable[[], OwnLink]) -> None:
        self._consumer = consumer
        self._view = view
        self._room = asyncio.Semaphore(AT_ONCE)

    async def draw(self, size: int) -> LinkKey:
        """As `HopKeys.draw`; if the pool ends in between, what it gave is lost."""
        count = -(-8 * size // MAX_KEY_BITS)
        each = -(-size // count)
        drawn = await self._all([lambda: self._consumer.draw(8 * each)] * count)
        ids = b"".join(key.key_id.data for key in drawn)
        return LinkKey(ids, _joined([key.key for key in drawn], size))

    async def fetch(self, ids: bytes, size: int) -> Secret:
        """As `HopKeys.fetch`."""
        names = [KeyId(ids[at : at + KEY_ID_BYTES]) for at in range(0, len(ids), KEY_ID_BYTES)]
        fetched = await self._all([partial(self._fetch, name) for name in names])
        return _joined([key.key for key in fetched], size)

    def view(self) -> OwnLink:
        """As `HopKeys.view`."""
        return self._view()

    async def _fetch(self, name: KeyId) -> DeliveredKey:
        for _ in range(FETCH_TRIES - 1):
            try:
                return await self._consumer.fetch(name)
            except KeyNotReady:
                continue
        return await self._consumer.fetch(name)

    async def _all(self, asked: Sequence[Callable[[], Awaitable[Result]]]) -> list[Result]:
        async def one(ask: Callable[[], Awaitable[Result]]) -> Result:
            async with self._room:
                return await ask()

        return await asyncio.gather(*(one(each) for each in asked))


class NodeLink:
    """A link as its node on this machine tells it, asked twice a second while `watch` runs.

    Args:
        peer: Name of the other end.
        node: The node's delivery socket.
        cost: Of the link, 1 to 10,000.
    """

    def __init__(self, peer: str, node: DeliveryClient, cost: int = 1) -> None:
        self._node = node
        self._now = OwnLink(peer, Status.RED, True, 0, cost)
        self.trouble: str | None = "the node was not asked yet"
        self.reason = self.trouble

    def view(self) -> OwnLink:
        """What the node said last; RED and stale while it does not answer."""
        return self._now

    async def watch(self) -> None:
        """Keep asking, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(WATCH_S)

    async def look(self) -> None:
        """Ask once."""
        try:
            view = await self._node.status()
            bits, source = await self._node.stock()
        except BellwireError as error:
            if self.trouble is None:
                log.warning("node of a link does not answer", peer=self._now.peer)
            self.trouble = self.reason = str(error)
            self._now = _unknown(self._now)
            return
        self.trouble, self.reason = None, view.reason
        now = self._now
        self._now = OwnLink(now.peer, view.status, view.stale, bits, now.cost, source)


def _unknown(view: OwnLink) -> OwnLink:
    """A link of which nothing is known."""
    return OwnLink(view.peer, Status.RED, True, 0, view.cost, view.source)


def _joined(keys: list[Secret], size: int) -> Secret:
    return Secret(b"".join(key.reveal() for key in keys)[:size])
