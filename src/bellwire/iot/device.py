"""A device that sends readings so that each is at the cloud exactly once, however often it tries.

A stream has a name that the same readings always get. The cloud first says how many of it are
durable there, and their hash; the device sends the rest in order and counts a reading as sent only
when the cloud acknowledged it. A send that was interrupted is simply made again. No reading leaves
before the handshake is through, and none when the source of keys refuses.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from bellwire.base.frames import ConnectionEnded
from bellwire.channel.errors import Truncated
from bellwire.channel.handshake import Policy, QkdKey, SessionOptions, Suite, Ticket, fingerprint
from bellwire.channel.messages import Transport
from bellwire.crypto.kem import XWingPrivateKey
from bellwire.iot.calling import Call, initiate
from bellwire.iot.counters import CallCounter
from bellwire.iot.destination import Destination
from bellwire.iot.errors import CloudSilent, CloudUnreachable, KeyRefused, RangeError
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.inbox import Inbox
from bellwire.iot.keys import KeySource
from bellwire.iot.line import Line, Wire, draw_for
from bellwire.iot.messages import stream_of_content, stream_of_name
from bellwire.iot.readings import Readings
from bellwire.iot.sending import Sending, SendReport, attend
from bellwire.iot.tickets import TicketFile

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device that is enrolled with a cloud.

    Attributes:
        identity: Its key pair.
        pin: The cloud's public key.
        keys: Its source of QKD keys, or None.
        policy: What it asks of QKD.
        timeout_s: For the connection and for each answer.
        counter: Numbers its handshakes.
        tickets: Where the ticket of its last session is kept; None if it resumes none.
        certificate: For its key, or empty; a cloud that has it on its list needs none. Or what
            reads it before each handshake, as it may be renewed.
        suite: The cipher it picks.
        options: Of sessions.
        inbox: Where messages of the cloud go while there is a session; None if none are taken.
    """

    identity: XWingPrivateKey
    pin: PublicIdentity
    keys: KeySource | None
    policy: Policy = Policy.REQUIRE
    timeout_s: float = 20.0
    counter: CallCounter = field(default_factory=CallCounter)
    tickets: TicketFile | None = None
    certificate: bytes | Callable[[], bytes] = b""
    suite: Suite = Suite.AES_256_GCM
    options: SessionOptions | None = None
    inbox: Inbox | None = None

    def stream(self, readings: Readings, name: str | None = None) -> bytes:
        """The name of these readings' stream, by their content or by a given name."""
        own = fingerprint(self.identity.public_bytes)
        if name is None:
            return stream_of_content(own, readings.data)
        return stream_of_name(own, name)

    async def send(
        self,
        readings: Readings,
        to: Destination,
        *,
        first: int = 0,
        stop: int | None = None,
        stream_name: str | None = None,
        progress: Callable[[int], None] = lambda sent: None,
    ) -> SendReport:
        """Bring readings `first` to `stop` − 1 to the cloud, leaving out those it has.

        Args:
            readings: The whole file.
            to: Where the cloud listens.
            first: Number of the first reading, from 0; the cloud must have those before it.
            stop: Number after the last; None for all.
            stream_name: Names the stream instead of its content.
            progress: Called with how many were acknowledged since the last call.

        Raises:
            RangeError: no such readings, or the cloud lacks readings before `first`.
            KeyRefused: the source of keys refuses (link RED); nothing was sent.
            KeyUnavailable: it does not answer, and the policy requires a key; nothing was sent.
            CloudUnreachable: no cloud answers, or it stopped; what was acknowledged is there.
            HandshakeFailed: the cloud refuses, or is not the pinned one; nothing was sent.
            SessionEnded: records were tampered with.
            StreamMismatch: the cloud has other readings under this name.
            CloudRejected, ProtocolError: the cloud stores no more, or misbehaves.
        """
        stop = len(readings) if stop is None else stop
        if not 0 <= first <= stop <= len(readings):
            raise RangeError(
                f"expected readings within 0 to {len(readings)}, got {first} to {stop}"
            )
        stream = self.stream(readings, stream_name)

        async def work(line: Line) -> SendReport:
            conversation = Sending(
                line, lambda: readings, stream, self.timeout_s, progress, inbox=self.inbox
            )
            return await conversation.run(first, stop)

        report, handshake_s = await self._session(to, work)
        return replace(report, handshake_s=handshake_s)

    async def follow(
        self,
        stream: bytes,
        readings: Callable[[], Readings],
        more: Callable[[int, float], Awaitable[bool]],
        to: Destination,
        *,
        progress: Callable[[int], None] = lambda sent: None,
    ) -> SendReport:
        """Bring a stream that grows to the cloud in one session, until no more comes.

        Args:
            stream: Its name.
            readings: What there is of it now; it only grows.
            more: Waits at most so many seconds until there are more readings than so many; false
                when there are not, and never will be.
            to: Where the cloud listens.
            progress: As for `send`.

        Raises:
            As `send`, but for RangeError.
        """

        async def work(line: Line) -> SendReport:
            conversation = Sending(
                line, readings, stream, self.timeout_s, progress, inbox=self.inbox
            )
            return await conversation.follow(more)

        report, handshake_s = await self._session(to, work)
        return replace(report, handshake_s=handshake_s)

    async def attend(
        self, inbox: Inbox, wanted: Callable[[float], Awaitable[bool]], to: Destination
    ) -> None:
        """Take messages of the cloud in a session without readings.

        Args:
            inbox: Where they go.
            wanted: Waits at most so many seconds until the session is to end; whether it is.
            to: Where the cloud listens.

        Raises:
            As `follow`, but for what concerns readings.
        """
        await self._session(to, lambda line: attend(line, inbox, wanted, self.timeout_s))

    async def _session(
        self, to: Destination, work: Callable[[Line], Awaitable[_Result]]
    ) -> tuple[_Result, float]:
        """A session, and how long its handshake took."""
        async with contextlib.AsyncExitStack() as stack:
            line, handshake_s = await self._reach(to, stack)
            try:
                return await work(line), handshake_s
            except (ConnectionEnded, TimeoutError, Truncated) as error:
                raise CloudUnreachable(
                    f"the cloud at {to} stopped answering",
                    hint="Send the same readings again: those that arrived are not sent twice.",
                ) from error

    async def _reach(self, to: Destination, stack: contextlib.AsyncExitStack) -> tuple[Line, float]:
        """A session with the cloud, which ends with the stack, and how long its handshake took."""
        try:
            async with asyncio.timeout(self.timeout_s):
                wire = await stack.enter_async_context(to.reach(self.pin.public, self.suite))
            return await self._shake_hands(wire, to.transport)
        except ConnectionEnded as error:
            raise CloudSilent(
                f"expected the pinned cloud {self.pin.name!r} at {to}, got one that ended the "
                "connection without an answer",
                hint="A cloud is silent to who has not its key: compare the pin's fingerprint, "
                f"{self.pin.fingerprint.hex()[:16]}…, with what the cloud's operator says. One "
                "that has too much to do is silent as well: then try again.",
            ) from error
        except OSError as error:  # TimeoutError is an OSError.
            raise _unreachable(to) from error

    async def _shake_hands(self, wire: Wire, transport: Transport) -> tuple[Line, float]:
        # A key is drawn only once somebody listens: an unused one is lost.
        qkd = await self._draw()
        call = Call(
            identity=self.identity,
            pin=self.pin,
            policy=self.policy,
            qkd=qkd,
            keys=self.keys,
            counter=self.counter.take,
            within_s=self.timeout_s,
            certificate=await asyncio.to_thread(self._shown),
            ticket=await asyncio.to_thread(self._take_ticket),
            suite=self.suite,
            options=replace(self.options or SessionOptions(), transport=transport),
        )
        began = time.perf_counter()
        line = await initiate(wire, call)
        taken_s = time.perf_counter() - began
        if self.tickets is not None:
            await asyncio.to_thread(self.tickets.keep, line.session.ticket)
        return line, taken_s

    def _shown(self) -> bytes:
        return self.certificate() if callable(self.certificate) else self.certificate

    def _take_ticket(self) -> Ticket | None:
        return None if self.tickets is None else self.tickets.take(self.pin.fingerprint, self.suite)

    async def _draw(self) -> QkdKey | None:
        try:
            return await draw_for(self.policy, self.keys)
        except KeyRefused as error:
            raise KeyRefused(f"nothing was sent: {error}", hint=error.hint) from error


def _unreachable(to: Destination) -> CloudUnreachable:
    return CloudUnreachable(
        f"expected a cloud at {to}, got no answer", hint="Is the cloud running, at this address?"
    )
