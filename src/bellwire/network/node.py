"""A node of the network at work: it announces its links, carries others' shares, makes blocks.

What decides is in machines without I/O (`linkstate`, `routes`, `origin`, `target`); this joins them
to a bus, to the pools of the node's links, and to where blocks are kept. Step numbers in this
package are those of spec/key-relay.md.
"""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from bellwire.base.clock import Clock, system_clock
from bellwire.base.errors import BellwireError
from bellwire.base.secret import Secret
from bellwire.crypto.signatures import SigningKey
from bellwire.network.bus import Bus
from bellwire.network.carrier import Carrier, HopFailed
from bellwire.network.control import Check, Confirm, Done, Failed, Heard, Received
from bellwire.network.errors import NotAuthentic
from bellwire.network.hop import HopKeys, ShareHeader
from bellwire.network.identity import Roster
from bellwire.network.incoming import Incoming
from bellwire.network.linkstate import REFRESH_S, LinkState, OwnLink, announce
from bellwire.network.meetings import Meetings
from bellwire.network.model import BlockStore, TransferRecord
from bellwire.network.outgoing import Outgoing
from bellwire.network.routes import Demand
from bellwire.network.topology import Topology
from bellwire.network.wire import Kind, Other, Wire

TOPIC: Final = "links"
PATIENCE_S: Final = 10.0
"""What an attempt may take: some hops, each a disk's sync at both ends."""

WATCH_S: Final = 0.5
"""How often a node looks whether its links have changed."""

log = structlog.get_logger()


class RelayNode:
    """One node, at work while `run` runs.

    Args:
        name: Its name in the roster.
        identity: Its long-term key.
        roster: The members of the network.
        links: Neighbour → key of the link to it.
        bus: The way to the others.
        store: Where blocks that this node makes or receives are kept.
        clock: Seconds since the epoch.
        random: Gives so many fresh random bytes; the operating system's generator.
        patience_s: Seconds that an attempt may take.
        meetings: Keys of ends that have met; none yet, if nothing is said.

    Attributes:
        other: Takes what comes to this node and is no matter of relaying (`wire.OTHERS`).
    """

    def __init__(
        self,
        *,
        name: str,
        identity: SigningKey,
        roster: Roster,
        links: Mapping[str, HopKeys],
        bus: Bus,
        store: BlockStore,
        clock: Clock = system_clock,
        random: Callable[[int], bytes] = os.urandom,
        patience_s: float = PATIENCE_S,
        meetings: Meetings | None = None,
    ) -> None:
        self.name = name
        self.other: Callable[[Kind, bytes], Awaitable[None]] | None = None
        self.meetings = Meetings() if meetings is None else meetings
        self._identity = identity
        self._links = links
        self._bus = bus
        self._clock = clock
        self._patience_s = patience_s
        self._heard = LinkState(roster)
        self._wire = Wire(name, identity, roster, bus, Carrier(name, roster, links))
        self._incoming = Incoming(self._wire, store, self.meetings, clock)
        self._outgoing = Outgoing(
            self._wire,
            store,
            self.meetings,
            topology=self.topology,
            clock=clock,
            random=random,
            patience_s=patience_s,
        )
        self._told: tuple[OwnLink, ...] | None = None
        self._told_at = 0.0
        self._number = 0

    def topology(self) -> Topology:
        """The network as it is known here now."""
        return self._heard.topology(self._clock())

    def charge_against(self, relay: str) -> float:
        """How far a relay is suspected here: 0 for not at all, above 0.5 it is left out."""
        return self._outgoing.suspicion.of(relay, self._clock())

    async def make(self, target: str, block_bytes: int, *, routes: int) -> TransferRecord:
        """Make a block that we and `target` hold, and nobody who is not on all of its routes.

        Args:
            target: Another member.
            block_bytes: 1 to 65,536.
            routes: Node-disjoint routes to split it over. With one, its relays know the block.

        Raises:
            NoRoute: there are too few.
            TransferFailed: no attempt succeeded.
            NotAuthentic: `target` has not the meeting key of the two.
            NetworkMisuse: a number makes no sense, or `target` is no member.
            StoreError: the block could not be kept.
        """
        return await self._outgoing.make(target, block_bytes, routes)

    def demand(self, size: int) -> Demand:
        """What routes from here must bear now, with the suspicions of this node.

        Args:
            size: Bytes of link key that each hop takes.
        """
        return self._outgoing.demand(size)

    async def say(self, receiver: str, kind: Kind, body: bytes) -> None:
        """Send what is no matter of relaying.

        Raises:
            BusFailed: the bus does not take it.
        """
        await self._wire.say(receiver, kind, body)

    async def run(self) -> None:
        """Take part in the network, until cancelled."""
        await self._bus.join(self.name, (TOPIC,))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._bus.listen(self.name, self._take))
            tasks.create_task(self._announce())
            tasks.create_task(self._repeat())

    async def _announce(self) -> None:
        while True:
            views = tuple(link.view() for link in self._links.values())
            now = self._clock()
            if _differ(self._told, views) or now >= self._told_at + REFRESH_S:
                try:
                    await self._tell_links(views, now)
                except BellwireError as error:
                    log.warning("links not announced", reason=str(error))
            await asyncio.sleep(WATCH_S)

    async def _tell_links(self, views: tuple[OwnLink, ...], now: float) -> None:
        message, self._number = announce(
            self._identity,
            self.name,
            views,
            after=self._number,
            now=now,
            first=self._number == 0,
        )
        await self._bus.publish(TOPIC, message, message_id=hashlib.sha256(message).hexdigest())
        self._told, self._told_at = views, now

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(self._patience_s)
            try:
                await self._incoming.repeat()
            except BellwireError as error:
                log.warning("verdicts not repeated", reason=str(error))

    async def _take(self, topic: str | None, data: bytes) -> None:
        try:
            if topic is not None:
                self._hear_links(data)
                return
            match await self._wire.take(data):
                case (ShareHeader() as header, Secret() as share):
                    await self._share(header, share)
                case Heard() as heard:
                    await self._control(heard)
                case Other(kind, body) if self.other is not None:
                    await self.other(kind, body)
        except HopFailed as error:
            await self._report(error)
        except BellwireError as error:
            # It would fail again: what is lost is found by the origin's patience.
            log.warning("relay message refused", reason=str(error))

    def _hear_links(self, data: bytes) -> None:
        known = len(self._heard)
        signer = self._heard.receive(data, self._clock())
        if signer == self.name:
            return
        if len(self._heard) > known or (signer is not None and self._heard.is_first(signer)):
            # Who has just come has not heard us; many at once cost one announcement.
            self._told = None

    async def _share(self, header: ShareHeader, share: Secret) -> None:
        if header.last:
            await self._incoming.share(header, share)
            return
        try:
            await self._wire.carry(header.forward(), share)
        finally:
            share.wipe()

    async def _report(self, error: HopFailed) -> None:
        header = error.header
        log.warning("relay hop failed", reason=str(error))
        await self._wire.tell(
            header.route[0],
            Failed(header.transfer, header.index, header.sender, header.receiver, error.reason),
            None,
        )

    async def _control(self, heard: Heard) -> None:
        message, sender = heard.message, heard.sender
        match message:
            case Failed():
                self._outgoing.failed(sender, message)
            case Received() | Confirm():
                begun = self._outgoing.begun(sender, message.transfer)
                try:
                    meeting = self.meetings.check(heard, begun)
                except NotAuthentic as error:
                    self._outgoing.estranged(sender, message.transfer, error)
                    raise
                if isinstance(message, Received):
                    await self._outgoing.received(sender, message, meeting)
                else:
                    await self._outgoing.confirmed(sender, message, meeting)
            case Check() | Done():
                begun = self._incoming.begun(sender, message.transfer)
                meeting = self.meetings.check(heard, begun)
                if isinstance(message, Check):
                    await self._incoming.check(sender, message, meeting)
                else:
                    await self._incoming.done(sender, message)


def _differ(told: tuple[OwnLink, ...] | None, views: tuple[OwnLink, ...]) -> bool:
    """Whether others should hear at once: a status changed, or a stock halved or doubled."""
    return (
        told is None
        or len(told) != len(views)
        or any(
            (old.status, old.stale, old.cost) != (new.status, new.stale, new.cost)
            or not old.stock_bits <= 2 * new.stock_bits <= 4 * old.stock_bits
            for old, new in zip(told, views, strict=True)
        )
    )
