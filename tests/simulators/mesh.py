"""A mesh of nodes over pools of link key that count every byte, and a bus that may misbehave."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.patience import PATIENCE_S

from bellwire.base.secret import Secret
from bellwire.crypto.signatures import SigningKey, fingerprint
from bellwire.keys.errors import KeyGone, LinkRed, NotEnoughKey, StoreError
from bellwire.keys.status import Status
from bellwire.network.bus import Bus, Handler
from bellwire.network.hop import HopKeys, LinkKey, ShareFrame, read_frame
from bellwire.network.identity import Roster
from bellwire.network.linkstate import OwnLink
from bellwire.network.model import RelayedBlock
from bellwire.network.node import RelayNode
from bellwire.network.wire import Kind

KEY_BYTES = 1024
"""Longest key of one id."""


class LinkPool:
    """Both ends' pools of one link; each direction has bytes of its own, drawn in order."""

    def __init__(self, seed: int, stock_bytes: int) -> None:
        self._random = random.Random(seed)
        self.status = Status.GREEN
        self.stale = False
        self.cost = 1
        self.stock: dict[str, int] = {}
        self._start = stock_bytes
        self._drawn: dict[tuple[str, bytes], bytes] = {}
        self.drawn = 0
        self.fetched = 0
        self.on_draw: Callable[[], None] = lambda: None

    def require_flow(self) -> None:
        if self.status is Status.RED or self.stale:
            raise LinkRed("no key leaves: the link is RED")

    def left(self, end: str) -> int:
        return self.stock.get(end, self._start)

    def draw(self, end: str, size: int) -> LinkKey:
        self.on_draw()
        self.require_flow()
        if self.left(end) < size:
            raise NotEnoughKey(8 * size, 8 * self.left(end))
        self.stock[end] = self.left(end) - size
        ids, keys = [], []
        while size:
            part = min(size, KEY_BYTES)
            size -= part
            ids.append(self._random.randbytes(16))
            keys.append(self._random.randbytes(part))
            self._drawn[end, ids[-1]] = keys[-1]
        self.drawn += sum(map(len, keys))
        return LinkKey(b"".join(ids), Secret(b"".join(keys)))

    def fetch(self, other: str, ids: bytes, size: int) -> Secret:
        self.require_flow()
        names = [ids[at : at + 16] for at in range(0, len(ids), 16)]
        if any((other, name) not in self._drawn for name in names):
            raise KeyGone(ids.hex(), "it left before, or never was here")
        key = b"".join(self._drawn.pop((other, name)) for name in names)
        self.fetched += len(key)
        return Secret(key[:size])


class End(HopKeys):
    """One end of a pool."""

    def __init__(self, pool: LinkPool, name: str, peer: str) -> None:
        self._pool, self._name, self._peer = pool, name, peer

    async def draw(self, size: int) -> LinkKey:
        await asyncio.sleep(0)
        return self._pool.draw(self._name, size)

    async def fetch(self, ids: bytes, size: int) -> Secret:
        await asyncio.sleep(0)
        return self._pool.fetch(self._peer, ids, size)

    def view(self) -> OwnLink:
        pool = self._pool
        return OwnLink(self._peer, pool.status, pool.stale, 8 * pool.left(self._name), pool.cost)


class Shelf:
    """Where a node keeps blocks."""

    def __init__(self) -> None:
        self.blocks: dict[bytes, RelayedBlock] = {}
        self.is_ready: set[bytes] = set()
        self.failing = 0
        self.ready_failing = 0

    async def pending(self, block: RelayedBlock) -> None:
        await asyncio.sleep(0)
        if self.failing:
            self.failing -= 1
            raise StoreError("the disk failed")
        assert block.record.transfer not in self.blocks
        self.blocks[block.record.transfer] = block

    async def ready(self, transfer: bytes) -> None:
        await asyncio.sleep(0)
        assert transfer in self.blocks
        if self.ready_failing:
            self.ready_failing -= 1
            raise StoreError("the disk failed")
        self.is_ready.add(transfer)


class Tap(Bus):
    """Passes on to another bus, sees everything, and may lose, repeat and delay it."""

    def __init__(self, inner: Bus) -> None:
        self._inner = inner
        self.seen: list[tuple[str, bytes]] = []
        self.misbehave: Callable[[str, bytes], list[bytes]] = lambda node, body: [body]
        self.delay: Callable[[], float] = lambda: 0.0
        self._late: set[asyncio.Task[None]] = set()
        self._number = 0

    def frames(self) -> list[tuple[ShareFrame, bytes]]:
        shares = {body[1:]: None for _, body in self.seen if body[0] == Kind.SHARE}
        return [(read_frame(body), body) for body in shares]

    async def join(self, node: str, topics: Collection[str]) -> None:
        await self._inner.join(node, topics)

    async def send(self, node: str, body: bytes, *, message_id: str) -> None:
        self.seen.append((node, body))
        for each in self.misbehave(node, body):
            # Each copy has an id of its own, so that no bus takes it out again.
            self._number += 1
            name, wait_s = f"{message_id} {self._number}", self.delay()
            if wait_s:
                late = asyncio.create_task(self._send_late(wait_s, node, each, name))
                self._late.add(late)
                late.add_done_callback(self._late.discard)
            else:
                await self._inner.send(node, each, message_id=name)

    async def _send_late(self, wait_s: float, node: str, body: bytes, name: str) -> None:
        await asyncio.sleep(wait_s)
        await self._inner.send(node, body, message_id=name)

    async def publish(self, topic: str, body: bytes, *, message_id: str) -> None:
        await self._inner.publish(topic, body, message_id=message_id)

    async def listen(self, node: str, handler: Handler) -> None:
        await self._inner.listen(node, handler)


Kinds = Mapping[str, type[RelayNode]]


@dataclass
class Mesh:
    """Nodes at work, and all that there is to look at."""

    nodes: dict[str, RelayNode]
    pools: dict[frozenset[str], LinkPool]
    shelves: dict[str, Shelf]
    bus: Tap
    tasks: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)

    def pool(self, one: str, other: str) -> LinkPool:
        return self.pools[frozenset({one, other})]

    async def kill(self, name: str) -> None:
        task = self.tasks.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def revive(self, name: str) -> None:
        self.tasks[name] = asyncio.create_task(self.nodes[name].run())

    def check_accounts(self) -> None:
        """No pad twice: one frame for each key id, and no more bytes used than left the pools."""
        used: dict[bytes, bytes] = {}
        pads = 0
        for frame, body in self.bus.frames():
            pads += frame.key_bytes
            for at in range(0, len(frame.ids), 16):
                assert used.setdefault(frame.ids[at : at + 16], body) == body
        assert pads == sum(pool.drawn for pool in self.pools.values())
        assert sum(pool.fetched for pool in self.pools.values()) <= pads

    def check_blocks(self) -> None:
        """Whatever is kept at both ends is equal; what is ready anywhere is kept at both."""
        kept: dict[bytes, bytes] = {}
        ends: dict[bytes, int] = {}
        for shelf in self.shelves.values():
            for transfer, block in shelf.blocks.items():
                assert kept.setdefault(transfer, block.bits.reveal()) == block.bits.reveal()
                ends[transfer] = ends.get(transfer, 0) + 1
        for shelf in self.shelves.values():
            assert all(ends[transfer] == 2 for transfer in shelf.is_ready)


def identities(names: Collection[str]) -> tuple[dict[str, SigningKey], Roster]:
    keys = {name: SigningKey(name.encode().ljust(32, b".")) for name in names}
    return keys, Roster({name: fingerprint(key.public_bytes) for name, key in keys.items()})


async def until(condition: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(
    links: Collection[tuple[str, str]],
    bus: Bus,
    *,
    kinds: Kinds | None = None,
    stock_bytes: int = 100_000,
    patience_s: float = 20.0,
) -> AsyncIterator[Mesh]:
    """Nodes joined by `links`, each knowing all of the network."""
    names = sorted({name for link in links for name in link})
    keys, roster = identities(names)
    pools = {
        frozenset(link): LinkPool(number, stock_bytes) for number, link in enumerate(sorted(links))
    }
    tap = Tap(bus)
    shelves = {name: Shelf() for name in names}
    nodes = {
        name: (kinds or {}).get(name, RelayNode)(
            name=name,
            identity=keys[name],
            roster=roster,
            links={
                peer: End(pool, name, peer)
                for ends, pool in pools.items()
                if name in ends
                for peer in ends - {name}
            },
            bus=tap,
            store=shelves[name],
            patience_s=patience_s,
        )
        for name in names
    }
    mesh = Mesh(nodes, pools, shelves, tap)
    for name, node in nodes.items():
        await tap.join(name, ("links",))
        mesh.tasks[name] = asyncio.create_task(node.run())
    try:
        directions = 2 * len(pools)
        await until(
            lambda: all(len(each.topology().links()) == directions for each in nodes.values())
        )
        yield mesh
        assert not any(task.done() for task in mesh.tasks.values()), "a node ended by itself"
        mesh.check_accounts()
        mesh.check_blocks()
    finally:
        for task in mesh.tasks.values():
            task.cancel()
        await asyncio.gather(*mesh.tasks.values(), return_exceptions=True)


def random_links(nodes: int, chords: int, seed: int) -> list[tuple[str, str]]:
    """A ring in random order with random chords: every node lies on two disjoint ways at least."""
    draw = random.Random(seed)
    names = [f"n{number:02}" for number in range(nodes)]
    draw.shuffle(names)
    ring = {tuple(sorted((one, names[at - 1]))) for at, one in enumerate(names)}
    while len(ring) < nodes + chords:
        ring.add(tuple(sorted(draw.sample(names, 2))))
    return sorted((one, other) for one, other in ring)
