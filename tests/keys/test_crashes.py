"""No key twice, no bits twice, nothing before it is durable: whatever fails, and whenever."""

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.keys import disk
from tests.keys.faults import FaultyConnection
from tests.keys.stores import IN_MEMORY
from tests.keys.world import SAES, Fault, World, disarm, parts

from bellwire.base.detections import Side
from bellwire.keys import copies, segments
from bellwire.keys import pool as pool_module
from bellwire.keys.database import sqlite as database
from bellwire.keys.errors import StoreError
from bellwire.keys.peering import session

PRAGMAS = database._PRAGMAS

STEPS = 120
SEEDS = 30
LEAST = {
    "left to a master": 1000,
    "left to a slave": 300,
    "refused": 100,
    "failed": 50,
    "put back": 20,
    "fenced": 20,
}
"""What must have happened in all stories together."""

SIZES = (8, 64, 72, 256, 256, 256, 264, 1024, 8192)


@pytest.fixture(autouse=True)
def small_and_forgetful(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Segments of 16 units, two of them in memory, on a disk that forgets."""
    disarm()
    disk.DISK.files.clear()
    monkeypatch.setattr(segments, "SEGMENT_UNITS", 16)
    monkeypatch.setattr(pool_module, "CACHED_SEGMENTS", 2)
    monkeypatch.setattr(database, "connect", lambda path: disk.connect(path, FaultyConnection))
    yield
    disarm()


class Story:
    """Steps of any kind at any moment, as a seed has it.

    Args:
        world: In which they happen.
        seed: Of all choices.
    """

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.chance = random.Random(seed)
        self.done: list[str] = []
        self.greedy = self.chance.choice(list(Side))
        self.steps: dict[Callable[[Side], None], int] = {
            self.block: 4,
            self.ready: 4,
            self.take: 40,
            self.fetch: 30,
            self.fetch_anything: 5,
            self.connect: 6,
            self.disconnect: 2,
            self.exchange: 20,
            self.hear: 10,
            self.report: 10,
            self.tend: 5,
            self.crash: 4,
            self.backup: 4,
            self.put_back: 6,
        }

    def run(self, steps: int) -> None:
        self.world.connect()
        self.world.exchange()
        for _ in range(3):
            self.block(Side.ALICE)
        kinds, weights = list(self.steps), list(self.steps.values())
        for _ in range(steps):
            (step,) = self.chance.choices(kinds, weights)
            side = self.chance.choice(list(Side))
            self.done.append(f"{step.__name__} {side.value}")
            step(side)
            self.world.check()

    def fault(self) -> Fault | None:
        if self.chance.random() < 0.7:
            return None
        kind = self.chance.choice(["error", "kill", "full", "sync", "power"])
        return Fault(kind, self.chance.randint(1, 12), self.chance.random() < 0.5)

    def block(self, side: Side) -> None:
        """A block is distilled, and ready at both sides or, for now, at one."""
        self.world.distil(self.chance.choice([4096, 20_000]))
        self.world.ready(side)
        if self.chance.random() < 0.8:
            self.world.ready(side.peer)
            self.world.exchange()

    def ready(self, side: Side) -> None:
        self.world.ready(side)

    def take(self, side: Side) -> None:
        side = self.greedy if self.chance.random() < 0.7 else side
        name, *rest = SAES[side]
        slaves: tuple[str, ...] = ()
        while not slaves:
            own = self.chance.choice([0, 0, 0, 1])
            theirs = self.chance.choice([0, 1, 1, 1, 1, 2])
            slaves = (*rest[:own], *SAES[side.peer][:theirs])
        number, bits = self.chance.choice([1, 1, 2, 5, 20, 60, 200]), self.chance.choice(SIZES)
        fault = self.fault()
        if self.chance.random() < 0.1:
            name, *rest = reversed(SAES[side])
        self.done[-1] += f" {number} of {bits} to {slaves}, {fault}"
        if not self.world.granted(side, name, slaves) and self.chance.random() < 0.8:
            self.world.exchange()
        self.world.take(side, name, slaves, number, bits, fault, self.chance)

    def fetch(self, side: Side) -> None:
        """A slave asks for some of the keys that are its own, those that it had among them."""
        sae = self.chance.choice(SAES[side])
        ids = [key_id for key_id, key in self.world.keys.items() if sae in key.slaves]
        had = self.world.had
        if self.chance.random() < 0.7:
            ids = [key_id for key_id in ids if (key_id, sae) not in had]
        self.chance.shuffle(ids)
        size, fault = self.chance.choice([1, 1, 2, 7, 100]), self.fault()
        self.done[-1] += f" {size}, {fault}"
        for group in list(parts(ids, size))[:6]:
            self.world.fetch(side, sae, group, fault, self.chance)

    def fetch_anything(self, side: Side) -> None:
        """An SAE asks for keys of others, for one twice, for one that never was."""
        some = self.chance.sample(sorted(self.world.keys), min(3, len(self.world.keys)))
        altered = [bytes([key[0] ^ 1]) + key[1:] for key in some[:1]]
        sae = self.chance.choice(SAES[side])
        for group in (some[:1], some, some[:1] * 2, altered, [*some[:1], bytes(16)]):
            if group:
                self.world.fetch(side, sae, b"".join(group), None, self.chance)

    def connect(self, _: Side) -> None:
        self.world.connect()
        if self.chance.random() < 0.7:
            self.world.exchange()

    def disconnect(self, _: Side) -> None:
        self.world.disconnect()

    def exchange(self, side: Side) -> None:
        self.world.exchange()
        if self.chance.random() < 0.5:
            self.world.report(side)
            self.world.exchange()

    def hear(self, side: Side) -> None:
        self.world.hear(side, self.chance.randint(1, 3))

    def report(self, side: Side) -> None:
        self.world.report(side)

    def tend(self, side: Side) -> None:
        self.world.now += 10.0
        self.world.tend(side, expire=self.chance.random() < 0.3)

    def crash(self, side: Side) -> None:
        self.world.crash(side, self.chance.choice([None, self.chance]))

    def backup(self, side: Side) -> None:
        self.world.backup(side)

    def put_back(self, side: Side) -> None:
        if not self.world.backups[side]:
            return
        if self.chance.random() < 0.7:
            self.world.connect()
            self.world.exchange()
            self.world.report(side)
            self.world.exchange()
        self.world.put_back(side, self.chance.choice(self.world.backups[side][-3:]))
        if self.chance.random() < 0.7:
            self.world.connect()
            self.world.exchange()


def tell(seed: int, steps: int = STEPS) -> Counter[str]:
    """One story from its beginning to its end, or to what must not be."""
    with tempfile.TemporaryDirectory(prefix="bw", dir=IN_MEMORY) as name:
        world = World(Path(name))
        story = Story(world, seed)
        try:
            story.run(steps)
        except BaseException as error:
            error.add_note(f"seed {seed}: " + "; ".join(story.done[-12:]))
            raise
        finally:
            disarm()
            world.close()
        return world.seen


def tell_all() -> Counter[str]:
    seen: Counter[str] = Counter()
    for seed in range(SEEDS):
        seen += tell(seed)
    return seen


def test_no_key_is_ever_delivered_twice_whatever_fails() -> None:
    seen = tell_all()
    # A story in which nothing happens proves nothing.
    for what, least in LEAST.items():
        assert seen[what] >= least, (what, seen)


def no_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks are not written."""
    monkeypatch.setattr(segments, "write_marks", lambda *_: None)


def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is not waited for."""
    pragmas = [pragma.replace("synchronous = FULL", "synchronous = OFF") for pragma in PRAGMAS]
    monkeypatch.setattr(database, "_PRAGMAS", pragmas)


def before_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are handed out even if the commit fails."""
    commit = pool_module.Pool.commit

    def hasty(self: pool_module.Pool, *args: Any, **kwargs: Any) -> Any:
        outcomes: list[Any] = []
        serve = self._serve

        def noting(*serving: Any) -> Any:
            outcomes.append(serve(*serving))
            return outcomes[-1]

        with monkeypatch.context() as patch:
            patch.setattr(self, "_serve", noting)
            try:
                return commit(self, *args, **kwargs)
            except StoreError:
                if outcomes:
                    return outcomes
                raise

    monkeypatch.setattr(pool_module.Pool, "commit", hasty)


def no_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody notices that a store was put back."""
    monkeypatch.setattr(session, "_difference", lambda ours, theirs: None)


def fence_without_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fence leaves the copies of the master's site."""
    fence = pool_module.Pool.fence

    def keeping(self: pool_module.Pool, epoch: int, sequence: int) -> None:
        with self._database.transaction() as cursor:
            rows = cursor.execute("SELECT * FROM copies").fetchall()
        fence(self, epoch, sequence)
        with self._database.transaction() as cursor:
            cursor.executemany("INSERT INTO copies VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    monkeypatch.setattr(pool_module.Pool, "fence", keeping)


def copies_that_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slave of the master's site may come again."""
    monkeypatch.setattr(copies, "hand_out", lambda *_: None)


def other_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """One side carves its blocks differently."""
    put = segments.put

    def turned(cursor: Any, sealer: Any, side: Side, ready: Any, bits: bytes) -> None:
        put(cursor, sealer, side, ready, bits if side is Side.ALICE else bits[8:] + bits[:8])

    monkeypatch.setattr(segments, "put", turned)


SEEDED = [
    no_marks,
    no_sync,
    before_the_commit,
    no_fence,
    fence_without_copies,
    copies_that_stay,
    other_bits,
]


@pytest.mark.parametrize("fault", SEEDED)
def test_the_suite_finds_a_fault_that_is_put_in(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch], None]
) -> None:
    fault(monkeypatch)
    with pytest.raises(AssertionError):
        tell_all()
