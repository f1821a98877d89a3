"""Blocks that come to this node: the target's part, driven by what the bus brings."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

import structlog

from bellwire.base.clock import Clock
from bellwire.base.errors import BellwireError
from bellwire.base.secret import Secret
from bellwire.network.control import Check, Confirm, Done
from bellwire.network.errors import MessageRefused
from bellwire.network.hop import ShareHeader
from bellwire.network.meetings import Meeting, Meetings
from bellwire.network.model import BlockStore
from bellwire.network.origin import Agreed
from bellwire.network.target import Target
from bellwire.network.wire import Wire

MAX_OPEN: Final = 256
"""Attempts that may be under way to one node; the oldest gives way."""

KEPT_S: Final = 300.0
"""How long a verdict is repeated to an origin that does not answer."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Verdict:
    confirm: Confirm
    agreed: Agreed


@dataclass(frozen=True, slots=True)
class _Open:
    target: Target
    since: float
    meeting: Meeting
    verdict: _Verdict | None = None


class Incoming:
    """The target's part of all attempts to this node.

    Args:
        wire: The node's voice.
        store: Where blocks are kept.
        meetings: Keys of ends that have met.
        clock: Seconds since the epoch.
    """

    def __init__(self, wire: Wire, store: BlockStore, meetings: Meetings, clock: Clock) -> None:
        self._wire = wire
        self._store = store
        self._meetings = meetings
        self._clock = clock
        self._open: OrderedDict[tuple[str, bytes], _Open] = OrderedDict()

    async def share(self, header: ShareHeader, share: Secret) -> None:
        """Take a share whose route ends here, and report what has arrived (step 4)."""
        place = (header.route[0], header.transfer)
        found = self._open.get(place)
        if found is None:
            target = Target(self._wire.name, header.transfer, place[0])
            found = _Open(target, self._clock(), self._meetings.certain(place[0]))
            self._open[place] = found
            if len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)
        report = found.target.arrive(header, share)
        if report is not None:
            await self._wire.tell(place[0], report, found.meeting)

    def begun(self, origin: str, transfer: bytes) -> tuple[Meeting, ...]:
        """What an attempt that is under way was begun under; nothing for others."""
        found = self._open.get((origin, transfer))
        return () if found is None else (found.meeting,)

    async def check(self, origin: str, message: Check, meeting: Meeting) -> None:
        """Judge the shares, store the block if it is good, and say so (step 6).

        Raises:
            MessageRefused: there is no such attempt.
            StoreError: the block could not be kept; the origin hears nothing.
        """
        place = (origin, message.transfer)
        found = self._open.get(place)
        if found is None:
            raise MessageRefused("expected a check of an attempt that is under way, got another")
        confirm, agreed = found.target.check(message, met=meeting is not None)
        if agreed is None:
            del self._open[place]
            log.warning("shares altered", origin=origin, shares=len(confirm.altered))
        else:
            await self._store.pending(agreed.block)
            if not agreed.block.record.knowers:
                self._meetings.offered(origin, agreed.meeting)
            self._open[place] = replace(found, verdict=_Verdict(confirm, agreed))
        await self._wire.tell(origin, confirm, meeting)

    async def done(self, origin: str, message: Done) -> None:
        """The origin holds the block as well (step 7).

        Raises:
            StoreError: the block could not be made ready; the verdict is repeated, and so is this.
        """
        place = (origin, message.transfer)
        found = self._open.get(place)
        if found is None or found.verdict is None:
            return
        agreed = found.verdict.agreed
        # Taken out before the store is waited for: the same word may come again meanwhile.
        del self._open[place]
        try:
            await self._store.ready(message.transfer)
        except BellwireError:
            self._open[place] = found
            raise
        if not agreed.block.record.knowers:
            self._meetings.settled(origin, agreed.meeting)
        log.info("relayed block ready", origin=origin, bits=8 * agreed.block.record.block_bytes)

    async def repeat(self) -> None:
        """Say verdicts again that were not answered, and forget what is old."""
        oldest = self._clock() - KEPT_S
        for place, found in list(self._open.items()):
            if found.since < oldest:
                self._open.pop(place, None)
            elif found.verdict is not None:
                await self._wire.tell(place[0], found.verdict.confirm, found.meeting)
