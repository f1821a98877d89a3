"""Devices that come over TCP."""

import asyncio
from functools import partial

from bellwire.base.backlog import BACKLOG
from bellwire.iot.answering import Door, respond
from bellwire.iot.errors import ListenError
from bellwire.iot.line import StreamWire
from bellwire.iot.reception import Reception


class TcpListener:
    """Takes connections between `start` and `close`.

    Args:
        door: What all handshakes have in common.
        reception: Hosts each connection.
    """

    def __init__(self, door: Door, reception: Reception) -> None:
        self._door = door
        self._reception = reception
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; port 0 takes a free one. Returns the address that was taken.

        Raises:
            ListenError: the port is in use, or the address is not this machine's.
        """
        try:
            self._server = await asyncio.start_server(self._serve, host, port, backlog=BACKLOG)
        except (OSError, OverflowError) as error:
            reason = (
                "it is in use by another program"
                if isinstance(error, OSError) and "in use" in str(error)
                else str(error)
            )
            raise ListenError(
                f"expected to listen at {host}:{port}, but {reason}",
                hint="Choose another port, or port 0 for any free one.",
            ) from error
        taken = self._server.sockets[0].getsockname()
        return str(taken[0]), int(taken[1])

    def stop(self) -> None:
        """Take no more connections; again is harmless."""
        if self._server is not None:
            self._server.close()

    async def close(self) -> None:
        """Wait until all connections, which the reception ends, are closed."""
        self.stop()
        server, self._server = self._server, None
        if server is not None:
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, peer = _peer(writer)
        shake_hands = partial(respond, StreamWire(reader, writer))
        try:
            await self._reception.host(
                host, peer, lambda guests: shake_hands(door=self._door, source=host, guests=guests)
            )
        finally:
            writer.close()


def _peer(writer: asyncio.StreamWriter) -> tuple[str, str]:
    """The peer's address, without and with its port."""
    name = writer.get_extra_info("peername")
    return (str(name[0]), f"{name[0]}:{name[1]}") if name else ("unknown", "unknown")
