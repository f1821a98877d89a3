"""Two sides of a link and what is known of every key that ever left: the model of the crash suite.

The model never guesses what a store does. It looks into it before and after each step, and holds
against that, and against all deliveries that were ever made, what the pool promises.
"""

import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from tests.keys.faults import Crash
from tests.keys.ground import Fault, Ground, Held, Unit
from tests.keys.links import MAC_KEY
from tests.keys.stores import add_pending, each, secret

from bellwire.base.detections import Side
from bellwire.keys.carving import ReadyBlock
from bellwire.keys.errors import (
    KeyGone,
    KeyNotGranted,
    KeyNotReady,
    NotEnoughKey,
    StoreError,
)
from bellwire.keys.grants import Grants
from bellwire.keys.kme import Delivery
from bellwire.keys.model import BlockState
from bellwire.keys.peering.messages import Give, Message, decode, encode
from bellwire.keys.peering.session import Peer, Session
from bellwire.keys.pool import Pool
from bellwire.keys.requests import Fetch, Leave, Make, Request, Take
from bellwire.keys.store import KeyStore

SAES = {Side.ALICE: ("a1", "a2", "a3"), Side.BOB: ("b1", "b2", "b3")}

CALM = random.Random(0)
"""For steps that no fault strikes: nothing is left to chance."""

Result = TypeVar("Result")


@dataclass
class Node:
    """One side, running.

    Attributes:
        place: Of its store, on its ground.
        pending: Blocks that are to become ready, ascending.
    """

    side: Side
    place: Any
    store: KeyStore
    pool: Pool
    grants: Grants
    pending: list[int]
    peer: Peer = field(default_factory=Peer)
    session: Session | None = None
    inbox: deque[bytes] = field(default_factory=deque)
    answers: dict[int, bool] = field(default_factory=dict)


class Key(NamedTuple):
    """A key that left to its master."""

    side: Side
    key: bytes
    master: str
    slaves: tuple[str, ...]


@dataclass(frozen=True)
class Backup:
    saved: Any
    held: Held


class World:
    """Both sides, the wire between them, and everybody who ever had a key."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
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
            self._start(side, ground.new(side))

    def close(self) -> None:
        for node in self.nodes.values():
            node.store._database.close()
        self.ground.close()

    def look(self, side: Side) -> Held:
        node = self.nodes[side]
        return self.ground.look(node.store, node.place)

    def still_has(self, side: Side) -> Held:
        """The same, with what is marked ahead and in nobody's hands: the side's own as before."""
        held = self.look(side)
        return held._replace(units={**held.units, **dict.fromkeys(self._ahead(side), True)})

    def _ahead(self, side: Side) -> set[Unit]:
        """Units that are marked and in nobody's hands; lost once nobody knows what the disk has."""
        pool = self.nodes[side].pool
        if pool._stock.stale:
            return set()
        ahead = pool._stock.ahead
        numbers = [n for first, _ in ahead._keys for n in range(first, first + ahead._units)]
        return self._numbered(pool, numbers)

    @staticmethod
    def _numbered(pool: Pool, numbers: Iterable[int]) -> set[Unit]:
        return {
            (block.block, number - block.first_unit)
            for number in numbers
            for block in pool._stock.shelf.blocks
            if block.first_unit <= number < block.stop_unit
        }

    # Life of a node

    def _start(self, side: Side, place: Any) -> None:
        store = self.ground.open(place, side)
        pool, grants = store.pool(), store.grants()
        pool.load(MAC_KEY)
        grants.load()
        self.nodes[side] = Node(side, place, store, pool, grants, store.pending())

    def _restart(self, side: Side, place: Any) -> None:
        self.disconnect()
        self.nodes[side].store._database.close()
        self._start(side, place)

    def crash(self, side: Side, chance: random.Random | None) -> None:
        """The node ends here, and starts again with what the disk has."""
        node, before = self.nodes[side], self.look(side)
        self._restart(side, self.ground.crash(node.store, node.place, chance))
        assert self.look(side) == before

    def attempt(
        self, side: Side, work: Callable[[], Result], fault: Fault | None, chance: random.Random
    ) -> Result | None:
        """Do something that may go wrong half way; None if it did.

        The node may have started anew then. If it goes on, its connection is over all the same.
        """
        node = self.nodes[side]
        died = False
        self.ground.arm(fault)
        try:
            done = work()
        except Crash:
            died = True
        except StoreError:
            if fault is None:
                raise
        else:
            self.ground.disarm()
            if self.ground.closed(node.store):
                self._restart(side, node.place)
            return done
        finally:
            self.ground.disarm()
        assert fault is not None
        self.seen["failed"] += 1
        place = self.ground.failed(node.store, node.place, fault, chance, died=died)
        if place is not None:
            self._restart(side, place)
        return None

    # Blocks

    def distil(
        self,
        bits: int,
        side: Side = Side.ALICE,
        fault: Fault | None = None,
        chance: random.Random = CALM,
    ) -> None:
        """Both sides keep a block, unless a fault strikes one: then neither does."""
        last = [node.store.last_block() for node in self.nodes.values()]
        block = 1 + max([*self.bits, *last])
        if any(
            block > node.store.reserve_sets_left() + node.store.last_block()
            for node in self.nodes.values()
        ):
            return
        for each_side in Side:

            def keep(node: Node = self.nodes[each_side]) -> bool:
                add_pending(node.store, block, bits)
                return True

            if not self.attempt(each_side, keep, fault if each_side is side else None, chance):
                self.seen["blocks lost"] += 1
                for node in self.nodes.values():
                    node.store.discard(block)
                    node.pending = [number for number in node.pending if number != block]
                return
            self.nodes[each_side].pending.append(block)
        self.bits[block] = bits

    def ready(self, side: Side, fault: Fault | None = None, chance: random.Random = CALM) -> None:
        """The lowest pending block becomes ready at one side."""
        node = self.nodes[side]
        if not node.pending:
            return
        block = node.pending[0]

        def make() -> tuple[ReadyBlock, list[Message]]:
            ready = node.store.mark_ready(block)
            node.pool.add()
            return ready, [] if node.session is None else node.session.block_ready(block)

        done = self.attempt(side, make, fault, chance)
        if done is None:
            return  # a node that goes on makes it ready once more: that is harmless
        ready, said = done
        assert self.refills.setdefault(block, ready.refill_sets) == ready.refill_sets
        assert node.store.state(block) is BlockState.READY
        node.pending.pop(0)
        self.say(node, said)

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
        if node.session is not None:
            self.nodes[node.side.peer].inbox.extend(encode(message) for message in messages)

    def hear(
        self, side: Side, most: int, fault: Fault | None = None, chance: random.Random = CALM
    ) -> None:
        """Up to so many messages arrive; a fault strikes the last."""
        for left in reversed(range(most)):
            node = self.nodes[side]
            if not node.inbox or node.session is None:
                return
            session, before = node.session, self.look(side)
            message = decode(node.inbox.popleft())
            self.seen[f"heard {type(message).__name__}"] += 1
            said = self.attempt(
                side,
                lambda session=session, message=message: session.receive(message),  # type: ignore[misc]
                None if left else fault,
                chance,
            )
            self._check_heard(before, self.look(side), message)
            if said is None:
                self.disconnect()
                return
            self.say(node, said)

    @staticmethod
    def _check_heard(before: Held, after: Held, message: Message) -> None:
        """Units go to the other side's hand, or a fence voids them all; they never come back."""
        if after.epoch != before.epoch:
            assert after.epoch > before.epoch
            assert after.units == {}
            return
        assert after.units.keys() == before.units.keys()
        turned = {unit for unit in after.units if after.units[unit] != before.units[unit]}
        if isinstance(message, Give):
            assert all(after.units[unit] for unit in turned)
        else:
            assert not any(after.units[unit] for unit in turned)

    def exchange(self) -> None:
        """All that is on the wire arrives, and what follows from it."""
        while any(node.inbox for node in self.nodes.values()):
            for side in Side:
                self.hear(side, 1)

    def report(self, side: Side, fault: Fault | None = None, chance: random.Random = CALM) -> None:
        node = self.nodes[side]
        if node.session is None:
            return
        before = self.look(side)
        said = self.attempt(side, node.session.report, fault, chance)
        after = self.look(side)
        assert after.units.keys() == before.units.keys()
        assert not any(after.units[unit] and not before.units[unit] for unit in after.units)
        if said is None:
            self.disconnect()
            return
        self.say(node, said)

    # Keys

    def granted(
        self,
        side: Side,
        master: str,
        slaves: tuple[str, ...],
        fault: Fault | None = None,
        chance: random.Random = CALM,
    ) -> bool:
        """Whether both sides have a grant; if not, it is proposed."""
        node = self.nodes[side]
        grant = node.grants.find(master, slaves)
        if grant is None or not grant.agreed:
            session = node.session
            if session is not None and any(slave in SAES[side.peer] for slave in slaves):

                def propose() -> list[Message]:
                    known = grant or node.grants.propose(master, slaves)
                    return session.propose(known.number)

                self.say(node, self.attempt(side, propose, fault, chance) or [])
            return False
        return True

    def take(
        self,
        side: Side,
        master: str,
        slaves: tuple[str, ...],
        number: int,
        bits: int,
        fault: Fault | None = None,
        chance: random.Random = CALM,
    ) -> None:
        node = self.nodes[side]
        here = tuple(slave for slave in slaves if slave in SAES[side])
        if here == slaves:
            request: Make | Take = Make(number, bits, master, slaves)
        else:
            if not node.peer.met:
                return
            grant = node.grants.find(master, slaves)
            if grant is None or not grant.agreed:
                return
            request = Take(grant.number, number, bits, master, here)
        before, ahead = self.still_has(side), self._ahead(side)
        size = number * -(-bits // 64)
        try:
            delivery = self.attempt(side, lambda: self.commit(side, request), fault, chance)
        except NotEnoughKey:
            self.seen["refused"] += 1
            assert self.still_has(side).left == before.left
            return
        after = self.still_has(side)
        gone = before.units.keys() - after.units.keys()
        assert after.units.items() <= before.units.items()
        if delivery is None:
            assert gone == ahead or len(gone) in ((0,) if isinstance(request, Make) else (0, size))
        else:
            assert len(gone) == (0 if isinstance(request, Make) else size)
        assert all(before.units[unit] for unit in gone)
        if delivery is not None:
            self._left(side, request, delivery, gone, slaves)

    def mark_ahead(
        self, side: Side, take: Take, count: int, fault: Fault | None, chance: random.Random
    ) -> None:
        """Keys are marked that nobody asked for yet; nobody else's are touched."""
        node, before, ahead = self.nodes[side], self.still_has(side), self._ahead(side)
        done = self.attempt(
            side, lambda: node.pool.commit([], self.now, ahead=(take, count)), fault, chance
        )
        after = self.still_has(side)
        lost = before.units.keys() - after.units.keys()
        assert all(before.units[unit] for unit in lost)
        assert after.units.items() <= before.units.items()
        if done is None:
            assert len(lost - ahead) <= count * -(-take.bits // 64)
        else:
            assert not lost
            self.seen["marked ahead"] += node.pool.keys_ahead

    def take_ahead(self, side: Side, take: Take, slaves: tuple[str, ...]) -> None:
        """Somebody asks for what may be marked ahead."""
        node, ahead = self.nodes[side], self._ahead(side)
        delivery = node.pool.next_ahead(take) if node.peer.met else None
        if delivery is None:
            return
        gone = ahead - self._ahead(side)
        assert len(gone) == -(-take.bits // 64)
        self.seen["left from ahead"] += 1
        self._left(side, take, delivery, gone, slaves)

    def give_back(self, side: Side, fault: Fault | None, chance: random.Random) -> None:
        """Nobody asks any more."""
        before, ahead = self.still_has(side), self._ahead(side)
        node = self.nodes[side]

        def give_back() -> bool:
            node.pool.give_back()
            return True

        done = self.attempt(side, give_back, fault, chance)
        after = self.still_has(side)
        assert done is None or not self._ahead(side)
        assert after.units.items() <= before.units.items()
        if done is None:
            assert before.units.keys() - after.units.keys() <= ahead
        else:
            assert after.left == before.left
            self.seen["given back"] += bool(ahead)

    def _left(
        self,
        side: Side,
        request: Make | Take,
        delivery: Delivery,
        gone: set[Unit],
        slaves: tuple[str, ...],
    ) -> None:
        """A master has keys: they are new, durably his, and the bits that their ids name."""
        node, master = self.nodes[side], request.master
        number, bits = request.number, request.bits
        self.check_durable(side, self.look(side))
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
        _, (place,) = pool.read_ids(pool.side, key_id)
        assert place is not None
        bits = b""
        for number in range(place.first, place.first + place.units):
            block = next(
                b for b in pool._stock.shelf.blocks if b.first_unit <= number < b.stop_unit
            )
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
        self,
        side: Side,
        sae: str,
        ids: bytes,
        fault: Fault | None = None,
        chance: random.Random = CALM,
    ) -> None:
        """A slave asks; what it is refused is no fault of its own, what it gets is right."""
        node = self.nodes[side]
        request = self._request(node, sae, ids)
        if request is None:
            return
        before, asked = self.look(side), self._units(node.pool, request)
        try:
            delivery = self.attempt(side, lambda: self.commit(side, request), fault, chance)
        except (KeyGone, KeyNotGranted, KeyNotReady):
            self.seen["refused"] += 1
            assert self.look(side).left == before.left
            return
        after = self.look(side)
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

    def _units(self, pool: Pool, request: Request) -> set[Unit]:
        if not isinstance(request, Leave):
            return set()
        numbers = [n for place in request.places for n in range(place.first, place.stop)]
        return self._numbered(pool, numbers)

    def _request(self, node: Node, sae: str, ids: bytes) -> Request | None:
        """What the site makes of it (`keys.site`)."""
        if not node.peer.met:
            return None
        epoch, places = node.pool.read_ids(node.side.peer, ids)
        there = [place for place in places if place is not None]
        if not there:
            masters = {self.keys[key_id].master for key_id in each(ids) if key_id in self.keys}
            return Fetch(ids, sae, masters.pop() if len(masters) == 1 else "nobody")
        grants = [node.grants.numbered(own=False, number=place.grant) for place in there]
        known = [grant for grant in grants if grant is not None]
        if len(known) < len(there) and node.session is not None:
            self.seen["doubted"] += 1
            self.say(node, node.session.doubt())
        if len(there) < len(places) or len(known) < len(there):
            return None
        if any(sae not in grant.slaves for grant in known):
            return None
        ours = SAES[node.side]
        sharers = [tuple(slave for slave in grant.slaves if slave in ours) for grant in known]
        return Leave(ids, there, sae, sharers, epoch)

    def commit(self, side: Side, request: Request) -> Delivery:
        (outcome,) = self.nodes[side].pool.commit([request], self.now)
        if isinstance(outcome, Delivery):
            return outcome
        raise outcome

    def check_durable(self, side: Side, after: Held) -> None:
        """What a power cut right now would leave agrees with what was delivered."""
        found = self.ground.durable(self.nodes[side].place, side)
        assert found == after, "delivered before it was durable"

    def tend(
        self, side: Side, fault: Fault | None = None, chance: random.Random = CALM, *, expire: bool
    ) -> None:
        before, ahead, node = self.still_has(side), self._ahead(side), self.nodes[side]
        expire = expire and node.peer.met  # as `keys.link_keys.LinkKeys.tend`
        if expire:
            given_up = self.attempt(side, lambda: node.pool.expire(self.now), fault, chance)
            self.seen["expired"] += bool(given_up)
        cleaned = self.attempt(side, self.nodes[side].pool.clean, None if expire else fault, chance)
        after = self.still_has(side)
        gone = before.units.keys() - after.units.keys()
        assert after.units.items() <= before.units.items()
        assert not any(before.units[unit] for unit in gone - ahead)
        if cleaned is not None and not expire:
            assert after.left == before.left
        if not ahead and not expire:
            assert after == before
        if cleaned is not None:
            with self.nodes[side].store._database.transaction() as cursor:
                (dirty,) = cursor.execute("SELECT COUNT(*) FROM marks WHERE dirty = 1").fetchone()
            assert dirty == 0

    # Backups

    def backup(self, side: Side) -> None:
        saved = self.ground.save(self.nodes[side].place, side)
        self.backups[side].append(Backup(saved, self.look(side)))

    def put_back(self, side: Side, backup: Backup) -> None:
        """Restore a store from a backup, if the other side can tell.

        It cannot if it has heard nothing since the backup was made: docs/explanation/key-pool.md.
        """
        node, mine, other = self.nodes[side], self.look(side), self.look(side.peer)
        same = backup.held._replace(grants={}) == mine._replace(grants={})
        told = other.peer_sequence > backup.held.sequence or other.epoch > backup.held.epoch
        if not (same or told):
            return
        self.seen["put back"] += 1
        self.disconnect()
        node.store._database.close()
        self._start(side, self.ground.put_back(backup.saved, node.place, side))

    # What always holds

    def check(self) -> None:
        alice, bob = self.look(Side.ALICE), self.look(Side.BOB)
        for one, other in ((alice, bob), (bob, alice)):
            for (own, number), (*means, agreed) in one.grants.items():
                # Of two stores that were put back the sides know only once they have met.
                met = all(node.peer.met for node in self.nodes.values())
                if own and agreed and met and (0, number) in other.grants:
                    assert means == [*other.grants[0, number][:2]], "a number has two meanings"
        if alice.epoch == bob.epoch and all(node.peer.met for node in self.nodes.values()):
            ours, theirs = (self._takeable(node) for node in self.nodes.values())
            assert not ours & theirs, "bits are both sides' to hand out"
            assert not (ours | theirs) & self.used.keys(), "bits that left are to be handed out"
            assert not any(bob.units.get(unit) for unit in ours)
            assert not any(alice.units.get(unit) for unit in theirs)
        for side, held in zip(Side, (alice, bob), strict=True):
            ahead = self._ahead(side)
            assert not ahead & held.units.keys(), "a key is ahead that is not marked"
            assert not ahead & self.used.keys(), "a key that left is ahead"

    @staticmethod
    def _takeable(node: Node) -> set[Unit]:
        """Units that a side would hand out now."""
        node.pool.add()  # as whoever is asked for a key does first
        numbers = [number for run in node.pool._stock.runs for number in range(run.first, run.stop)]
        return World._numbered(node.pool, numbers)


def parts(ids: Sequence[bytes], size: int) -> Iterator[bytes]:
    for at in range(0, len(ids), size):
        yield b"".join(ids[at : at + size])
