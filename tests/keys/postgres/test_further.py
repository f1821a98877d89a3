"""Processes of a site beside its node: one pool, no key twice, none unequal, whoever is killed."""

import asyncio
import contextlib
import json
import os
import random
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.keys.postgres.server import Server
from tests.keys.stores import PREPLACED, add_ready
from tests.node import nodes
from tests.node.nodes import Pair, key_at_both, two_nodes
from tests.node.test_door import SAES, SITES, credentials, until
from tests.patience import PATIENCE_S

from bellwire.base.detections import Protocol, Side
from bellwire.base.errors import BellwireError
from bellwire.etsi014.client import AsyncClient
from bellwire.etsi014.credentials import Credentials
from bellwire.etsi014.errors import KmeRejected, KmeUnavailable
from bellwire.keys.store import KeyStore
from bellwire.node.assemble import SITES as SIDES
from bellwire.node.assemble import node_folder
from bellwire.node.assemble import open_store as open_site
from bellwire.node.door import KmeIdentity, open_door, open_identity
from bellwire.node.settings import Settings

STOCK = 400_000
WORKERS = 6
ROUNDS = 12


@dataclass
class Kme:
    """A process of `bellwire kme`."""

    process: asyncio.subprocess.Process
    url: str

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


@dataclass
class World:
    """Two sites on one server, their nodes' doors, and every key that anybody ever got."""

    settings: Settings
    server: Server
    pair: Pair
    known: dict[str, Credentials]
    urls: dict[str, list[str]]
    stack: contextlib.AsyncExitStack
    clients: dict[tuple[str, str], AsyncClient] = field(default_factory=dict)
    given: dict[str, bytes] = field(default_factory=dict)
    fetched: set[str] = field(default_factory=set)
    lost: int = 0
    of_a: int = 0

    async def start(self, site: str) -> Kme:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "bellwire", "kme", "--site", site, "--listen", "127.0.0.1:0"),
            *("--state", str(self.settings.state.dir), "--with-parent"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "BELLWIRE_STORE__URL": self.server.url},
        )
        assert process.stdout is not None
        ready = json.loads(await process.stdout.readline())
        assert (ready["service"], ready["site"]) == ("kme", site)
        kme = Kme(process, ready["kme"])
        self.stack.push_async_callback(_end, process)
        self.urls[site].append(kme.url)
        return kme

    async def client(self, name: str, url: str) -> AsyncClient:
        if (name, url) not in self.clients:
            opened = await self.stack.enter_async_context(AsyncClient(url, self.known[name]))
            self.clients[name, url] = opened
        return self.clients[name, url]

    async def get(self, master: str, slave: str, url: str, number: int) -> list[str]:
        keys = await (await self.client(master, url)).get_keys(slave, number, 256)
        self.of_a += number if SAES[master] == "a" else 0
        for key in keys:
            assert key.key_id not in self.given, "an id was given twice"
            assert key.key.reveal() not in self.given.values(), "bits left twice"
            self.given[key.key_id] = key.key.reveal()
        return [key.key_id for key in keys]

    async def fetch(self, slave: str, master: str, url: str, ids: list[str]) -> None:
        keys = await (await self.client(slave, url)).get_keys_with_ids(master, ids)
        for key in keys:
            assert key.key_id not in self.fetched, "a key was fetched twice"
            assert key.key.reveal() == self.given[key.key_id], "two sides have different bits"
            self.fetched.add(key.key_id)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.communicate()


@contextlib.asynccontextmanager
async def world(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    state = tmp_path / "state"
    settings = Settings.model_validate({"state": {"dir": state}, "store": {"url": server.url}})
    state.mkdir(mode=0o700)
    identities: dict[str, KmeIdentity] = {site: open_identity(settings, site) for site in SITES}
    known = {name: credentials(state, name) for name in SAES}
    for identity in identities.values():
        identity.registry.refresh()

    def open_store(_: Path, side: Side, __: bytes = b"") -> KeyStore:
        site = next(name for name, each in SIDES.items() if each is side)
        key = tmp_path / f"key-{site}"
        key.touch(mode=0o600)
        key.write_bytes(PREPLACED.reveal())
        store = open_site(node_folder(state, site), side, key, url=server.url)
        add_ready(store, 1, STOCK)
        return store

    monkeypatch.setattr(nodes, "open_store", open_store)
    async with contextlib.AsyncExitStack() as stack:
        pair = await stack.enter_async_context(two_nodes(tmp_path))
        urls: dict[str, list[str]] = {}
        for site, node in zip(SITES, (pair.alice, pair.bob), strict=True):
            registry = identities[site].registry
            node.link_keys._serves, node._peering._saes = registry.serves, registry.saes
            door = open_door(settings, node, identities[site], 0.0)
            stack.push_async_callback(door.stop, 1.0)
            urls[site] = ["https://{}:{}".format(*await door.start("127.0.0.1", 0))]
        await key_at_both(pair)
        await until(lambda: "bob" in pair.alice.link_keys.peer.saes)
        await until(lambda: "alice" in pair.bob.link_keys.peer.saes)
        yield World(settings, server, pair, known, urls, stack)


@pytest.fixture(autouse=True)
def no_schemas(server: Server) -> None:
    for site in SITES:
        server.sql(f"DROP SCHEMA IF EXISTS bellwire_{site} CASCADE", database="keys")


async def work(world: World, seed: int, after: Callable[[int], None]) -> None:
    """Keys go one way and the other by any door; whoever is away costs what was under way."""
    chance = random.Random(seed)
    for turn in range(ROUNDS):
        after(turn)
        there, back = chance.choice([("alice", "bob"), ("aldous", "bea"), ("bob", "alice")])
        try:
            first = chance.choice(world.urls[SAES[there]])
            ids = await world.get(there, back, first, chance.randint(1, 4))
            doors = [chance.choice(world.urls[SAES[back]]) for _ in range(2)]
            both = [world.fetch(back, there, url, ids) for url in doors]  # one of them at most
            for done in await asyncio.gather(*both, return_exceptions=True):
                if isinstance(done, BaseException) and not isinstance(done, BellwireError):
                    raise done
        except KmeRejected:
            raise
        except BellwireError:
            world.lost += 1


async def check(world: World) -> None:
    """What was given and not fetched may be fetched once, at any door, and nothing else."""
    for master, slave in (("alice", "bob"), ("bob", "alice")):
        for url in world.urls[SAES[slave]]:
            drawn = await world.get(master, slave, world.urls[SAES[master]][-1], 3)
            await world.fetch(slave, master, url, drawn)
            for other in world.urls[SAES[slave]]:
                with pytest.raises(KmeRejected):
                    await world.fetch(slave, master, other, drawn[:1])


def test_processes_and_their_node_share_a_pool_while_some_are_killed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with world(tmp_path, server, monkeypatch) as site:
            one, other, theirs = await asyncio.gather(*map(site.start, "aab"))
            for kme in (one, other):
                ids = await site.get("alice", "bea", kme.url, 2)  # a pair that is new at first
                await site.fetch("bea", "alice", theirs.url, ids)
            turns = asyncio.Event()

            def after(turn: int) -> None:
                if turn == ROUNDS // 3:
                    turns.set()

            async def kill() -> None:
                await turns.wait()
                for kme, where in ((one, "a"), (theirs, "b")):
                    await kme.kill()
                    site.urls[where].remove(kme.url)
                await site.start("b")

            await asyncio.gather(*(work(site, seed, after) for seed in range(WORKERS)), kill())
            assert len(site.given) > WORKERS * ROUNDS // 2
            assert len(site.fetched) > len(site.given) // 2
            await check(site)
            alice, bob = site.pair.alice.link_keys, site.pair.bob.link_keys
            assert not alice.fences
            assert not bob.fences
            # What other processes gave, the node tells the peer, who gives it up one day.
            await until(lambda: bob._pool.marks.peer_sequence >= alice._pool.marks.sequence)
            left = server.sql("SELECT count(*) FROM bellwire_a.unreported", database="keys")
            assert left == "0"
            issued = server.sql("SELECT sum(stop - first) FROM bellwire_b.issued", database="keys")
            assert int(issued) >= 4 * site.of_a
            # On RED no key leaves by any door.
            site.pair.link.eve = 0.0
            await site.pair.alice.distil(Protocol.BB84, 60_000)
            await until(lambda: not site.pair.bob.view().keys_may_flow)
            for url in site.urls["a"][1:]:
                async with asyncio.timeout(PATIENCE_S):
                    while True:
                        try:
                            await site.get("alice", "bob", url, 1)
                        except KmeUnavailable:
                            break
                        await asyncio.sleep(0.02)

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test()

    asyncio.run(bounded())
