"""The tables of lives: complete, drawn as they are, and kept to in every state that there is."""

import copy
from collections import deque
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, cast

import pytest
from tests.keys.stores import add_ready, each, leave, pair, pool_of, take

from bellwire.keys.grants import Grants
from bellwire.keys.lives import (
    AGREEMENT_STEPS,
    UNIT_STEPS,
    Agreement,
    News,
    UnitEvent,
    UnitLife,
    diagram,
)
from bellwire.keys.peering import session as session_module
from bellwire.keys.peering.messages import Message, encode
from bellwire.keys.peering.session import Peer, Session
from bellwire.keys.pool import Pool
from bellwire.keys.rows import PoolMarks

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "key-pool.md"


def test_the_documented_diagrams_are_drawn_from_the_tables() -> None:
    page = PAGE.read_text()
    assert f"```mermaid\n{diagram(UNIT_STEPS, (UnitLife.OURS, UnitLife.THEIRS))}```" in page
    assert f"```mermaid\n{diagram(AGREEMENT_STEPS, (Agreement.UNKNOWN,))}```" in page


def test_every_agreement_has_every_news() -> None:
    assert set(AGREEMENT_STEPS) == set(product(Agreement, News))
    assert {AGREEMENT_STEPS[life, News.PARTED] for life in Agreement} == set(Agreement)


def test_what_left_never_comes_back_and_every_unit_can_leave() -> None:
    assert not any(life is UnitLife.LEFT for life, _ in UNIT_STEPS)
    assert {event for _, event in UNIT_STEPS} == set(UnitEvent)
    for life in set(UnitLife) - {UnitLife.LEFT}:
        assert UNIT_STEPS[life, UnitEvent.FENCED] is UnitLife.LEFT


def test_a_pool_accounts_for_every_unit_at_every_step(folder: Path) -> None:
    stores = pair(folder)
    for store in stores:
        add_ready(store, 1, 4096)
    alice, bob = map(pool_of, stores)

    def accounts() -> list[tuple[int, ...]]:
        told = [tuple(pool.account().values()) for pool in (alice, bob)]
        assert [sum(units) for units in told] == [48, 48]
        return told

    assert list(UnitLife) == list(alice.account())
    assert accounts() == [(24, 0, 24, 0), (24, 0, 24, 0)]
    taken = take(alice, 64, 4)
    assert accounts()[0] == (20, 0, 24, 4)
    leave(bob, each(taken.ids)[0])
    assert accounts()[1] == (24, 0, 23, 1)
    bob.exchange.take_report(1, [(0, 4)], 100.0)
    bob.expire(200.0)
    assert accounts()[1] == (24, 0, 20, 4)
    given = bob.exchange.offer(16)
    assert accounts()[1] == (24 - 8, 8, 20, 4)
    alice.exchange.take_over(given)
    assert accounts()[0] == (20 + 8, 0, 24 - 8, 4)
    bob.exchange.given(given)
    assert accounts()[1] == (24 - 8, 0, 20 + 8, 4)
    for pool in (alice, bob):
        pool.fence(1, 99)
        assert pool.account() == dict.fromkeys(UnitLife, 0)
    for store in stores:
        store.close()


# All states of two sides, their words and what is lost of them, within small bounds. The sessions
# are the product's; the pools are so small that states can be told apart and copied.

BLOCK = 8
BLOCKS = 3


class SmallPool:
    """A pool that hands out one key of each block, as far as sessions can tell."""

    def __init__(self) -> None:
        self.epoch = self.sequence = self.peer_sequence = self.confirmed = 0
        self.blocks: tuple[int, ...] = ()
        self.voided: frozenset[int] = frozenset()
        self.taken: frozenset[int] = frozenset()

    @property
    def state(self) -> tuple[object, ...]:
        return tuple(vars(self).values())

    @property
    def exchange(self) -> "SmallPool":
        return self

    @property
    def marks(self) -> PoolMarks:
        next_unit = BLOCK * len(self.blocks)
        return PoolMarks(self.epoch, next_unit, self.sequence, self.peer_sequence)

    def ladder(self, _: int) -> list[tuple[int, int]]:
        return [(block, BLOCK * at) for at, block in enumerate(self.blocks, 1)]

    @property
    def free(self) -> list[int]:
        confirmed = self.blocks[: self.confirmed // BLOCK]
        return [block for block in confirmed if block not in self.taken]

    @property
    def free_units(self) -> int:
        return BLOCK * len(set(self.blocks) - self.taken)

    def confirm(self, stop: int) -> None:
        self.confirmed = max(self.confirmed, stop)

    def fence(self, epoch: int, sequence: int) -> None:
        self.epoch, self.sequence = epoch, max(sequence, self.sequence + 1)
        self.peer_sequence = self.confirmed = 0
        self.voided |= frozenset(self.blocks)
        self.blocks = ()

    def add(self) -> None:
        pass

    def heed_others(self) -> None:
        pass

    def take_report(self, sequence: int, *_: object) -> None:
        self.peer_sequence = sequence

    def new_issues(self) -> list[tuple[int, int]]:
        return []

    def offered(self) -> list[int]:
        return []

    def offer(self, _: int) -> list[int]:
        return []


class NoGrants:
    """The search is about bits; nobody is granted any."""

    def agree_anew(self) -> None:
        pass


class SmallWorld:
    """Two sides, 0 and 1, and the wire."""

    def __init__(self) -> None:
        self.pools = [SmallPool(), SmallPool()]
        self.peers = [Peer(), Peer()]
        self.backups = copy.deepcopy(self.pools)
        self.sessions: list[Session] = []
        self.wire: list[deque[Message]] = [deque(), deque()]  # to each side
        self.left: frozenset[tuple[int, int]] = frozenset()

    @property
    def state(self) -> tuple[object, ...]:
        return (
            *(pool.state for pool in self.pools),
            *(peer.agreement for peer in self.peers),
            *(
                (s._ours and encode(s._ours), s._told, s._peer_free, tuple(s._steps.items()))
                for s in self.sessions
            ),
            *(b"".join(map(encode, wire)) for wire in self.wire),
            self.left,
        )

    def say(self, side: int, messages: list[Message]) -> None:
        self.wire[1 - side].extend(messages)

    def connect(self, _: int) -> None:
        self.part()
        self.sessions = [
            Session(
                f"kme {side}",
                cast(Pool, self.pools[side]),
                cast(Grants, NoGrants()),
                self.peers[side],
                serves=lambda _: False,
                clock=lambda: 0.0,
                answered=lambda *_: None,
                fenced=lambda _: None,
            )
            for side in (0, 1)
        ]
        for side in (0, 1):
            self.say(side, self.sessions[side].start())

    def part(self) -> None:
        self.sessions = []
        for peer, wire in zip(self.peers, self.wire, strict=True):
            peer.learn(News.PARTED)
            wire.clear()

    def hear(self, side: int) -> None:
        if self.sessions and self.wire[side]:
            self.say(side, self.sessions[side].receive(self.wire[side].popleft()))

    def report(self, side: int) -> None:
        if self.sessions:
            self.say(side, self.sessions[side].report())

    def ready(self, side: int) -> None:
        pool = self.pools[side]
        block = 1 + max((*pool.blocks, *pool.voided), default=0)
        if block <= BLOCKS:
            pool.blocks += (block,)
            if self.sessions:
                self.say(side, self.sessions[side].block_ready(block))

    def crash(self, side: int) -> None:
        self.part()
        self.peers[side] = Peer()
        self.pools[side].confirmed = 0

    def put_back(self, side: int) -> None:
        """The store as it was at first, if the other has heard of more since."""
        other = self.pools[1 - side]
        if other.peer_sequence > 0 or other.epoch > 0:
            self.crash(side)
            self.pools[side] = SmallPool()

    def take(self, side: int) -> None:
        pool, other = self.pools[side], self.pools[1 - side]
        if self.peers[side].met and pool.free:
            block = pool.free[0]
            assert (side, block) not in self.left, "bits left twice"
            if other.epoch == pool.epoch and block in other.blocks:
                stops = [dict(one.ladder(BLOCKS))[block] for one in (pool, other)]
                assert stops[0] == stops[1], "an id leads to other bits at the peer"
            self.left |= {(side, block)}
            pool.taken |= {block}
            pool.sequence += 1


STEPS = ("connect", "hear", "report", "ready", "crash", "put_back", "take")


def explore(depth: int) -> Iterator[SmallWorld]:
    """All worlds that so many steps lead to, each once, from two sides that have met."""
    begin = SmallWorld()
    for side in (0, 1):
        begin.ready(side)
    begin.connect(0)
    for side in (0, 1, 0, 1):
        begin.hear(side)
    assert all(peer.met for peer in begin.peers)
    known, edge = {begin.state}, [begin]
    for _ in range(depth):
        following = []
        for world, name, side in product(edge, STEPS, (0, 1)):
            if name == "connect" and side:
                continue
            after = twin(world)
            getattr(after, name)(side)
            if after.state not in known:
                known.add(after.state)
                following.append(after)
                yield after
        edge = following


def twin(world: SmallWorld) -> SmallWorld:
    other = copy.copy(world)
    other.pools = [copy.copy(pool) for pool in world.pools]
    other.peers = [copy.copy(peer) for peer in world.peers]
    other.wire = [deque(wire) for wire in world.wire]
    other.sessions = []
    for side, session in enumerate(world.sessions):
        same: Any = copy.copy(session)
        same._pool, same._peer = other.pools[side], other.peers[side]
        same._steps = dict(session._steps)
        other.sessions.append(same)
    return other


def test_in_no_state_within_reach_do_bits_leave_twice_or_ids_mislead() -> None:
    agreements = set()
    epochs = 0
    for world in explore(8):
        agreements.add(tuple(peer.agreement for peer in world.peers))
        epochs = max(epochs, *(pool.epoch for pool in world.pools))
    assert len(agreements) == 9
    assert epochs >= 2


def test_the_search_finds_sides_that_do_not_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_difference", lambda ours, theirs: None)
    with pytest.raises(AssertionError, match="left twice"):
        for _ in explore(8):
            pass
