"""The initiator's handshake: by a ticket where there is one, else in full."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from bellwire.channel.errors import TicketUnknown
from bellwire.channel.handshake import (
    Initiator,
    Policy,
    QkdKey,
    Resumer,
    SessionOptions,
    Suite,
    Ticket,
)
from bellwire.channel.session import Session
from bellwire.crypto.kem import XWingPrivateKey
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.keys import KeySource
from bellwire.iot.line import Line, Wire


@dataclass(frozen=True, kw_only=True)
class Call:
    """What an initiator's handshake is made of.

    Attributes:
        identity: The key pair.
        pin: The responder.
        policy: What we ask of QKD.
        qkd: The key for the handshake, or None.
        keys: The source of those for fresh keys later, or None.
        counter: Numbers the handshake; taken when it is a full one.
        within_s: For each message of the responder.
        certificate: For our key, or empty.
        ticket: Of our last session, if there is one.
        suite: The cipher.
        options: Of the session.
    """

    identity: XWingPrivateKey
    pin: PublicIdentity
    policy: Policy
    qkd: QkdKey | None
    counter: Callable[[], int]
    within_s: float
    keys: KeySource | None = None
    certificate: bytes = b""
    ticket: Ticket | None = None
    suite: Suite = Suite.AES_256_GCM
    options: SessionOptions | None = None

    def full(self) -> Initiator:
        """The handshake by the static keys."""
        return Initiator(
            identity=self.identity,
            responder_name=self.pin.name,
            responder_public=self.pin.key,
            policy=self.policy,
            qkd=self.qkd,
            counter=self.counter(),
            certificate=self.certificate,
            suite=self.suite,
            options=self.options,
        )

    def resumption(self, ticket: Ticket) -> Resumer:
        """The handshake by a ticket."""
        return Resumer(
            ticket=ticket,
            own_public=self.identity.public_bytes,
            responder_name=self.pin.name,
            responder_public=self.pin.public,
            policy=self.policy,
            qkd=self.qkd,
            options=self.options,
        )


async def initiate(wire: Wire, call: Call) -> Line:
    """Run the initiator's handshake: by the ticket, if there is one and it is known.

    Raises:
        HandshakeFailed, HandshakeRefused: as `Initiator.receive`.
        ConnectionEnded: the responder closed the connection.
        TimeoutError: it does not answer.
        PathUnusable, PathExposed: the handshake cannot be numbered.
    """
    session = None
    if call.ticket is not None:
        with contextlib.suppress(TicketUnknown):
            session = await _shake_hands(wire, call.resumption(call.ticket), call)
    if session is None:
        full = await asyncio.to_thread(call.full)
        session = await _shake_hands(wire, full, call)
    return wire.line(session, policy=call.policy, keys=call.keys)


async def _shake_hands(wire: Wire, initiator: Initiator | Resumer, call: Call) -> Session:
    session = None
    async with asyncio.timeout(call.within_s):
        message = initiator.hello()
        while session is None:
            await wire.write(message)
            message, session = initiator.receive(await wire.read())
        await wire.write(message)
    return session
