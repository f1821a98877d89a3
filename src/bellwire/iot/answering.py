"""The responder's handshake: the gate first, then in full or by a ticket."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from bellwire.base.frames import ConnectionEnded
from bellwire.channel.errors import CertificateRefused, HandshakeFailed
from bellwire.channel.handshake import (
    Gate,
    Policy,
    Responder,
    ResumptionResponder,
    Retry,
    SessionOptions,
    Ticket,
    TicketBox,
)
from bellwire.channel.macs import Hello
from bellwire.channel.messages import Kind
from bellwire.channel.session import Session
from bellwire.crypto.kem import XWingPrivateKey
from bellwire.iot.enrol_messages import is_request
from bellwire.iot.enrolling import Enroller
from bellwire.iot.errors import KeyRefused
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.keys import KeySource
from bellwire.iot.line import Line, Wire, fetch_for
from bellwire.iot.trust_files import TrustFiles


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
        tickets: Of sessions that may be resumed.
        working: Entered while a hello is worked on: it bounds how many are at once.
        options: Of sessions.
        enroller: Enrols devices that come with a code; None if none may.
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
    tickets: TicketBox
    working: AbstractAsyncContextManager[object] = field(default_factory=contextlib.nullcontext)
    options: SessionOptions | None = None
    enroller: Enroller | None = None
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, kw_only=True)
class Guests:
    """Who may come.

    Attributes:
        admitted: Devices on the list, by fingerprint.
        trust: Whose certificates count beside that, if any do.
        shown: Certificates that counted, for who looks later whether they still do.
    """

    admitted: Mapping[bytes, PublicIdentity]
    trust: TrustFiles | None = None
    shown: list[bytes] = field(default_factory=list)

    def public_of(self, device: bytes) -> bytes | None:
        """The public key of a device on the list."""
        found = self.admitted.get(device)
        return None if found is None else found.public

    def vouched(self, certificate: bytes) -> PublicIdentity:
        """The device that a certificate names; CertificateRefused if it does not count."""
        if self.trust is None:
            raise CertificateRefused("expected an enrolled device, got one with a certificate")
        found = self.trust.check(certificate)
        self.shown.append(certificate)
        return found

    def still(self, device: bytes, certificate: bytes) -> PublicIdentity:
        """A device that came before; CertificateRefused if it may no longer."""
        if certificate:
            return self.vouched(certificate)
        found = self.admitted.get(device)
        if found is None:
            raise CertificateRefused("expected a device that is still on the list, got another")
        return found


async def respond(
    wire: Wire,
    *,
    door: Door,
    source: str,
    guests: Guests,
) -> tuple[Line, PublicIdentity] | None:
    """Run the responder's handshake, or enrol a device; a refusal has been sent when this raises.

    Args:
        wire: What carries it.
        door: What all handshakes have in common.
        source: The initiator's address.
        guests: Who may come.

    Returns:
        The session, and whose it is; None if a device was enrolled, which comes again for one.

    Raises:
        EnrolmentFailed, CodeRefused: a device with a code is not enrolled.
        HandshakeFailed: the initiator is not admitted, or not who it says.
        TooManyHandshakes: too many come from its network.
        KeyRefused: the source refuses the named key.
        ConnectionEnded: the initiator left.
        TimeoutError: it is too slow.
    """
    visit = _Visit(wire, door, guests)
    message = await visit.hear()
    if door.enroller is not None and is_request(message):
        await visit.enrol(door.enroller, message, source)
        return None
    hello = await visit.first_words(source, message)
    if hello.kind is Kind.RESUME:
        taken = door.tickets.take(hello.opening)
        if taken is not None:
            async with door.working:
                return await visit.take_up(hello, *taken)
        await visit.say(door.gate.unknown(hello))
        hello = await visit.first_words(source, await visit.hear())
        if hello.kind is Kind.RESUME:
            raise HandshakeFailed("expected a full handshake, got another ticket")
    async with door.working:
        return await visit.greet(hello)


@dataclass(frozen=True)
class _Visit:
    """One connection until its session."""

    wire: Wire
    door: Door
    guests: Guests

    async def hear(self) -> bytes:
        """The initiator's next message."""
        async with asyncio.timeout(self.door.within_s):
            return await self.wire.read()

    async def enrol(self, enroller: Enroller, message: bytes, source: str) -> None:
        """Answer a device that comes with a code; CodeRefused once it has been told why."""
        self.door.gate.spend(source, self.door.clock())
        async with self.door.working:
            answer, refused = await enroller.answer(message)
        await self.say(answer)
        if refused is not None:
            raise refused

    async def first_words(self, source: str, message: bytes) -> Hello:
        """A hello that is worth public-key work: this one, or the same after a retry."""
        verdict = self.door.gate.admit(message, source, self.door.clock())
        if isinstance(verdict, Retry):
            await self.say(verdict.message)
            verdict = self.door.gate.admit(await self.hear(), source, self.door.clock())
        if isinstance(verdict, Retry):
            await self.say(verdict.message)
            raise HandshakeFailed("expected a hello with a cookie, got one without")
        return verdict

    async def greet(self, hello: Hello) -> tuple[Line, PublicIdentity]:
        """A full handshake."""
        door, guests = self.door, self.guests
        vouched: list[tuple[bytes, PublicIdentity]] = []

        def certified(certificate: bytes) -> bytes:
            vouched.append((certificate, guests.vouched(certificate)))
            return vouched[0][1].public

        responder = Responder(
            identity=door.identity,
            name=door.name,
            initiators=guests.public_of,
            policy=door.policy,
            last_counter=door.last_counter,
            certified=certified,
            options=door.options,
        )
        async with self._telling():
            offer = responder.receive_hello(hello)
        session = await self._finish(responder, offer.key_id)
        door.confirmed(offer.initiator, offer.counter)
        certificate, device = vouched[0] if vouched else (b"", guests.admitted[session.peer])
        return self._line(session, certificate), device

    async def take_up(
        self, hello: Hello, ticket: Ticket, certificate: bytes
    ) -> tuple[Line, PublicIdentity]:
        """A resumption, by who is still admitted."""
        responder = ResumptionResponder(
            hello,
            ticket,
            name=self.door.name,
            own_public=self.door.identity.public_bytes,
            policy=self.door.policy,
            options=self.door.options,
        )
        async with self._telling():
            key_id = responder.receive_hello()
        try:
            device = self.guests.still(ticket.peer, certificate)
        except CertificateRefused:
            await self.say(responder.refuse())
            raise
        session = await self._finish(responder, key_id)
        return self._line(session, certificate), device

    def _line(self, session: Session, certificate: bytes) -> Line:
        door = self.door
        door.tickets.keep(session.ticket, certificate)
        return self.wire.line(session, policy=door.policy, keys=door.keys)

    async def _finish(
        self, responder: Responder | ResumptionResponder, key_id: bytes | None
    ) -> Session:
        """From the key that was named to the confirmation."""
        async with self._telling():
            try:
                answer = responder.answer(await fetch_for(key_id, self.door.keys))
            except KeyRefused:
                await self.say(responder.refuse())
                raise
        async with asyncio.timeout(self.door.within_s):
            await self.wire.write(answer)
            confirm = await self.wire.read()
        return responder.receive_confirmation(confirm)

    @contextlib.asynccontextmanager
    async def _telling(self) -> AsyncIterator[None]:
        """Send the alert of a handshake that fails, if it has one."""
        try:
            yield
        except HandshakeFailed as error:
            if error.alert is not None:
                await self.say(error.alert)
            raise

    async def say(self, message: bytes) -> None:
        # An initiator that does not take its refusal is none the wiser; that is its own affair.
        with contextlib.suppress(ConnectionEnded, TimeoutError):
            async with asyncio.timeout(1.0):
                await self.wire.write(message)
