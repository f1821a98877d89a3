"""The cloud's end of datagrams: which of them begin a handshake, go on with one, or are records.

A knock is answered and forgotten. A fragment counts only with the cookie that its sender was given;
from then on its sender may have one handshake at a time, among those that the entrance bounds. A
record is for the session that its index names, wherever it comes from.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from bellwire.base.errors import BellwireError
from bellwire.channel.datagram_chain import DATAGRAM_OVERHEAD, INDEX_BYTES
from bellwire.channel.errors import HandshakeFailed
from bellwire.channel.fragments import parse_fragment
from bellwire.channel.handshake import Policy, SessionOptions
from bellwire.channel.messages import HEADER_BYTES, Kind, Transport
from bellwire.channel.session import Session
from bellwire.iot.answering import Door, Guests, respond
from bellwire.iot.datagram_line import DatagramLine
from bellwire.iot.datagram_wire import AnsweringWire
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.keys import KeySource
from bellwire.iot.line import Line
from bellwire.iot.reception import Reception

MAX_DONE: Final = 4096
"""Handshakes that are through, and whose hellos are known when they come once more."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Where a datagram came from.

    Attributes:
        name: Tells it from all others.
        source: What cookies and budgets are for: an IP address, or a response topic.
        carry: Sends a datagram there, or loses it.
    """

    name: str
    source: str
    carry: Callable[[bytes], None]


class DatagramDesk:
    """Takes datagrams until `close`.

    Args:
        door: What all handshakes have in common.
        reception: Hosts each session.
        transport: What carries the datagrams.
        datagram_bytes: The largest that we send.
    """

    def __init__(
        self, door: Door, reception: Reception, *, transport: Transport, datagram_bytes: int
    ) -> None:
        options = replace(door.options or SessionOptions(), transport=transport)
        self._door = replace(door, options=options)
        self._reception = reception
        self._transport = transport
        self._datagram_bytes = datagram_bytes
        self._visits: dict[str, _Visit] = {}
        self._seats: dict[bytes, _Visit] = {}
        self._done: OrderedDict[tuple[str, bytes], None] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    def receive(self, datagram: bytes, sender: Sender | None) -> None:
        """Take a datagram; what does not belong here is dropped without a word.

        Args:
            datagram: As it came.
            sender: Where from; None where records do not say.
        """
        kind = datagram[0] if datagram else 0
        if kind >= Kind.DATA:
            self._take_record(datagram, sender)
        elif sender is not None:
            with contextlib.suppress(HandshakeFailed):
                if kind == Kind.KNOCK and not self._stopped:
                    now = self._door.clock()
                    sender.carry(self._door.gate.knock(datagram, sender.source, now))
                elif kind != Kind.KNOCK:
                    self._take_fragment(datagram, sender)

    def stop(self) -> None:
        """Take no new handshakes; those that have begun, and sessions, go on. Again is harmless."""
        self._stopped = True

    async def close(self) -> None:
        """Wait until all sessions, which the reception ends, are closed."""
        await asyncio.gather(*self._tasks)

    def _take_record(self, datagram: bytes, sender: Sender | None) -> None:
        if len(datagram) < DATAGRAM_OVERHEAD:
            return
        seat = self._seats.get(datagram[HEADER_BYTES : HEADER_BYTES + INDEX_BYTES])
        if seat is None or seat.line is None:
            return
        if seat.line.feed(datagram) and sender is not None and sender.name != seat.sender.name:
            seat.sender = sender

    def _take_fragment(self, datagram: bytes, sender: Sender) -> None:
        fragment = parse_fragment(datagram)
        self._door.gate.recognise(fragment, sender.source, self._door.clock())
        if (sender.name, fragment.digest) in self._done:
            return
        visit = self._visits.get(sender.name)
        if visit is None and self._stopped:
            return
        if visit is None:
            visit = self._visits[sender.name] = _Visit(self, sender)
            task = asyncio.create_task(self._host(visit))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        visit.wire.feed(fragment)

    async def _host(self, visit: "_Visit") -> None:
        sender = visit.sender
        try:
            await self._reception.host(
                sender.source, sender.name, visit.shake_hands, self._transport
            )
        finally:
            self.leave(visit)

    @property
    def door(self) -> Door:
        """What all handshakes have in common, over this transport."""
        return self._door

    @property
    def datagram_bytes(self) -> int:
        """The largest datagram that we send."""
        return self._datagram_bytes

    def seat(self, visit: "_Visit", index: bytes, digest: bytes) -> None:
        """Look records with this index up in a visit from now on.

        Raises:
            HandshakeFailed: another session has the index.
        """
        if index in self._seats:
            raise HandshakeFailed("expected an index that is free, got one in use")
        self._seats[index] = visit
        self._done[visit.sender.name, digest] = None
        if len(self._done) > MAX_DONE:
            self._done.popitem(last=False)
        self._visits.pop(visit.sender.name, None)

    def leave(self, visit: "_Visit") -> None:
        """Forget a visit, and close its session."""
        if self._visits.get(visit.first_name) is visit:
            del self._visits[visit.first_name]
        if visit.line is not None:
            self._seats.pop(visit.line.session.index, None)
            with contextlib.suppress(BellwireError):
                visit.line.close()


class _Visit:
    """One sender's handshake, and then its session.

    Attributes:
        sender: Where its newest record came from.
        line: The session, once there is one.
    """

    def __init__(self, desk: DatagramDesk, sender: Sender) -> None:
        self._desk = desk
        self.first_name = sender.name
        self.sender = sender
        self.line: DatagramLine | None = None
        self.wire = AnsweringWire(
            self._carry, datagram_bytes=desk.datagram_bytes, establish=self._establish
        )

    async def shake_hands(self, guests: Guests) -> tuple[Line, PublicIdentity] | None:
        """As `respond`."""
        answer = partial(respond, self.wire, door=self._desk.door, source=self.sender.source)
        return await answer(guests=guests)

    def _carry(self, datagram: bytes) -> None:
        self.sender.carry(datagram)

    def _establish(
        self, session: Session, policy: Policy, keys: KeySource | None, digest: bytes
    ) -> DatagramLine:
        over = session.over_datagrams()
        self._desk.seat(self, over.index, digest)
        self.line = DatagramLine(
            over,
            self._carry,
            datagram_bytes=self._desk.datagram_bytes,
            policy=policy,
            keys=keys,
        )
        return self.line
