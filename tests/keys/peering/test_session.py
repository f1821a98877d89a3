"""What the two KMEs make of each other's words, whatever is lost on the way."""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.keys.ground import Files
from tests.keys.stores import IN_MEMORY
from tests.keys.world import World

from bellwire.base.detections import Side
from bellwire.keys import segments
from bellwire.keys.errors import PeeringBroken
from bellwire.keys.peering.messages import (
    Agreed,
    Declined,
    Give,
    Issued,
    Message,
    Propose,
    Ready,
    Saes,
    Sync,
)

BITS = 20_000
"""Gives 296 units: 148 a side."""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(segments, "SEGMENT_UNITS", 16)
    with tempfile.TemporaryDirectory(prefix="bw", dir=IN_MEMORY) as name:
        world = World(Files(Path(name)))
        yield world
        world.close()


def both_ready(world: World, bits: int = BITS) -> None:
    world.distil(bits)
    for side in Side:
        world.ready(side)
    world.exchange()


def take(world: World, side: Side, number: int, bits: int = 64) -> None:
    slaves = {Side.ALICE: ("b1",), Side.BOB: ("a1",)}[side]
    master = {Side.ALICE: "a1", Side.BOB: "b1"}[side]
    world.granted(side, master, slaves)
    world.exchange()
    world.take(side, master, slaves, number, bits, None, random.Random(0))


def says(world: World, side: Side, message: Message) -> list[Message]:
    """What a side answers to a message of its peer."""
    session = world.nodes[side].session
    assert session is not None
    return session.receive(message)


def test_before_the_pools_were_compared_nothing_is_handed_out(world: World) -> None:
    assert not any(node.peer.met for node in world.nodes.values())
    world.connect()
    world.hear(Side.ALICE, 1)
    assert [world.nodes[side].peer.met for side in Side] == [True, False]
    world.exchange()
    assert world.nodes[Side.BOB].peer.met
    assert world.nodes[Side.BOB].peer.kme == "kme-alice"
    assert world.fences == []


def test_units_are_handed_out_once_both_sides_have_their_block(world: World) -> None:
    world.connect()
    world.exchange()
    world.distil(BITS)
    world.ready(Side.ALICE)
    world.exchange()
    alice, bob = (world.nodes[side].pool for side in Side)
    assert (alice.takeable_units, bob.takeable_units) == (0, 0)
    world.ready(Side.BOB)
    world.exchange()
    assert (alice.takeable_units, bob.takeable_units) == (148, 148)


def test_a_block_that_became_ready_while_they_were_apart_is_confirmed_when_they_meet(
    world: World,
) -> None:
    both_ready(world)
    world.distil(BITS)
    world.ready(Side.BOB)
    world.connect()
    world.exchange()
    alice, bob = (world.nodes[side].pool for side in Side)
    assert (alice.takeable_units, bob.takeable_units) == (148, 148)
    world.ready(Side.ALICE)
    world.exchange()
    assert (alice.takeable_units, bob.takeable_units) == (296, 296)


def test_a_grant_is_used_once_both_sides_have_it_and_survives_both(world: World) -> None:
    world.connect()
    world.exchange()
    assert not world.granted(Side.ALICE, "a1", ("b1", "a2"))
    world.exchange()
    assert world.nodes[Side.ALICE].answers == {1: True}
    for side in Side:
        world.crash(side, None)
    grant = world.nodes[Side.ALICE].grants.find("a1", ("b1", "a2"))
    assert grant is not None
    assert grant.agreed
    theirs = world.nodes[Side.BOB].grants.numbered(own=False, number=1)
    assert theirs is not None
    assert (theirs.master, theirs.slaves) == ("a1", ("b1", "a2"))


def test_a_grant_whose_answer_was_lost_is_proposed_again_under_its_number(world: World) -> None:
    world.connect()
    world.exchange()
    world.granted(Side.ALICE, "a1", ("b1",))
    world.hear(Side.BOB, 1)
    world.disconnect()
    world.crash(Side.ALICE, None)
    world.connect()
    world.exchange()
    assert not world.granted(Side.ALICE, "a1", ("b1",))
    world.exchange()
    assert world.granted(Side.ALICE, "a1", ("b1",))
    assert world.nodes[Side.ALICE].answers == {1: True}


@pytest.mark.parametrize(
    ("number", "slaves"),
    [(0, ("b1",)), (2**18, ("b1",)), (5, ("b1", "b1")), (5, ("c1",)), (5, ("a2",))],
)
def test_a_grant_that_cannot_be_is_declined(
    world: World, number: int, slaves: tuple[str, ...]
) -> None:
    world.connect()
    world.exchange()
    assert says(world, Side.BOB, Propose(number, "a1", slaves)) == [Declined(number, 0)]


def test_a_number_that_says_something_else_is_declined(world: World) -> None:
    world.connect()
    world.exchange()
    assert says(world, Side.BOB, Propose(5, "a1", ("b1",))) == [Agreed(5)]
    assert says(world, Side.BOB, Propose(5, "a1", ("b1",))) == [Agreed(5)]
    assert says(world, Side.BOB, Propose(5, "a1", ("b2",))) == [Declined(5, 5)]
    assert says(world, Side.BOB, Agreed(77)) == []
    assert world.nodes[Side.BOB].answers == {77: False}


def test_what_may_not_be_said_ends_the_connection(world: World) -> None:
    world.connect()
    for message in (Saes([]), Ready(1, 8), Issued(1, [], 0, 0)):
        with pytest.raises(PeeringBroken, match="SYNC first"):
            says(world, Side.BOB, message)
    good = Sync(1, "kme-alice", 0, 0, 0, 0, [], False)
    with pytest.raises(PeeringBroken, match="version 1 of the peering, got 2"):
        says(world, Side.BOB, Sync(2, *_rest(good)))
    with pytest.raises(PeeringBroken, match="another than ours"):
        says(world, Side.BOB, Sync(1, "kme-bob", *_rest(good)[1:]))
    world.exchange()
    with pytest.raises(PeeringBroken, match="there before"):
        says(world, Side.BOB, Sync(1, "kme-c", *_rest(good)[1:]))
    with pytest.raises(PeeringBroken, match="an empty one"):
        says(world, Side.BOB, Issued(1, [(4, 4)], 0, 0))


def _rest(sync: Sync) -> tuple[str, int, int, int, int, list[tuple[int, int]], bool]:
    return (
        sync.kme,
        sync.epoch,
        sync.next_unit,
        sync.sequence,
        sync.peer_sequence,
        sync.ladder,
        sync.fence,
    )


def test_a_store_that_was_put_back_is_fenced_before_a_key_leaves(world: World) -> None:
    world.connect()
    both_ready(world)
    world.backup(Side.ALICE)
    take(world, Side.ALICE, 3)
    world.report(Side.ALICE)
    world.exchange()
    world.put_back(Side.ALICE, world.backups[Side.ALICE][0])
    assert not world.nodes[Side.ALICE].peer.met
    world.connect()
    world.exchange()
    assert world.fences == 2 * ["one side's store was put back to an earlier state"]
    for node in world.nodes.values():
        assert (node.pool.marks.epoch, node.pool.free_bits, node.peer.met) == (1, 0, True)
    both_ready(world)
    take(world, Side.ALICE, 3)
    take(world, Side.BOB, 3)


def test_keys_for_its_own_site_hide_from_nobody_that_a_store_was_put_back(world: World) -> None:
    """They are made before the peer was met; the store counted up to what the peer had heard."""
    world.connect()
    both_ready(world)
    world.backup(Side.ALICE)
    take(world, Side.ALICE, 3)
    world.report(Side.ALICE)
    world.exchange()
    heard = world.nodes[Side.BOB].pool.marks.peer_sequence
    world.put_back(Side.ALICE, world.backups[Side.ALICE][0])
    for _ in range(heard + 1):
        world.take(Side.ALICE, "a1", ("a2",), 1, 64)
    world.connect()
    world.exchange()
    assert world.fences == 2 * ["one side's store was put back to an earlier state"]
    both_ready(world)
    take(world, Side.ALICE, 3)


def test_a_crash_at_either_side_fences_nothing(world: World) -> None:
    world.connect()
    both_ready(world)
    for side in Side:
        take(world, side, 3)
        world.crash(side, None)
        world.connect()
        world.exchange()
        take(world, side, 3)
        world.report(side)
        world.exchange()
        world.crash(side.peer, None)
        world.connect()
        world.exchange()
    assert world.fences == []


def test_a_fence_that_one_side_did_not_live_to_see_is_made_again(world: World) -> None:
    world.connect()
    both_ready(world)
    world.backup(Side.ALICE)
    take(world, Side.ALICE, 3)
    world.report(Side.ALICE)
    world.exchange()
    world.put_back(Side.ALICE, world.backups[Side.ALICE][0])
    world.connect()
    world.hear(Side.BOB, 1)
    assert [node.pool.marks.epoch for node in world.nodes.values()] == [0, 1]
    world.crash(Side.BOB, None)
    world.connect()
    world.exchange()
    assert [node.pool.marks.epoch for node in world.nodes.values()] == [2, 2]
    assert all(node.peer.met for node in world.nodes.values())


def test_sides_that_number_the_same_bits_differently_begin_anew(world: World) -> None:
    world.connect()
    world.exchange()
    world.distil(BITS)
    for side in Side:
        world.ready(side)
    # Bob's word for his block is altered in his own store: he would number the next ones apart.
    world.nodes[Side.ALICE].inbox.clear()
    said = says(world, Side.ALICE, Ready(1, 4))
    assert [type(message) for message in said] == [Sync]
    assert not world.nodes[Side.ALICE].peer.met
    world.say(world.nodes[Side.ALICE], said)
    world.exchange()
    assert [node.pool.marks.epoch for node in world.nodes.values()] == [1, 1]
    both_ready(world)
    take(world, Side.ALICE, 3)


def test_news_of_an_epoch_that_is_over_change_nothing_in_the_next(world: World) -> None:
    world.connect()
    both_ready(world)
    world.backup(Side.ALICE)
    take(world, Side.ALICE, 3)
    world.report(Side.ALICE)
    world.exchange()
    world.put_back(Side.ALICE, world.backups[Side.ALICE][0])
    world.connect()
    take_by_bob = world.nodes[Side.BOB]
    world.granted(Side.BOB, "b1", ("a1",))
    world.take(Side.BOB, "b1", ("a1",), 2, 64, None, random.Random(0))
    world.report(Side.BOB)
    world.hear(Side.ALICE, 10)
    world.hear(Side.BOB, 10)
    world.exchange()
    alice, bob = (node.pool.marks for node in world.nodes.values())
    assert alice.peer_sequence <= bob.sequence
    assert take_by_bob.peer.met
    world.connect()
    world.exchange()
    assert len(world.fences) == 2


def greedy(world: World, side: Side) -> None:
    take(world, side, 148)
    for one in (side, side.peer):
        world.report(one)


def test_a_side_that_runs_short_gets_segments_of_the_other(world: World) -> None:
    world.connect()
    both_ready(world)
    greedy(world, Side.ALICE)
    world.exchange()
    alice, bob = (world.nodes[side].pool for side in Side)
    assert alice.takeable_units >= 16
    assert alice.takeable_units + bob.takeable_units == 148
    assert not alice.exchange.offered()
    assert not bob.exchange.offered()
    for node in world.nodes.values():
        world.crash(node.side, None)
    world.connect()
    world.exchange()
    alice, bob = (world.nodes[side].pool for side in Side)
    assert alice.takeable_units + bob.takeable_units == 148
    take(world, Side.ALICE, alice.takeable_units)
    take(world, Side.BOB, bob.takeable_units)
    world.check()


@pytest.mark.parametrize("heard", range(6))
@pytest.mark.parametrize("back", [False, True])
def test_no_segment_is_both_sides_though_gives_and_answers_are_lost(
    world: World, heard: int, back: bool
) -> None:
    world.connect()
    both_ready(world)
    greedy(world, Side.ALICE)
    for side in 3 * list(Side):
        if heard > 0:
            world.hear(side, 1)
        heard -= 1
    world.connect()
    if back:
        # Who has taken them over gives them on before the other knows that it has them.
        alice = world.nodes[Side.ALICE].pool
        given = alice.exchange.offer(148)
        world.connect()
        world.exchange()
        assert not set(given) & set(alice.exchange.offered())
    world.exchange()
    world.check()
    looks = [world.look(side) for side in Side]
    both = [u for u, out in looks[0].units.items() if out and looks[1].units.get(u)]
    nobody = [u for u, out in looks[0].units.items() if not out and not looks[1].units.get(u, True)]
    assert both == []
    assert nobody == []


def test_a_segment_that_was_given_is_not_taken_over_twice(world: World) -> None:
    world.connect()
    both_ready(world)
    first = world.nodes[Side.BOB].pool.exchange.offer(16)
    assert len(first) == 1
    for _ in range(2):
        says(world, Side.ALICE, Give(first))
    alice = world.nodes[Side.ALICE].pool
    assert alice.takeable_units == 148 + (148 % 16 or 16)
