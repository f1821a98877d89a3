"""A log's store on a disk that forgets: nothing that was said to be there is lost, nothing doubled.

The disk and the faults are those of the key store's tests: any statement may fail, or end the
process, before or after it was done; any write may be lost that was not synced.
"""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.keys import disk
from tests.keys.faults import Armed, Crash, Faults, FaultyConnection
from tests.keys.stores import IN_MEMORY
from tests.ledger.store.logs import EPOCH, batch

from bellwire.ledger.errors import LedgerError
from bellwire.ledger.growing import Edge, grow
from bellwire.ledger.store import sqlite as files
from bellwire.ledger.store.store import Batch, LogStore
from bellwire.ledger.tree import leaf_hash

PRAGMAS = files._PRAGMAS
WRITERS = ("site-a", "site-b")


class Story:
    """Writers bring their entries until they are told that they are there, whatever fails."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.folder = folder
        self.lives = 0
        self.store = self.open()
        self.acknowledged = dict.fromkeys(WRITERS, 0)
        self.seen: Counter[str] = Counter()
        self.places: dict[tuple[str, int], int] = {}

    def open(self) -> LogStore:
        return LogStore(self.folder / str(self.lives))

    def step(self) -> None:
        brought = []
        for name in self.chance.choices(WRITERS, k=self.chance.randint(1, 3)):
            done = self.acknowledged[name]
            first = max(1, done + 1 - self.chance.choice((0, 0, 1, 5)))
            brought.append(batch(first, self.chance.choice((1, 2, 40)), name))
        self.arm()
        try:
            outcomes = self.store.append(brought)
        except LedgerError:
            self.seen["failed"] += 1
        except Crash:
            self.seen["died"] += 1
            self.power_cut()
        else:
            self.note(brought, outcomes)
        self.disarm()

    def note(self, brought: list[Batch], outcomes: Sequence[object]) -> None:
        for each, outcome in zip(brought, outcomes, strict=True):
            assert isinstance(outcome, range | tuple)
            assert len(outcome) == len(each.entries)
            self.seen["again" if isinstance(outcome, tuple) else "new"] += 1
            for sequence, number in enumerate(outcome, each.first):
                assert self.places.setdefault((each.writer, sequence), number) == number
            last = each.first + len(each.entries) - 1
            self.acknowledged[each.writer] = max(last, self.acknowledged[each.writer])

    def arm(self) -> None:
        kind = self.chance.choice(("none", "statement", "crash", "disk"))
        if kind == "disk":
            fault = self.chance.choice((disk.FULL, disk.IOERR_FSYNC))
            disk.DISK.fail_after(self.chance.randint(1, 12), fault)
        elif kind != "none":
            error: BaseException = Crash() if kind == "crash" else sqlite3.OperationalError()
            Armed.faults = Faults(
                self.chance.randint(1, 10), error, after=self.chance.random() < 0.5
            )

    def disarm(self) -> None:
        Armed.faults = None
        disk.DISK.mend()

    def power_cut(self) -> None:
        """Only what was synced is sure to be there."""
        self.disarm()
        self.seen["power cut"] += 1
        before = self.folder / str(self.lives)
        self.lives += 1
        after = self.folder / str(self.lives)
        after.mkdir(mode=0o700)
        for name in ("log.sqlite", "log.sqlite-wal"):
            path = before / name
            if path.exists():
                (after / name).write_bytes(disk.DISK.after_power_cut(path, self.chance))
                (after / name).chmod(0o600)
        with contextlib.suppress(LedgerError):
            self.store.close()
        self.store = self.open()
        self.check()

    def check(self) -> None:
        head = self.store.head
        entries = self.store.entries(0, head.size)
        assert len(entries) == head.size
        assert grow(Edge(), [leaf_hash(each) for each in entries])[0].root == head.root
        assert len(set(entries)) == len(entries)
        for (name, sequence), number in self.places.items():
            assert entries[number : number + 1] == batch(sequence, 1, name).entries
        for name in WRITERS:
            mine = [each for each in entries if f'"{name}"'.encode() in each]
            assert mine == batch(1, len(mine), name).entries
            assert self.store.next_of(name, EPOCH) == len(mine) + 1 > self.acknowledged[name]


def tell(seeds: range) -> Counter[str]:
    seen: Counter[str] = Counter()
    for seed in seeds:
        disk.DISK.files.clear()
        with tempfile.TemporaryDirectory(prefix="bw", dir=IN_MEMORY) as folder:
            story = Story(Path(folder), seed)
            try:
                for _ in range(25):
                    story.step()
                story.power_cut()
            finally:
                story.disarm()
                story.store.close()
        seen += story.seen
    return seen


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(path: Path) -> sqlite3.Connection:
        wal = path.with_name(f"{path.name}-wal")
        if not wal.exists() or not wal.stat().st_size:  # a new one: who closed last deletes it
            disk.DISK.files.pop(str(wal), None)
        return disk.connect(path, FaultyConnection)

    monkeypatch.setattr(files, "connect", connect)


@pytest.mark.usefixtures("forgetful")
def test_whatever_fails_nothing_is_lost_and_nothing_is_there_twice() -> None:
    seen = tell(range(30))
    for name, least in {"new": 100, "again": 100, "failed": 100, "power cut": 90}.items():
        assert seen[name] >= least, seen


@pytest.mark.usefixtures("forgetful")
def test_the_suite_finds_a_disk_that_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pragmas = [each.replace("synchronous = FULL", "synchronous = OFF") for each in PRAGMAS]
    monkeypatch.setattr(files, "_PRAGMAS", pragmas)
    with pytest.raises((AssertionError, LedgerError)):
        tell(range(10))


def test_a_commit_that_failed_and_was_done_all_the_same_is_not_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        files,
        "connect",
        lambda path: sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, factory=FaultyConnection
        ),
    )
    store = LogStore(tmp_path / "log")
    store.append([batch(1, 3)])
    for statement in range(1, 12):  # the last of them is the commit
        Armed.faults = Faults(statement, sqlite3.OperationalError("disk"), after=True)
        try:
            with contextlib.suppress(LedgerError):
                store.append([batch(4, 4)])
        finally:
            Armed.faults = None
    assert store.append([batch(4, 4)]) == [(3, 4, 5, 6)]
    assert store.head.size == 7
    store.close()


CHILD = """
import sys
from pathlib import Path
from tests.ledger.store.logs import batch
from bellwire.ledger.store.store import LogStore
store = LogStore(Path(sys.argv[1]))
first = store.head.size + 1
while True:
    store.append([batch(first, 3)])
    first += 3
    print(store.head.size, flush=True)
"""


def test_what_a_killed_process_had_said_is_there(tmp_path: Path) -> None:
    said = 0
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / "log")],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert child.stdout is not None
        with child, child.stdout as out:
            for _ in range(20):
                said = int(out.readline())
            child.send_signal(signal.SIGKILL)
            said = max([said, *(int(line) for line in out if line.endswith(b"\n"))])
    store = LogStore(tmp_path / "log")
    assert store.head.size >= said >= 180
    assert store.entries(0, said) == batch(1, said).entries
    store.close()
