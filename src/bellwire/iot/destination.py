"""Where a cloud listens, and how a device gets there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from bellwire.channel.messages import Suite, Transport
from bellwire.iot.line import StreamWire, Wire


class Destination(Protocol):
    """A cloud's address over one transport; its text is what people read."""

    @property
    def transport(self) -> Transport:
        """What carries the session."""

    def reach(self, responder_public: bytes, suite: Suite) -> AbstractAsyncContextManager[Wire]:
        """A wire to who is there, once somebody is; all of it is closed at the end.

        Args:
            responder_public: The pinned public key.
            suite: What the handshake will be of.

        Raises:
            OSError: nothing can be sent there.
            MissingExtra: this transport needs a package that is not installed.
        """


@dataclass(frozen=True, slots=True)
class Address:
    """A cloud on TCP."""

    host: str
    port: int

    def __str__(self) -> str:
        return join(self.host, self.port)

    @property
    def transport(self) -> Transport:
        """A stream."""
        return Transport.STREAM

    @contextlib.asynccontextmanager
    async def reach(self, responder_public: bytes, suite: Suite) -> AsyncIterator[Wire]:
        """As `Destination.reach`."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            yield StreamWire(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def join(host: str, port: int) -> str:
    """HOST:PORT; an IPv6 host stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
