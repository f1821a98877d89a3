"""Devices that come in UDP datagrams."""

import asyncio
import socket
from typing import Final

from bellwire.channel.fragments import MIN_DATAGRAM
from bellwire.channel.messages import Transport
from bellwire.iot.answering import Door
from bellwire.iot.datagram_desk import DatagramDesk, Sender
from bellwire.iot.destination import join
from bellwire.iot.errors import ListenError
from bellwire.iot.reception import Reception

RECEIVE_BUFFER: Final = 4 * 2**20
"""Asked of the system, which may give less: datagrams that wait for us to read them."""


class UdpListener:
    """Takes datagrams between `start` and `close`.

    Args:
        door: What all handshakes have in common.
        reception: Hosts each session.
    """

    def __init__(self, door: Door, reception: Reception) -> None:
        self._desk = DatagramDesk(
            door, reception, transport=Transport.UDP, datagram_bytes=MIN_DATAGRAM
        )
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; port 0 takes a free one. Returns the address that was taken.

        Raises:
            ListenError: the port is in use, or the address is not this machine's.
        """
        loop = asyncio.get_running_loop()
        try:
            transport, listening = await loop.create_datagram_endpoint(
                lambda: _Listening(self._desk), local_addr=(host, port)
            )
        except (OSError, OverflowError) as error:
            raise ListenError(
                f"expected to listen at udp://{join(host, port)}, but {error}",
                hint="Choose another port, or port 0 for any free one.",
            ) from error
        self._transport = listening.transport = transport
        taken: socket.socket = transport.get_extra_info("socket")
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        name = taken.getsockname()
        return str(name[0]), int(name[1])

    def stop(self) -> None:
        """Take no new handshakes; again is harmless."""
        self._desk.stop()

    async def close(self) -> None:
        """Take nothing more; the reception has ended the sessions. Again is harmless."""
        await self._desk.close()
        if self._transport is not None:
            self._transport.close()
            self._transport = None


class _Listening(asyncio.DatagramProtocol):
    """A cloud's socket."""

    def __init__(self, desk: DatagramDesk) -> None:
        self._desk = desk
        self.transport: asyncio.DatagramTransport | None = None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        def carry(datagram: bytes) -> None:
            if self.transport is not None and not self.transport.is_closing():
                self.transport.sendto(datagram, addr)

        host = str(addr[0])
        self._desk.receive(data, Sender(f"udp://{join(host, addr[1])}", host, carry))
