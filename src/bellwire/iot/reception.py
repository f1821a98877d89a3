"""Every connection of a cloud from its beginning to its end, whatever carries it.

A connection is bounded in time, size and number, and one that misbehaves ends alone. A listener
calls `host` in a task of the connection's own, and closes the connection when it returns.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from bellwire.base.errors import BellwireError
from bellwire.channel.messages import Transport
from bellwire.channel.protections import Protections
from bellwire.iot.answering import Guests
from bellwire.iot.conversing import Conversation
from bellwire.iot.entrance import Entrance
from bellwire.iot.events import Event, SessionOpened, TurnedAway
from bellwire.iot.gateway.pushing import Gateway
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.limits import Limits
from bellwire.iot.line import Line
from bellwire.iot.rates import Rates
from bellwire.iot.sessions import Sessions
from bellwire.iot.streams import OpenStreams

ShakeHands = Callable[[Guests], Awaitable[tuple[Line, PublicIdentity] | None]]
"""Runs the responder's handshake on one connection, as `bellwire.iot.answering.respond`."""


class Reception:
    """Hosts connections until `close`.

    Args:
        entrance: Where devices prove who they are.
        streams: Where readings go.
        most: Connections at once.
        limits: What a device may take.
        notify: Called with each event, in the order of events.
        gateway: Where messages to devices come from, if there are any.
    """

    def __init__(
        self,
        entrance: Entrance,
        streams: OpenStreams,
        *,
        most: int,
        limits: Limits,
        notify: Callable[[Event], None],
        gateway: Gateway | None = None,
    ) -> None:
        self._gateway = gateway
        self._entrance = entrance
        self._streams = streams
        self._most = most
        self._limits = limits
        self._notify = notify
        self._rates = Rates(limits.device_rate, limits.total_rate)
        self._connections: set[asyncio.Task[None]] = set()
        self._sessions = Sessions(limits.sessions_each)

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def running(self) -> int:
        """How many connections have a session."""
        return len(self._sessions)

    def protections(self) -> dict[bytes, Protections]:
        """What the newest session of each device that has one rests on now, by fingerprint."""
        return self._sessions.protections()

    async def host(
        self,
        host: str,
        peer: str,
        shake_hands: ShakeHands,
        transport: Transport = Transport.STREAM,
    ) -> None:
        """Serve one connection in the current task; its failures are told, and end here.

        Args:
            host: The peer's address, for limits.
            peer: The same and what tells its connections apart, for people.
            shake_hands: Establishes the session; None if the peer wanted none.
            transport: What carries it.
        """
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= self._most:
            self._notify(TurnedAway(peer, f"more than {self._most} connections"))
            return
        self._connections.add(task)
        began = time.monotonic()
        try:
            async with self._entrance.enter(host) as guests:
                opened = await shake_hands(guests)
            if opened is None:
                return
            line, device = opened
            conversation = Conversation(
                line,
                device,
                streams=self._streams,
                notify=self._notify,
                rates=self._rates,
                idle_s=self._limits.idle_s,
                gateway=self._gateway,
            )
            with self._sessions.running(conversation, device.fingerprint, guests.shown):
                taken_s = time.monotonic() - began
                protections = line.session.protections
                self._notify(SessionOpened(device, protections, taken_s, transport))
                await conversation.run()
        except asyncio.CancelledError:
            # Only `close` cancels; the task ends here, and the stream protocol of Python 3.11
            # would report a cancelled one as a failure.
            return
        except TimeoutError:
            self._notify(TurnedAway(peer, "too slow"))
        except BellwireError as error:
            self._notify(TurnedAway(peer, str(error)))
        finally:
            self._connections.discard(task)

    async def watch(self) -> None:
        """End sessions of devices that may no longer come, until cancelled.

        A device that is taken off the list, or whose certificate is revoked or over, keeps a
        session for `recheck_s` at most, and the second in which the list is looked at.
        """
        while True:
            await asyncio.sleep(self._limits.recheck_s)
            await self.recheck()

    async def recheck(self) -> None:
        """End sessions of devices that may no longer come, now."""
        try:
            guests = await self._entrance.guests()
        except BellwireError as error:
            self._notify(TurnedAway("everybody", f"the list cannot be read: {error}"))
            self._sessions.stop_all()
        else:
            await asyncio.to_thread(self._sessions.look, guests)
            self._sessions.stop_unwelcome()

    async def drain(self, within_s: float) -> int:
        """Take nobody more, let sessions answer what has come, and close them.

        Args:
            within_s: Seconds to wait for that.

        Returns:
            How many connections are left, for `close` to end.
        """
        self._sessions.end()
        if self._connections:
            await asyncio.wait(self._connections, timeout=within_s)
        return len(self._connections)

    async def close(self) -> None:
        """End all connections."""
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
