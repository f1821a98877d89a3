"""The pool: which bits become which key, once each, at both sides, and what is left of them."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.keys.stores import (
    add_ready,
    add_to,
    each,
    leave,
    new_store,
    pair,
    pool_of,
    secret,
    serve,
    take,
)

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.keys import runs, segments, shelf
from bellwire.keys.errors import (
    KeyGone,
    KeyNotGranted,
    KeyNotReady,
    LinkRed,
    NotEnoughKey,
    PreplacedKeyInvalid,
    StoreCorrupt,
    StoreError,
)
from bellwire.keys.key_ids import Place
from bellwire.keys.kme import Delivery
from bellwire.keys.model import UNIT_BITS, UNIT_BYTES
from bellwire.keys.pool import Pool
from bellwire.keys.requests import Fetch, Leave, Make, Take
from bellwire.keys.store import KeyStore

BITS = 4096
"""Pays two sets and gives 48 units, 24 a side."""

LONG = 600_000
"""Gives 4,668 units: five segments a side."""


class Link(NamedTuple):
    stores: tuple[KeyStore, KeyStore]
    alice: Pool
    bob: Pool


@pytest.fixture
def link(folder: Path) -> Iterator[Link]:
    stores = pair(folder)
    for store in stores:
        add_ready(store, 1, BITS)
    yield Link(stores, *map(pool_of, stores))
    for store in stores:
        store.close()


def units_of(block: int, bits: int) -> bytes:
    """The bits that a block of the first two has for its units."""
    return secret(block, bits).reveal()[128:]


def test_keys_are_the_bits_of_the_block_in_order_and_alike_at_both_sides(link: Link) -> None:
    bits = units_of(1, BITS)
    first, second, of_bob = take(link.alice, 264), take(link.alice), take(link.bob)
    assert first.keys.reveal() == bits[:33]
    assert second.keys.reveal() == bits[40:72]
    assert of_bob.keys.reveal() == bits[24 * 8 : 24 * 8 + 32]
    assert leave(link.bob, second.ids) == second
    assert leave(link.bob, first.ids) == first
    assert leave(link.alice, of_bob.ids) == of_bob


def test_a_key_leaves_once_at_each_side(link: Link) -> None:
    taken = take(link.alice, 256, 3)
    leave(link.bob, each(taken.ids)[1])
    for pool in (link.bob, pool_of(link.stores[1])):
        with pytest.raises(KeyGone, match="before"):
            leave(pool, each(taken.ids)[1])
        with pytest.raises(KeyGone):
            leave(pool, taken.ids)
    both = each(taken.ids)[2] + each(taken.ids)[0]
    assert leave(link.bob, both).keys == Secret(taken.keys.reveal()[64:] + taken.keys.reveal()[:32])


def test_an_id_that_is_named_twice_in_one_request_gives_nothing(link: Link) -> None:
    taken = take(link.alice)
    with pytest.raises(KeyGone):
        leave(link.bob, 2 * taken.ids)
    assert leave(link.bob, taken.ids) == taken


def test_keys_fetched_in_any_order_and_mixed_lengths_are_those_that_were_got(link: Link) -> None:
    got = [take(link.alice, bits, number) for bits, number in ((64, 8), (72, 4), (8, 6))]
    ids = [key_id for one in got for key_id in each(one.ids)]
    keys: list[bytes] = []
    for one in got:
        size, bits = len(one.ids) // 16, one.keys.reveal()
        keys += [bits[at : at + len(bits) // size] for at in range(0, len(bits), len(bits) // size)]
    order = [*range(9, 3, -1), *range(10, 18), 0, 2, 1, 3]
    fetched = leave(link.bob, b"".join(ids[at] for at in order))
    assert fetched.keys.reveal() == b"".join(keys[at] for at in order)
    assert fetched.lengths == tuple(len(keys[at]) for at in order)
    with pytest.raises(KeyGone):
        leave(link.bob, ids[5])


def test_ids_whose_keys_follow_each_other_are_one_place(link: Link) -> None:
    ids = each(take(link.alice, 64, 20).ids)
    places = [link.bob.read_ids(Side.ALICE, b"".join(some))[1] for some in (ids, ids[::2])]
    assert [[(place.spans() if place else None) for place in some] for some in places] == [
        [[(at, at + 1) for at in range(20)]],
        [[(2 * at, 2 * at + 1)] for at in range(10)],
    ]
    made_up = bytes(16)
    _, read = link.bob.read_ids(Side.ALICE, b"".join([*ids[:9], made_up, *ids[9:]]))
    assert [None if place is None else place.number for place in read] == [9, None, 11]


def test_two_requests_of_one_group_never_get_the_same_key(link: Link) -> None:
    taken = take(link.alice, 64)
    _, (place,) = link.bob.read_ids(Side.ALICE, taken.ids)
    assert place is not None
    request = Leave(taken.ids, [place], "", [("",)])
    first, second = link.bob.commit([request, request], 0.0)
    assert first == taken
    assert isinstance(second, KeyGone)
    both = link.alice.commit([Take(0, 2, 64), Take(0, 2, 64)], 0.0)
    keys = [delivery.keys.reveal() for delivery in both if isinstance(delivery, Delivery)]
    assert b"".join(keys) == units_of(1, BITS)[8:40]


def test_requests_of_one_group_that_ask_for_the_same_get_keys_of_their_own(link: Link) -> None:
    group = [Take(0, 1, 64), Take(0, 1, 72), Take(0, 1, 64), Take(0, 2, 64), Take(0, 1, 64)]
    had = link.alice.commit(group, 0.0)
    got = [delivery for delivery in had if isinstance(delivery, Delivery)]
    assert [(len(each(one.ids)), len(one.keys), one.bits) for one in got] == [
        (take.number, take.number * take.bits // 8, take.bits) for take in group
    ]
    fetched = [leave(link.bob, delivery.ids) for delivery in got]
    assert [one.keys for one in fetched] == [one.keys for one in got]
    assert len({key_id for one in got for key_id in each(one.ids)}) == 6
    assert link.alice.free_units == 24 - 3 - 2 - 2


def test_of_requests_for_the_same_as_many_are_served_as_there_are_keys_for(link: Link) -> None:
    had = link.alice.commit([Take(0, 1, 256)] * 7, 0.0)
    assert [type(one) for one in had] == [Delivery] * 6 + [NotEnoughKey]
    keys = [one.keys.reveal() for one in had if isinstance(one, Delivery)]
    assert b"".join(keys) == units_of(1, BITS)[: 6 * 32]


def test_a_request_fails_alone_and_takes_nothing(link: Link) -> None:
    too_much, good = link.alice.commit([Take(0, 7, 256), Take(0, 6, 256)], 0.0)
    assert isinstance(too_much, NotEnoughKey)
    assert (too_much.wanted, too_much.there) == (7 * 256, 6 * 256)
    assert isinstance(good, Delivery)
    assert good.keys.reveal() == units_of(1, BITS)[: 6 * 32]
    with pytest.raises(NotEnoughKey):
        take(link.alice, 8)


def test_keys_of_several_lengths_leave_together_in_the_order_asked(link: Link) -> None:
    keys = [take(link.alice, bits) for bits in (8, 72, 512)]
    mixed = leave(link.bob, b"".join(key.ids for key in reversed(keys)))
    assert mixed.keys.reveal() == b"".join(key.keys.reveal() for key in reversed(keys))
    assert (mixed.bits, mixed.lengths) == (None, (64, 9, 1))


def test_the_oldest_bits_go_first_and_what_is_too_short_waits_for_a_shorter_key(
    link: Link,
) -> None:
    for store, pool in zip(link.stores, (link.alice, link.bob), strict=True):
        add_to(pool, store, 2, BITS)
    old, new = (units_of(block, BITS) for block in (1, 2))
    assert take(link.alice, 20 * 64).keys.reveal() == old[:160]
    assert take(link.alice, 8 * 64).keys.reveal() == new[:64]
    assert take(link.alice, 4 * 64).keys.reveal() == old[160:192]
    several = take(link.alice, 6 * 64, 2)
    assert several.keys.reveal() == new[64:160]
    assert leave(link.bob, several.ids) == several
    assert link.alice.free_bits == 4 * 64


def test_the_keys_of_one_request_may_lie_apart(link: Link) -> None:
    for store, pool in zip(link.stores, (link.alice, link.bob), strict=True):
        add_to(pool, store, 2, BITS)
    taken = take(link.alice, 5 * 64, 8)
    old, new = (units_of(block, BITS) for block in (1, 2))
    assert taken.keys.reveal() == old[:160] + new[:160]
    assert leave(link.bob, taken.ids) == taken
    assert take(link.alice, 4 * 64).keys.reveal() == old[160:192]


def test_a_key_may_lie_across_segments(folder: Path) -> None:
    alice, bob = pair(folder)
    for store in (alice, bob):
        add_ready(store, 1, LONG)
    ours, theirs = pool_of(alice), pool_of(bob)
    start = take(ours, 8 * 8 * 100, 5)
    across = take(ours, 8 * 1024)
    assert start.keys.reveal() + across.keys.reveal() == units_of(1, LONG)[: 500 * 8 + 1024]
    assert leave(theirs, across.ids) == across
    assert leave(theirs, start.ids) == start
    for pool in (ours, theirs):
        assert pool.clean()
        assert not pool.clean()
    assert leave(theirs, take(ours).ids)


@pytest.mark.parametrize("cached", [1, 2, 512])
def test_no_mark_is_lost_when_a_group_touches_more_segments_than_are_kept_in_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cached: int
) -> None:
    monkeypatch.setattr(segments, "SEGMENT_UNITS", 4)
    monkeypatch.setattr(shelf, "CACHED_SEGMENTS", cached)
    alice, bob = pair(folder)
    for store in (alice, bob):
        add_ready(store, 1, BITS)
    ours, theirs = pool_of(alice), pool_of(bob)
    ids = each(take(ours, 64, 24).ids)
    apart = b"".join(ids[at] for at in (0, 5, 1, 9, 4))
    assert leave(theirs, apart).lengths is None
    for pool in (theirs, pool_of(bob)):
        for at in (0, 1, 4, 5, 9):
            with pytest.raises(KeyGone):
                leave(pool, ids[at])
    assert leave(theirs, ids[2] + ids[8])
    assert pool_of(alice).free_bits == 0


def test_threads_taking_at_once_never_get_the_same_bits(link: Link) -> None:
    taken: list[bytes] = []

    def work() -> None:
        for _ in range(6):
            taken.append(take(link.alice, 64).keys.reveal())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(
        units_of(1, BITS)[at : at + UNIT_BYTES] for at in range(0, 24 * UNIT_BYTES, UNIT_BYTES)
    )


def test_nothing_is_handed_out_before_the_peer_numbers_it_alike(folder: Path) -> None:
    store = new_store(folder)
    add_ready(store, 1, BITS)
    pool = store.pool()
    pool.load(store.authentication_keys().mac_key)
    assert (pool.free_bits, pool.takeable_units) == (24 * 64, 0)
    with pytest.raises(NotEnoughKey):
        take(pool)
    pool.confirm(24)
    assert pool.takeable_units == 24
    take(pool)
    store.close()


def test_a_key_whose_block_is_not_ready_here_is_told_from_one_that_left(folder: Path) -> None:
    alice, bob = pair(folder)
    add_ready(alice, 1, BITS)
    ours, theirs = pool_of(alice), pool_of(bob)
    taken = take(ours)
    with pytest.raises(KeyNotReady):
        leave(theirs, taken.ids)
    add_to(theirs, bob, 1, BITS)
    assert leave(theirs, taken.ids) == taken


def test_a_slave_has_a_key_once_also_when_those_who_shared_it_are_gone(link: Link) -> None:
    taken = take(link.alice)
    _, (place,) = link.bob.read_ids(Side.ALICE, taken.ids)
    assert place is not None
    assert (
        serve(link.bob, Leave(taken.ids, [place], "bob", [("bob", "carol")], shared=True)) == taken
    )
    with pytest.raises(KeyGone):
        serve(link.bob, Leave(taken.ids, [place], "bob", [("bob",)], shared=True))


def test_an_own_unit_cannot_be_fetched_as_the_peers(link: Link) -> None:
    place = Place(24, 8, 0)
    for pool, wrong in ((link.alice, Place(0, 8, 0)), (link.bob, place)):
        with pytest.raises(KeyGone):
            serve(pool, Leave(bytes(16), [wrong], "", [("",)]))
    with pytest.raises(KeyGone):
        serve(link.bob, Leave(bytes(16), [Place(22, 24, 0)], "", [("",)]))
    assert serve(link.alice, Leave(bytes(16), [place], "", [("",)]))


def test_each_of_several_slaves_has_a_key_once_and_the_last_takes_it_off(link: Link) -> None:
    taken = take(link.alice)
    sharers = ("one", "two", "three")
    for at, slave in enumerate(sharers):
        others = (slave, *(other for other in sharers if other != slave))
        assert leave(link.bob, taken.ids, others) == taken
        with pytest.raises(KeyGone):
            leave(link.bob, taken.ids, others)
        with link.stores[1]._database.transaction() as cursor:
            (left,) = cursor.execute("SELECT gone FROM marks WHERE first = 0").fetchone()
        assert int.from_bytes(left, "little") == (0b1111 if at == 2 else 0)
    with pytest.raises(KeyGone):
        leave(pool_of(link.stores[1]), taken.ids, sharers)


def test_copies_for_slaves_of_the_masters_site_wait_there(link: Link) -> None:
    taken = serve(link.alice, Take(0, 2, 264, "master", ("one", "two")))
    assert serve(link.alice, Fetch(taken.ids, "one", "master")) == taken
    second = each(taken.ids)[1]
    assert (
        serve(link.alice, Fetch(second, "two", "master")).keys.reveal()
        == (taken.keys.reveal()[33:])
    )
    for slave, ids in (("one", taken.ids), ("two", taken.ids), ("two", second)):
        with pytest.raises(KeyGone):
            serve(link.alice, Fetch(ids, slave, "master"))
    with pytest.raises(KeyNotGranted):
        serve(link.alice, Fetch(each(taken.ids)[0], "three", "master"))
    with pytest.raises(KeyGone):
        serve(link.alice, Fetch(each(taken.ids)[0], "two", "another"))
    with pytest.raises(KeyGone):
        serve(link.alice, Fetch(2 * each(taken.ids)[0], "two", "master"))
    (refused,) = link.alice.commit([Fetch(each(taken.ids)[0], "two", "master")], 0.0, flowing=False)
    assert isinstance(refused, LinkRed)
    assert serve(link.alice, Fetch(each(taken.ids)[0], "two", "master"))
    assert leave(link.bob, taken.ids) == taken


def test_keys_of_one_site_are_no_links_and_leave_whatever_its_status(link: Link) -> None:
    made, fetched = link.alice.commit(
        [Make(3, 136, "master", ("one",)), Fetch(bytes(16), "one", "master")], 0.0, flowing=False
    )
    assert isinstance(made, Delivery)
    assert isinstance(fetched, KeyGone)
    assert len(made.keys) == 3 * 17
    assert link.alice.free_bits == 24 * 64
    (again,) = link.alice.commit([Fetch(made.ids, "one", "master")], 0.0, flowing=False)
    assert again == made


def test_what_left_is_zeroised_on_the_disk_once_it_is_cleaned(folder: Path) -> None:
    alice, bob = pair(folder)
    sealed: dict[Side, dict[int, bytes]] = {}
    for store in (alice, bob):
        add_ready(store, 1, LONG)
        with store._database.transaction() as cursor:
            rows = cursor.execute("SELECT first, sealed FROM segments").fetchall()
        sealed[store.side] = dict(rows)
    ours, theirs = pool_of(alice), pool_of(bob)
    taken = take(ours, 256, 200)
    leave(theirs, b"".join(each(taken.ids)[1::2]))
    for pool, store in ((ours, alice), (theirs, bob)):
        assert pool.clean()
        assert not pool.clean()
        files = b"".join(path.read_bytes() for path in (folder / store.side).iterdir())
        for first, kept in ((0, False), (512, False), (1024, True)):
            # A value of this size lies on several pages of the file.
            value = sealed[store.side][first]
            parts = [value[at : at + 32] for at in range(0, len(value) - 32, 32)]
            assert sum(part in files for part in parts) >= (120 if kept else 0)
            assert kept or not any(part in files for part in parts)
        with store._database.transaction() as cursor:
            left = segments.load(cursor, 512)
            assert left is not None
            segments.load_bits(cursor, store._sealer, left)
        assert left.bits is not None
        bits = units_of(1, LONG)
        for unit in range(512, 800):
            kept = store is bob and (unit // 4) % 2 == 0
            expected = bits[8 * unit : 8 * unit + 8] if kept else bytes(8)
            assert left.bits[8 * (unit - 512) :][:8] == expected
        assert left.bits[8 * 288 :] == bits[8 * 800 : 8 * 1024]
    assert (
        leave(theirs, b"".join(each(taken.ids)[::2])).keys.reveal()[:32]
        == (taken.keys.reveal()[:32])
    )


def test_what_left_is_zeroised_at_the_next_start_if_nobody_did_before(link: Link) -> None:
    taken = take(link.alice)
    leave(link.bob, taken.ids)
    for store in link.stores:
        again = pool_of(store)
        assert not again.clean()
        with store._database.transaction() as cursor:
            (dirty,) = cursor.execute("SELECT SUM(dirty) FROM marks").fetchone()
        assert dirty == 0


def test_keys_that_nobody_fetched_in_time_are_given_up(link: Link) -> None:
    early, late = take(link.alice, 256, 2), take(link.alice)
    leave(link.bob, each(early.ids)[0])
    assert link.alice.exchange.new_issues() == [(0, 12)]
    link.bob.exchange.take_report(7, [(0, 8)], 100.0)
    link.bob.exchange.take_report(9, [(8, 12)], 200.0)
    assert link.bob.marks.peer_sequence == 9
    assert link.bob.expire(100.0) == 0
    assert link.bob.expire(150.0) == 4
    assert link.bob.expire(150.0) == 0
    with pytest.raises(KeyGone):
        leave(link.bob, each(early.ids)[1])
    assert leave(link.bob, late.ids) == late


def test_keys_behind_others_that_left_are_given_up_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "SEGMENT_UNITS", 4)
    alice, bob = pair(folder)
    for store in (alice, bob):
        add_ready(store, 1, BITS)
    ours, theirs = pool_of(alice), pool_of(bob)
    ids = each(take(ours, 64, 12).ids)
    leave(theirs, b"".join(ids[:4]))
    theirs.exchange.take_report(1, ours.exchange.new_issues(), 100.0)
    assert theirs.expire(150.0) == 8
    for key_id in ids:
        with pytest.raises(KeyGone):
            leave(theirs, key_id)


def test_a_segment_is_erased_with_its_last_bits_though_nothing_is_left_to_seal_anew(
    link: Link, folder: Path
) -> None:
    store = link.stores[0]
    with store._database.transaction() as cursor:
        (sealed,) = cursor.execute("SELECT sealed FROM segments WHERE first = 0").fetchone()
    take(link.alice, 64, 24)
    copied = serve(link.alice, Make(1, 256, "master", ("one",)))
    with store._database.transaction() as cursor:
        (copy,) = cursor.execute("SELECT sealed FROM copies").fetchone()
    serve(link.alice, Fetch(copied.ids, "one", "master"))
    assert link.alice.clean()
    files = b"".join(path.read_bytes() for path in (folder / "alice").iterdir())
    assert sealed not in files
    assert copy not in files


def test_a_group_that_failed_leaves_no_trace_in_what_is_cleaned_or_given_up(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = take(link.alice, 64, 4)
    leave(link.bob, each(taken.ids)[0])
    link.bob.exchange.take_report(1, [(8, 12)], 100.0)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(segments, "write_marks", full)
        with pytest.raises(StoreError, match="full"):
            leave(link.bob, each(taken.ids)[1])
        with pytest.raises(StoreError, match="full"):
            take(link.bob)
    assert link.bob.clean()
    assert link.bob.expire(150.0) == 4
    assert leave(link.bob, each(taken.ids)[1]).keys.reveal() == taken.keys.reveal()[8:16]
    assert leave(link.alice, take(link.bob).ids).keys.reveal() == units_of(1, BITS)[192:224]


def test_bits_too_short_to_be_remembered_are_in_stock_again_after_a_start(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "KEPT_TAILS", 1)
    for block in (2, 3):
        for store, pool in zip(link.stores, (link.alice, link.bob), strict=True):
            add_to(pool, store, block, BITS)
    for _ in range(3):
        take(link.alice, 20 * 64)
    assert UNIT_BITS * link.alice.takeable_units == link.alice.free_bits == 8 * 64
    assert len(take(link.alice, 4 * 64, 2).keys) == 64
    assert link.alice.takeable_units == 0
    assert pool_of(link.stores[0]).takeable_units == 4


def test_copies_that_nobody_fetched_in_time_are_given_up(link: Link) -> None:
    early = serve(link.alice, Make(1, 256, "master", ("one",)), now=100.0)
    late = serve(link.alice, Make(1, 256, "master", ("one",)), now=200.0)
    link.alice.expire(150.0)
    with pytest.raises(KeyGone):
        serve(link.alice, Fetch(early.ids, "one", "master"))
    assert serve(link.alice, Fetch(late.ids, "one", "master")) == late


def test_a_fence_voids_all_bits_and_ids(link: Link) -> None:
    taken = take(link.alice)
    for pool in (link.alice, link.bob):
        before = pool.marks.sequence
        pool.fence(1, before + 5)
        assert pool.marks == (1, 0, before + 5, 0)
        assert pool.free_bits == 0
        assert pool.ladder(64) == []
    assert link.bob.read_ids(Side.ALICE, taken.ids) == (1, [None])
    for store, pool in zip(link.stores, (link.alice, link.bob), strict=True):
        with store._database.transaction() as cursor:
            for table in ("segments", "marks", "issued", "handed"):
                assert cursor.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,)
        add_to(pool, store, 2, BITS)
    again = take(link.alice)
    assert again.keys.reveal() == units_of(2, BITS)[:32]
    assert again.ids != taken.ids
    assert leave(link.bob, again.ids) == again


def test_a_segment_that_was_changed_cut_or_moved_gives_no_key(folder: Path) -> None:
    for change in (
        "UPDATE segments SET sealed = zeroblob(220) WHERE first = 0",
        "UPDATE segments SET sealed = x'00' WHERE first = 0",
        "UPDATE segments SET sealed = (SELECT sealed FROM segments WHERE first = 24)",
        "UPDATE marks SET units = 20 WHERE first = 0",
        "DELETE FROM segments WHERE first = 0",
    ):
        store = new_store(folder / str(len(change)))
        add_ready(store, 1, BITS)
        with store._database.transaction() as cursor:
            cursor.execute(change)
        with pytest.raises(StoreCorrupt):
            take(pool_of(store))
        store.close()


def test_a_pool_without_a_key_of_its_link_makes_and_reads_no_ids(folder: Path) -> None:
    store = new_store(folder)
    with pytest.raises(PreplacedKeyInvalid):
        store.pool().read_ids(Side.ALICE, bytes(16))
    store.close()


def test_the_bits_and_keys_of_each_grant_are_counted(link: Link) -> None:
    grants = [store.grants() for store in link.stores]
    for each_grants in grants:
        each_grants.load()
    grant = grants[0].propose("master", ("slave",))
    assert grants[1].accept(grant.number, "master", ("slave",))
    taken = serve(link.alice, Take(grant.number, 3, 264))
    _, (place, *_) = link.bob.read_ids(Side.ALICE, taken.ids)
    assert place is not None
    assert place.grant == grant.number
    leave(link.bob, each(taken.ids)[0])
    assert [(keys, bits) for _, keys, bits in grants[0].totals()] == [(3, 3 * 264)]
    assert [(keys, bits) for _, keys, bits in grants[1].totals()] == [(1, 264)]
