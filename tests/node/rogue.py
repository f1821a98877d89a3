"""A peer that holds the right keys and does what it likes, against one real node over TCP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from tests.node.nodes import QUIET, TwoHalves, make_node, open_store, ready

from bellwire.base.detections import Half, Protocol, Side
from bellwire.base.errors import UnreachableError
from bellwire.base.frames import read_frame, write_frame
from bellwire.crypto.randomness.source import OperatingSystem
from bellwire.distill.choice import Conditions
from bellwire.distill.conversation import BlockAuthentication, FetchHalf, Send, Store
from bellwire.distill.line import MAX_FRAME, Ended, Frame, Line, Settled, Step, Sync
from bellwire.distill.messages import NONCE_BYTES, TICKET_BYTES, Open, decode
from bellwire.distill.report import BlockReport
from bellwire.distill.session import Effect, End, Finished, Session
from bellwire.keys.model import KeySourceKind
from bellwire.keys.peering.line import is_hello
from bellwire.keys.store import KeyStore
from bellwire.node.classical import Classical
from bellwire.node.material import Photons
from bellwire.node.policy import Policy
from bellwire.node.service import NodeService
from bellwire.node.vault import StoreVault

PULSES = 40_000
RANDOM = OperatingSystem()

Change = Callable[[int, bytes], list[tuple[int, bytes]]]
"""(step, honest body) → the steps that are sent in its place."""

Twist = Callable[[Half], Half]
"""What the peer makes of its half."""


def as_said(step: int, body: bytes) -> list[tuple[int, bytes]]:
    """What an honest peer sends."""
    return [(step, body)]


def deaf(side: Side) -> Classical:
    """One end of the classical channel without a wire, to hand frames to."""
    nothing = cast(Any, None)
    return Classical(
        side,
        (nothing, nothing),
        vault=nothing,
        material=nothing,
        random=RANDOM,
        flowing=lambda: False,
        step_timeout_s=1.0,
        report=lambda report: None,
        sessions=nothing,
    )


Call = tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]
"""A connection that the node made, and its first frame."""


@dataclass
class Rogue:
    """The peer of a node on one connection.

    Attributes:
        side: Its side.
        vault: Its keys.
        light: Gives it its half.
        reader: From the node.
        writer: To it.
        peer: The node's SYNC, once they have met.
        sent: What it has sent, frame by frame, if it is to remember.
        first: The node's first frame, if it was read already.
    """

    side: Side
    vault: StoreVault
    light: TwoHalves
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    peer: Sync = field(default_factory=lambda: Sync(0, []))
    sent: list[bytes] | None = None
    first: bytes | None = None

    async def hello(self) -> None:
        """HELLO alone."""
        self.line = Line(self.side, await self.vault.mac_key(), RANDOM.draw(NONCE_BYTES))
        await self.send(self.line.hello())
        self.line.receive_hello(self.first or await read_frame(self.reader, MAX_FRAME))

    async def meet(self, sync: Sync | None = None) -> None:
        """HELLO, SYNC and SETTLED; `sync` in place of the honest one."""
        await self.hello()
        ours = sync or Sync(await self.vault.last_block(), [])
        if self.side is Side.ALICE:
            await self.say(ours)
        self.peer = cast(Sync, await self.hear())
        if self.side is Side.BOB:
            await self.say(ours)
        await self.say(Settled([]))
        assert isinstance(await self.hear(), Settled)

    async def send(self, frame: bytes) -> None:
        """A frame as it is."""
        if self.sent is not None:
            self.sent.append(frame)
        await write_frame(self.writer, frame)

    async def say(self, message: Frame) -> None:
        """A message under a right MAC."""
        await self.send(self.line.seal(message))

    async def hear(self) -> Frame:
        """The node's next message; ConnectionEnded if there is none."""
        return self.line.open(await read_frame(self.reader, MAX_FRAME))

    async def open(self, **changes: Any) -> Open:
        """An opening that the node accepts, but for the changes."""
        number = 1 + max(await self.vault.last_block(), self.peer.last_block)
        ticket = RANDOM.draw(TICKET_BYTES)
        words: dict[str, Any] = {"protocol": Protocol.BB84, "pulses": PULSES, "probe": False}
        return Policy().opening(number, ticket=ticket, conditions=Conditions(), **(words | changes))

    async def block(
        self, opening: Open | None = None, change: Change = as_said, twist: Twist | None = None
    ) -> BlockReport:
        """Open a block (Alice), or answer the next one (Bob), honestly but for the change."""
        first: bytes | None = None
        if opening is None and self.side is Side.BOB:
            first = await self._opened()
            opening = decode(first, Open)
        opening = opening or await self.open()
        keys: BlockAuthentication | None = None
        if not opening.probe:
            keys = await self.vault.authentication(opening.number)
        session = Session(self.side, opening, keys, RANDOM.draw)
        effects = session.start()
        if first is not None:
            effects += session.receive(0, first)
        while True:
            for effect in effects:
                if isinstance(effect, Send):
                    for step, body in change(effect.step, effect.body):
                        await self.say(Step(opening.probe, opening.number, step, body))
                elif isinstance(effect, End):
                    await self.say(Ended(opening.probe, opening.number, effect.reason))
                elif isinstance(effect, Finished):
                    return effect.report
            effects = await self._go_on(session, effects, twist)

    async def _go_on(
        self, session: Session, effects: list[Effect], twist: Twist | None
    ) -> list[Effect]:
        last = effects[-1] if effects else None
        if isinstance(last, FetchHalf):
            block = last.open
            half = await self.light.half(self.side, block.ticket, block.protocol, block.pulses)
            return session.provide(half if twist is None else twist(half))
        if isinstance(last, Store):
            await self.vault.keep(last.report, last.secret)
            return session.stored()
        frame = await self._heard_of(session.opening.probe, session.opening.number)
        if isinstance(frame, Ended):
            return session.end(frame.reason, "the node ended it", tell=False)
        return session.receive(frame.step, frame.body)

    async def _heard_of(self, probe: bool, number: int) -> Step | Ended:
        """The node's next word on a block; it may still speak of one that we have ended."""
        while True:
            frame = await self.hear()
            assert isinstance(frame, Step | Ended)
            if (frame.probe, frame.number) == (probe, number):
                return frame

    async def _opened(self) -> bytes:
        while True:
            frame = await self.hear()
            if isinstance(frame, Step) and frame.step == 0:
                return frame.body


@dataclass
class Against:
    """A node, and a way to meet it.

    Attributes:
        node: The real one.
        stores: Of both.
        light: Gives both sides halves.
        server: Where they meet.
    """

    node: NodeService
    stores: dict[Side, KeyStore]
    light: TwoHalves
    server: asyncio.Server
    calls: "asyncio.Queue[Call]"

    @contextlib.asynccontextmanager
    async def peer(self, vault: StoreVault | None = None) -> AsyncIterator[Rogue]:
        """A connection of the peer's: made (Alice), or taken (Bob)."""
        side = self.node.side.peer
        first: bytes | None = None
        if side is Side.ALICE:
            streams = await asyncio.open_connection(*self.server.sockets[0].getsockname())
        else:
            reader, writer, first = await self.calls.get()
            streams = reader, writer
        held = vault or StoreVault(self.stores[side], KeySourceKind.SIMULATED, lambda: 0.0)
        rogue = Rogue(side, held, self.light, *streams, first=first)
        try:
            yield rogue
        finally:
            streams[1].transport.abort()
            with contextlib.suppress(OSError):
                await streams[1].wait_closed()

    async def order(self) -> "asyncio.Task[BlockReport]":
        """Alice's node: a block, once it takes one."""

        async def asked() -> BlockReport:
            while True:
                try:
                    return await self.node.distil(Protocol.BB84, PULSES)
                except UnreachableError:
                    await asyncio.sleep(0.01)

        return asyncio.create_task(asked())

    async def reported(self, number: int) -> BlockReport:
        """What the node says of a block, once it is over."""
        while True:
            for _, _, report in self.node.reports():
                if report.number == number and not report.probe:
                    return report
            await asyncio.sleep(0.005)

    async def lives(self, rogue: Rogue) -> None:
        """The node distils an honest block on this connection."""
        if self.node.side is Side.BOB:
            theirs = await rogue.block()
            ours = await self.reported(theirs.number)
        else:
            order = await self.order()
            theirs, ours = await rogue.block(), await order
        assert ours.accepted, ours.message
        assert theirs.accepted, theirs.message
        assert theirs.extracted_bits == ours.extracted_bits


@contextlib.asynccontextmanager
async def against(
    folder: Path, side: Side, *, step_timeout_s: float = 5.0
) -> AsyncIterator[Against]:
    """A real node of this side, waiting for its peer."""
    ready()
    light = TwoHalves()
    stores = {each: open_store(folder / each, each) for each in Side}
    node = make_node(
        side,
        stores[side],
        Photons(light.end(side), Policy()),
        schedule=QUIET,
        step_timeout_s=step_timeout_s,
    )
    calls: asyncio.Queue[Call] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await read_frame(reader, MAX_FRAME)
        if is_hello(first):  # the KMEs' own connection is not what is tried here
            writer.close()
        else:
            calls.put_nowait((reader, writer, first))

    calling: asyncio.Task[None] | None = None
    if side is Side.BOB:
        server = await node.serve_peer("127.0.0.1", 0)
    else:
        server = await asyncio.start_server(take, "127.0.0.1", 0)
        calling = asyncio.create_task(node.run_alice(*server.sockets[0].getsockname()))
    try:
        yield Against(node, stores, light, server, calls)
    finally:
        if calling is not None:
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
        server.close()
        await node.close()
        for _ in range(3):  # transports that were closed leave the loop on its next turns
            await asyncio.sleep(0)
        for store in stores.values():
            store.close()
