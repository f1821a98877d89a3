"""A channel over a TCP stream: the handshake of either end, then whole messages with time limits.

Each message of the channel travels in one frame. A peer that is slow, silent or breaks the rules
loses its connection; nothing of it is kept.
"""

import asyncio
import contextlib
from collections.abc import Mapping

from bellwire.base.frames import ConnectionEnded, FrameTooLarge, read_frame, write_frame
from bellwire.channel.errors import HandshakeFailed, SessionEnded
from bellwire.channel.handshake import Initiator, Policy, QkdKey, Responder
from bellwire.channel.messages import MAX_HANDSHAKE_BYTES, MAX_RECORD_BYTES
from bellwire.channel.session import Session
from bellwire.crypto.kem import XWingPrivateKey
from bellwire.iot.errors import KeyRefused, KeyUnavailable
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.keys import QKD_KEY_BITS, KeySource


class Line:
    """An established session on a connection; one task reads, one writes.

    Attributes:
        session: Its protections and its peer; who uses the line leaves its records alone.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, session: Session
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.session = session

    async def send(self, message: bytes, within_s: float) -> None:
        """Send one message.

        Raises:
            ConnectionEnded: the peer is gone.
            TimeoutError: it takes nothing.
        """
        async with asyncio.timeout(within_s):
            await write_frame(self._writer, self.session.seal(message))

    async def receive(self, within_s: float) -> bytes | None:
        """The peer's next message, or None when it has closed the session.

        Raises:
            SessionEnded: altered, out of order, or cut off without a close.
            TimeoutError: none came in time.
        """
        try:
            async with asyncio.timeout(within_s):
                record = await read_frame(self._reader, MAX_RECORD_BYTES)
        except ConnectionEnded:
            self.session.transport_ended()
            return None
        except FrameTooLarge as error:
            raise SessionEnded(f"expected a record: {error}") from error
        return self.session.open(record)

    async def finish(self, within_s: float) -> None:
        """Close our direction; ConnectionEnded or TimeoutError as `send`."""
        async with asyncio.timeout(within_s):
            await write_frame(self._writer, self.session.close())


async def draw_for(policy: Policy, keys: KeySource | None) -> QkdKey | None:
    """The QKD key for one handshake, as the policy asks for it.

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
    except KeyRefused as error:
        raise KeyRefused(f"nothing was sent: {error}", hint=error.hint) from error
    except KeyUnavailable:
        if policy is Policy.REQUIRE:
            raise
        return None


async def initiate(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    identity: XWingPrivateKey,
    pin: PublicIdentity,
    policy: Policy,
    qkd: QkdKey | None,
    within_s: float,
) -> Line:
    """Run the initiator's handshake.

    Raises:
        HandshakeFailed, HandshakeRefused: as `Initiator.receive_answer`.
        ConnectionEnded: the responder closed the connection.
        TimeoutError: it does not answer.
    """
    initiator = Initiator(
        identity=identity,
        responder_name=pin.name,
        responder_public=pin.public,
        policy=policy,
        qkd=qkd,
    )
    async with asyncio.timeout(within_s):
        await write_frame(writer, initiator.hello())
        try:
            answer = await read_frame(reader, MAX_HANDSHAKE_BYTES)
        except FrameTooLarge as error:
            raise HandshakeFailed(f"expected an answer: {error}") from error
        confirm, session = initiator.receive_answer(answer)
        await write_frame(writer, confirm)
    return Line(reader, writer, session)


async def respond(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    identity: XWingPrivateKey,
    name: str,
    admitted: Mapping[bytes, PublicIdentity],
    policy: Policy,
    keys: KeySource | None,
    within_s: float,
) -> Line:
    """Run the responder's handshake; a refusal has been sent when this raises.

    `within_s` holds for each message of the initiator; the source of keys has limits of its own.

    Raises:
        HandshakeFailed: the initiator is not admitted, or not who it says.
        KeyRefused: the source refuses the named key.
        ConnectionEnded, FrameTooLarge: the initiator left, or does not speak the protocol.
        TimeoutError: it is too slow.
    """
    responder = Responder(
        identity=identity,
        name=name,
        initiators={id_: device.public for id_, device in admitted.items()},
        policy=policy,
    )
    try:
        async with asyncio.timeout(within_s):
            hello = await read_frame(reader, MAX_HANDSHAKE_BYTES)
        offer = responder.receive_hello(hello)
        try:
            answer = responder.answer(await _fetch(offer.key_id, keys))
        except KeyRefused:
            await _say(writer, responder.refuse())
            raise
    except HandshakeFailed as error:
        if error.alert is not None:
            await _say(writer, error.alert)
        raise
    async with asyncio.timeout(within_s):
        await write_frame(writer, answer)
        confirm = await read_frame(reader, MAX_HANDSHAKE_BYTES)
    return Line(reader, writer, responder.receive_confirmation(confirm))


async def _fetch(key_id: bytes | None, keys: KeySource | None) -> QkdKey | None:
    """The named key; None if none is named or the source cannot be reached."""
    if key_id is None or keys is None:
        return None
    try:
        return await keys.fetch(key_id)
    except KeyUnavailable:
        return None


async def _say(writer: asyncio.StreamWriter, alert: bytes) -> None:
    # An initiator that does not take its refusal is none the wiser; that is its own affair.
    with contextlib.suppress(ConnectionEnded, TimeoutError):
        async with asyncio.timeout(1.0):
            await write_frame(writer, alert)
