"""Blocks of sessions in the key store: a pad for one slave, sets of pads, no unit of the pool."""

from pathlib import Path

import pytest
from tests.keys.stores import crash_copy, open_store, pair, pool_of, record, secret, serve

from bellwire.base.detections import Side
from bellwire.keys import session_pads
from bellwire.keys.errors import BlockConflict, KeyGone, KeyNotGranted
from bellwire.keys.model import BlockState
from bellwire.keys.requests import Fetch
from bellwire.keys.reserve import SET_BYTES, TARGET_SETS
from bellwire.keys.session_pads import PadFor
from bellwire.keys.store import KeyStore

PAD_BITS = 512
BITS = PAD_BITS + 2 * 8 * SET_BYTES
ID = bytes(range(16))


def keep(store: KeyStore, block: int, *, waits: bool, key_id: bytes = ID) -> None:
    store.burn(block)
    pad = PadFor(key_id, PAD_BITS, "alice", "bob", waits)
    store.put_pending(record(block, BITS), secret(block, BITS), pad)


def fetch(store: KeyStore, slave: str = "bob") -> bytes:
    return serve(pool_of(store), Fetch(ID, slave, "alice")).keys.reveal()


def gone(store: KeyStore) -> None:
    with pytest.raises(KeyGone):
        fetch(store)


def test_the_slaves_side_hands_the_pad_out_once_and_the_masters_side_keeps_nothing(
    folder: Path,
) -> None:
    alice, bob = pair(folder)
    keep(alice, 1, waits=False)
    keep(bob, 1, waits=True)
    gone(bob)  # not before both are known to have it
    ready = [store.mark_ready(1) for store in (alice, bob)]
    assert ready[0] == ready[1]
    assert (ready[0].units, ready[0].dropped_bits) == (0, 0)
    assert alice.mark_ready(1) == ready[0]  # again is harmless
    assert alice.reserve_sets_left() == bob.reserve_sets_left()
    assert alice.burn(2).data == bob.burn(2).data
    with pytest.raises(KeyNotGranted):
        fetch(bob, slave="eve")
    whole = secret(1, BITS).reveal()
    assert fetch(bob) == session_pads.cut(whole, PAD_BITS) == whole[-PAD_BITS // 8 :]
    gone(bob)
    gone(alice)
    assert [pool_of(store).free_bits for store in (alice, bob)] == [0, 0]
    for store in (alice, bob):
        store.close()


def test_a_session_pays_its_own_tags_and_those_of_one_that_failed_while_there_are_few(
    folder: Path,
) -> None:
    assert session_pads.plan(1, TARGET_SETS - 1).refill_sets == 2
    assert session_pads.plan(1, TARGET_SETS).refill_sets == 1
    alice, bob = pair(folder)
    before = alice.reserve_sets_left()
    keep(alice, 1, waits=False)
    sets = alice.mark_ready(1).refill_sets
    assert alice.reserve_sets_left() == before - 1 + sets
    for store in (alice, bob):
        store.close()


def test_a_crash_before_both_have_it_leaves_a_session_that_is_settled_like_any_block(
    folder: Path,
) -> None:
    alice, bob = pair(folder)
    keep(bob, 1, waits=True)
    again = open_store(crash_copy(folder, folder / "crashed"), Side.BOB)
    assert again.pending() == [1]
    again.mark_ready(1)
    assert fetch(again) == session_pads.cut(secret(1, BITS).reveal(), PAD_BITS)
    again.close()
    bob.discard(1)
    assert bob.state(1) is BlockState.ABSENT
    with bob._database.transaction() as cursor:
        assert cursor.execute("SELECT COUNT(*) FROM sessions").fetchone() == (0,)
    gone(bob)
    for store in (alice, bob):
        store.close()


def test_a_session_whose_id_is_taken_is_not_kept(folder: Path) -> None:
    alice, bob = pair(folder)
    keep(bob, 1, waits=True)
    bob.mark_ready(1)
    with pytest.raises(BlockConflict, match="new id"):
        keep(bob, 2, waits=True)
    assert bob.pending() == []
    for store in (alice, bob):
        store.close()


def test_a_site_where_too_much_waits_takes_no_further_session(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_pads, "MAX_WAITING_PADS", 2)
    alice, bob = pair(folder)
    for block in (1, 2):
        keep(bob, block, waits=True, key_id=bytes([block] * 16))
        bob.mark_ready(block)
    with pytest.raises(BlockConflict, match="fewer than 2"):
        keep(bob, 3, waits=True)
    for store in (alice, bob):
        store.close()
