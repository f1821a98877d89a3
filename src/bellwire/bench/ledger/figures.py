"""How fast a log takes entries, durably, and proves them.

Entries are canonical ones of a writer, and each commit is waited for. Beside it, in the same run
and on the same disk: SQLite alone, which inserts the same rows with the same settings and keeps
neither tree nor numbers; and the same log on a PostgreSQL server. Many writers at once, each of
which waits for its entry before it brings the next, share commits as they do at a log's door.
Proofs are of entries at random; in a log that is a thousand times larger they are to cost the same.
"""

import asyncio
import contextlib
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from bellwire.base.clock import system_clock
from bellwire.base.disk import sync_time
from bellwire.bench.keys import postgres
from bellwire.bench.ledger.reader import SEED, Took
from bellwire.bench.ledger.registrations import Took as Registered
from bellwire.bench.model import Figure
from bellwire.database.place import ServerPlace
from bellwire.ledger.entries.codec import encode
from bellwire.ledger.entries.model import LinkStatus
from bellwire.ledger.proving import Prover
from bellwire.ledger.service.service import LogService
from bellwire.ledger.service.signer import LogSigner, open_identity
from bellwire.ledger.store.store import Batch, LogStore

WRITER: Final = "site-a"
EPOCH: Final = "00112233445566ff"
BATCH: Final = 4096
AT_ONCE: Final = 256
"""Writers that come at once."""
_PIECES: Final = 10
"""In which proofs are measured; the best counts."""
_PLAIN: Final = "SQLite alone, the same rows and settings, no tree"
_POSTGRES: Final = (
    ("entries_per_s_batched_postgres", "entries/s"),
    ("entries_per_s_single_postgres", "entries/s"),
    ("entries_per_s_at_once_postgres", "entries/s"),
    ("proofs_per_s_postgres", "proofs/s"),
)
_READER: Final = "from bellwire.bench.ledger.reader import main; main()"
_REGISTRATIONS: Final = "from bellwire.bench.ledger.registrations import main; main()"


class _Size(NamedTuple):
    """How much of each is done."""

    batches: int
    singles: int
    each: int
    rounds: int
    proofs: int
    entries: int
    newcomers: int


_FULL: Final = _Size(
    batches=20,
    singles=2_000,
    each=32,
    rounds=3,
    proofs=10_000,
    entries=10_000_000,
    newcomers=512,
)
_QUICK: Final = _Size(
    batches=4, singles=200, each=4, rounds=1, proofs=1_000, entries=50_000, newcomers=64
)


def run(quick: bool = False) -> list[Figure]:
    """All figures of `bellwire bench ledger`.

    Raises:
        LogStoreError: the disk is full.
        ArithmeticError: PostgreSQL did not start.
    """
    size = _QUICK if quick else _FULL
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synced = Figure("sync_ms", 1e3 * sync_time(folder), "ms of the disk for one sync")
        return [
            *_writing(folder, size),
            *_proving(folder, size),
            *_registering(folder, size.newcomers),
            synced,
        ]


@contextlib.contextmanager
def _postgres() -> Iterator[str | None]:
    """A server of our own; None where there is no PostgreSQL, or not the extra for it."""
    at = postgres.programs()
    if at is None or find_spec("psycopg") is None:
        yield None
        return
    with postgres.server(at) as url:
        yield url


class _Rates(NamedTuple):
    """Entries a second in batches, one by one, of many writers at once; proofs a second."""

    batched: float
    single: float
    at_once: float = 0.0
    proofs: float = 0.0


def _writing(folder: Path, size: _Size) -> list[Figure]:
    """Batches and single entries, in turns with the alternatives; the best of each counts."""
    logs, plains, servers = [], [], []
    with _postgres() as url:
        for turn in range(size.rounds):
            logs.append(_of_log(LogStore(folder / f"log-{turn}"), folder / f"key-{turn}", size))
            plains.append(_of_plain(folder / f"plain-{turn}.sqlite", size))
            if url is not None:
                store = LogStore(ServerPlace(url, f"log_{turn}"))
                servers.append(_of_log(store, folder / f"server-key-{turn}", size))
    log, plain = _best(logs), _best(plains)
    found = [
        Figure(
            "entries_per_s_batched", log.batched, "entries/s", _PLAIN, log.batched / plain.batched
        ),
        Figure("entries_per_s_single", log.single, "entries/s", _PLAIN, log.single / plain.single),
        Figure(
            "entries_per_s_at_once",
            log.at_once,
            "entries/s",
            "one writer, who waits for each",
            log.at_once / log.single,
        ),
    ]
    if servers:
        told = zip(_best(servers), log, _POSTGRES, strict=True)
        found += [
            Figure(name, there, unit, "the same on SQLite", there / here)
            for there, here, (name, unit) in told
        ]
    return found


def _best(rates: Sequence[_Rates]) -> _Rates:
    return _Rates(*map(max, zip(*rates, strict=True)))


def _of_log(store: LogStore, keys: Path, size: _Size) -> _Rates:
    try:
        append = _appender(store)
        batched, single = (_rate(append, each) for each in _pieces(size))
        at_once = asyncio.run(_at_once(store, keys, size.each))
        return _Rates(batched, single, at_once, _proofs(store, size.proofs))
    finally:
        store.close()


async def _at_once(store: LogStore, keys: Path, each: int) -> float:
    """Entries a second of many writers at a log's service; each waits until its last is durable."""
    identity = open_identity(keys, "bench.example/log")
    signer = LogSigner(keys, identity, store.head, Prover(store.tile).root)
    service = LogService(store, signer, system_clock)
    brought = [
        [_entries(number, 1, epoch=f"{writer:016x}") for number in range(1, each + 1)]
        for writer in range(AT_ONCE)
    ]

    async def bring(entries: list[list[bytes]]) -> None:
        for one in entries:
            await service.add(WRITER, one)

    began = time.perf_counter()
    await asyncio.gather(*map(bring, brought))
    took_s = time.perf_counter() - began
    await service.close()
    return AT_ONCE * each / took_s


def _of_plain(path: Path, size: _Size) -> _Rates:
    insert, close = _plain(path)
    try:
        return _Rates(*(_rate(insert, each) for each in _pieces(size)))
    finally:
        close()


def _pieces(size: _Size) -> tuple[list[list[bytes]], list[list[bytes]]]:
    """Entries to be appended in batches, and those that come one by one behind them."""
    batched = [_entries(1 + BATCH * i, BATCH) for i in range(size.batches)]
    return batched, [_entries(1 + BATCH * size.batches + i, 1) for i in range(size.singles)]


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
        entries = store.head.size
    finally:
        store.close()
    took = _alone(folder / f"log-of-{size.entries}", size.proofs)
    against = f"the same log when it had {max(BATCH, size.entries // 1000):,} entries"
    return [
        Figure("proofs_per_s", large, "proofs/s", against, large / small),
        Figure("proofs_entries", float(entries), "entries"),
        Figure("log_mb", (took.after - took.before) / 1e6, "MB, beyond the program's own"),
        Figure("process_mb", took.after / 1e6, "MB"),
    ]


def _registering(folder: Path, count: int) -> list[Figure]:
    """Newcomers at a server of admission."""
    took = msgspec.json.decode(_told(_REGISTRATIONS, folder, count), type=Registered)
    return [
        Figure("registrations_per_s", count / took.wall_s, "registrations/s, without HTTP"),
        Figure("registration_cpu_us", 1e6 * took.cpu_s / count, "µs of a core, one of them"),
    ]


def _alone(folder: Path, proofs: int) -> Took:
    """What a process takes that has this log open, made proofs of it, and does nothing else."""
    return msgspec.json.decode(_told(_READER, folder, proofs), type=Took)


def _told(program: str, folder: Path, count: int) -> bytes:
    """What a process of its own says."""
    command = [sys.executable, "-c", program, str(folder), str(count)]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def _proofs(store: LogStore, count: int) -> float:
    size, chance = store.head.size, random.Random(SEED)  # noqa: S311 - which entries
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


def _entries(first: int, count: int, epoch: str = EPOCH) -> list[bytes]:
    """Canonical entries with consecutive numbers."""
    return [
        encode(
            LinkStatus(
                v=1,
                at=1_800_000_000_000 + number,
                writer=WRITER,
                epoch=epoch,
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
