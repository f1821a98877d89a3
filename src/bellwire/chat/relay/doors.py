"""Addresses at which a relay listens; it may have several, and close each alone."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from picows import (
    WSListener,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from bellwire.base.backlog import BACKLOG
from bellwire.chat.relay.frames import BUNDLES, MAX_FRAME_BYTES, PROTOCOL_HEADER

IDLE_PING_S: Final = 30.0


@dataclass(slots=True, eq=False)
class Door:
    """One address.

    Attributes:
        host: That was taken.
        port: That was taken.
        only_tells: Whether who comes only hears where the relay is now, and is hung up.
    """

    host: str = ""
    port: int = 0
    only_tells: bool = False
    _server: asyncio.Server | None = None

    def close(self) -> None:
        """Take nobody more; again is harmless."""
        if self._server is not None:
            self._server.close()

    async def closed(self) -> None:
        """Wait until all who came in by it are gone."""
        if self._server is not None:
            await self._server.wait_closed()


async def open_door(
    admit: Callable[[Door, bool], WSListener],
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None,
    interface: str,
) -> Door:
    """Listen.

    Args:
        admit: Makes what serves somebody who comes, and may understand bundles.
        host: An address or a name.
        port: 0 takes a free one.
        tls: Without, the line is plain.
        interface: What comes by another network interface is not heard; empty: by any.

    Raises:
        OSError: it cannot be listened on.
    """
    door = Door()

    def admitted(asked: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        offers = ",".join(asked.headers.getall(PROTOCOL_HEADER, [])).split(",")
        if BUNDLES not in (each.strip() for each in offers):
            return admit(door, False)
        agreed = WSUpgradeResponse.create_101_response(extra_headers={PROTOCOL_HEADER: BUNDLES})
        return WSUpgradeResponseWithListener(agreed, admit(door, True))

    listening = None if not interface else _bound(host, port, interface)
    try:
        door._server = await ws_create_server(
            admitted,
            None if listening else host,
            None if listening else port,
            max_frame_size=MAX_FRAME_BYTES,
            enable_auto_ping=True,
            auto_ping_idle_timeout=IDLE_PING_S,
            logger_name=logging.Logger("silent", logging.CRITICAL + 1),  # it would name clients
            ssl=tls,
            sock=listening,
            backlog=BACKLOG,
        )
    except BaseException:
        if listening is not None:
            listening.close()
        raise
    door.host, door.port = door._server.sockets[0].getsockname()[:2]
    return door


def _bound(host: str, port: int, interface: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening
