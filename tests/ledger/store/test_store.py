"""A log's store: what is appended stays, once, in order, under the tree of RFC 6962."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.ledger.store.logs import EPOCH, batch, entry

from bellwire.base.private import PathExposed
from bellwire.ledger.errors import RangeUnusable
from bellwire.ledger.growing import Edge, grow
from bellwire.ledger.proofs import verify_consistency, verify_inclusion
from bellwire.ledger.proving import Prover
from bellwire.ledger.store.database import Place
from bellwire.ledger.store.errors import (
    LogStoreDamaged,
    LogStoreError,
    LogStoreUnusable,
    SequenceGap,
    SequenceTaken,
)
from bellwire.ledger.store.layout import LAYOUT
from bellwire.ledger.store.store import Batch, LogStore
from bellwire.ledger.tiles import Bundle, Tile, split_bundle
from bellwire.ledger.tree import EMPTY_ROOT, leaf_hash

Sql = Callable[[str], None]
"""Changes a store behind our back."""


def literal(place: Place, value: bytes) -> str:
    return f"x'{value.hex()}'" if isinstance(place, Path) else f"'\\x{value.hex()}'"


def root_of(entries: list[bytes]) -> bytes:
    return grow(Edge(), [leaf_hash(each) for each in entries])[0].root


def test_what_is_appended_is_there_after_a_restart(place: Place) -> None:
    store = LogStore(place)
    assert (store.head.size, store.head.root) == (0, EMPTY_ROOT)
    assert store.append([batch(1, 300), batch(301, 1)]) == [range(300), range(300, 301)]
    assert store.append([batch(1, 2, "site-b")]) == [range(301, 303)]
    head = store.head
    store.close()
    store.close()
    again = LogStore(place)
    entries = [*batch(1, 301).entries, *batch(1, 2, "site-b").entries]
    assert again.head == head
    assert head.root == root_of(entries)
    assert again.entries(0, 1000) == entries
    assert again.entries(302, 1000) == entries[302:]
    assert again.next_of("site-a", EPOCH) == 302
    assert again.next_of("site-a", "f" * 16) == 1
    assert again.append([batch(302, 5)]) == [range(303, 308)]
    again.close()


def test_an_entry_is_there_once_however_often_it_is_brought(place: Place) -> None:
    store = LogStore(place)
    store.append([batch(1, 5), batch(1, 2, "site-b"), batch(6, 5)])
    assert store.append([batch(1, 10)]) == [(0, 1, 2, 3, 4, 7, 8, 9, 10, 11)]
    assert store.append([batch(4, 9), batch(12, 1)]) == [
        (3, 4, 7, 8, 9, 10, 11, 12, 13),
        (13,),
    ]
    assert store.head.size == 14
    store.close()
    store = LogStore(place)
    assert store.append([batch(10, 4)]) == [(11, 12, 13, 14)]
    store.close()


def test_another_entry_under_a_number_that_was_used_is_refused(place: Place) -> None:
    store = LogStore(place)
    store.append([batch(1, 5)])
    other = Batch("site-a", EPOCH, 5, [entry(5, reason="another"), entry(6)])
    taken, good = store.append([other, batch(6, 1)])
    assert isinstance(taken, SequenceTaken)
    assert "sequence 5 of site-a" in str(taken)
    assert good == range(5, 6)
    assert store.head.size == 6
    store.close()


def test_a_number_that_was_left_out_is_refused_and_the_next_is_named(place: Place) -> None:
    store = LogStore(place)
    first, second = store.append([batch(2, 1), batch(1, 3)])
    assert isinstance(first, SequenceGap)
    assert first.expected == 1
    assert second == range(3)
    (gap,) = store.append([batch(5, 1)])
    assert isinstance(gap, SequenceGap)
    assert gap.expected == 4
    assert store.head.size == 3
    store.close()


def test_epochs_of_a_writer_count_by_themselves(place: Place) -> None:
    store = LogStore(place)
    store.append([batch(1, 3)])
    other = "ffffffffffffffff"
    assert store.append([Batch("site-a", other, 1, [entry(1, epoch=other)])]) == [range(3, 4)]
    store.close()


def test_tiles_bundles_and_proofs_are_those_of_the_tree(place: Place) -> None:
    store = LogStore(place)
    sizes, first = [], 1
    for count in (1, 255, 1, 300, 7):
        store.append([batch(first, count)])
        first += count
        sizes.append(store.head)
    entries = store.entries(0, 1000)
    served = [
        each
        for bundle in (Bundle(0), Bundle(1), Bundle(2, 52))
        for each in split_bundle(store.bundle(bundle), bundle.width)
    ]
    assert served == entries
    hashes = [store.tile(tile).hashes for tile in (Tile(0, 0), Tile(0, 1), Tile(0, 2, 52))]
    assert b"".join(hashes) == b"".join(map(leaf_hash, entries))
    prover, last = Prover(store.tile), sizes[-1]
    for head in sizes:
        assert prover.root(head.size) == head.root == root_of(entries[: head.size])
        proof = prover.consistency(head.size, last.size)
        verify_consistency(head.size, last.size, proof, head.root, last.root)
    for number in (0, 1, 255, 256, 563):
        proof = prover.inclusion(number, last.size)
        verify_inclusion(leaf_hash(entries[number]), number, last.size, proof, last.root)
    store.close()


@pytest.mark.parametrize("tile", [Tile(0, 0, 4), Tile(0, 1, 1), Tile(1, 0, 1), Tile(7, 0)])
def test_a_tile_that_the_log_has_not_is_refused(place: Place, tile: Tile) -> None:
    store = LogStore(place)
    store.append([batch(1, 3)])
    with pytest.raises(RangeUnusable):
        store.tile(tile)
    with pytest.raises(RangeUnusable):
        store.bundle(Bundle(tile.number, 4))
    store.close()


def test_a_second_process_is_refused(place: Place) -> None:
    store = LogStore(place)
    with pytest.raises(LogStoreUnusable, match=r"got (one in use by )?another"):
        LogStore(place)
    store.close()
    LogStore(place).close()


def test_another_programs_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    LogStore(folder).close()
    path = folder / "log.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(LogStoreDamaged):
        LogStore(folder)
    assert path.read_bytes() == b"not a database" * 100
    path.write_bytes(b"")
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(LogStoreDamaged, match="another"):
        LogStore(folder)


def test_a_folder_that_others_may_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir(mode=0o755)
    with pytest.raises(PathExposed):
        LogStore(tmp_path / "log")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tail SET hash = (SELECT root FROM head) WHERE number = 256",
        "UPDATE tail SET hash = substr(hash, 2) WHERE number = 256",
        "DELETE FROM tail WHERE number = 299",
        "UPDATE tiles SET hashes = (SELECT root FROM head) WHERE place > 1000",
        "DELETE FROM tiles WHERE place > 1000",
        "UPDATE head SET root = (SELECT hash FROM tail WHERE number = 256)",
        "UPDATE head SET size = size - 1",
        "DELETE FROM head",
    ],
)
def test_a_tree_that_does_not_make_the_stored_root_is_refused(
    place: Place, sql: Sql, change: str
) -> None:
    store = LogStore(place)
    store.append([batch(1, 300)])
    store.close()
    sql(change)
    with pytest.raises(LogStoreDamaged):
        LogStore(place)


def test_a_store_that_changes_under_a_running_log_is_read_anew_before_anything_is_appended(
    place: Place, sql: Sql
) -> None:
    """As when a backup is put back while the log runs."""
    store = LogStore(place)
    store.append([batch(1, 5)])
    kept = store.head
    store.append([batch(6, 5)])
    sql("DELETE FROM entries WHERE number > 4")
    sql("DELETE FROM tail WHERE number > 4")
    sql("UPDATE runs SET count = 5")
    sql(f"UPDATE head SET size = 5, root = {literal(place, kept.root)}")
    with pytest.raises(LogStoreError, match="as this process left it, with 10 entries"):
        store.append([batch(11, 1)])
    (gap,) = store.append([batch(11, 1)])  # whoever brought the others hears that they are gone
    assert isinstance(gap, SequenceGap)
    assert gap.expected == 6
    assert store.head == kept
    store.close()


def test_a_closed_store_says_so(place: Place) -> None:
    store = LogStore(place)
    store.close()
    with pytest.raises(LogStoreError, match="closed"):
        store.entries(0, 1)
    with pytest.raises(LogStoreError, match="closed"):
        store._database.transaction().__enter__()


def test_more_writers_than_are_kept_in_memory_keep_their_numbers(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bellwire.ledger.store.store.MOST_KNOWN", 2)
    store = LogStore(place)
    for first in (1, 2):
        for name in ("a1", "a2", "a3", "a4", "a5"):
            store.append([batch(first, 1, name)])
    assert store.append([batch(1, 3, "a1")]) == [(0, 5, 10)]
    store.close()


@pytest.mark.parametrize("count", [0, 300, 512])
def test_a_file_of_the_first_version_is_taken_over_whole(tmp_path: Path, count: int) -> None:
    """It kept the last tile of the lowest level as the others, and each writer's next number."""
    model = LogStore(tmp_path / "model")
    if count:
        model.append([batch(1, count)])
    head, entries = model.head, model.entries(0, count)
    hashes = [model.tile(Tile(0, i, min(256, count - 256 * i))) for i in range(-(-count // 256))]
    model.close()
    folder = tmp_path / "log"
    folder.mkdir(mode=0o700)
    (folder / "log.sqlite").touch(mode=0o600)
    with closing(sqlite3.connect(folder / "log.sqlite")) as file:
        file.executescript(LAYOUT.in_sqlite[0])
        file.execute("ATTACH ? AS model", (str(tmp_path / "model" / "log.sqlite"),))
        file.execute("INSERT INTO entries SELECT * FROM model.entries")
        file.execute("INSERT INTO runs SELECT * FROM model.runs")
        file.execute("INSERT INTO tiles SELECT * FROM model.tiles WHERE place >= 1 << 55")
        file.executemany(
            "INSERT INTO tiles VALUES (?, ?, ?)",
            [(i, each.hashes, each.middle) for i, each in enumerate(hashes)],
        )
        if count:
            file.execute("INSERT INTO writers VALUES (1, 'site-a', ?, ?)", (EPOCH, count + 1))
            file.execute("INSERT INTO head VALUES (1, ?, ?)", (head.size, head.root))
        file.execute(f"PRAGMA application_id = {LAYOUT.mark}")
        file.execute("PRAGMA user_version = 1")
        file.commit()
    store = LogStore(folder)
    assert store.head == head
    assert store.entries(0, count) == entries
    assert [store.tile(Tile(0, i, each.width)) for i, each in enumerate(hashes)] == hashes
    assert store.append([batch(count + 1, 300)]) == [range(count, count + 300)]
    assert store.head.root == root_of(store.entries(0, count + 300))
    store.close()
