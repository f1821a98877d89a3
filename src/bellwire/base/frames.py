"""Length-prefixed frames over an asyncio stream: four bytes of length, big-endian, then the body.

Every service on a stream speaks these; what is in the body is the service's own. A length beyond
the reader's limit is refused before a byte of it is read.
"""

import asyncio
import struct

from bellwire.base.errors import BellwireError, UnreachableError

_LENGTH = struct.Struct(">I")


class FrameTooLarge(BellwireError):
    """The peer announced a frame beyond what this reader takes."""


class ConnectionEnded(UnreachableError):
    """The peer closed, or lost, the connection."""


async def read_frame(reader: asyncio.StreamReader, limit: int) -> bytes:
    """Read one frame of at most `limit` bytes.

    Raises:
        ConnectionEnded: the stream ended, inside a frame or between two.
        FrameTooLarge: the announced length is beyond `limit`.
    """
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > limit:
            raise FrameTooLarge(f"expected a frame of at most {limit} bytes, got one of {length}")
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, OSError) as error:
        raise ConnectionEnded("the peer ended the connection") from error


async def write_frame(writer: asyncio.StreamWriter, body: bytes) -> None:
    """Write one frame and wait until the stream takes more.

    Raises:
        ConnectionEnded: the stream is gone.
    """
    # A transport of uvloop whose connection is lost takes no write; asyncio's own forgets it.
    if writer.is_closing():
        raise ConnectionEnded("the peer ended the connection")
    try:
        writer.write(_LENGTH.pack(len(body)) + body)
        await writer.drain()
    except OSError as error:
        raise ConnectionEnded("the peer ended the connection") from error
