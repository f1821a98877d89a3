"""A log whose store was put back to an earlier state: who notices, and when.

The log itself does, if the store holds less than it has signed. If its signer was put back as well,
it cannot: then whoever saw more does, its witnesses and its watchers. What was confirmed to a
writer and not yet signed is missed by that writer alone.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.ledger.logs import WITNESSES
from tests.ledger.store.logs import EPOCH, batch, entry
from tests.ledger.store.test_store import Sql

from bellwire.ledger.monitor import Monitor
from bellwire.ledger.note import parse_note
from bellwire.ledger.proving import Prover
from bellwire.ledger.reading import LogReader
from bellwire.ledger.service.errors import LogBehind
from bellwire.ledger.service.signer import LogSigner, open_identity
from bellwire.ledger.store.database import Place
from bellwire.ledger.store.errors import SequenceGap
from bellwire.ledger.store.store import Batch, LogStore
from bellwire.ledger.tiles import Bundle, parse_path
from bellwire.ledger.witness.errors import HistorySplit, OldSizeDiffers
from bellwire.ledger.witness.memory import Memory
from bellwire.ledger.witness.submission import Submission
from bellwire.ledger.witness.witness import Witness, by_origin

ORIGIN = "log.example/one"
NOW = 1_800_000_000.0
TABLES = ("head", "entries", "tail", "tiles", "writers", "runs")


class Log:
    """A log with its store and its signer, which one after the other can be put back."""

    def __init__(self, place: Place, folder: Path, sql: Sql) -> None:
        self.place, self.folder, self.sql = place, folder, sql
        self.start()

    def start(self) -> None:
        self.store = LogStore(self.place)
        try:
            self.identity = open_identity(self.folder / "signer", ORIGIN)
            self.root = Prover(self.store.tile).root
            head = self.store.head
            self.signer = LogSigner(self.folder / "signer", self.identity, head, self.root)
        except BaseException:
            self.store.close()
            raise

    def add(self, first: int, count: int, reason: str = "") -> None:
        entries = [entry(i, reason=reason) for i in range(first, first + count)]
        (outcome,) = self.store.append([Batch("site-a", EPOCH, first, entries)])
        assert not isinstance(outcome, Exception)

    def sign(self) -> bytes:
        return self.signer.sign(self.store.head, self.root, NOW).encode()

    def save(self) -> None:
        for table in TABLES:
            self.sql(f"CREATE TABLE saved_{table} AS SELECT * FROM {table}")
        shutil.copytree(self.folder / "signer", self.folder / "saved")

    def put_back(self, *, signer: bool) -> None:
        self.store.close()
        for table in TABLES:
            self.sql(f"DELETE FROM {table}")
            self.sql(f"INSERT INTO {table} SELECT * FROM saved_{table}")
        if signer:
            shutil.rmtree(self.folder / "signer")
            shutil.copytree(self.folder / "saved", self.folder / "signer")

    def fetch(self, path: str) -> bytes:
        if path == "checkpoint":
            assert self.signer.note is not None
            return self.signer.note.encode()
        where = parse_path(path)
        if isinstance(where, Bundle):
            return self.store.bundle(where)
        return self.store.tile(where).hashes


@pytest.fixture
def log(place: Place, tmp_path: Path, sql: Callable[[str], None]) -> Log:
    """300 entries signed and saved; 300 more signed since."""
    log = Log(place, tmp_path, sql)
    log.add(1, 300)
    log.sign()
    log.save()
    return log


def test_a_store_that_holds_less_than_was_signed_is_noticed_and_nothing_is_signed(log: Log) -> None:
    log.add(301, 300)
    log.sign()
    log.put_back(signer=False)
    with pytest.raises(LogBehind, match="at least 600 entries, which this log has signed, got 300"):
        log.start()
    # Going on with other entries does not help: they are not those that were signed.
    store = LogStore(log.place)
    store.append([Batch("site-a", EPOCH, 301, [entry(i, reason="other") for i in range(301, 700)])])
    store.close()
    with pytest.raises(LogBehind, match="the 600 entries that this log has signed, got others"):
        log.start()


def test_what_was_confirmed_and_not_yet_signed_is_missed_by_its_writer(log: Log) -> None:
    signed = log.signer.signed
    log.add(301, 5)  # confirmed, and lost before the next checkpoint
    log.put_back(signer=False)
    log.start()
    (gap,) = log.store.append([batch(306, 1)])
    assert isinstance(gap, SequenceGap)
    assert gap.expected == 301
    log.add(301, 1, "others")
    log.sign()
    assert log.root(signed.size) == signed.root  # no history that anybody saw was changed
    log.store.close()


def test_a_log_that_was_put_back_whole_is_refused_by_who_saw_more(log: Log, tmp_path: Path) -> None:
    followed = by_origin([each.verifier for each in log.identity.signers])
    memory = Memory(tmp_path / "witness", None, tuple(followed))
    witness = Witness(WITNESSES[0], followed, memory, lambda: NOW)
    log.add(301, 300)
    note = parse_note(log.sign())
    assert witness.add_checkpoint(Submission(0, (), note).encode())
    seen = log.signer.signed

    log.put_back(signer=True)
    log.start()  # it cannot notice
    log.add(301, 300, "others")
    forked = parse_note(log.sign())
    shown = log.signer.signed
    assert (shown.size, shown.root != seen.root) == (600, True)
    proof = Prover(log.store.tile).consistency(300, 600)
    with pytest.raises(OldSizeDiffers):
        witness.add_checkpoint(Submission(300, proof, forked).encode())
    with pytest.raises(HistorySplit):
        witness.add_checkpoint(Submission(600, (), forked).encode())
    monitor = Monitor(LogReader(log.fetch))
    monitor.follow(shown)
    monitor.compare(shown, seen)
    assert [each.what for each in monitor.findings] == ["split view"]
    log.store.close()
