"""How fast a log takes entries, durably, and proves them.

Entries are canonical ones of a writer, and each commit is waited for. Beside it, in the same run
and on the same disk: SQLite alone, which inserts the same rows with the same settings and keeps
neither tree nor numbers. Proofs are of entries at random; in a log that is a thousand times larger
they are to cost the same.
"""

import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from bellwire.base.disk import sync_time
from bellwire.bench.model import Figure
from bellwire.ledger.entries.codec import encode
from bellwire.ledger.entries.model import LinkStatus
from bellwire.ledger.proving import Prover
from bellwire.ledger.store.store import Batch, LogStore

WRITER: Final = "site-a"
EPOCH: Final = "00112233445566ff"
BATCH: Final = 4096
_SEED: Final = 10
_PIECES: Final = 10
"""In which proofs are measured; the best counts."""
_PLAIN: Final = "SQLite alone, the same rows and settings, no tree"


class _Size(NamedTuple):
    """How much of each is done."""

    batches: int
    singles: int
    rounds: int
    proofs: int
    entries: int


_FULL: Final = _Size(batches=20, singles=2_000, rounds=3, proofs=10_000, entries=10_000_000)
_QUICK: Final = _Size(batches=4, singles=200, rounds=1, proofs=1_000, entries=50_000)


def run(quick: bool = False) -> list[Figure]:
    """All figures of `bellwire bench ledger`.

    Raises:
        LogStoreError: the disk is full.
    """
    size = _QUICK if quick else _FULL
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synced = Figure("sync_ms", 1e3 * sync_time(folder), "ms of the disk for one sync")
        return [*_writing(folder, size), *_proving(folder, size), synced]


def _writing(folder: Path, size: _Size) -> list[Figure]:
    """Batches and single entries, in turns with the alternative; the best round of each counts."""
    batched, single, plain_batched, plain_single = [], [], [], []
    for turn in range(size.rounds):
        cut = [_entries(1 + BATCH * i, BATCH) for i in range(size.batches)]
        one_by_one = [_entries(1 + BATCH * size.batches + i, 1) for i in range(size.singles)]
        store = LogStore(folder / f"log-{turn}")
        try:
            append = _appender(store)
            batched.append(_rate(append, cut))
            single.append(_rate(append, one_by_one))
        finally:
            store.close()
        insert, close = _plain(folder / f"plain-{turn}.sqlite")
        try:
            plain_batched.append(_rate(insert, cut))
            plain_single.append(_rate(insert, one_by_one))
        finally:
            close()
    return [
        _figure("entries_per_s_batched", max(batched), max(plain_batched)),
        _figure("entries_per_s_single", max(single), max(plain_single)),
    ]


def _proving(folder: Path, size: _Size) -> list[Figure]:
    """Proofs in a small log and in a large one, and what the large one takes of memory."""
    store = LogStore(folder / f"log-of-{size.entries}")
    try:
        append = _appender(store)
        first, small = 1, 0.0
        while first <= size.entries:
            append(_entries(first, BATCH))
            first += BATCH
            if not small and first > max(BATCH, size.entries // 1000):
                small = _proofs(store, size.proofs)
        large = _proofs(store, size.proofs)
        resident = psutil.Process().memory_info().rss
        entries = store.head.size
    finally:
        store.close()
    against = f"the same log when it had {max(BATCH, size.entries // 1000):,} entries"
    return [
        Figure("proofs_per_s", large, "proofs/s", against, large / small),
        Figure("proofs_entries", float(entries), "entries"),
        Figure("process_mb", resident / 1e6, "MB"),
    ]


def _proofs(store: LogStore, count: int) -> float:
    size, chance = store.head.size, random.Random(_SEED)  # noqa: S311 - which entries
    prover = Prover(store.tile)
    numbers = [chance.randrange(size) for _ in range(2 * count)]
    for number in numbers[:count]:  # what is kept between proofs is kept by now
        prover.inclusion(number, size)
    each = -(-count // _PIECES)
    pieces = [numbers[at : at + each] for at in range(count, 2 * count, each)]
    return max(_proof_rate(prover, piece, size) for piece in pieces)


def _proof_rate(prover: Prover, numbers: Sequence[int], size: int) -> float:
    began = time.perf_counter()
    for number in numbers:
        prover.inclusion(number, size)
    return len(numbers) / (time.perf_counter() - began)


def _entries(first: int, count: int) -> list[bytes]:
    """Canonical entries with consecutive numbers."""
    return [
        encode(
            LinkStatus(
                v=1,
                at=1_800_000_000_000 + number,
                writer=WRITER,
                epoch=EPOCH,
                sequence=number,
                link="a-b",
                node=WRITER,
                status="GREEN",
                stale=False,
                reason="QBER 2.0 % over the last five blocks",
                qber=20_000,
            )
        )
        for number in range(first, first + count)
    ]


def _appender(store: LogStore) -> Callable[[Sequence[bytes]], None]:
    state = {"next": 1}

    def append(entries: Sequence[bytes]) -> None:
        (outcome,) = store.append([Batch(WRITER, EPOCH, state["next"], entries)])
        if isinstance(outcome, Exception):
            raise outcome
        state["next"] += len(entries)

    return append


def _plain(path: Path) -> tuple[Callable[[Sequence[bytes]], None], Callable[[], None]]:
    file = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -65536"):
        file.execute(f"PRAGMA {pragma}").fetchall()
    file.execute("CREATE TABLE entries (number INTEGER PRIMARY KEY, entry BLOB NOT NULL) STRICT")

    def insert(entries: Sequence[bytes]) -> None:
        file.execute("BEGIN IMMEDIATE")
        file.executemany("INSERT INTO entries (entry) VALUES (?)", [(each,) for each in entries])
        file.execute("COMMIT")

    return insert, file.close


def _rate(work: Callable[[Sequence[bytes]], None], pieces: Sequence[Sequence[bytes]]) -> float:
    began = time.perf_counter()
    for each in pieces:
        work(each)
    return sum(map(len, pieces)) / (time.perf_counter() - began)


def _figure(name: str, ours: float, plain: float) -> Figure:
    return Figure(name, ours, "entries/s", _PLAIN, ours / plain)
