"""Relaying over the pools of real links: stores, key ids and status as nodes have them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tests.keys.conftest import folder
from tests.keys.links import Now, link_keys, meet, outcome
from tests.keys.stores import add_ready, pair
from tests.network.in_process import InProcessBus
from tests.patience import PATIENCE_S
from tests.simulators.mesh import Shelf, identities, until

from bellwire.keys.errors import KeyGone, LinkRed, NotEnoughKey
from bellwire.keys.model import KeySourceKind
from bellwire.keys.service import FlowCheck, KeyService
from bellwire.keys.status import LinkStatus, Status
from bellwire.network.errors import NoRoute
from bellwire.network.linkstate import OwnLink
from bellwire.network.node import RelayNode
from bellwire.network.pool_keys import PoolKeys

__all__ = ["folder"]

BITS = 200_000


@asynccontextmanager
async def link(
    place: Path, one: str, other: str, status: LinkStatus
) -> AsyncIterator[tuple[PoolKeys, PoolKeys]]:
    """A link between two nodes, with a block of its own in the stores of both."""
    now = Now()
    status.decide(outcome(0.02, now()))
    flow = FlowCheck(status, now)
    stores = pair(place)
    for store in stores:
        add_ready(store, 1, BITS)
    try:
        async with (
            link_keys(stores[0], one, now, check_flow=flow) as ours,
            link_keys(stores[1], other, now, check_flow=flow) as theirs,
            meet(ours, theirs),
        ):
            services = [KeyService(keys, flow, KeySourceKind.SIMULATED) for keys in (ours, theirs)]
            yield (
                PoolKeys(services[0], lambda: view(other, services[0])),
                PoolKeys(services[1], lambda: view(one, services[1])),
            )
    finally:
        for store in stores:
            store.close()


def view(peer: str, service: KeyService) -> OwnLink:
    status = service.status()
    return OwnLink(peer, status.status, status.stale, service.stock_bits, 1, service.source)


def test_key_of_any_length_leaves_a_real_pool_once(folder: Path) -> None:
    (folder / "ab").mkdir()

    async def story() -> None:
        status = LinkStatus(now=100.0)
        async with link(folder / "ab", "a", "b", status) as (ours, theirs):
            before = ours.view().stock_bits
            for size in (1, 33, 1024, 1025, 5000):
                drawn = await ours.draw(size)
                assert len(drawn.key) == size
                assert await theirs.fetch(drawn.ids, size) == drawn.key
                with pytest.raises(KeyGone):
                    await theirs.fetch(drawn.ids, size)
            assert before - ours.view().stock_bits >= 8 * (1 + 33 + 1024 + 1025 + 5000)
            with pytest.raises(KeyGone):
                await theirs.fetch(bytes(16), 16)
            with pytest.raises(NotEnoughKey):
                await ours.draw(BITS // 8)
            assert ours.view().status is Status.GREEN
            status.decide(outcome(0.3, 101.0))
            assert ours.view().status is Status.RED
            with pytest.raises(LinkRed):
                await ours.draw(16)

    asyncio.run(story())


def test_a_block_is_relayed_over_the_pools_of_two_real_links(folder: Path) -> None:
    for name in ("am", "mb"):
        (folder / name).mkdir()

    async def story() -> None:
        keys, roster = identities(("a", "m", "b"))
        shelves = {name: Shelf() for name in keys}
        bus = InProcessBus()
        far = LinkStatus(now=100.0)
        async with asyncio.timeout(PATIENCE_S), AsyncExitStack() as stack:
            a_m, m_a = await stack.enter_async_context(
                link(folder / "am", "a", "m", LinkStatus(now=100.0))
            )
            m_b, b_m = await stack.enter_async_context(link(folder / "mb", "m", "b", far))
            links = {"a": {"m": a_m}, "m": {"a": m_a, "b": m_b}, "b": {"m": b_m}}
            nodes = {
                name: RelayNode(
                    name=name,
                    identity=keys[name],
                    roster=roster,
                    links=links[name],
                    bus=bus,
                    store=shelves[name],
                )
                for name in keys
            }
            for name in nodes:
                await bus.join(name, ("links",))
            tasks = [asyncio.create_task(node.run()) for node in nodes.values()]
            await until(lambda: all(len(n.topology().links()) == 4 for n in nodes.values()))
            for size in (32, 3000):
                record = await nodes["a"].make("b", size, routes=1)
                await until(lambda: shelves["b"].is_ready == set(shelves["a"].blocks))
                ours = shelves["a"].blocks[record.transfer]
                assert ours == shelves["b"].blocks[record.transfer]
                assert len(ours.bits) == size
                assert record.knowers == {"m"}
            far.decide(outcome(0.3, 101.0))
            with pytest.raises(NoRoute):
                await nodes["a"].make("b", 32, routes=1)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(story())
