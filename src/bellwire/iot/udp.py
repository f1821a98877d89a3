"""A device's end of the channel in UDP datagrams: of at most 1,232 bytes, which no network cuts.

The cloud's end: `bellwire.iot.udp_listener`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bellwire.channel.fragments import MIN_DATAGRAM
from bellwire.channel.messages import Suite, Transport
from bellwire.iot.datagram_wire import CallingWire
from bellwire.iot.destination import join
from bellwire.iot.line import Wire


@dataclass(frozen=True, slots=True)
class UdpAddress:
    """A cloud on UDP."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"udp://{join(self.host, self.port)}"

    @property
    def transport(self) -> Transport:
        """UDP."""
        return Transport.UDP

    @contextlib.asynccontextmanager
    async def reach(self, responder_public: bytes, suite: Suite) -> AsyncIterator[Wire]:
        """As `Destination.reach`."""
        loop = asyncio.get_running_loop()
        calling = _Calling(responder_public)
        transport, _ = await loop.create_datagram_endpoint(
            lambda: calling, remote_addr=(self.host, self.port)
        )
        calling.transport = transport
        try:
            await calling.wire.find(suite)
            yield calling.wire
        finally:
            calling.wire.close()
            transport.close()


class _Calling(asyncio.DatagramProtocol):
    """A device's socket."""

    def __init__(self, responder_public: bytes) -> None:
        self.transport: asyncio.DatagramTransport | None = None
        self.wire = CallingWire(self._carry, responder_public, datagram_bytes=MIN_DATAGRAM)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.wire.feed(data)

    def error_received(self, exc: Exception) -> None:
        """Whoever says that nobody is there is not known: it is as if the datagram were lost."""

    def _carry(self, datagram: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.sendto(datagram)
