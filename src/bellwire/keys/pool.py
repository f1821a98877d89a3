"""The pool of one side of a link: which bits become which key, and the mark before they leave.

What always holds:

- A mark is durable before the bits that it stands for are returned. A crash in between loses them;
  nothing is ever returned twice. A group of requests shares one commit.
- Allocation needs no message: a side hands out its own segments only, from the start on, and the id
  tells the peer where the bits lie. No segment is both sides' at a time.
- Keys may be marked before they are asked for (`ahead`), and given back as long as nobody had them.
- If a commit fails, memory is read anew from the disk, or the store is closed and stays so.

What memory knows is in `stock`, what a group of requests does in `group`, what the two sides tell
each other in `exchange`. A transaction begins and ends here: one sync for each group.

Methods may be called from any thread; one at a time is inside.
"""

import threading
from collections.abc import Sequence

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.database.cursor import Cursor
from bellwire.keys import copies, segments
from bellwire.keys.database.interface import Database
from bellwire.keys.exchange import Exchange
from bellwire.keys.group import Group
from bellwire.keys.key_ids import Place
from bellwire.keys.kme import Delivery
from bellwire.keys.lives import UnitLife
from bellwire.keys.model import UNIT_BITS
from bellwire.keys.requests import Make, Outcome, Request, Take
from bellwire.keys.rows import PoolMarks, pool_marks
from bellwire.keys.sealing import Sealer
from bellwire.keys.stock import Stock, alone, of_side

MAX_EXPIRED = 256
"""Ranges that one call of `expire` looks at."""


class Pool:
    """The pool of one side; `load` comes before everything else.

    Args:
        database: Of the store.
        sealer: Of the store.
        side: Whose store it is.
        further: For a process beside the node: what it hands out, the node reports to the peer.

    Attributes:
        side: Whose store it is.
        exchange: What the two sides of the link tell and give each other.
    """

    def __init__(
        self, database: Database, sealer: Sealer, side: Side, *, further: bool = False
    ) -> None:
        self.side = side
        self._further = further
        self._lock = threading.RLock()
        self._database = database
        self._sealer = sealer
        self._one_reads = threading.Lock()
        self._in_log = False  # sealed values of what left
        self._stock = Stock(sealer, side)
        self.exchange = Exchange(self._stock, database, self._lock)

    def __repr__(self) -> str:
        return f"Pool({self.side.value})"

    # What there is

    @property
    def free_bits(self) -> int:
        """`free_units`, in bits."""
        return UNIT_BITS * self.free_units

    @property
    def free_units(self) -> int:
        """Units that this side may still hand out as master, agreed with the peer or not yet."""
        return self._stock.units

    @property
    def takeable_units(self) -> int:
        """Units that this side may hand out now."""
        return self._stock.takeable

    @property
    def keys_ahead(self) -> int:
        """Keys that are marked, and that nobody has asked for yet."""
        return len(self._stock.ahead)

    @property
    def idle(self) -> bool:
        """Whether a commit would find the store free."""
        return self._database.idle

    @property
    def shareable(self) -> bool:
        """Whether other processes may be in the store, too."""
        return self._database.shareable

    @property
    def marks(self) -> PoolMarks:
        """Where the pool stands, for the peer to compare."""
        return self._stock.marks

    @property
    @alone
    def agreed(self) -> tuple[int, int]:
        """The epoch, and the unit in it up to which the peer is known to number alike."""
        return self._stock.marks.epoch, self._stock.confirmed

    @alone
    def account(self) -> dict[UnitLife, int]:
        """What became of all units of this epoch; together they are all that were carved.

        Raises:
            StoreError: the store cannot be read.
        """
        with self._database.transaction() as cursor:
            counted, carved = segments.count(cursor), pool_marks(cursor).next_unit
        counted[UnitLife.OURS] += self._stock.ahead.units
        counted[UnitLife.LEFT] = carved - counted.total()
        return {life: counted[life] for life in UnitLife}

    @alone
    def ladder(self, steps: int) -> list[tuple[int, int]]:
        """(block, unit behind it) of the last ready blocks, for the peer to compare."""
        return [(block.block, block.stop_unit) for block in self._stock.shelf.blocks[-steps:]]

    @alone
    def load(self, mac_key: Secret) -> None:
        """Read what the store holds, and finish the cleaning that a crash may have prevented.

        Args:
            mac_key: The link's pre-placed MAC key. Secret.

        Raises:
            StoreError: the store cannot be read or written.
        """
        with self._database.transaction() as cursor:
            self._stock.read(cursor, mac_key)
        self.clean()

    @alone
    def add(self) -> None:
        """Take in blocks that `KeyStore.mark_ready` made ready; again is harmless.

        Raises:
            StoreError: the store cannot be read.
        """
        with self._database.transaction() as cursor:
            self._stock.catch_up(cursor)

    @alone
    def confirm(self, stop: int) -> None:
        """The peer numbers units as we do up to `stop`: they may be handed out.

        Stores that are each right by themselves could number bits differently, if one was put back
        to an earlier state. Ids would then lead to other bits at the peer.
        """
        self._stock.confirm(stop)

    # Ids

    def read_ids(self, master: Side, ids: bytes) -> tuple[int, list[Place | None]]:
        """What ids of `master`'s keys say, and in which epoch; None where an id is none of his.

        Nobody waits here for a commit that is under way in another thread.

        Raises:
            PreplacedKeyInvalid: the link has no key yet.
        """
        epoch, codecs = self._stock.reading
        codec = of_side(codecs, master)
        with self._one_reads:
            return epoch, codec.read(ids)

    # Keys leave

    @alone
    def commit(
        self,
        requests: Sequence[Request],
        now: float,
        *,
        flowing: bool = True,
        ahead: tuple[Take, int] | None = None,
    ) -> list[Outcome]:
        """Serve a group of requests in one transaction.

        Args:
            requests: The group.
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
            group = self._begin(cursor, now, flowing=flowing)
            # What is only made takes nothing from the pool. It may be asked for before the peer was
            # met, and a store that was put back must not count up to what the peer has heard.
            group.counted = ahead is not None or any(not isinstance(r, Make) for r in requests)
            if any(isinstance(request, Take) for request in requests):
                group.give_back()
            outcomes = group.serve(requests)
            if ahead is not None:
                group.mark_ahead(*ahead)
            group.write()
        self._settle(group)
        return outcomes

    @alone
    def next_ahead(self, take: Take) -> Delivery | None:
        """A key that was marked for requests like this one, now handed out; None without one."""
        stock = self._stock
        ahead = stock.ahead
        if stock.stale or not ahead or take != ahead.take:
            return None
        first, stop, key = ahead.next()
        issued = stock.issued
        if issued and issued[-1][1] == first:
            issued[-1] = issued[-1][0], stop
        else:
            issued.append((first, stop))
        return key

    @alone
    def give_back(self) -> None:
        """Keys that are marked ahead become this side's to hand out again.

        Raises:
            StoreError: they are lost, or not, as the disk has it; nobody has them.
        """
        if not self._stock.ahead:
            return
        with self._database.transaction() as cursor:
            group = self._begin(cursor, 0.0, flowing=True)
            group.give_back()
            group.write()
        self._settle(group)

    def _begin(self, cursor: Cursor, now: float, *, flowing: bool) -> Group:
        """Memory runs ahead of the disk from here to `_settle`."""
        self._stock.catch_up(cursor)
        self._stock.stale = True
        return Group(self._stock, self._sealer, cursor, now, flowing=flowing, further=self._further)

    def _settle(self, group: Group) -> None:
        """The disk agrees, and its log has what left."""
        group.settle()
        self._in_log = True

    # Keys are given up, and bits zeroised

    @alone
    def expire(self, before: float) -> int:
        """Give up keys that the peer's masters got before a time and no slave fetched.

        Returns:
            Units given up.

        Raises:
            StoreError: nothing was given up.
        """
        given_up = 0
        with self._database.transaction() as cursor:
            group = self._begin(cursor, before, flowing=True)
            rows = cursor.execute(
                "SELECT first, stop FROM issued WHERE at < ? ORDER BY first LIMIT ?",
                (before, MAX_EXPIRED),
            ).fetchall()
            waited = copies.expire(cursor, before)
            if not rows and not waited:
                self._stock.stale = False
                self._stock.shelf.trim()
                return 0
            for first, stop in rows:
                for segment, low, high in self._stock.shelf.parts(cursor, first, stop):
                    there = segment.part(low, high) & ~segment.gone
                    if not segment.outgoing and there:
                        given_up += there.bit_count()
                        group.mark_gone((segment, low, high))
                cursor.execute("DELETE FROM issued WHERE first = ?", (first,))
                cursor.execute("DELETE FROM handed WHERE first >= ? AND first < ?", (first, stop))
            group.write()
        self._settle(group)
        return given_up

    @alone
    def fence(self, epoch: int, sequence: int) -> None:
        """Void all bits of the pool and begin a new epoch, whose ids no earlier one resembles.

        Copies go, too: in a store that was put back, those that left may be there again. Grants are
        to be agreed to anew: the peer's store may know less than it did.

        Raises:
            StoreError: nothing was changed.
        """
        with self._database.transaction() as cursor:
            self._stock.stale = True
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
        self._stock.begin_epoch()
        with self._database.transaction() as cursor:
            self._stock.read(cursor)

    @alone
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
            self._stock.catch_up(cursor)
            dirty = segments.load_dirty(cursor)
            known = [self._stock.shelf.known(segment) for segment in dirty]
            segments.clean(cursor, self._sealer, known)
            oldest = segments.oldest_block(cursor)
            if self._stock.miscounted:
                self._stock.count(cursor)
        self._stock.shelf.forget_blocks(oldest)
        if not known and not self._in_log:
            return False
        self._database.truncate()
        self._in_log = False
        return True
