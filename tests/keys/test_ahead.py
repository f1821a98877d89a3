"""Keys that are marked before they are asked for: handed out once, or given back, or lost."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.keys.stores import (
    add_ready,
    crash_copy,
    leave,
    new_store,
    open_store,
    pair,
    pool_of,
    secret,
    serve,
    take,
)
from tests.patience import PATIENCE_S

from bellwire.base.detections import Side
from bellwire.keys.ahead import IDLE_S, LEAST_AHEAD, MAX_AHEAD, WITHIN_S, Pace
from bellwire.keys.committer import SLOW_SYNC_S, Committer
from bellwire.keys.errors import LinkRed, StoreError
from bellwire.keys.group import Group
from bellwire.keys.kme import Delivery
from bellwire.keys.lives import UnitLife
from bellwire.keys.pool import Pool
from bellwire.keys.requests import Make, Take
from bellwire.keys.store import KeyStore

LONG = 600_000
"""Gives 4,668 units: five segments a side."""

ASKED = Take(0, 1, 256)


@pytest.fixture
def stores(folder: Path) -> tuple[KeyStore, KeyStore]:
    both = pair(folder)
    for store in both:
        add_ready(store, 1, LONG)
    return both


def mark(pool: Pool, count: int, asked: Take = ASKED) -> None:
    assert pool.commit([], 0.0, ahead=(asked, count)) == []


def next_key(pool: Pool, asked: Take = ASKED) -> Delivery:
    key = pool.next_ahead(asked)
    assert key is not None
    return key


def test_keys_ahead_are_those_that_would_have_followed(stores: tuple[KeyStore, KeyStore]) -> None:
    alice, bob = map(pool_of, stores)
    first, ours = take(alice), alice.free_units
    mark(alice, 3)
    assert alice.keys_ahead == 3
    assert alice.free_units == alice.takeable_units == ours
    keys = [first, *(next_key(alice) for _ in range(3)), take(alice)]
    bits = secret(1, LONG).reveal()[128:]
    for at, key in enumerate(keys):
        assert key.keys.reveal() == bits[32 * at : 32 * (at + 1)]
        assert leave(bob, key.ids) == key
    assert alice.next_ahead(ASKED) is None
    assert alice.free_units == ours - 16


def test_the_peer_hears_of_a_key_when_it_was_handed_out(stores: tuple[KeyStore, KeyStore]) -> None:
    alice = pool_of(stores[0])
    mark(alice, 5)
    assert alice.exchange.new_issues() == []
    next_key(alice)
    next_key(alice)
    assert alice.exchange.new_issues() == [(0, 8)]
    assert alice.exchange.new_issues() == []


@pytest.mark.parametrize("before", [0, 100, 127])  # of 128 keys in a segment
def test_what_nobody_asked_for_is_given_back_and_is_next(
    stores: tuple[KeyStore, KeyStore], before: int
) -> None:
    alice, bob = map(pool_of, stores)
    if before:
        take(alice, 256, before)
    account = alice.account()
    mark(alice, 40)
    assert alice.account() == account
    had = next_key(alice)
    alice.give_back()
    assert alice.keys_ahead == 0
    assert alice.account()[UnitLife.OURS] == account[UnitLife.OURS] - 4
    alice.clean()
    following = take(alice, 256, 60)
    bits = secret(1, LONG).reveal()[128 + 32 * before :]
    assert had.keys.reveal() + following.keys.reveal() == bits[: 61 * 32]
    for key in (had, following):
        assert leave(bob, key.ids) == key
    alice.give_back()  # again is harmless


def test_more_are_marked_behind_those_that_are_ahead(stores: tuple[KeyStore, KeyStore]) -> None:
    alice = pool_of(stores[0])
    mark(alice, 10)
    keys = [next_key(alice) for _ in range(7)]
    mark(alice, 10)
    assert alice.keys_ahead == 10
    keys += [next_key(alice) for _ in range(10)]
    bits = secret(1, LONG).reveal()[128:]
    assert b"".join(key.keys.reveal() for key in keys) == bits[: 17 * 32]
    mark(alice, 10)
    mark(alice, 4)
    assert alice.keys_ahead == 10


def test_other_requests_get_no_key_that_is_ahead_and_come_before_it(
    stores: tuple[KeyStore, KeyStore],
) -> None:
    alice = pool_of(stores[0])
    mark(alice, 10)
    for other in (Take(1, 1, 256), Take(0, 1, 128), Take(0, 1, 256, "", ("sae",))):
        assert alice.next_ahead(other) is None
    longer = take(alice, 512)
    assert alice.keys_ahead == 0
    assert longer.keys.reveal() == secret(1, LONG).reveal()[128 : 128 + 64]
    mark(alice, 10, Take(0, 1, 64))
    mark(alice, 10)
    assert alice.next_ahead(Take(0, 1, 64)) is None
    assert alice.keys_ahead == 10


def test_there_are_no_more_than_there_are_bits_for(folder: Path) -> None:
    store = new_store(folder)
    add_ready(store, 1, 4096)  # 24 units
    pool = pool_of(store)
    mark(pool, 10)
    assert pool.keys_ahead == 6
    mark(pool, 20)
    assert pool.keys_ahead == 6
    assert [len(next_key(pool).ids) for _ in range(6)] == 6 * [16]
    assert pool.free_units == 0
    assert pool.next_ahead(ASKED) is None


def test_a_crash_loses_what_was_ahead_and_nothing_else(
    stores: tuple[KeyStore, KeyStore], folder: Path, tmp_path: Path
) -> None:
    alice = pool_of(stores[0])
    mark(alice, 10)
    had = next_key(alice)
    copy = crash_copy(folder, tmp_path / "copy")
    store = open_store(copy, Side.ALICE)
    after = pool_of(store)
    assert after.account()[UnitLife.LEFT] == 40
    assert after.keys_ahead == 0
    assert take(after).keys.reveal() == secret(1, LONG).reveal()[128 + 320 : 128 + 352]
    assert had.keys.reveal() == secret(1, LONG).reveal()[128 : 128 + 32]
    store.close()


def test_a_fence_and_a_commit_that_failed_leave_nothing_ahead(
    stores: tuple[KeyStore, KeyStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = pool_of(stores[0])
    mark(alice, 10)
    with monkeypatch.context() as patch:
        patch.setattr(Group, "write", _fails)
        with pytest.raises(StoreError):
            take(alice, 512)
    assert alice.next_ahead(ASKED) is None
    mark(alice, 10)
    alice.fence(1, 99)
    assert alice.next_ahead(ASKED) is None
    assert alice.keys_ahead == 0


def _fails(*_: object) -> None:
    raise sqlite3.OperationalError("disk I/O error")


def test_what_is_ahead_is_in_no_repr(stores: tuple[KeyStore, KeyStore]) -> None:
    alice = pool_of(stores[0])
    mark(alice, 3)
    assert repr(alice._stock.ahead) == "Ahead(3 keys)"


# How many


def test_as_many_are_ahead_as_came_in_a_moment() -> None:
    pace = Pace()
    for at in range(40):
        pace.note(ASKED, 0.0005 * at)
    assert pace.ahead(0.02) == (ASKED, int(40 * WITHIN_S / 0.02))
    for _ in range(10_000):
        pace.note(ASKED, 0.03)
    assert pace.ahead(0.03) == (ASKED, MAX_AHEAD)
    assert pace.ahead(10.0) is None  # the moment is over


def test_none_are_ahead_of_few_or_of_requests_that_differ() -> None:
    pace = Pace()
    for _ in range(LEAST_AHEAD - 1):
        pace.note(ASKED, 0.0)
    assert pace.ahead(WITHIN_S) is None
    for other in (Take(0, 2, 256), Take(0, 1, 256, "", ("sae",))):
        for _ in range(1000):
            pace.note(other, WITHIN_S)
        assert pace.ahead(2 * WITHIN_S) is None
    for _ in range(1000):
        pace.note(ASKED, 3 * WITHIN_S)
    pace.note(Take(0, 1, 128), 3 * WITHIN_S)
    assert pace.ahead(4 * WITHIN_S) is None


# Requests that come in quick succession


class Flow:
    """Lets keys leave until it is shut."""

    def __init__(self) -> None:
        self.shut = False

    def __call__(self) -> None:
        if self.shut:
            raise LinkRed("no key leaves")


@asynccontextmanager
async def committer_of(
    store: KeyStore, flow: Flow | None = None, sync_s: float = 0.0
) -> AsyncIterator[tuple[Committer, Pool]]:
    pool = pool_of(store)
    committer = Committer(pool, flow or Flow(), lambda: 0.0, sync_s=sync_s)
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield committer, pool
    finally:
        await committer.close()


async def ask_until_ahead(committer: Committer, pool: Pool) -> list[Delivery]:
    """Crowds of requests, until some keys are ahead; what they got."""
    had: list[Delivery] = []
    while not pool.keys_ahead:
        had += await asyncio.gather(*(committer.submit(ASKED) for _ in range(30)))
        assert pool.free_units > 1000, "nothing is marked ahead"
    return had


def test_who_asks_next_is_answered_at_once_and_nothing_comes_twice(
    stores: tuple[KeyStore, KeyStore],
) -> None:
    bob = pool_of(stores[1])

    async def run() -> list[Delivery]:
        async with committer_of(stores[0]) as (committer, pool):
            had = await ask_until_ahead(committer, pool)
            there = pool.keys_ahead
            asked = [committer.submit(ASKED) for _ in range(there)]
            assert all(each.done() for each in asked)
            had += [each.result() for each in asked]
            had += await asyncio.gather(*(committer.submit(ASKED) for _ in range(50)))
            had.append(await committer.submit(Take(0, 3, 512)))
            return had

    had = asyncio.run(run())
    ids = [key.ids for key in had]
    assert len(set(ids)) == len(ids)
    for key in had:
        assert leave(bob, key.ids) == key


def test_nobody_asks_and_all_is_given_back(stores: tuple[KeyStore, KeyStore]) -> None:
    async def run() -> None:
        async with committer_of(stores[0]) as (committer, pool):
            had = await ask_until_ahead(committer, pool)
            while pool.keys_ahead:
                await asyncio.sleep(IDLE_S / 10)
            account = pool.account()
            assert account[UnitLife.LEFT] == 4 * len(had)

    asyncio.run(run())


def test_the_end_of_a_node_gives_back_what_is_ahead(stores: tuple[KeyStore, KeyStore]) -> None:
    async def run() -> tuple[Pool, int]:
        async with committer_of(stores[0]) as (committer, pool):
            had = await ask_until_ahead(committer, pool)
        return pool, len(had)

    pool, had = asyncio.run(run())
    assert pool.keys_ahead == 0
    assert pool_of(stores[0]).account()[UnitLife.LEFT] == 4 * had


def test_red_shuts_what_is_ahead_at_once(stores: tuple[KeyStore, KeyStore]) -> None:
    flow = Flow()

    async def run() -> None:
        async with committer_of(stores[0], flow) as (committer, pool):
            await ask_until_ahead(committer, pool)
            flow.shut = True
            with pytest.raises(LinkRed):
                await committer.submit(ASKED)
            while pool.keys_ahead:
                await asyncio.sleep(IDLE_S / 10)

    asyncio.run(run())


def test_red_leaves_nothing_to_be_done_again_and_again(stores: tuple[KeyStore, KeyStore]) -> None:
    flow = Flow()

    async def run() -> None:
        async with committer_of(stores[0], flow) as (committer, pool):
            await ask_until_ahead(committer, pool)
            while pool.keys_ahead > 1:
                assert committer.submit(ASKED).done()
            assert committer._scheduled  # more are to be marked
            flow.shut = True
            for _ in range(5):
                await asyncio.sleep(0)
            assert not committer._scheduled

    asyncio.run(run())


def test_where_a_thread_commits_nothing_is_ahead(stores: tuple[KeyStore, KeyStore]) -> None:
    async def run() -> None:
        async with committer_of(stores[0], sync_s=2 * SLOW_SYNC_S) as (committer, pool):
            for _ in range(10):
                await asyncio.gather(*(committer.submit(ASKED) for _ in range(30)))
                assert pool.keys_ahead == 0

    asyncio.run(run())


def test_one_after_the_other_nothing_is_ahead_of_who_waits(
    stores: tuple[KeyStore, KeyStore],
) -> None:
    """A lone client on a slow day: a crash would lose keys that nobody was about to ask for."""

    async def run() -> None:
        async with committer_of(stores[0]) as (committer, pool):
            for _ in range(5):
                await committer.submit(ASKED)
                assert pool.keys_ahead == 0
                await asyncio.sleep(WITHIN_S)

    asyncio.run(run())


# What is counted before the peer was met


def test_what_is_only_made_counts_nothing(folder: Path) -> None:
    store = new_store(folder)
    add_ready(store, 1, 4096)
    pool = pool_of(store)
    before = pool.marks.sequence
    serve(pool, Make(1, 256, "a1", ("a2",)))
    assert pool.marks.sequence == before
    pool.commit([Make(1, 256, "a1", ("a2",)), ASKED], 0.0)
    assert pool.marks.sequence == before + 1
    assert pool_of(store).marks.sequence == before + 1
