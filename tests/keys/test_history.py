"""What outlives the bits of a store, and that nothing else does."""

from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from tests.keys.stores import (
    PREPLACED,
    SETS,
    add_pending,
    add_ready,
    each,
    leave,
    new_store,
    open_store,
    pool_of,
    serve,
    some_bytes,
    take,
)

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.keys import history
from bellwire.keys.errors import KeyGone, NotEnoughKey, PreplacedKeyInvalid, ReserveExhausted
from bellwire.keys.history import Granted, History
from bellwire.keys.lives import UnitLife
from bellwire.keys.model import BlockState
from bellwire.keys.requests import Fetch, Make, Take
from bellwire.keys.reserve import preplaced_bytes
from bellwire.keys.store import KeyStore

ANOTHER = Secret(some_bytes(preplaced_bytes(SETS), 815))


def used(folder: Path, side: Side = Side.ALICE) -> KeyStore:
    """A store with something in each of its tables."""
    store = new_store(folder, side)
    add_ready(store, 1, 20_000)
    add_pending(store, 2, 4096)
    grants = store.grants()
    grants.load()
    grant = grants.propose("master", ("slave", "näme"))
    grants.agree(grant.number)
    grants.accept(4, "theirs", ("ours",))
    pool = pool_of(store)
    serve(pool, Take(grant.number, 3, 256, "master", ("here",)))
    serve(pool, Make(1, 128, "master", ("here", "there")))
    pool.exchange.take_report(5, [(200, 210)], 100.0)
    return store


def sealed(store: KeyStore) -> list[bytes]:
    """Every sealed value of the store."""
    with store._database.transaction() as cursor:
        rows = [
            row
            for column, table in (
                ("sealed", "pad_sets"), ("sealed", "pending_bits"), ("sealed", "segments"),
                ("sealed", "copies"), ("fixed_keys", "store"),
            )
            for row in cursor.execute(f"SELECT {column} FROM {table}").fetchall()
        ]  # fmt: skip
    return [value for (value,) in rows if value is not None]


def test_a_history_has_grants_and_what_left_under_them(folder: Path) -> None:
    with closing(used(folder)) as store:
        found = store.history()
    assert found == History(
        0,
        [
            Granted(False, 4, "theirs", ("ours",), 0, 0),
            Granted(True, 1, "master", ("slave", "näme"), 3, 768),
        ],
    )
    assert msgspec.json.decode(msgspec.json.encode(found), type=History) == found


def test_nothing_that_was_sealed_is_in_a_history(folder: Path) -> None:
    with closing(used(folder)) as store:
        written = msgspec.json.encode(store.history())
        secrets = sealed(store)
    assert len(secrets) > 5
    assert not any(value in written for value in secrets)


def test_nothing_is_left_of_a_store_that_was_voided(folder: Path) -> None:
    store = used(folder)
    before = sealed(store)
    store.void()
    assert sealed(store) == []
    content = (folder / "alice" / "keys.db").read_bytes()
    content += (folder / "alice" / "keys.db-wal").read_bytes()
    assert not any(value in content for value in before)
    assert not store.has_preplaced()
    assert store.pending() == []
    assert store.state(1) is BlockState.ABSENT
    assert store.reserve_sets_left() == 0
    store.close()


def test_no_key_of_a_voided_store_leaves_under_any_id(folder: Path) -> None:
    store = used(folder)
    pool = pool_of(store)
    taken = serve(pool, Take(1, 1, 256, "master", ("here",)))
    local = serve(pool, Make(1, 256, "master", ("here",)))
    store.void()
    store.install_preplaced(ANOTHER)
    again = pool_of(store)
    for ids in (taken.ids, local.ids):
        with pytest.raises(KeyGone):
            serve(again, Fetch(ids, "here", "master"))
        assert again.read_ids(Side.ALICE, ids)[1] == [None]
    with pytest.raises(NotEnoughKey):
        take(again)
    assert sum(again.account().values()) == 0
    store.close()


def test_an_id_of_before_is_never_made_again_even_by_the_same_steps(folder: Path) -> None:
    store = new_store(folder)
    add_ready(store, 1, 20_000)
    first = take(pool_of(store), 256, 4)
    store.void()
    store.install_preplaced(ANOTHER)
    add_ready(store, 1, 20_000)
    second = take(pool_of(store), 256, 4)
    assert set(each(first.ids)).isdisjoint(each(second.ids))
    store.close()


def test_two_sides_that_were_voided_at_different_points_number_alike_again(folder: Path) -> None:
    stores = {side: used(folder, side) for side in Side}
    stores[Side.BOB].mark_ready(2)
    stores[Side.BOB].burn(3)
    for store in stores.values():
        store.void()
        store.void()  # again is harmless
        store.install_preplaced(ANOTHER)
    pads = [store.burn(1) for store in stores.values()]
    assert pads[0] == pads[1]
    for store in stores.values():
        add_ready(store, 2, 20_000)
    alice, bob = (pool_of(stores[side]) for side in Side)
    bob.fence(alice.marks.epoch, 1)  # as the peering does where epochs differ
    alice.fence(alice.marks.epoch + 1, 9)
    bob.fence(alice.marks.epoch, 9)
    for store, pool in zip(stores.values(), (alice, bob), strict=True):
        add_ready(store, 3, 20_000)
        pool.add()
        pool.confirm(pool.marks.next_unit)
    drawn = take(alice)
    assert leave(bob, drawn.ids).keys == drawn.keys
    for store in stores.values():
        store.close()


def test_a_history_outlives_a_new_store_and_grants_are_asked_for_anew(folder: Path) -> None:
    with closing(used(folder)) as store:
        found = store.history()
    with closing(open_store(folder / "new")) as store:
        store.take_history(found)
        store.take_history(found)
        grants = store.grants()
        grants.load()
        totals = {grant.number: (keys, bits) for grant, keys, bits in grants.totals()}
        assert totals == {1: (3, 768), 4: (0, 0)}
        own = grants.numbered(own=True, number=1)
        assert own is not None
        assert not own.agreed
        assert store.history() == History(found.epoch + 1, found.grants)
        with pytest.raises(PreplacedKeyInvalid):
            store.authentication_keys()
        with pytest.raises(ReserveExhausted):
            store.burn(1)


def test_units_of_a_voided_store_are_of_no_life(folder: Path) -> None:
    with closing(used(folder)) as store:
        store.void()
        store.install_preplaced(PREPLACED)
        assert pool_of(store).account() == dict.fromkeys(UnitLife, 0)


def test_every_table_is_either_voided_or_known_to_hold_no_bits(folder: Path) -> None:
    """Who adds a table decides, here, whether anything in it could be used twice."""
    with closing(used(folder)) as store, store._database.transaction() as cursor:
        rows = cursor.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    without = {"store", "grants", "alembic_version", "status_log", "node_word"}
    without |= {"outbox", "outbox_state", "outbox_salts"}
    assert {name for (name,) in rows} == {*history._BITS, *without}
