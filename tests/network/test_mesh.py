"""Ten nodes at work over links whose pools count every byte, on both buses.

After every story the mesh is checked: no pad served twice, blocks kept at both ends are equal, and
what is ready anywhere is kept at both (`Mesh.check_accounts`, `Mesh.check_blocks`).
"""

import asyncio
import random
from contextlib import suppress

import pytest
from tests.network.conftest import Open
from tests.network.in_process import InProcessBus
from tests.patience import PATIENCE_S
from tests.simulators.mesh import Mesh, identities, random_links, running, until

from bellwire.base.secret import Secret
from bellwire.keys.errors import StoreError
from bellwire.keys.status import Status
from bellwire.network.control import Control, Done, hear
from bellwire.network.errors import NoRoute, NotAuthentic, TransferFailed
from bellwire.network.hop import ShareHeader
from bellwire.network.model import TransferRecord
from bellwire.network.node import RelayNode
from bellwire.network.wire import Kind

BLOCK = 500
DIAMOND = [("a", "m"), ("m", "b"), ("a", "x"), ("x", "b"), ("a", "y"), ("y", "b")]
LADDER = [("a", "m"), ("m", "n"), ("n", "b"), ("a", "x"), ("x", "y"), ("y", "b")]


class Curious(RelayNode):
    """Does as it should, and keeps all that it carries."""

    def __init__(self, **given: object) -> None:
        super().__init__(**given)  # type: ignore[arg-type]
        self.view: list[bytes] = []

    async def _share(self, header: ShareHeader, share: Secret) -> None:
        self.view.append(share.reveal())
        await super()._share(header, share)


class Altering(RelayNode):
    """Changes one bit of whatever it carries for others."""

    async def _share(self, header: ShareHeader, share: Secret) -> None:
        if not header.last:
            data = bytearray(share.reveal())
            data[header.transfer[0] % len(data)] ^= 1 << header.transfer[1] % 8
            share = Secret(data)
        await super()._share(header, share)


class Shortening(RelayNode):
    """Carries less than it was given."""

    async def _share(self, header: ShareHeader, share: Secret) -> None:
        await super()._share(header, share if header.last else Secret(share.reveal()[1:]))


class Dropping(RelayNode):
    """Carries nothing."""

    async def _share(self, header: ShareHeader, share: Secret) -> None:
        if header.last:
            await super()._share(header, share)


class Replaying(RelayNode):
    """Carries everything twice, each time with fresh link key, the second time altered."""

    async def _share(self, header: ShareHeader, share: Secret) -> None:
        again = Secret(bytes(len(share)))
        await super()._share(header, share)
        if not header.last:
            await super()._share(header, again)


class Misdirecting(RelayNode):
    """Says that what it carries is another share, of another route."""

    async def _share(self, header: ShareHeader, share: Secret) -> None:
        if not header.last:
            header = ShareHeader(header.transfer, 7 - header.index, header.route, header.position)
        await super()._share(header, share)


ROGUES = [Altering, Shortening, Dropping, Replaying, Misdirecting]


async def settled(mesh: Mesh, record: TransferRecord) -> None:
    """Wait until the target knows as well, and look at both ends."""
    await until(lambda: record.transfer in mesh.shelves[record.target].is_ready)
    assert mesh.shelves[record.target].blocks[record.transfer].record == record
    assert record.transfer in mesh.shelves[record.origin].is_ready


@pytest.mark.parametrize("routes", [1, 2])
def test_both_ends_of_a_mesh_hold_the_same_bits_and_know_it(open_bus: Open, routes: int) -> None:
    async def story() -> None:
        async with open_bus() as bus, running(random_links(10, 8, routes), bus) as mesh:
            draw = random.Random(routes)
            for _ in range(6):
                one, other = draw.sample(sorted(mesh.nodes), 2)
                record = await mesh.nodes[one].make(other, BLOCK, routes=routes)
                assert len(record.routes) == routes
                assert {route[0] for route in record.routes} == {one}
                assert {route[-1] for route in record.routes} == {other}
                await settled(mesh, record)
                assert len(mesh.shelves[other].blocks[record.transfer].bits) == BLOCK

    asyncio.run(story())


@pytest.mark.parametrize("rogue", ROGUES, ids=lambda kind: kind.__name__)
def test_no_rogue_relay_makes_unequal_keys_or_stops_a_mesh(
    open_bus: Open, rogue: type[RelayNode]
) -> None:
    async def story() -> None:
        links = random_links(10, 12, 3)
        kinds = {"n04": rogue}
        async with open_bus() as bus, running(links, bus, kinds=kinds, patience_s=1.2) as mesh:
            draw = random.Random(7)
            honest = sorted(set(mesh.nodes) - {"n04"})
            for routes in (1, 2, 2, 1, 2):
                one, other = draw.sample(honest, 2)
                record = await mesh.nodes[one].make(other, BLOCK, routes=routes)
                await settled(mesh, record)

    asyncio.run(story())


@pytest.mark.parametrize("rogue", [Altering, Shortening], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("routes", [1, 2])
def test_a_relay_that_alters_is_found_and_avoided(rogue: type[RelayNode], routes: int) -> None:
    async def story() -> None:
        async with running(DIAMOND, InProcessBus(), kinds={"m": rogue}) as mesh:
            node = mesh.nodes["a"]
            record = await node.make("b", BLOCK, routes=routes)
            await settled(mesh, record)
            assert "m" not in record.relays
            assert node.charge_against("m") > 0.9
            assert node.charge_against("x") == node.charge_against("y") == 0.0
            frames = len(mesh.bus.frames())
            await settled(mesh, await node.make("b", BLOCK, routes=routes))
            assert len(mesh.bus.frames()) == frames + 2 * routes, "m was not tried again"

    asyncio.run(story())


def test_with_only_a_rogue_in_between_no_key_comes_about() -> None:
    async def story() -> None:
        links = [("a", "m"), ("m", "b")]
        async with running(links, InProcessBus(), kinds={"m": Altering}) as mesh:
            with pytest.raises(NoRoute):
                await mesh.nodes["a"].make("b", BLOCK, routes=1)
            assert not mesh.shelves["a"].blocks
            assert not mesh.shelves["b"].blocks

    asyncio.run(story())


def test_a_link_that_turns_red_in_the_middle_is_gone_around(open_bus: Open) -> None:
    async def story() -> None:
        async with open_bus() as bus, running(LADDER, bus) as mesh:
            turned = mesh.pool("n", "b")

            def turn() -> None:
                turned.status = Status.RED

            turned.on_draw = turn
            record = await mesh.nodes["a"].make("b", BLOCK, routes=1)
            assert record.routes == (("a", "x", "y", "b"),)
            await settled(mesh, record)
            link = ("n", "b")
            await until(lambda: not _trusted(mesh.nodes["x"], *link))
            with pytest.raises(NoRoute):
                await mesh.nodes["a"].make("b", BLOCK, routes=2)
            turned.on_draw = lambda: None
            turned.status = Status.GREEN
            await until(lambda: _trusted(mesh.nodes["a"], *link))
            await settled(mesh, await mesh.nodes["a"].make("b", BLOCK, routes=2))

    asyncio.run(story())


def _trusted(node: RelayNode, one: str, other: str) -> bool:
    link = node.topology().link(one, other)
    return link is not None and link.trusted


def test_a_link_that_is_red_where_a_share_arrives_is_gone_around() -> None:
    async def story() -> None:
        async with running(LADDER, InProcessBus()) as mesh:
            pool = mesh.pool("m", "n")
            fetch = pool.fetch

            def turn(other: str, ids: bytes, size: int) -> Secret:
                pool.status = Status.RED
                return fetch(other, ids, size)

            pool.fetch = turn  # type: ignore[method-assign]
            record = await mesh.nodes["a"].make("b", BLOCK, routes=1)
            assert record.routes == (("a", "x", "y", "b"),)

    asyncio.run(story())


@pytest.mark.parametrize("routes", [1, 2])
def test_a_relay_that_dies_is_gone_around(open_bus: Open, routes: int) -> None:
    async def story() -> None:
        async with open_bus() as bus, running(DIAMOND, bus, patience_s=1.2) as mesh:
            await mesh.kill("m")
            record = await mesh.nodes["a"].make("b", BLOCK, routes=routes)
            assert "m" not in record.relays
            await settled(mesh, record)

    asyncio.run(story())


def test_a_target_that_was_dead_is_reached_when_it_is_back() -> None:
    async def story() -> None:
        async with running(DIAMOND, InProcessBus(), patience_s=0.5) as mesh:
            await mesh.kill("b")
            with pytest.raises(TransferFailed, match="within 6 attempts"):
                await mesh.nodes["a"].make("b", BLOCK, routes=1)
            assert not mesh.shelves["a"].blocks
            mesh.revive("b")
            await settled(mesh, await mesh.nodes["a"].make("b", BLOCK, routes=2))

    asyncio.run(story())


def test_a_bus_that_repeats_and_reorders_costs_nothing() -> None:
    draw = random.Random(11)

    async def story() -> None:
        async with running(random_links(10, 8, 5), InProcessBus(), patience_s=PATIENCE_S) as mesh:
            mesh.bus.misbehave = lambda node, body: [body] * draw.randint(1, 3)
            mesh.bus.delay = lambda: draw.choice((0.0, 0.001, 0.01))
            for _ in range(8):
                one, other = draw.sample(sorted(mesh.nodes), 2)
                frames = len(mesh.bus.frames())
                record = await mesh.nodes[one].make(other, BLOCK, routes=draw.choice((1, 2)))
                await settled(mesh, record)
                hops = sum(len(route) - 1 for route in record.routes)
                assert len(mesh.bus.frames()) == frames + hops, "no hop was made twice"

    asyncio.run(story())


def test_a_bus_that_loses_and_garbles_makes_no_unequal_block() -> None:
    draw = random.Random(12)

    def misbehave(node: str, body: bytes) -> list[bytes]:
        garbled = bytearray(body)
        garbled[draw.randrange(len(body))] ^= 1 << draw.randrange(8)
        chance = draw.random()
        return [] if chance < 0.03 else [bytes(garbled), body] if chance < 0.06 else [body]

    async def story() -> None:
        async with running(random_links(10, 8, 5), InProcessBus(), patience_s=0.2) as mesh:
            mesh.bus.misbehave = misbehave
            for _ in range(8):
                one, other = draw.sample(sorted(mesh.nodes), 2)
                with suppress(TransferFailed, NoRoute):
                    await mesh.nodes[one].make(other, BLOCK, routes=draw.choice((1, 2)))
            mesh.bus.misbehave = lambda node, body: [body]
            for one, shelf in mesh.shelves.items():
                mine = [b.record for b in shelf.blocks.values() if b.record.origin == one]
                for record in mine:
                    await settled(mesh, record)

    asyncio.run(story())


@pytest.mark.parametrize("lost", [1, 3])
def test_a_last_word_that_is_lost_is_asked_for_again(lost: int) -> None:
    async def story() -> None:
        async with running(DIAMOND, InProcessBus(), patience_s=1.0) as mesh:
            _, roster = identities(mesh.nodes)
            dones: list[Control] = []

            def lose(node: str, body: bytes) -> list[bytes]:
                if body[0] == Kind.CONTROL:
                    said = hear(roster, node, body[1:]).message
                    if isinstance(said, Done) and len(dones) < lost:
                        dones.append(said)
                        return []
                return [body]

            mesh.bus.misbehave = lose
            first = await mesh.nodes["a"].make("b", BLOCK, routes=2)
            # Whoever makes the next one, meanwhile, uses a key that the other has.
            second = await mesh.nodes["b"].make("a", BLOCK, routes=2)
            third = await mesh.nodes["a"].make("b", BLOCK, routes=2)
            for record in (first, second, third):
                await settled(mesh, record)

    asyncio.run(story())


def test_ends_that_have_met_know_each_other_by_more_than_signatures() -> None:
    async def story() -> None:
        async with running(DIAMOND, InProcessBus()) as mesh:
            one, other = mesh.nodes["a"], mesh.nodes["b"]
            through_one = await one.make("b", BLOCK, routes=1)
            split = await one.make("b", BLOCK, routes=2)
            await settled(mesh, split)
            after = await one.make("b", BLOCK, routes=1)
            back = await other.make("a", BLOCK, routes=2)
            await settled(mesh, back)
            assert [r.met for r in (through_one, split, after, back)] == [False, False, True, True]
            one.meetings.forget("b")
            with pytest.raises(NotAuthentic, match="b to have the key of an earlier block"):
                await one.make("b", BLOCK, routes=2)
            with pytest.raises(NotAuthentic, match="a to have the key of an earlier block"):
                await other.make("a", BLOCK, routes=2)
            other.meetings.forget("a")
            assert not (await one.make("b", BLOCK, routes=2)).met

    asyncio.run(story())


def test_a_split_block_is_known_to_no_relay_and_another_to_each() -> None:
    async def story() -> None:
        kinds = dict.fromkeys(("m", "n", "x", "y"), Curious)
        async with running(LADDER, InProcessBus(), kinds=kinds) as mesh:
            for routes in (1, 2):
                record = await mesh.nodes["a"].make("b", BLOCK, routes=routes)
                bits = mesh.shelves["a"].blocks[record.transfer].bits.reveal()
                knowing = set()
                for name in kinds:
                    node = mesh.nodes[name]
                    assert isinstance(node, Curious)
                    knowing |= {name for seen in node.view if seen[:BLOCK] == bits}
                    node.view.clear()
                assert knowing == record.knowers
                assert len(knowing) == (2 if routes == 1 else 0)
                assert record.relays == (knowing if routes == 1 else set(kinds))

    asyncio.run(story())


def test_stock_that_runs_out_is_said_and_every_byte_of_it_was_used_once() -> None:
    async def story() -> None:
        async with running(DIAMOND, InProcessBus(), stock_bytes=3 * 600) as mesh:
            for _ in range(3 * 3):  # three blocks over each of the three routes
                await settled(mesh, await mesh.nodes["a"].make("b", BLOCK, routes=1))
            with pytest.raises(NoRoute, match="expected 1 node-disjoint routes from a to b"):
                await mesh.nodes["a"].make("b", BLOCK, routes=1)

    asyncio.run(story())


def test_many_blocks_at_once_between_many_pairs_all_come_about() -> None:
    async def story() -> None:
        async with running(random_links(10, 8, 9), InProcessBus(), patience_s=PATIENCE_S) as mesh:
            draw = random.Random(3)
            pairs = [draw.sample(sorted(mesh.nodes), 2) for _ in range(20)]
            records = await asyncio.gather(
                *(mesh.nodes[one].make(other, BLOCK, routes=1) for one, other in pairs)
            )
            for record in records:
                await settled(mesh, record)

    asyncio.run(story())


def test_a_store_that_fails_is_not_said_to_hold_the_block() -> None:
    async def story() -> None:
        async with running(DIAMOND, InProcessBus(), patience_s=1.0) as mesh:
            ours, theirs = mesh.shelves["a"], mesh.shelves["b"]
            theirs.failing = 1
            record = await mesh.nodes["a"].make("b", BLOCK, routes=1)
            await settled(mesh, record)
            assert set(ours.blocks) == set(theirs.blocks) == {record.transfer}, "the second try"
            ours.failing = 1
            with pytest.raises(StoreError, match="the disk failed"):
                await mesh.nodes["a"].make("b", BLOCK, routes=1)
            assert theirs.is_ready == ours.is_ready == {record.transfer}
            theirs.blocks = {record.transfer: theirs.blocks[record.transfer]}
            theirs.ready_failing = 2
            await settled(mesh, await mesh.nodes["a"].make("b", BLOCK, routes=1))

    asyncio.run(story())
