"""What carries a handshake, and then a session: whole messages, with time limits. Here, TCP.

On a stream, messages of the channel follow one another: each begins with its kind and its length. A
peer that is slow, silent or breaks the rules loses its connection; nothing of it is kept. Over
datagrams: `bellwire.iot.datagram_line`.
"""

import asyncio
import contextlib
from typing import Protocol

from bellwire.base.frames import ConnectionEnded
from bellwire.channel.errors import HandshakeFailed, SessionEnded
from bellwire.channel.handshake import Policy, QkdKey, Ticket
from bellwire.channel.macs import MAX_HANDSHAKE_BODY
from bellwire.channel.messages import HEADER_BYTES, MAX_BODY, body_length
from bellwire.channel.protections import Protections
from bellwire.channel.refresh import RefreshAnswered, RefreshDone, RefreshOffered
from bellwire.channel.session import Session
from bellwire.iot.errors import KeyUnavailable
from bellwire.iot.keys import QKD_KEY_BITS, KeySource
from bellwire.iot.traffic import Traffic


async def read_message(reader: asyncio.StreamReader, limit: int) -> bytes:
    """Read one message of the channel, whose body has at most `limit` bytes.

    Raises:
        ConnectionEnded: the stream ended, inside a message or between two.
        HandshakeFailed: the announced body is longer; only a handshake's limit can be exceeded.
    """
    try:
        head = await reader.readexactly(HEADER_BYTES)
        length = body_length(head)
        if length > limit:
            raise HandshakeFailed(
                f"expected a message with a body of at most {limit} bytes, got one of {length}"
            )
        return head + await reader.readexactly(length)
    except (asyncio.IncompleteReadError, OSError) as error:
        raise ConnectionEnded("the peer ended the connection") from error


async def write_message(writer: asyncio.StreamWriter, message: bytes) -> None:
    """Write one message and wait until the stream takes more; ConnectionEnded if it is gone."""
    try:
        writer.write(message)
        await writer.drain()
    except OSError as error:
        raise ConnectionEnded("the peer ended the connection") from error


class Established(Protocol):
    """What a line's user sees of its session."""

    @property
    def protections(self) -> Protections:
        """What the keys rest on."""

    @property
    def ticket(self) -> Ticket:
        """With which the next session may begin."""


class Line(Protocol):
    """An established session, whatever carries it; one task reads, one writes."""

    @property
    def session(self) -> Established:
        """Whose records are the line's own."""

    @property
    def traffic(self) -> Traffic:
        """What its records come to so far."""

    async def send(self, message: bytes, within_s: float) -> None:
        """Send one message; before it, ask for fresh keys if they are due.

        Raises:
            ConnectionEnded: the peer is gone.
            TimeoutError: it takes nothing.
            KeyRefused, KeyUnavailable: fresh keys are due, and as `draw_for`.
        """

    async def receive(self, within_s: float) -> bytes | None:
        """The peer's next message, or None when it has closed the session.

        Fresh keys are agreed on the way.

        Raises:
            SessionEnded: the session was tampered with, or cut off without a close.
            TimeoutError: none came in time.
            KeyRefused: the source refuses a key that the peer named for fresh keys.
        """

    async def finish(self, within_s: float) -> None:
        """Say that nothing follows from this end; ConnectionEnded or TimeoutError as `send`."""


class Wire(Protocol):
    """What carries one handshake, message by message."""

    async def read(self) -> bytes:
        """The next message; ConnectionEnded or HandshakeFailed if none can come."""

    async def write(self, message: bytes) -> None:
        """Send a message; ConnectionEnded if it cannot be."""

    def line(self, session: Session, *, policy: Policy, keys: KeySource | None) -> Line:
        """The line of the session that the handshake came to."""


class StreamWire:
    """A TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        """As `read_message`, for messages of a handshake."""
        return await read_message(self._reader, MAX_HANDSHAKE_BODY)

    async def write(self, message: bytes) -> None:
        """As `write_message`."""
        await write_message(self._writer, message)

    def line(self, session: Session, *, policy: Policy, keys: KeySource | None) -> "StreamLine":
        """The session on this connection."""
        return StreamLine(self._reader, self._writer, session, policy=policy, keys=keys)


MAX_IN_A_ROW = 16
"""Records about keys without a message between them."""


class StreamLine:
    """An established session on a connection; one task reads, one writes.

    Attributes:
        session: Its protections and its peer; who uses the line leaves its records alone.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        session: Session,
        *,
        policy: Policy,
        keys: KeySource | None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._policy = policy
        self._keys = keys
        self._drawing = False
        self.session = session
        self.traffic = Traffic()

    async def send(self, message: bytes, within_s: float) -> None:
        """Send one message; before it, ask for fresh keys if they are due.

        Raises:
            ConnectionEnded: the peer is gone.
            TimeoutError: it takes nothing.
            KeyRefused, KeyUnavailable: fresh keys are due, and as `draw_for`.
        """
        if self.session.refresh_due and not self._drawing:
            self._drawing = True
            try:
                qkd = await draw_for(self._policy, self._keys)
            finally:
                self._drawing = False
            self._require_open()
            async with asyncio.timeout(within_s):
                await self._put(self.session.offer_refresh(qkd))
        self._require_open()
        async with asyncio.timeout(within_s):
            await self._put(self.session.seal(message))

    def _require_open(self) -> None:
        if self.session.ended:  # whoever reads has seen it first
            raise ConnectionEnded("the peer ended the connection")

    async def receive(self, within_s: float) -> bytes | None:
        """The peer's next message, or None when it has closed the session.

        Fresh keys are agreed on the way.

        Raises:
            SessionEnded: altered, out of order, or cut off without a close.
            TimeoutError: none came in time.
            KeyRefused: the source refuses a key that the peer named for fresh keys.
        """
        for _ in range(MAX_IN_A_ROW):
            try:
                async with asyncio.timeout(within_s):
                    record = self.traffic.received(await read_message(self._reader, MAX_BODY))
            except ConnectionEnded:
                self.session.transport_ended()
                return None
            opened = self.session.open(record)
            match opened:
                case RefreshOffered():
                    qkd = await fetch_for(opened.key_id, self._keys)
                    await self._write(self.session.answer_refresh(qkd), within_s)
                case RefreshAnswered() if opened.record:
                    await self._write(opened.record, within_s)
                case RefreshAnswered() | RefreshDone():
                    pass
                case _:
                    return opened
        raise SessionEnded("expected a message, got one change of keys after the other")

    async def _write(self, record: bytes, within_s: float) -> None:
        # Who has left after its last message has sent that message all the same.
        with contextlib.suppress(ConnectionEnded):
            async with asyncio.timeout(within_s):
                await self._put(record)

    async def _put(self, record: bytes) -> None:
        await write_message(self._writer, self.traffic.sent(record))

    async def finish(self, within_s: float) -> None:
        """Close our direction; ConnectionEnded or TimeoutError as `send`."""
        async with asyncio.timeout(within_s):
            await self._put(self.session.close())


async def draw_for(policy: Policy, keys: KeySource | None) -> QkdKey | None:
    """A new QKD key, as the policy asks for it.

    Raises:
        KeyRefused: the source refuses; never replaced by going without.
        KeyUnavailable: there is no source, or it does not answer, and the policy requires a key.
    """
    if policy is Policy.OFF:
        return None
    if keys is None:
        if policy is Policy.REQUIRE:
            raise KeyUnavailable("expected a source of QKD keys, got none")
        return None
    try:
        return await keys.draw(QKD_KEY_BITS)
    except KeyUnavailable:
        if policy is Policy.REQUIRE:
            raise
        return None


async def fetch_for(key_id: bytes | None, keys: KeySource | None) -> QkdKey | None:
    """The named key; None if none is named or the source cannot be reached."""
    if key_id is None or keys is None:
        return None
    try:
        return await keys.fetch(key_id)
    except KeyUnavailable:
        return None
