"""A monitor names what was altered, tells two histories apart, and looks after names."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.ledger.logs import SmallLog
from tests.ledger.store.logs import EPOCH, batch, entry

from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.entries.codec import encode
from bellwire.ledger.entries.fields import KeyAlgorithm, PublicKey
from bellwire.ledger.entries.model import Registration, Revocation
from bellwire.ledger.errors import InclusionMismatch, LogAltered, TileMalformed
from bellwire.ledger.monitor import MOST_TOLD, Holder, Monitor, key_digest, require_none
from bellwire.ledger.note import MAX_NOTE_BYTES
from bellwire.ledger.reading import LogReader, prove
from bellwire.ledger.store.store import LogStore
from bellwire.ledger.tiles import Bundle, bundles, join_bundle, tiles
from bellwire.ledger.tree import HASH_BYTES
from bellwire.web.log import tile_at

MINE, THEIRS = (PublicKey(KeyAlgorithm.ED25519, bytes([each]) * 32) for each in (1, 2))


def files_of(log: SmallLog) -> dict[str, bytes]:
    """The log as a web server of files would have it."""
    size = log.edge.size
    files = {"checkpoint": log.note().encode()}
    for tile in tiles(size):
        files[tile.path] = log._read(tile).hashes[: tile.width * HASH_BYTES]
    for bundle in bundles(size):
        some = log.entries[bundle.start : bundle.start + bundle.width]
        files[bundle.path] = join_bundle(some)
    return files


def reader_of(files: dict[str, bytes]) -> LogReader:
    return LogReader(files.__getitem__)


def entries(count: int, first: int = 1) -> list[bytes]:
    return [entry(i) for i in range(first, first + count)]


def watched(files: dict[str, bytes], log: SmallLog) -> Monitor:
    monitor = Monitor(reader_of(files))
    monitor.follow(log.checkpoint())
    return monitor


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 700])
def test_a_log_as_it_was_signed_gives_no_finding(size: int) -> None:
    log = SmallLog(entries(size))
    monitor = watched(files_of(log), log)
    assert monitor.findings == []
    assert monitor.edge.root == log.edge.root


def test_a_log_is_followed_as_it_grows() -> None:
    log = SmallLog(entries(200))
    files = files_of(log)
    monitor = Monitor(LogReader(lambda path: files[path]))
    monitor.follow(log.checkpoint())
    log.append(entries(400, 201))
    files = files_of(log)
    monitor.follow(log.checkpoint())
    assert monitor.findings == []
    assert monitor.edge.size == 600


@pytest.mark.parametrize("number", [0, 5, 255, 256, 599])
def test_an_altered_byte_names_its_entry(number: int) -> None:
    log = SmallLog(entries(600))
    files = files_of(log)
    path = Bundle(number // 256, min(256, 600 - number // 256 * 256)).path
    text = f'"reason {number + 1}"'.encode()
    assert text in files[path]
    files[path] = files[path].replace(text, text.replace(b"reason", b"reasom"))
    monitor = watched(files, log)
    found = [(each.what, each.number) for each in monitor.findings]
    assert found == [("altered", number), ("root", None)]
    reader = reader_of(files)
    with pytest.raises(InclusionMismatch, match=f"entry {number} "):
        prove(reader, log.checkpoint(), number, number + 1)


def test_an_entry_that_was_altered_with_its_tile_is_named_by_its_bundle() -> None:
    log, other = SmallLog(entries(600)), entries(600)
    other[300] = entry(301, reason="another")
    files = files_of(log)
    forged = files_of(SmallLog(other))
    for path in ("tile/entries/001", "tile/0/001"):
        files[path] = forged[path]
    found = [(each.what, each.number, each.said) for each in watched(files, log).findings]
    assert found[0][:2] == ("altered", 256)
    assert "entries 256 to 511" in found[0][2]
    assert found[1][0] == "root"


def test_a_whole_other_history_is_not_what_was_signed() -> None:
    log, other = SmallLog(entries(300)), entries(300)
    other[7] = entry(8, reason="another")
    monitor = watched(files_of(SmallLog(other)), log)
    assert [each.what for each in monitor.findings] == ["root"]


def test_many_altered_entries_are_told_within_a_bound() -> None:
    log = SmallLog(entries(256))
    files = files_of(log)
    files["tile/entries/000"] = files["tile/entries/000"].replace(b"reason ", b"reasom ")
    monitor = watched(files, log)
    assert len(monitor.findings) == MOST_TOLD + 2
    assert "156 more" in monitor.findings[MOST_TOLD].said


@pytest.mark.parametrize(
    ("path", "spoil"),
    [
        ("tile/0/000.p/100", lambda data: data[:-32]),
        ("tile/0/000.p/100", lambda data: data[:-1]),
    ],
)
def test_files_that_are_no_tiles_are_refused(path: str, spoil: Callable[[bytes], bytes]) -> None:
    log = SmallLog(entries(100))
    files = files_of(log)
    files[path] = spoil(files[path])
    with pytest.raises(TileMalformed):
        watched(files, log)


def test_two_histories_that_were_signed_are_a_split_view() -> None:
    log, forked = SmallLog(entries(300)), SmallLog([*entries(200), entry(201, reason="b")])
    monitor = watched(files_of(log), log)
    monitor.compare(log.checkpoint(), log.checkpoint(200))
    monitor.compare(log.checkpoint(), log.checkpoint())
    assert monitor.findings == []
    monitor.compare(log.checkpoint(), forked.checkpoint())
    assert [each.what for each in monitor.findings] == ["split view"]
    assert "two histories of 201 entries" in monitor.findings[0].said


def test_who_is_shown_an_older_state_than_others_is_told_after_some_patience() -> None:
    log = SmallLog(entries(300))
    files = files_of(log)
    monitor = Monitor(LogReader(lambda path: files[path]))
    monitor.follow(log.checkpoint())
    later = SmallLog(entries(301)).checkpoint()
    for _ in range(2):
        monitor.compare(log.checkpoint(), later)
        monitor.overdue(log.checkpoint(), 2)
    assert monitor.findings == []
    monitor.overdue(log.checkpoint(), 2)
    assert [each.what for each in monitor.findings] == ["split view"]


def test_what_was_ahead_is_compared_when_the_log_has_come_as_far() -> None:
    log = SmallLog(entries(300))
    files = files_of(log)
    monitor = Monitor(LogReader(lambda path: files[path]))
    monitor.follow(log.checkpoint())
    forked = SmallLog([*entries(300), entry(301, reason="another")]).checkpoint()
    for other in (SmallLog(entries(301)).checkpoint(), forked):
        monitor.compare(log.checkpoint(), other)
    log.append(entries(2, 301))
    files = files_of(log)
    monitor.follow(log.checkpoint())
    monitor.overdue(log.checkpoint(), 0)
    assert [each.said[:14] for each in monitor.findings] == ["it signed two "]


def test_a_log_that_shrinks_is_a_split_view() -> None:
    log = SmallLog(entries(300))
    monitor = watched(files_of(log), log)
    monitor.follow(log.checkpoint(299))
    assert [each.what for each in monitor.findings] == ["split view"]


def test_a_number_that_a_writer_left_out_is_told() -> None:
    log = SmallLog([*entries(3), *entries(2, 5), entry(1, "site-b"), entry(1, epoch="f" * 16)])
    monitor = watched(files_of(log), log)
    assert [(each.what, each.number) for each in monitor.findings] == [("missing", 3)]


def test_what_is_no_entry_is_told() -> None:
    log = SmallLog([entry(1), b"what is this", entry(2)])
    monitor = watched(files_of(log), log)
    assert [(each.what, each.number) for each in monitor.findings] == [("entry", 1)]


def registration(sequence: int, handle: str, *keys: PublicKey) -> bytes:
    return encode(
        Registration(
            v=1,
            at=0,
            writer="site-a",
            epoch=EPOCH,
            sequence=sequence,
            handle=handle,
            keys=keys,
            verdict="secure",
        )
    )


def revocation(sequence: int, handle: str, *keys: PublicKey) -> bytes:
    return encode(
        Revocation(
            v=1,
            at=0,
            writer="site-a",
            epoch=EPOCH,
            sequence=sequence,
            handle=handle,
            keys=tuple(sorted(map(key_digest, keys))),
            reason="operator",
        )
    )


@pytest.mark.parametrize(("ours", "what"), [(True, "your name"), (False, "their name")])
def test_what_becomes_of_a_name_that_is_looked_after_and_of_one_like_it_is_told(
    ours: bool, what: str
) -> None:
    log = SmallLog(
        [
            registration(1, "ada_lo", THEIRS),
            registration(2, "ada_lo", MINE),
            registration(3, "bob", THEIRS),
            registration(4, "ada_lo", THEIRS),
            registration(5, "ada-l0", THEIRS),
            revocation(6, "ada_lo", THEIRS),
            revocation(7, "ada_lo", MINE, THEIRS),
        ]
    )
    ada = Holder("ada_lo", frozenset({key_digest(MINE)}), since=1, ours=ours)
    monitor = Monitor(reader_of(files_of(log)), [ada])
    monitor.follow(log.checkpoint())
    found = [(each.what, each.number) for each in monitor.findings]
    assert found == [(what, 3), (what, 4), (what, 6)]
    words = ("are not", "ada-l0, which looks like ada_lo", "revoked")
    assert all(word in each.said for word, each in zip(words, monitor.findings, strict=True))


def test_a_checkpoint_that_is_too_long_is_refused() -> None:
    with pytest.raises(Exception, match="at most"):
        LogReader(lambda _: b"x" * (MAX_NOTE_BYTES + 1)).note()


@pytest.mark.parametrize("number", [0, 300, 599])
def test_a_byte_that_is_altered_after_it_was_read_is_found_in_the_next_round(number: int) -> None:
    log = SmallLog(entries(600))
    files = files_of(log)
    monitor = watched(files, log)
    path = Bundle(number // 256, min(256, 600 - number // 256 * 256)).path
    text = f'"reason {number + 1}"'.encode()
    files[path] = files[path].replace(text, text.replace(b"reason", b"reasom"))
    for _ in range(3):  # one bundle a call, in turn
        monitor.read_again(log.checkpoint(), 1)
    assert [(each.what, each.number) for each in monitor.findings] == [("altered", number)]
    for _ in range(3):
        monitor.read_again(log.checkpoint(), 1)
    assert len(monitor.findings) == 1


@pytest.mark.parametrize("path", ["tile/0/001", "tile/1/000.p/2"])
def test_a_tile_that_is_altered_after_it_was_read_names_its_entries(path: str) -> None:
    log = SmallLog(entries(600))
    files = files_of(log)
    monitor = watched(files, log)
    files[path] = bytes([files[path][0] ^ 1]) + files[path][1:]
    monitor.read_again(log.checkpoint(), 600)
    assert monitor.findings
    assert {each.what for each in monitor.findings} == {"altered"}
    assert 256 in {each.number for each in monitor.findings}


def test_an_altered_length_in_a_bundle_names_its_entries() -> None:
    log = SmallLog(entries(600))
    files = files_of(log)
    files["tile/entries/001"] = bytes([255]) + files["tile/entries/001"][1:]
    monitor = watched(files, log)
    found = [(each.what, each.number, each.said) for each in monitor.findings]
    assert found == [
        ("altered", 256, "entries 256 to 511 are not what the log hashed"),
        ("missing", 512, "site-a goes on with 513, expected 257"),
    ]


def test_an_altered_tile_over_good_entries_is_told_as_such() -> None:
    log = SmallLog(entries(5))
    files = files_of(log)
    tile = bytearray(files["tile/0/000.p/5"])
    tile[3 * HASH_BYTES] ^= 1
    files["tile/0/000.p/5"] = bytes(tile)
    (finding,) = watched(files, log).findings
    assert (finding.number, "as signed" in finding.said) == (3, True)


@pytest.mark.parametrize("number", [0, 299])
def test_a_byte_that_is_altered_in_the_store_names_its_entry(tmp_path: Path, number: int) -> None:
    store = LogStore(tmp_path)
    store.append([batch(1, 200), batch(201, 100)])
    checkpoint = Checkpoint("log.example/one", 300, store.head.root)
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "log.sqlite")) as database:
        change = "UPDATE entries SET entry = CAST(replace(entry, 'reason', 'reasom') AS BLOB)"
        assert database.execute(f"{change} WHERE number = {number}").rowcount == 1
        database.commit()
    store = LogStore(tmp_path)
    try:
        reader = LogReader(lambda path: tile_at(store, path.encode()).body)
        monitor = Monitor(reader)
        monitor.follow(checkpoint)
        assert (monitor.findings[0].what, monitor.findings[0].number) == ("altered", number)
        monitor = Monitor(reader)
        monitor.read_again(checkpoint, 300)
        with pytest.raises(LogAltered, match=f"entry {number} is not what the log hashed"):
            require_none(checkpoint, monitor.findings)
    finally:
        store.close()
