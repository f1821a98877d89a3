"""Two sides of a link and what is known of every key that ever left: the model of the crash suite.

The model never guesses what a store does. It looks into it before and after each step, and holds
against that, and against all deliveries that were ever made, what the pool promises.
"""

import itertools
import random
import shutil
import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, cast

from tests.keys.disk import DISK, FULL, IOERR_FSYNC
from tests.keys.faults import Armed, Crash, Faults
from tests.keys.links import MAC_KEY
from tests.keys.stores import add_pending, each, new_store, open_store, secret

from bellwire.base.detections import Side
from bellwire.keys.database.interface import Cursor
from bellwire.keys.database.sqlite import SqliteDatabase
from bellwire.keys.errors import (
    KeyGone,
    KeyNotGranted,
    KeyNotReady,
    NotEnoughKey,
    StoreError,
)
from bellwire.keys.grants import Grants
from bellwire.keys.kme import Delivery
from bellwire.keys.peering.messages import Give, Message, decode, encode
from bellwire.keys.peering.session import Peer, Session
from bellwire.keys.pool import Fetch, Leave, Make, Pool, Request, Take
from bellwire.keys.store import KeyStore

SAES = {Side.ALICE: ("a1", "a2", "a3"), Side.BOB: ("b1", "b2", "b3")}

Unit = tuple[int, int]
"""Block, and number within it: what a unit is whatever the two sides number it."""


class Held(NamedTuple):
    """What a store holds, as its file says.

    Attributes:
        epoch: Of the pool.
        sequence, peer_sequence: As `rows.PoolMarks`.
        units: Those left; True where this side hands them out.
        handed: (first unit's number, slave) of keys that others wait for.
        copies: Who waits for each.
    """

    epoch: int
    sequence: int
    peer_sequence: int
    units: dict[Unit, bool]
    handed: frozenset[tuple[int, str]]
    copies: dict[bytes, str]

    @property
    def left(self) -> object:
        """All but where the sequence is."""
        return self.epoch, self.units, self.handed, self.copies


def held(cursor: Cursor) -> Held:
    """Read it."""
    (marks,) = cursor.execute("SELECT epoch, sequence, peer_sequence FROM store").fetchall()
    units: dict[Unit, bool] = {}
    rows = cursor.execute(
        "SELECT first, marks.units, block, outgoing, taken, gone, first_unit FROM marks "
        "JOIN blocks ON number = block"
    ).fetchall()
    for first, count, block, outgoing, taken, gone, start in rows:
        bits = int.from_bytes(gone, "little")
        for at in range(taken if outgoing else 0, count):
            if outgoing or not bits >> at & 1:
                units[block, first - start + at] = bool(outgoing)
    handed = frozenset(cursor.execute("SELECT first, slave FROM handed").fetchall())
    copies = dict(cursor.execute("SELECT id, waiting FROM copies").fetchall())
    epoch, sequence, heard = marks
    return Held(epoch, sequence, heard, units, handed, copies)


@dataclass(frozen=True)
class Fault:
    """What goes wrong in a step.

    Attributes:
        kind: "error" or "kill" at a statement, "full" or "sync" or "power" at a call of the disk.
        at: Number of the statement or call.
        after: Whether the statement still runs.
    """

    kind: str
    at: int
    after: bool = False


@dataclass
class Node:
    """One side, running."""

    side: Side
    folder: Path
    store: KeyStore
    pool: Pool
    grants: Grants
    peer: Peer = field(default_factory=Peer)
    session: Session | None = None
    inbox: deque[bytes] = field(default_factory=deque)
    pending: list[int] = field(default_factory=list)
    answers: dict[int, bool] = field(default_factory=dict)

    def look(self) -> Held:
        with self.store._database.transaction() as cursor:
            return held(cursor)

    @property
    def path(self) -> Path:
        return self.folder / self.side.value / "keys.db"


class Key(NamedTuple):
    """A key that left to its master."""

    side: Side
    key: bytes
    master: str
    slaves: tuple[str, ...]


@dataclass(frozen=True)
class Backup:
    folder: Path
    held: Held
    pending: tuple[int, ...]


class World:
    """Both sides, the wire between them, and everybody who ever had a key."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.names = itertools.count()
        self.bits: dict[int, int] = {}
        self.refills: dict[int, int] = {}
        self.keys: dict[bytes, Key] = {}
        self.had: set[tuple[bytes, str]] = set()
        self.used: dict[Unit, bytes] = {}
        self.backups: dict[Side, list[Backup]] = {side: [] for side in Side}
        self.fences: list[str] = []
        self.seen: Counter[str] = Counter()
        self.now = 1000.0
        self.nodes: dict[Side, Node] = {}
        for side in Side:
            folder = self._folder()
            new_store(folder, side).close()
            self._start(side, folder, [])

    def close(self) -> None:
        for node in self.nodes.values():
            node.store._database.close()

    # Life of a node

    def _folder(self) -> Path:
        return self.place / str(next(self.names))

    def _start(self, side: Side, folder: Path, pending: Sequence[int]) -> None:
        store = open_store(folder, side)
        pool, grants = store.pool(), store.grants()
        pool.load(MAC_KEY)
        grants.load()
        self.nodes[side] = Node(side, folder, store, pool, grants, pending=list(pending))

    def _restart(self, side: Side, folder: Path) -> None:
        node = self.nodes[side]
        self.disconnect()
        node.store._database.close()
        self._start(side, folder, self._pending(folder, side))

    @staticmethod
    def _pending(folder: Path, side: Side) -> list[int]:
        with closing(open_store(folder, side)) as store:
            return store.pending()

    def image(self, node: Node, *, chance: random.Random | None) -> Path:
        """What a kill now would leave, or, with a chance, a power cut."""
        target = self._folder()
        (target / node.side.value).mkdir(parents=True, mode=0o700)
        for path in node.path.parent.iterdir():
            copy = target / node.side.value / path.name
            if chance is None or not path.name.startswith("keys.db"):
                shutil.copy(path, copy)
            else:
                copy.write_bytes(DISK.after_power_cut(path, chance))
            copy.chmod(0o600)
        return target

    def crash(self, side: Side, chance: random.Random | None) -> None:
        """The node ends here, and starts again with what the disk has."""
        before = self.nodes[side].look()
        self._restart(side, self.image(self.nodes[side], chance=chance))
        assert self.nodes[side].look() == before

    def attempt(
        self, side: Side, work: Callable[[], Delivery], fault: Fault | None, chance: random.Random
    ) -> Delivery | None:
        """Do something that may go wrong half way; None if it did."""
        node = self.nodes[side]
        arm(fault)
        image: Path | None = None
        try:
            return work()
        except Crash:
            self.seen["failed"] += 1
            disarm()
            image = self.image(node, chance=None)
        except StoreError:
            if fault is None:
                raise
            self.seen["failed"] += 1
            if fault.kind == "power":
                image = self.image(node, chance=chance)
        finally:
            disarm()
            if image is not None:
                self._restart(side, image)
            elif cast(SqliteDatabase, node.store._database)._closed:
                self._restart(side, node.folder)
        return None

    # Blocks

    def distil(self, bits: int) -> None:
        block = 1 + max(self.bits, default=0)
        if any(
            block > node.store.reserve_sets_left() + node.store.last_block()
            for node in self.nodes.values()
        ):
            return
        for node in self.nodes.values():
            add_pending(node.store, block, bits)
            node.pending.append(block)
        self.bits[block] = bits

    def ready(self, side: Side) -> None:
        """The lowest pending block becomes ready at one side."""
        node = self.nodes[side]
        if not node.pending:
            return
        block = node.pending.pop(0)
        ready = node.store.mark_ready(block)
        assert self.refills.setdefault(block, ready.refill_sets) == ready.refill_sets
        node.pool.add()
        if node.session is not None:
            self.say(node, node.session.block_ready(block))

    # The peering

    def connect(self) -> None:
        self.disconnect()
        for node in self.nodes.values():
            node.session = Session(
                f"kme-{node.side.value}",
                node.pool,
                node.grants,
                node.peer,
                serves=SAES[node.side].__contains__,
                clock=lambda: self.now,
                answered=node.answers.__setitem__,
                fenced=self._fenced,
            )
        for node in self.nodes.values():
            assert node.session is not None
            self.say(node, node.session.start())

    def disconnect(self) -> None:
        for node in self.nodes.values():
            node.session = None
            node.inbox.clear()

    def _fenced(self, why: str) -> None:
        self.seen["fenced"] += 1
        self.fences.append(why)

    def say(self, node: Node, messages: Sequence[Message]) -> None:
        self.nodes[node.side.peer].inbox.extend(encode(message) for message in messages)

    def hear(self, side: Side, most: int) -> None:
        """Up to so many messages arrive."""
        node = self.nodes[side]
        for _ in range(most):
            if not node.inbox or node.session is None:
                return
            before = node.look()
            message = decode(node.inbox.popleft())
            self.seen["segments given"] += isinstance(message, Give)
            self.say(node, node.session.receive(message))
            self._check_heard(before, node.look())

    @staticmethod
    def _check_heard(before: Held, after: Held) -> None:
        """Units go to the other side's hand, or a fence voids them all; they never come back."""
        if after.epoch == before.epoch:
            assert after.units.keys() == before.units.keys()
        else:
            assert after.epoch > before.epoch
            assert after.units == {}

    def exchange(self) -> None:
        """All that is on the wire arrives, and what follows from it."""
        while any(node.inbox for node in self.nodes.values()):
            for side in Side:
                self.hear(side, 1)

    def report(self, side: Side) -> None:
        node = self.nodes[side]
        if node.session is not None:
            self.say(node, node.session.report())

    # Keys

    def granted(self, side: Side, master: str, slaves: tuple[str, ...]) -> bool:
        """Whether both sides have a grant; if not, it is proposed."""
        node = self.nodes[side]
        grant = node.grants.find(master, slaves)
        if grant is None or not grant.agreed:
            if node.session is not None and any(slave in SAES[side.peer] for slave in slaves):
                grant = grant or node.grants.propose(master, slaves)
                self.say(node, node.session.propose(grant.number))
            return False
        return True

    def take(
        self,
        side: Side,
        master: str,
        slaves: tuple[str, ...],
        number: int,
        bits: int,
        fault: Fault | None,
        chance: random.Random,
    ) -> None:
        node = self.nodes[side]
        here = tuple(slave for slave in slaves if slave in SAES[side])
        if here == slaves:
            request: Request = Make(number, bits, master, slaves)
        else:
            if not node.peer.met:
                return
            grant = node.grants.find(master, slaves)
            if grant is None or not grant.agreed:
                return
            request = Take(grant.number, number, bits, master, here)
        before = node.look()
        size = number * -(-bits // 64)
        try:
            delivery = self.attempt(side, lambda: self.commit(side, request), fault, chance)
        except NotEnoughKey:
            self.seen["refused"] += 1
            assert node.look().left == before.left
            return
        after = self.nodes[side].look()
        gone = before.units.keys() - after.units.keys()
        assert after.units.items() <= before.units.items()
        if isinstance(request, Make):
            assert not gone
        elif delivery is not None:
            assert len(gone) == size
        else:
            assert len(gone) in (0, size)
        assert all(before.units[unit] for unit in gone)
        if delivery is None:
            return
        self.check_durable(side, after)
        ids, keys = each(delivery.ids), delivery.keys.reveal()
        length = bits // 8
        assert len(ids) == number
        assert len(keys) == number * length
        for at, key_id in enumerate(ids):
            key = keys[at * length : (at + 1) * length]
            assert key_id not in self.keys, "an id was made twice"
            self.keys[key_id] = Key(side, key, master, slaves)
            self._give(key_id, master)
            if isinstance(request, Take):
                self._use(node.pool, key_id, key, gone)
        if isinstance(request, Take):
            assert gone <= self.used.keys()

    def _use(self, pool: Pool, key_id: bytes, key: bytes, gone: set[Unit]) -> None:
        (place,) = pool.read_ids(pool.side, key_id)
        assert place is not None
        bits = b""
        for number in range(place.first, place.first + place.units):
            block = next(b for b in pool._blocks if b.first_unit <= number < b.stop_unit)
            unit = block.block, number - block.first_unit
            assert unit in gone
            assert unit not in self.used, "bits left to two masters"
            self.used[unit] = key_id
            start = 64 * self.refills[unit[0]] + 8 * unit[1]
            bits += secret(unit[0], self.bits[unit[0]]).reveal()[start : start + 8]
        assert key == bits[: len(key)], "a key is not the bits that its id names"

    def _give(self, key_id: bytes, sae: str) -> None:
        assert (key_id, sae) not in self.had, "a key was delivered twice"
        self.had.add((key_id, sae))
        master = self.keys[key_id].master == sae
        self.seen["left to a master" if master else "left to a slave"] += 1

    def fetch(
        self, side: Side, sae: str, ids: bytes, fault: Fault | None, chance: random.Random
    ) -> None:
        """A slave asks; what it is refused is no fault of its own, what it gets is right."""
        node = self.nodes[side]
        request = self._request(node, sae, ids)
        if request is None:
            return
        before = node.look()
        try:
            delivery = self.attempt(side, lambda: self.commit(side, request), fault, chance)
        except (KeyGone, KeyNotGranted, KeyNotReady):
            self.seen["refused"] += 1
            assert node.look().left == before.left
            return
        after = self.nodes[side].look()
        asked = self._units(self.nodes[side].pool, request)
        gone = before.units.keys() - after.units.keys()
        assert after.units.items() <= before.units.items()
        assert gone <= asked
        if delivery is None:
            return
        self.check_durable(side, after)
        keys, at = delivery.keys.reveal(), 0
        lengths = delivery.lengths or (len(keys) // len(each(ids)),) * len(each(ids))
        for key_id, length in zip(each(ids), lengths, strict=True):
            known = self.keys[key_id]
            assert known.key == keys[at : at + length], "two sides have different bits"
            assert sae in known.slaves
            self._give(key_id, sae)
            at += length
        assert at == len(keys)

    @staticmethod
    def _units(pool: Pool, request: Request) -> set[Unit]:
        if not isinstance(request, Leave):
            return set()
        numbers = [
            n for place in request.places for n in range(place.first, place.first + place.units)
        ]
        return {
            (block.block, number - block.first_unit)
            for number in numbers
            for block in pool._blocks
            if block.first_unit <= number < block.stop_unit
        }

    def _request(self, node: Node, sae: str, ids: bytes) -> Request | None:
        """What the site makes of it (`keys.site`)."""
        if not node.peer.met:
            return None
        places = node.pool.read_ids(node.side.peer, ids)
        there = [place for place in places if place is not None]
        if not there:
            masters = {self.keys[key_id].master for key_id in each(ids) if key_id in self.keys}
            return Fetch(ids, sae, masters.pop() if len(masters) == 1 else "nobody")
        grants = [node.grants.numbered(own=False, number=place.grant) for place in there]
        known = [grant for grant in grants if grant is not None]
        if len(there) < len(places) or len(known) < len(there):
            return None
        if any(sae not in grant.slaves for grant in known):
            return None
        ours = SAES[node.side]
        sharers = [tuple(slave for slave in grant.slaves if slave in ours) for grant in known]
        return Leave(ids, there, sae, sharers, node.pool.marks.epoch)

    def commit(self, side: Side, request: Request) -> Delivery:
        (outcome,) = self.nodes[side].pool.commit([request], self.now)
        if isinstance(outcome, Delivery):
            return outcome
        raise outcome

    def check_durable(self, side: Side, after: Held) -> None:
        """What a power cut right now would leave agrees with what was delivered."""
        node = self.nodes[side]
        target = self.image(node, chance=Nothing())
        with closing(sqlite3.connect(target / side.value / "keys.db")) as connection:
            try:
                found: Held | None = held(connection.cursor())
            except sqlite3.Error:
                found = None
        assert found == after, "delivered before it was durable"
        shutil.rmtree(target)

    def tend(self, side: Side, *, expire: bool) -> None:
        node = self.nodes[side]
        before = node.look()
        if expire:
            node.pool.expire(self.now)
        node.pool.clean()
        after = node.look()
        assert after.units.items() <= before.units.items()
        assert not any(before.units[unit] for unit in before.units.keys() - after.units.keys())
        if not expire:
            assert after == before
        with node.store._database.transaction() as cursor:
            assert cursor.execute("SELECT TOTAL(dirty) FROM marks").fetchone() == (0,)

    # Backups

    def backup(self, side: Side) -> None:
        node = self.nodes[side]
        folder = self.image(node, chance=None)
        self.backups[side].append(Backup(folder, node.look(), tuple(node.pending)))

    def put_back(self, side: Side, backup: Backup) -> None:
        """Restore a store from a backup, if the other side can tell.

        It cannot if it has heard nothing since the backup was made: docs/explanation/key-pool.md.
        """
        node, other = self.nodes[side], self.nodes[side.peer].look()
        mine = node.look()
        same = backup.held == mine
        told = other.peer_sequence > backup.held.sequence or other.epoch > backup.held.epoch
        if not (same or told):
            return
        self.seen["put back"] += 1
        self.disconnect()
        node.store._database.close()
        folder = self._folder()
        shutil.copytree(backup.folder, folder)
        self._start(side, folder, backup.pending)

    # What always holds

    def check(self) -> None:
        looks = {side: node.look() for side, node in self.nodes.items()}
        alice, bob = looks[Side.ALICE], looks[Side.BOB]
        if alice.epoch == bob.epoch and all(node.peer.met for node in self.nodes.values()):
            ours, theirs = (self._takeable(node) for node in self.nodes.values())
            assert not ours & theirs, "bits are both sides' to hand out"
            assert not (ours | theirs) & self.used.keys(), "bits that left are to be handed out"
            assert not any(bob.units.get(unit) for unit in ours)
            assert not any(alice.units.get(unit) for unit in theirs)

    @staticmethod
    def _takeable(node: Node) -> set[Unit]:
        """Units that a side would hand out now."""
        numbers = [
            number
            for run in itertools.chain(node.pool._runs, node.pool._tails)
            for number in range(run.first, run.stop)
        ]
        return {
            (block.block, number - block.first_unit)
            for number in numbers
            for block in node.pool._blocks
            if block.first_unit <= number < block.stop_unit
        }


class Nothing(random.Random):
    """Of what was not synced nothing is there."""

    def choice(self, _: object) -> float:  # type: ignore[override]
        return 0.0

    def random(self) -> float:
        return 1.0


def arm(fault: Fault | None) -> None:
    if fault is None:
        return
    match fault.kind:
        case "error":
            error: BaseException = sqlite3.OperationalError("disk I/O error")
            Armed.faults = Faults(fault.at, error, after=fault.after)
        case "kill":
            Armed.faults = Faults(fault.at, Crash(), after=fault.after)
        case "sync":
            DISK.fail_after(fault.at, IOERR_FSYNC)
        case _:
            DISK.fail_after(fault.at, FULL)


def disarm() -> None:
    Armed.faults = None
    DISK.mend()


def parts(ids: Sequence[bytes], size: int) -> Iterator[bytes]:
    for at in range(0, len(ids), size):
        yield b"".join(ids[at : at + size])
