"""The cloud: takes readings from enrolled devices and keeps them, each exactly once.

This is where its parts meet: a listener takes connections, the reception hosts them, devices prove
who they are at the entrance, and what they send goes to the streams of the store.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Protocol

from bellwire.channel.handshake import Gate, Policy, SessionOptions, Suite, TicketBox
from bellwire.crypto.kem import XWingPrivateKey
from bellwire.iot.answering import Door
from bellwire.iot.counters import SeenCounters
from bellwire.iot.enrolling import Enroller
from bellwire.iot.entrance import Entrance
from bellwire.iot.events import Event
from bellwire.iot.gateway.pushing import Gateway
from bellwire.iot.identity import AllowList, PublicIdentity
from bellwire.iot.invitations import Invitations
from bellwire.iot.keys import KeySource
from bellwire.iot.limits import MAX_WORKING, Limits, Places
from bellwire.iot.reception import Reception
from bellwire.iot.store import CloudStore
from bellwire.iot.streams import OpenStreams
from bellwire.iot.tcp_listener import TcpListener
from bellwire.iot.trust_files import TrustFiles
from bellwire.iot.udp_listener import UdpListener


class Listener(Protocol):
    """Takes devices over a transport, until it is closed after the reception."""

    def stop(self) -> None:
        """Take no new ones; again is harmless."""

    async def close(self) -> None:
        """Take nothing more; again is harmless."""


class Cloud:
    """Serves devices between `start` and `close`.

    Args:
        identity: The key pair that devices have pinned.
        name: What devices call us.
        admitted: Who may connect.
        store: Where readings go; it stays open when the cloud closes.
        keys: Source of QKD keys, or None.
        policy: What we ask of QKD.
        notify: Called with each event, in the order of events.
        limits: How long a device may take, and how often it may come.
        counters: The last handshake that each device confirmed; it stays open.
        trust: Whose certificates count beside the list, if any do.
        suites: The ciphers that devices may pick.
        options: Of sessions.
        descriptors: How many files and connections this process may have open.
        invitations: By which devices may enrol; None if none may.
        gateway: Where messages to devices come from, if there are any; who made it runs it.
    """

    def __init__(
        self,
        *,
        identity: XWingPrivateKey,
        name: str,
        admitted: AllowList,
        store: CloudStore,
        keys: KeySource | None,
        policy: Policy = Policy.PREFER,
        notify: Callable[[Event], None] = lambda event: None,
        limits: Limits | None = None,
        counters: SeenCounters,
        trust: TrustFiles | None = None,
        suites: Collection[Suite] = frozenset(Suite),
        options: SessionOptions | None = None,
        descriptors: int | None = None,
        invitations: Invitations | None = None,
        gateway: Gateway | None = None,
    ) -> None:
        limits = limits or Limits()
        places = Places.of(descriptors)
        self.door = Door(
            identity=identity,
            name=name,
            policy=policy,
            keys=keys,
            gate=Gate(identity.public_bytes, suites=suites, limits=limits.gate),
            last_counter=counters.last,
            confirmed=counters.confirm,
            within_s=limits.handshake_s,
            tickets=TicketBox(time.monotonic),
            working=asyncio.Semaphore(MAX_WORKING),
            options=options,
            enroller=None
            if invitations is None
            else Enroller(
                PublicIdentity("cloud", name, identity.public_bytes), invitations, notify
            ),
        )
        self.entrance = Entrance(admitted, trust, most=places.waiting, notify=notify)
        self.streams = OpenStreams(store, places.streams)
        self.reception = Reception(
            self.entrance,
            self.streams,
            most=places.connections,
            limits=limits,
            notify=notify,
            gateway=gateway,
        )
        self._tcp = TcpListener(self.door, self.reception)
        self._udp = UdpListener(self.door, self.reception)
        self._watching: asyncio.Task[None] | None = None
        self._more: list[Listener] = []

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen on TCP; port 0 takes a free one. Returns the address that was taken.

        Raises:
            ListenError: the port is in use, or the address is not this machine's.
        """
        taken = await self._tcp.start(host, port)
        self._watching = asyncio.create_task(self.reception.watch())
        return taken

    async def start_udp(self, host: str, port: int) -> tuple[str, int]:
        """Take datagrams as well; as `start`."""
        return await self._udp.start(host, port)

    async def drain(self, within_s: float) -> int:
        """Take no new sessions, and close those that run once what has come is answered.

        Returns:
            How many connections did not end in time.
        """
        listeners: list[Listener] = [self._tcp, self._udp, *self._more]
        for each in listeners:
            each.stop()
        return await self.reception.drain(within_s)

    def add(self, listener: Listener) -> None:
        """Close a listener that stands at our door and reception when we close."""
        self._more.append(listener)

    async def close(self) -> None:
        """Stop listening and end all connections; again is harmless."""
        self._tcp.stop()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None
        await self.reception.close()
        await self._udp.close()
        for each in self._more:
            await each.close()
        await self._tcp.close()

    async def __aenter__(self) -> "Cloud":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
