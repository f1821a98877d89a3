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
from typing import TypeVar

import structlog

from bellwire.base.detections import Protocol, Side
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
    Send,
    Store,
)
from bellwire.distill.errors import FrameTampered, MalformedMessage
from bellwire.distill.line import (
    MAX_FRAME,
    MAX_HELLO,
    MAX_PENDING,
    MAX_SYNC,
    Ended,
    Frame,
    Line,
    Settled,
    Step,
    Sync,
)
from bellwire.distill.messages import NONCE_BYTES, Open
from bellwire.distill.report import BlockReport
from bellwire.distill.session import Effect, End, Finished, Session
from bellwire.distill.verdict import Reason
from bellwire.keys.errors import BlockNumberUsed, ReserveExhausted, StoreError
from bellwire.node.durable import whole
from bellwire.node.material import Material, NoPart, NotOpened, Opening

MAX_WAITING = 4
"""Messages of a block that may wait for us; the lockstep lets a peer be one ahead, and end it."""

MAX_OPENING = 1 << 19
"""Bytes of a message that opens a block: the longest names a vendor's keys."""

HELLO_TIMEOUT_S = 5.0
BLOCK_TIMEOUT_S = 3600.0
"""Of all steps together, for a peer that takes all the time that it has for each."""

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

    async def keep(self, report: BlockReport, secret: Secret) -> None:
        """Keep a verified block as pending."""

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
        self._in_flight = in_flight
        self._broken: BellwireError | None = None
        self._contact = contact
        self._line: Line | None = None
        self._peer: Sync | None = None
        self._conditions = Conditions()
        self._pending: list[int] = []
        self._reading: asyncio.Task[None] | None = None
        self._blocks: dict[_Name, _Block] = {}
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
            await whole(self._vault.release(block) if kept else self._vault.discard(block))
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
        self, protocol: Protocol, pulses: int, *, probe: int | None
    ) -> BlockReport:
        """Alice: run one block; `probe` is the probe's number, or None for a block that gives key.

        Raises:
            ConnectionEnded, FrameTampered: the connection is over; the block is reported all the
                same.
        """
        # Numbers must leave in ascending order: nothing is awaited between here and the first
        # message, which is why the session begins inside.
        async with self._opening:
            opened = await self._open(protocol, pulses, probe)
            if isinstance(opened, BlockReport):
                return opened
            block = self._enter(opened)
            effects = opened.start()
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

    async def _open(
        self, protocol: Protocol, pulses: int, probe: int | None
    ) -> Session | BlockReport:
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
        if probe is None:
            try:
                authentication = await self._vault.authentication(number)
            except ReserveExhausted as error:
                return self._not_begun(opening, Reason.RESERVE, str(error))
        return self._session(opening, authentication)

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
                while len(self._blocks) >= self._in_flight:
                    over = {block.over for block in self._blocks.values()}
                    await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
                session = await self._answered(arrival)
                if session is None:
                    continue
                block = self._enter(session)
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

    async def _answer_block(self, block: "_Block", effects: list[Effect]) -> None:
        # What ends the connection ends its reading too, and `answer` hears of it there.
        with contextlib.suppress(*_ENDINGS):
            await self._drive(block, effects)

    async def _answered(self, arrival: Step) -> Session | None:
        """The session of a block that the peer opens, if we take part in it."""
        opening = self._material.read(arrival.body)
        if opening.number != arrival.number or opening.probe != arrival.probe:
            raise MalformedMessage("expected one number in a block's frame and opening")
        refused: tuple[Reason, str] | None = None
        authentication = None
        if not self._material.accepts(opening):
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
        return self._session(opening, authentication)

    def _session(self, opening: Opening, authentication: BlockAuthentication | None) -> Session:
        return Session(
            self._side,
            opening,
            authentication,
            self._random.draw,
            drawn_from=self._random.assumption,
            pauses=True,
        )

    def _enter(self, session: Session) -> "_Block":
        """From now on the peer's messages of this block are kept for it."""
        opening = session.opening
        block = _Block(session)
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
        self._report(report)
        return report

    async def _drive(self, block: "_Block", effects: list[Effect]) -> BlockReport:
        """Run a session to its end, and report it; what ended the connection is raised after."""
        session = block.session
        try:
            return await self._run(block, effects)
        except asyncio.CancelledError:
            for effect in session.end(Reason.LOST, "the connection was given up", tell=False):
                if isinstance(effect, Finished):
                    self._report(effect.report)
            raise
        finally:
            block.over.set_result(None)
            del self._blocks[session.opening.probe, session.opening.number]

    async def _run(self, block: "_Block", effects: list[Effect]) -> BlockReport:
        session = block.session
        failure: BellwireError | None = None
        last = effects[-1]
        while True:
            last = effects[-1] if effects else last
            finished = next((e for e in effects if isinstance(e, Finished)), None)
            try:
                await self._tell(session, effects)
                if finished is None:
                    effects = await self._go_on(block, last)
            except TimeoutError:
                effects = session.end(Reason.TIMEOUT, "the peer did not answer in time")
            except _ENDINGS as error:
                failure = error
                effects = session.end(_reason(error), str(error), tell=False)
            if finished is not None:
                self._conditions = self._conditions.after(finished.report)
                await self._conclude(finished.report)
                if failure is not None:
                    raise failure
                return finished.report

    async def _tell(self, session: Session, effects: list[Effect]) -> None:
        opening = session.opening
        for effect in effects:
            if isinstance(effect, Send):
                await self._send(Step(opening.probe, opening.number, effect.step, effect.body))
            elif isinstance(effect, End):
                await self._send(Ended(opening.probe, opening.number, effect.reason))

    async def _go_on(self, block: "_Block", last: Effect) -> list[Effect]:
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
                await whole(self._vault.keep(last.report, last.secret))
            except StoreError as error:
                return session.end(Reason.STORE, str(error))
            return session.stored()
        left = block.deadline - asyncio.get_running_loop().time()
        return self._take(session, await block.next(min(self._step_timeout_s, left)))

    async def _fetch(self, block: "_Block") -> list[Effect]:
        """Get our half, or keys; a peer that gives up meanwhile need not wait for the link."""
        session = block.session
        # Alice knows without a probe that she needs keys compared, and wants to hear of Bob's box.
        flowing = self._side is Side.ALICE or self._flowing()
        fetch = asyncio.create_task(self._material.fetch(session.opening, flowing=flowing))
        arrival: asyncio.Task[_Said] | None = None
        try:
            while not fetch.done():
                arrival = asyncio.create_task(block.next(None))
                await asyncio.wait({fetch, arrival}, return_when=asyncio.FIRST_COMPLETED)
                if arrival.done() and (effects := self._take(session, arrival.result())):
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

    def _take(self, session: Session, frame: "_Said") -> list[Effect]:
        if isinstance(frame, Ended):
            return session.end(
                frame.reason, f"the peer ended the block: {frame.reason}", tell=False
            )
        return session.receive(frame.step, frame.body)

    async def _conclude(self, report: BlockReport) -> None:
        if report.accepted and not report.probe:
            try:
                await whole(self._vault.release(report.number))
            except StoreError as error:
                # It stays pending; the next SYNC settles it.
                log.warning("block not released", block=report.number, error=str(error))
        self._report(report)

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
        if not isinstance(frame, Step | Ended):
            raise MalformedMessage(f"expected a block's message, got {type(frame).__name__}")
        block = self._blocks.get((frame.probe, frame.number))
        if block is not None:
            _put(block.inbox, frame, MAX_WAITING)
        elif self._side is Side.BOB and isinstance(frame, Step) and frame.step == 0:
            if len(frame.body) > MAX_OPENING:
                raise MalformedMessage(
                    f"expected an opening of at most {MAX_OPENING} bytes, got {len(frame.body)}"
                )
            _put(self._arrivals, frame, MAX_IN_FLIGHT)

    async def _send(self, message: Frame) -> None:
        assert self._line is not None
        try:
            async with asyncio.timeout(self._step_timeout_s):
                await write_frame(self._writer, self._line.seal(message))
        except TimeoutError as error:
            # The peer may be there and not read: no block of this connection would go on.
            self._writer.transport.abort()
            raise ConnectionEnded("the peer takes nothing of what we send") from error


_T = TypeVar("_T")
_Said = Step | Ended
_Name = tuple[bool, int]
"""Whether it is a probe, and its number."""


class _Block:
    """A block that is under way: what the peer said of it, and whose end it waits for."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.inbox: asyncio.Queue[_Said | BellwireError] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = loop.create_future()
        self.deadline = loop.time() + BLOCK_TIMEOUT_S
        self.before: asyncio.Future[None] | None = None

    async def next(self, timeout_s: float | None) -> _Said:
        """The peer's next message; what ended the connection is raised, also to who asks again."""
        async with asyncio.timeout(timeout_s):
            item = await self.inbox.get()
        if isinstance(item, BellwireError):
            self.inbox.put_nowait(item)
            raise item
        return item


def _put(queue: "asyncio.Queue[_T]", item: _T, limit: int) -> None:
    if queue.qsize() >= limit:
        raise MalformedMessage(f"expected at most {limit} messages ahead of us")
    queue.put_nowait(item)


def _reason(error: BellwireError) -> Reason:
    if isinstance(error, FrameTampered):
        return Reason.AUTHENTICATION
    return Reason.LOST if isinstance(error, ConnectionEnded) else Reason.MALFORMED
