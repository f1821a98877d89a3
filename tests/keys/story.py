"""Stories of the crash machine: steps of any kind at any moment, and faults that are put in."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytest
from tests.keys.ground import Fault, Ground
from tests.keys.world import SAES, World, parts

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.keys import copies, segments, shelf
from bellwire.keys.ahead import Ahead
from bellwire.keys.errors import StoreError
from bellwire.keys.grants import Grants
from bellwire.keys.group import Group
from bellwire.keys.peering import session
from bellwire.keys.pool import Pool
from bellwire.keys.requests import Take

STEPS = 120
SIZES = (8, 64, 72, 256, 256, 256, 264, 1024, 8192)

Grounds = Callable[[], AbstractContextManager[Ground]]
"""Makes a fresh ground for a story."""


def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of 16 units, two of them in memory; who has half as many is given some."""
    monkeypatch.setattr(segments, "SEGMENT_UNITS", 16)
    monkeypatch.setattr(shelf, "CACHED_SEGMENTS", 2)
    monkeypatch.setattr(session, "UNEVEN", 2)


class Story:
    """Steps of any kind at any moment, as a seed has it.

    Args:
        world: In which they happen.
        seed: Of all choices.
    """

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.chance = random.Random(seed)
        self.done = ["start"]
        self.greedy = self.chance.choice(list(Side))
        self.steps: dict[Callable[[Side], None], int] = {
            self.distil: 4,
            self.ready: 4,
            self.take: 40,
            self.ahead: 15,
            self.fetch: 30,
            self.fetch_anything: 5,
            self.connect: 10,
            self.disconnect: 2,
            self.exchange: 20,
            self.hear: 10,
            self.report: 10,
            self.tend: 6,
            self.crash: 4,
            self.backup: 5,
            self.put_back: 5,
        }

    def run(self, steps: int) -> None:
        self.world.connect()
        self.world.exchange()
        for _ in range(3):
            self.block(Side.ALICE, None)
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
        kind = self.chance.choice(self.world.ground.kinds)
        fault = Fault(kind, self.chance.randint(1, 12), self.chance.random() < 0.5)
        self.done[-1] += f" {fault}"
        return fault

    def distil(self, side: Side) -> None:
        self.block(side, self.fault())

    def block(self, side: Side, fault: Fault | None) -> None:
        """A block is distilled, and ready at both sides or, for now, at one."""
        self.world.distil(self.chance.choice([4096, 20_000]), side, fault, self.chance)
        self.world.ready(side)
        if self.chance.random() < 0.8:
            self.world.ready(side.peer)
            self.world.exchange()

    def ready(self, side: Side) -> None:
        self.world.ready(side, self.fault(), self.chance)

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
        self.done[-1] += f" {number} of {bits} to {slaves}"
        struck = self.fault() if fault is None else None
        agreed = self.world.granted(side, name, slaves, struck, self.chance)
        if not agreed and self.chance.random() < 0.8:
            self.world.exchange()
        self.world.take(side, name, slaves, number, bits, fault, self.chance)

    def ahead(self, side: Side) -> None:
        """Requests for one key that are alike, as they come in quick succession; then they end."""
        node, (master, slave) = self.world.nodes[side], (SAES[side][0], SAES[side.peer][0])
        grant = node.grants.find(master, (slave,))
        if grant is None or not grant.agreed or not node.peer.met or node.pool.shareable:
            return
        asked = Take(grant.number, 1, self.chance.choice([64, 256, 264]), master)
        for _ in range(self.chance.choice([1, 2])):
            self.world.mark_ahead(
                side, asked, self.chance.choice([3, 8, 20]), self.fault(), self.chance
            )
            for _ in range(self.chance.choice([0, 2, 7])):
                self.world.take_ahead(side, asked, (slave,))
        if self.chance.random() < 0.5:
            self.world.give_back(side, self.fault(), self.chance)

    def fetch(self, side: Side) -> None:
        """A slave asks for some of the keys that are its own, those that it had among them."""
        sae = self.chance.choice(SAES[side])
        ids = [key_id for key_id, key in self.world.keys.items() if sae in key.slaves]
        had = self.world.had
        if self.chance.random() < 0.7:
            ids = [key_id for key_id in ids if (key_id, sae) not in had]
        self.chance.shuffle(ids)
        size, fault = self.chance.choice([1, 1, 2, 7, 100]), self.fault()
        self.done[-1] += f" {size}"
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
            for each in (side, side.peer):
                self.world.report(each)
            self.world.exchange()

    def hear(self, side: Side) -> None:
        self.world.hear(side, self.chance.randint(1, 3), self.fault(), self.chance)

    def report(self, side: Side) -> None:
        self.world.report(side, self.fault(), self.chance)

    def tend(self, side: Side) -> None:
        if self.chance.random() < 0.5:
            self.world.report(side.peer)
            self.world.exchange()
        self.world.now += 10.0
        expire = self.world.nodes[side].peer.met and self.chance.random() < 0.4
        self.world.tend(side, self.fault(), self.chance, expire=expire)

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
            for sae in SAES[side]:  # what it had, once more
                had = [key_id for key_id, name in self.world.had if name == sae]
                for key_id in self.chance.sample(sorted(had), min(10, len(had))):
                    self.world.fetch(side, sae, key_id, None, self.chance)


def tell(ground: Ground, seed: int, steps: int = STEPS) -> Counter[str]:
    """One story from its beginning to its end, or to what must not be."""
    world = World(ground)
    story = Story(world, seed)
    try:
        story.run(steps)
    except BaseException as error:
        error.add_note(f"seed {seed}: " + "; ".join(story.done[-12:]))
        raise
    finally:
        world.close()
    return world.seen


def tell_all(grounds: Grounds, seeds: Iterable[int], steps: int = STEPS) -> Counter[str]:
    """A story for each seed; what happened in all of them together."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        with grounds() as ground:
            seen += tell(ground, seed, steps)
    return seen


def check_seen(seen: Counter[str], least: Mapping[str, int]) -> None:
    """A story in which nothing happens proves nothing."""
    for what, times in least.items():
        assert seen[what] >= times, (what, seen)


def no_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks are not written."""
    monkeypatch.setattr(segments, "write_marks", lambda *_: None)


def given_back_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that were given back are handed out all the same."""
    clear = Ahead.clear

    def keeping(self: Ahead) -> list[tuple[int, int]]:
        take, keys = self.take, list(self._keys)
        with monkeypatch.context() as patch:
            patch.setattr(Secret, "wipe", lambda _: None)
            left = clear(self)
        self.take = take
        self._keys.extend(keys)
        return left

    monkeypatch.setattr(Ahead, "clear", keeping)


def cleaned_while_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is ahead is wiped on the disk as if it had left."""
    monkeypatch.setattr(Pool, "give_back", lambda _: None)


def before_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are handed out even if the commit fails."""
    commit = Pool.commit

    def hasty(self: Pool, *args: Any, **kwargs: Any) -> Any:
        outcomes: list[Any] = []
        serve = Group._serve

        def noting(group: Group, request: Any) -> Any:
            outcomes.append(serve(group, request))
            return outcomes[-1]

        with monkeypatch.context() as patch:
            patch.setattr(Group, "_serve", noting)
            try:
                return commit(self, *args, **kwargs)
            except StoreError:
                if outcomes:
                    return outcomes
                raise

    monkeypatch.setattr(Pool, "commit", hasty)


def no_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody notices that a store was put back."""
    monkeypatch.setattr(session, "_difference", lambda ours, theirs: None)


def fence_without_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fence leaves the copies of the master's site."""
    fence = Pool.fence

    def keeping(self: Pool, epoch: int, sequence: int) -> None:
        with self._database.transaction() as cursor:
            rows = cursor.execute("SELECT * FROM copies").fetchall()
        fence(self, epoch, sequence)
        with self._database.transaction() as cursor:
            cursor.executemany("INSERT INTO copies VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    monkeypatch.setattr(Pool, "fence", keeping)


def copies_that_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slave of the master's site may come again."""
    monkeypatch.setattr(copies, "hand_out", lambda *_: None)


def other_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """One side carves its blocks differently."""
    put = segments.put

    def turned(cursor: Any, sealer: Any, side: Side, ready: Any, bits: bytes) -> None:
        put(cursor, sealer, side, ready, bits if side is Side.ALICE else bits[8:] + bits[:8])

    monkeypatch.setattr(segments, "put", turned)


def given_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments that are given to the peer stay this side's, too."""
    monkeypatch.setattr(segments, "offer", lambda *_: None)


def numbers_of_two_meanings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grant's number may mean another grant than it did."""
    accept = Grants.accept

    def agreeing(self: Grants, number: int, master: str, slaves: tuple[str, ...]) -> bool:
        accept(self, number, master, slaves)
        return True

    monkeypatch.setattr(Grants, "accept", agreeing)


SEEDED = [
    no_marks,
    given_back_and_kept,
    cleaned_while_ahead,
    before_the_commit,
    no_fence,
    fence_without_copies,
    copies_that_stay,
    other_bits,
    given_and_kept,
    numbers_of_two_meanings,
]
"""Faults of the product that no story may survive, whatever its ground."""
