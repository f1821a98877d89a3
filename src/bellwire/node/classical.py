"""One TCP connection of the classical channel: prove the peer, settle what is pending, run blocks.

Alice's node opens blocks, Bob's answers; otherwise both do the same. Several may be under way, each
with its own messages in lockstep: while one waits for its peer, another computes. They begin in
ascending order, and each is kept only when the one before it has ended, so that both sides' stores
see them in one order. A block that fails never takes the node with it. After a frame that is not
the peer's, or a broken stream, the connection ends and Alice's node makes a new one; blocks that
one side keeps and the other may not are settled then.
Steps are numbered in spec/classical-channel.md.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Protocol as Interface

import structlog
from msgspec import structs

from bellwire.base.detections import Protocol, Side
from bellwire.base.ending import to_its_end
from bellwire.base.errors import BellwireError
from bellwire.base.frames import ConnectionEnded, FrameTooLarge, read_frame, write_frame
from bellwire.base.limits import MAX_IN_FLIGHT
from bellwire.base.secret import Secret
from bellwire.crypto.randomness.source import RandomSource
from bellwire.distill.choice import Conditions
from bellwire.distill.conversation import (
    BlockAuthentication,
    Compute,
    FetchHalf,
    FetchKeys,
    Phase,
    Send,
    Store,
)
from bellwire.distill.errors import FrameTampered, MalformedMessage
from bellwire.distill.line import (
    MAX_FRAME,
    MAX_HELLO,
    MAX_PENDING,
    MAX_SYNC,
    Declined,
    Ended,
    Frame,
    Line,
    Settled,
    Step,
    Sync,
    Wanted,
)
from bellwire.distill.messages import NONCE_BYTES, Fresh, Open
from bellwire.distill.reconciliation import Method
from bellwire.distill.report import BlockReport
from bellwire.distill.session import Effect, End, Finished, Session
from bellwire.distill.verdict import Reason
from bellwire.keys.errors import BlockNumberUsed, ReserveExhausted, StoreError
from bellwire.keys.session_pads import PadFor
from bellwire.node.material import Material, NoPart, NotOpened, Opening
from bellwire.node.under_way import Name, Said, UnderWay, put

MAX_WAITING = 4
"""Messages of a block that may wait for us; the lockstep lets a peer be one ahead, and end it."""

MAX_OPENING = 1 << 19
"""Bytes of a message that opens a block: the longest names a vendor's keys."""

HELLO_TIMEOUT_S = 5.0
SESSIONS_IN_FLIGHT = 4
"""Sessions under way at once, beside blocks: more would only take each other's time."""

CLOSE_TIMEOUT_S = 1.0
_ENDINGS = (ConnectionEnded, FrameTampered, FrameTooLarge, MalformedMessage)
"""What ends a connection."""

log = structlog.get_logger()


class Vault(Interface):
    """What the classical channel needs of the key store; every call is durable when it returns."""

    async def mac_key(self) -> Secret:
        """The line's key."""

    async def last_block(self) -> int:
        """Highest block number ever burnt here."""

    async def authentication(self, block: int) -> BlockAuthentication:
        """Burn a block number and hand out its tag keys."""

    async def keep(self, report: BlockReport, secret: Secret, pad: PadFor | None = None) -> None:
        """Keep a verified block as pending; `pad` says whose pad a session's is."""

    async def pending(self) -> list[int]:
        """Blocks kept, but not known to be kept by the peer."""

    async def kept(self, blocks: list[int]) -> list[int]:
        """Those among `blocks` that are kept here, pending or ready."""

    async def release(self, block: int) -> None:
        """The peer keeps it too: it may be used."""

    async def discard(self, block: int) -> None:
        """The peer does not keep it and never will."""


class Contact(Interface):
    """What stands before HELLO."""

    async def meet(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes | None
    ) -> bytes | None:
        """Come to a pre-placed key if there is none; the peer's HELLO, if it was read here.

        Args:
            reader: Of the connection.
            writer: Of the connection.
            first: The peer's first frame, if it was read before.
        """


class Sessions(Interface):
    """Who has pads made on demand; every method returns at once."""

    def admit(self, opening: Fresh) -> PadFor:
        """Whose pad a session gives; NoPart if we take no part in it."""

    def over(self, opening: Fresh, report: BlockReport, block: UnderWay | None) -> None:
        """A session ended here, released if it was accepted; no block if it did not begin."""

    def said(self, block: UnderWay, sender: Side, step: int, body: bytes) -> None:
        """A message of a session crossed the channel."""

    def went_on(self, block: UnderWay) -> None:
        """A session is a piece further, at this side."""

    def wanted(self, wanted: Wanted) -> None:
        """Alice: Bob asks for a session."""

    def declined(self, declined: Declined) -> None:
        """Bob: Alice will not open it."""


class Classical:
    """One connection, from first contact or HELLO to its end.

    Args:
        side: Which side this node is.
        streams: The TCP connection.
        vault: The key store.
        material: What blocks are made from.
        random: What nonces and hash seeds are drawn from.
        flowing: Whether keys may flow here now.
        step_timeout_s: How long the peer may take for a step.
        report: Called with every block's report, once.
        sessions: Who has sessions of this link.
        in_flight: Blocks that Bob answers at once; further ones wait.
        contact: Stands before HELLO; None where the pre-placed key was brought.
    """

    def __init__(
        self,
        side: Side,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        *,
        vault: Vault,
        material: Material,
        random: RandomSource,
        flowing: Callable[[], bool],
        step_timeout_s: float,
        report: Callable[[BlockReport], None],
        sessions: Sessions,
        in_flight: int = 1,
        contact: Contact | None = None,
    ) -> None:
        self._side = side
        self._reader, self._writer = streams
        self._vault = vault
        self._material = material
        self._random = random
        self._flowing = flowing
        self._step_timeout_s = step_timeout_s
        self._report = report
        self._sessions = sessions
        self._in_flight = in_flight
        self._broken: BellwireError | None = None
        self._contact = contact
        self._line: Line | None = None
        self._peer: Sync | None = None
        self._conditions = Conditions()
        self._pending: list[int] = []
        self._reading: asyncio.Task[None] | None = None
        self._blocks: dict[Name, UnderWay] = {}
        self._arrivals: asyncio.Queue[Step | BellwireError] = asyncio.Queue()
        self._opening = asyncio.Lock()
        self._last: asyncio.Future[None] | None = None

    async def establish(self, first: bytes | None = None) -> None:
        """HELLO, and the peer's SYNC, whose MAC proves that it holds the pre-placed key.

        Args:
            first: The peer's first frame, if it was read already.

        Raises:
            ConnectionEnded, FrameTampered, FrameTooLarge, MalformedMessage, PeerMismatch,
            TimeoutError: it is not the peer, or it went away.
            RandomnessFailed: there is no nonce to say.
            ContactRefused, StoreError, PreplacedKeyInvalid: first contact came to nothing.
        """
        if self._contact is not None:
            first = await self._contact.meet(self._reader, self._writer, first)
        nonce = await asyncio.to_thread(self._random.draw, NONCE_BYTES)
        async with asyncio.timeout(HELLO_TIMEOUT_S):
            line = Line(self._side, await self._vault.mac_key(), nonce)
            await write_frame(self._writer, line.hello())
            line.receive_hello(first or await read_frame(self._reader, MAX_HELLO))
            self._line = line
            asked = time.monotonic()
            if self._side is Side.ALICE:
                await self._sync()
            sync = line.open(await read_frame(self._reader, MAX_SYNC))
            if not isinstance(sync, Sync):
                raise MalformedMessage(f"expected SYNC, got {type(sync).__name__}")
            self._peer = sync
            # Bob says his only when he has ours: of Alice, who decides, it is a whole round trip.
            self._conditions = Conditions(round_trip_s=time.monotonic() - asked)

    async def settle(self) -> None:
        """SETTLED: both sides agree on every block that an earlier connection left pending.

        Bob says what he keeps only now, when no earlier connection can change it.

        Raises:
            ConnectionEnded, FrameTampered, FrameTooLarge, MalformedMessage, TimeoutError: the
            connection is over.
        """
        async with asyncio.timeout(HELLO_TIMEOUT_S):
            assert self._line is not None
            assert self._peer is not None
            if self._side is Side.BOB:
                await self._sync()
            await self._send(Settled(await self._vault.kept(self._peer.pending)))
            settled = self._line.open(await read_frame(self._reader, MAX_SYNC))
            if not isinstance(settled, Settled):
                raise MalformedMessage(f"expected SETTLED, got {type(settled).__name__}")
        for block in self._pending:
            kept = block in settled.kept
            await to_its_end(self._vault.release(block) if kept else self._vault.discard(block))
            log.info("block settled", block=block, kept=kept)
        self._reading = asyncio.create_task(self._read())

    async def _sync(self) -> None:
        self._pending = sorted(await self._vault.pending())[:MAX_PENDING]
        await self._send(Sync(await self._vault.last_block(), self._pending))

    async def close(self) -> None:
        """End the connection."""
        try:
            if self._reading is not None:
                self._reading.cancel()
                await asyncio.gather(self._reading, return_exceptions=True)
            self._writer.close()
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            pass
        finally:
            # A peer that does not read would keep what is unsent, and the socket, for ever; and we
            # may be cancelled while we wait.
            self._writer.transport.abort()

    async def open_block(
        self,
        protocol: Protocol,
        pulses: int,
        *,
        probe: int | None,
        session: Wanted | None = None,
        master: Side = Side.ALICE,
    ) -> BlockReport:
        """Alice: run one block; `probe` is the probe's number, or None for a block that gives key.

        Args:
            protocol: Of the block.
            pulses: Its length.
            probe: See above.
            session: What the block is for, if it is a session.
            master: The side of the session's master.

        Raises:
            ConnectionEnded, FrameTampered: the connection is over; the block is reported all the
                same.
        """
        # Numbers must leave in ascending order: nothing is awaited between here and the first
        # message, which is why the session begins inside.
        since = time.perf_counter()
        async with self._opening:
            opened = await self._open(protocol, pulses, probe, session, master)
            if isinstance(opened, BlockReport):
                return opened
            block = self._enter(*opened, since)
            effects = block.session.start()
        return await self._drive(block, effects)

    async def watch(self) -> None:
        """Wait until the connection is over.

        Raises:
            ConnectionEnded, FrameTampered, FrameTooLarge, MalformedMessage: it is over.
        """
        assert self._reading is not None
        await asyncio.wait({self._reading})
        assert self._broken is not None
        raise self._broken

    async def ask(self, message: Wanted | Declined) -> None:
        """Bob: ask for a session; Alice: decline one.

        Raises:
            ConnectionEnded: the connection is over.
        """
        await self._send(message)

    async def _open(
        self,
        protocol: Protocol,
        pulses: int,
        probe: int | None,
        session: Wanted | None,
        master: Side,
    ) -> tuple[Session, PadFor | None] | BlockReport:
        assert self._peer is not None
        number = 1 + max(await self._vault.last_block(), self._peer.last_block)
        authentication = None
        try:
            opening = await self._material.open(
                number if probe is None else probe,
                protocol,
                pulses,
                self._conditions,
                probe=probe is not None,
            )
        except NotOpened as error:
            return self._not_begun(error.opening, error.reason, str(error))
        pad = None
        if session is not None:
            try:
                opening = fresh = self._fresh(opening, session, master)
                pad = self._sessions.admit(fresh)
            except NoPart as error:
                return self._not_begun(opening, error.reason, str(error))
        if probe is None:
            try:
                authentication = await self._vault.authentication(number)
            except ReserveExhausted as error:
                return self._not_begun(opening, Reason.RESERVE, str(error))
        return self._session(opening, authentication), pad

    def _fresh(self, opening: Opening, session: Wanted, master: Side) -> Fresh:
        """A block of ours as a session.

        Raises:
            NoPart: it is none of photons.
        """
        if not isinstance(opening, Open):
            raise NoPart(Reason.LINK, "sessions need photons, and keys come from a vendor's box")
        fresh = Fresh(
            *structs.astuple(opening),
            session=session.session,
            pad_bits=session.pad_bits,
            master=master,
            grant=session.grant,
        )
        # A session is waited for: codes make keys equal in two messages, where Cascade takes fifty.
        quick = structs.replace(fresh, reconciliation=Method.LDPC)
        return quick if self._material.accepts(quick) else fresh

    async def answer(self) -> None:
        """Bob: run the peer's blocks, until the connection is over.

        Raises:
            ConnectionEnded, FrameTampered, FrameTooLarge, MalformedMessage: it is over.
        """
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                arrival = await self._arrivals.get()
                if isinstance(arrival, BellwireError):
                    raise arrival
                since = time.perf_counter()
                opening = self._material.read(arrival.body)
                while over := self._in_the_way(opening):
                    await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
                answered = await self._answered(arrival, opening)
                if answered is None:
                    continue
                block = self._enter(*answered, since)
                self._hear(block, arrival)
                session = block.session
                effects = session.start() + session.receive(arrival.step, arrival.body)
                task = asyncio.create_task(self._answer_block(block, effects))
                running.add(task)
                task.add_done_callback(running.discard)
        finally:
            # What ended the connection ends them; each is reported before this returns.
            left = list(running)
            if self._broken is None:
                for task in left:
                    task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def _in_the_way(self, opening: Opening) -> "set[asyncio.Future[None]]":
        """What to wait for before a block may be answered: sessions do not wait for blocks."""
        fresh = isinstance(opening, Fresh)
        alike = {
            block.over
            for block in self._blocks.values()
            if isinstance(block.session.opening, Fresh) is fresh
        }
        return alike if len(alike) >= (SESSIONS_IN_FLIGHT if fresh else self._in_flight) else set()

    async def _answer_block(self, block: UnderWay, effects: list[Effect]) -> None:
        # What ends the connection ends its reading too, and `answer` hears of it there.
        with contextlib.suppress(*_ENDINGS):
            await self._drive(block, effects)

    async def _answered(
        self, arrival: Step, opening: Opening
    ) -> tuple[Session, PadFor | None] | None:
        """The session of a block that the peer opens, if we take part in it."""
        if opening.number != arrival.number or opening.probe != arrival.probe:
            raise MalformedMessage("expected one number in a block's frame and opening")
        refused: tuple[Reason, str] | None = None
        authentication, pad = None, None
        if isinstance(opening, Fresh):
            try:
                pad = self._sessions.admit(opening)
            except NoPart as error:
                refused = error.reason, str(error)
        if refused is not None:
            pass
        elif not self._material.accepts(opening):
            refused = Reason.DISAGREED, "the peer's settings are not ours"
        elif (opening.probe, opening.number) in self._blocks:
            refused = Reason.DISAGREED, "a block of this number is under way already"
        elif isinstance(opening, Open) and self._random.failure is not None:
            refused = Reason.RANDOMNESS, self._random.failure
        elif not opening.probe:
            try:
                authentication = await self._vault.authentication(opening.number)
            except ReserveExhausted as error:
                refused = Reason.RESERVE, str(error)
            except BlockNumberUsed as error:
                refused = Reason.DISAGREED, str(error)
        if refused is not None:
            reason, message = refused
            await self._send(Ended(opening.probe, opening.number, reason))
            self._not_begun(opening, reason, message)
            return None
        return self._session(opening, authentication), pad

    def _session(self, opening: Opening, authentication: BlockAuthentication | None) -> Session:
        return Session(
            self._side,
            opening,
            authentication,
            self._random.draw,
            drawn_from=self._random.assumption,
            pauses=True,
        )

    def _enter(self, session: Session, pad: PadFor | None, since: float) -> UnderWay:
        """From now on the peer's messages of this block are kept for it."""
        opening = session.opening
        block = UnderWay(session, pad, since)
        if not opening.probe:
            block.before, self._last = self._last, block.over
        self._blocks[opening.probe, opening.number] = block
        if self._broken is not None:
            block.inbox.put_nowait(self._broken)
        return block

    def _not_begun(self, opening: Opening, reason: Reason, message: str) -> BlockReport:
        report = BlockReport(
            number=opening.number,
            probe=opening.probe,
            protocol=opening.protocol if isinstance(opening, Open) else None,
            pulses=opening.pulses if isinstance(opening, Open) else 0,
            reason=reason,
            message=message,
        )
        self._ended(opening, report, None)
        return report

    def _ended(self, opening: Opening, report: BlockReport, block: UnderWay | None) -> None:
        self._report(report)
        if isinstance(opening, Fresh):
            self._sessions.over(opening, report, block)

    async def _drive(self, block: UnderWay, effects: list[Effect]) -> BlockReport:
        """Run a session to its end, and report it; what ended the connection is raised after."""
        session = block.session
        try:
            return await self._run(block, effects)
        except asyncio.CancelledError:
            for effect in session.end(Reason.LOST, "the connection was given up", tell=False):
                if isinstance(effect, Finished):
                    self._ended(session.opening, effect.report, block)
            raise
        finally:
            block.over.set_result(None)
            del self._blocks[session.opening.probe, session.opening.number]

    async def _run(self, block: UnderWay, effects: list[Effect]) -> BlockReport:
        session = block.session
        failure: BellwireError | None = None
        last = effects[-1]
        phase = session.phase
        while True:
            last = effects[-1] if effects else last
            finished = next((e for e in effects if isinstance(e, Finished)), None)
            block.lap(phase)
            phase = session.phase
            if isinstance(session.opening, Fresh):
                self._sessions.went_on(block)
            try:
                await self._tell(block, effects)
                if finished is None:
                    effects = await self._go_on(block, last)
            except TimeoutError:
                effects = session.end(Reason.TIMEOUT, "the peer did not answer in time")
            except _ENDINGS as error:
                failure = error
                effects = session.end(_reason(error), str(error), tell=False)
            if finished is not None:
                self._conditions = self._conditions.after(finished.report)
                await self._conclude(block, finished.report)
                if failure is not None:
                    raise failure
                return finished.report

    async def _tell(self, block: UnderWay, effects: list[Effect]) -> None:
        opening = block.session.opening
        for effect in effects:
            if isinstance(effect, Send):
                if isinstance(opening, Fresh):
                    self._sessions.said(block, self._side, effect.step, effect.body)
                await self._send(Step(opening.probe, opening.number, effect.step, effect.body))
            elif isinstance(effect, End):
                await self._send(Ended(opening.probe, opening.number, effect.reason))

    async def _go_on(self, block: UnderWay, last: Effect) -> list[Effect]:
        """Wait for what the session's last effect asks for, and hand it over."""
        session = block.session
        if isinstance(last, Compute):
            return await asyncio.to_thread(session.resume)
        if isinstance(last, FetchHalf | FetchKeys):
            return await self._fetch(block)
        if isinstance(last, Store):
            if block.before is not None:
                await asyncio.wait({block.before})
            try:
                await to_its_end(self._vault.keep(last.report, last.secret, block.pad))
            except StoreError as error:
                return session.end(Reason.STORE, str(error))
            block.secret = None if block.pad is None else last.secret
            return session.stored()
        left = block.deadline - asyncio.get_running_loop().time()
        return self._take(block, await block.next(min(self._step_timeout_s, left)))

    async def _fetch(self, block: UnderWay) -> list[Effect]:
        """Get our half, or keys; a peer that gives up meanwhile need not wait for the link."""
        session = block.session
        # Alice knows without a probe that she needs keys compared, and wants to hear of Bob's box.
        flowing = self._side is Side.ALICE or self._flowing()
        fetch = asyncio.create_task(self._material.fetch(session.opening, flowing=flowing))
        arrival: asyncio.Task[Said] | None = None
        try:
            while not fetch.done():
                arrival = asyncio.create_task(block.next(None))
                await asyncio.wait({fetch, arrival}, return_when=asyncio.FIRST_COMPLETED)
                if arrival.done() and (effects := self._take(block, arrival.result())):
                    return effects
        finally:
            left = [task for task in (fetch, arrival) if task is not None]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        try:
            got = fetch.result()
        except NoPart as error:
            return session.end(error.reason, str(error))
        return session.provide(got)

    def _take(self, block: UnderWay, frame: Said) -> list[Effect]:
        session = block.session
        if isinstance(frame, Ended):
            return session.end(
                frame.reason, f"the peer ended the block: {frame.reason}", tell=False
            )
        self._hear(block, frame)
        return session.receive(frame.step, frame.body)

    def _hear(self, block: UnderWay, frame: Step) -> None:
        if isinstance(block.session.opening, Fresh):
            self._sessions.said(block, self._side.peer, frame.step, frame.body)

    async def _conclude(self, block: UnderWay, report: BlockReport) -> None:
        if report.accepted and not report.probe:
            try:
                await to_its_end(self._vault.release(report.number))
            except StoreError as error:
                # It stays pending; the next SYNC settles it.
                log.warning("block not released", block=report.number, error=str(error))
                block.secret = None
            block.lap(Phase.STORAGE)
        self._ended(block.session.opening, report, block)

    async def _read(self) -> None:
        assert self._line is not None
        try:
            while True:
                self._sort(self._line.open(await read_frame(self._reader, MAX_FRAME)))
        except _ENDINGS as error:
            self._broken = error
            for block in self._blocks.values():
                block.inbox.put_nowait(error)
            self._arrivals.put_nowait(error)

    def _sort(self, frame: Frame) -> None:
        """Hand a frame to its block; one of a block that we ended, or know nothing of, is dropped.

        Raises:
            MalformedMessage: no block's frame, or more than the lockstep lets a peer say.
        """
        if isinstance(frame, Wanted) and self._side is Side.ALICE:
            self._sessions.wanted(frame)
            return
        if isinstance(frame, Declined) and self._side is Side.BOB:
            self._sessions.declined(frame)
            return
        if not isinstance(frame, Step | Ended):
            raise MalformedMessage(f"expected a block's message, got {type(frame).__name__}")
        block = self._blocks.get((frame.probe, frame.number))
        if block is not None:
            put(block.inbox, frame, MAX_WAITING)
        elif self._side is Side.BOB and isinstance(frame, Step) and frame.step == 0:
            if len(frame.body) > MAX_OPENING:
                raise MalformedMessage(
                    f"expected an opening of at most {MAX_OPENING} bytes, got {len(frame.body)}"
                )
            put(self._arrivals, frame, MAX_IN_FLIGHT + SESSIONS_IN_FLIGHT)

    async def _send(self, message: Frame) -> None:
        assert self._line is not None
        try:
            async with asyncio.timeout(self._step_timeout_s):
                await write_frame(self._writer, self._line.seal(message))
        except TimeoutError as error:
            # The peer may be there and not read: no block of this connection would go on.
            self._writer.transport.abort()
            raise ConnectionEnded("the peer takes nothing of what we send") from error


def _reason(error: BellwireError) -> Reason:
    if isinstance(error, FrameTampered):
        return Reason.AUTHENTICATION
    return Reason.LOST if isinstance(error, ConnectionEnded) else Reason.MALFORMED
