"""The connection between the KMEs of a link's two nodes: what moves its bytes.

Alice's node connects, beside the classical channel and to the same address; Bob's tells the two
apart by the first frame. Each side reports what left here some times a second, which also shows
that the other lives. A connection that fails is made anew, and takes no key with it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.detections import Side
from bellwire.base.frames import read_frame, write_frame
from bellwire.base.secret import Secret
from bellwire.base.together import until_one_ends
from bellwire.keys.errors import PeeringBroken
from bellwire.keys.link_keys import LinkKeys
from bellwire.keys.peering.line import HELLO, MAX_FRAME, Line
from bellwire.keys.peering.messages import Message, decode, encode
from bellwire.keys.peering.session import Session

HELLO_TIMEOUT_S = 5.0
REPORT_EVERY_S = 0.05
SAES_EVERY_S = 0.5
MAX_UNSENT = 1024
"""Messages that may wait for a peer who does not read; then the connection ends."""

log = structlog.get_logger()


class Peering:
    """The peering of one node.

    Args:
        keys: Of the link.
        mac_key: Gives the link's MAC key; first contact may bring it later.
        saes: Names of the SAEs of this site, now.
        fenced: Called with the reason when the pool was voided.
    """

    def __init__(
        self,
        keys: LinkKeys,
        mac_key: Callable[[], Awaitable[Secret]],
        saes: Callable[[], frozenset[str]],
        fenced: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._keys = keys
        self._mac_key = mac_key
        self._saes = saes
        self.fenced = fenced

    async def run(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        first: bytes | None = None,
        proven: Callable[[], None] = lambda: None,
    ) -> None:
        """One connection, to its end; what ended it is raised.

        Args:
            reader: Of the connection.
            writer: Of the connection.
            first: The peer's first frame, if it was read already.
            proven: Called when the other end has shown that it has the link's key.

        Raises:
            ConnectionEnded, FrameTooLarge, PeeringBroken, StoreError, TimeoutError: it is over.
        """
        mac_key = await self._mac_key()
        line = Line(self._keys.side, mac_key)
        async with asyncio.timeout(HELLO_TIMEOUT_S):
            await write_frame(writer, line.hello())
            line.receive_hello(first or await read_frame(reader, HELLO))
            # Whoever comes must show that it has the link's key before it counts as the peer.
            opening = None
            if self._keys.side is Side.BOB:
                opening = line.open(await read_frame(reader, MAX_FRAME))
        proven()
        await self._keys.open(mac_key)
        unsent: asyncio.Queue[Message] = asyncio.Queue(MAX_UNSENT)

        def say(messages: list[Message]) -> None:
            for message in messages:
                unsent.put_nowait(message)

        session = self._keys.meet(say)
        try:
            say(session.start())
            await until_one_ends(
                self._write(line, writer, unsent),
                self._report(session, say),
                self._read(line, reader, session, opening),
            )
        except asyncio.QueueFull as error:
            raise PeeringBroken("the peer's KME does not read") from error
        finally:
            self._keys.part(session)

    async def _write(
        self, line: Line, writer: asyncio.StreamWriter, unsent: "asyncio.Queue[Message]"
    ) -> None:
        while True:
            await write_frame(writer, line.seal(encode(await unsent.get())))

    async def _read(
        self,
        line: Line,
        reader: asyncio.StreamReader,
        session: Session,
        opening: bytes | None,
    ) -> None:
        while True:
            data = opening or line.open(await read_frame(reader, MAX_FRAME))
            opening = None
            try:
                message = decode(data)
            except UNDECODABLE as error:
                raise PeeringBroken("expected a message of the peering, got another") from error
            fences = len(self._keys.fences)
            try:
                await self._keys.hear(session, message)
            finally:  # what was heard is done even if the connection ends meanwhile
                for why in self._keys.fences[fences:]:
                    log.warning("the pool was voided, and a new epoch begun", why=why)
                    self.fenced(why)

    async def _report(self, session: Session, say: Callable[[list[Message]], None]) -> None:
        told: frozenset[str] | None = None
        waited = SAES_EVERY_S
        while True:
            if self._keys.peer.kme and waited >= SAES_EVERY_S:
                waited = 0.0
                saes = self._saes()
                if saes != told:
                    told = saes
                    say(session.saes(saes))
            await asyncio.sleep(REPORT_EVERY_S)
            waited += REPORT_EVERY_S
            await self._keys.report(session)


async def closed(writer: asyncio.StreamWriter) -> None:
    """Give a connection up."""
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            await writer.wait_closed()
    writer.transport.abort()
