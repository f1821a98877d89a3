"""A channel over a TCP stream: the handshake of either end, then whole messages with time limits.

Messages of the channel follow one another: each begins with its kind and its length. A peer that is
slow, silent or breaks the rules loses its connection; nothing of it is kept.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from bellwire.base.frames import ConnectionEnded
from bellwire.channel.errors import CertificateRefused, HandshakeFailed, SessionEnded
from bellwire.channel.handshake import (
    Gate,
    Initiator,
    Policy,
    QkdKey,
    Responder,
    Retry,
    SessionOptions,
    Suite,
)
from bellwire.channel.macs import MAX_HANDSHAKE_BODY, Hello
from bellwire.channel.messages import (
    HEADER_BYTES,
    MAX_BODY,
    body_length,
)
from bellwire.channel.refresh import RefreshAnswered, RefreshDone, RefreshOffered
from bellwire.channel.session import Session
from bellwire.crypto.kem import XWingPrivateKey
from bellwire.iot.authority import TrustFiles
from bellwire.iot.errors import KeyRefused, KeyUnavailable
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.keys import QKD_KEY_BITS, KeySource


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


MAX_IN_A_ROW = 16
"""Records about keys without a message between them."""


class Line:
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
            async with asyncio.timeout(within_s):
                await write_message(self._writer, self.session.offer_refresh(qkd))
        async with asyncio.timeout(within_s):
            await write_message(self._writer, self.session.seal(message))

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
                    record = await read_message(self._reader, MAX_BODY)
            except ConnectionEnded:
                self.session.transport_ended()
                return None
            opened = self.session.open(record)
            match opened:
                case RefreshOffered():
                    qkd = await _fetch(opened.key_id, self._keys)
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
                await write_message(self._writer, record)

    async def finish(self, within_s: float) -> None:
        """Close our direction; ConnectionEnded or TimeoutError as `send`."""
        async with asyncio.timeout(within_s):
            await write_message(self._writer, self.session.close())


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


async def initiate(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    identity: XWingPrivateKey,
    pin: PublicIdentity,
    policy: Policy,
    qkd: QkdKey | None,
    keys: KeySource | None = None,
    counter: int,
    within_s: float,
    certificate: bytes = b"",
    suite: Suite = Suite.AES_256_GCM,
    options: SessionOptions | None = None,
) -> Line:
    """Run the initiator's handshake; `qkd` is for it, and `keys` for fresh keys later.

    Raises:
        HandshakeFailed, HandshakeRefused: as `Initiator.receive`.
        ConnectionEnded: the responder closed the connection.
        TimeoutError: it does not answer.
    """
    initiator = Initiator(
        identity=identity,
        responder_name=pin.name,
        responder_public=pin.public,
        policy=policy,
        qkd=qkd,
        counter=counter,
        certificate=certificate,
        suite=suite,
        options=options,
    )
    session = None
    async with asyncio.timeout(within_s):
        message = initiator.hello()
        while session is None:
            await write_message(writer, message)
            message, session = initiator.receive(await read_message(reader, MAX_HANDSHAKE_BODY))
        await write_message(writer, message)
    return Line(reader, writer, session, policy=policy, keys=keys)


@dataclass(frozen=True, kw_only=True)
class Door:
    """What a responder's handshakes have in common.

    Attributes:
        identity: The key pair that initiators have pinned.
        name: What they call us.
        policy: What we ask of QKD.
        keys: Source of QKD keys, or None.
        gate: What a hello must pass first.
        last_counter: As `Responder` asks for it.
        confirmed: Told the counter of a confirmed handshake, by the initiator's fingerprint.
        within_s: For each message of the initiator; the source of keys has limits of its own.
        working: Entered while a hello is worked on: it bounds how many are at once.
        options: Of sessions.
        clock: Seconds, never going back.
    """

    identity: XWingPrivateKey
    name: str
    policy: Policy
    keys: KeySource | None
    gate: Gate
    last_counter: Callable[[bytes], int]
    confirmed: Callable[[bytes, int], None]
    within_s: float
    working: AbstractAsyncContextManager[object] = field(default_factory=contextlib.nullcontext)
    options: SessionOptions | None = None
    clock: Callable[[], float] = time.monotonic


async def respond(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    door: Door,
    source: str,
    admitted: Mapping[bytes, PublicIdentity],
    trust: TrustFiles | None = None,
) -> tuple[Line, PublicIdentity]:
    """Run the responder's handshake; a refusal has been sent when this raises.

    Args:
        reader: Of the connection.
        writer: Of the connection.
        door: What all handshakes have in common.
        source: The initiator's address.
        admitted: Who may connect, by fingerprint.
        trust: Whose certificates count beside that, if any do.

    Returns:
        The session, and whose it is.

    Raises:
        HandshakeFailed: the initiator is not admitted, or not who it says.
        TooManyHandshakes: too many come from its network.
        KeyRefused: the source refuses the named key.
        ConnectionEnded: the initiator left.
        TimeoutError: it is too slow.
    """
    hello = await _first_words(reader, writer, door, source)
    vouched: dict[bytes, PublicIdentity] = {}

    def certified(data: bytes) -> bytes:
        if trust is None:
            raise CertificateRefused("expected an enrolled device, got one with a certificate")
        device = trust.check(data)
        vouched[device.fingerprint] = device
        return device.public

    async with door.working:
        responder = Responder(
            identity=door.identity,
            name=door.name,
            initiators=lambda id_: admitted[id_].public if id_ in admitted else None,
            policy=door.policy,
            last_counter=door.last_counter,
            certified=certified,
            options=door.options,
        )
        try:
            offer = responder.receive_hello(hello)
            try:
                answer = responder.answer(await _fetch(offer.key_id, door.keys))
            except KeyRefused:
                await _say(writer, responder.refuse())
                raise
        except HandshakeFailed as error:
            if error.alert is not None:
                await _say(writer, error.alert)
            raise
        async with asyncio.timeout(door.within_s):
            await write_message(writer, answer)
            confirm = await read_message(reader, MAX_HANDSHAKE_BODY)
        session = responder.receive_confirmation(confirm)
    door.confirmed(offer.initiator, offer.counter)
    line = Line(reader, writer, session, policy=door.policy, keys=door.keys)
    return line, vouched.get(session.peer) or admitted[session.peer]


async def _first_words(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, door: Door, source: str
) -> Hello:
    """A hello that is worth public-key work, perhaps after a retry."""
    for _ in range(2):
        async with asyncio.timeout(door.within_s):
            message = await read_message(reader, MAX_HANDSHAKE_BODY)
        verdict = door.gate.admit(message, source, door.clock())
        if not isinstance(verdict, Retry):
            return verdict
        await _say(writer, verdict.message)
    raise HandshakeFailed("expected a hello with a cookie, got one without")


async def _fetch(key_id: bytes | None, keys: KeySource | None) -> QkdKey | None:
    """The named key; None if none is named or the source cannot be reached."""
    if key_id is None or keys is None:
        return None
    try:
        return await keys.fetch(key_id)
    except KeyUnavailable:
        return None


async def _say(writer: asyncio.StreamWriter, message: bytes) -> None:
    # An initiator that does not take its refusal is none the wiser; that is its own affair.
    with contextlib.suppress(ConnectionEnded, TimeoutError):
        async with asyncio.timeout(1.0):
            await write_message(writer, message)
