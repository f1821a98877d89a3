"""Blocks that this node makes for others: the origin's part, attempt by attempt.

An attempt that fails says whom to avoid in the next one: a link that gave no key, and the relays of
a route whose share arrived altered or never arrived. Those are shunned for this block if there is
another way, and charged for later ones (`suspicion`).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

import structlog

from bellwire.base.clock import Clock
from bellwire.base.errors import BellwireError
from bellwire.network.carrier import HopFailed
from bellwire.network.control import Confirm, Done, Failed, Received
from bellwire.network.errors import (
    MessageRefused,
    NetworkMisuse,
    NoRoute,
    NotAuthentic,
    TransferFailed,
)
from bellwire.network.hop import key_bytes
from bellwire.network.meetings import Meeting, Meetings
from bellwire.network.model import SHARE_OVERHEAD, BlockStore, TransferRecord, check_block_bytes
from bellwire.network.origin import Agreed, Altered, Origin
from bellwire.network.routes import Demand, Route, disjoint_routes
from bellwire.network.suspicion import Suspicion
from bellwire.network.topology import Topology
from bellwire.network.wire import Wire

ATTEMPTS: Final = 6
"""Of one block; each spends link key."""

_KEPT_DONE: Final = 1024

log = structlog.get_logger()


@dataclass(slots=True)
class _Attempt:
    origin: Origin
    target: str
    ended: "asyncio.Future[Agreed | Altered | Failed]"
    meeting: tuple[Meeting, ...] = ()
    storing: bool = False


@dataclass(frozen=True, slots=True)
class _Avoided:
    """What failed while one block was made: directed links, and relays of routes."""

    links: set[tuple[str, str]] = field(default_factory=set)
    relays: set[str] = field(default_factory=set)


class Outgoing:
    """The origin's part of all blocks that this node makes.

    Args:
        wire: The node's voice.
        store: Where blocks are kept.
        meetings: Keys of ends that have met.
        topology: What is known of the network now.
        clock: Seconds since the epoch.
        random: Gives so many fresh random bytes.
        patience_s: Seconds that an attempt may take.
    """

    def __init__(
        self,
        wire: Wire,
        store: BlockStore,
        meetings: Meetings,
        *,
        topology: Callable[[], Topology],
        clock: Clock,
        random: Callable[[int], bytes],
        patience_s: float,
    ) -> None:
        self.suspicion = Suspicion()
        self._wire = wire
        self._store = store
        self._meetings = meetings
        self._topology = topology
        self._clock = clock
        self._random = random
        self._patience_s = patience_s
        self._attempts: dict[bytes, _Attempt] = {}
        self._done: OrderedDict[bytes, tuple[str, Meeting]] = OrderedDict()

    async def make(self, target: str, block_bytes: int, routes: int) -> TransferRecord:
        """As `RelayNode.make`."""
        check_block_bytes(block_bytes)
        if target not in self._wire.roster:
            raise NetworkMisuse(f"expected a member of the network, got {target!r:.80}")
        avoided = _Avoided()
        why = ""
        for _ in range(ATTEMPTS):
            chosen = self._choose(target, block_bytes, routes, avoided)
            ended = await self._attempt(Origin(chosen, block_bytes, self._random), target)
            match ended:
                case Agreed(block):
                    return block.record
                case Altered():
                    why = self._blame(ended, avoided)
                case Failed():
                    avoided.links.add((ended.sender, ended.receiver))
                    why = f"from {ended.sender} to {ended.receiver}: {ended.reason.value}"
                case tuple():
                    why = self._miss(ended, avoided)
            log.warning("relay attempt failed", target=target, reason=why)
        raise TransferFailed(
            f"expected {target} to confirm a block within {ATTEMPTS} attempts, got none; the last "
            f"one failed: {why}"
        )

    def _choose(
        self, target: str, block_bytes: int, routes: int, avoided: "_Avoided"
    ) -> tuple[Route, ...]:
        plain = self.demand(key_bytes(block_bytes + SHARE_OVERHEAD))
        demand = replace(
            plain,
            without=frozenset(plain.without) | avoided.relays,
            without_links=avoided.links,
        )
        topology, name = self._topology(), self._wire.name
        try:
            return disjoint_routes(topology, name, target, demand, routes)
        except NoRoute:
            # The innocent among the shunned are better than no route.
            avoided.relays.clear()
            return disjoint_routes(
                topology, name, target, replace(demand, without=plain.without), routes
            )

    def demand(self, size: int) -> Demand:
        """As `RelayNode.demand`."""
        now = self._clock()
        return Demand(
            size=size,
            suspicion=lambda node: self.suspicion.factor(node, now),
            without=self.suspicion.excluded(now),
        )

    async def _attempt(
        self, origin: Origin, target: str
    ) -> Agreed | Altered | Failed | tuple[Route, ...]:
        """One attempt; routes whose shares never came, if time was up."""
        attempt = _Attempt(origin, target, asyncio.get_running_loop().create_future())
        self._attempts[origin.transfer] = attempt
        try:
            for header, share in origin.shares():
                await self._wire.carry(header, share)
            await asyncio.wait({attempt.ended}, timeout=self._patience_s)
            if not attempt.ended.done() and not attempt.storing:
                return origin.missing()
            return await attempt.ended
        except HopFailed as error:
            header = error.header
            return Failed(
                origin.transfer, header.index, header.sender, header.receiver, error.reason
            )
        finally:
            del self._attempts[origin.transfer]

    def _blame(self, ended: Altered, avoided: "_Avoided") -> str:
        now = self._clock()
        for route in ended.others:
            self.suspicion.relieve(route[1:-1], now)
        for route in ended.routes:
            self.suspicion.altered(route[1:-1], now)
            avoided.relays.update(route[1:-1])
        return "altered on the way " + ", ".join(" - ".join(route) for route in ended.routes)

    def _miss(self, routes: tuple[Route, ...], avoided: "_Avoided") -> str:
        now = self._clock()
        for route in routes:
            self.suspicion.lost(route[1:-1], now)
            avoided.relays.update(route[1:-1])
        lost = ", ".join(" - ".join(route) for route in routes)
        return f"no share came by {lost}" if lost else "the other end said nothing"

    async def received(self, sender: str, message: Received, meeting: Meeting) -> None:
        """The target reports shares; once all are there, tell how to check them (step 5)."""
        attempt = self._of(sender, message.transfer)
        check = None if attempt is None else attempt.origin.received(message)
        if attempt is not None and check is not None:
            attempt.meeting = (meeting,)
            await self._wire.tell(sender, check, meeting)

    async def confirmed(self, sender: str, message: Confirm, meeting: Meeting) -> None:
        """The target's verdict: keep the block, and say so (step 7).

        Raises:
            MessageRefused: it is no verdict that was asked for.
            StoreError: the block could not be kept; the target hears nothing.
        """
        if (sender, meeting) == self._done.get(message.transfer):
            await self._wire.tell(sender, Done(message.transfer), meeting)
            return
        attempt = self._of(sender, message.transfer)
        if attempt is None or attempt.ended.done():
            return
        verdict = attempt.origin.confirmed(message, met=meeting is not None)
        if isinstance(verdict, Altered):
            attempt.ended.set_result(verdict)
            return
        attempt.storing = True
        try:
            await self._store.pending(verdict.block)
            await self._store.ready(message.transfer)
        except BellwireError as error:
            attempt.ended.set_exception(error)
            raise
        record = verdict.block.record
        for route in record.routes:
            self.suspicion.relieve(route[1:-1], self._clock())
        if not record.knowers:
            self._meetings.agreed(sender, verdict.meeting)
        self._remember(message.transfer, sender, meeting)
        attempt.ended.set_result(verdict)
        log.info("relayed block ready", target=sender, bits=8 * record.block_bytes)
        await self._wire.tell(sender, Done(message.transfer), meeting)

    def begun(self, target: str, transfer: bytes) -> tuple[Meeting, ...]:
        """What a transfer to `target` was begun under; nothing for others."""
        done_to, meeting = self._done.get(transfer, ("", None))
        if done_to == target:
            return (meeting,)
        attempt = self._of(target, transfer)
        return () if attempt is None else attempt.meeting

    def estranged(self, target: str, transfer: bytes, error: NotAuthentic) -> None:
        """The other end has not the meeting key that it must have: nothing else would help."""
        attempt = self._of(target, transfer)
        if attempt is not None and not attempt.ended.done() and not attempt.storing:
            attempt.ended.set_exception(error)

    def failed(self, sender: str, message: Failed) -> None:
        """A node on a route says that a hop of its own cannot be made.

        Raises:
            MessageRefused: it speaks of a hop that is not its own, or not on the route.
        """
        attempt = self._attempts.get(message.transfer)
        if attempt is None or attempt.ended.done() or attempt.storing:
            return
        routes = attempt.origin.routes
        hop = (message.sender, message.receiver)
        if (
            message.index >= len(routes)
            or hop not in pairwise(routes[message.index])
            or sender not in hop
        ):
            raise MessageRefused("expected a hop of its sender, on the route, got another")
        attempt.ended.set_result(message)

    def _of(self, sender: str, transfer: bytes) -> _Attempt | None:
        attempt = self._attempts.get(transfer)
        return attempt if attempt is not None and attempt.target == sender else None

    def _remember(self, transfer: bytes, target: str, meeting: Meeting) -> None:
        self._done[transfer] = (target, meeting)
        if len(self._done) > _KEPT_DONE:
            self._done.popitem(last=False)
