"""Two nodes in one event loop over real TCP and real stores, on halves without a link process."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
from tests.patience import PATIENCE_S
from tests.simulators import halves

from bellwire.base.detections import Half, Protocol, Side
from bellwire.base.errors import BellwireError, UnreachableError
from bellwire.base.secret import Secret
from bellwire.crypto.randomness.source import OperatingSystem, RandomSource
from bellwire.distill import announcements, cascade
from bellwire.keys.peering.line import is_hello
from bellwire.keys.reserve import preplaced_bytes
from bellwire.keys.status import LinkStatus
from bellwire.keys.store import KeyStore
from bellwire.node.material import Material, Photons
from bellwire.node.policy import Policy
from bellwire.node.service import NodeService, Schedule
from bellwire.node.signed_contact import SignedContact
from bellwire.node.vault import StoreVault

PREPLACED = bytes(range(256)) * ((preplaced_bytes(64) + 255) // 256)
QUIET = Schedule(probe_interval_s=3600.0, blocks_in_flight=3)


class TwoHalves:
    """Gives each side its half of a ticket; `eve` makes E91 halves of an Eve along that axis."""

    def __init__(self, seed: int = 1) -> None:
        self._rng = np.random.default_rng(seed)
        self._made: dict[bytes, dict[Side, Half]] = {}
        self.eve: float | None = None
        self.fails: BellwireError | None = None
        self.holds: dict[Side, asyncio.Event] = {}
        self.held = 0

    def end(self, side: Side) -> "LinkEnd":
        return LinkEnd(self, side)

    async def half(self, side: Side, ticket: bytes, protocol: Protocol, pulses: int) -> Half:
        if self.fails is not None:
            raise self.fails
        if side in self.holds:
            self.held += 1
            await self.holds[side].wait()
        if ticket not in self._made:
            if self.eve is not None and protocol is Protocol.E91:
                self._made[ticket] = halves.e91(pulses, 0.96, self._rng, axis=self.eve)
            elif self.eve is not None:
                self._made[ticket] = halves.bb84(pulses, 0.26, self._rng)
            else:
                self._made[ticket] = halves.halves(protocol, pulses, self._rng)
        return self._made[ticket][side]


@dataclass(frozen=True)
class LinkEnd:
    link: TwoHalves
    side: Side
    spent: str | None = None

    async def block(
        self, ticket: bytes, protocol: Protocol, pulses: int, choice_seed: bytes
    ) -> Half:
        return await self.link.half(self.side, ticket, protocol, pulses)


def open_store(folder: Path, side: Side, preplaced: bytes = PREPLACED) -> KeyStore:
    """A store with a pre-placed key; an empty `preplaced` leaves it without."""
    folder.mkdir(mode=0o700, exist_ok=True)
    store = KeyStore.open(folder / "keys.sqlite", Secret(bytes(32)), side)
    if preplaced and not store.has_preplaced():
        size = preplaced_bytes((len(preplaced) - preplaced_bytes(0)) // 64)
        store.install_preplaced(Secret(preplaced[:size]))
    return store


def make_node(
    side: Side,
    store: KeyStore,
    material: Material,
    *,
    schedule: Schedule = QUIET,
    random: RandomSource | None = None,
    step_timeout_s: float = 5.0,
    contact: SignedContact | None = None,
) -> NodeService:
    return NodeService(
        side,
        store=store,
        vault=StoreVault(store, material.kind, time.time),
        material=material,
        random=random or OperatingSystem(),
        status=LinkStatus(expected_interval_s=schedule.probe_interval_s, now=time.time()),
        schedule=schedule,
        step_timeout_s=step_timeout_s,
        contact=contact,
    )


@dataclass
class Pair:
    alice: NodeService
    bob: NodeService
    stores: dict[Side, KeyStore]
    link: TwoHalves
    port: int
    wire: "Wire"
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


Tamper = Callable[[Side, int, bytes], bytes | None]
"""(sender, frame's number on this connection, frame) → what arrives, None to drop it."""

Mangle = Callable[[Side, int, bytes], bytes]
"""The same of the peering's connections, where anything may arrive: bytes with their lengths."""


def framed(frame: bytes) -> bytes:
    """A frame as it is on the wire."""
    return len(frame).to_bytes(4, "big") + frame


class Wire:
    """A TCP relay between the nodes that a test may hold, frame by frame."""

    def __init__(self) -> None:
        self.tamper: Tamper | None = None
        self.mangle: Mangle | None = None
        self.connections = 0
        self.peerings = 0
        self.close: Callable[[], Awaitable[None]]
        self._writers: list[asyncio.StreamWriter] = []
        self._all: list[asyncio.StreamWriter] = []
        self._relays: set[asyncio.Task[None]] = set()

    async def listen(self, port_of_bob: int) -> asyncio.Server:
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            task = asyncio.current_task()
            assert task is not None
            self._relays.add(task)
            self._writers.append(writer)
            self._all.append(writer)
            peer_reader, peer_writer = await asyncio.open_connection("127.0.0.1", port_of_bob)
            self._writers.append(peer_writer)
            self._all.append(peer_writer)
            with contextlib.suppress(asyncio.CancelledError):  # by `close`; streams would report it
                peering = asyncio.Event()
                await asyncio.gather(
                    self._pump(Side.ALICE, reader, peer_writer, peering),
                    self._pump(Side.BOB, peer_reader, writer, peering),
                )
            self._relays.discard(task)

        async def close() -> None:
            relays = list(self._relays)
            for task in relays:
                task.cancel()
            await asyncio.gather(*relays, return_exceptions=True)
            self.cut()
            await asyncio.gather(*(w.wait_closed() for w in self._all), return_exceptions=True)

        self.close = close

        return await asyncio.start_server(relay, "127.0.0.1", 0)

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _pump(
        self,
        sender: Side,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        peering: asyncio.Event,
    ) -> None:
        number = 0
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                length = await reader.readexactly(4)
                frame: bytes | None = await reader.readexactly(int.from_bytes(length, "big"))
                assert frame is not None
                if number == 0 and sender is Side.ALICE and is_hello(frame):
                    peering.set()  # she speaks first
                    self.peerings += 1
                if self.mangle is not None and peering.is_set():
                    writer.write(self.mangle(sender, number, frame))
                    frame = None
                elif self.tamper is not None:
                    frame = self.tamper(sender, number, frame)
                number += 1
                if frame is not None:
                    writer.write(framed(frame))
                await writer.drain()
        writer.close()


@cache
def ready() -> None:
    """Compile what blocks need before a peer's patience for a step runs, as a node's start does."""
    announcements.warm()
    cascade.warm()


@contextlib.asynccontextmanager
async def two_nodes(
    folder: Path,
    *,
    policy: Policy | None = None,
    schedule: Schedule = QUIET,
    step_timeout_s: float = 5.0,
    materials: dict[Side, Material] | None = None,
    preplaced: dict[Side, bytes] | None = None,
    randoms: dict[Side, RandomSource] | None = None,
    contact: Callable[[Side, KeyStore], SignedContact] | None = None,
) -> AsyncIterator[Pair]:
    """Both nodes, connected through a wire; everything is closed afterwards.

    With `contact`, no key is placed: the nodes have to come to one.
    """
    ready()
    link, wire = TwoHalves(), Wire()
    preplaced = preplaced or dict.fromkeys(Side, b"" if contact else PREPLACED)
    stores = {side: open_store(folder / side, side, preplaced[side]) for side in Side}
    drawn = {side: (randoms or {}).get(side, OperatingSystem()) for side in Side}
    made = materials or {
        side: Photons(link.end(side), replace(policy or Policy(), random=drawn[side]))
        for side in Side
    }
    alice, bob = (
        make_node(
            side,
            stores[side],
            made[side],
            schedule=schedule,
            random=drawn[side],
            step_timeout_s=step_timeout_s,
            contact=contact and contact(side, stores[side]),
        )
        for side in Side
    )
    server = await bob.serve_peer("127.0.0.1", 0)
    relay = await wire.listen(server.sockets[0].getsockname()[1])
    port = relay.sockets[0].getsockname()[1]
    pair = Pair(alice, bob, stores, link, port, wire)
    pair.tasks.append(asyncio.create_task(alice.run_alice("127.0.0.1", port)))
    try:
        yield pair
    finally:
        for task in pair.tasks:
            task.cancel()
        await asyncio.gather(*pair.tasks, return_exceptions=True)
        relay.close()
        await wire.close()
        server.close()
        await bob.close()
        await alice.close()
        for _ in range(3):  # transports that were closed leave the loop on its next turns
            await asyncio.sleep(0)
        for store in stores.values():
            store.close()


async def met(pair: Pair) -> None:
    """Return once the KMEs of both nodes have compared their pools, before which no key leaves."""
    while not all(node.link_keys.peer.met for node in (pair.alice, pair.bob)):
        await asyncio.sleep(0.01)


async def key_at_both(pair: Pair) -> None:
    """Return once a block has put key into both pools; Bob learns of it a moment after Alice."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await pair.alice.distil(Protocol.BB84, 60_000)
                break
            except UnreachableError:
                await asyncio.sleep(0.01)
        while not (pair.alice.keys.status().keys_may_flow and pair.bob.keys.status().keys_may_flow):
            await asyncio.sleep(0.01)
        await met(pair)
