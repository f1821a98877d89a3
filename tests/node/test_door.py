"""Keys over HTTPS from two nodes that distil them: ETSI 014 from light to client."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.node.nodes import Pair, key_at_both, two_nodes
from tests.patience import PATIENCE_S

from bellwire.base.detections import Protocol
from bellwire.etsi014.credentials import Credentials
from bellwire.etsi014.errors import KmeRejected, KmeUnauthorised, KmeUnavailable
from bellwire.etsi014.exchange import Extras, Key
from bellwire.etsi014.fresh import FreshClient
from bellwire.keys.grants import Grants
from bellwire.node.door import KmeIdentity, open_door, open_identity
from bellwire.node.service import NodeService
from bellwire.node.settings import Settings
from bellwire.pki.authority import Authority, authority_folder
from bellwire.web.audit import Audit

SITES = "ab"
SAES = {"alice": "a", "aldous": "a", "bob": "b", "bea": "b"}


def credentials(state: Path, name: str) -> Credentials:
    """A certificate of the SAE's site."""
    site = SAES[name]
    issued = Authority(authority_folder(state, site), site).issue(name)
    folder = state / name
    folder.mkdir()
    files = {"crt": issued.certificate, "key": issued.key.reveal(), "ca": issued.authorities}
    for kind, data in files.items():
        (folder / kind).write_bytes(data)
        (folder / kind).chmod(0o600)
    return Credentials(folder / "crt", folder / "key", folder / "ca")


class Doors:
    """Two nodes, their doors, and a client for each SAE."""

    def __init__(
        self,
        pair: Pair,
        clients: dict[str, FreshClient],
        addresses: dict[str, tuple[str, int]],
        credentials: dict[str, Credentials],
    ) -> None:
        self.credentials = credentials
        self.pair = pair
        self.clients = clients
        self.addresses = addresses

    async def get(self, master: str, slave: str, number: int = 1, bits: int = 256) -> list[Key]:
        return await self.clients[master].get_keys(slave, number, bits)

    async def fetch(self, slave: str, master: str, keys: list[Key]) -> list[Key]:
        return await self.clients[slave].get_keys_with_ids(master, [key.key_id for key in keys])


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def doors(tmp_path: Path, *, audit: Audit | None = None) -> AsyncIterator[Doors]:
    settings = Settings.model_validate({"state": {"dir": tmp_path / "state"}})
    (tmp_path / "state").mkdir(mode=0o700)
    identities: dict[str, KmeIdentity] = {site: open_identity(settings, site) for site in SITES}
    known = {name: credentials(settings.state.dir, name) for name in SAES}
    for identity in identities.values():
        identity.registry.refresh()

    def dressed(node: NodeService, site: str) -> None:
        node.link_keys._serves = identities[site].registry.serves
        node._peering._saes = identities[site].registry.saes

    async with two_nodes(tmp_path) as pair, contextlib.AsyncExitStack() as stack:
        nodes = dict(zip(SITES, (pair.alice, pair.bob), strict=True))
        urls: dict[str, str] = {}
        addresses: dict[str, tuple[str, int]] = {}
        for site, node in nodes.items():
            dressed(node, site)
            door = open_door(settings, node, identities[site], 0.0, audit=audit)
            stack.push_async_callback(door.stop, 1.0)
            addresses[site] = await door.start("127.0.0.1", 0)
            urls[site] = "https://{}:{}".format(*addresses[site])
        clients = {
            name: await stack.enter_async_context(FreshClient(urls[SAES[name]], known[name]))
            for name in SAES
        }
        await key_at_both(pair)
        await until(lambda: all("bob" in n.link_keys.peer.saes for n in (pair.alice,)))
        await until(lambda: all("alice" in n.link_keys.peer.saes for n in (pair.bob,)))
        yield Doors(pair, clients, addresses, known)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test()

    asyncio.run(bounded())


def test_what_a_master_gets_the_slave_fetches_once_and_nobody_else(tmp_path: Path) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            drawn = await kmes.get("alice", "bob", 3)
            with pytest.raises(KmeUnauthorised):
                await kmes.fetch("bea", "alice", drawn)
            with pytest.raises(KmeUnauthorised):
                await kmes.fetch("alice", "bob", drawn)
            assert await kmes.fetch("bob", "alice", drawn[::-1]) == drawn[::-1]
            with pytest.raises(KmeRejected, match="not found on KME"):
                await kmes.fetch("bob", "alice", drawn[:1])
            back = await kmes.get("bea", "aldous", 1, 2048)
            assert await kmes.fetch("aldous", "bea", back) == back
            with pytest.raises(KmeRejected):
                await kmes.get("alice", "nobody")
            assert len({key.key_id for key in drawn + back}) == 4

    run(test)


def test_members_of_one_site_share_keys_of_their_node(tmp_path: Path) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            drawn = await kmes.get("alice", "aldous", 2, 128)
            assert await kmes.fetch("aldous", "alice", drawn) == drawn
            with pytest.raises(KmeRejected):
                await kmes.fetch("aldous", "alice", drawn)
            status = await kmes.clients["alice"].status("aldous")
            assert status.target_kme_id == status.source_kme_id == "kme-a"

    run(test)


def test_further_slaves_get_the_same_keys_once_each_wherever_they_are(tmp_path: Path) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            drawn = await kmes.clients["alice"].get_keys(
                "bob", 2, 256, Extras(slaves=("bea", "aldous"))
            )
            for slave in ("bob", "bea", "aldous"):
                assert await kmes.fetch(slave, "alice", drawn) == drawn
                with pytest.raises(KmeRejected):
                    await kmes.fetch(slave, "alice", drawn)

    run(test)


def test_one_side_may_use_nearly_all_of_the_stock(tmp_path: Path) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            stock = [node.link_keys.stock_bits for node in (kmes.pair.alice, kmes.pair.bob)]
            alice = kmes.pair.alice.link_keys
            await until(lambda: alice.takeable_bits == stock[0])  # the peer has agreed
            number = stock[0] // 256
            taken = await kmes.get("alice", "bob", number)
            await until(lambda: alice.takeable_bits >= 256)
            taken += await kmes.get("alice", "bob")
            assert kmes.pair.bob.link_keys.stock_bits < stock[1]
            fetched = await kmes.fetch("bob", "alice", taken)
            assert fetched == taken

    run(test)


def test_on_red_no_key_leaves_and_nothing_is_lost(tmp_path: Path) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            drawn = await kmes.get("alice", "bob", 2)
            kmes.pair.link.eve = 0.0
            await kmes.pair.alice.distil(Protocol.BB84, 60_000)
            await until(lambda: not kmes.pair.bob.keys.status().keys_may_flow)
            for ask in (kmes.get("alice", "bob"), kmes.fetch("bob", "alice", drawn)):
                with pytest.raises(KmeUnavailable):
                    await ask
            local = await kmes.get("alice", "aldous")  # of no link
            assert await kmes.fetch("aldous", "alice", local) == local
            kmes.pair.link.eve = None
            for _ in range(3):
                await kmes.pair.alice.distil(Protocol.BB84, 60_000)
            await until(lambda: kmes.pair.bob.keys.status().keys_may_flow)
            assert await kmes.fetch("bob", "alice", drawn) == drawn

    run(test)


def test_a_store_that_was_put_back_repeats_no_key(tmp_path: Path) -> None:
    """A copy of Alice's store is put back after keys were drawn: both begin a new epoch."""
    store, copy = tmp_path / "alice", tmp_path / "copy"
    drawn: list[tuple[bytes, bytes]] = []

    async def first() -> None:
        async with two_nodes(tmp_path) as pair:
            await key_at_both(pair)
            await pair.alice.keys.draw(256)
            shutil.copytree(store, copy)
            for _ in range(3):
                key = await pair.alice.keys.draw(256)
                drawn.append((key.key_id.data, key.key.reveal()))
            told = pair.bob.link_keys._pool
            await until(lambda: told.marks.peer_sequence >= 4)

    async def second() -> None:
        async with two_nodes(tmp_path) as pair:
            await key_at_both(pair)
            assert pair.alice.link_keys.fences
            assert pair.bob.link_keys.fences
            key = await pair.alice.keys.draw(256)
            assert key.key_id.data not in [key_id for key_id, _ in drawn]
            assert key.key.reveal() not in [bits for _, bits in drawn]
            assert (await pair.bob.keys.fetch(key.key_id)).key == key.key

    run(first)
    shutil.rmtree(store)
    shutil.copytree(copy, store)
    run(second)


def test_pairs_go_on_after_a_store_was_put_back_that_had_agreed_to_them(tmp_path: Path) -> None:
    """Either store forgets a grant; its number is passed over, or agreed to once more."""

    async def test() -> None:
        async with doors(tmp_path) as kmes:
            alice, bob = kmes.pair.alice.link_keys, kmes.pair.bob.link_keys
            first = await kmes.get("alice", "bob")
            with bob._store._database.transaction() as cursor:
                cursor.execute("DELETE FROM grants WHERE own = 0")
            await asyncio.to_thread(_forget, bob._grants, False)
            with pytest.raises((KmeRejected, KmeUnauthorised)):
                await kmes.fetch("bob", "alice", first)
            await until(lambda: bool(alice.fences and bob.fences and alice.peer.met))
            await key_at_both(kmes.pair)
            again = await kmes.get("alice", "bob")
            assert await kmes.fetch("bob", "alice", again) == again
            with alice._store._database.transaction() as cursor:
                cursor.execute("DELETE FROM grants WHERE own = 1")
            await asyncio.to_thread(_forget, alice._grants, True)
            other = await kmes.get("aldous", "bea")
            assert await kmes.fetch("bea", "aldous", other) == other

    run(test)


def _forget(grants: Grants, own: bool) -> None:
    """Memory as a store that was put back gives it."""
    for mine, number in list(grants._by_number):
        if mine is own and number:
            del grants._by_number[mine, number]
    grants._own.clear()
