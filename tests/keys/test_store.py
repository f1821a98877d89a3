"""The key store: what each step gives, refuses and leaves on the disk."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.keys.stores import (
    KEK,
    PREPLACED,
    SETS,
    add_pending,
    add_ready,
    crash_copy,
    leave,
    new_store,
    open_store,
    pair,
    pool_of,
    put_aside,
    record,
    secret,
    serve,
    take,
)

from bellwire.base.detections import Side
from bellwire.base.errors import RefusedError, UsageError
from bellwire.base.private import PathExposed, PathUnusable
from bellwire.base.secret import Secret
from bellwire.keys.database.interface import SCHEMA_VERSION
from bellwire.keys.errors import (
    BlockConflict,
    BlockNumberUsed,
    PreplacedKeyInvalid,
    ReserveExhausted,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreRefused,
)
from bellwire.keys.model import BlockState, ContactMethod, FirstContact, KeySourceKind
from bellwire.keys.requests import Fetch, Take
from bellwire.keys.reserve import TagPurpose
from bellwire.keys.sealing import STORE_ID_BYTES
from bellwire.keys.store import KeyStore

BITS = 4096
"""Pays two sets (1024 bits) and gives 48 units: 24 a side."""


@pytest.fixture
def alice(folder: Path) -> Iterator[KeyStore]:
    store = new_store(folder)
    yield store
    store.close()


def test_both_sides_burn_the_same_pads_and_never_again(folder: Path) -> None:
    alice, bob = pair(folder)
    ours, theirs = alice.burn(1), bob.burn(1)
    for side in Side:
        for purpose in TagPurpose:
            assert ours.pad(side, purpose) == theirs.pad(side, purpose)
    assert alice.burn(2).data != ours.data
    for again in (0, 1, 2, -1, 2**63):
        with pytest.raises(BlockNumberUsed):
            alice.burn(again)
    assert alice.last_block() == 2
    alice.close()
    bob.close()


def test_numbers_passed_over_are_spent_with_their_pads(alice: KeyStore) -> None:
    alice.burn(4)
    assert alice.reserve_sets_left() == SETS - 4
    with pytest.raises(BlockNumberUsed, match="above 4, got 3"):
        alice.burn(3)


def test_a_reserve_that_is_used_up_says_what_to_do(alice: KeyStore) -> None:
    alice.burn(SETS)
    with pytest.raises(ReserveExhausted, match="ends at 6") as caught:
        alice.burn(SETS + 1)
    assert caught.value.hint is not None
    assert alice.last_block() == SETS
    assert alice.reserve_sets_left() == 0


def test_a_pre_placed_key_is_installed_once(folder: Path) -> None:
    store = open_store(folder)
    assert not store.has_preplaced()
    with pytest.raises(PreplacedKeyInvalid):
        store.authentication_keys()
    with pytest.raises(ReserveExhausted):
        store.burn(1)
    store.install_preplaced(PREPLACED)
    assert store.has_preplaced()
    with pytest.raises(PreplacedKeyInvalid, match="without a pre-placed key"):
        store.install_preplaced(PREPLACED)
    assert store.authentication_keys().mac_key.reveal() == PREPLACED.reveal()[:32]
    assert store.reserve_sets_left() == SETS
    store.close()


SIGNED = FirstContact(ContactMethod.SIGNED, bytes(32), b"first")
LATER = FirstContact(ContactMethod.SIGNED, bytes(32), b"later")
OTHER = Secret(PREPLACED.reveal()[::-1])


def test_a_store_says_how_its_first_key_was_come_by(folder: Path) -> None:
    store = open_store(folder)
    assert store.first_contact() is None
    assert store.takes_preplaced()
    store.install_preplaced(PREPLACED)
    assert not store.takes_preplaced()
    assert store.first_contact() == FirstContact(ContactMethod.PREPLACED)
    store.close()
    store = open_store(folder, Side.BOB)
    store.install_preplaced(PREPLACED, SIGNED)
    store.close()
    assert open_store(folder, Side.BOB).first_contact() == SIGNED


def test_a_key_of_an_exchange_gives_way_to_a_later_one_until_a_number_is_burnt(
    folder: Path,
) -> None:
    store = open_store(folder)
    store.install_preplaced(PREPLACED, SIGNED)
    store.install_preplaced(OTHER, LATER, instead_of=SIGNED)
    assert store.first_contact() == LATER
    assert store.authentication_keys().mac_key.reveal() == OTHER.reveal()[:32]
    assert store.reserve_sets_left() == SETS
    assert store.takes_preplaced()
    pads = store.burn(1)
    assert not store.takes_preplaced()
    assert pads.data.reveal() == OTHER.reveal()[64:128]
    with pytest.raises(PreplacedKeyInvalid):
        store.install_preplaced(PREPLACED, SIGNED, instead_of=LATER)
    assert store.first_contact() == LATER
    assert store.reserve_sets_left() == SETS - 1


def test_an_exchange_is_void_once_another_has_ended_in_between(folder: Path) -> None:
    store = open_store(folder)
    store.install_preplaced(PREPLACED, SIGNED)
    for began in (None, LATER):
        with pytest.raises(PreplacedKeyInvalid):
            store.install_preplaced(OTHER, LATER, instead_of=began)
    assert store.first_contact() == SIGNED
    empty = open_store(folder, Side.BOB)
    with pytest.raises(PreplacedKeyInvalid):
        empty.install_preplaced(OTHER, LATER, instead_of=SIGNED)
    assert not empty.has_preplaced()


def test_a_key_that_was_brought_never_gives_way(folder: Path) -> None:
    store = new_store(folder)
    with pytest.raises(PreplacedKeyInvalid):
        store.install_preplaced(OTHER, SIGNED, instead_of=store.first_contact())
    assert store.authentication_keys().mac_key.reveal() == PREPLACED.reveal()[:32]


def test_a_block_goes_from_absent_over_pending_to_ready(alice: KeyStore) -> None:
    assert alice.state(1) is BlockState.ABSENT
    add_pending(alice, 1, BITS)
    assert alice.state(1) is BlockState.PENDING
    assert alice.pending() == [1]
    assert alice.record(1) == record(1, BITS)
    assert pool_of(alice).free_bits == 0
    ready = alice.mark_ready(1)
    assert (ready.refill_sets, ready.units, ready.dropped_bits, ready.first_unit) == (2, 48, 0, 0)
    assert alice.mark_ready(1) == ready
    assert (alice.state(1), alice.pending()) == (BlockState.READY, [])
    assert alice.reserve_sets_left() == SETS - 1 + 2
    assert pool_of(alice).free_bits == 24 * 64


def test_numbers_that_cannot_be_blocks_are_absent(alice: KeyStore) -> None:
    for block in (0, -1, 2**63, 2**80):
        assert alice.state(block) is BlockState.ABSENT
        assert alice.record(block) is None


def test_storing_the_same_pending_block_again_is_harmless_and_another_is_refused(
    alice: KeyStore,
) -> None:
    add_pending(alice, 1, BITS)
    alice.put_pending(record(1, BITS), secret(1, BITS))
    with pytest.raises(BlockConflict):
        alice.put_pending(record(1, BITS), secret(2, BITS))
    with pytest.raises(BlockConflict):
        alice.put_pending(replace(record(1, BITS), qber=0.03), secret(1, BITS))
    alice.mark_ready(1)
    with pytest.raises(BlockConflict):
        alice.put_pending(record(1, BITS), secret(1, BITS))


def test_a_block_that_was_never_burnt_is_refused(alice: KeyStore) -> None:
    with pytest.raises(BlockConflict, match="block 1: expected a burnt block number"):
        alice.put_pending(record(1, BITS), secret(1, BITS))
    with pytest.raises(ValueError, match="packed bits"):
        alice.put_pending(record(1, BITS), Secret(bytes(3)))


def test_blocks_become_ready_in_ascending_order_only(alice: KeyStore) -> None:
    with pytest.raises(BlockConflict, match="got none"):
        alice.mark_ready(1)
    add_pending(alice, 1, BITS)
    add_pending(alice, 2, BITS)
    with pytest.raises(BlockConflict, match="got 1 pending"):
        alice.mark_ready(2)
    alice.discard(1)
    alice.discard(1)
    alice.mark_ready(2)
    with pytest.raises(BlockConflict, match="ready one"):
        alice.discard(2)
    alice.put_pending(record(1, BITS), secret(1, BITS))
    with pytest.raises(BlockConflict, match="no higher block ready, got 2"):
        alice.mark_ready(1)


def test_refills_are_the_first_bits_of_the_block_and_equal_at_both_sides(folder: Path) -> None:
    alice, bob = pair(folder)
    for store in (alice, bob):
        add_ready(store, 1, BITS)
    ours, theirs = alice.burn(SETS + 1), bob.burn(SETS + 1)
    assert ours.data == theirs.data == Secret(secret(1, BITS).reveal()[:64])
    alice.close()
    bob.close()


def test_blocks_number_their_units_one_after_the_other(alice: KeyStore) -> None:
    for block, bits, first, units in ((1, BITS, 0, 48), (3, 255, 48, 0), (4, BITS, 48, 48)):
        add_pending(alice, block, bits)
        ready = alice.mark_ready(block)
        assert (ready.first_unit, ready.units) == (first, units)


def test_a_block_of_less_than_a_key_gives_nothing(alice: KeyStore) -> None:
    add_pending(alice, 1, 255)
    ready = alice.mark_ready(1)
    assert (ready.refill_sets, ready.units, ready.dropped_bits) == (0, 0, 255)


def all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_no_secret_byte_is_ever_in_the_files(folder: Path) -> None:
    alice, bob = pair(folder)
    bits = secret(1, BITS).reveal()
    parts = [bits[i : i + 8] for i in range(0, len(bits), 8)]
    parts += [PREPLACED.reveal()[i : i + 8] for i in range(0, len(PREPLACED), 8)]
    parts.append(KEK.reveal()[:8])

    def leaked() -> list[bytes]:
        found = all_bytes(folder)
        assert len(found) > len(bits)
        return [part for part in parts if part in found]

    for store in (alice, bob):
        add_pending(store, 1, BITS)
        assert leaked() == []
        store.mark_ready(1)
        assert leaked() == []
    ours, theirs = pool_of(alice), pool_of(bob)
    ids = take(ours, 512).ids
    copied = serve(ours, Take(0, 1, 256, "master", ("slave",))).ids
    assert leaked() == []
    leave(theirs, ids)
    serve(ours, Fetch(copied, "slave", "master"))
    assert leaked() == []
    for pool in (ours, theirs):
        assert pool.clean()
    assert leaked() == []
    for store in (alice, bob):
        store.close()
    assert leaked() == []


def test_pads_that_were_burnt_are_erased_from_the_files(folder: Path) -> None:
    store = new_store(folder)
    with store._database.transaction() as cursor:
        sets = dict(cursor.execute("SELECT number, sealed FROM pad_sets").fetchall())
    store.burn(2)
    assert sets[1] not in all_bytes(folder)
    assert sets[2] not in all_bytes(folder)
    assert sets[3] in all_bytes(folder)
    store.close()


def test_everything_is_there_after_a_crash(folder: Path) -> None:
    store = new_store(folder)
    add_ready(store, 1, BITS)
    add_pending(store, 2, BITS)
    drawn = take(pool_of(store))
    after = open_store(crash_copy(folder, folder / "crash"))
    assert (after.last_block(), after.pending()) == (2, [2])
    pool = pool_of(after)
    assert pool.free_bits == 24 * 64 - 256
    assert take(pool).ids != drawn.ids
    after.mark_ready(2)
    with pytest.raises(BlockNumberUsed):
        after.burn(2)
    after.close()
    store.close()


def test_a_damaged_value_is_noticed(folder: Path) -> None:
    store = new_store(folder)
    add_pending(store, 1, BITS)
    with store._database.transaction() as cursor:
        cursor.execute("UPDATE pad_sets SET sealed = zeroblob(60) WHERE number = 2")
        cursor.execute("UPDATE pending_bits SET sealed = x'00'")
    with pytest.raises(StoreCorrupt, match="number 0 of pad_sets of block 2"):
        store.burn(2)
    with pytest.raises(StoreCorrupt, match="number 0 of pending_bits of block 1"):
        store.mark_ready(1)
    with store._database.transaction() as cursor:
        cursor.execute("DELETE FROM pad_sets WHERE number = 2")
        cursor.execute("DELETE FROM pending_bits")
    with pytest.raises(StoreCorrupt, match="pad set 2"):
        store.burn(2)
    with pytest.raises(StoreCorrupt, match="bits of block 1"):
        store.mark_ready(1)
    assert (store.last_block(), store.state(1)) == (1, BlockState.PENDING)
    store.close()


def test_files_are_open_to_their_owner_alone(folder: Path) -> None:
    store = new_store(folder)
    place = folder / "alice"
    assert place.stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in place.iterdir()} == {0o600}
    assert len(list(place.iterdir())) == 2
    store.close()
    (place / "keys.db").chmod(0o644)
    with pytest.raises(PathExposed, match=r"\(0600\), got 0644"):
        open_store(folder)
    (place / "keys.db").chmod(0o600)
    place.chmod(0o755)
    with pytest.raises(PathExposed, match=r"\(0700\), got 0755") as caught:
        open_store(folder)
    assert caught.value.hint is not None
    assert "chmod 700" in caught.value.hint


def test_the_wrong_key_or_side_opens_nothing_and_harms_nothing(folder: Path) -> None:
    store = new_store(folder)
    store.close()
    path = folder / "alice" / "keys.db"
    before = path.read_bytes()
    with pytest.raises(StoreRefused, match="got another") as caught:
        KeyStore.open(path, Secret(bytes(32)), Side.ALICE)
    assert isinstance(caught.value, RefusedError)
    assert caught.value.exit_code == 3
    with pytest.raises(StoreRefused, match="32 bytes"):
        KeyStore.open(path, Secret(bytes(31)), Side.ALICE)
    with pytest.raises(StoreRefused, match="store of bob, got that of alice"):
        KeyStore.open(path, KEK, Side.BOB)
    assert path.read_bytes() == before
    store = open_store(folder)
    assert store.reserve_sets_left() == SETS
    store.close()


def test_a_store_has_one_user_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bellwire.database.sqlite.BUSY_TIMEOUT_S", 0.0)
    store = new_store(folder)
    with pytest.raises(StoreBusy, match="only user"):
        open_store(folder)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.last_block()


def test_a_file_that_is_no_store_is_refused_and_left_as_it_is(folder: Path) -> None:
    place = folder / "alice"
    place.mkdir(mode=0o700)
    path = place / "keys.db"
    path.write_bytes(b"anything but a database " * 100)
    path.chmod(0o600)
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match=r"keys\.db"):
        open_store(folder)
    assert path.read_bytes() == before


def test_another_programs_database_or_version_is_refused(folder: Path) -> None:
    place = folder / "alice"
    place.mkdir(mode=0o700)
    path = place / "keys.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    path.chmod(0o600)
    with pytest.raises(StoreRefused, match="another's database"):
        open_store(folder)
    path.unlink()
    new_store(folder).close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreRefused, match=rf"schema version {SCHEMA_VERSION}.*got 99"):
        open_store(folder)


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_store_of_every_earlier_version_is_taken_over_without_its_stock(
    folder: Path, version: int
) -> None:
    put_aside(folder, version)
    store = open_store(folder)
    assert store.first_contact() == FirstContact(ContactMethod.PREPLACED)
    keys = store.authentication_keys()
    assert keys.mac_key.reveal() == PREPLACED.reveal()[:32]
    assert (store.last_block(), store.pending(), store.state(1)) == (2, [2], BlockState.READY)
    assert (store.record(1), store.record(2)) == (record(1, BITS), record(2, BITS))
    # What lay in units of that time is gone; what is to become ready is not.
    assert store.mark_ready(1).units == 0
    pool = pool_of(store)
    assert (pool.free_bits, pool.marks) == (0, (0, 0, 0, 0))
    ready = store.mark_ready(2)
    assert (ready.first_unit, ready.units) == (0, 48)
    pool.add()
    pool.confirm(48)
    start = 8 * 8 * ready.refill_sets
    assert take(pool).keys.reveal() == secret(2, BITS).reveal()[start : start + 32]
    pads = store.burn(3).data.reveal()
    assert pads == PREPLACED.reveal()[64 + 2 * 64 :][:64]
    vendors = replace(
        record(3, BITS),
        protocol=None,
        source=KeySourceKind.VENDOR,
        qber=None,
        chsh=None,
        epsilon=None,
    )
    store.put_pending(vendors, secret(3, BITS))
    store.put_pending(vendors, secret(3, BITS))  # again is harmless
    assert store.record(3) == vendors
    with store._database.transaction() as cursor:
        rows = cursor.execute("SELECT sql FROM sqlite_schema").fetchall()
        (here,) = cursor.execute("PRAGMA user_version").fetchone()
    assert here == SCHEMA_VERSION
    assert not any("own_next" in sql or "pages" in sql for (sql,) in rows if sql)
    store.close()


@pytest.mark.parametrize("version", [5, 6, 7])
def test_a_store_of_every_migrated_version_keeps_all_that_it_had(
    folder: Path, version: int
) -> None:
    put_aside(folder, version)
    store = open_store(folder)
    assert (store.last_block(), store.pending(), store.state(1)) == (2, [2], BlockState.READY)
    pool, grants = pool_of(store), store.grants()
    assert pool.marks == (0, 48, 2, 3)
    assert tuple(pool.account().values()) == (16, 0, 24, 8)
    grants.load()
    found = grants.find("a1", ("b1", "b2"))
    assert found is not None
    assert (found.number, found.agreed) == (1, True)
    assert grants.numbered(own=False, number=1) is not None
    start = 8 * (8 * store.mark_ready(1).refill_sets + 8)
    assert take(pool).keys.reveal() == secret(1, BITS).reveal()[start : start + 32]
    assert store.mark_ready(2).first_unit == 48
    with store._database.transaction() as cursor:
        assert cursor.execute("SELECT COUNT(*) FROM copies").fetchone() == (1,)
        assert cursor.execute("SELECT * FROM issued").fetchall() == [(24, 28, 1000.0)]
        assert cursor.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    store.close()
    open_store(folder).close()


def test_a_folder_that_cannot_be_used_is_a_clear_usage_error(folder: Path) -> None:
    (folder / "file").write_bytes(b"")
    for place in (folder / "file", Path("/proc/bellwire")):
        with pytest.raises(PathUnusable, match="expected to read and write") as caught:
            open_store(place)
        assert isinstance(caught.value, UsageError)
        assert caught.value.exit_code == 2


def test_store_and_sealer_do_not_show_keys(alice: KeyStore) -> None:
    assert repr(alice) == "KeyStore(alice)"
    assert repr(alice._sealer) == "Sealer(alice)"
    assert repr(alice._sealer.box("segments", 7)) == "Box(segments of block 7)"
    assert repr(alice.pool()) == "Pool(alice)"
    assert STORE_ID_BYTES == 32
