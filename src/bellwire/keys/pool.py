"""The pool of one side of a link: which bits become which key, and the mark before they leave.

What always holds:

- A mark is durable before the bits that it stands for are returned. A crash in between loses them;
  nothing is ever returned twice. A group of requests shares one commit.
- Allocation needs no message: a side hands out its own segments only, from the start on, and the id
  tells the peer where the bits lie. No segment is both sides' at a time.
- A request gets all its keys or none, and fails alone: others of its group do not notice.
- Keys may be marked before they are asked for (`ahead`), and given back as long as nobody had them.
- If a commit fails, memory is read anew from the disk, or the store is closed and stays so.
- Memory is believed only while nobody else changed the pool. Each transaction counts one up, so
  that a process sees at once whether another one of its site was there in between (PostgreSQL).

The cost of a group: one transaction and one sync, a row for each segment that it touches (512
units, so neighbours share it), one for each grant; some microseconds of Python for each request.

Methods may be called from any thread; one at a time is inside.
"""

import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from itertools import chain, pairwise
from typing import Concatenate, ParamSpec, TypeVar, cast
from uuid import UUID, uuid4

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.database.cursor import Cursor
from bellwire.keys import copies, segments
from bellwire.keys.ahead import Ahead
from bellwire.keys.database.interface import Database
from bellwire.keys.errors import (
    KeyGone,
    KeyNotGranted,
    KeyNotReady,
    LinkRed,
    NotEnoughKey,
    PreplacedKeyInvalid,
    StoreCorrupt,
)
from bellwire.keys.key_ids import KeyIds, Place, unknown
from bellwire.keys.kme import KEY_ID_BYTES, Delivery
from bellwire.keys.lives import UnitLife
from bellwire.keys.model import UNIT_BITS, UNIT_BYTES
from bellwire.keys.requests import Fetch, Leave, Make, Outcome, Request, Take
from bellwire.keys.rows import PoolMarks, pool_marks, ready_blocks, ready_blocks_after
from bellwire.keys.runs import Runs
from bellwire.keys.sealing import Sealer
from bellwire.keys.segments import Segment
from bellwire.keys.shelf import Part, Shelf

MAX_HEEDED = 4096
"""Ranges of other processes that are taken over for a report at once."""

MAX_EXPIRED = 256
"""Ranges that one call of `expire` looks at."""

MAX_OFFERED = 256
"""Segments that are given to the peer at once: 1 MiB."""


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _alone(
    method: Callable[Concatenate["Pool", Arguments], Result],
) -> Callable[Concatenate["Pool", Arguments], Result]:
    @wraps(method)
    def inside(self: "Pool", *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with self._lock:
            return method(self, *args, **kwargs)

    return cast(Callable[Concatenate["Pool", Arguments], Result], inside)


@dataclass(slots=True)
class _Changes:
    """What a group has done so far."""

    now: float
    flowing: bool
    counted: bool = True
    segments: dict[int, Segment] = field(default_factory=dict)
    used: dict[tuple[bool, int], tuple[int, int]] = field(default_factory=dict)
    wipes: list[tuple[Segment, int, int]] = field(default_factory=list)
    issued: list[tuple[int, int]] = field(default_factory=list)
    ahead: tuple[Take, int, list[int], list[Delivery]] | None = None

    def note(self, segment: Segment, first: int, stop: int) -> None:
        self.segments[segment.first] = segment
        self.wipes.append((segment, first, stop))

    def count(self, own: bool, grant: int, keys: int, bits: int) -> None:
        had = self.used.get((own, grant))
        self.used[own, grant] = (keys, bits) if had is None else (had[0] + keys, had[1] + bits)


class Pool:
    """The pool of one side; `load` comes before everything else.

    Args:
        database: Of the store.
        sealer: Of the store.
        side: Whose store it is.
        further: For a process beside the node: what it hands out, the node reports to the peer.
    """

    def __init__(
        self, database: Database, sealer: Sealer, side: Side, *, further: bool = False
    ) -> None:
        self.side = side
        self._further = further
        self._lock = threading.RLock()
        self._database = database
        self._sealer = sealer
        self._ids: dict[Side, KeyIds] = {}
        self._reading: tuple[int, dict[Side, KeyIds]] = (0, {})  # of an epoch
        self._one_reads = threading.Lock()
        self._mac_key = Secret(b"")
        self._marks = PoolMarks(0, 0, 0, 0)
        self._confirmed = 0
        self._in_log = False  # sealed values of what left
        self._issued: list[tuple[int, int]] = []
        self._free = 0
        self._ahead = Ahead()
        self._miscounted = False
        self._unconfirmed: deque[tuple[int, int]] = deque()
        self._shelf = Shelf(sealer)
        self._clear()
        self._stale = True

    def __repr__(self) -> str:
        return f"Pool({self.side.value})"

    def _clear(self) -> None:
        self._runs = Runs()
        self._shelf.clear_segments()

    # What there is

    @property
    def free_bits(self) -> int:
        """The same in bits."""
        return UNIT_BITS * self.free_units

    @property
    def free_units(self) -> int:
        """Units that this side may still hand out as master, agreed with the peer or not yet."""
        return self.takeable_units + sum(units for _, units in tuple(self._unconfirmed))

    @property
    def takeable_units(self) -> int:
        """Units that this side may hand out now."""
        return self._free + self._ahead.units

    @property
    def keys_ahead(self) -> int:
        """Keys that are marked, and that nobody has asked for yet."""
        return len(self._ahead)

    @property
    def idle(self) -> bool:
        """Whether a commit would find the store free."""
        return self._database.idle

    @property
    def shareable(self) -> bool:
        """Whether other processes may be in the store, too."""
        return self._database.shareable

    @property
    def marks(self) -> "PoolMarks":
        """Where the pool stands, for the peer to compare."""
        return self._marks

    @property
    @_alone
    def agreed(self) -> tuple[int, int]:
        """The epoch, and the unit in it up to which the peer is known to number alike."""
        return self._marks.epoch, self._confirmed

    @_alone
    def account(self) -> dict[UnitLife, int]:
        """What became of all units of this epoch; together they are all that were carved.

        Raises:
            StoreError: the store cannot be read.
        """
        with self._database.transaction() as cursor:
            counted, carved = segments.count(cursor), pool_marks(cursor).next_unit
        counted[UnitLife.OURS] += self._ahead.units
        counted[UnitLife.LEFT] = carved - counted.total()
        return {life: counted[life] for life in UnitLife}

    @_alone
    def ladder(self, steps: int) -> list[tuple[int, int]]:
        """(block, unit behind it) of the last ready blocks, for the peer to compare."""
        return [(block.block, block.stop_unit) for block in self._shelf.blocks[-steps:]]

    @_alone
    def load(self, mac_key: Secret) -> None:
        """Read what the store holds, and finish the cleaning that a crash may have prevented.

        Args:
            mac_key: The link's pre-placed MAC key. Secret.

        Raises:
            StoreError: the store cannot be read or written.
        """
        self._mac_key = mac_key
        self._reload()
        self.clean()

    def _reload(self) -> None:
        with self._database.transaction() as cursor:
            self._read_all(cursor)

    def _read_all(self, cursor: Cursor) -> None:
        self._stale = True  # until all is read
        self._clear()
        self._ahead.clear()  # of another epoch, or nobody knows what the disk says of them
        self._marks = pool_marks(cursor)
        self._shelf.clear()
        for block in ready_blocks(cursor):
            self._shelf.add(block)
        epoch = self._marks.epoch
        self._ids, reading = (  # one thread at a time has each
            {side: KeyIds(self._mac_key, side, epoch) for side in Side} for _ in range(2)
        )
        self._reading = epoch, reading
        self._count_stock(cursor)
        self._stale = False

    def _count_stock(self, cursor: Cursor) -> None:
        self._free, self._miscounted = 0, False
        self._unconfirmed = deque(segments.stock(cursor))
        self.confirm(self._confirmed)

    def _catch_up(self, cursor: Cursor) -> None:
        """Know what the disk holds: for the rest of the transaction nobody else changes it.

        Raises:
            StoreCorrupt: it holds less than before.
        """
        there = pool_marks(cursor)
        if there.epoch == self._marks.epoch and there.sequence < self._marks.sequence:
            self._stale = True
            raise StoreCorrupt(
                "the store was put back to an earlier state while this process ran",
                hint="Restart it: the two KMEs then compare their pools, and void what is unsafe.",
            )
        if there.epoch != self._marks.epoch:
            self._confirmed = 0  # it was of other units
            self._issued = []
            self._stale = True
        if self._stale:
            self._read_all(cursor)
        elif there.sequence != self._marks.sequence:
            self._clear()
            self._miscounted = True
        if there.next_unit != self._marks.next_unit:
            for block in ready_blocks_after(cursor, self._shelf.last_block):
                self._shelf.add(block)
                half = block.half(self.side)
                self._unconfirmed.append((half.stop, len(half)))
            self.confirm(self._confirmed)
        self._marks = there

    @_alone
    def add(self) -> None:
        """Take in blocks that `KeyStore.mark_ready` made ready; again is harmless.

        Raises:
            StoreError: the store cannot be read.
        """
        with self._database.transaction() as cursor:
            self._catch_up(cursor)

    @_alone
    def confirm(self, stop: int) -> None:
        """The peer numbers units as we do up to `stop`: they may be handed out.

        Stores that are each right by themselves could number bits differently, if one was put back
        to an earlier state. Ids would then lead to other bits at the peer.
        """
        self._confirmed = max(stop, self._confirmed)
        while self._unconfirmed and self._unconfirmed[0][0] <= self._confirmed:
            _, units = self._unconfirmed.popleft()
            self._free += units

    # What the peer's KME and this one tell each other

    @_alone
    def heed_others(self) -> None:
        """Know what other processes of the site did, and what of theirs is to be reported.

        Raises:
            StoreError: the store cannot be read or written.
        """
        if not self._database.shareable:
            return
        with self._database.transaction() as cursor:
            self._catch_up(cursor)
            rows = cursor.execute(
                "SELECT first, stop FROM unreported ORDER BY first LIMIT ?", (MAX_HEEDED,)
            ).fetchall()
            cursor.executemany("DELETE FROM unreported WHERE first = ?", [row[:1] for row in rows])
        self._issued += rows

    @_alone
    def new_issues(self) -> list[tuple[int, int]]:
        """Ranges of units handed out since the last call, for the peer to know their age."""
        issued, self._issued = self._issued, []
        return _join(sorted(issued))

    @_alone
    def take_report(self, sequence: int, ranges: Sequence[tuple[int, int]], now: float) -> None:
        """The peer's pool has come to `sequence`, and handed out `ranges`.

        Raises:
            StoreError: it could not be kept.
        """
        with self._database.transaction() as cursor:
            cursor.execute("UPDATE store SET peer_sequence = ?", (sequence,))
            cursor.executemany(
                "INSERT INTO issued VALUES (?, ?, ?) ON CONFLICT (first) DO NOTHING",
                [(first, stop, now) for first, stop in ranges],
            )
        self._marks = self._marks._replace(peer_sequence=sequence)

    @_alone
    def offer(self, units: int) -> list[int]:
        """Give up segments of which nothing was handed out, for the peer to take over.

        Args:
            units: About how many units; whole segments are given, the newest first.

        Returns:
            The first unit of each.

        Raises:
            StoreError: nothing was given up.
        """
        given: list[tuple[int, int]] = []
        with self._database.transaction() as cursor:
            self._catch_up(cursor)
            for first, count in segments.untouched(cursor, self._confirmed, MAX_OFFERED):
                if sum(size for _, size in given) + count > units:
                    break
                given.append((first, count))
            if not given:
                return []
            self._stale = True
            segments.offer(cursor, [first for first, _ in given])
            _count_up(cursor)
        self._moved(-sum(size for _, size in given))
        return [first for first, _ in given]

    def _moved(self, units: int) -> None:
        """The disk agrees that so many units are ours to hand out, or are no more."""
        self._clear()
        self._free += units
        self._marks = self._marks._replace(sequence=self._marks.sequence + 1)
        self._stale = False

    @_alone
    def offered(self) -> list[int]:
        """First units of segments that were given up and, for all we know, not taken over yet."""
        with self._database.transaction() as cursor:
            return segments.offered(cursor)

    @_alone
    def given(self, firsts: Sequence[int]) -> None:
        """The peer has taken these over."""
        with self._database.transaction() as cursor:
            segments.settle(cursor, firsts)

    @_alone
    def take_over(self, firsts: Sequence[int]) -> list[int]:
        """Take over segments that the peer gave up; again is harmless.

        Returns:
            Those that are settled: ours now, or ours and used up meanwhile.

        Raises:
            StoreError: nothing was taken over.
        """
        taken = []
        with self._database.transaction() as cursor:
            self._catch_up(cursor)
            for first in firsts:
                segment = segments.load(cursor, first)
                if segment is not None and not segment.outgoing and not segment.gone:
                    taken.append(segment)
            if not taken:
                return list(firsts)
            self._stale = True
            segments.adopt(cursor, [segment.first for segment in taken])
            _count_up(cursor)
        self._moved(sum(segment.units for segment in taken))
        return list(firsts)

    @_alone
    def expire(self, before: float) -> int:
        """Give up keys that the peer's masters got before a time and no slave fetched.

        Returns:
            Units given up.

        Raises:
            StoreError: nothing was given up.
        """
        given_up = 0
        with self._database.transaction() as cursor:
            changes = self._begin(cursor, before, flowing=True)
            rows = cursor.execute(
                "SELECT first, stop FROM issued WHERE at < ? ORDER BY first LIMIT ?",
                (before, MAX_EXPIRED),
            ).fetchall()
            waited = copies.expire(cursor, before)
            if not rows and not waited:
                self._stale = False
                self._shelf.trim()
                return 0
            for first, stop in rows:
                for segment, low, high in self._shelf.parts(cursor, first, stop):
                    there = segment.part(low, high) & ~segment.gone
                    if not segment.outgoing and there:
                        given_up += there.bit_count()
                        _mark_gone((segment, low, high), changes)
                cursor.execute("DELETE FROM issued WHERE first = ?", (first,))
                cursor.execute("DELETE FROM handed WHERE first >= ? AND first < ?", (first, stop))
            self._write(cursor, changes)
        self._after(changes)
        return given_up

    @_alone
    def fence(self, epoch: int, sequence: int) -> None:
        """Void all bits of the pool and begin a new epoch, whose ids no earlier one resembles.

        Copies go, too: in a store that was put back, those that left may be there again. Grants are
        to be agreed to anew: the peer's store may know less than it did.

        Raises:
            StoreError: nothing was changed.
        """
        with self._database.transaction() as cursor:
            self._stale = True
            for table in ("handed", "issued", "unreported", "copies", "segments", "marks"):
                cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - of the names above
            cursor.execute("UPDATE blocks SET units = 0 WHERE state = 'ready'")
            cursor.execute("UPDATE grants SET agreed = 0 WHERE own = 1")
            # What was served since the two were compared counts, too.
            sequence = max(sequence, pool_marks(cursor).sequence + 1)
            cursor.execute(
                "UPDATE store SET epoch = ?, next_unit = 0, sequence = ?, peer_sequence = 0",
                (epoch, sequence),
            )
        self._database.truncate()
        self._confirmed = 0
        self._issued = []
        self._reload()

    # Ids

    def read_ids(self, master: Side, ids: bytes) -> tuple[int, list[Place | None]]:
        """What ids of `master`'s keys say, and in which epoch; None where an id is none of his.

        Nobody waits here for a commit that is under way in another thread.

        Raises:
            PreplacedKeyInvalid: the link has no key yet.
        """
        epoch, codecs = self._reading
        codec = _of_side(codecs, master)
        with self._one_reads:
            return epoch, codec.read(ids)

    # Keys leave

    @_alone
    def commit(
        self,
        group: Sequence[Request],
        now: float,
        *,
        flowing: bool = True,
        ahead: tuple[Take, int] | None = None,
    ) -> list[Outcome]:
        """Serve a group of requests in one transaction.

        Args:
            group: The requests.
            now: Seconds since the epoch, to date what waits.
            flowing: Whether bits of the link may leave.
            ahead: A request for one key, not of the group, and how many like it `next_ahead` should
                be able to serve; there will be as many as there are bits for. Not for a store that
                other processes share.

        Returns:
            For each request its keys, or what stands against it: NotEnoughKey, KeyGone,
            KeyNotReady, KeyNotGranted, LinkRed, StoreCorrupt.

        Raises:
            StoreError: nothing was served; what the disk holds is what counts.
        """
        with self._database.transaction() as cursor:
            changes = self._begin(cursor, now, flowing=flowing)
            # What is only made takes nothing from the pool. It may be asked for before the peer was
            # met, and a store that was put back must not count up to what the peer has heard.
            changes.counted = ahead is not None or any(not isinstance(r, Make) for r in group)
            if any(isinstance(request, Take) for request in group):
                self._give_back(cursor)
            outcomes = self._serve_all(cursor, group, changes)
            if ahead is not None:
                self._mark_ahead(cursor, *ahead, changes)
            self._write(cursor, changes)
        self._after(changes)
        return outcomes

    @_alone
    def next_ahead(self, take: Take) -> Delivery | None:
        """A key that was marked for requests like this one, now handed out; None without one."""
        if self._stale or not self._ahead or take != self._ahead.take:
            return None
        first, stop, key = self._ahead.next()
        if self._issued and self._issued[-1][1] == first:
            self._issued[-1] = self._issued[-1][0], stop
        else:
            self._issued.append((first, stop))
        return key

    @_alone
    def give_back(self) -> None:
        """Keys that are marked ahead become this side's to hand out again.

        Raises:
            StoreError: they are lost, or not, as the disk has it; nobody has them.
        """
        if not self._ahead:
            return
        with self._database.transaction() as cursor:
            changes = self._begin(cursor, 0.0, flowing=True)
            self._give_back(cursor)
            self._write(cursor, changes)
        self._after(changes)

    def _mark_ahead(self, cursor: Cursor, take: Take, count: int, changes: _Changes) -> None:
        """Mark keys until there are `count` ahead. Memory has them when the disk agrees."""
        if self._ahead and take != self._ahead.take:
            self._give_back(cursor)
        units = -(-take.bits // (8 * UNIT_BYTES))
        wanted = count - len(self._ahead)
        chosen, missing = self._runs.choose(cursor, max(0, wanted), units, self._confirmed)
        if missing >= wanted:
            return
        try:
            keys = self._cut_out(cursor, take.times(wanted - missing), chosen, changes)
        except StoreCorrupt:
            return  # whoever asks for these bits is told
        firsts = list(chain.from_iterable(range(*span, units) for span in chosen))
        changes.ahead = take, units, firsts, keys.split(len(firsts))

    def _give_back(self, cursor: Cursor) -> None:
        """The disk is to say of keys ahead that they did not leave, and memory reads it there."""
        left = self._ahead.clear()
        if not left:
            return
        touched: dict[int, Segment] = {}
        for first, stop in reversed(_join(left)):
            for segment, low, high in reversed(self._shelf.parts(cursor, first, stop)):
                if segment.outgoing and segment.first + segment.taken == high:
                    segment.taken = low - segment.first
                    self._free += high - low
                    touched[segment.first] = segment
        segments.write_marks(cursor, touched.values())
        for segment in touched.values():
            segment.forget()  # the bits were wiped in memory, and the disk has them
        self._free += self._runs.forgotten
        self._runs = Runs()

    def _begin(self, cursor: Cursor, now: float, *, flowing: bool) -> _Changes:
        """Memory runs ahead of the disk from here to `_after`."""
        self._catch_up(cursor)
        self._stale = True
        return _Changes(now, flowing)

    def _after(self, changes: _Changes) -> None:
        """The disk agrees: bits that left go from memory, too."""
        self._stale = False
        self._in_log = True
        if changes.counted:
            self._marks = self._marks._replace(sequence=self._marks.sequence + 1)
        if not self._further:
            self._issued += changes.issued
        if changes.ahead is not None:
            self._ahead.add(*changes.ahead)
        for segment, first, stop in changes.wipes:
            segment.wipe(first, stop)
        for segment in changes.segments.values():
            if segment.spent:
                self._shelf.forget(segment)
        self._shelf.trim()

    def _serve_all(
        self, cursor: Cursor, group: Sequence[Request], changes: _Changes
    ) -> list[Outcome]:
        """Requests for new keys that ask for the same cost little more than one of them."""
        alike: dict[Take, list[int]] = {}
        for at, request in enumerate(group):
            if isinstance(request, Take):
                alike.setdefault(request, []).append(at)
        served: dict[int, Outcome] = {}
        for take, places in alike.items():
            if len(places) > 1:
                all_of_them = self._serve(cursor, take.times(len(places)), changes)
                if isinstance(all_of_them, Delivery):  # else each is served or refused by itself
                    served.update(zip(places, all_of_them.split(len(places)), strict=True))
        return [
            served[at] if at in served else self._serve(cursor, request, changes)
            for at, request in enumerate(group)
        ]

    def _serve(self, cursor: Cursor, request: Request, changes: _Changes) -> Outcome:
        # Each of these changes nothing before it has read all that it needs.
        try:
            match request:
                case Take():
                    return self._take(cursor, request, changes)
                case Leave():
                    return self._leave(cursor, request, changes)
                case Make():
                    return self._make(cursor, request, changes)
                case Fetch():
                    return self._fetch(cursor, request, changes)
        except (
            NotEnoughKey,
            KeyGone,
            KeyNotGranted,
            KeyNotReady,
            LinkRed,
            StoreCorrupt,
        ) as error:
            return error

    def _take(self, cursor: Cursor, take: Take, changes: _Changes) -> Delivery:
        units = -(-take.bits // (8 * UNIT_BYTES))
        chosen, missing = self._runs.choose(cursor, take.number, units, self._confirmed)
        if missing:
            raise self._not_enough(take, missing)
        taken = self._cut_out(cursor, take, chosen, changes)
        changes.issued += chosen
        return taken

    def _cut_out(
        self, cursor: Cursor, take: Take, chosen: list[tuple[int, int]], changes: _Changes
    ) -> Delivery:
        """The keys of a request from the ranges chosen for it, which are marked."""
        length = take.bits // 8
        units = -(-length // UNIT_BYTES)
        held: list[Part] = []
        for first, stop in chosen:
            held += self._shelf.parts(cursor, first, stop)
        ranges = [range(first, stop, units) for first, stop in chosen]
        firsts = ranges[0] if len(ranges) == 1 else list(chain.from_iterable(ranges))
        bits = self._shelf.bits(cursor, held)
        if len(bits) != UNIT_BYTES * units * take.number:
            raise StoreCorrupt(f"expected {take.number} keys of {units} units, got fewer")
        ids = _of_side(self._ids, self.side).make(firsts, length, take.grant)
        for first, stop in chosen:
            self._free -= self._runs.give_up(first, stop)
        for segment, first, stop in held:
            segment.taken = stop - segment.first
            changes.note(segment, first, stop)
        keys = _trim(bits, units, length)
        if take.copied:
            pairs = list(zip(_each(ids), _pieces(keys, length), strict=True))
            copies.put(
                cursor,
                self._sealer,
                pairs,
                take.master,
                take.copied,
                linked=True,
                now=changes.now,
            )
        changes.count(True, take.grant, take.number, take.number * take.bits)
        return Delivery(ids, Secret(keys), take.bits)

    def _not_enough(self, take: Take, missing: int) -> NotEnoughKey:
        there = (take.number - missing) * take.bits
        if take.number == 1:
            there = UNIT_BITS * self._runs.longest
        return NotEnoughKey(take.number * take.bits, there, coming=bool(self._unconfirmed))

    def _make(self, cursor: Cursor, make: Make, changes: _Changes) -> Delivery:
        length = make.bits // 8
        ids = b"".join(uuid4().bytes for _ in range(make.number))
        keys = secrets.token_bytes(make.number * length)
        pairs = list(zip(_each(ids), _pieces(keys, length), strict=True))
        copies.put(
            cursor, self._sealer, pairs, make.master, make.slaves, linked=False, now=changes.now
        )
        return Delivery(ids, Secret(keys), make.bits)

    def _fetch(self, cursor: Cursor, fetch: Fetch, changes: _Changes) -> Delivery:
        ids = _each(fetch.ids)
        found = copies.find(cursor, self._sealer, ids, fetch.slave)
        if len(set(ids)) < len(ids) or any(copy.master != fetch.master for copy in found):
            raise unknown(ids[0])
        if not changes.flowing and any(copy.linked for copy in found):
            raise LinkRed("no key leaves: the link is RED, or nothing recent says that it is not")
        copies.hand_out(cursor, found, fetch.slave)
        lengths = tuple(len(copy.key) for copy in found)
        same = len(set(lengths)) == 1
        return Delivery(
            fetch.ids,
            Secret(b"".join(copy.key for copy in found)),
            8 * lengths[0] if same else None,
            None if same else lengths,
        )

    def _leave(self, cursor: Cursor, leave: Leave, changes: _Changes) -> Delivery:
        if leave.epoch != self._marks.epoch:
            raise unknown(leave.ids[:KEY_ID_BYTES])
        held = self._held(cursor, leave)
        staying = self._staying(cursor, leave)
        keys = _cut(self._shelf.bits(cursor, held), leave.places)
        if staying is None:
            for part in held:
                _mark_gone(part, changes)
        else:
            for first, stop in _spans(leave):
                if first in staying:
                    cursor.execute("INSERT INTO handed VALUES (?, ?)", (first, leave.slave))
                else:
                    cursor.execute("DELETE FROM handed WHERE first = ?", (first,))
                    for part in self._shelf.parts(cursor, first, stop):
                        _mark_gone(part, changes)
        for place in leave.places:
            changes.count(False, place.grant, place.number, 8 * place.number * place.length)
        length = leave.places[0].length
        if len(leave.places) == 1 or all(place.length == length for place in leave.places):
            return Delivery(leave.ids, Secret(keys), 8 * length)
        lengths = [(place.length,) * place.number for place in leave.places]
        return Delivery(leave.ids, Secret(keys), None, tuple(chain.from_iterable(lengths)))

    def _staying(self, cursor: Cursor, leave: Leave) -> set[int] | None:
        """First units of keys that others of this site have not had yet; None if none is shared.

        Raises:
            KeyGone: this slave has had one.
        """
        if not leave.shared and (
            not leave.sharers or all(len(sharers) == 1 for sharers in leave.sharers)
        ):
            return None
        sharers = chain.from_iterable(
            (each,) * place.number for each, place in zip(leave.sharers, leave.places, strict=True)
        )
        return {
            first
            for each, (first, _), key_id in zip(
                sharers, _spans(leave), _each(leave.ids), strict=True
            )
            if not self._is_last(cursor, leave.slave, each, first, key_id)
        }

    def _held(self, cursor: Cursor, leave: Leave) -> list[Part]:
        """Where the bits of the peer's keys are.

        Raises:
            KeyGone, KeyNotReady: they are not all there, or one was asked for twice.
        """
        if len(leave.places) == 1:
            first, stop = leave.places[0].first, leave.places[0].stop
            parts = self._shelf.parts(cursor, first, stop)
            if not self._are_there(parts, first, stop):
                raise self._missing(cursor, leave)
            return parts
        spans = [(place.first, place.stop) for place in leave.places]
        if _overlap(spans):
            raise unknown(leave.ids[:KEY_ID_BYTES])  # the second time it has left
        held: list[Part] = []
        for first, stop in _join(spans):
            parts = self._shelf.parts(cursor, first, stop)
            if not self._are_there(parts, first, stop):
                raise self._missing(cursor, leave)
            held += parts
        return held

    def _are_there(self, parts: list[Part], first: int, stop: int) -> bool:
        """Whether `parts` are all of a range, for the peer's SAEs, and none of it has left."""
        covered = first
        for segment, low, high in parts:
            if low > covered or segment.outgoing or segment.gone & segment.part(low, high):
                return False
            covered = high
        return stop <= covered and stop <= self._marks.next_unit

    def _missing(self, cursor: Cursor, leave: Leave) -> KeyGone | KeyNotReady:
        """What is wrong with the first key that is not there."""
        for (first, stop), key_id in zip(_spans(leave), _each(leave.ids), strict=True):
            if stop > self._marks.next_unit:
                return KeyNotReady(str(UUID(bytes=key_id)))
            if not self._are_there(self._shelf.parts(cursor, first, stop), first, stop):
                return unknown(key_id)
        return unknown(leave.ids[:KEY_ID_BYTES])

    def _is_last(
        self, cursor: Cursor, slave: str, sharers: tuple[str, ...], first: int, key_id: bytes
    ) -> bool:
        """Whether everybody else who shares a key has had it.

        Raises:
            KeyGone: this one has.
        """
        rows = cursor.execute("SELECT slave FROM handed WHERE first = ?", (first,)).fetchall()
        had = {name for (name,) in rows}
        if slave in had:
            raise unknown(key_id)
        return had | {slave} >= set(sharers)

    def _write(self, cursor: Cursor, changes: _Changes) -> None:
        touched = changes.segments.values()
        # What is ahead may be given back: until `clean` the disk has the bits of its segments.
        kept = changes.ahead is not None
        spent = [each for each in touched if each.spent and not (kept and each.outgoing)]
        over = {segment.first for segment in spent}
        segments.write_marks(cursor, [each for each in touched if each.first not in over])
        segments.clean(cursor, self._sealer, spent)
        cursor.executemany(
            "UPDATE grants SET keys = keys + ?, bits = bits + ? WHERE own = ? AND number = ?",
            [
                (keys, bits, int(own), number)
                for (own, number), (keys, bits) in changes.used.items()
            ],
        )
        if self._further:
            cursor.executemany("INSERT INTO unreported VALUES (?, ?)", changes.issued)
        if changes.counted:
            _count_up(cursor)

    # Bits are zeroised

    @_alone
    def clean(self) -> bool:
        """Seal anew, without them, the segments that bits left since the last time.

        What was sealed before goes from the log, too, as do keys that nobody waits for any more.

        Returns:
            Whether there was anything to do.

        Raises:
            StoreError: nothing was cleaned.
        """
        self.give_back()
        with self._database.transaction() as cursor:
            self._catch_up(cursor)
            dirty = segments.load_dirty(cursor)
            known = [self._shelf.known(segment) for segment in dirty]
            segments.clean(cursor, self._sealer, known)
            oldest = segments.oldest_block(cursor)
            if self._miscounted:
                self._count_stock(cursor)
        self._shelf.forget_blocks(oldest)
        if not known and not self._in_log:
            return False
        self._database.truncate()
        self._in_log = False
        return True


def _of_side(ids: Mapping[Side, KeyIds], side: Side) -> KeyIds:
    try:
        return ids[side]
    except KeyError as error:
        raise PreplacedKeyInvalid("expected a pre-placed key in the store, got none") from error


def _count_up(cursor: Cursor) -> None:
    """The pool has changed: other processes, and the peer, are to notice."""
    cursor.execute("UPDATE store SET sequence = sequence + 1")


def _each(ids: bytes) -> list[bytes]:
    return [ids[at : at + KEY_ID_BYTES] for at in range(0, len(ids), KEY_ID_BYTES)]


def _spans(leave: Leave) -> list[tuple[int, int]]:
    """Of each key its first unit, and the one behind its last."""
    return [span for place in leave.places for span in place.spans()]


def _overlap(spans: list[tuple[int, int]]) -> bool:
    """Whether any unit lies in two of them."""
    ordered = sorted(spans)
    return any(stop > first for (_, stop), (first, _) in pairwise(ordered))


def _mark_gone(part: Part, changes: _Changes) -> None:
    segment, first, stop = part
    segment.gone |= segment.part(first, stop)
    changes.note(segment, first, stop)


def _pieces(keys: bytes, length: int) -> list[bytes]:
    return [keys[at : at + length] for at in range(0, len(keys), length)]


def _join(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, with those that follow each other made one."""
    if len(spans) == 1:
        return spans
    joined: list[tuple[int, int]] = []
    for first, stop in spans:
        if joined and joined[-1][1] == first:
            joined[-1] = joined[-1][0], stop
        else:
            joined.append((first, stop))
    return joined


def _trim(bits: bytes, units: int, length: int) -> bytes:
    """Of each `units` units the first `length` bytes."""
    size = UNIT_BYTES * units
    if size == length:
        return bits
    return b"".join(bits[at : at + length] for at in range(0, len(bits), size))


def _cut(bits: bytes, places: Sequence[Place]) -> bytes:
    """Of the units of each place the bytes of its keys."""
    if not any(place.length % UNIT_BYTES for place in places):
        return bits
    keys, at = [], 0
    for place in places:
        stop = at + UNIT_BYTES * place.number * place.units
        keys.append(_trim(bits[at:stop], place.units, place.length))
        at = stop
    return b"".join(keys)
