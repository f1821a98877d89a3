"""The key store: what each step gives, refuses and leaves on the disk."""

import sqlite3
import threading
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
    new_store,
    open_store,
    pair,
    record,
    secret,
)

from bellwire.base.detections import Side
from bellwire.base.errors import RefusedError, UsageError
from bellwire.base.private import PathExposed, PathUnusable
from bellwire.base.secret import Secret
from bellwire.keys import database
from bellwire.keys.errors import (
    BlockConflict,
    BlockNumberUsed,
    KeyGone,
    KeyNotReady,
    KeySizeUnsupported,
    NotEnoughKey,
    PreplacedKeyInvalid,
    ReserveExhausted,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreRefused,
)
from bellwire.keys.model import (
    BlockRecord,
    BlockState,
    ContactMethod,
    FirstContact,
    KeyId,
    KeySourceKind,
)
from bellwire.keys.reserve import TagPurpose
from bellwire.keys.sealing import STORE_ID_BYTES
from bellwire.keys.store import DELIVERIES_PER_TRUNCATE, KeyStore

LONG = 180_000
"""Gives 699 units, in three pages."""

BITS = 4096
"""Pays two sets (1024 bits) and gives twelve units, six a side."""


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
    with pytest.raises(NotEnoughKey, match="expected 256 secret bits in one block, got 0"):
        alice.draw(256)
    ready = alice.mark_ready(1)
    assert (ready.refill_sets, ready.units, ready.dropped_bits) == (2, 12, 0)
    assert alice.mark_ready(1) == ready
    assert (alice.state(1), alice.pending()) == (BlockState.READY, [])
    assert alice.reserve_sets_left() == SETS - 1 + 2
    assert alice.stock_bits(Side.ALICE) == alice.stock_bits(Side.BOB) == 6 * 256


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


def test_a_block_of_less_than_a_unit_gives_nothing(alice: KeyStore) -> None:
    add_pending(alice, 1, 255)
    ready = alice.mark_ready(1)
    assert (ready.refill_sets, ready.units, ready.dropped_bits) == (0, 0, 255)


def test_refills_are_the_first_bits_of_the_block_and_equal_at_both_sides(folder: Path) -> None:
    alice, bob = pair(folder)
    for store in (alice, bob):
        add_ready(store, 1, BITS)
    ours, theirs = alice.burn(SETS + 1), bob.burn(SETS + 1)
    assert ours.data == theirs.data == Secret(secret(1, BITS).reveal()[:64])
    alice.close()
    bob.close()


def test_what_one_side_draws_the_other_fetches_once(folder: Path) -> None:
    alice, bob = pair(folder)
    for store in (alice, bob):
        add_ready(store, 1, BITS)
    bits = secret(1, BITS).reveal()[128:]
    first, second = alice.draw(264), alice.draw(256)
    of_bob = bob.draw(256)
    assert first.key.reveal() == bits[:33]
    assert second.key.reveal() == bits[64:96]
    assert of_bob.key.reveal() == bits[6 * 32 : 7 * 32]
    assert bob.fetch(second.key_id) == second
    assert bob.fetch(first.key_id) == first
    assert alice.fetch(of_bob.key_id) == of_bob
    for store, key in ((bob, first), (bob, second), (alice, of_bob)):
        with pytest.raises(KeyGone, match="before"):
            store.fetch(key.key_id)
    assert bob.stock_bits(Side.ALICE) == alice.stock_bits(Side.ALICE) == 3 * 256
    assert bob.stock_bits(Side.BOB) == alice.stock_bits(Side.BOB) == 5 * 256
    alice.close()
    bob.close()


def test_only_the_peers_units_of_a_ready_block_can_be_fetched(alice: KeyStore) -> None:
    with pytest.raises(KeyGone, match="no such block"):
        alice.fetch(KeyId(1, 6, 256))
    add_pending(alice, 1, BITS)
    with pytest.raises(KeyNotReady):
        alice.fetch(KeyId(1, 6, 256))
    alice.mark_ready(1)
    for not_theirs in (KeyId(1, 0, 256), KeyId(1, 5, 512), KeyId(1, 11, 512), KeyId(1, 12, 256)):
        with pytest.raises(KeyGone, match="not the peer's"):
            alice.fetch(not_theirs)
    alice.fetch(KeyId(1, 7, 256))
    with pytest.raises(KeyGone, match="before"):
        alice.fetch(KeyId(1, 6, 512))
    alice.fetch(KeyId(1, 6, 256))


def test_a_key_comes_from_one_block_and_oldest_first(alice: KeyStore) -> None:
    add_ready(alice, 1, BITS)
    add_ready(alice, 2, BITS)
    assert alice.draw(5 * 256).key_id == KeyId(1, 0, 5 * 256)
    assert alice.draw(2 * 256).key_id == KeyId(2, 0, 2 * 256)
    assert alice.draw(8).key_id == KeyId(1, 5, 8)
    with pytest.raises(NotEnoughKey) as caught:
        alice.draw(5 * 256)
    assert (caught.value.wanted, caught.value.there) == (5 * 256, 4 * 256)
    with pytest.raises(KeySizeUnsupported):
        alice.draw(12)


def test_threads_drawing_at_once_never_get_the_same_bits(alice: KeyStore) -> None:
    add_ready(alice, 1, 64 * 512)
    drawn: list[KeyId] = []

    def draw() -> None:
        for _ in range(10):
            drawn.append(alice.draw(256).key_id)

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(drawn)) == 40


def all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_no_secret_byte_is_ever_in_the_files(folder: Path) -> None:
    store = new_store(folder)
    bits = secret(1, BITS).reveal()
    parts = [bits[i : i + 8] for i in range(0, len(bits), 8)]
    parts += [PREPLACED.reveal()[i : i + 8] for i in range(0, len(PREPLACED), 8)]
    parts.append(KEK.reveal()[:8])

    def leaked() -> list[bytes]:
        found = all_bytes(folder)
        assert len(found) > len(bits)
        return [part for part in parts if part in found]

    add_pending(store, 1, BITS)
    assert leaked() == []
    store.mark_ready(1)
    assert leaked() == []
    store.draw(512)
    store.fetch(KeyId(1, 6, 256))
    assert leaked() == []
    store.close()
    assert leaked() == []


def test_what_left_is_erased_from_the_files(folder: Path) -> None:
    store = new_store(folder)
    add_ready(store, 1, 64 * 512)
    with store._database.transaction() as cursor:
        sets = dict(cursor.execute("SELECT number, sealed FROM pad_sets"))
        units = dict(cursor.execute("SELECT number, sealed FROM units"))
    store.burn(2)
    assert sets[2] not in all_bytes(folder)
    assert sets[3] in all_bytes(folder)
    for _ in range(DELIVERIES_PER_TRUNCATE):
        store.draw(256)
    found = all_bytes(folder)
    assert not any(units[number] in found for number in range(DELIVERIES_PER_TRUNCATE))
    store.close()


def test_everything_is_there_after_a_crash(folder: Path) -> None:
    store = new_store(folder)
    add_ready(store, 1, BITS)
    add_pending(store, 2, BITS)
    drawn = store.draw(256)
    after = open_store(crash_copy(folder, folder / "crash"))
    assert (after.last_block(), after.pending()) == (2, [2])
    assert after.draw(256).key_id == KeyId(1, drawn.key_id.first_unit + 1, 256)
    after.mark_ready(2)
    with pytest.raises(BlockNumberUsed):
        after.burn(2)
    after.close()
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
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.0)
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
    with pytest.raises(StoreRefused, match=r"schema version 4.*got 99"):
        open_store(folder)


def as_version_3(old: sqlite3.Connection) -> None:
    old.execute("DROP TABLE pages")
    old.execute("PRAGMA user_version = 3")


def test_a_store_of_the_third_version_had_every_unit_by_itself(folder: Path) -> None:
    store = new_store(folder)
    add_ready(store, 1, BITS)
    store.close()
    old = sqlite3.connect(folder / "alice" / "keys.db")
    as_version_3(old)
    old.commit()
    old.close()
    store = open_store(folder)
    assert store.draw(512).key == Secret(secret(1, BITS).reveal()[128 : 128 + 64])
    add_ready(store, 2, LONG)
    assert store.stock_bits(Side.ALICE) > BITS


def test_a_long_block_lies_in_pages_until_its_units_are_asked_for(folder: Path) -> None:
    alice, bob = pair(folder)
    for store in (alice, bob):
        add_ready(store, 1, LONG)
        assert lying(store) == (3, 0)
    units = alice.mark_ready(1).units
    assert 512 < units < 768
    first = alice.draw(512)
    assert lying(alice) == (2, 254)
    assert bob.fetch(first.key_id).key == first.key
    last = KeyId(1, units - 1, 256)
    assert alice.fetch(last).key == Secret(secret(1, LONG).reveal()[128 + 32 * (units - 1) :][:32])
    assert lying(alice)[0] == 1
    with pytest.raises(KeyGone):
        alice.fetch(last)
    # A key may lie across two pages.
    bobs = [bob.draw(65_536), bob.draw(8_192)]
    assert [alice.fetch(key.key_id).key for key in bobs] == [key.key for key in bobs]
    for store in (alice, bob):
        store.close()


def test_a_page_that_was_changed_or_cut_gives_no_key(folder: Path) -> None:
    for change in ("sealed = zeroblob(8220)", "stop = stop - 1"):
        store = new_store(folder / change[:4])
        add_ready(store, 1, LONG)
        with store._database.transaction() as cursor:
            cursor.execute(f"UPDATE pages SET {change} WHERE first = 0")
        with pytest.raises(StoreCorrupt, match="block 1"):
            store.draw(256)
        store.close()


def lying(store: KeyStore) -> tuple[int, int]:
    """Pages, and units by themselves."""
    with store._database.transaction() as cursor:
        pages, units = (
            cursor.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in ("pages", "units")
        )
    return pages, units


def as_version_2(old: sqlite3.Connection) -> None:
    as_version_3(old)
    for column in ("contact", "contact_peer", "contact_exchange"):
        old.execute(f"ALTER TABLE store DROP COLUMN {column}")
    old.execute("PRAGMA user_version = 2")


def test_a_store_of_the_second_version_had_its_key_brought_by_hand(folder: Path) -> None:
    store = new_store(folder)
    keys = store.authentication_keys()
    store.close()
    empty = open_store(folder, Side.BOB)
    empty.close()
    for side in Side:
        old = sqlite3.connect(folder / side / "keys.db")
        as_version_2(old)
        old.commit()
        old.close()
    store = open_store(folder)
    assert store.first_contact() == FirstContact(ContactMethod.PREPLACED)
    assert store.authentication_keys() == keys
    assert store.burn(1)
    assert open_store(folder, Side.BOB).first_contact() is None


def test_a_store_of_the_first_version_is_taken_over_with_all_that_it_holds(folder: Path) -> None:
    store = new_store(folder)
    add_ready(store, 1, BITS)
    store.burn(2)
    store.put_pending(record(2, BITS), secret(2, BITS))
    before = store.record(1), store.record(2)
    store.close()
    old = sqlite3.connect(folder / "alice" / "keys.db")
    for column, kind in (("protocol", "TEXT"), ("qber", "REAL"), ("epsilon", "REAL")):
        old.execute(f"ALTER TABLE blocks ADD COLUMN old {kind} NOT NULL DEFAULT 0")
        old.execute(f"UPDATE blocks SET old = {column}")
        old.execute(f"ALTER TABLE blocks DROP COLUMN {column}")
        old.execute(f"ALTER TABLE blocks RENAME COLUMN old TO {column}")
    as_version_2(old)
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    store = open_store(folder)
    assert store.first_contact() == FirstContact()
    assert (store.record(1), store.record(2)) == before
    store.mark_ready(2)
    store.burn(3)
    vendors = BlockRecord(
        block=3,
        protocol=None,
        source=KeySourceKind.VENDOR,
        secret_bits=BITS,
        qber=None,
        chsh=None,
        epsilon=None,
        decided_at=1.0,
    )
    store.put_pending(vendors, secret(3, BITS))
    store.put_pending(vendors, secret(3, BITS))  # again is harmless
    store.mark_ready(3)
    assert store.record(3) == vendors
    store.draw(256)


def test_a_damaged_value_is_noticed_and_nothing_leaves(folder: Path) -> None:
    store = new_store(folder)
    add_ready(store, 1, BITS)
    with store._database.transaction() as cursor:
        cursor.execute("UPDATE units SET sealed = zeroblob(60) WHERE number = 0")
        cursor.execute("UPDATE units SET sealed = x'00' WHERE number = 6")
    with pytest.raises(StoreCorrupt, match="number 0 of units of block 1"):
        store.draw(256)
    with pytest.raises(StoreCorrupt, match="number 6"):
        store.fetch(KeyId(1, 6, 256))
    with store._database.transaction() as cursor:
        cursor.execute("DELETE FROM units WHERE number = 0")
        cursor.execute("DELETE FROM pad_sets WHERE number = 2")
        cursor.execute("DELETE FROM pending_bits")
    with pytest.raises(StoreCorrupt, match=r"all units of a key .* fewer"):
        store.draw(256)
    with pytest.raises(StoreCorrupt, match="pad set 2"):
        store.burn(2)
    assert store.stock_bits(Side.ALICE) == 6 * 256
    assert store.last_block() == 1
    store.close()


def test_a_value_moved_to_another_row_does_not_open(alice: KeyStore) -> None:
    add_ready(alice, 1, BITS)
    with alice._database.transaction() as cursor:
        cursor.execute(
            "UPDATE units SET sealed = (SELECT sealed FROM units WHERE number = 1) WHERE number = 0"
        )
    with pytest.raises(StoreCorrupt):
        alice.draw(256)


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
    assert repr(alice._sealer.box("units", 7)) == "Box(units of block 7)"
    assert STORE_ID_BYTES == 32
