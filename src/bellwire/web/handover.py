"""A connection in other hands: uvicorn answers one request for a page, or speaks WebSocket."""

import asyncio
from typing import Any, cast

from bellwire.web.reader import Asked

_OURS = {b"connection", b"content-length", b"transfer-encoding", b"expect", b"keep-alive"}


def head_of(asked: Asked, path: str, query: bytes, *, upgrade: bool) -> bytes:
    """The head of a GET as it came, but that it is the connection's last."""
    target = path.encode() + (b"?" + query if query else b"")
    lines = [b"GET " + target + b" HTTP/1.1"]
    for name, value in asked.fields:
        if name not in _OURS and (upgrade or name != b"upgrade"):
            lines.append(name + b": " + value)
    lines.append(b"connection: upgrade" if upgrade else b"connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n"


class Handed:
    """Who serves a connection now.

    Args:
        protocol: Who begins.
        path: Of the page.

    Attributes:
        protocol: Who serves it now; WebSockets change it.
        path: Of the page.
    """

    def __init__(self, protocol: asyncio.Protocol, path: str) -> None:
        self.protocol = protocol
        self.path = path

    def take(self, transport: asyncio.Transport, head: bytes) -> None:
        """Begin with a request's head."""
        self.protocol.connection_made(cast("asyncio.Transport", _Shared(transport, self)))
        self.protocol.data_received(head)


class _Shared:
    """The transport, whose calls keep coming to the connection that hands them on."""

    def __init__(self, transport: asyncio.Transport, handed: Handed) -> None:
        self._transport = transport
        self._handed = handed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        self._handed.protocol = protocol
